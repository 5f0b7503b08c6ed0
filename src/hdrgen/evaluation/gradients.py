"""Smooth gradients to validate beside frames: a frame's grain hides the steps of 8 bits, a clear sky shows them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.logc import logc4_decode
from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.dataset.pairs.gradients import gradient_logc4
from hdrgen.dataset.pairs.records import frame_rng

DARKEST_LINEAR, BRIGHTEST_MEDIAN_LINEAR = 2.0**-9, 1.0
"""No component is below the first, where a camera has nothing but noise; half of a picture is below the second."""


def smooth_gradients(count: int, size: int, seed: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield names and pictures of scene-linear AWG4, shape ``(size, size, 3)``, coloured and without grain or edges.

    Parameters
    ----------
    count
        How many.
    size
        Length of both sides, in pixels.
    seed
        Decides all of them.
    """
    for number in range(count):
        name = f"gradient_{number:02d}"
        rng = frame_rng(seed, name)
        while True:
            light = logc4_decode(gradient_logc4(rng, size, size, occluder_share=0)).astype(np.float32)
            if light.min() >= DARKEST_LINEAR and np.median(luminance(light, AWG4)) < BRIGHTEST_MEDIAN_LINEAR:
                break
        yield name, light
