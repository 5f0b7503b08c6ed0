"""OpenEXR files: the only module that imports OpenEXR.

The library's pitfalls that this module keeps to itself: a non-contiguous array is written wrong without a
word, a header dictionary is changed by the call it is given to, damaged pixels do not raise but leave a file
without parts and a line on stdout, and float values beyond the half range become Inf in silence.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from fractions import Fraction
from pathlib import Path
from threading import Lock, get_ident
from types import MappingProxyType
from typing import Any, Literal, TextIO

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from hdrgen.colour.primaries import AP0, SPACES, Chromaticities, luminance_weights
from hdrgen.colour.primaries import REC709 as CHROMATICITIES_WHEN_NONE_STATED
from hdrgen.images.geometry import Geometry, size_of
from hdrgen.images.half_floats import all_finite, to_half
from hdrgen.images.layers import Layer, NoPicture, PartNames, choose_layer, layer_notes, layers_of
from hdrgen.images.stored_image import (
    SceneImage,
    StoredChannel,
    StoredHeader,
    StoredPart,
    UnreadableImage,
)
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

__all__ = ["MAGIC", "UnreadableImage", "read_exr", "read_header", "use_threads", "write_exr"]

log = logging.getLogger(__name__)

MAGIC = b"\x76\x2f\x31\x01"
HALF_MAX = 65504.0
ATTRIBUTE_NAME_MAX = 31  # longer names need the long-names flag, which Nuke and older readers refuse

Compression = Literal[
    "none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab", "htj2k", "zstd"
]

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
_READING = Lock()
_DEEP = (OpenEXR.deepscanline, OpenEXR.deeptile)
# Said by the picture itself, so not for a caller to set.
_STRUCTURE = frozenset(
    (
        "channels",
        "chromaticities",
        "compression",
        "dataWindow",
        "displayWindow",
        "lineOrder",
        "preview",
        "tiles",
        "type",
    )
)
_NOT_SHOWN = frozenset(("channels", "compression", "preview", "type"))
# Taps of the filter that OpenEXR halves chroma with, on odd samples (ImfRgbaYca.cpp, N = 27).
_CHROMA_TAPS = np.array([0.002128, -0.007540, 0.019597, -0.043159, 0.087929, -0.186077, 0.627123], np.float32)


def use_threads(count: int) -> None:
    """Let OpenEXR compress and decompress on this many cores; it starts with no threads of its own."""
    # Half of its threads wait for others' turn at the file: with two for each core it reads and writes a fifth faster.
    OpenEXR.set_global_thread_count(2 * count)


def read_header(path: Path, *, layer: str | None = None, part: int | str | None = None) -> StoredHeader:
    """Read what an EXR says about the picture that `read_exr` would return, without decoding pixels.

    The pixel type is missing: the library tells it only with the pixels.

    Parameters
    ----------
    path
        The file.
    layer, part
        As of `read_exr`.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR, is damaged, is deep, or holds no picture.
    """
    path = Path(path)
    headers = _open(path, header_only=True)
    taken, notes = _choose(path, headers, layer, part)
    return _stored_header(headers[taken.part], taken, notes)


def read_exr(path: Path, *, layer: str | None = None, part: int | str | None = None) -> SceneImage:
    """Read an EXR's picture as it is stored.

    Half, float and uint pixels; scan lines and tiles, the largest level of a mip map; of several layers, parts and
    views the one that is the picture (see `layers`), and notes on the others; RGB with or without alpha, a single
    luminance channel (repeated), luminance-chroma at any 2x2 subsampling (RGB rebuilt with the file's own luminance
    weights). Uint samples become float32, the largest uint being 1.0, as in OpenImageIO. RGB is not divided by alpha:
    EXR is premultiplied, and emission under alpha zero is light.

    Parameters
    ----------
    path
        The file; its suffix does not matter.
    layer
        The name of the layer, or of one channel, that is wanted; None takes the likeliest.
    part
        The index or name of the part to look in; None looks in all.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR, is damaged, is deep, or holds no picture, no such layer, or several that are as
        likely.
    """
    path = Path(path)
    headers = _open(path, header_only=True)
    taken, notes = _choose(path, headers, layer, part)
    flat = len(headers) == 1 and taken.channels == ("R", "G", "B") and taken.alpha in (None, "A")
    file = _open_pixels(path, separate=not flat)
    planes = {name: channel.pixels for name, channel in file.parts[taken.part].channels.items()}
    stored = _stored_header(headers[taken.part], taken, notes)
    chroma = taken.kind == "luminance-chroma"

    if "RGB" in planes or "RGBA" in planes:
        packed = _as_float(planes["RGBA"] if "RGBA" in planes else planes["RGB"])
        rgb, alpha = packed[..., :3], packed[..., 3] if packed.shape[-1] == 4 else None
    else:
        used = {name: _as_float(planes[name]) for name in (*taken.channels, taken.alpha) if name}
        rgb, alpha = _assemble(path, used, taken, stored.chromaticities)
    return SceneImage(
        rgb=np.ascontiguousarray(rgb),
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
        chromaticities=stored.chromaticities,
        attributes=stored.attributes,
        pixel_type=_pixel_type(_samples(planes, taken.channels[0])),
        compression=stored.compression,
        storage=stored.storage,
        part=taken.part,
        view=taken.view,
        luminance_chroma=chroma,
        layer=taken.name,
        notes=notes,
        parts=tuple(_stored_part(index, part) for index, part in enumerate(file.parts)),
    )


def read_parts(path: Path) -> tuple[StoredPart, ...]:
    """Return all that a file holds, whether or not any of it is a picture.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR or is damaged.
    """
    path = Path(path)
    _open(path, header_only=True)
    parts = _open_pixels(path, separate=True).parts
    return tuple(_stored_part(index, part) for index, part in enumerate(parts))


def write_exr(
    path: Path,
    rgb: NDArray[np.floating],
    *,
    chromaticities: Chromaticities,
    attributes: Mapping[str, str | int | float] = MappingProxyType({}),
    alpha: NDArray[np.floating] | None = None,
    geometry: Geometry | None = None,
    compression: Compression = "zip",
    pixel_type: Literal["half", "float"] = "half",
    overflow: Literal["raise", "clamp"] = "raise",
    allow_nonfinite: bool = False,
) -> int:
    """Write scene-linear RGB as an EXR whose bytes depend on nothing but the arguments.

    The header names the primaries twice: as `chromaticities`, which every program reads, and as the Color
    Interop Forum's `colorInteropID` where one exists (none does for ARRI's). AP0 written uncompressed as half
    is also flagged as an ACES container (SMPTE ST 2065-4), which admits nothing else.

    Parameters
    ----------
    path
        Where; the file appears whole or not at all.
    rgb
        Scene-linear, shape ``(height, width, 3)``, any float type.
    chromaticities
        The primaries and white of `rgb`.
    attributes
        Provenance: text, 32-bit integers, floats. Names have at most 31 characters.
    alpha
        Shape ``(height, width)``, or None.
    geometry
        Where the pixels lie; None is a picture of square pixels that fills its display window.
    compression
        A key of OpenEXR's methods; ``htj2k`` is HTJ2K256.
    pixel_type
        ``half``, or ``float`` where the file is no delivery.
    overflow
        What happens to values that half cannot hold: refused, or clamped to 65504 and logged.
    allow_nonfinite
        Keep NaN and Inf, for material that is yet to be repaired; they are refused otherwise.

    Returns
    -------
    int
        How many values were clamped.

    Raises
    ------
    HdrgenError
        A value is NaN, Inf or out of range, or an attribute cannot be stored; names the pixel and channel.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or not np.issubdtype(rgb.dtype, np.floating):
        raise ValueError(f"needs floating-point RGB of shape (height, width, 3), not {rgb.dtype} {rgb.shape}")
    if alpha is not None and alpha.shape != rgb.shape[:2]:
        raise ValueError(f"alpha {alpha.shape} does not fit RGB {rgb.shape}")
    if geometry is not None and size_of(geometry.data_window) != (rgb.shape[1], rgb.shape[0]):
        raise ValueError(f"the data window {geometry.data_window} does not fit RGB {rgb.shape}")
    _check_attributes(path, attributes)
    how: dict[str, Any] = {"pixel_type": pixel_type, "overflow": overflow, "allow_nonfinite": allow_nonfinite}
    pixels, clamped = _as_stored(path, rgb, "RGB", **how)
    channels = {"RGB": pixels}
    if alpha is not None:
        alpha_stored, clamped_alpha = _as_stored(path, alpha[..., None], "A", **how)
        channels = {"RGBA": np.concatenate([pixels, alpha_stored], axis=-1)}
        clamped += clamped_alpha
    if clamped:
        log.warning("%s: %d values beyond the half range were clamped to %g", path, clamped, HALF_MAX)

    stated = tuple(float(x) for xy in chromaticities for x in xy)
    header: dict[str, Any] = {
        **attributes,
        "compression": _COMPRESSION[compression],
        "type": OpenEXR.scanlineimage,
        "chromaticities": stated,
        **_windows(geometry),
    }
    if name := interop_id(chromaticities):
        header["colorInteropID"] = name
    if chromaticities == AP0 and compression == "none" and pixel_type == "half":
        header["acesImageContainerFlag"] = 1
    with replacing(path) as temporary:
        OpenEXR.File(header, channels).write(str(temporary))
    return clamped


class _OneThreadsOutput:
    """A stdout that keeps what one thread prints and lets all others through."""

    def __init__(self, stdout: TextIO) -> None:
        self.said: list[str] = []
        self._stdout, self._thread = stdout, get_ident()

    def write(self, text: str) -> int:
        if get_ident() != self._thread:
            return self._stdout.write(text)
        self.said.append(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Give what OpenEXR prints meanwhile for this thread; one thread at a time, for there is but one stdout."""
    with _READING:
        output = _OneThreadsOutput(sys.stdout)
        with contextlib.redirect_stdout(output):
            yield output.said


def _open(path: Path, *, header_only: bool) -> list[Any]:
    """Return the parts' headers, or raise with a reason a person understands."""
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read ({error.strerror})") from None
    if magic != MAGIC:
        raise UnreadableImage(path, "is not an OpenEXR file")
    try:
        with _warnings():
            file = OpenEXR.File(str(path), header_only=header_only)
            headers = [part.header for part in file.parts]
    except (RuntimeError, ValueError, TypeError, KeyError, UnicodeDecodeError) as error:
        detail = str(error).split(" when attempting")[0].split(f" '{path}'")[0].replace(str(path), path.name)
        raise UnreadableImage(path, f"has a damaged EXR header ({detail})") from None
    except MemoryError:
        raise UnreadableImage(path, "asks for more memory than there is") from None
    if not headers:
        raise UnreadableImage(path, "has a damaged EXR header (no parts)")
    return headers


def _open_pixels(path: Path, *, separate: bool) -> Any:
    said: list[str] = []
    try:
        with _warnings() as said:
            file = OpenEXR.File(str(path), separate_channels=separate)
    except (RuntimeError, ValueError, TypeError, UnicodeDecodeError) as error:
        if not separate and "coalesce" in str(error):  # channels of several types
            return _open_pixels(path, separate=True)
        raise UnreadableImage(path, f"has damaged pixels ({str(error).split(f' {path}')[0]})") from None
    except MemoryError:
        raise UnreadableImage(path, "asks for more memory than there is") from None
    if said or not file.parts:
        lines = "".join(said).strip().splitlines() or ["nothing could be decoded"]
        detail = lines[-1].rsplit(" - ", 1)[-1].replace(str(path), path.name)
        if "MemoryError" in detail:
            raise UnreadableImage(path, "asks for more memory than there is")
        raise UnreadableImage(path, f"has damaged pixels ({detail})")
    return file


def _choose(
    path: Path, headers: list[Any], layer: str | None, part: int | str | None
) -> tuple[Layer, tuple[str, ...]]:
    """Return the layer that is the picture, and what a person should know of the others."""
    flat = [index for index, header in enumerate(headers) if header.get("type") not in _DEEP]
    if not flat:
        raise UnreadableImage(path, "is a deep EXR: flatten it before use")
    layers = layers_of([_part_names(index, headers) for index in flat])
    try:
        taken = choose_layer(layers, layer=layer, part=part)
    except NoPicture as error:
        raise UnreadableImage(path, str(error)) from None
    notes = layer_notes(layers, taken, asked=layer is not None)
    if deep := len(headers) - len(flat):
        notes += (f"{deep} deep {'part is' if deep == 1 else 'parts are'} left behind",)
    return taken, notes


def _part_names(index: int, headers: list[Any]) -> PartNames:
    header = headers[index]
    view = header.get("view")
    views = [str(view)] if view else [str(name) for name in header.get("multiView") or ()]
    name = str(header.get("name") or "") if len(headers) > 1 else ""
    return PartNames(index, name, tuple(views), tuple(channel.name for channel in header["channels"]))


def _windows(geometry: Geometry | None) -> dict[str, Any]:
    if geometry is None:
        return {}
    windows = {"dataWindow": geometry.data_window, "displayWindow": geometry.display_window}
    corners = {name: (window[:2], window[2:]) for name, window in windows.items()}
    return {**corners, "pixelAspectRatio": geometry.pixel_aspect_ratio}


def _stored_header(header: Any, taken: Layer, notes: tuple[str, ...]) -> StoredHeader:
    (x0, y0), (x1, y1) = header["dataWindow"]
    attributes = {name: _plain(value) for name, value in header.items() if name not in _NOT_SHOWN}
    for window in ("dataWindow", "displayWindow"):
        attributes[window] = [int(x) for corner in header[window] for x in corner]
    if preview := header.get("preview"):
        attributes["preview"] = "{1}x{0}".format(*preview.pixels.shape)
    return StoredHeader(
        width=int(x1) - int(x0) + 1,
        height=int(y1) - int(y0) + 1,
        channels=tuple(channel.name for channel in header["channels"]),
        chromaticities=_chromaticities(header),
        attributes=attributes,
        compression=header["compression"].name.removesuffix("_COMPRESSION").lower(),
        storage="tiled" if header.get("type") == OpenEXR.tiledimage else "scanline",
        part=taken.part,
        view=taken.view,
        layer=taken.name,
        notes=notes,
    )


def interop_id(chromaticities: Chromaticities) -> str | None:
    """Return the Color Interop Forum's name of a scene-linear space, None where there is none."""
    stated = tuple(float(x) for xy in chromaticities for x in xy)
    name: str | None = OpenEXR.chromaticitiesToColorInteropID(stated)
    return name


def interop_chromaticities(name: str) -> Chromaticities | None:
    """Return what a `colorInteropID` stands for, None where the library does not know it."""
    stated = OpenEXR.colorInteropIDToChromaticities(name)
    return None if stated is None else _known(stated)


def _chromaticities(header: Any) -> Chromaticities | None:
    stated = header.get("chromaticities")
    if stated is None and (name := header.get("colorInteropID")):
        return interop_chromaticities(str(name))
    return None if stated is None else _known(stated)


def _known(stated: Any) -> Chromaticities:
    """Return what a header states, a known space exactly where it agrees to float32's precision."""
    values = np.array(stated, np.float64)
    for space in SPACES.values():
        if np.abs(np.ravel(space) - values).max() < 1e-5:
            return space
    return Chromaticities(*((round(float(x), 6), round(float(y), 6)) for x, y in values.reshape(4, 2)))


def _plain(value: Any) -> Any:
    match value:
        case None | str() | int() | float():
            return value
        case np.ndarray() | np.generic():
            return value.tolist()
        case Enum():
            return value.name
        case tuple() | list():
            return [_plain(item) for item in value]
        case Fraction():
            return float(value)
    return str(value)


def _pixel_type(samples: NDArray[Any]) -> str:
    return {"u": "uint", "O": "deep"}.get(
        samples.dtype.kind, "half" if samples.dtype == np.float16 else "float"
    )


def _samples(planes: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Return the array that holds a channel: its own, or that of the colours that the library has put together."""
    if name in planes:
        return planes[name]
    layer = name.rpartition(".")[0]
    return next(planes[key] for key in (layer, "RGBA", "RGB") if key in planes)


def _stored_part(index: int, part: Any) -> StoredPart:
    header = part.header
    planes = {name: channel.pixels for name, channel in part.channels.items()}
    channels = tuple(
        StoredChannel(c.name, _pixel_type(_samples(planes, c.name)), (int(c.xSampling), int(c.ySampling)))
        for c in header["channels"]
    )
    storage = header["type"].name.removesuffix("image") if "type" in header else "scanline"
    return StoredPart(index, str(header.get("name") or ""), str(header.get("view") or ""), storage, channels)


def _as_float(pixels: NDArray[Any]) -> NDArray[np.floating]:
    if pixels.dtype.kind == "u":
        return (pixels * (1.0 / np.iinfo(pixels.dtype).max)).astype(np.float32)
    return pixels


def _assemble(
    path: Path, planes: dict[str, NDArray[np.floating]], taken: Layer, stated: Chromaticities | None
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    alpha = planes[taken.alpha] if taken.alpha else None
    colours = [planes[name] for name in taken.channels]
    if len(colours) == 1:
        return np.repeat(colours[0][..., None], 3, axis=-1), alpha
    if taken.kind != "luminance-chroma":
        if len({colour.shape for colour in colours}) > 1:
            raise UnreadableImage(path, "has subsampled RGB channels, which are not supported")
        return np.stack(colours, axis=-1), alpha
    y, ry, by = colours
    weights = luminance_weights(stated or CHROMATICITIES_WHEN_NONE_STATED)
    rgb = rgb_from_luminance_chroma(y, _upsampled(ry, y.shape), _upsampled(by, y.shape), weights)
    return rgb, alpha  # float32: colours of a half luminance may be beyond halves


def rgb_from_luminance_chroma(
    y: NDArray[np.floating], ry: NDArray[np.floating], by: NDArray[np.floating], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Rebuild RGB from luminance and RY = (R - Y) / Y, BY = (B - Y) / Y (OpenEXR's Technical Introduction).

    Parameters
    ----------
    y, ry, by
        All of shape ``(height, width)``.
    weights
        The luminance weights of the primaries, summing to 1.
    """
    y = y.astype(np.float32)
    red, blue = (ry + np.float32(1)) * y, (by + np.float32(1)) * y
    w_r, w_g, w_b = weights.astype(np.float32)
    return np.stack([red, (y - w_r * red - w_b * blue) / w_g, blue], axis=-1)


def _upsampled(chroma: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Bring chroma to the size of luminance: stored samples stay, those between are OpenEXR's filter."""
    result = chroma.astype(np.float32)
    for axis in (0, 1):
        if result.shape[axis] != shape[axis]:
            result = _doubled(result, axis, shape[axis])
    return result


def _doubled(samples: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    if (length + 1) // 2 != samples.shape[axis]:
        raise ValueError(f"{samples.shape[axis]} samples cannot be every second of {length}")
    samples = np.moveaxis(samples, axis, 0)
    taps = np.concatenate([_CHROMA_TAPS, _CHROMA_TAPS[::-1]])
    padded = np.pad(samples, ((6, 7), (0, 0)), mode="edge")
    between = sum(tap * padded[i : i + len(samples)] for i, tap in enumerate(taps))
    # Luminance times an overshoot is a coloured fringe, so what lies between stays between its neighbours.
    following = padded[7 : 7 + len(samples)]
    between = np.clip(between, np.minimum(samples, following), np.maximum(samples, following))
    result = np.empty((2 * len(samples), *samples.shape[1:]), np.float32)
    result[0::2], result[1::2] = samples, between
    return np.moveaxis(result[:length], 0, axis)


def _check_attributes(path: Path, attributes: Mapping[str, str | int | float]) -> None:
    for name, value in attributes.items():
        if len(name) > ATTRIBUTE_NAME_MAX:
            raise HdrgenError(
                f"{path}: attribute name {name!r} is longer than {ATTRIBUTE_NAME_MAX} characters"
            )
        if name in _STRUCTURE:
            raise HdrgenError(f"{path}: attribute {name!r} is set by the picture itself")
        if isinstance(value, int) and not -(2**31) <= value < 2**31:
            raise HdrgenError(f"{path}: attribute {name!r} = {value} does not fit 32 bits; store it as text")


def _as_stored(
    path: Path,
    values: NDArray[np.floating],
    channels: str,
    *,
    pixel_type: Literal["half", "float"],
    overflow: Literal["raise", "clamp"],
    allow_nonfinite: bool,
) -> tuple[NDArray[np.floating], int]:
    """Round to the stored type, contiguous; the second value counts what was clamped."""
    stored: NDArray[np.floating]
    if pixel_type == "half":
        stored = to_half(values)
        good = all_finite(stored)
    else:
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(values, np.float32)
        good = bool(np.isfinite(stored).all())
    if good:
        return stored, 0
    finite = np.isfinite(stored)

    nonfinite = ~np.isfinite(values)
    if nonfinite.any() and not allow_nonfinite:
        raise HdrgenError(
            f"{path}: refused: {_where(values, nonfinite, channels)} not finite; repair the frame first"
        )
    beyond = ~finite & ~nonfinite
    clamped = int(np.count_nonzero(beyond))
    if clamped and overflow == "raise":
        raise HdrgenError(
            f"{path}: refused: {_where(values, beyond, channels)} beyond the half range of {HALF_MAX:g}; "
            "lower the exposure or ask for clamping"
        )
    if clamped:
        stored = stored.copy() if np.shares_memory(stored, values) else stored
        stored[beyond] = np.copysign(np.finfo(stored.dtype).max, stored[beyond])
    return stored, clamped


def _where(values: NDArray[np.floating], bad: NDArray[np.bool_], channels: str) -> str:
    """Say how many values are bad and where the first one is, as the subject of a sentence."""
    y, x, channel = np.argwhere(bad)[0]
    count = int(np.count_nonzero(bad))
    first = f"channel {channels[channel]}, pixel x={x} y={y} is {values[y, x, channel]:g}"
    return f"{count} {'value is' if count == 1 else 'values are'} ({first})"
