"""OpenEXR files: the only module that imports OpenEXR.

The library's pitfalls that this module keeps to itself: a non-contiguous array is written wrong without a
word, a header dictionary is changed by the call it is given to, damaged pixels do not raise but leave a file
without parts and a line on stdout, and float values beyond the half range become Inf in silence.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from hdrgen.images.half_floats import all_finite, to_half
from hdrgen.images.stored_image import InaccessibleImage, SceneImage, StoredHeader, UnreadableImage
from hdrgen.images.written_exr import as_os_error, check_whole
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


def read_header(path: Path) -> StoredHeader:
    """Read what an EXR says about the picture that `read_exr` would return, without decoding pixels.

    The pixel type is missing: the library tells it only with the pixels.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR, is damaged, is deep, or holds no picture.
    """
    path = Path(path)
    header, layout = _choose(path, _open(path, header_only=True))
    return _stored_header(header, layout)


def read_exr(path: Path) -> SceneImage:
    """Read an EXR's picture as it is stored.

    Half, float and uint pixels; scan lines and tiles, the largest level of a mip map; the first part with a
    picture, and in a multi-view file the default view; RGB with or without alpha, a single luminance channel
    (repeated), luminance-chroma at any 2x2 subsampling (RGB rebuilt with the file's own luminance weights),
    and a layer's channels (``left.R``) where there are no others. Uint samples become float32, the largest
    uint being 1.0, as in OpenImageIO. RGB is not divided by alpha: EXR is premultiplied, and emission under
    alpha zero is light.

    Parameters
    ----------
    path
        The file; its suffix does not matter.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR, is damaged, is deep, or holds no picture.
    """
    path = Path(path)
    headers = _open(path, header_only=True)
    header, layout = _choose(path, headers)
    flat = len(headers) == 1 and layout.kind == "rgb" and not layout.prefix
    file = _open_pixels(path, separate=not flat)
    planes = {name: channel.pixels for name, channel in file.parts[layout.part].channels.items()}
    stored = _stored_header(header, layout)
    chroma = layout.kind == "luminance-chroma"

    if "RGB" in planes or "RGBA" in planes:
        packed = _as_float(planes["RGBA"] if "RGBA" in planes else planes["RGB"])
        rgb, alpha = packed[..., :3], packed[..., 3] if packed.shape[-1] == 4 else None
    else:
        rgb, alpha = _assemble(
            path, {n: _as_float(p) for n, p in planes.items()}, layout, stored.chromaticities
        )
    return SceneImage(
        rgb=np.ascontiguousarray(rgb),
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
        chromaticities=stored.chromaticities,
        attributes=stored.attributes,
        pixel_type=_pixel_type(planes, planes[f"{layout.prefix}Y"] if chroma else rgb),
        compression=stored.compression,
        storage=stored.storage,
        part=layout.part,
        view=layout.view,
        luminance_chroma=chroma,
    )


def write_exr(
    path: Path,
    rgb: NDArray[np.floating],
    *,
    chromaticities: Chromaticities,
    attributes: Mapping[str, str | int | float] = MappingProxyType({}),
    alpha: NDArray[np.floating] | None = None,
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
    OSError
        The file cannot be written, or not as a whole.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or not np.issubdtype(rgb.dtype, np.floating):
        raise ValueError(f"needs floating-point RGB of shape (height, width, 3), not {rgb.dtype} {rgb.shape}")
    if alpha is not None and alpha.shape != rgb.shape[:2]:
        raise ValueError(f"alpha {alpha.shape} does not fit RGB {rgb.shape}")
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
    }
    if name := interop_id(chromaticities):
        header["colorInteropID"] = name
    if chromaticities == AP0 and compression == "none" and pixel_type == "half":
        header["acesImageContainerFlag"] = 1
    with replacing(path) as temporary:
        try:
            OpenEXR.File(header, channels).write(str(temporary))
        except RuntimeError as error:
            raise as_os_error(error, path) from None
        check_whole(temporary, path)
    return clamped


@dataclass(frozen=True)
class _Layout:
    """Which channels of which part are the picture."""

    part: int
    prefix: str
    kind: Literal["rgb", "luminance-chroma", "grey"]
    grey: str = "Y"
    view: str = ""


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
        raise InaccessibleImage(path, f"cannot be read ({error.strerror})") from None
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


def _choose(path: Path, headers: list[Any]) -> tuple[Any, _Layout]:
    flat = [(i, header) for i, header in enumerate(headers) if header.get("type") not in _DEEP]
    if not flat:
        raise UnreadableImage(path, "is a deep EXR: flatten it before use")
    for part, header in flat:
        names = {channel.name for channel in header["channels"]}
        views = [str(view) for view in header.get("multiView") or ()]
        view = str(header.get("view") or (views[0] if views else ""))
        layers = sorted({name.rpartition(".")[0] for name in names}, key=lambda layer: (layer != view, layer))
        # The default view of a multi-view file is the one without a prefix.
        for layer in sorted(layers, key=bool):
            prefix = f"{layer}." if layer else ""
            if {f"{prefix}{c}" for c in "RGB"} <= names:
                return header, _Layout(part, prefix, "rgb", view=view)
            if {f"{prefix}{c}" for c in ("Y", "RY", "BY")} <= names:
                return header, _Layout(part, prefix, "luminance-chroma", view=view)
            lone = [c for c in ("Y", "R", "G", "B") if f"{prefix}{c}" in names]
            if len(lone) == 1:
                return header, _Layout(part, prefix, "grey", grey=lone[0], view=view)
    found = sorted(
        {
            channel.name
            for _, header in flat
            for channel in header["channels"]
            if channel.name.strip().isprintable()
        }
        - {""}
    )
    raise UnreadableImage(path, f"holds no picture (channels {', '.join(found[:8]) or 'none'})")


def _stored_header(header: Any, layout: _Layout) -> StoredHeader:
    (x0, y0), (x1, y1) = header["dataWindow"]
    attributes = {name: _plain(value) for name, value in header.items() if name not in _NOT_SHOWN}
    for window in ("dataWindow", "displayWindow"):
        attributes[window] = [int(x) for corner in header[window] for x in corner]
    return StoredHeader(
        width=int(x1) - int(x0) + 1,
        height=int(y1) - int(y0) + 1,
        channels=tuple(channel.name for channel in header["channels"]),
        chromaticities=_chromaticities(header),
        attributes=attributes,
        compression=header["compression"].name.removesuffix("_COMPRESSION").lower(),
        storage="tiled" if header.get("type") == OpenEXR.tiledimage else "scanline",
        part=layout.part,
        view=layout.view,
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


def _pixel_type(planes: dict[str, Any], picture: NDArray[Any]) -> str:
    if any(plane.dtype.kind == "u" for plane in planes.values()):
        return "uint"
    return "half" if picture.dtype == np.float16 else "float"


def _as_float(pixels: NDArray[Any]) -> NDArray[np.floating]:
    if pixels.dtype.kind == "u":
        return (pixels * (1.0 / np.iinfo(pixels.dtype).max)).astype(np.float32)
    return pixels


def _assemble(
    path: Path, planes: dict[str, NDArray[np.floating]], layout: _Layout, stated: Chromaticities | None
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    prefix = layout.prefix
    alpha = planes.get(f"{prefix}A")
    if layout.kind == "grey":
        grey = planes[prefix + layout.grey]
        return np.repeat(grey[..., None], 3, axis=-1), alpha
    if layout.kind == "rgb":
        colours = [planes[prefix + c] for c in "RGB"]
        if len({colour.shape for colour in colours}) > 1:
            raise UnreadableImage(path, "has subsampled RGB channels, which are not supported")
        return np.stack(colours, axis=-1), alpha
    y, ry, by = (planes[prefix + c] for c in ("Y", "RY", "BY"))
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
