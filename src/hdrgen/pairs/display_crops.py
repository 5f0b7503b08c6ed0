"""Pictures as a text-to-image model is usually taught: 8-bit sRGB crops of the frames, each with prompts.

Light is averaged to the crop's size before the display view makes codes of it, as a camera would. A simulated frame
describes itself; a frame that does not is learned without a prompt.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.colour import ocio
from hdrgen.colour.tone_maps import quantise8
from hdrgen.images.exr import read_exr
from hdrgen.runtime.errors import HdrgenError


@dataclass(frozen=True)
class DisplayCrops:
    """Crops of frames: ``code8`` has the shape ``(N, size, size, 3)``; the rest has one entry for each crop."""

    code8: NDArray[np.uint8]
    frames: Sequence[str]
    kinds: Sequence[str]
    """Kind of scene in words, `night street`; empty where the frame does not say."""
    prompts: Sequence[tuple[str, ...]]
    """Each fits the crop; longer ones say more."""


def display_crops(
    frames_dir: Path,
    index: pl.DataFrame,
    *,
    size: int,
    crops_per_frame: int,
    smallest_window: float,
    seed: int,
) -> DisplayCrops:
    """Cut square crops out of frames and show them through the sRGB display view.

    Parameters
    ----------
    frames_dir
        The folder that the index's ``file`` is relative to; frames are scene-linear AWG4.
    index
        Rows of `split`'s index.
    size
        Side of a crop in pixels.
    crops_per_frame
        How many of each frame. One alone is the frame's middle.
    smallest_window
        A crop shows at least this part of the frame's shorter side, up to all of it.
    seed
        Decides the windows, frame by frame.

    Raises
    ------
    HdrgenError
        There are no frames, or one cannot be read.
    """
    if index.is_empty():
        raise HdrgenError(
            f"{frames_dir}: no frames to make pictures of; add footage or lower split's fractions"
        )
    crops, names, kinds, prompts = [], [], [], []
    for row in index.sort("frame").iter_rows(named=True):
        linear_awg4 = read_exr(frames_dir / row["file"]).rgb.astype(np.float32)
        rng = np.random.default_rng([seed, *row["digest"].encode()])
        for number in range(crops_per_frame):
            window = _middle(linear_awg4) if number == 0 else _window(linear_awg4, smallest_window, rng)
            crops.append(cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA))
        names += [row["frame"]] * crops_per_frame
        kinds += [scene_kind(row["description"])] * crops_per_frame
        prompts += [scene_prompts(row["description"])] * crops_per_frame
    # One above the other they are one picture for OpenColorIO.
    shown = ocio.display(np.concatenate(crops).astype(np.float32), "linear_awg4")
    return DisplayCrops(quantise8(shown).reshape(-1, size, size, 3), names, kinds, prompts)


def scene_kind(description: str | None) -> str:
    """Return the kind of scene in words, given a simulated frame's description in JSON."""
    return _described(description).get("kind", "").replace("_", " ")


def scene_prompts(description: str | None) -> tuple[str, ...]:
    """Return prompts for a frame, from a few words to its whole caption; the empty one where nothing is known.

    Parameters
    ----------
    description
        JSON of `hdrgen.frames.simulate.scene.Description`, or None.
    """
    scene = _described(description)
    if not scene:
        return ("",)
    kind = scene_kind(description)
    lights = " and ".join(light["name"] for light in scene["light_sources"])
    return (
        kind,
        f"{kind}, {scene['time_of_day']}",
        f"{scene['subject']}, {scene['place']}, {scene['time_of_day']}, lit by {lights}",
        scene["caption"],
    )


def _described(description: str | None) -> dict[str, Any]:
    scene: dict[str, Any] = json.loads(description) if description else {}
    return scene


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
