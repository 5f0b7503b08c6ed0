"""Evaluation of recovered light: the network beside the untouched picture and an artist's boost, on every judged picture."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.colour.display import srgb_decode
from hdrgen.colour.primaries import AWG4, REC709, convert_primaries, luminance
from hdrgen.colour.units import FLOOR_LINEAR
from hdrgen.dataset.pairs.display_pairs import MakeDisplayPairs, judged_kinds, judged_light, judged_picture
from hdrgen.dataset.pairs.records import stored_frames
from hdrgen.evaluation.tables import PictureFigures
from hdrgen.images.code_image import read_code8
from hdrgen.inference.bit_depth import Expander
from hdrgen.inference.highlights import Recoverer
from hdrgen.metrics.correction import crf_corrected, scale_stops
from hdrgen.metrics.highlights import highlight_colour_shift
from hdrgen.metrics.quality import pu21_psnr, pu21_ssim, stops_rmse
from hdrgen.models.highlights import MODEL, invented_weight
from hdrgen.routes.recover import dequantised
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

Code8 = NDArray[np.uint8]
Light = NDArray[np.float32]
Recover = Callable[[Code8], Light]
"""8-bit sRGB codes ``(H, W, 3)`` to linear Rec.709."""

UNTOUCHED = "untouched"
CLOSED_FORMS = (UNTOUCHED, "boost_2", "boost_4")
MARGIN_METRICS = ("pu21_psnr", "pu21_psnr_crf")


class EvaluateHighlights(Section):
    """What an artist's boost does, for comparison."""

    boost_from_code8: float = Field(230.0, ge=0, lt=255)
    """Code from which the boosts rise, smoothly, to twice and four times the light at 255."""


def recoverers(weights: Mapping[str, Path], settings: EvaluateHighlights) -> dict[str, Recover]:
    """Return what is evaluated: the picture as it is, boosts, and networks by name, at their defaults."""
    expander = Expander.load()

    def boost(factor: float) -> Recover:
        def apply(code8: Code8) -> Light:
            weight = invented_weight(code8.astype(np.float32), settings.boost_from_code8)
            return np.asarray(_untouched(code8) * factor**weight, np.float32)

        return apply

    def network(path: Path) -> Recover:
        recoverer = Recoverer.load(path)

        def apply(code8: Code8) -> Light:
            return recoverer.recover(dequantised(code8, expander) * np.float32(255)).linear

        return apply

    return {
        UNTOUCHED: _untouched,
        "boost_2": boost(2),
        "boost_4": boost(4),
        **{name: network(path) for name, path in weights.items()},
    }


def _untouched(code8: Code8) -> Light:
    return srgb_decode(code8 / np.float32(255))


def recovered_figures(recovered: Light, light: Light, clipped: NDArray[np.bool_]) -> dict[str, float]:
    """Return the figures of recovered light, its exposure brought to that of the scene first.

    Parameters
    ----------
    recovered, light
        Linear Rec.709 ``(H, W, 3)``, display white of the scene's exposure at 1.0, read as 100 nit.
    clipped
        ``(H, W)``: pixels whose codes were at their end.

    Returns
    -------
    dict
        ``pu21_psnr``, ``pu21_ssim``, ``stops_rmse_<band>`` with the gain aligned by the median of the stops; ``pu21_psnr_crf`` with the curve
        fitted as well, after Hanji et al. (2022). Of the clipped pixels ``energy_stops``, log2 of their summed luminance over
        the scene's, its size ``energy_error_stops``, and ``peak_error_stops``, the same of the brightest. ``seen_rmse_stops``
        of the others. What `highlight_colour_shift` says.
    """
    test, reference = (convert_primaries(picture, REC709, AWG4) for picture in (recovered, light))
    test = test * np.float32(2 ** scale_stops(test, reference, "median"))
    y, test_y = luminance(reference, AWG4), luminance(test, AWG4)
    figures = {
        "pu21_psnr": pu21_psnr(test, reference),
        "pu21_ssim": pu21_ssim(test, reference),
        **{f"stops_rmse_{band}": rmse for band, rmse in stops_rmse(test, reference).items() if band != "all"},
        "pu21_psnr_crf": pu21_psnr(crf_corrected(test, reference), reference),
        **highlight_colour_shift(test, reference),
    }
    seen = ~clipped & (y > FLOOR_LINEAR)
    if seen.any():
        error = np.log2(np.maximum(test_y[seen], FLOOR_LINEAR) / y[seen])
        figures["seen_rmse_stops"] = float(np.sqrt(np.mean(np.square(error), dtype=np.float64)))
    if clipped.any():
        energy, test_energy = (float(p[clipped].sum(dtype=np.float64)) for p in (y, test_y))
        figures["energy_stops"] = float(np.log2(test_energy / energy))
        figures["energy_error_stops"] = abs(figures["energy_stops"])
        figures["peak_error_stops"] = float(abs(np.log2(test_y[clipped].max() / y[clipped].max())))
    return figures


def evaluate_highlights(
    pairs_dir: Path,
    index: pl.DataFrame,
    frames: pl.DataFrame,
    frames_dir: Path,
    pairs: MakeDisplayPairs,
    models: Mapping[str, Recover],
    on_progress: OnProgress | None = None,
) -> list[PictureFigures]:
    """Evaluate every model on every test picture, one frame at a time; figures are `recovered_figures`.

    Parameters
    ----------
    pairs_dir, index
        Where `make_display_pairs` wrote, and its index.
    frames, frames_dir, pairs
        What the pairs were made of, and how.
    models
        By name.
    on_progress
        Called with (frames done, frames in all).
    """
    tests = index.filter((pl.col("split") == "test") & pl.col("file").is_not_null()).sort("source", "frame")
    if tests.is_empty():
        raise HdrgenError(f"{pairs_dir}: no test frames to judge; raise split.test_fraction or add scenes")
    lights = {frame.frame: frame for frame in stored_frames(frames, frames_dir)}
    rows: list[PictureFigures] = []
    for done, row in enumerate(tests.iter_rows(named=True), 1):
        linear_awg4 = judged_light(lights[row["frame"]].light(), pairs.judged_size)
        for kind in judged_kinds(pairs):
            clean = judged_picture(linear_awg4, kind)
            clipped = (clean.code8 == 255).any(-1)
            code8 = read_code8(pairs_dir / f"{row['file']}_{kind}.png").code
            for model, recover in models.items():
                figures = recovered_figures(recover(code8), clean.linear_rec709, clipped)
                rows.append(PictureFigures(row["source"], row["frame"], kind, model, figures))
        if on_progress:
            on_progress(done, len(tests))
    return rows


def harmed(rows: Sequence[PictureFigures], models: Sequence[str]) -> pl.DataFrame:
    """Return the pictures that a model made worse than they were, by PU21-PSNR: source, kind, frame, model, ``gain_db``."""
    untouched = {
        (row.source, row.kind, row.frame): row.figures["pu21_psnr"] for row in rows if row.model == UNTOUCHED
    }
    worse = [
        {"source": row.source, "kind": row.kind, "frame": row.frame, "model": row.model, "gain_db": gain}
        for row in rows
        if row.model in models
        for gain in (row.figures["pu21_psnr"] - untouched[row.source, row.kind, row.frame],)
        if gain < 0
    ]
    schema = {
        "source": pl.String,
        "kind": pl.String,
        "frame": pl.String,
        "model": pl.String,
        "gain_db": pl.Float64,
    }
    return pl.DataFrame(worse, schema=schema).sort("gain_db", "frame", "kind", "model")


def decisive_highlights(rows: Sequence[PictureFigures]) -> dict[str, Any]:
    """Return by source and kind what decides.

    Returns
    -------
    dict
        Of the trained network ``gain_db`` and ``gain_crf_db``, the mean of PU21-PSNR above the untouched picture, with the gain
        aligned and with the curve fitted as well, and ``energy_error_stops``, the mean size of the error of clipped light;
        ``released_gain_db`` of the model that comes with the package.
    """
    figures = pl.DataFrame(
        [{"source": r.source, "kind": r.kind, "frame": r.frame, "model": r.model, **r.figures} for r in rows],
        infer_schema_length=None,
    )
    keys = ("source", "kind", "frame")
    untouched = figures.filter(pl.col("model") == UNTOUCHED).select(
        *keys, untouched="pu21_psnr", untouched_crf="pu21_psnr_crf"
    )
    beside = figures.join(untouched, on=keys)
    nested: dict[str, Any] = {}
    for (source, kind), pictures in beside.partition_by("source", "kind", as_dict=True).items():
        trained, released = (
            pictures.filter(pl.col("model") == model) for model in (MODEL, f"released_{MODEL}")
        )
        gains = {
            "gain_db": trained["pu21_psnr"] - trained["untouched"],
            "gain_crf_db": trained["pu21_psnr_crf"] - trained["untouched_crf"],
            "released_gain_db": released["pu21_psnr"] - released["untouched"],
        }
        means = {name: series.mean() for name, series in gains.items()}
        if "energy_error_stops" in trained.columns:
            means["energy_error_stops"] = trained["energy_error_stops"].mean()
        nested.setdefault(source, {})[kind] = {
            name: mean for name, mean in means.items() if isinstance(mean, float)
        }
    return nested
