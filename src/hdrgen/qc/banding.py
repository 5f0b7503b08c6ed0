"""Traces of few code values in a float picture: a grid of 256 steps, or gradients that climb like stairs."""

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.display import srgb_encode
from hdrgen.colour.half_floats import INFINITE, to_half
from hdrgen.colour.logc import logc4_encode
from hdrgen.colour.primaries import AWG4, REC709, convert_primaries
from hdrgen.images.stored_image import SceneImage

_GRID_SAMPLES = 1 << 16
_GRID_SHARE = 0.5
"""Share of sampled values near the grid of 8-bit codes; by chance it is 0.1."""

_TREAD_PIXELS = 4
_RISE_HALVES = (4, 128)
"""A stair rises by more halves than rounding does (0.2 to 0.4 %), and by less than an edge (6 to 12 %)."""


def eight_bit_encoding(image: SceneImage) -> str | None:
    """Return the encoding on whose 256 code values the picture's values sit, None for a continuous picture.

    sRGB and LogC4 are tried, in the file's own primaries and in those that the encoding belongs to. Codes near
    the ends are left out: there half floats round more coarsely than the codes, or everything is black.
    """
    values = image.rgb.reshape(-1, 3)
    values = values[:: max(1, len(values) // _GRID_SAMPLES)].astype(np.float32)
    values = values[np.isfinite(values).all(axis=-1)]
    own = image.chromaticities or REC709
    for name, encode, primaries in (("sRGB", srgb_encode, REC709), ("LogC4", logc4_encode, AWG4)):
        for space in {own, primaries}:
            try:
                linear = convert_primaries(values, own, space)
            except ValueError:
                continue
            code = encode(linear) * np.float32(255)
            code = code[(code > 16) & (code < 250)]
            # Few values, or a flat picture, would prove nothing.
            if code.size < 1000 or np.unique(np.rint(code)).size < 16:
                continue
            if np.mean(np.abs(code - np.rint(code)) < 0.05) > _GRID_SHARE:
                return name
    return None


def stairs_share(rgb: NDArray[np.floating]) -> float:
    """Return the share of pixels that lie on stairs: along a row, equal values, a small rise, equal values again.

    Grain breaks such runs, and a smooth gradient rises by one half float at a time; flat areas have no rise. So it
    sees banding whatever encoding the steps come from, and after a change of exposure. Works on half floats, the
    largest share of the three components of ``(H, W, 3)``; light of 0 and below is left out.
    """
    return max(_stairs(to_half(np.ascontiguousarray(rgb[..., c]))) for c in range(3))


def _stairs(half: NDArray[np.float16]) -> float:
    height, width = half.shape
    # Positive halves sort as their bits do, one apart where they are neighbours.
    bits = half.view(np.uint16).astype(np.int32)
    starts = np.ones((height, width), np.bool_)
    starts[:, 1:] = bits[:, 1:] != bits[:, :-1]
    start = np.flatnonzero(starts)
    value, length = bits.ravel()[start], np.diff(start, append=bits.size)
    tread = (length >= _TREAD_PIXELS) & (value > 0) & (value < INFINITE)
    rise = np.abs(np.diff(value))
    low, high = _RISE_HALVES
    stair = tread[1:] & tread[:-1] & (start[1:] % width != 0) & (rise >= low) & (rise <= high)
    on_stairs = np.zeros(start.size, np.bool_)
    on_stairs[1:] |= stair
    on_stairs[:-1] |= stair
    return float(length[on_stairs].sum() / bits.size)
