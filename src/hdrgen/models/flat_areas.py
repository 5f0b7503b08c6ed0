"""Smooth areas of clean pictures: the smoothest light inside the codes' cells, in place of the middle of each cell.

Several 8-bit pictures of one scene bound the light of each pixel. Without grain in it, the middles of these bounds are
stairs; the smoothest light within them (`cell_smoother`) is not. It presses grain to the edges of the cells, though, and
that tells where not to believe it: on gradients a few pixels in a hundred lie at an edge, in grain most do.

Levels are `tone_cells.level_encode` of the light.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hdrgen.exposure.smoothest_in_cells import Plane, smoothest
from hdrgen.exposure.tone_map_tables import level_decode, level_encode
from hdrgen.models.clean_share import clean_share

WINDOW = 9
"""Side of the window, in pixels, in which those at an edge are counted."""

PRESSED = (0.2, 0.6)
"""Share of pixels at an edge up to which the smoothest light is believed, and from which it is not at all."""

INSET = 0.01
"""Part of a cell that is kept clear at either end: light at the very edge would round to another code."""

CLEAN_WINDOW = 33
"""Side of the window, in pixels, in which cells have to meet."""

MOSTLY_CLEAN = 0.5
"""Share of a picture's pixels whose cells have to meet for its flat areas to be looked for."""

LOOKED_AT_EVERY = 8
"""Of so many rows and columns one tells whether a picture is mostly clean."""


def smooth_flat_areas(
    linear: NDArray[np.float32],
    cells: Callable[[int, int], tuple[Plane, Plane]],
    *,
    max_level: float,
    threads: int = 2,
) -> None:
    """Make flat areas of a clean picture's light as smooth as its cells allow, in place.

    Others are left alone. A clean one takes some 25 planes of its size meanwhile.

    Parameters
    ----------
    linear
        Scene-linear light ``(H, W, 3)`` inside its cells, from 0.
    cells
        Gives a component's lowest and highest levels, of every so manieth row and column, written to: crossed where cells
        do not meet, infinite where nothing bounds them. There the light stays what it is.
    max_level
        Highest level that light may have.
    threads
        More than one work on all components at once.
    """
    if _meet([cells(component, LOOKED_AT_EVERY) for component in range(3)]).mean() <= MOSTLY_CLEAN:
        return
    bounds = [cells(component, 1) for component in range(3)]
    clean = clean_share(torch.from_numpy(_meet(bounds))[None], CLEAN_WINDOW)[0, ..., 0].numpy()

    def work(component: int) -> None:
        level = level_encode(linear[..., component])
        lower, upper = _finite(*bounds[component], level)
        smooth = smoothest(np.float32(0.5) * (lower + upper), lambda rows: (lower[rows], upper[rows]))
        belief = clean * _flat(smooth, lower, upper)
        level += belief * (smooth - level)
        linear[..., component] = level_decode(np.minimum(level, max_level))

    with ThreadPoolExecutor(3 if threads > 1 else 1) as pool:
        list(pool.map(work, range(3)))


def _meet(bounds: Sequence[tuple[Plane, Plane]]) -> NDArray[np.bool_]:
    """Return where the cells of all components meet."""
    return np.logical_and.reduce([lower <= upper for lower, upper in bounds])


def _finite(lower: Plane, upper: Plane, level: Plane) -> tuple[Plane, Plane]:
    """Return cells that have a middle: of those without an end on either side nothing is left but the level."""
    endless = np.isinf(lower) | np.isinf(upper)
    for bound in (lower, upper):
        np.copyto(bound, level, where=endless)
    inset = np.float32(INSET) * (upper - lower)  # negative where they are crossed, so they cross less
    lower += inset
    upper -= inset
    return np.minimum(lower, upper), np.maximum(lower, upper)


def _flat(smooth: Plane, lower: Plane, upper: Plane) -> Plane:
    """Return how flat a picture is around each pixel, 0 to 1, by how much of it is pressed to the edges."""
    pressed = (smooth <= lower) | (smooth >= upper)
    share = cv2.blur(pressed.astype(np.float32), (WINDOW, WINDOW))
    low, high = PRESSED
    flat: Plane = ((high - share) / np.float32(high - low)).clip(0, 1)
    return flat
