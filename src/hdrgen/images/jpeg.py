"""JPEG of RGB codes: turned upright, whole, and with what profile and EXIF say of colour."""

import io
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from hdrgen.colour.stated_colour import NotUnderstood, StatedColour, named
from hdrgen.images.exif import says_more
from hdrgen.images.icc import stated_by_profile
from hdrgen.images.stored_codes import CodeImage, Statement, check_rgb, check_size, first_stated
from hdrgen.images.stored_image import UnreadableImage

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends the data of a scan: neither a stuffed byte nor a restart."""
_END = b"\xff\xd9"
_MORE = b"\x00\xaa\x55\x33" * 4096
_NOTHING = 128
"""The code that the decoder fills in, in all three components, where there are no data for a block."""


def read_jpeg(path: Path, data: bytes, max_megapixels: float) -> CodeImage[Any]:
    """Read the bytes of a JPEG; see `code_image.read_code`."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            check_size(path, *image.size, max_megapixels)
            check_rgb(path, {"L": "grey"}.get(image.mode, image.mode), 8)
            profile, exif = image.info.get("icc_profile"), image.getexif()
            there = {
                "EXIF": says_more(exif),
                **{name: image.info.get(name.lower()) for name in ("XMP", "comment")},
            }
            several = getattr(image, "n_frames", 1) > 1
            upright = np.array(ImageOps.exif_transpose(image))
            whole = _is_whole(data, image.getpixel((image.width - 1, image.height - 1)))
    except UnreadableImage:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow fails on damage in every way there is
        raise UnreadableImage(path, f"is a damaged JPEG ({str(error).splitlines()[0]})") from None
    if not whole:
        raise UnreadableImage(path, "is a truncated JPEG; copy or save it again")
    statements: list[Statement] = [partial(_by_exif, exif)]
    if profile:
        statements.insert(0, partial(stated_by_profile, profile, "ICC profile"))
    colour, notes = first_stated(statements)
    if several:
        notes = (*notes, "the JPEG holds more pictures (an HDR gain map is one); the first was taken")
    header = tuple(name for name, said in there.items() if said)
    return CodeImage(upright, None, text={}, format="jpeg", colour=colour, notes=notes, header=header)


def _by_exif(exif: Image.Exif) -> StatedColour | None:
    """Return what EXIF says of colour: sRGB, or DCF's optional Adobe RGB, which is told by the interoperability index."""
    try:
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except Exception:  # noqa: BLE001 - Pillow fails on damage in every way there is, and the picture is whole
        raise NotUnderstood("EXIF is damaged") from None
    if space == 2 or (space == 0xFFFF and str(index).startswith("R03")):
        return named("g22_adobergb", "EXIF")
    return named("srgb_rec709", "EXIF") if space == 1 else None


def _is_whole(data: bytes, last: Any) -> bool:
    """Tell whether a JPEG that ends as it should has data for all of its picture, whose last pixel this is.

    Where they run out before the end marker, as when half a file was closed by a program that meant well, the decoder
    fills in mid-grey and says nothing. A picture that ends in that grey is decoded again with more data before the
    marker: a whole one does not change. Pictures in several scans must have sent every coefficient to its last bit.
    """
    unsent, end = _scans(data)
    if unsent:
        return False
    if any(code != _NOTHING for code in last):
        return True
    pictures = [
        Image.open(io.BytesIO(data[:end] + more + _END), formats=["JPEG"]).tobytes() for more in (b"", _MORE)
    ]
    return pictures[0] == pictures[1]


def _scans(data: bytes) -> tuple[bool, int]:
    """Tell whether the scans of a first picture leave a coefficient unsent, and where the data of the last one end.

    ITU-T T.81, annex B, section G.1.1.
    """
    bits_left: dict[int, list[int]] = {}
    progressive, end, position = False, len(data), 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0xD9:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        content = position + 4
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            components = data[content + 6 : content + 6 + 3 * data[content + 5] : 3]
            bits_left = {component: [1] * 64 for component in components}
        elif marker == 0xDA:
            tables = content + 1 + 2 * data[content]
            first, last, bits = data[tables : tables + 3]
            for component in data[content + 1 : tables : 2]:
                if component in bits_left:
                    sent = slice(first, last + 1) if progressive else slice(64)
                    count = len(bits_left[component][sent])
                    bits_left[component][sent] = [bits & 15 if progressive else 0] * count
            following = _MARKER.search(data, position)
            end = position = following.start() if following else len(data)
    return any(any(left) for left in bits_left.values()), end
