"""False colour: which stop each pixel of a scene-linear picture lies in, at a glance."""

import cv2
import numpy as np
from numpy.typing import NDArray

MID_GREY = 0.18
LOWEST_STOP, HIGHEST_STOP = -8, 14
"""Stops from mid-grey that have a colour; below is black, above is white. Half floats end at +18.5."""


def false_colour(luminance: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return a colour for each whole stop of relative luminance from mid-grey.

    From blue eight stops below mid-grey through green to red 14 above; the stop around mid-grey itself (0.127 to
    0.255) is grey. What has no positive luminance is black.

    Parameters
    ----------
    luminance
        Shape ``(H, W)``, scene-linear.

    Returns
    -------
    array
        Shape ``(H, W, 3)``, 8-bit sRGB.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        stop = np.rint(np.log2(luminance / MID_GREY))
    inside = np.clip(np.nan_to_num(stop, nan=LOWEST_STOP), LOWEST_STOP, HIGHEST_STOP)
    place = np.rint((inside - LOWEST_STOP) / (HIGHEST_STOP - LOWEST_STOP) * 255).astype(np.uint8)
    colour = np.asarray(cv2.applyColorMap(place, cv2.COLORMAP_TURBO))[..., ::-1].copy()
    colour[stop == 0] = 119
    colour[~(stop >= LOWEST_STOP)] = 0
    colour[stop > HIGHEST_STOP] = 255
    return colour
