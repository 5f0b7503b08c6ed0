"""What a pair of 8-bit codes says about the light: closed forms, as tables of 256 x 256.

Both tone maps work on each component alone, so whatever can be said of a Reinhard code and a log code without
looking at neighbours is a table with the Reinhard code as row and the log code as column. Light is in its log2
encoding (`hdrgen.exposure.log2_encoding`).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.tone_maps import Log, Reinhard, ToneMap, intervals8
from hdrgen.exposure.log2_encoding import log2_encode

CLIPPED_SD_LOG2 = 4.0
"""Standard deviation given to a code that only says "at least"."""

Table = NDArray[np.float32]


@dataclass(frozen=True)
class ToneMapTables:
    """Tables of shape (256, 256) in log2 encoding: row the Reinhard code, column the log code.

    ``lower`` and ``upper`` bound the intersection of the two codes' quantisation intervals; where the intervals do not
    meet (``consistent`` is False) they are crossed: ``lower`` is above ``upper``, with the gap between. ``average`` is
    the inverse-variance mean of the two codes' light for noise of ``noise_codes``, ``average_sd`` its standard
    deviation, and ``disagreement`` the difference of the two (Reinhard minus log) over its own.
    """

    lower: Table
    upper: Table
    consistent: NDArray[np.bool_]
    average: Table
    average_sd: Table
    disagreement: Table

    @property
    def intersection(self) -> Table:
        """The middle of the two intervals' intersection, or of the gap between them."""
        return ((self.lower + self.upper) / 2).astype(np.float32)


def reinhard_table() -> NDArray[np.float32]:
    """Return the scene-linear light of each 8-bit Reinhard code, shape (256,).

    The last code stands for light without end; it is taken as the least of it.
    """
    return Reinhard().decode(np.minimum(np.arange(256), 254.5) / 255).astype(np.float32)


def _log2_and_variance(
    tone_map: ToneMap, noise_codes: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the light of each code and its variance under code noise and quantisation, shape (256,) each."""
    lower, upper = intervals8(tone_map)
    clipped = 255 if np.isinf(upper[-1]) else 256
    log2 = np.empty(256)
    log2[:clipped] = (log2_encode(lower[:clipped]) + log2_encode(upper[:clipped])) / 2
    log2[clipped:] = log2_encode(lower[clipped:])
    per_code = np.gradient(log2)
    variance = (noise_codes**2 + 1 / 12) * per_code**2
    # The last code of a curve without a ceiling says "at least": worth next to nothing beside the other picture.
    variance[clipped:] = CLIPPED_SD_LOG2**2
    return log2, variance


@cache
def tone_map_tables(reinhard: Reinhard, log: Log, noise_codes: float = 3.0) -> ToneMapTables:
    """Return the tables for a pair of curves and the noise expected of generated pictures, in 8-bit codes."""
    (r_low, r_high), (l_low, l_high) = intervals8(reinhard), intervals8(log)
    # The encoding rises with the light, so that bounds can be compared in it: 256 logarithms in place of 65,536.
    lower = np.maximum(log2_encode(r_low)[:, None], log2_encode(l_low)[None, :])
    upper = np.minimum(log2_encode(r_high)[:, None], log2_encode(l_high)[None, :])
    r_log2, r_variance = _log2_and_variance(reinhard, noise_codes)
    l_log2, l_variance = _log2_and_variance(log, noise_codes)
    r_weight, l_weight = 1 / r_variance[:, None], 1 / l_variance[None, :]
    average = (r_log2[:, None] * r_weight + l_log2[None, :] * l_weight) / (r_weight + l_weight)
    difference_sd = np.sqrt(r_variance[:, None] + l_variance[None, :])
    return ToneMapTables(
        lower=lower.astype(np.float32),
        upper=upper.astype(np.float32),
        consistent=lower <= upper,
        average=average.astype(np.float32),
        average_sd=np.sqrt(1 / (r_weight + l_weight)).astype(np.float32),
        disagreement=((r_log2[:, None] - l_log2[None, :]) / difference_sd).astype(np.float32),
    )
