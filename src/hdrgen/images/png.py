"""PNG of RGB, grey or palette codes: structure, text, orientation, and what the chunks say of colour.

OpenCV decodes, but returns a damaged picture half grey and without a word, so structure and checksums are looked at
first.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hdrgen.colour.primaries import Chromaticities
from hdrgen.colour.stated_colour import NotUnderstood, StatedColour, from_cicp, from_gamma, named
from hdrgen.images.exif import says_more
from hdrgen.images.geometry import aspect_of_resolutions
from hdrgen.images.icc import stated_by_profile
from hdrgen.images.orientation import orientation_in, upright
from hdrgen.images.stored_codes import CodeImage, check_codes, check_size, decode, first_stated
from hdrgen.images.stored_image import UnreadableImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_COLOURS = {_GREY: "grey", _RGB: "RGB", _PALETTE: "RGB", _GREY_ALPHA: "grey", _RGB_ALPHA: "RGB"}
_TEXT_MAX = 1 << 20
_PROFILE_MAX = 1 << 24

Chunks = list[tuple[bytes, memoryview]]


def read_png(path: Path, data: bytes, max_megapixels: float) -> CodeImage[Any]:
    """Read the bytes of a PNG; see `code_image.read_code`."""
    chunks = _chunks(path, data)
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise UnreadableImage(path, "is a damaged PNG (no header)")
    width, height, bits, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    check_size(path, width, height, max_megapixels)
    is_small = kind in (_GREY, _PALETTE) and bits in (1, 2, 4)
    check_codes(path, _COLOURS.get(kind, "strange"), 8 if is_small else bits)
    first = dict(reversed(chunks))  # of each kind
    colour, notes = _stated_colour(first, grey=kind in (_GREY, _GREY_ALPHA))
    notes = (*notes, *_tones(kind, bits, len(first.get(b"PLTE", b"")) // 3))
    if b"acTL" in first:
        notes = (*notes, "the PNG is animated; its first picture was taken")
    code, alpha = _pixels(path, data, kind, bits, bytes(first.get(b"tRNS", b"")))
    orientation = 1
    if b"eXIf" in first:
        orientation = orientation_in(bytes(first[b"eXIf"]))
        code = upright(code, orientation)
        alpha = None if alpha is None else upright(alpha, orientation)
    text = _text(chunks)
    return CodeImage(
        code,
        alpha,
        text,
        format="png",
        colour=colour,
        notes=notes,
        header=_header(text, first),
        pixel_aspect_ratio=_pixel_aspect_ratio(first, orientation),
    )


def _pixels(
    path: Path, data: bytes, kind: int, bits: int, transparent: bytes
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return RGB, and alpha where there is any; codes of 1 to 4 bits become such of 8."""
    # libpng drops a transparent colour that is not three numbers.
    if (
        kind in (_GREY_ALPHA, _RGB_ALPHA)
        or (kind == _RGB and len(transparent) == 6)
        or (kind == _PALETTE and transparent)
    ):
        stored = decode(path, data, cv2.IMREAD_UNCHANGED)
        if stored.shape[2] == 3:
            return cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), None
        return cv2.cvtColor(stored, cv2.COLOR_BGRA2RGB), np.ascontiguousarray(stored[..., 3])
    code = decode(path, data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH)
    if kind != _GREY or len(transparent) != 2:
        return code, None
    # OpenCV leaves out a transparent grey.
    largest = np.iinfo(code.dtype).max
    clear = (int.from_bytes(transparent) & (2**bits - 1)) * largest // (2**bits - 1)
    return code, np.where(code[..., 0] == clear, 0, largest).astype(code.dtype)


def _tones(kind: int, bits: int, colours: int) -> tuple[str, ...]:
    """Return that a picture has few tones, for a person who wonders at steps in its light."""
    if kind == _PALETTE:
        return (f"the PNG has a palette of {colours} colours, so it has few tones",)
    return (f"the PNG is grey of {bits} bit{'s' * (bits > 1)}: {2**bits} tones",) if bits < 8 else ()


def _pixel_aspect_ratio(first: Mapping[bytes, memoryview], orientation: int) -> float:
    if len(first.get(b"pHYs", b"")) != 9:
        return 1.0
    across, down, _ = struct.unpack(">IIB", first[b"pHYs"])
    return aspect_of_resolutions(across, down, orientation)


def _chunks(path: Path, data: bytes) -> Chunks:
    """Return the type and content of each chunk, the checksums and the end having been looked at."""
    view = memoryview(data)
    chunks = []
    position = len(SIGNATURE)
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


def _header(text: dict[str, str], first: Mapping[bytes, memoryview]) -> tuple[str, ...]:
    """Return keywords that are not ours, and EXIF where it says more than the orientation."""
    names = [keyword for keyword in text if not keyword.startswith("hdrgen:")]
    if b"eXIf" in first:
        exif = Image.Exif()
        with suppress(Exception):  # Pillow fails on damage in every way there is, and the picture is whole
            exif.load(bytes(first[b"eXIf"]))
        if says_more(exif):
            names.append("EXIF")
    return tuple(names)


def _text(chunks: Chunks) -> dict[str, str]:
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


def _stated_colour(
    first: Mapping[bytes, memoryview], *, grey: bool
) -> tuple[StatedColour | None, tuple[str, ...]]:
    """Return what the chunks say, in the order of precedence of PNG's third edition (section 4.3)."""
    readers: dict[bytes, Callable[[Mapping[bytes, memoryview]], StatedColour | None]] = {
        b"cICP": _cicp,
        b"iCCP": partial(_iccp, grey=grey),
        b"sRGB": _srgb,
        b"gAMA": _gamma,
        b"cHRM": _primaries_alone,
    }
    return first_stated([partial(read, first) for kind, read in readers.items() if kind in first])


def _cicp(first: Mapping[bytes, memoryview]) -> StatedColour | None:
    if len(first[b"cICP"]) != 4:
        raise NotUnderstood("the cICP chunk is damaged")
    return from_cicp(struct.unpack("4B", first[b"cICP"]), "cICP")


def _iccp(first: Mapping[bytes, memoryview], *, grey: bool) -> StatedColour | None:
    _, _, compressed = bytes(first[b"iCCP"]).partition(b"\0")
    try:
        profile = zlib.decompressobj().decompress(compressed[1:], _PROFILE_MAX)
    except zlib.error:
        raise NotUnderstood("the iCCP chunk is damaged") from None
    return stated_by_profile(profile, "iCCP", grey=grey)


def _srgb(_: Mapping[bytes, memoryview]) -> StatedColour:
    return named("srgb_rec709", "sRGB chunk")


def _gamma(first: Mapping[bytes, memoryview]) -> StatedColour:
    if len(first[b"gAMA"]) != 4:
        raise NotUnderstood("the gAMA chunk is damaged")
    encoding_exponent = int.from_bytes(first[b"gAMA"]) / 100000
    if encoding_exponent == 0:
        raise NotUnderstood("gamma 0 is no curve")
    chromaticities = None
    if b"cHRM" in first:
        if len(first[b"cHRM"]) != 32:
            raise NotUnderstood("the cHRM chunk is damaged")
        wx, wy, rx, ry, gx, gy, bx, by = (value / 100000 for value in struct.unpack(">8I", first[b"cHRM"]))
        chromaticities = Chromaticities((rx, ry), (gx, gy), (bx, by), (wx, wy))
    return from_gamma(1 / encoding_exponent, chromaticities, "gAMA and cHRM" if chromaticities else "gAMA")


def _primaries_alone(first: Mapping[bytes, memoryview]) -> None:
    if b"gAMA" not in first:
        raise NotUnderstood("primaries (cHRM) without a curve (gAMA)")
