"""Light from 0 to 1000 in the range that a VAE works in, -1 to 1, and back."""

from dataclasses import dataclass

import numpy as np

from hdrgen.colour.arrays import ArrayT, float_array
from hdrgen.colour.logc import LOGC4_C, logc4_decode, logc4_encode


@dataclass(frozen=True)
class HdrNormalisation:
    """LogC4's curve, stretched so that black is -1 and ``peak_linear`` is 1.

    LogC4 keeps 0 to 0.09 of its range for what is darker than black and ends at 469.8. Here the whole range is for
    light, and below and above it the curve goes on: -0.018 is about -1.2, and twice the peak about 1.13.
    """

    peak_linear: float = 1000.0
    """Scene-linear value of code 1, above 0."""

    def encode(self, linear: ArrayT) -> ArrayT:
        """Return codes of scene-linear values of any shape: -1 to 1 for 0 to ``peak_linear``, unbounded.

        Examples
        --------
        >>> float(HdrNormalisation().encode(0.18).round(4))
        -0.6205
        """
        xp, x = float_array(linear)
        return xp.astype((logc4_encode(x) - LOGC4_C) * (2 / self._span) - 1, x.dtype)

    def decode(self, code: ArrayT) -> ArrayT:
        """Return the scene-linear values of codes; `encode` mirrored."""
        xp, y = float_array(code)
        return xp.astype(logc4_decode((y + 1) * (self._span / 2) + LOGC4_C), y.dtype)

    @property
    def _span(self) -> float:
        return float(logc4_encode(np.array(self.peak_linear))) - LOGC4_C
