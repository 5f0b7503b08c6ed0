"""What a pair of 8-bit codes says about the light: closed forms, as tables of 256 x 256.

Both tone maps work on each component alone, so whatever can be said of a Reinhard code and a log code without
looking at neighbours is a table with the Reinhard code as row and the log code as column. Levels are in
`level`: log2(linear + 0.01), near enough to stops in the light and to linear below one nit.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.arrays import ArrayT, float_array
from hdrgen.colour.tone_maps import Log, Reinhard, ToneMap, intervals8

LEVEL_OFFSET = 0.01
CLIPPED_SD_LEVELS = 4.0
"""Standard deviation given to a code that only says "at least"."""

Table = NDArray[np.float32]


def level_encode(linear: ArrayT) -> ArrayT:
    """Scene-linear (from 0) to levels: log2(linear + 0.01); 0 is -6.64, grey -2.40, 10,000 is 13.29."""
    xp, x = float_array(linear)
    return xp.log2(xp.clip(x, 0, None) + LEVEL_OFFSET)


def level_decode(level: ArrayT) -> ArrayT:
    """Levels to scene-linear: the mirror of `level_encode`; never negative."""
    xp, level = float_array(level)
    # Several times as fast as 2**level, which is a general power.
    return xp.clip(xp.exp2(level) - LEVEL_OFFSET, 0, None)


@dataclass(frozen=True)
class ToneCells:
    """Tables of shape (256, 256) in levels: row the Reinhard code, column the log code.

    ``lower`` and ``upper`` bound the intersection of the two codes' quantisation cells; where the cells do not
    meet (``agree`` is False) they are crossed: ``lower`` is above ``upper``, with the gap between. ``average`` is
    the inverse-variance mean of the two codes' levels for noise of ``noise_codes``, ``average_sd`` its
    standard deviation, and ``disagreement`` the difference of the two levels (Reinhard minus log) over its own.
    """

    lower: Table
    upper: Table
    agree: NDArray[np.bool_]
    average: Table
    average_sd: Table
    disagreement: Table

    @property
    def intersection(self) -> Table:
        """The middle of the two cells' intersection, or of the gap between them."""
        return ((self.lower + self.upper) / 2).astype(np.float32)


def _levels(tone_map: ToneMap, noise_codes: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the level of each code and its variance under code noise and quantisation, shape (256,) each."""
    lower, upper = intervals8(tone_map)
    clipped = 255 if np.isinf(upper[-1]) else 256
    level = np.empty(256)
    level[:clipped] = (level_encode(lower[:clipped]) + level_encode(upper[:clipped])) / 2
    level[clipped:] = level_encode(lower[clipped:])
    per_code = np.gradient(level)
    variance = (noise_codes**2 + 1 / 12) * per_code**2
    # The last code of a curve without a ceiling says "at least": worth next to nothing beside the other picture.
    variance[clipped:] = CLIPPED_SD_LEVELS**2
    return level, variance


@cache
def tone_cells(reinhard: Reinhard, log: Log, noise_codes: float = 3.0) -> ToneCells:
    """Return the tables for a pair of curves and the noise expected of generated pictures, in 8-bit codes."""
    (r_low, r_high), (l_low, l_high) = intervals8(reinhard), intervals8(log)
    # Levels rise with the light, so that bounds can be compared as levels: 256 logarithms in place of 65,536.
    lower = np.maximum(level_encode(r_low)[:, None], level_encode(l_low)[None, :])
    upper = np.minimum(level_encode(r_high)[:, None], level_encode(l_high)[None, :])
    (r_level, r_var), (l_level, l_var) = _levels(reinhard, noise_codes), _levels(log, noise_codes)
    r_weight, l_weight = 1 / r_var[:, None], 1 / l_var[None, :]
    average = (r_level[:, None] * r_weight + l_level[None, :] * l_weight) / (r_weight + l_weight)
    difference_sd = np.sqrt(r_var[:, None] + l_var[None, :])
    return ToneCells(
        lower=lower.astype(np.float32),
        upper=upper.astype(np.float32),
        agree=lower <= upper,
        average=average.astype(np.float32),
        average_sd=np.sqrt(1 / (r_weight + l_weight)).astype(np.float32),
        disagreement=((r_level[:, None] - l_level[None, :]) / difference_sd).astype(np.float32),
    )
