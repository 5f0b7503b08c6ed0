"""A small autoencoder of FLUX.2's own latents: the structure of TAEF2 (Ollin Boer Bohan, MIT licence)."""

from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hdrgen.runtime.errors import HdrgenError

WIDTH, LATENT_CHANNELS = 64, 32
DOWNSCALE = 8
"""Pixels across a latent."""
FILES = ("encoder.safetensors", "decoder.safetensors")


class _Block(nn.Module):
    def __init__(self, *, pool: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU()]
        self.conv = nn.Sequential(*layers[:-1])
        wide = 4 * WIDTH
        self.pool = (
            nn.Sequential(
                nn.Conv2d(WIDTH, wide, 1, bias=False),
                nn.GroupNorm(4, wide),
                nn.ReLU(),
                nn.Conv2d(wide, WIDTH, 1, bias=False),
            )
            if pool
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _SoftClamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * torch.tanh(x / 3)


class TinyAutoencoder(nn.Module):
    """Pictures 0 to 1, ``(N, 3, H, W)``, sides multiples of 8, to latents ``(N, 32, H/8, W/8)`` and back, not clamped."""

    def __init__(self) -> None:
        super().__init__()
        down: list[nn.Module] = [nn.Conv2d(3, WIDTH, 3, padding=1), _Block()]
        for pool in (False, False, True):
            down += [
                nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False),
                *(_Block(pool=pool) for _ in range(3)),
            ]
        self.encoder = nn.Sequential(*down, nn.Conv2d(WIDTH, LATENT_CHANNELS, 3, padding=1))
        up: list[nn.Module] = [_SoftClamp(), nn.Conv2d(LATENT_CHANNELS, WIDTH, 3, padding=1), nn.ReLU()]
        for pool in (True, False, False):
            up += [
                *(_Block(pool=pool) for _ in range(3)),
                nn.Upsample(scale_factor=2),
                nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
            ]
        self.decoder = nn.Sequential(*up, _Block(), nn.Conv2d(WIDTH, 3, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        """Return the round trip of pictures."""
        return cast("Tensor", self.decoder(self.encoder(picture)))


def load_tiny_autoencoder(folder: Path) -> TinyAutoencoder:
    """Read ``encoder.safetensors`` and ``decoder.safetensors`` of a folder, half floats made single.

    Raises
    ------
    HdrgenError
        A file is missing or is none of this structure.
    """
    net = TinyAutoencoder()
    for name, part in zip(FILES, (net.encoder, net.decoder), strict=True):
        path = folder / name
        try:
            part.load_state_dict({key: value.float() for key, value in load_file(path).items()})
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise HdrgenError(f"{path}: no weights of a small FLUX.2 autoencoder ({reason})") from None
    return net.eval()
