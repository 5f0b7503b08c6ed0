"""What the index says about a frame's light: luminance percentiles, and a fingerprint to know it again by."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.half_floats import INFINITE, to_half, to_single
from hdrgen.colour.primaries import AWG4, luminance_weights

PERCENTILES: Mapping[str, float] = {
    "p0_1": 0.1,
    "p1": 1.0,
    "p50": 50.0,
    "p99": 99.0,
    "p99_9": 99.9,
    "max": 100.0,
}
FINGERPRINT_SIDE = 16
_DARKEST_STOP, _STEPS_PER_STOP = -12.0, 12.0  # 8 bits cover 2**-12 to 2**9
_WEIGHTS = luminance_weights(AWG4).astype(np.float32)


def awg4_luminance(linear_awg4: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return relative luminance, shape ``(height, width)``, of scene-linear AWG4 ``(height, width, 3)``."""
    return to_single(linear_awg4) @ _WEIGHTS


def luminance_percentiles(luminance: NDArray[np.float32]) -> dict[str, float]:
    """Return the percentiles of positive, finite luminance, and the stops between p0.1 and p99.9.

    Exact to half precision, because they are read off a histogram of half floats: sorting 2 megapixels would
    take seven times as long. All zeros when no luminance is positive.
    """
    bits = to_half(luminance).view(np.uint16)
    # Positive halves sort as their bits do: 1 is the least above zero, 0x7bff is 65504.
    counts = np.bincount(bits.ravel(), minlength=1 << 16)[1:INFINITE]
    cumulative = np.cumsum(counts)
    total = int(cumulative[-1])
    if total == 0:
        return dict.fromkeys([f"luminance_{name}" for name in PERCENTILES], 0.0) | {"stops": 0.0}
    ranks = [max(1, int(np.ceil(total * percent / 100))) for percent in PERCENTILES.values()]
    at_ranks = (np.searchsorted(cumulative, ranks) + 1).astype(np.uint16).view(np.float16)
    values = {f"luminance_{name}": float(v) for name, v in zip(PERCENTILES, at_ranks, strict=True)}
    return values | {"stops": float(np.log2(values["luminance_p99_9"] / values["luminance_p0_1"]))}


def fingerprint(luminance: NDArray[np.float32]) -> bytes:
    """Return a 16x16 picture of log2 luminance, a twelfth of a stop per step, row by row.

    Two files of one picture have nearly the same one, whatever their encoding, size or exposure (which only
    adds a constant).
    """
    side = (FINGERPRINT_SIDE, FINGERPRINT_SIDE)
    usable = np.where(np.isfinite(luminance), luminance, np.float32(0))
    small = cv2.resize(np.maximum(usable, 0), side, interpolation=cv2.INTER_AREA)
    steps = (np.log2(np.maximum(small, 2.0**_DARKEST_STOP)) - _DARKEST_STOP) * _STEPS_PER_STOP
    return bytes(np.clip(np.rint(steps), 0, 255).astype(np.uint8).tobytes())
