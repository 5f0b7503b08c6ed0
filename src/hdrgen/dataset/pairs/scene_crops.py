"""Square crops of frames with the words that describe them: what text-to-image models learn from.

Light is averaged to the crop's size before any curve makes codes of it, as a camera would. A frame without prompts is
learned without. Every crop has the frame's brightest place in it: words that speak of a lamp or the sun have to fit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.dataset.pairs.prompts import PROMPTS
from hdrgen.dataset.scene_description import parse_description, scene_kind
from hdrgen.images.exr import read_exr
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section

_MARGIN = 16
"""A crop shows at least this part of its side, 1/16, around the frame's brightest place."""


class CropSettings(Section):
    """Which crops of each frame."""

    seed: int
    """Decides the windows, frame by frame."""
    size: int = Field(64, ge=32, multiple_of=16)
    """Side of a crop in pixels."""
    crops_per_frame: int = Field(16, ge=1)
    """Crops of each frame. The first is the frame's whole height, or width where that is shorter."""
    smallest_window: float = Field(0.7, gt=0, le=1)
    """A crop shows at least this part of the frame's shorter side, up to all of it."""


@dataclass(frozen=True)
class SceneCrop:
    """One crop: scene-linear AWG4 ``(size, size, 3)``, the frame it is from, its kind of scene, and prompts.

    ``kind`` is in words, `night street`, and empty where the frame does not say. Each of ``prompts`` fits the crop;
    longer ones say more.
    """

    linear_awg4: NDArray[np.float32]
    frame: str
    kind: str
    prompts: tuple[str, ...]


def split_frames(index: pl.DataFrame, split: str) -> pl.DataFrame:
    """Return the usable rows of one split, ordered by frame."""
    return index.filter(pl.col("quarantine_reason").is_null(), pl.col("split") == split).sort("frame")


def scene_crops(frames_dir: Path, rows: pl.DataFrame, settings: CropSettings) -> Iterator[SceneCrop]:
    """Cut crops out of frames, one frame in memory at a time.

    Parameters
    ----------
    frames_dir
        The folder that the rows' ``file`` is relative to; frames are scene-linear AWG4.
    rows
        Of `split`'s index, with prompts where they are needed: see `prompts.with_prompts`.
    settings
        Which crops.

    Raises
    ------
    HdrgenError
        There are no frames, or one cannot be read.
    """
    if rows.is_empty():
        raise HdrgenError(
            f"{frames_dir}: no frames to make pictures of; add footage or lower split's fractions"
        )
    size = (settings.size, settings.size)
    for row in rows.iter_rows(named=True):
        linear_awg4 = read_exr(frames_dir / row["file"]).rgb.astype(np.float32)
        kind, prompts = scene_kind(parse_description(row["description"])), tuple(row.get(PROMPTS) or ("",))
        rng = np.random.default_rng([settings.seed, *row["digest"].encode()])
        brightest = np.unravel_index(int(linear_awg4.max(-1).argmax()), linear_awg4.shape[:2])
        for number in range(settings.crops_per_frame):
            window = _window(linear_awg4, brightest, settings.smallest_window, rng if number else None)
            crop = cv2.resize(window, size, interpolation=cv2.INTER_AREA)
            yield SceneCrop(crop.astype(np.float32, copy=False), row["frame"], kind, prompts)


def _window(
    linear: NDArray[np.float32], place: Sequence[np.intp], smallest: float, rng: np.random.Generator | None
) -> NDArray[np.float32]:
    """Return a square with a place in it: at random, or the largest one nearest the middle."""
    extents = linear.shape[:2]
    side = round(min(extents) * (1.0 if rng is None else rng.uniform(smallest, 1.0)))
    margin = side // _MARGIN
    first = []
    for extent, at in zip(extents, place, strict=True):
        lowest, highest = np.clip((at + margin + 1 - side, at - margin), 0, extent - side)
        middle = np.clip((extent - side) // 2, lowest, highest)
        first.append(int(middle if rng is None else rng.integers(lowest, highest + 1)))
    top, left = first
    return linear[top : top + side, left : left + side]
