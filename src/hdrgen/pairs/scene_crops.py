"""Square crops of frames with the words that describe them: what text-to-image models learn from.

Light is averaged to the crop's size before any curve makes codes of it, as a camera would. A frame without prompts is
learned without.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.images.exr import read_exr
from hdrgen.pairs.prompts import PROMPTS
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section


class CropSettings(Section):
    """Which crops of each frame."""

    seed: int
    """Decides the windows, frame by frame."""
    size: int = Field(64, ge=32, multiple_of=16)
    """Side of a crop in pixels."""
    crops_per_frame: int = Field(16, ge=1)
    """How many of each frame. The first is the frame's middle."""
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
        kind, prompts = scene_kind(row["description"]), tuple(row.get(PROMPTS) or ("",))
        rng = np.random.default_rng([settings.seed, *row["digest"].encode()])
        for number in range(settings.crops_per_frame):
            window = _window(linear_awg4, settings.smallest_window, rng) if number else _middle(linear_awg4)
            crop = cv2.resize(window, size, interpolation=cv2.INTER_AREA)
            yield SceneCrop(crop.astype(np.float32, copy=False), row["frame"], kind, prompts)


def scene_kind(description: str | None) -> str:
    """Return the kind of scene in words, given a simulated frame's description in JSON."""
    scene: dict[str, Any] = json.loads(description) if description else {}
    return str(scene.get("kind", "")).replace("_", " ")


def _middle(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width, _ = linear.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return linear[top : top + side, left : left + side]


def _window(linear: NDArray[np.float32], smallest: float, rng: np.random.Generator) -> NDArray[np.float32]:
    height, width, _ = linear.shape
    side = round(min(height, width) * rng.uniform(smallest, 1.0))
    top, left = (int(rng.integers(extent - side + 1)) for extent in (height, width))
    return linear[top : top + side, left : left + side]
