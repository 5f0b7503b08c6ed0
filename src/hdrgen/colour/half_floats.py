"""Half floats, many at once: numpy converts them one by one, OpenCV and a table of all 65,536 a vector at a time.

The bits of a half, read as an integer, sort as positive halves do; negative halves follow, in reverse.
"""

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MAGNITUDE = np.uint16(0x7FFF)
INFINITE = 0x7C00  # as a magnitude; NaN lies above
NEGATIVE = 0x8000  # minus zero; negative numbers lie above


def to_half(values: NDArray[np.floating]) -> NDArray[np.float16]:
    """Round to half, to even where halfway, to Inf from 65520 on; a contiguous array of the same shape."""
    if values.dtype == np.float16:
        return np.ascontiguousarray(values)
    single = np.ascontiguousarray(values, np.float32)
    if single.size == 0:
        return single.astype(np.float16)
    rows = single.reshape(single.shape[0], -1)
    rounded = cv2.subtract(rows, 0, dtype=cv2.CV_16F)  # type: ignore[call-overload]
    return np.asarray(rounded, np.float16).reshape(single.shape)


def to_single(half: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return floats in single precision; of halves a new array, of singles the same."""
    if half.dtype != np.float16:
        return half.astype(np.float32, copy=False)
    return look_up(_singles(), half)


def look_up(table: NDArray[Any], half: NDArray[np.float16]) -> NDArray[Any]:
    """Return, for each half, the entry of a table of 65,536 at its bits; shape as the halves."""
    bits = np.ascontiguousarray(half).view(np.uint16)
    if bits.size == 0:
        return table[bits]
    entries = cv2.LUT(bits.reshape(bits.shape[0], -1), table.reshape(1, -1))
    return np.asarray(entries).reshape(bits.shape)


def all_halves() -> NDArray[np.float16]:
    """Return every half in the order of its bits."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def all_finite(half: NDArray[np.float16]) -> bool:
    """Tell whether no value is NaN or Inf."""
    return _extreme_magnitude(half) < INFINITE


def any_nan(half: NDArray[np.float16]) -> bool:
    """Tell whether a value is NaN."""
    return _extreme_magnitude(half) > INFINITE


def _extreme_magnitude(half: NDArray[np.float16]) -> int:
    """Return the magnitude bits of the largest value of either sign, without an array in between."""
    bits = half.view(np.uint16)
    return max(int(bits.view(np.int16).max(initial=0)), int(bits.max(initial=NEGATIVE)) - NEGATIVE)


@cache
def _singles() -> NDArray[np.float32]:
    return all_halves().astype(np.float32)
