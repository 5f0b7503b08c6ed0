"""The display view of `hdrgen preview` as a cube that a graphics card looks colours up in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour import ocio

SIDE = 65
LOWEST_STOPS, HIGHEST_STOPS = -7.0, 8.0
"""Range of `log2(linear + 2**LOWEST_STOPS)` along a side, from black to 255.99; brighter light is shown as that."""


@dataclass(frozen=True)
class ViewCube:
    """Code values of a display, half floats ``(blue, green, red, RGB)``, and the names of display and view."""

    display: str
    view: str
    code: NDArray[np.float16]


def view_cube() -> ViewCube:
    """Return the default display and view of the OpenColorIO configuration for scene-linear ACEScg.

    The place of a linear value along a side, 0 to 1, is
    ``(log2(linear + 2**LOWEST_STOPS) - LOWEST_STOPS) / (HIGHEST_STOPS - LOWEST_STOPS)``. Interpolated linearly, greys
    are within 0.3 of an 8-bit code of the view itself, 99 of 100 colours within 1.3.

    Raises
    ------
    HdrgenError
        The configuration cannot be read.
    """
    display, view = ocio.display_view()
    side = np.linspace(LOWEST_STOPS, HIGHEST_STOPS, SIDE)
    linear = (np.exp2(side) - 2.0**LOWEST_STOPS).astype(np.float32)
    blue, green, red = np.meshgrid(linear, linear, linear, indexing="ij")
    colours = np.stack([red, green, blue], axis=-1).reshape(SIDE, SIDE * SIDE, 3)
    code = ocio.display(np.ascontiguousarray(colours), "acescg", display=display, view=view)
    return ViewCube(display, view, code.reshape(SIDE, SIDE, SIDE, 3).astype(np.float16))
