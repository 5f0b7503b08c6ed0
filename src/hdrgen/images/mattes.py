"""Mattes beside a picture in an EXR: shares of 0 to 1 that say something of each pixel and are no light."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.half_floats import to_half
from hdrgen.images.choices import Compression
from hdrgen.images.exr_attributes import ATTRIBUTE_NAME_MAX
from hdrgen.images.layer_names import beauty_rank, numbers_kind
from hdrgen.images.layers import has_role
from hdrgen.runtime.errors import HdrgenError

OBSERVED = "observed"
"""The matte that is 1 where the source picture shows the light, 0 where it was invented, between where both have a share."""
WHITE_LINEAR = "hdrgenWhiteLinear"
"""The header attribute with the light of display white before any was invented, in the units of the file's RGB."""

_NAME = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]*"
)  # what Nuke takes as it is; a dot would make it the channel of a layer
_CHANGES_HALVES = frozenset(
    ("b44", "b44a")
)  # whatever the channel; DWA changes colours alone, PXR24 floats alone


def why_no_matte(name: str) -> str | None:
    """Return why a matte cannot be called so, None where it can.

    Examples
    --------
    >>> why_no_matte("observed"), why_no_matte("red")
    (None, "matte name 'red' is that of a picture, a colour, depth, a vector or ids")
    """
    if not _NAME.fullmatch(name):
        return f"matte name {name!r} is not made of letters, digits and _"
    if len(name) > ATTRIBUTE_NAME_MAX:
        return f"matte name {name!r} is longer than {ATTRIBUTE_NAME_MAX} characters"
    if has_role(name) or beauty_rank(name) is not None or numbers_kind("", name, ()) != "other":
        return f"matte name {name!r} is that of a picture, a colour, depth, a vector or ids"
    return None


def stored_mattes(
    path: Path, mattes: Mapping[str, NDArray[np.floating]], shape: tuple[int, int], compression: Compression
) -> dict[str, NDArray[np.floating]]:
    """Return mattes as an EXR stores them: rounded to half.

    B44 changes halves and leaves floats alone, so for it the rounded values are stored as float: any other reader
    converts them without loss.

    Parameters
    ----------
    path
        The file, for messages.
    mattes
        By name, each ``(height, width)``, from 0 to 1.
    shape
        ``(height, width)`` of the picture.
    compression
        As of `exr.write_exr`.

    Raises
    ------
    HdrgenError
        A name is none for a matte, see `why_no_matte`, or a value is NaN or outside 0 to 1; names the pixel.
    """
    stored: dict[str, NDArray[np.floating]] = {}
    for name, matte in mattes.items():
        if reason := why_no_matte(name):
            raise HdrgenError(f"{path}: {reason}")
        if matte.shape != shape or not np.issubdtype(matte.dtype, np.floating):
            raise ValueError(f"matte {name} of {matte.dtype} {matte.shape} does not fit a picture of {shape}")
        outside = outside_a_share(matte)
        if outside.any():
            y, x = np.argwhere(outside)[0]
            raise HdrgenError(
                f"{path}: refused: matte {name} is {matte[y, x]:g} at pixel x={x} y={y}, not 0 to 1"
            )
        half = to_half(matte)
        stored[name] = half.astype(np.float32) if compression in _CHANGES_HALVES else half
    return stored


def outside_a_share(matte: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell of each value whether it is NaN or outside 0 to 1."""
    with np.errstate(invalid="ignore"):
        outside: NDArray[np.bool_] = ~((matte >= 0) & (matte <= 1))
    return outside
