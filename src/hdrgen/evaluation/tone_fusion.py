"""Evaluation of tone fusion: the published perceptron and the product's fuser beside the closed forms.

Every estimator sees the same 8-bit test pictures, clean and generated-like, and is compared with the frame's light.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.colour.tone_maps import Log, Reinhard
from hdrgen.colour.units import FLOOR_LINEAR
from hdrgen.dataset.pairs.records import KINDS, evaluation_crop
from hdrgen.dataset.pairs.tone_map_pairs import MakeToneMapPairs
from hdrgen.evaluation.tables import PictureFigures
from hdrgen.exposure.log2_encoding import log2_decode
from hdrgen.exposure.tone_map_tables import reinhard_table, tone_map_tables
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import read_exr
from hdrgen.inference.tone_fusion import Fuser
from hdrgen.inference.tone_mlp import load_mlp_fuser
from hdrgen.metrics.quality import evaluate
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

log = logging.getLogger(__name__)

Code8 = NDArray[np.uint8]
Estimator = Callable[[Code8, Code8], NDArray[np.float32]]
"""Reinhard and log codes ``(H, W, 3)`` to scene-linear light of the same shape."""

CLOSED_FORMS = ("interval_intersection", "inverse_variance", "reinhard_alone")
MARGIN_METRICS = ("pu21_psnr", "pu21_ssim")
_RELIABILITY_STOPS = np.arange(-10, 15)


class EvaluateToneFusion(Section):
    """What closed forms assume of generated pictures."""

    noise_codes: float = 3.0
    """Noise that the inverse-variance average expects, standard deviation in 8-bit codes."""


def closed_forms(log_ceiling_linear: float, noise_codes: float) -> dict[str, Estimator]:
    """Return the baselines: each looks at one pixel's codes and nothing else."""
    tables = tone_map_tables(Reinhard(), Log(log_ceiling_linear), noise_codes)
    reinhard_linear = reinhard_table()
    return {
        "interval_intersection": lambda reinhard8, log8: log2_decode(tables.intersection[reinhard8, log8]),
        "inverse_variance": lambda reinhard8, log8: log2_decode(tables.average[reinhard8, log8]),
        "reinhard_alone": lambda reinhard8, _: reinhard_linear[reinhard8],
    }


def evaluate_tone_fusion(
    pairs_dir: Path,
    index: pl.DataFrame,
    frames: pl.DataFrame,
    frames_dir: Path,
    pairs: MakeToneMapPairs,
    estimators: Mapping[str, Estimator],
    on_progress: OnProgress | None = None,
) -> tuple[list[PictureFigures], pl.DataFrame]:
    """Evaluate every estimator on every test picture, one frame at a time.

    Parameters
    ----------
    pairs_dir, index
        Where `make_tone_map_pairs` wrote, and its index.
    frames, frames_dir
        The frames' index and what its ``file`` is relative to.
    pairs
        The settings the pairs were made with.
    estimators
        By name.

    Returns
    -------
    list, DataFrame
        The figures, and the table of reliability: for each kind and stop of true luminance (``reference_stops``) the
        10th, 50th and 90th percentile of each model's estimate in stops, as ``estimate_p10_<model>``.
    """
    tests = index.filter((pl.col("split") == "test") & pl.col("file").is_not_null()).sort("source", "frame")
    if tests.is_empty():
        raise HdrgenError(f"{pairs_dir}: no test frames to judge; raise split.test_fraction or add scenes")
    files = dict(frames.select("frame", "file").iter_rows())
    rows: list[PictureFigures] = []
    reliability = _Reliability()
    for done, row in enumerate(tests.iter_rows(named=True), 1):
        light = evaluation_crop(read_exr(frames_dir / files[row["frame"]]).rgb, pairs.judged_size).astype(
            np.float32
        )
        light = np.clip(light, 0, None)
        for kind in KINDS:
            codes = [
                read_code8(pairs_dir / f"{row['file']}_{kind}_{curve}.png").code
                for curve in ("reinhard", "log")
            ]
            for model, estimate in estimators.items():
                linear = estimate(*codes)
                rows.append(PictureFigures(row["source"], row["frame"], kind, model, evaluate(linear, light)))
                reliability.add(kind, model, linear, light)
        if on_progress:
            on_progress(done, len(tests))
    return rows, reliability.table()


class _Reliability:
    """Histograms of the error in stops for each stop of true luminance: constant size, whatever the library."""

    _EDGES = np.linspace(-4, 4, 401)

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], NDArray[np.int64]] = {}

    def add(self, kind: str, model: str, linear: NDArray[np.float32], light: NDArray[np.float32]) -> None:
        true, estimated = (np.log2(np.maximum(luminance(p, AWG4), FLOOR_LINEAR)) for p in (light, linear))
        counts, _, _ = np.histogram2d(
            true.ravel(),
            np.clip(estimated - true, -4, 4).ravel(),
            bins=(_RELIABILITY_STOPS - 0.5, self._EDGES),
        )
        total = self._counts.setdefault((kind, model), np.zeros_like(counts, dtype=np.int64))
        total += counts.astype(np.int64)

    def table(self) -> pl.DataFrame:
        rows = []
        middles = (self._EDGES[1:] + self._EDGES[:-1]) / 2
        for (kind, model), counts in self._counts.items():
            for stops, row in zip(_RELIABILITY_STOPS[:-1], counts, strict=True):
                if row.sum() < 100:  # too few pixels to speak of a spread
                    continue
                share = np.cumsum(row) / row.sum()
                low, middle, high = (float(middles[np.searchsorted(share, q)]) for q in (0.1, 0.5, 0.9))
                rows.append(
                    {
                        "kind": kind,
                        "model": model,
                        "reference_stops": int(stops),
                        "estimate_p10": stops + low,
                        "estimate_p50": stops + middle,
                        "estimate_p90": stops + high,
                    }
                )
        spread = pl.DataFrame(rows).pivot(
            "model",
            index=["kind", "reference_stops"],
            values=["estimate_p10", "estimate_p50", "estimate_p90"],
        )
        return spread.sort("reference_stops")


def estimators(
    mlp_weights: Path, fuser_weights: Mapping[str, Path], log_ceiling_linear: float, noise_codes: float
) -> dict[str, Estimator]:
    """Return the evaluated estimators: the closed forms, the published perceptron, and fusers by name.

    A fuser that was made for another log ceiling than the pairs' is left out, with a warning.
    """
    result = closed_forms(log_ceiling_linear, noise_codes)
    # In the precision that it was published in.
    result["published_mlp"] = load_mlp_fuser(mlp_weights, torch.float32).fuse
    for name, path in fuser_weights.items():
        fuser = Fuser.load(path)
        if fuser.log_ceiling_linear == log_ceiling_linear:
            result[name] = fuser.fuse
        else:
            log.warning(
                "%s is not judged: it is for a log ceiling of %g, and the pairs have %g",
                name, fuser.log_ceiling_linear, log_ceiling_linear,
            )  # fmt: skip
    return result
