"""Evaluation of bit-depth expansion: the U-Net beside plain dequantisation and smoothers, on frames and on synthetic gradients."""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.colour.logc import logc4_decode
from hdrgen.dataset.pairs.bit_depth_pairs import MakeBitDepthPairs, bit_depth_frames, logc4_code16
from hdrgen.dataset.pairs.records import KINDS, evaluation_crop
from hdrgen.evaluation.tables import PictureFigures
from hdrgen.exposure.smoothest_in_intervals import smooth_in_intervals
from hdrgen.images.code_image import read_code8
from hdrgen.inference.bit_depth import Expander
from hdrgen.metrics.quality import evaluate
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

Code8 = NDArray[np.uint8]
Expand = Callable[[Code8, str], NDArray[np.float32]]
"""8-bit codes ``(H, W, 3)`` and the kind of picture to float codes 0 to 1."""

CLOSED_FORMS = ("dequantised", "smooth_in_intervals", "bilateral")
MARGIN_METRICS = ("code_psnr", "pu21_psnr")


class EvaluateBitDepth(Section):
    """What the edge-preserving filter assumes of generated pictures."""

    noise_codes: float = 3.0
    """Standard deviation of the noise, in 8-bit codes; the bilateral filter takes twice that for its range."""


def expanders(weights: Mapping[str, Path], settings: EvaluateBitDepth) -> dict[str, Expand]:
    """Return the evaluated expanders: closed forms, and U-Nets by name; at full strength on generated pictures."""

    def network(path: Path) -> Expand:
        expander = Expander.load(path)
        return lambda code8, kind: expander.expand(code8, strength=float(kind != "clean"))

    return {
        "dequantised": lambda code8, _: code8 / np.float32(255),
        "smooth_in_intervals": lambda code8, _: (code8 + smooth_in_intervals(code8)) / np.float32(255),
        "bilateral": lambda code8, _: np.asarray(
            cv2.bilateralFilter(code8 / np.float32(255), 7, 2 * settings.noise_codes / 255, 1.5)
        ),
        **{name: network(path) for name, path in weights.items()},
    }


def code_psnr(code: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Return PSNR in dB over code values 0 to 1, at most 100; dequantised 8 bits have 58.9."""
    error = np.mean(np.square(code - reference), dtype=np.float64)
    return float(min(-10 * np.log10(max(error, 1e-10)), 100.0))


def evaluate_bit_depth(
    pairs_dir: Path,
    index: pl.DataFrame,
    frames: pl.DataFrame,
    frames_dir: Path,
    pairs: MakeBitDepthPairs,
    models: Mapping[str, Expand],
    on_progress: OnProgress | None = None,
) -> list[PictureFigures]:
    """Evaluate every model on every test picture, one frame at a time.

    Figures are those of `quality.evaluate` on the light that the codes stand for; ``code_psnr``; and
    ``same_code8_share``, the share of codes that come back when the expanded codes are quantised again.

    Parameters
    ----------
    pairs_dir, index
        Where `make_bit_depth_pairs` wrote, and its index.
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
    lights = {frame.frame: frame for frame in bit_depth_frames(frames, frames_dir, pairs)}
    rows: list[PictureFigures] = []
    for done, row in enumerate(tests.iter_rows(named=True), 1):
        light = evaluation_crop(lights[row["frame"]].light(), pairs.judged_size)
        code = logc4_code16(light) / np.float32(65535)
        linear = np.clip(logc4_decode(code), 0, None)
        for kind in KINDS:
            code8 = read_code8(pairs_dir / f"{row['file']}_{kind}.png").code
            for model, expand in models.items():
                expanded = expand(code8, kind)
                figures = {
                    "code_psnr": code_psnr(expanded, code),
                    "same_code8_share": float(np.mean(np.rint(expanded * 255) == code8)),
                    **evaluate(np.clip(logc4_decode(expanded), 0, None), linear),
                }
                rows.append(PictureFigures(row["source"], row["frame"], kind, model, figures))
        if on_progress:
            on_progress(done, len(tests))
    return rows
