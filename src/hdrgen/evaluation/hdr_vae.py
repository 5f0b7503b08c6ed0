"""Evaluation of HDR VAEs by what comes back from a round trip, beside the frozen VAE around LogC4 and around plain light."""

from collections.abc import Callable, Mapping, Sequence
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.dataset.pairs.records import evaluation_crop
from hdrgen.dataset.pairs.scene_crops import split_frames
from hdrgen.evaluation.tables import PictureFigures, decisive, summary
from hdrgen.flux.hdr_vae import HdrVae, LightCode, Vae, load_hdr_vae, load_vae
from hdrgen.images.exr import read_exr
from hdrgen.metrics.quality import LUMINANCE_BANDS, evaluate
from hdrgen.models.hdr_vae import PIXELS_PER_LATENT, load_published_hdr_vae
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import Figures
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

RoundTrip = Callable[[Tensor], Tensor]
"""Scene-linear pictures ``(B, 3, H, W)`` to what a VAE makes of them."""

KIND = "round_trip"
BASELINES = ("frozen_vae_logc4", "frozen_vae_linear")
TRAINED = ("published_hdr_vae", "flux_hdr_vae")
MARGIN_METRICS = ("pu21_psnr", "pu21_ssim")
_OVER_BASE = f"stops_rmse_over_{BASELINES[0]}"


class EvaluateHdrVae(Section):
    """Which part of each frame is evaluated."""

    judged_size: int = Field(512, ge=32)
    """Longest side of the evaluated middle of a frame, in pixels."""


class Logc4Range:
    """LogC4 as an 8-bit picture holds it: codes clipped to 0 to 1, light to 469.8."""

    def encode(self, linear: Tensor) -> Tensor:
        """Return codes from -1 to 1."""
        return logc4_encode(linear).clamp(0, 1) * 2 - 1

    def decode(self, code: Tensor) -> Tensor:
        """Return light."""
        return logc4_decode((code.clamp(-1, 1) + 1) / 2)


class DisplayRange:
    """Light as it is, clipped to 0 to 1 as a picture is; dividing it by its peak instead would leave it black."""

    def encode(self, linear: Tensor) -> Tensor:
        """Return codes from -1 to 1."""
        return linear.clamp(0, 1) * 2 - 1

    def decode(self, code: Tensor) -> Tensor:
        """Return light."""
        return (code.clamp(-1, 1) + 1) / 2


def round_trips(base_vae: Path, flux_vae: Path, hdr_vae: Path) -> tuple[dict[str, RoundTrip], int]:
    """Return the evaluated VAEs, by name, and the number that sides of pictures must be multiples of.

    Parameters
    ----------
    base_vae
        Folder of the base checkpoint's VAE.
    flux_vae
        Folder of `train_flux_vae`.
    hdr_vae
        Weights of `train_hdr_vae`.

    Raises
    ------
    HdrgenError
        One of them cannot be loaded.
    """
    base, adapted, published = load_vae(base_vae), load_hdr_vae(flux_vae), load_published_hdr_vae(hdr_vae)
    trips = {
        "frozen_vae_logc4": _through(base, Logc4Range()),
        "frozen_vae_linear": _through(base, DisplayRange()),
        "published_hdr_vae": lambda linear: published.linear_awg4(published.latents(linear)),
        "flux_hdr_vae": _through(adapted.vae, adapted.normalisation),
    }
    return trips, lcm(adapted.pixels_per_token, PIXELS_PER_LATENT)


def evaluate_hdr_vae(
    frames_dir: Path,
    index: pl.DataFrame,
    settings: EvaluateHdrVae,
    trips: Mapping[str, RoundTrip],
    multiple: int,
    on_progress: OnProgress | None = None,
) -> list[PictureFigures]:
    """Evaluate every VAE on the middle of every test frame; figures are those of `quality.evaluate`.

    Parameters
    ----------
    frames_dir, index
        Frames in scene-linear AWG4 and `split`'s index of them; any other folder with such an index will do.
    settings
        The size of the evaluated part.
    trips, multiple
        As `round_trips` returns them.
    on_progress
        Called with (frames done, frames in all).

    Raises
    ------
    HdrgenError
        There are no test frames, or one cannot be read.
    """
    tests = split_frames(index, "test")
    if tests.is_empty():
        raise HdrgenError(f"{frames_dir}: no test frames to judge; raise split.test_fraction or add scenes")
    rows: list[PictureFigures] = []
    for done, row in enumerate(tests.iter_rows(named=True), 1):
        linear = _middle(read_exr(frames_dir / row["file"]).rgb, settings.judged_size, multiple)
        picture = torch.from_numpy(linear).permute(2, 0, 1)[None].contiguous()
        for model, trip in trips.items():
            # What is below black is of no use in a finished picture, and no metric sees it.
            decoded = trip(picture)[0].clamp(0, np.finfo(np.float16).max.item()).permute(1, 2, 0).numpy()
            rows.append(
                PictureFigures(
                    row["source"], row["frame"], KIND, model, evaluate(decoded, np.maximum(linear, 0))
                )
            )
        if on_progress:
            on_progress(done, len(tests))
    return rows


def hdr_vae_summary(rows: Sequence[PictureFigures]) -> dict[str, Any]:
    """Return all figures.

    Beside what `tables.summary` says: ``stops_rmse_over_frozen_vae_logc4`` and the same of each luminance band, a model's
    mean error in stops as a multiple of the frozen VAE's around LogC4; below 1 is better.
    """
    result = summary(rows, BASELINES, MARGIN_METRICS)
    for kinds in result.values():
        base = kinds[KIND][BASELINES[0]]
        for model, figures in kinds[KIND].items():
            if model != BASELINES[0]:
                figures |= {
                    f"{_OVER_BASE}{name}": figures[f"stops_rmse{name}"]["mean"]
                    / base[f"stops_rmse{name}"]["mean"]
                    for name in ("", *(f"_{band}" for band in LUMINANCE_BANDS))
                    if f"stops_rmse{name}" in base
                }
    return result


def decisive_hdr_vae(figures: Figures) -> dict[str, Any]:
    """Return what decides about each trained VAE, by source and VAE; see `tables.decisive`."""
    by_model = {model: decisive(figures, model) for model in TRAINED}
    return {source: {model: by_model[model][source][KIND] for model in TRAINED} for source in figures}


def _through(vae: Vae, curve: LightCode) -> RoundTrip:
    around = HdrVae(vae, curve)
    return lambda linear: around.linear_awg4(around.tokens(linear), *linear.shape[2:])


def _middle(linear: NDArray[np.floating], largest_side: int, multiple: int) -> NDArray[np.float32]:
    """Return the middle of a frame, sides multiples of what the VAEs need."""
    crop = evaluation_crop(linear, largest_side - largest_side % multiple)
    height, width = (extent - extent % multiple for extent in crop.shape[:2])
    return np.ascontiguousarray(crop[:height, :width], np.float32)
