"""Flat areas of clean pictures: the smoothest light inside the quantisation intervals, in place of their middles.

Several 8-bit pictures of one scene bound the light of each pixel. Without grain in it, the middles of these bounds are
stairs; the smoothest light within them (`smoothest_in_intervals`) is not. It presses grain to the edges of the intervals,
though, and that tells where not to believe it: on gradients a few pixels in a hundred lie at an edge, in grain most do.

All of it is in the log2 encoding of light (`hdrgen.exposure.log2_encoding`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hdrgen.exposure.log2_encoding import MAX_LOG2, log2_decode, log2_encode
from hdrgen.exposure.smoothest_in_intervals import Plane, smoothest
from hdrgen.models.consistency import local_consistency

WINDOW = 9
"""Side of the window, in pixels, in which those at an edge are counted."""

PRESSED = (0.2, 0.6)
"""Share of pixels at an edge up to which the smoothest light is believed, and from which it is not at all."""

INSET = 0.01
"""Part of an interval that is kept clear at either end: light at the very edge would round to another code."""

MOSTLY_CONSISTENT = 0.5
"""Share of a picture's pixels whose intervals have to meet for its flat areas to be looked for."""

OVERVIEW_STEP = 8
"""Step between the rows and columns that tell whether a picture is mostly consistent, in pixels."""


def smooth_flat_areas(
    linear: NDArray[np.float32],
    intervals: Callable[[int, int], tuple[Plane, Plane]],
    *,
    threads: int = 2,
) -> None:
    """Make flat areas of a clean picture's light as smooth as its quantisation intervals allow, in place.

    Others are left alone. A clean one takes some 25 planes of its size meanwhile.

    Parameters
    ----------
    linear
        Scene-linear light ``(H, W, 3)`` inside its intervals, from 0.
    intervals
        Called with a component and a step; gives the component's lowest and highest light in log2 encoding at every
        step-th row and column, in arrays that are written to: crossed where codes are not consistent, infinite where
        nothing bounds them. There the light stays what it is.
    threads
        More than one work on all components at once.
    """
    if (
        _consistent([intervals(component, OVERVIEW_STEP) for component in range(3)]).mean()
        <= MOSTLY_CONSISTENT
    ):
        return
    bounds = [intervals(component, 1) for component in range(3)]
    consistency = local_consistency(torch.from_numpy(_consistent(bounds))[None])[0, ..., 0].numpy()

    def work(component: int) -> None:
        log2 = log2_encode(linear[..., component])
        lower, upper = _finite(*bounds[component], log2)
        smooth = smoothest(np.float32(0.5) * (lower + upper), lambda rows: (lower[rows], upper[rows]))
        belief = consistency * _flat(smooth, lower, upper)
        log2 += belief * (smooth - log2)
        linear[..., component] = log2_decode(np.minimum(log2, MAX_LOG2))

    with ThreadPoolExecutor(3 if threads > 1 else 1) as pool:
        list(pool.map(work, range(3)))


def _consistent(bounds: Sequence[tuple[Plane, Plane]]) -> NDArray[np.bool_]:
    """Return where the intervals of all components meet."""
    return np.logical_and.reduce([lower <= upper for lower, upper in bounds])


def _finite(lower: Plane, upper: Plane, log2: Plane) -> tuple[Plane, Plane]:
    """Return intervals that have a middle: of those without an end on either side nothing is left but the light."""
    endless = np.isinf(lower) | np.isinf(upper)
    for bound in (lower, upper):
        np.copyto(bound, log2, where=endless)
    inset = np.float32(INSET) * (upper - lower)  # negative where they are crossed, so they cross less
    lower += inset
    upper -= inset
    return np.minimum(lower, upper), np.maximum(lower, upper)


def _flat(smooth: Plane, lower: Plane, upper: Plane) -> Plane:
    """Return how flat a picture is around each pixel, 0 to 1, by how much of it is pressed to the edges."""
    pressed = (smooth <= lower) | (smooth >= upper)
    fraction = cv2.blur(pressed.astype(np.float32), (WINDOW, WINDOW))
    low, high = PRESSED
    flat: Plane = ((high - fraction) / np.float32(high - low)).clip(0, 1)
    return flat
