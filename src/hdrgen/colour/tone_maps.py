"""The two tone maps of the dual route, with exact inverses and the quantisation intervals of their 8-bit codes.

Both work on each component alone, so one table of 256 entries says everything about an 8-bit picture.
`Reinhard` looks like a photograph and holds the shadows; `Log` holds the highlights up to its ceiling.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.arrays import ArrayT, float_array
from hdrgen.colour.display import srgb_decode, srgb_encode


class ToneMap(Protocol):
    """A strictly rising curve from scene-linear [0, ceiling] to code values [0, 1], and back."""

    @property
    def ceiling_linear(self) -> float:
        """Scene-linear value of code 1.0; infinite where the curve only approaches it."""

    def encode(self, linear: ArrayT) -> ArrayT:
        """Scene-linear to code values 0 to 1; negatives become 0."""

    def decode(self, code: ArrayT) -> ArrayT:
        """Code values 0 to 1 to scene-linear."""


@dataclass(frozen=True)
class Reinhard:
    """``x / (1 + x)`` (Reinhard et al. 2002, equation 3), shown through the sRGB curve."""

    ceiling_linear: float = np.inf

    def encode(self, linear: ArrayT) -> ArrayT:
        """Scene-linear to code values 0 to 1; negatives become 0, 1.0 becomes 0.735."""
        xp, x = float_array(linear)
        x = xp.clip(x, 0, None)
        return srgb_encode(x / (1 + x))

    def decode(self, code: ArrayT) -> ArrayT:
        """Code values to scene-linear; 1.0 and above decode to infinity."""
        xp, y = float_array(code)
        display = srgb_decode(xp.clip(y, 0, 1))
        with np.errstate(divide="ignore"):
            return display / (1 - display)


@dataclass(frozen=True)
class Log:
    """``log(1 + x) / log(1 + ceiling)``, as LuxDiT (NVIDIA, 2025) uses beside Reinhard."""

    ceiling_linear: float = 10000.0

    def encode(self, linear: ArrayT) -> ArrayT:
        """Scene-linear to code values 0 to 1; negatives become 0, the ceiling and above 1."""
        xp, x = float_array(linear)
        return xp.log1p(xp.clip(x, 0, self.ceiling_linear)) / np.log1p(self.ceiling_linear)

    def decode(self, code: ArrayT) -> ArrayT:
        """Code values 0 to 1 to scene-linear 0 to the ceiling."""
        xp, y = float_array(code)
        return xp.expm1(xp.clip(y, 0, 1) * np.log1p(self.ceiling_linear))


def quantise8(code: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return code values 0 to 1 as 8-bit codes, rounded to nearest, clipped outside."""
    return (np.clip(code, 0, 1) * 255 + 0.5).astype(np.uint8)


def intervals8(tone_map: ToneMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scene-linear bounds of each 8-bit code's quantisation interval: two arrays of shape (256,).

    The first interval begins at 0, the last ends at the curve's ceiling.
    """
    edges = tone_map.decode(np.arange(-0.5, 256) / 255)
    edges[0], edges[-1] = 0.0, tone_map.ceiling_linear
    return edges[:-1], edges[1:]
