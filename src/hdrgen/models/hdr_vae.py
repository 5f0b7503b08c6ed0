"""The published HDR VAE decoder, with an encoder of its own.

4-channel latents at an eighth of the picture's size; transposed convolutions of stride 2, each with GroupNorm(32) and
SiLU, 1024 to 512 to 256 to 128 channels at ``base_channels`` 128; a plain 3x3 convolution to RGB at the end, without
activation and without clamp.

Only the decoder is published, so the encoder is its mirror. The published output is light itself. Here the last
convolution answers in the codes of `HdrNormalisation`, and light is made of them afterwards: a plain convolution that
answers in light has to reach 0.01 and 1000 with the same weights. Trained alike with the same loss in code, it was
wrong by 1.4 stops where this one was by 0.9, and by 6.1 against 4.2 above 16.
"""

from pathlib import Path
from typing import ClassVar

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from pydantic import Field
from torch import Tensor, nn

from hdrgen.colour.hdr_normalisation import HdrNormalisation
from hdrgen.models.group_norm_tiles import decode_in_tiles
from hdrgen.models.weights import load_model, save_weights
from hdrgen.runtime.params import Section

MODEL = "hdr_vae"
"""The name in the header of its weights."""
LATENT_CHANNELS = 4
PIXELS_PER_LATENT = 8
GROUPS = 32


class PublishedHdrVaeNetwork(Section):
    """Size of the network, and the light that is code 1."""

    base_channels: int = Field(128, ge=GROUPS, multiple_of=GROUPS)
    """Channels at the picture's full size; 2, 4 and 8 times as many at a half, a quarter and an eighth."""
    peak_linear: float = Field(1000.0, gt=0)


class PublishedHdrVae(nn.Module):
    """Codes of `HdrNormalisation` to 4-channel latents, and back; sides are multiples of 8."""

    TILE: ClassVar[int] = 1024
    """Side in pixels of the largest picture that is decoded in one piece."""

    def __init__(self, network: PublishedHdrVaeNetwork) -> None:
        super().__init__()
        self.network = network
        self.normalisation = HdrNormalisation(network.peak_linear)
        full, half, quarter, eighth = (network.base_channels * times for times in (1, 2, 4, 8))
        self.encoder = nn.Sequential(
            nn.Conv2d(3, full, 3, padding=1),
            *_normed(nn.Conv2d(full, half, 4, stride=2, padding=1), half),
            *_normed(nn.Conv2d(half, quarter, 4, stride=2, padding=1), quarter),
            *_normed(nn.Conv2d(quarter, eighth, 4, stride=2, padding=1), eighth),
            nn.Conv2d(eighth, 2 * LATENT_CHANNELS, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, eighth, 3, padding=1),
            *_normed(nn.ConvTranspose2d(eighth, quarter, 4, stride=2, padding=1), quarter),
            *_normed(nn.ConvTranspose2d(quarter, half, 4, stride=2, padding=1), half),
        )
        self.last = nn.Sequential(
            *_normed(nn.ConvTranspose2d(half, full, 4, stride=2, padding=1), full),
            nn.Conv2d(full, 3, 3, padding=1),
        )

    def posterior(self, code: Tensor) -> DiagonalGaussianDistribution:
        """Return mean and variance of the latents ``(B, 4, H/8, W/8)`` of pictures ``(B, 3, H, W)`` in code."""
        return DiagonalGaussianDistribution(self.encoder(code))

    def code(self, latents: Tensor) -> Tensor:
        """Return pictures ``(B, 3, H, W)`` in code, unclamped."""
        answer: Tensor = self.last(self.decoder(latents))
        return answer

    @torch.no_grad()
    def latents(self, linear_awg4: Tensor) -> Tensor:
        """Return the latents ``(B, 4, H/8, W/8)`` of scene-linear pictures ``(B, 3, H, W)``."""
        return self.posterior(self.normalisation.encode(linear_awg4)).mode()

    @torch.no_grad()
    def linear_awg4(self, latents: Tensor) -> Tensor:
        """Return scene-linear pictures ``(B, 3, H, W)``, unclamped; in tiles where they are large."""
        features = self.decoder(latents)
        if max(latents.shape[2:]) * PIXELS_PER_LATENT <= self.TILE:
            return self.normalisation.decode(self.last(features))
        code = decode_in_tiles(self.last, features, scale=2, halo=2, tile=self.TILE)
        return self.normalisation.decode(code)


def _normed(convolution: nn.Module, channels: int) -> tuple[nn.Module, ...]:
    return convolution, nn.GroupNorm(GROUPS, channels), nn.SiLU()


def save_published_hdr_vae(path: Path, net: PublishedHdrVae) -> None:
    """Write the weights with all that `load_published_hdr_vae` needs to know."""
    save_weights(path, net, model=MODEL, settings=net.network.model_dump(mode="json"))


def load_published_hdr_vae(path: Path) -> PublishedHdrVae:
    """Read what `save_published_hdr_vae` wrote, ready for inference.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """
    return load_model(
        path, MODEL, lambda settings: PublishedHdrVae(PublishedHdrVaeNetwork.model_validate(settings))
    )
