"""The smoothest picture that 8-bit codes allow: a closed form for bit depth, which the U-Net starts from.

The picture is smoothed and put back into its quantisation cells, in turns and from coarse to fine: projections onto
two convex sets (Youla and Webb 1982), of which the second is all pictures with these codes. Smooth gradients come out
nearly exact. Grain comes out pressed to the edges of its cells, worse than it went in: where to believe it is
what the network learns.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

SCALES = (4, 3, 2, 1)
"""Halvings of the picture that it is smoothed through: steps of some 60 pixels to a code, down to some 4."""

PASSES = 4
"""Turns at each scale."""

BAND_VALUES = 1 << 16
"""Values of a plane that are put back into their cells at a time: few enough to stay in the cache."""

Plane = NDArray[np.float32]


def smooth_in_cells(code8: NDArray[np.uint8], *, threads: int = 1) -> NDArray[np.float32]:
    """Return how far the smoothest picture is from each code, ``(H, W, 3)`` in codes, -0.5 to 0.5.

    Examples
    --------
    >>> ramp = np.linspace(100, 120, 512).repeat(3).reshape(1, -1, 3).repeat(64, 0)
    >>> code8 = np.rint(ramp).astype(np.uint8)
    >>> error = code8 + smooth_in_cells(code8) - ramp
    >>> bool(error.std() < 0.25 * (code8 - ramp).std())
    True
    """
    # Three planes on two cores: all at once, or the third would have one core to itself.
    with ThreadPoolExecutor(3 if threads > 1 else 1) as pool:
        return np.stack(list(pool.map(_smooth_plane, np.moveaxis(code8, -1, 0))), -1)


def _smooth_plane(code8: NDArray[np.uint8]) -> Plane:
    def cells(rows: slice) -> tuple[Plane, Plane]:
        nearest = code8[rows].astype(np.float32)
        return nearest - np.float32(0.5), nearest + np.float32(0.5)

    smooth = smoothest(code8.astype(np.float32), cells)
    for rows in _bands(code8.shape):
        smooth[rows] -= code8[rows]
    return smooth


def smoothest(start: Plane, cells: Callable[[slice], tuple[Plane, Plane]]) -> Plane:
    """Return the smoothest plane ``(H, W)`` inside cells.

    Parameters
    ----------
    start
        A plane to begin with; its memory is used.
    cells
        Lowest and highest values of some rows.
    """
    smooth = start
    for halvings in SCALES:
        for _ in range(PASSES):
            once = _through_pyramid(smooth, halvings)
            _into_cells(once, _through_pyramid(once, halvings), cells, out=smooth)
    return smooth


def _into_cells(
    once: Plane, twice: Plane, cells: Callable[[slice], tuple[Plane, Plane]], *, out: Plane
) -> None:
    """Put a smoothed plane back into its cells.

    Smoothed is 2 G - G G, so that a parabola stays one: a plain G would bend every gradient.
    """
    for rows in _bands(out.shape):
        smoothed, (lower, upper) = 2 * once[rows], cells(rows)
        smoothed -= twice[rows]
        np.maximum(smoothed, lower, out=smoothed)
        np.minimum(smoothed, upper, out=out[rows])


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the rows of a plane, some at a time."""
    rows, columns = shape
    band = max(1, BAND_VALUES // columns)
    for top in range(0, rows, band):
        yield slice(top, top + band)


def _through_pyramid(plane: Plane, halvings: int) -> Plane:
    """Halve and double again, by the binomial filters of Burt and Adelson (1983)."""
    sizes = []
    for _ in range(halvings):
        sizes.append(plane.shape[::-1])
        plane = cv2.pyrDown(plane)  # type: ignore[assignment]
    for size in reversed(sizes):
        plane = cv2.pyrUp(plane, dstsize=size)  # type: ignore[assignment]
    return plane
