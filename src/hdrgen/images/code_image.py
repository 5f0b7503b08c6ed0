"""Pictures of integer code values: PNG, TIFF, JPEG and WebP, told apart by their first bytes.

What a code means (sRGB, LogC4, a tone map) is for the caller to say; here it is a number, and what the file states of
its colour. Each format is read by a module of its own; PNG and TIFF are written here.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from hdrgen.images.jpeg import read_jpeg
from hdrgen.images.png import SIGNATURE, read_png
from hdrgen.images.stored_codes import FORMAT_NAMES, CodeImage, Format
from hdrgen.images.stored_image import UnreadableImage, read_bytes
from hdrgen.images.tiff import read_tiff
from hdrgen.images.webp import is_webp, read_webp
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError, MachineError

__all__ = ["CodeImage", "code_format", "read_code", "read_code8", "write_code", "write_png8", "write_pngs"]

MAX_MEGAPIXELS = 300.0
"""A file of a few kilobytes can claim a picture of gigabytes; 16384 x 16384 still fits."""

_READERS: dict[Format, Callable[[Path, bytes, float], CodeImage[Any]]] = {
    "png": read_png,
    "tiff": read_tiff,
    "jpeg": read_jpeg,
    "webp": read_webp,
}

WRITTEN_SUFFIXES = (".png", ".tif", ".tiff")
"""What `write_code` takes; JPEG and WebP are only read."""


def code_format(path: Path) -> Format | None:
    """Tell the format by the file's first bytes, None for a file of another kind.

    Raises
    ------
    UnreadableImage
        The file is missing or cannot be opened.
    """
    return _format(read_bytes(Path(path), 12))


def read_code8(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> CodeImage[np.uint8]:
    """Read a picture of 8-bit RGB codes, with or without alpha.

    Raises
    ------
    UnreadableImage
        As `read_code`; also when the codes have 16 bits, since what made them matters to what undoes them.
    """
    image = read_code(path, max_megapixels=max_megapixels)
    if image.bits != 8:
        raise UnreadableImage(
            path, f"holds {image.bits}-bit codes where 8-bit are expected; save it with 8 bits"
        )
    return cast("CodeImage[np.uint8]", image)


def read_code(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> CodeImage[Any]:
    """Read a picture of RGB codes as it is stored, 8 or 16 bits each.

    Parameters
    ----------
    path
        PNG, TIFF (its first page that is no thumbnail), JPEG or WebP, of RGB or grey, a PNG also of a palette; the
        suffix does not matter. What says its orientation is turned upright.
    max_megapixels
        What claims to be larger is refused before anything is decoded.

    Raises
    ------
    UnreadableImage
        The file is missing, of another format, damaged, too large, animated WebP, or of other codes (CMYK, float).
    """
    path = Path(path)
    data = read_bytes(path)
    if not data:
        raise UnreadableImage(path, "is empty")
    kind = _format(data[:12])
    if kind is None:
        raise UnreadableImage(path, "is not a PNG, TIFF, JPEG or WebP picture")
    try:
        return _READERS[kind](path, data, max_megapixels)
    except (HdrgenError, MemoryError):
        raise
    except Exception as error:  # decoders fail on damage in every way there is
        why = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
        raise UnreadableImage(path, f"is a damaged {FORMAT_NAMES[kind]} ({why})") from error


def write_png8(
    path: Path, code8: NDArray[np.uint8], *, text: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write 8-bit RGB codes as a PNG whose bytes depend on nothing but the arguments.

    Parameters
    ----------
    path
        Where; the file appears whole or not at all.
    code8
        Shape ``(height, width, 3)``.
    text
        Keywords of 1 to 79 Latin letters, and what they say.

    Raises
    ------
    HdrgenError
        The file cannot be written.
    """
    if code8.dtype != np.uint8:
        raise ValueError(f"needs uint8, not {code8.dtype}")
    _write(Path(path), _png_bytes(code8, text))


def write_pngs(
    pictures: Sequence[tuple[Path, NDArray[Any], Mapping[str, str]]], *, pixel_aspect_ratio: float = 1.0
) -> None:
    """Write pictures that belong together as PNGs of 8 or 16 bits, each with its text: all of them or none.

    The shape of their pixels, width over height, is said where they are not square.

    Raises
    ------
    HdrgenError
        A file cannot be written.
    """
    with ThreadPoolExecutor(len(pictures)) as pool:
        encoded = list(pool.map(_png_bytes, *zip(*((code, text) for _, code, text in pictures), strict=True)))
    written: list[Path] = []
    try:
        with ExitStack() as moves:  # all are written before the first takes its name
            for (path, _, _), data in zip(pictures, encoded, strict=True):
                moves.enter_context(_noted(path, written))
                moves.enter_context(replacing(path)).write_bytes(_with_aspect(data, pixel_aspect_ratio))
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        names = " and ".join(str(path) for path, _, _ in pictures)
        raise MachineError(f"{names}: cannot be written ({error.strerror})") from None


@contextmanager
def _noted(path: Path, written: list[Path]) -> Iterator[None]:
    """Note a path when the block has succeeded."""
    yield
    written.append(path)


def write_code(
    path: Path,
    code: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    text: Mapping[str, str] = MappingProxyType({}),
    pixel_aspect_ratio: float = 1.0,
) -> None:
    """Write RGB codes ``(height, width, 3)``, uint8 or uint16, as PNG or TIFF by the suffix of `path`.

    A TIFF is stored uncompressed, with its text as the image description. The shape of pixels, width over height, is
    said where they are not square: by PNG's pHYs, by TIFF's resolutions.

    Raises
    ------
    HdrgenError
        The suffix names another format, or the file cannot be written.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".png":
            _write(path, _with_aspect(_png_bytes(code, text), pixel_aspect_ratio))
        case ".tif" | ".tiff":
            buffer = io.BytesIO()
            description = "\n".join(f"{keyword}: {value}" for keyword, value in text.items())
            shape: dict[str, Any] = {}
            if pixel_aspect_ratio != 1.0:
                shape = {"resolution": _resolutions(pixel_aspect_ratio), "resolutionunit": "NONE"}
            tifffile.imwrite(
                buffer,
                code,
                photometric="rgb",
                metadata=None,
                software="hdrgen",
                description=description,
                **shape,
            )
            _write(path, buffer.getbuffer())
        case suffix:
            raise HdrgenError(
                f"{path}: code values are written as .png or .tif, not {suffix or 'without a suffix'}"
            )


def _write(path: Path, data: bytes | memoryview) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise MachineError(f"{path}: cannot be written ({error.strerror})") from None


def _format(start: bytes) -> Format | None:
    if start.startswith(SIGNATURE):
        return "png"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if is_webp(start):
        return "webp"
    return "jpeg" if start[:3] == b"\xff\xd8\xff" else None


def _png_bytes(code: NDArray[Any], text: Mapping[str, str]) -> bytes:
    if code.ndim != 3 or code.shape[2] != 3 or code.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"needs uint8 or uint16 RGB of shape (height, width, 3), not {code.dtype} {code.shape}"
        )
    # Level 1 with run lengths: a third of the time of the usual level for a fifth more bytes or less.
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    done, encoded = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(code), cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"cannot encode a picture of shape {code.shape}")
    data = encoded.tobytes()
    return _after_header(data, b"".join(_text_chunk(*item) for item in text.items()))


def _with_aspect(png: bytes, pixel_aspect_ratio: float) -> bytes:
    """Return a PNG that says the shape of its pixels; one of square pixels as it is."""
    if pixel_aspect_ratio == 1.0:
        return png
    return _after_header(png, _chunk(b"pHYs" + struct.pack(">IIB", *_resolutions(pixel_aspect_ratio), 0)))


def _after_header(png: bytes, chunks: bytes) -> bytes:
    header_end = len(SIGNATURE) + 12 + 13
    return png[:header_end] + chunks + png[header_end:]


def _chunk(content: bytes) -> bytes:
    """Return a chunk of a PNG; the content begins with its type."""
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def _resolutions(pixel_aspect_ratio: float) -> tuple[int, int]:
    """Return pixels across and down an unknown unit: wide pixels are fewer across."""
    if pixel_aspect_ratio < 1:
        return _resolutions(1 / pixel_aspect_ratio)[::-1]
    ratio = Fraction(min(pixel_aspect_ratio, 1e5)).limit_denominator(10_000)
    return ratio.denominator, ratio.numerator


def _text_chunk(keyword: str, value: str) -> bytes:
    name = keyword.encode("latin-1")
    if not 1 <= len(name) <= 79:
        raise ValueError(f"keyword {keyword!r} must have 1 to 79 letters")
    try:
        content = b"tEXt" + name + b"\0" + value.encode("latin-1")
    except UnicodeEncodeError:
        content = b"iTXt" + name + b"\0\0\0\0\0" + value.encode()
    return _chunk(content)
