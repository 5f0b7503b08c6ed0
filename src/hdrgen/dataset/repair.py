"""A frame without the values that are no light, and every other pixel as it was.

Four repairs, in this order, each counted for each frame:

- **NaN and Inf.** NaN becomes the median of its neighbours, Inf the brightest of them: it was too bright.
- **Fireflies and hot pixels.** One pixel, in any channel far above a neighbourhood that agrees with itself. A
  lamp, a glint or a star that came through a lens has a halo, so its neighbours disagree and it stays.
- **Dead pixels.** The same downwards, where the neighbourhood is bright enough to tell.
- **Colours out of gamut.** Values below what LogC4 can represent (-0.018) move towards the pixel's own grey, so
  hue and luminance stay. Negatives above that stay as they are: they are the noise around black, whose mean
  must stay zero, and colours just outside AWG4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from hdrgen.colour.half_floats import INFINITE, MAGNITUDE, NEGATIVE, all_finite, to_single
from hdrgen.images.choices import Compression
from hdrgen.images.light_statistics import awg4_luminance
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.scheduling import FrameWork

_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
_NEIGHBOURS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
_WIDE_NEIGHBOURS = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if (y, x) != (0, 0)]

REPAIRS = ("nonfinite", "firefly", "dead", "gamut")

Half = NDArray[np.float16]
Mask = NDArray[np.bool_]


class SanitizeParams(FrameWork):
    """What is repaired, and what is left alone."""

    lowest_value: float = Field(default=-0.018, le=0)
    """Scene-linear values below it are colours no camera saw; LogC4 represents -0.018 and up."""
    firefly_ratio: float = Field(default=64.0, gt=1)
    """How many times brighter than each of its neighbours a single pixel is to be a firefly."""
    firefly_least: float = Field(default=1.0, gt=0)
    """Scene-linear value below which nothing is a firefly."""
    dead_ratio: float = Field(default=16.0, gt=1)
    """How many times darker than each of its neighbours a single pixel is to be dead."""
    dead_least: float = Field(default=0.02, gt=0)
    """Scene-linear value that the neighbours of a dead pixel exceed; in the dark, noise looks the same."""
    neighbours_agree: float = Field(default=2.0, ge=1)
    """Ratio within which the neighbours of a defect lie; a real light has a halo, so its do not."""
    max_repaired_fraction: float = Field(default=0.25, gt=0, le=1)
    """A frame with a larger part broken is quarantined instead."""
    compression: Compression = "zip"
    """OpenEXR compression of the frames that were repaired."""


@dataclass(frozen=True)
class Repair:
    """A repaired frame and how many of its pixels each repair touched; `linear_awg4` is the input if none."""

    linear_awg4: Half
    nonfinite: int = 0
    firefly: int = 0
    dead: int = 0
    gamut: int = 0

    @property
    def pixels(self) -> int:
        """How many pixels were repaired."""
        return self.nonfinite + self.firefly + self.dead + self.gamut


def repair(linear_awg4: Half, params: SanitizeParams) -> Repair:
    """Repair a frame; every pixel that is not counted keeps its bits.

    Parameters
    ----------
    linear_awg4
        Scene-linear AWG4, shape ``(height, width, 3)``, half. Not changed.
    params
        See `SanitizeParams`.

    Raises
    ------
    HdrgenError
        More of the frame is broken than may be repaired.
    """
    if linear_awg4.dtype != np.float16:
        raise TypeError(f"frames are half floats, not {linear_awg4.dtype}")
    limit = params.max_repaired_fraction * linear_awg4.shape[0] * linear_awg4.shape[1]
    result = np.ascontiguousarray(linear_awg4)
    nonfinite: Mask = np.zeros(result.shape[:2], bool)
    if not all_finite(result):
        nonfinite = np.asarray(((result.view(np.uint16) & MAGNITUDE) >= INFINITE).any(axis=-1))
        _within(nonfinite, limit, "NaN or Inf")
        result = _without_nonfinite(result, nonfinite)

    firefly, dead = _defects(result, params)
    firefly &= ~nonfinite
    dead &= ~nonfinite & ~firefly
    if (defects := firefly | dead).any():
        _within(defects, limit, "a defect")
        values = _gathered(result, np.argwhere(defects), _NEIGHBOURS)
        result = result.copy() if result is linear_awg4 else result
        result[defects] = np.nanmedian(values, axis=1)

    below: Mask = np.zeros(result.shape[:2], bool)
    # Negative halves sort downwards from zero, so the largest bits are the lowest value.
    if result.view(np.uint16).max(initial=0) > np.float16(params.lowest_value).view(np.uint16):
        below = np.asarray((to_single(result) < np.float16(params.lowest_value)).any(axis=-1))
        _within(below, limit, "far below black")
        result = result.copy() if result is linear_awg4 else result
        result[below] = _into_gamut(result[below].astype(np.float32), params.lowest_value)
    counts = (
        int(np.count_nonzero(mask)) for mask in (nonfinite, firefly, dead, below & ~nonfinite & ~defects)
    )
    return Repair(result, *counts)


def _within(broken: Mask, limit: float, what: str) -> None:
    if (count := int(np.count_nonzero(broken))) > limit:
        raise HdrgenError(f"{100 * count / broken.size:.0f} % of its pixels are {what}: too many to repair")


def _gathered(linear: NDArray[np.floating], pixels: NDArray[Any], offsets: Sequence[tuple[int, int]]) -> Any:
    """Return the neighbours ``(pixels, offsets, 3)`` of some pixels, NaN where the frame ends."""
    height, width = linear.shape[:2]
    at = pixels[:, None, :] + np.array(offsets)
    outside = (at < 0).any(axis=-1) | (at[..., 0] >= height) | (at[..., 1] >= width)
    values = linear[np.clip(at[..., 0], 0, height - 1), np.clip(at[..., 1], 0, width - 1)].astype(np.float32)
    values[outside] = np.nan
    return values


def _without_nonfinite(linear_awg4: Half, nonfinite: Mask) -> Half:
    result = linear_awg4.copy()
    linear = to_single(linear_awg4)
    pixels = np.argwhere(nonfinite)
    too_bright = (linear[nonfinite] == np.inf).any(axis=-1) & ~np.isnan(linear[nonfinite]).any(axis=-1)
    linear[nonfinite] = np.nan
    neighbours = _gathered(linear, pixels, _WIDE_NEIGHBOURS)
    known = ~np.isnan(neighbours[..., 0])
    near = known.any(axis=1)

    values = np.zeros((len(pixels), 3), np.float32)
    median = near & ~too_bright
    values[median] = np.nanmedian(neighbours[median], axis=1)
    bright = near & too_bright
    brightness = np.where(known[bright], neighbours[bright].sum(axis=-1), -np.inf)
    values[bright] = neighbours[bright][np.arange(int(bright.sum())), brightness.argmax(axis=1)]
    if not near.all():  # the middle of a larger hole
        y, x = ndimage.distance_transform_edt(nonfinite, return_distances=False, return_indices=True)
        far = pixels[~near]
        values[~near] = linear[y[far[:, 0], far[:, 1]], x[far[:, 0], far[:, 1]]]
    result[nonfinite] = values
    return result


def _defects(linear_awg4: Half, params: SanitizeParams) -> tuple[Mask, Mask]:
    """Find single pixels that their eight neighbours, who agree with each other, contradict."""
    pixels = _suspects(linear_awg4, params)
    masks = (np.zeros(linear_awg4.shape[:2], bool), np.zeros(linear_awg4.shape[:2], bool))
    if len(pixels) == 0:
        return masks
    linear = linear_awg4[pixels[:, 0], pixels[:, 1]].astype(np.float32)
    ring = _gathered(linear_awg4, pixels, _NEIGHBOURS)
    high, low = np.nanmax(ring, axis=1), np.nanmin(ring, axis=1)
    consistent = high <= params.neighbours_agree * np.maximum(low, 0)
    # Around black the noise never agrees in ratio; there it is enough that it is dark.
    consistent_or_dark = high <= params.neighbours_agree * np.maximum(low, 0) + params.dead_least
    # A channel that is a trace of a saturated colour has the noise of the whole colour: it is no evidence.
    telling = (low > params.dead_least) & (low > 0.2 * low.max(axis=-1, keepdims=True))
    firefly = (linear > params.firefly_least) & (linear > params.firefly_ratio * high) & consistent_or_dark
    dead = (params.dead_ratio * linear < low) & consistent & telling
    for mask, defect in zip(masks, (firefly, dead), strict=True):
        y, x = pixels[defect.any(axis=-1)].T
        mask[y, x] = True
    return _alone(masks[0]), _alone(masks[1])


def _suspects(linear_awg4: Half, params: SanitizeParams) -> NDArray[np.int64]:
    """Return the pixels ``(n, 2)`` that may be defects: few, so that looking closer costs nothing.

    The bits of a half are nearly a logarithm, 1024 to a stop and never 90 off, so a ratio to the neighbours is
    a difference of integers: a tenth of the time that floats take.
    """
    bits = linear_awg4.view(np.uint16)
    # Negative is as dark as zero.
    bits = bits * (bits < NEGATIVE) if bits.max(initial=0) > NEGATIVE else bits.copy()
    if min(bits.shape[:2]) < 3:
        return np.empty((0, 2), np.int64)
    high, low = cv2.dilate(bits, _RING), cv2.erode(bits, _RING)
    steps = [max(0, int(1024 * np.log2(ratio)) - 180) for ratio in (params.firefly_ratio, params.dead_ratio)]
    least = [np.float16(value).view(np.uint16) for value in (params.firefly_least, params.dead_least)]
    # In place throughout, and subtraction saturates at zero: what is left above is suspect.
    np.maximum(np.add(high, np.uint16(steps[0]), out=high), least[0], out=high)
    over = cv2.subtract(bits, high, dst=high)
    np.maximum(np.add(bits, np.uint16(steps[1]), out=bits), least[1], out=bits)
    under = cv2.subtract(low, bits, dst=low)
    if max(over.max(), under.max()) == 0:
        return np.empty((0, 2), np.int64)
    return np.argwhere(np.maximum(over, under).max(axis=-1))


def _alone(mask: Mask) -> Mask:
    """Keep the pixels that have no other within three pixels: defects are lonely, texture is not."""
    if not mask.any():
        return mask
    around = cv2.boxFilter(
        mask.astype(np.float32), -1, (7, 7), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(mask & (np.rint(around) == 1))


def _into_gamut(linear: NDArray[np.float32], lowest: float) -> NDArray[np.float32]:
    """Move pixels ``(n, 3)`` towards their own grey until no channel is below ``lowest``."""
    grey = np.maximum(awg4_luminance(linear), 0)[:, None]
    least = linear.min(axis=-1, keepdims=True)
    moved = grey + (linear - grey) * ((grey - lowest) / (grey - least))
    # Half rounds either way, and a pixel of no luminance at all has no grey to move to.
    clipped: NDArray[np.float32] = np.maximum(moved, np.float32(lowest))
    return clipped
