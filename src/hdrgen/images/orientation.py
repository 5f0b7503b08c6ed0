"""Pictures turned as EXIF says they are to be seen (EXIF 2.32, section 4.6.4.1.6; TIFF 6.0, page 36)."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(np.rot90(pixels, 2), 0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return pixels ``(H, W)`` or ``(H, W, 3)`` the right way up; 1, or what is no orientation, changes nothing."""
    turn = _TURNS.get(orientation)
    return np.ascontiguousarray(pixels if turn is None else turn(pixels))


def orientation_in(exif: bytes) -> int:
    """Return the orientation that a block of EXIF states, 1 where it states none or is damaged."""
    block = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block.load(exif)
            return int(block.get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - Pillow fails on damage in every way there is, and the picture is whole
        return 1
