"""Whether all of a JPEG is there: its frame, its scans, and whether the decoder had data for every block.

ITU-T T.81, annex B. Also for the strips and tiles of a TIFF, each of which is a JPEG.
"""

import io
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends the data of a scan, and follows stray bytes: neither a stuffed byte nor a restart."""
_START, _END_OF_IMAGE, _SCAN, _ALONE = 0xD8, 0xD9, 0xDA, 0x01
_JPEG_LS = 0xF7
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_END = b"\xff\xd9"
_MORE = b"".join(b"\x00\xaa\x55\x33" * 256 + bytes((0xFF, 0xD0 + n % 8)) for n in range(64))
"""Data for blocks that have none, also behind restarts that are awaited."""
_OTHER = b"\xaa" * 16
_ZEROS = 64
"""How many zero bytes at the end of a scan are looked into: what an interrupted copy leaves."""
_OWN_ZEROS = 4
"""How many of them may be the last of the picture's data; the one of a stuffed byte must be."""
_NOTHING = 128
"""The code that the decoder fills in, in all components, where there are no data for a block."""


@dataclass(frozen=True)
class Scans:
    """What the scans of a JPEG's first picture are.

    `frame` is its frame's marker and `bits` those of its codes. `unsent` tells that the scans leave a coefficient
    unsent, `end` where the data of the last one end, and `closed` whether an end marker follows.
    """

    frame: int
    bits: int
    count: int
    unsent: bool
    end: int
    closed: bool


def scans_of(data: bytes) -> Scans:
    """Follow the markers of a JPEG (section G.1.1 for what a progressive one must send)."""
    bits_left: dict[int, list[int]] = {}
    frame, bits, count, end, position = 0, 8, 0, len(data), 2
    closed = False
    while (match := _MARKER.search(data, position)) is not None:
        marker = data[match.start() + 1]
        closed = marker == _END_OF_IMAGE
        if marker in (_END_OF_IMAGE, _START):
            break
        position = match.end()
        if marker == _ALONE:
            continue
        content = position + 2
        position += int.from_bytes(data[position:content])
        if position > len(data):
            break
        if marker == _JPEG_LS or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            frame, bits = marker, data[content]
            components = data[content + 6 : content + 6 + 3 * data[content + 5] : 3]
            bits_left = {component: [1] * 64 for component in components}
        elif marker == _SCAN:
            count += 1
            tables = content + 1 + 2 * data[content]
            first, last, sent_bits = data[tables : tables + 3]
            progressive = frame in _PROGRESSIVE
            for component in data[content + 1 : tables : 2]:
                if component in bits_left:
                    sent = slice(first, last + 1) if progressive else slice(64)
                    number = len(bits_left[component][sent])
                    bits_left[component][sent] = [sent_bits & 15 if progressive else 0] * number
            following = _MARKER.search(data, position)
            end = position = following.start() if following else len(data)
    unsent = count == 0 or any(any(left) for left in bits_left.values())
    return Scans(frame, bits, count, unsent, end, closed)


def with_end(data: bytes, scans: Scans) -> bytes:
    """Return a JPEG with the end marker that its last scan lacks; others as they are."""
    return data if scans.closed else data[: scans.end] + _END


def is_whole(data: bytes, scans: Scans, image: Image.Image) -> bool:
    """Tell whether a JPEG that ends as it should has data for all of its picture.

    Where they run out before the end marker, as when half a file was closed by a program that meant well, the decoder
    fills in mid-grey and says nothing; zeros, which an interrupted copy leaves, it takes for data. A picture that may
    be such is decoded again with other data behind its own: a whole one does not change.

    Parameters
    ----------
    data, scans
        As `with_end` returns it, and what the scans were before.
    image
        What Pillow made of it.
    """
    if scans.unsent:
        return False
    scan = data[: scans.end]
    filled = len(scan.rstrip(b"\0"))
    if len(scan) - filled >= _ZEROS:
        if _unchanged(image, scan[: filled + _OWN_ZEROS] + _MORE):
            return True
        if _unchanged(image, scan[: -len(_OTHER)] + _OTHER):
            return False  # the zeros go on behind the picture's data
    elif scans.closed and scans.count == 1 and not _ends_in_nothing(image):
        return True
    return _unchanged(image, scan + _MORE)


def _unchanged(image: Image.Image, unclosed: bytes) -> bool:
    with JpegImageFile(io.BytesIO(unclosed + _END)) as other:
        return other.tobytes() == image.tobytes()


def _ends_in_nothing(image: Image.Image) -> bool:
    last = image.getpixel((image.width - 1, image.height - 1))
    return image.mode not in ("L", "RGB") or bool((np.asarray(last) == _NOTHING).all())


def is_whole_segment(data: bytes, tables: bytes) -> bool:
    """Tell whether a strip or tile of a TIFF, a JPEG whose tables may stand apart, has data for all of its pixels.

    One that Pillow does not decode counts as whole.
    """
    joined = tables[:-2] + data[2:] if tables else data
    scans = scans_of(joined)
    if scans.bits != 8 or scans.frame not in (0xC0, 0xC1, 0xC2):
        return True
    joined = with_end(joined, scans)
    try:
        with JpegImageFile(io.BytesIO(joined)) as image:
            return is_whole(joined, scans, image)
    except (OSError, SyntaxError):
        return True


def unsupported(scans: Scans) -> str | None:
    """Return what kind of JPEG it is, where Pillow decodes none of that kind."""
    if scans.frame == _JPEG_LS:
        return "JPEG-LS"
    return f"a JPEG of {scans.bits} bits" if scans.bits != 8 else None
