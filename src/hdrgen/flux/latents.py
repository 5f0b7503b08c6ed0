"""FLUX.2's latents: pictures to the tokens that the transformer denoises, and back.

The published VAE makes 32 channels at an eighth of the picture's size. Patches of 2x2 become 128 channels at a
sixteenth, each brought to mean 0 and variance 1 by the statistics the VAE carries in its ``bn``, and each place is a token.
Pictures go in and come out as they are, without the display path of diffusers' image processor.
"""

import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, ModelMixin
from torch import Tensor
from torch.nn import functional


def pixels_per_token(vae: ModelMixin) -> int:
    """Return the side of the square of pixels that one token stands for: twice what the VAE divides sizes by."""
    return int(2 ** len(vae.config.block_out_channels))


def encode_latents(vae: AutoencoderKLFlux2 | AutoencoderKL, picture: Tensor) -> Tensor:
    """Return the normalised latents ``(B, 128, H/n, W/n)``, n of `pixels_per_token`, of pictures ``(B, 3, H, W)``, codes from -1 to 1."""
    return normalise(vae, patchify(vae.encode(picture).latent_dist.mode()))


def decode_latents(vae: AutoencoderKLFlux2 | AutoencoderKL, latents: Tensor) -> Tensor:
    """Return pictures ``(B, 3, H, W)`` of normalised latents; `encode_latents` mirrored. Nothing is clamped."""
    return vae.decode(denormalise(vae, latents)).sample


def patchify(latents: Tensor) -> Tensor:
    """Return latents ``(B, 32, H, W)`` as ``(B, 128, H/2, W/2)``: channel, row in the patch, column in the patch."""
    return functional.pixel_unshuffle(latents, 2)


def normalise(vae: AutoencoderKLFlux2 | AutoencoderKL, patches: Tensor) -> Tensor:
    """Return patchified latents with the mean and the variance of the VAE's statistics taken out."""
    mean, deviation = statistics(vae, patches)
    return (patches - mean) / deviation


def denormalise(vae: AutoencoderKLFlux2 | AutoencoderKL, latents: Tensor) -> Tensor:
    """Return normalised latents as the VAE decodes them, ``(B, 32, H/8, W/8)``: `normalise` and `patchify` mirrored."""
    mean, deviation = statistics(vae, latents)
    return functional.pixel_shuffle(latents * deviation + mean, 2)


def statistics(vae: AutoencoderKLFlux2 | AutoencoderKL, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, ``(1, 128, 1, 1)``, with the device and type of another.

    FLUX.1's VAE has one shift and one scale for all channels, ``(1, 1, 1, 1)``.
    """
    if isinstance(vae, AutoencoderKL):
        shift, scale = vae.config.shift_factor, vae.config.scaling_factor
        return like.new_full((1, 1, 1, 1), shift), like.new_full((1, 1, 1, 1), 1 / scale)
    mean = vae.bn.running_mean.view(1, -1, 1, 1)
    deviation = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
    return mean.to(like), deviation.to(like)


def set_statistics(vae: AutoencoderKLFlux2, patches: Tensor) -> None:
    """Make the VAE's statistics those of these patchified latents ``(N, 128, H, W)``."""
    vae.bn.running_mean.copy_(patches.mean((0, 2, 3)))
    vae.bn.running_var.copy_(patches.var((0, 2, 3), unbiased=False))


def pack(latents: Tensor) -> Tensor:
    """Return latents ``(B, C, H, W)`` as tokens ``(B, H*W, C)``, row by row."""
    return latents.flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """Return tokens ``(B, H*W, C)`` as latents ``(B, C, H, W)``; `pack` mirrored."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, height, width)


def picture_ids(height: int, width: int) -> Tensor:
    """Return where each token of a picture stands, ``(H*W, 4)``: time 0, row, column, place in the prompt 0."""
    return torch.cartesian_prod(torch.arange(1), torch.arange(height), torch.arange(width), torch.arange(1))


def prompt_ids(length: int) -> Tensor:
    """Return where each token of a prompt stands, ``(L, 4)``: time, row and column 0, place in the prompt."""
    return torch.cartesian_prod(torch.arange(1), torch.arange(1), torch.arange(1), torch.arange(length))
