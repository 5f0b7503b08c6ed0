"""Writing EXR files so that nothing is lost in silence.

The library's pitfalls that are kept here: a non-contiguous array is written wrong without a word, a header dictionary
is changed by the call it is given to, float values beyond the half range become Inf in silence, and so do values within
it that a lossy compression overshoots with (OpenEXR issue 2606).
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from hdrgen.colour.half_floats import all_finite, to_half
from hdrgen.colour.primaries import AP0, Chromaticities
from hdrgen.images.choices import Compression
from hdrgen.images.exr_attributes import stored_attributes
from hdrgen.images.exr_file import is_utf8, library_file
from hdrgen.images.geometry import Geometry, size_of
from hdrgen.images.mattes import stored_mattes
from hdrgen.images.written_exr import as_os_error, check_whole
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

log = logging.getLogger(__name__)

HALF_MAX = 65504.0

_COMPRESSION = {
    "none": OpenEXR.NO_COMPRESSION,
    "rle": OpenEXR.RLE_COMPRESSION,
    "zips": OpenEXR.ZIPS_COMPRESSION,
    "zip": OpenEXR.ZIP_COMPRESSION,
    "piz": OpenEXR.PIZ_COMPRESSION,
    "pxr24": OpenEXR.PXR24_COMPRESSION,
    "b44": OpenEXR.B44_COMPRESSION,
    "b44a": OpenEXR.B44A_COMPRESSION,
    "dwaa": OpenEXR.DWAA_COMPRESSION,
    "dwab": OpenEXR.DWAB_COMPRESSION,
    "htj2k": OpenEXR.HTJ2K256_COMPRESSION,
    "zstd": OpenEXR.ZSTD_COMPRESSION,
}
LOSSY = frozenset(("pxr24", "b44", "b44a", "dwaa", "dwab"))
"""Compressions that do not give back what was written."""
LOSES_NONFINITE = LOSSY - {"pxr24"}
"""Compressions that make 0 of NaN and Inf; pictures that hold such values are written with zip instead."""

_BLOCK = 8  # pixels that DWA codes together; B44's blocks of 4 lie inside
# What the values of a block are bounded to until they read back finite, the first one being no bound.
_BOUNDS = np.array([np.inf, *(HALF_MAX * np.array([0.97, 0.94, 0.88, 0.75, 0.5, 0.25, 0.12, 0.06, 0.01, 0]))])
# DWA's values lie 0.9 % apart there: a bounded block stays finite in readers that round otherwise, too.
_MARGIN = 1.02


def write_exr(
    path: Path,
    rgb: NDArray[np.floating],
    *,
    chromaticities: Chromaticities | None,
    attributes: Mapping[str, str | int | float] = MappingProxyType({}),
    alpha: NDArray[np.floating] | None = None,
    mattes: Mapping[str, NDArray[np.floating]] = MappingProxyType({}),
    geometry: Geometry | None = None,
    compression: Compression = "zip",
    pixel_type: Literal["half", "float"] = "half",
    overflow: Literal["raise", "clamp"] = "raise",
    allow_nonfinite: bool = False,
) -> int:
    """Write scene-linear RGB as an EXR whose bytes depend on nothing but the arguments.

    The header names the primaries twice: as `chromaticities`, which every program reads, and as the Color
    Interop Forum's `colorInteropID` where one exists (none does for ARRI's). AP0 written uncompressed as half
    is also flagged as an ACES container (SMPTE ST 2065-4), which admits nothing else, and no matte either.

    Parameters
    ----------
    path
        Where; the file appears whole or not at all.
    rgb
        Scene-linear, shape ``(height, width, 3)``, any float type.
    chromaticities
        The primaries and white of `rgb`; None says that it is data and no colour.
    attributes
        Provenance: text, 32-bit integers, floats. Names have at most 31 characters.
    alpha
        Shape ``(height, width)``, or None.
    mattes
        Further channels by name, each ``(height, width)`` and from 0 to 1, stored as half whatever `pixel_type` is and
        read back as that half with every compression; see `mattes.stored_mattes`.
    geometry
        Where the pixels lie; None is a picture of square pixels that fills its display window.
    compression
        A key of OpenEXR's methods; ``htj2k`` is HTJ2K256.
    pixel_type
        ``half``, or ``float`` where the file is no delivery.
    overflow
        What happens to values that half cannot hold, or that a lossy compression would make Inf of: refused, or
        clamped and logged. Such a compression makes Inf of values near the end of half in blocks of strong contrast;
        what was written is read again, and the values of such blocks are bounded until it is finite.
    allow_nonfinite
        Keep NaN and Inf, for material that is yet to be repaired; they are refused otherwise. Where `compression` does
        not keep them (`LOSES_NONFINITE`), zip is taken in its place, and that is logged.

    Returns
    -------
    int
        How many values were clamped.

    Raises
    ------
    HdrgenError
        A value is NaN, Inf or out of range, or an attribute or a matte cannot be stored; names the pixel and channel.
    OSError
        The file cannot be written, or not as a whole.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or not np.issubdtype(rgb.dtype, np.floating):
        raise ValueError(f"needs floating-point RGB of shape (height, width, 3), not {rgb.dtype} {rgb.shape}")
    if alpha is not None and alpha.shape != rgb.shape[:2]:
        raise ValueError(f"alpha {alpha.shape} does not fit RGB {rgb.shape}")
    if geometry is not None and size_of(geometry.data_window) != (rgb.shape[1], rgb.shape[0]):
        raise ValueError(f"the data window {geometry.data_window} does not fit RGB {rgb.shape}")
    header_attributes = stored_attributes(path, attributes)
    how: dict[str, Any] = {"pixel_type": pixel_type, "overflow": overflow, "allow_nonfinite": allow_nonfinite}
    name, pixels, beyond = _channels(path, rgb, alpha, **how)
    clamped = 0 if beyond is None else int(np.count_nonzero(beyond))
    if clamped:
        log.warning("%s: %d values beyond the half range were clamped to %g", path, clamped, HALF_MAX)
    if compression in LOSES_NONFINITE and not _is_finite(pixels):
        log.warning("%s: holds NaN or Inf, which %s does not keep: written with zip", path, compression)
        compression = "zip"
    beside = stored_mattes(path, mattes, rgb.shape[:2], compression)

    header: dict[str, Any] = {
        **header_attributes,
        "compression": _COMPRESSION[compression],
        "type": OpenEXR.scanlineimage,
        **_windows(geometry),
        **_stated_colour(chromaticities),
    }
    if chromaticities == AP0 and compression == "none" and pixel_type == "half" and not beside:
        header["acesImageContainerFlag"] = 1
    with replacing(path) as temporary:
        try:
            _write(temporary, header, {name: pixels, **beside})
            if compression in LOSSY:
                clamped += _bound_overshoot(path, temporary, header, name, pixels, beside, beyond, overflow)
        except RuntimeError as error:
            raise as_os_error(error, path) from None
        check_whole(temporary, path)
    return clamped


def _stated_colour(chromaticities: Chromaticities | None) -> dict[str, Any]:
    if chromaticities is None:
        return {"colorInteropID": "data"}
    name = interop_id(chromaticities)
    xy = tuple(float(x) for xy in chromaticities for x in xy)
    return {"chromaticities": xy, **({"colorInteropID": name} if name else {})}


def _write(file: Path, header: dict[str, Any], channels: dict[str, NDArray[np.floating]]) -> None:
    exr = OpenEXR.File(dict(header), channels)
    if is_utf8(file):
        exr.write(str(file))
        return
    with file.open("wb") as stream:
        exr.write(stream)


def _bound_overshoot(
    path: Path,
    written: Path,
    header: dict[str, Any],
    name: str,
    pixels: NDArray[np.floating],
    beside: dict[str, NDArray[np.floating]],
    clamped: NDArray[np.bool_] | None,
    overflow: Literal["raise", "clamp"],
) -> int:
    """Write again, with blocks bounded that read back as Inf or NaN, until none does.

    Returns how many values were lowered that had not been `clamped` before.
    """
    stored = library_file(written).channels()[name].pixels
    if _is_finite(stored):
        return 0
    usable = np.isfinite(pixels)
    tries = np.zeros([-(-length // _BLOCK) for length in pixels.shape[:2]], np.int64)
    bounded, bound = pixels, np.full((*pixels.shape[:2], 1), np.inf)
    while True:
        within = np.where(np.isfinite(bound), HALF_MAX / _MARGIN, np.inf)
        broken = usable & ~(np.isfinite(stored) & (np.abs(stored) <= within))
        if not broken.any():
            break
        if overflow == "raise":
            raise HdrgenError(
                f"{path}: refused: {_where(pixels, broken, name)} so near the end of half floats that this "
                "compression would make them Inf; compress without loss (zip, piz), lower the exposure, or ask for "
                "clamping (--clamp)"
            )
        y, x = np.nonzero(broken.any(axis=-1))
        tries[tuple(np.unique([y // _BLOCK, x // _BLOCK], axis=1))] += 1
        bound = np.repeat(np.repeat(_BOUNDS[tries], _BLOCK, 0), _BLOCK, 1)[
            : len(pixels), : pixels.shape[1], None
        ]
        bounded = np.where(usable, np.clip(pixels, -bound, bound), pixels).astype(pixels.dtype)
        _write(written, header, {name: bounded, **beside})
        stored = library_file(written).channels()[name].pixels
    changed = usable & (bounded != pixels)
    lowered = int(np.count_nonzero(changed if clamped is None else changed & ~clamped))
    if lowered:
        log.warning("%s: %d values that its compression would make Inf were lowered", path, lowered)
    return lowered


def interop_id(chromaticities: Chromaticities) -> str | None:
    """Return the Color Interop Forum's name of a scene-linear space, None where there is none."""
    coordinates = tuple(float(x) for xy in chromaticities for x in xy)
    name: str | None = OpenEXR.chromaticitiesToColorInteropID(coordinates)
    return name


def _windows(geometry: Geometry | None) -> dict[str, Any]:
    if geometry is None:
        return {}
    windows = {"dataWindow": geometry.data_window, "displayWindow": geometry.display_window}
    corners = {name: (window[:2], window[2:]) for name, window in windows.items()}
    return {**corners, "pixelAspectRatio": geometry.pixel_aspect_ratio}


def _channels(
    path: Path, rgb: NDArray[np.floating], alpha: NDArray[np.floating] | None, **how: Any
) -> tuple[str, NDArray[np.floating], NDArray[np.bool_] | None]:
    """Return the channels' names, what is stored of them, and which values were clamped, None where none was."""
    pixels, clamped = _as_stored(path, rgb, "RGB", **how)
    if alpha is None:
        return "RGB", pixels, clamped
    alpha_stored, alpha_clamped = _as_stored(path, alpha[..., None], "A", **how)
    both = np.concatenate([pixels, alpha_stored], axis=-1)
    if clamped is None and alpha_clamped is None:
        return "RGBA", both, None
    clamped_both = np.zeros(both.shape, bool)
    clamped_both[..., :3] = False if clamped is None else clamped
    clamped_both[..., 3:] = False if alpha_clamped is None else alpha_clamped
    return "RGBA", both, clamped_both


def _as_stored(
    path: Path,
    values: NDArray[np.floating],
    channels: str,
    *,
    pixel_type: Literal["half", "float"],
    overflow: Literal["raise", "clamp"],
    allow_nonfinite: bool,
) -> tuple[NDArray[np.floating], NDArray[np.bool_] | None]:
    """Round to the stored type, contiguous; the second array tells which values were clamped, None where none was."""
    stored: NDArray[np.floating]
    if pixel_type == "half":
        stored = to_half(values)
    else:
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(values, np.float32)
    if _is_finite(stored):
        return stored, None
    finite = np.isfinite(stored)

    nonfinite = ~np.isfinite(values)
    if nonfinite.any() and not allow_nonfinite:
        raise HdrgenError(
            f"{path}: refused: {_where(values, nonfinite, channels)} not finite; repair the frame first"
        )
    beyond = ~finite & ~nonfinite
    if not beyond.any():
        return stored, None
    if overflow == "raise":
        raise HdrgenError(
            f"{path}: refused: {_where(values, beyond, channels)} beyond the half range of {HALF_MAX:g}; "
            "lower the exposure or ask for clamping (--clamp)"
        )
    stored = stored.copy() if np.shares_memory(stored, values) else stored
    stored[beyond] = np.copysign(np.finfo(stored.dtype).max, stored[beyond])
    return stored, beyond


def _is_finite(stored: NDArray[np.floating]) -> bool:
    return all_finite(stored) if stored.dtype == np.float16 else bool(np.isfinite(stored).all())


def _where(values: NDArray[np.floating], bad: NDArray[np.bool_], channels: str) -> str:
    """Say how many values are bad and where the first one is, as the subject of a sentence."""
    y, x, channel = np.argwhere(bad)[0]
    count = int(np.count_nonzero(bad))
    first = f"channel {channels[channel]}, pixel x={x} y={y} is {values[y, x, channel]:g}"
    return f"{count} {'value is' if count == 1 else 'values are'} ({first})"
