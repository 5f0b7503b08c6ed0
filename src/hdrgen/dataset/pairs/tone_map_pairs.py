"""Pairs for tone fusion: the Reinhard and the log picture of a frame, clean and generated-like, and its light.

The four pictures of a test frame can be handed to ``hdrgen fuse``.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.dataset.pairs.generated_like import GeneratedLike, damage
from hdrgen.dataset.pairs.records import (
    KINDS,
    PairMaker,
    PairSettings,
    crop_corner,
    cut,
    make_pairs,
    random_exposure,
    stored_frames,
)
from hdrgen.runtime.progress import OnProgress

CURVE_NAMES = ("reinhard", "log")


class MakeToneMapPairs(PairSettings):
    """What is cut out of each frame, and how the generated-like half is damaged."""

    crops_per_frame: int = Field(24, ge=1)
    log_ceiling_linear: float = Field(10000.0, gt=1)
    """Scene-linear value of code 255 in the log picture."""
    generated_like: GeneratedLike
    """Damage of the generated-like half; strengths are assumptions, no real generator was measured."""


def crop_record(size: int) -> np.dtype[np.void]:
    """Return the type of one crop: scene-linear half floats and the 8-bit pictures, ``(size, size, 3)`` each."""
    shape = (size, size, 3)
    codes = [(f"{kind}_{curve}_code8", np.uint8, shape) for kind in KINDS for curve in CURVE_NAMES]
    return np.dtype([("linear_awg4", np.float16, shape), *codes])


def tone_map_pair(
    linear_awg4: NDArray[np.floating], kind: str, settings: MakeToneMapPairs, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the Reinhard and the log picture, 8-bit ``(H, W, 3)``, of scene-linear light.

    Parameters
    ----------
    linear_awg4
        Shape ``(H, W, 3)``; negatives are shown as black.
    kind
        ``clean`` or ``generated``.
    settings
        The log picture's ceiling and the strength of the damage.
    rng
        For the damage.
    """
    reinhard, log = Reinhard(), Log(settings.log_ceiling_linear)
    linear = linear_awg4.astype(np.float32)
    codes = [(curve.encode(linear), curve) for curve in (reinhard, log)]
    if kind == "clean":
        first, second = (quantise8(code) for code, _ in codes)
    else:
        first, second = (damage(code, curve, settings.generated_like, rng) for code, curve in codes)
    return first, second


def make_tone_map_pairs(
    frames: pl.DataFrame,
    frames_dir: Path,
    settings: MakeToneMapPairs,
    out_dir: Path,
    on_progress: OnProgress | None = None,
) -> pl.DataFrame:
    """Make the tone-map pairs of the usable frames of an index (`stored_frames`), as `make_pairs` does.

    `out_dir` gets records of `crop_record`, and of a test frame ``_clean_reinhard.png`` and so on.
    """
    return make_pairs(_MAKER, stored_frames(frames, frames_dir), settings, out_dir, on_progress)


def _record(settings: MakeToneMapPairs) -> np.dtype[np.void]:
    return crop_record(settings.crop_size)


def _fill(
    record: np.void, linear_awg4: NDArray[np.floating], settings: MakeToneMapPairs, rng: np.random.Generator
) -> None:
    corner = crop_corner(linear_awg4, settings.crop_size, rng)
    crop = cut(linear_awg4, corner, settings.crop_size).astype(np.float32)
    record["linear_awg4"] = np.clip(crop * random_exposure(settings, rng), 0, 65504)
    for kind in KINDS:
        pair = tone_map_pair(record["linear_awg4"], kind, settings, rng)
        record[f"{kind}_reinhard_code8"], record[f"{kind}_log_code8"] = pair


def _suffixes(_: MakeToneMapPairs) -> list[str]:
    return [f"_{kind}_{curve}.png" for kind in KINDS for curve in CURVE_NAMES]


def _pictures(
    linear_awg4: NDArray[np.floating], settings: MakeToneMapPairs, rng: np.random.Generator
) -> dict[str, NDArray[np.uint8]]:
    return {
        f"_{kind}_{curve}.png": code8
        for kind in KINDS
        for curve, code8 in zip(CURVE_NAMES, tone_map_pair(linear_awg4, kind, settings, rng), strict=True)
    }


_MAKER = PairMaker("tone_map", 1, _record, _fill, _suffixes, _pictures)
