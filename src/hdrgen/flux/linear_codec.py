"""A FLUX.2 VAE that starts as a linear codec: principal components of patches, halving by halving.

From random weights a VAE spends its first minutes finding that pictures have colours. Here its first step begins
where a linear codec ends: residual blocks start as the identity, each strided convolution takes the strongest
components of 2x2 patches (Karhunen-Loeve transform), and each convolution behind an enlargement is the least squares
answer to "what did the encoder have here?". Training goes on from there with everything that is not linear.
"""

import torch
from diffusers import AutoencoderKLFlux2
from torch import Tensor, nn
from torch.nn import functional

_CONSTANT = 5.0
_REGRESSED_PLACES = 40_000
_RIDGE = 1e-5
_NOISE_SD = 0.02


@torch.no_grad()
def start_as_linear_codec(vae: AutoencoderKLFlux2, picture: Tensor, seed: int) -> None:
    """Set a VAE's weights to those of a linear codec, as far as its widths allow.

    A level of half the size wants four times the channels of the one above it, from 3; narrower ones keep the
    strongest components. The latents are rotated at random, so all have the same share of the picture's energy: a
    transformer that sees each latent with variance 1 would else learn faint texture before the picture's tones.

    Parameters
    ----------
    vae
        Without attention in its middle block. Its statistics are left alone.
    picture
        ``(N, 3, H, W)``, codes from -1 to 1, sides divisible by what the VAE divides sizes by: a sample of what it will
        learn. A hundred are enough.
    seed
        Decides the rotation, and which places the least squares look at.
    """
    rng = torch.Generator().manual_seed(seed)
    for half in (vae.encoder, vae.decoder):
        for block in half.modules():
            if isinstance(block, nn.Conv2d) and block.kernel_size == (1, 1):
                _pass_through(block)  # the shortcut of a residual block whose width changes
        for name, conv in half.named_modules():
            if name.endswith("conv2"):
                nn.init.zeros_(conv.weight)
                nn.init.zeros_(conv.bias)
    _let_through(vae.encoder.conv_norm_out, vae.encoder.mid_block.resnets[-1])
    _let_through(vae.decoder.conv_norm_out, vae.decoder.up_blocks[-1].resnets[-1])
    for conv in (vae.quant_conv, vae.post_quant_conv, vae.encoder.conv_in, vae.decoder.conv_in):
        _pass_through(conv)
    levels = _start_encoder(vae, picture, rng)
    _start_decoder(vae, levels, rng)


def _start_encoder(vae: AutoencoderKLFlux2, picture: Tensor, rng: torch.Generator) -> list[Tensor]:
    """Return the features at each size, the picture first and the latents last."""
    convs = [block.downsamplers[0].conv for block in vae.encoder.down_blocks if block.downsamplers]
    levels = [picture]
    for conv in convs:
        last = conv is convs[-1]
        patches = functional.pixel_unshuffle(levels[-1], 2)
        room = min(conv.out_channels // 2, vae.config.latent_channels) if last else conv.out_channels
        mean, components = _principal(patches, min(room, patches.shape[1]))
        if last:
            rotation = torch.linalg.qr(torch.randn(len(components), len(components), generator=rng))[0]
            components = rotation @ components
            components /= (components @ (patches - mean[:, None, None]).flatten(2)).std()
        kernel, bias = components.view(len(components), -1, 2, 2), -components @ mean
        levels.append(functional.conv2d(levels[-1], kernel, bias, stride=2))
        # The window of a strided convolution begins at its patch and ends a pixel behind it.
        kernel = functional.pad(kernel, (0, 1, 0, 1))
        _write(conv, *(_in_pairs(kernel, bias) if last else (kernel, bias)))
    out = vae.encoder.conv_out
    latents = vae.config.latent_channels
    _write(out, _of_pairs(levels[-1].shape[1]), torch.zeros(levels[-1].shape[1]))
    out.weight[latents:] = 0
    out.bias[latents:] = 2 * torch.tensor(_NOISE_SD).log()
    return levels


def _start_decoder(vae: AutoencoderKLFlux2, levels: list[Tensor], rng: torch.Generator) -> None:
    convs = [block.upsamplers[0].conv for block in vae.decoder.up_blocks if block.upsamplers]
    features = levels[-1]
    for conv, wanted in zip(convs, reversed(levels[:-1]), strict=True):
        last = conv is convs[-1]
        enlarged = functional.interpolate(features, scale_factor=2.0, mode="nearest")
        kernel, bias = _least_squares(enlarged, wanted[:, : conv.out_channels], rng)
        features = functional.conv2d(enlarged, kernel, bias, padding=1)
        _write(conv, *(_in_pairs(kernel, bias) if last else (kernel, bias)))
    vae.decoder.conv_out.weight.zero_()
    _write(vae.decoder.conv_out, _of_pairs(3), torch.zeros(3))


def _let_through(norm: nn.GroupNorm, before: nn.Module) -> None:
    """Let a norm start as the identity on pairs of a channel and its negative.

    It divides by each picture's own contrast. A large constant, the same for both of a pair and opposite in the next,
    makes that contrast nearly the same for all pictures; weight and bias take the constant out again. The SiLU
    behind it is linear in the difference of a pair: silu(x) - silu(-x) = x.
    """
    constant = torch.full_like(norm.bias, _CONSTANT)
    constant[2::4] *= -1
    constant[3::4] *= -1
    before.conv2.bias.copy_(constant)
    norm.weight.fill_(_CONSTANT)
    norm.bias.copy_(-constant)


def _in_pairs(kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return what gives each output and, behind it, its negative."""
    return (
        torch.stack([kernel, -kernel], 1).flatten(0, 1),
        torch.stack([bias, -bias], 1).flatten(),
    )


def _of_pairs(count: int) -> Tensor:
    """Return a 3x3 kernel ``(count, 2 * count, 3, 3)`` that takes the difference of each pair."""
    kernel = torch.zeros(count, 2 * count, 3, 3)
    places = torch.arange(count)
    kernel[places, 2 * places, 1, 1] = 1
    kernel[places, 2 * places + 1, 1, 1] = -1
    return kernel


def _pass_through(conv: nn.Conv2d) -> None:
    """Let each channel come out as it went in, as many as there are on both sides."""
    conv.weight.zero_()
    conv.bias.zero_()
    both = torch.arange(min(conv.in_channels, conv.out_channels))
    conv.weight[both, both, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = 1


def _write(conv: nn.Conv2d, kernel: Tensor, bias: Tensor) -> None:
    """Write a kernel for the first outputs and inputs; the other outputs stay random, to be learned from."""
    outputs, inputs = kernel.shape[:2]
    conv.weight[:outputs] = 0
    conv.weight[:outputs, :inputs] = kernel
    conv.bias[:outputs] = bias


def _principal(features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the mean ``(C,)`` and the strongest components, rows of ``(count, C)``, of features ``(N, C, H, W)``."""
    rows = features.movedim(1, -1).flatten(0, -2)
    mean = rows.mean(0)
    centred = rows - mean
    directions = torch.linalg.eigh((centred.T @ centred).double()).eigenvectors
    return mean, directions.flip(1)[:, :count].T.float().contiguous()


def _least_squares(features: Tensor, wanted: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the 3x3 kernel and the bias that come nearest to what is wanted at places drawn at random."""
    count, channels, height, width = features.shape
    padded = functional.pad(features, (1, 1, 1, 1))
    places = [torch.randint(size, (_REGRESSED_PLACES,), generator=rng) for size in (count, height, width)]
    picture, row, column = places
    window = torch.arange(3)
    seen = padded[
        picture[:, None, None, None],
        torch.arange(channels)[:, None, None],
        row[:, None, None, None] + window[:, None],
        column[:, None, None, None] + window,
    ].flatten(1)
    seen = functional.pad(seen, (0, 1), value=1.0).double()
    gram = seen.T @ seen
    gram += _RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    answer = torch.linalg.solve(gram, seen.T @ wanted[picture, :, row, column].double()).float()
    return answer[:-1].T.reshape(-1, channels, 3, 3).contiguous(), answer[-1].contiguous()
