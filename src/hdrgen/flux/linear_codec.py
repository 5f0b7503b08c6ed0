"""A FLUX.2 VAE that starts as a linear codec: principal components of patches, halving by halving.

From random weights a VAE spends its first minutes finding that pictures have colours. Here its first step begins
where a linear codec ends: residual blocks start as the identity, each strided convolution takes the strongest
components of 2x2 patches (Karhunen-Loeve transform), and each convolution behind an enlargement is the least squares
answer to "what did the encoder have here?". Training goes on from there with everything that is not linear.
"""

import math

import torch
from diffusers import AutoencoderKLFlux2
from scipy.linalg import hadamard
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
    strongest components. Latents are not the components but sums and differences of all of them (Hadamard), which have
    the same share of the picture's energy each: a transformer is shown every latent with variance 1, and would else
    spend itself on faint texture as much as on the picture's tones.

    Parameters
    ----------
    vae
        Without attention in its middle block. Its statistics are left alone. First and last width must be multiples of
        four times its groups of norms, else those norms start as they are, and the codec is poorer.
    picture
        ``(N, 3, H, W)``, codes from -1 to 1, sides divisible by what the VAE divides sizes by: a sample of what it will
        learn. A hundred are enough.
    seed
        Decides which places the least squares look at.
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
    _let_through(vae.encoder.conv_norm_out, vae.encoder.mid_block.resnets[-1].conv2)
    _let_through(vae.decoder.conv_norm_out, vae.decoder.up_blocks[-1].resnets[-1].conv2)
    for conv in (vae.quant_conv, vae.post_quant_conv, vae.encoder.conv_in):
        _pass_through(conv)
    levels = _start_encoder(vae, picture)
    _start_latents(vae, kept=levels[-1].shape[1])
    _start_decoder(vae, levels, rng)


def _start_encoder(vae: AutoencoderKLFlux2, picture: Tensor) -> list[Tensor]:
    """Return the components at each size, the picture itself first."""
    convs = [block.downsamplers[0].conv for block in vae.encoder.down_blocks if block.downsamplers]
    levels = [picture]
    narrowest = min(convs[-1].out_channels, vae.encoder.conv_out.in_channels)
    for conv in convs:
        last = conv is convs[-1]
        features = levels[-1][:, : conv.in_channels]
        patches = functional.pixel_unshuffle(features, 2)
        room = min(narrowest // 2, vae.config.latent_channels) if last else conv.out_channels
        mean, components = _principal(patches, min(room, patches.shape[1]))
        if last:  # small beside the norms' constant
            components /= (patches - mean[:, None, None]).square().sum(1).mean().sqrt()
        kernel, bias = components.view(len(components), -1, 2, 2), -components @ mean
        levels.append(functional.conv2d(features, kernel, bias, stride=2))
        # The window of a strided convolution begins at its patch and ends a pixel behind it.
        kernel = functional.pad(kernel, (0, 1, 0, 1))
        _write(conv, *(_in_pairs(kernel, bias) if last else (kernel, bias)))
    return levels


def _start_latents(vae: AutoencoderKLFlux2, kept: int) -> None:
    """Let the encoder end with sums and differences of its components, and the decoder begin with undoing them."""
    latents = vae.config.latent_channels
    mixed = torch.from_numpy(hadamard(latents)[:, :kept]).float()
    out, back = vae.encoder.conv_out, vae.decoder.conv_in
    out.weight.zero_()
    out.bias.zero_()
    out.weight[:latents, : 2 * kept, 1, 1] = torch.stack([mixed, -mixed], 2).flatten(1)
    out.bias[latents:] = 2 * math.log(_NOISE_SD)
    back.weight[:kept] = 0
    back.weight[:kept, :, 1, 1] = mixed.T / latents
    back.bias[:kept] = 0


def _start_decoder(vae: AutoencoderKLFlux2, levels: list[Tensor], rng: torch.Generator) -> None:
    convs = [block.upsamplers[0].conv for block in vae.decoder.up_blocks if block.upsamplers]
    features = levels[-1]
    for conv, wanted in zip(convs, reversed(levels[:-1]), strict=True):
        last = conv is convs[-1]
        enlarged = functional.interpolate(features[:, : conv.in_channels], scale_factor=2.0, mode="nearest")
        kernel, bias = _least_squares(enlarged, wanted[:, : conv.out_channels], rng)
        features = functional.conv2d(enlarged, kernel, bias, padding=1)
        _write(conv, *(_in_pairs(kernel, bias) if last else (kernel, bias)))
    out = vae.decoder.conv_out
    out.weight.zero_()
    out.bias.zero_()
    out.weight[:, :6, 1, 1] = torch.stack([torch.eye(3), -torch.eye(3)], 2).flatten(1)


def _let_through(norm: nn.GroupNorm, before: nn.Conv2d) -> None:
    """Let a norm start as the identity on pairs of a channel and its negative.

    It divides by each picture's own contrast. A large constant, the same for both of a pair and opposite in the next,
    makes that contrast nearly the same for all pictures; weight and bias take the constant out again. The SiLU
    behind it is linear in the difference of a pair: silu(x) - silu(-x) = x.
    """
    if norm.num_channels % (4 * norm.num_groups):
        return  # a group without two whole pairs would take the constant for the picture's mean
    constant = torch.full_like(norm.bias, _CONSTANT)
    constant[2::4] *= -1
    constant[3::4] *= -1
    assert before.bias is not None
    before.bias.copy_(constant)
    norm.weight.fill_(_CONSTANT)
    norm.bias.copy_(-constant)


def _in_pairs(kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return what gives each output and, behind it, its negative."""
    return (
        torch.stack([kernel, -kernel], 1).flatten(0, 1),
        torch.stack([bias, -bias], 1).flatten(),
    )


def _pass_through(conv: nn.Conv2d) -> None:
    """Let each channel come out as it went in, as many as there are on both sides."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    both = torch.arange(min(conv.in_channels, conv.out_channels))
    conv.weight[both, both, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = 1


def _write(conv: nn.Conv2d, kernel: Tensor, bias: Tensor) -> None:
    """Write a kernel for the first outputs and inputs; the other outputs stay random, to be learned from."""
    assert conv.bias is not None
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
    windows = padded[
        picture[:, None, None, None],
        torch.arange(channels)[:, None, None],
        row[:, None, None, None] + window[:, None],
        column[:, None, None, None] + window,
    ].flatten(1)
    windows = functional.pad(windows, (0, 1), value=1.0).double()
    gram = windows.T @ windows
    gram += _RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    solution = torch.linalg.solve(gram, windows.T @ wanted[picture, :, row, column].double()).float()
    return solution[:-1].T.reshape(-1, channels, 3, 3).contiguous(), solution[-1].contiguous()
