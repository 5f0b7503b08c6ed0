"""The primaries that pictures are coded in, because a grid of codes shows in the components that were rounded alone.

A change of primaries mixes three components and so hides the grid of each. What codes leave behind is therefore looked
for in every space that pictures are coded in, and the worst is what counts.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AP1, AWG4, REC709, convert_primaries

CODED_PRIMARIES = (AWG4, REC709, AP1)
"""Primaries of LogC4, of sRGB, and of ACEScc and ACEScct."""


def in_coded_primaries(linear_awg4: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield a scene-linear AWG4 picture ``(H, W, 3)`` in each of `CODED_PRIMARIES`; negative outside their gamut."""
    for primaries in CODED_PRIMARIES:
        yield convert_primaries(linear_awg4, AWG4, primaries)
