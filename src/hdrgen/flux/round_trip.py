"""What an autoencoder does to a picture: encoded, decoded, and no longer quite itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.dataset.pairs.display_pairs import MakeDisplayPairs, make_display_pairs
from hdrgen.flux import tiny_autoencoder
from hdrgen.models.tiles import padded
from hdrgen.runtime.progress import OnProgress


@dataclass(frozen=True)
class RoundTrip:
    """Code values through an autoencoder and back. Can be sent to other processes; the weights are read when first needed.

    Parameters
    ----------
    autoencoder
        A folder with ``encoder.safetensors`` and ``decoder.safetensors`` of `tiny_autoencoder`, or a checkpoint that
        `find_checkpoint` knows, whose VAE is taken.
    """

    autoencoder: str

    def __call__(self, code: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the round trip of code values 0 to 1, ``(H, W, 3)`` of any size; clipped.

        Raises
        ------
        HdrgenError
            There is no such autoencoder.
        """
        multiple, trip = _loaded(self.autoencoder)
        picture = padded(code, multiple).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            decoded = trip(picture)[0].permute(1, 2, 0)[: code.shape[0], : code.shape[1]]
        return decoded.clamp(0, 1).contiguous().numpy()


def make_pairs_with_autoencoder(
    frames: pl.DataFrame,
    frames_dir: Path,
    settings: MakeDisplayPairs,
    out_dir: Path,
    on_progress: OnProgress | None = None,
) -> pl.DataFrame:
    """Make display pairs, some through ``settings.autoencoder`` where one is given; else as `make_display_pairs`."""
    round_trip = RoundTrip(settings.autoencoder) if settings.autoencoder else None
    return make_display_pairs(frames, frames_dir, settings, out_dir, on_progress, round_trip)


@cache
def _loaded(autoencoder: str) -> tuple[int, Callable[[Tensor], Tensor]]:
    """Return what sides must be multiples of, and the trip of pictures 0 to 1."""
    folder = Path(autoencoder)
    if all((folder / name).is_file() for name in tiny_autoencoder.FILES):
        net = tiny_autoencoder.load_tiny_autoencoder(folder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return tiny_autoencoder.DOWNSCALE, net
    # Diffusers' pipelines take seconds to import, in every worker.
    from hdrgen.flux.checkpoint import find_checkpoint  # noqa: PLC0415
    from hdrgen.flux.family import load_flux  # noqa: PLC0415

    flux = load_flux(find_checkpoint(autoencoder), transformer=None, text_encoder=None)
    vae = flux.pipeline.vae.eval()

    def trip(picture: Tensor) -> Tensor:
        return cast("Tensor", (vae.decode(vae.encode(2 * picture - 1).latent_dist.mode()).sample + 1) / 2)

    return flux.pixels_per_token, trip
