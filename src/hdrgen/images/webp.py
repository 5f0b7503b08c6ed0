"""WebP of RGB codes, lossy or lossless: turned upright, whole, and with what profile and EXIF say of colour.

RFC 9649. Chunks are looked at before anything is decoded. imagecodecs decodes: Pillow takes every file for an animation
and holds two more pictures of the size that it claims.
"""

import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hdrgen.images.exif import says_more, stated_by_exif
from hdrgen.images.icc import stated_by_profile
from hdrgen.images.orientation import orientation_in, upright
from hdrgen.images.stored_codes import CodeImage, Statement, check_size, first_stated
from hdrgen.images.stored_image import UnreadableImage

START_BYTES = 30
"""How much of a file `claimed_size` looks at."""
_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_ANIMATION = (b"ANIM", b"ANMF")
_ANIMATED = 0x02
_ALPHA_IS_USED = 1 << 28

Chunks = Mapping[bytes, memoryview]


def is_webp(start: bytes) -> bool:
    """Tell by the first 12 bytes of a file."""
    return start[:4] == b"RIFF" and start[8:12] == b"WEBP"


def claimed_size(path: Path, start: bytes) -> tuple[int, int]:
    """Return the width and height that the first `START_BYTES` of a WebP claim, as it is stored.

    Raises
    ------
    UnreadableImage
        They claim none.
    """
    if len(start) < START_BYTES:
        raise _truncated(path)
    return _size(path, start[12:16], start[20:])


def read_webp(path: Path, data: bytes, max_megapixels: float) -> CodeImage[Any]:
    """Read the bytes of a WebP; see `code_image.read_code`."""
    width, height = claimed_size(path, data)
    check_size(path, width, height, max_megapixels)
    chunks = _chunks(path, data)
    animated = _EXTENDED in chunks and chunks[_EXTENDED][0] & _ANIMATED
    if animated or any(kind in chunks for kind in _ANIMATION):
        raise UnreadableImage(path, "is an animated WebP; give its frames as files, such as PNG")
    kind = next((kind for kind in (_LOSSY, _LOSSLESS) if kind in chunks), None)
    if kind is None:
        raise UnreadableImage(path, "is a damaged WebP (no picture in it)")
    if _size(path, kind, chunks[kind]) != (width, height):
        raise UnreadableImage(path, "is a damaged WebP (two sizes)")
    code, alpha = _pixels(path, data, has_alpha=_has_alpha(kind, chunks))
    stored_exif, profile = bytes(chunks.get(b"EXIF", b"")), bytes(chunks.get(b"ICCP", b""))
    exif, statements = Image.Exif(), list[Statement]()
    if profile:
        statements.append(partial(stated_by_profile, profile, "ICC profile"))
    if stored_exif:
        orientation = orientation_in(stored_exif)
        code, alpha = upright(code, orientation), None if alpha is None else upright(alpha, orientation)
        exif = _exif(stored_exif)
        statements.append(partial(stated_by_exif, exif))
    colour, notes = first_stated(statements)
    sources = {"EXIF": says_more(exif), "XMP": b"XMP " in chunks}
    header = tuple(name for name, said in sources.items() if said)
    return CodeImage(code, alpha, text={}, format="webp", colour=colour, notes=notes, header=header)


def _truncated(path: Path) -> UnreadableImage:
    return UnreadableImage(path, "is a truncated WebP; copy or save it again")


def _size(path: Path, kind: bytes, content: bytes | memoryview) -> tuple[int, int]:
    """Return the width and height that the first bytes of a chunk claim."""
    head = bytes(content[:10])
    if kind == _EXTENDED and len(head) == 10:
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if kind == _LOSSLESS and len(head) >= 5 and head[0] == 0x2F:
        (packed,) = struct.unpack_from("<I", head, 1)
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == _LOSSY and head[3:6] == b"\x9d\x01\x2a" and len(head) == 10:
        width, height = struct.unpack_from("<HH", head, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise UnreadableImage(path, "is a damaged WebP (no header)")


def _chunks(path: Path, data: bytes) -> Chunks:
    """Return the first chunk of each kind; all of them are there."""
    view = memoryview(data)
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise _truncated(path)
    chunks: dict[bytes, memoryview] = {}
    position = 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        position += 8
        if position + length > end:
            raise UnreadableImage(path, "is a damaged WebP (a part of it is longer than the whole)")
        chunks.setdefault(kind, view[position : position + length])
        position += length + length % 2
    return chunks


def _has_alpha(kind: bytes, chunks: Chunks) -> bool:
    if kind == _LOSSLESS:
        return bool(int.from_bytes(chunks[kind][1:5], "little") & _ALPHA_IS_USED)
    return b"ALPH" in chunks


def _pixels(path: Path, data: bytes, *, has_alpha: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return RGB, and alpha where there is any; the codes are not multiplied by it."""
    try:
        stored = imagecodecs.webp_decode(data, hasalpha=has_alpha)
    except imagecodecs.WebpError:
        raise UnreadableImage(
            path, "is a damaged or truncated WebP (its pixels cannot be decoded); copy or save it again"
        ) from None
    if not has_alpha:
        return stored, None
    return np.ascontiguousarray(stored[..., :3]), np.ascontiguousarray(stored[..., 3])


def _exif(stored: bytes) -> Image.Exif:
    """Return EXIF, empty where it is damaged: the picture is whole, and that is what counts."""
    exif = Image.Exif()
    with suppress(Exception):  # Pillow fails on damage in every way there is
        exif.load(stored)
    return exif
