"""Evaluation of exposure fusion: the luminance stack processor beside closed forms and OpenCV's merges.

Every model sees the same 8-bit LogC4 brackets: clean, generated-like, and of a scene that moves. Models that align
first are evaluated with what they align.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.dataset.pairs.bracket_pairs import (
    ENCODING_NAMES,
    KINDS,
    MASK_SUFFIX,
    MakeBracketPairs,
    evaluation_scene,
    picture_suffix,
)
from hdrgen.evaluation.tables import PictureFigures
from hdrgen.exposure.alignment import Aligned, align_stack
from hdrgen.exposure.bracket_tables import Bits, BracketTables, bracket_tables
from hdrgen.exposure.classical_merge import (
    debevec_merge,
    interval_intersection_merge,
    inverse_variance_merge,
    robertson_merge,
)
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import read_exr
from hdrgen.inference.exposure_fusion import StackMerger
from hdrgen.metrics.quality import evaluate, pu21_psnr
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

Codes = Sequence[NDArray[np.uint8]]
Merge = Callable[[Codes, Aligned], NDArray[np.float32]]
"""The brackets ``(H, W, 3)`` as they are, and aligned, to scene-linear light."""

CLOSED_FORMS = (
    "interval_intersection",
    "inverse_variance",
    "inverse_variance_aligned",
    "debevec",
    "robertson",
)
MARGIN_METRICS = ("pu21_psnr", "pu21_ssim", "pu21_psnr_moving")
HIGH_PEAKS = (500.0, 1800.0)
"""Frames whose brightest ten-thousandth lies here are in ``peak_ratio_500_to_1800``: above the ceiling of one LogC4
picture, below that of the bracket at EV -2."""


class EvaluateExposureFusion(Section):
    """What the tables assume of generated pictures."""

    noise_codes: float = 3.0
    """Standard deviation of the noise, in 8-bit codes."""


def mergers(
    weights: Mapping[str, Path], pairs: MakeBracketPairs, settings: EvaluateExposureFusion
) -> dict[str, Merge]:
    """Return the evaluated merges: closed forms with and without alignment, OpenCV's merges, and networks by name."""
    tables = _bracket_tables(pairs, settings, [8] * len(pairs.evs))

    def of_bits(aligned: Aligned) -> list[BracketTables]:
        # Brackets that moved have 16-bit codes.
        return _bracket_tables(
            pairs, settings, [8 if code.dtype == np.uint8 else 16 for code in aligned.codes]
        )

    def network(path: Path) -> Merge:
        merger = StackMerger.load(path)
        return lambda _, aligned: (
            merger.merge(
                aligned.codes,
                of_bits(aligned),
                pairs.evs,
                reference=pairs.reference,
                occluded=aligned.occluded,
            ).linear
        )

    return {
        "interval_intersection": lambda codes, _: interval_intersection_merge(codes, tables),
        "inverse_variance": lambda codes, _: inverse_variance_merge(codes, tables),
        "inverse_variance_aligned": lambda _, aligned: inverse_variance_merge(
            aligned.codes, of_bits(aligned), aligned.occluded
        ),
        "debevec": lambda _, aligned: debevec_merge(aligned.codes, ENCODING_NAMES[0], pairs.evs),
        "robertson": lambda _, aligned: robertson_merge(aligned.codes, ENCODING_NAMES[0], pairs.evs),
        **{name: network(path) for name, path in weights.items()},
    }


def _bracket_tables(
    pairs: MakeBracketPairs, settings: EvaluateExposureFusion, bits: Sequence[Bits]
) -> list[BracketTables]:
    return [
        bracket_tables(ENCODING_NAMES[0], b, ev, evs=pairs.evs, noise_codes=settings.noise_codes)
        for b, ev in zip(bits, pairs.evs, strict=True)
    ]


def evaluate_exposure_fusion(
    pairs_dir: Path,
    index: pl.DataFrame,
    frames: pl.DataFrame,
    frames_dir: Path,
    pairs: MakeBracketPairs,
    weights: Mapping[str, Path],
    settings: EvaluateExposureFusion,
    on_progress: OnProgress | None = None,
) -> list[PictureFigures]:
    """Evaluate every model on every test stack, one frame at a time.

    Figures are those of `quality.evaluate`; ``peak_ratio_500_to_1800`` on frames with such peaks; and on moving
    scenes ``pu21_psnr_moving``, PSNR where an object was in any of the brackets: ghosts.

    Parameters
    ----------
    pairs_dir, index
        Where `make_bracket_pairs` wrote, and its index.
    frames, frames_dir, pairs
        What the pairs were made of, and how.
    weights
        Weights of the networks, by name.
    settings
        Noise to expect.
    on_progress
        Called with (frames done, frames in all).
    """
    tests = index.filter((pl.col("split") == "test") & pl.col("file").is_not_null()).sort("source", "frame")
    if tests.is_empty():
        raise HdrgenError(f"{pairs_dir}: no test frames to judge; raise split.test_fraction or add scenes")
    files = dict(frames.select("frame", "file").iter_rows())
    tables = _bracket_tables(pairs, settings, [8] * len(pairs.evs))
    models = mergers(weights, pairs, settings)
    rows: list[PictureFigures] = []
    for done, row in enumerate(tests.iter_rows(named=True), 1):
        frame = read_exr(frames_dir / files[row["frame"]]).rgb
        light = np.clip(evaluation_scene(row["frame"], frame, pairs).linear_awg4, 0, None)
        moving = read_code8(pairs_dir / f"{row['file']}{MASK_SUFFIX}").code[..., 0] > 0
        peak = float(np.percentile(light, 99.99))
        for kind in KINDS:
            codes = [
                read_code8(pairs_dir / f"{row['file']}{picture_suffix(kind, ev)}").code for ev in pairs.evs
            ]
            aligned = align_stack(codes, tables, reference=pairs.reference)
            for model, merge in models.items():
                linear = merge(codes, aligned)
                figures = evaluate(linear, light)
                if HIGH_PEAKS[0] <= peak <= HIGH_PEAKS[1]:
                    figures["peak_ratio_500_to_1800"] = figures["peak_ratio"]
                if kind == "motion" and moving.any():
                    figures["pu21_psnr_moving"] = pu21_psnr(linear[moving], light[moving])
                rows.append(PictureFigures(row["source"], row["frame"], kind, model, figures))
        if on_progress:
            on_progress(done, len(tests))
    return rows
