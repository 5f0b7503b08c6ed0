"""Conversions for delivery through OpenColorIO; the only importer of it.

Spaces have the names of the configuration in use: ``$OCIO`` where it is set, else the built-in studio
configuration pinned below, the only built-in one that knows ARRI's spaces. `ALIASES` adds short names.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from functools import cache

import numpy as np
import PyOpenColorIO as ocio
from numpy.typing import NDArray

from hdrgen.errors import HdrgenError

BUILTIN_CONFIG = "ocio://studio-config-v4.0.0_aces-v2.0_ocio-v2.5"

ALIASES = {
    "acescg": "ACEScg",
    "aces2065-1": "ACES2065-1",
    "logc4": "ARRI LogC4",
    "logc3": "ARRI LogC3 (EI800)",
    "linear_awg4": "Linear ARRI Wide Gamut 4",
    "linear_awg3": "Linear ARRI Wide Gamut 3",
    "linear_rec709": "Linear Rec.709 (sRGB)",
    "linear_rec2020": "Linear Rec.2020",
    "linear_p3d65": "Linear P3-D65",
    "srgb": "sRGB Encoded Rec.709 (sRGB)",
}

ROWS_PER_BAND = 64


@cache
def _config(source: str) -> ocio.Config:
    try:
        return ocio.Config.CreateFromFile(source)
    except ocio.Exception as error:
        raise HdrgenError(f"OpenColorIO cannot read {source}: {error}; unset $OCIO for the built-in one") from None


def config_source() -> str:
    """Return where the configuration comes from: ``$OCIO`` or the pinned built-in one."""
    return os.environ.get("OCIO") or BUILTIN_CONFIG


def space_name(name: str) -> str:
    """Return the configuration's own name of a colour space, given a name or an alias, case ignored.

    Raises
    ------
    HdrgenError
        The configuration knows no such space; the message offers the nearest names.
    """
    config = _config(config_source())
    known = config.getColorSpace(ALIASES.get(name.lower(), name)) or config.getColorSpace(name)
    if known is None:
        names = [*ALIASES, *config.getColorSpaceNames()]
        near = get_close_matches(name, names, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {', '.join(ALIASES)}"
        raise HdrgenError(f"unknown colour space {name!r}; {hint}")
    return str(known.getName())


@cache
def _processor(config: str, source: str, target: str) -> ocio.CPUProcessor:
    processor = _config(config).getProcessor(source, target)
    # The default optimisation is 8 times less exact (6e-5 against 7e-6 relative to colour-science).
    return processor.getOptimizedCPUProcessor(ocio.OPTIMIZATION_LOSSLESS)


def convert(rgb: NDArray[np.float32], source: str, target: str, *, threads: int = 2) -> NDArray[np.float32]:
    """Convert a picture between two spaces of the configuration.

    Parameters
    ----------
    rgb
        Shape ``(H, W, 3)`` in the source space; the array is left as it is.
    source, target
        Names or aliases, see `space_name`.
    threads
        Bands of rows worked on at once; OpenColorIO releases the interpreter lock.

    Returns
    -------
    array
        Shape ``(H, W, 3)``, unclamped where the transform is.
    """
    source, target = space_name(source), space_name(target)
    result = np.array(rgb, np.float32, order="C", copy=True)
    if source == target:
        return result
    height, width, _ = result.shape
    processor = _processor(config_source(), source, target)

    def apply(top: int) -> None:
        band = result[top : top + ROWS_PER_BAND]
        processor.apply(ocio.PackedImageDesc(band, width, band.shape[0], 3))

    tops = range(0, height, ROWS_PER_BAND)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(apply, tops))
    return result
