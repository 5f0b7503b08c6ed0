"""Pictures of integer code values: PNG, TIFF and JPEG, told apart by their first bytes.

What a code means (sRGB, LogC4, a tone map) is for the caller to say; here it is a number. OpenCV decodes PNG
and TIFF, because it is the fastest of the libraries at hand, but it returns a damaged picture half grey and
without a word. So a file's structure, checksums and kind are looked at first.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar, cast

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hdrgen.images.stored_image import UnreadableImage
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

__all__ = ["CodeImage", "code_format", "read_code", "read_code8", "write_code", "write_png8", "write_pngs"]

MAX_MEGAPIXELS = 300.0
"""A file of a few kilobytes can claim a picture of gigabytes; 16384 x 16384 still fits."""

WRITTEN_SUFFIXES = (".png", ".tif", ".tiff")
"""What `write_code` takes; JPEG is only read."""

Format = Literal["png", "tiff", "jpeg"]
CodeT = TypeVar("CodeT", bound=np.unsignedinteger)

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey", 6: "RGB"}
_TEXT_MAX = 1 << 20
_WAY_OUT = "save it as RGB with 8 or 16 bits"


@dataclass(frozen=True)
class CodeImage(Generic[CodeT]):
    """RGB code values as stored, ``(height, width, 3)``, uint8 or uint16.

    `alpha` is ``(height, width)`` of the same type, or None; RGB is not multiplied by it. `text` holds what a
    PNG says about itself, keyword to text; empty for the other formats.
    """

    code: NDArray[CodeT]
    alpha: NDArray[CodeT] | None
    text: Mapping[str, str]
    format: Format

    @property
    def bits(self) -> int:
        """Bits of each code: 8 or 16."""
        return self.code.dtype.itemsize * 8

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.code.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.code.shape[0])


def code_format(path: Path) -> Format | None:
    """Tell the format by the file's first bytes, None for a file of another kind.

    Raises
    ------
    UnreadableImage
        The file is missing or cannot be opened.
    """
    try:
        with Path(path).open("rb") as stream:
            return _format(stream.read(8))
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read ({error.strerror})") from None


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
        PNG, TIFF (its first page) or JPEG; the suffix does not matter. A JPEG is turned as its EXIF says.
    max_megapixels
        What claims to be larger is refused before anything is decoded.

    Raises
    ------
    UnreadableImage
        The file is missing, of another format, damaged, too large, or not RGB (palette, grey, CMYK, float).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read ({error.strerror})") from None
    if not data:
        raise UnreadableImage(path, "is empty")
    match _format(data[:8]):
        case "png":
            return _read_png(path, data, max_megapixels)
        case "tiff":
            return _read_tiff(path, data, max_megapixels)
        case "jpeg":
            return _read_jpeg(path, data, max_megapixels)
    raise UnreadableImage(path, "is not a PNG, TIFF or JPEG picture")


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
        raise HdrgenError(f"{names}: cannot be written ({error.strerror})") from None


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
            said = "\n".join(f"{keyword}: {value}" for keyword, value in text.items())
            shape: dict[str, Any] = {}
            if pixel_aspect_ratio != 1.0:
                shape = {"resolution": _resolutions(pixel_aspect_ratio), "resolutionunit": "NONE"}
            tifffile.imwrite(
                buffer, code, photometric="rgb", metadata=None, software="hdrgen", description=said, **shape
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
        raise HdrgenError(f"{path}: cannot be written ({error.strerror})") from None


def _format(start: bytes) -> Format | None:
    if start == _PNG:
        return "png"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    return "jpeg" if start[:3] == b"\xff\xd8\xff" else None


def _check_size(path: Path, width: int, height: int, max_megapixels: float) -> None:
    if width < 1 or height < 1:
        raise UnreadableImage(path, f"claims a size of {width}x{height}")
    if width * height > max_megapixels * 1e6:
        raise UnreadableImage(path, f"claims {width}x{height}, more than {max_megapixels:g} megapixels")


def _check_colour(path: Path, colour: str, bits: int) -> None:
    if colour != "RGB":
        raise UnreadableImage(path, f"is a {colour} picture, not RGB; {_WAY_OUT}")
    if bits not in (8, 16):
        raise UnreadableImage(path, f"holds {bits}-bit codes; {_WAY_OUT}")


def _read_png(path: Path, data: bytes, max_megapixels: float) -> CodeImage[Any]:
    chunks = _png_chunks(path, data)
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise UnreadableImage(path, "is a damaged PNG (no header)")
    width, height, bits, colour = struct.unpack(">IIBB", chunks[0][1][:10])
    _check_size(path, width, height, max_megapixels)
    _check_colour(path, _PNG_COLOURS.get(colour, "strange"), bits)
    text = _png_text(chunks)
    if colour == 6 or any(kind == b"tRNS" for kind, _ in chunks):
        stored = _decode(path, data, cv2.IMREAD_UNCHANGED)
        alpha = np.ascontiguousarray(stored[..., 3])
        return CodeImage(cv2.cvtColor(stored, cv2.COLOR_BGRA2RGB), alpha, text, "png")
    return CodeImage(_decode(path, data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH), None, text, "png")


def _png_chunks(path: Path, data: bytes) -> list[tuple[bytes, memoryview]]:
    """Return the type and content of each chunk, the checksums and the end having been looked at."""
    view = memoryview(data)
    chunks = []
    position = len(_PNG)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(view[position + 4 : end]) != int.from_bytes(data[end : end + 4]):
            raise UnreadableImage(
                path, f"is a damaged PNG (wrong checksum {position // 1024} KiB into the file)"
            )
        chunks.append((kind, view[position + 8 : end]))
        if kind == b"IEND":
            return chunks
        position = end + 4
    raise UnreadableImage(path, "is a truncated PNG; copy or save it again")


def _png_text(chunks: list[tuple[bytes, memoryview]]) -> dict[str, str]:
    text = {}
    for kind, content in chunks:
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        keyword, _, value = bytes(content).partition(b"\0")
        encoding, compressed = "latin-1", kind == b"zTXt"
        if compressed:
            value = value[1:]
        elif kind == b"iTXt":
            encoding, compressed = "utf-8", value[:1] == b"\1"
            value = value[2:].split(b"\0", 2)[-1]
        if compressed:
            try:
                value = zlib.decompressobj().decompress(value, _TEXT_MAX)
            except zlib.error:
                continue  # the picture is whole, and that is what counts
        text[keyword.decode("latin-1")] = value.decode(encoding, "replace")
    return text


def _read_tiff(path: Path, data: bytes, max_megapixels: float) -> CodeImage[Any]:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            _check_tiff(path, page, len(data), max_megapixels)
            code = _tiff_pixels(path, page, data)
    except UnreadableImage:
        raise
    except Exception as error:  # noqa: BLE001 - tifffile fails on damage in every way there is
        raise UnreadableImage(path, f"is a damaged TIFF ({str(error).splitlines()[0]})") from None
    alpha = np.ascontiguousarray(code[..., 3]) if code.shape[2] > 3 else None
    return CodeImage(np.ascontiguousarray(code[..., :3]), alpha, text={}, format="tiff")


def _check_tiff(path: Path, page: Any, size: int, max_megapixels: float) -> None:
    _check_size(path, page.imagewidth, page.imagelength, max_megapixels)
    if page.sampleformat != tifffile.SAMPLEFORMAT.UINT:
        raise UnreadableImage(
            path, "is a TIFF of floats or signed values, not of code values; save it as EXR"
        )
    names = {"RGB": "RGB", "YCBCR": "RGB", "PALETTE": "palette", "SEPARATED": "CMYK"}
    _check_colour(path, names.get(page.photometric.name, "grey"), page.bitspersample)
    if max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))) > size:
        raise UnreadableImage(path, "is a truncated TIFF; copy or save it again")


def _tiff_pixels(path: Path, page: Any, data: bytes) -> NDArray[Any]:
    """Decode with tifffile where it can: OpenCV multiplies 8-bit RGB by alpha without being asked."""
    try:
        pixels: NDArray[Any] = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        if page.samplesperpixel != 3:
            raise UnreadableImage(
                path, "is a compressed TIFF with alpha; save it with ZIP compression"
            ) from None
        # OpenCV's own conversion to RGB scrambles 16-bit TIFF (seen in 5.0.0).
        return cv2.cvtColor(_decode(path, data, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGR2RGB)
    return pixels if page.planarconfig == tifffile.PLANARCONFIG.CONTIG else np.moveaxis(pixels, 0, -1)


def _decode(path: Path, data: bytes, flags: int) -> NDArray[Any]:
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise UnreadableImage(path, f"cannot be decoded ({error.err})") from None
    if stored is None:
        raise UnreadableImage(path, "cannot be decoded: its pixels are damaged")
    return stored


def _read_jpeg(path: Path, data: bytes, max_megapixels: float) -> CodeImage[Any]:
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            _check_size(path, *image.size, max_megapixels)
            _check_colour(path, {"L": "grey"}.get(image.mode, image.mode), 8)
            upright = ImageOps.exif_transpose(image)
            return CodeImage(np.array(upright), None, text={}, format="jpeg")
    except UnreadableImage:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow fails on damage in every way there is
        raise UnreadableImage(path, f"is a damaged JPEG ({str(error).splitlines()[0]})") from None


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
    header_end = len(_PNG) + 12 + 13
    return data[:header_end] + b"".join(_text_chunk(*item) for item in text.items()) + data[header_end:]


def _with_aspect(png: bytes, pixel_aspect_ratio: float) -> bytes:
    """Return a PNG that says the shape of its pixels; one of square pixels as it is."""
    if pixel_aspect_ratio == 1.0:
        return png
    header_end = 8 + 12 + 13
    content = b"pHYs" + struct.pack(">IIB", *_resolutions(pixel_aspect_ratio), 0)
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:header_end] + chunk + png[header_end:]


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
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
