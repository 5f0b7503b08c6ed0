"""TIFF of RGB or grey codes: which page is the picture, whether all of it is there, and what its fourth channel is.

tifffile and imagecodecs decode: OpenCV multiplies 8-bit RGB by alpha without being asked, turns pictures, and reads
damaged strips as whole.
"""

import io
import logging
import math
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from hdrgen.images.geometry import aspect_of_resolutions
from hdrgen.images.icc import stated_by_profile
from hdrgen.images.jpeg_scans import is_whole_segment
from hdrgen.images.orientation import upright
from hdrgen.images.stored_codes import CodeImage, check_codes, check_size, first_stated, rgb_of_grey
from hdrgen.images.stored_image import UnreadableImage

# Damage is told by an error; what tifffile logs of each broken tag would bury it.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_REDUCED, _MASK = 1, 4
_SUBFILE, _OLD_SUBFILE, _ORIENTATION, _JPEG_TABLES, _PROFILE = 254, 255, 274, 347, 34675
_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_OLD_REDUCED = 2
_ASSOCIATED, _STRAIGHT = 1, 2
_HEADER_TAGS = {
    270: "image description",
    271: "make",
    272: "model",
    315: "artist",
    700: "XMP",
    33432: "copyright",
    33723: "IPTC",
    34665: "EXIF",
}
_KINDS = {
    "RGB": "RGB",
    "MINISBLACK": "grey",
    "MINISWHITE": "grey",
    "YCBCR": "YCbCr",
    "PALETTE": "palette",
    "SEPARATED": "CMYK",
    "CFA": "raw camera",
    "CIELAB": "CIELab",
    "ICCLAB": "CIELab",
}
_CONVERTING = (
    tifffile.COMPRESSION.OJPEG,
    tifffile.COMPRESSION.JPEG,
    tifffile.COMPRESSION.ALT_JPEG,
    tifffile.COMPRESSION.JPEG_LOSSY,
)
"""Compressions whose decoders turn YCbCr into RGB."""
_THUMBNAIL = 2
"""How many times smaller than a later page of its shape a first page is taken for that page's thumbnail."""


def read_tiff(path: Path, data: bytes, max_megapixels: float) -> CodeImage[Any]:
    """Read the bytes of a TIFF; see `code_image.read_code`."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page, notes = _picture_page(file)
        _check(path, page, data, max_megapixels)
        stored = _pixels(page)
        orientation = int(_value(page, _ORIENTATION, 1))
        profile = _value(page, _PROFILE, b"")
        header = _header(page)
        pixel_aspect_ratio = _pixel_aspect_ratio(page, orientation)
        extra = tuple(int(kind) for kind in page.extrasamples)
        white_is_zero = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        grey = white_is_zero or page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
    code, alpha, left = _alpha(stored, extra, 1 if grey else 3)
    if grey:
        code = rgb_of_grey(~code[..., 0] if white_is_zero else code[..., 0])
    colour, unknown = first_stated(
        [partial(stated_by_profile, bytes(profile), "ICC profile", grey=grey)] if profile else []
    )
    return CodeImage(
        upright(code, orientation),
        None if alpha is None else upright(alpha, orientation),
        text={},
        format="tiff",
        colour=colour,
        notes=(*notes, *left, *unknown),
        header=header,
        pixel_aspect_ratio=pixel_aspect_ratio,
    )


def _pixel_aspect_ratio(page: Any, orientation: int) -> float:
    resolutions = [_value(page, tag, None) for tag in (_X_RESOLUTION, _Y_RESOLUTION)]
    try:
        (across, unit), (down, other) = resolutions
        return aspect_of_resolutions(across / unit, down / other, orientation)
    except (TypeError, ValueError, ArithmeticError):
        return 1.0  # the picture is whole, and that is what counts


def _value(page: Any, tag: int, default: Any) -> Any:
    stored = page.tags.get(tag)
    return default if stored is None else stored.value


def _header(page: Any) -> tuple[str, ...]:
    """Return what else a page says; descriptions that are ours or tifffile's speak of how it was stored."""
    names = [name for tag, name in _HEADER_TAGS.items() if tag in page.tags]
    if str(page.description).startswith(("hdrgen:", '{"shape"')) or not page.description:
        names = [name for name in names if name != "image description"]
    return tuple(names)


def _pages(file: tifffile.TiffFile) -> list[Any]:
    """Return the pages up to the first that cannot be read; the first of all must be."""
    pages: list[Any] = [file.pages[0]]
    with suppress(Exception):  # tifffile fails on damage in every way there is
        # The length first: it ends a chain that leads back. Pages before the damage stay.
        pages.extend(file.pages[number] for number in range(1, len(file.pages)))
    return pages


def _is_whole_picture(page: Any) -> bool:
    """Tell a page from a reduced one, a mask, and what a damaged chain of pages leads to."""
    kind = _value(page, _SUBFILE, 0)
    reduced = kind & _REDUCED or _value(page, _OLD_SUBFILE, 0) == _OLD_REDUCED
    return bool(page.imagewidth > 0 and page.imagelength > 0 and not reduced and not kind & _MASK)


def _beneath(page: Any) -> list[Any]:
    """Return the whole pictures in a page's own pages (SubIFDs), as far as they can be read."""
    with suppress(Exception):  # tifffile fails on damage in every way there is
        return [part for part in page.pages or () if _is_whole_picture(part)]
    return []


def _area(page: Any) -> int:
    return int(page.imagewidth * page.imagelength)


def _picture_page(file: tifffile.TiffFile) -> tuple[Any, list[str]]:
    """Return the page that is the picture, and notes of what it was chosen from."""
    pages = _pages(file)
    whole = [page for page in pages if _is_whole_picture(page)]
    # In raw files the first page is a preview, and the picture lies beneath it.
    whole = whole or [part for page in pages for part in _beneath(page)]
    if not whole:
        return pages[0], ["the TIFF holds nothing but a reduced picture, which was taken"]
    first = whole[0]
    below = max(_beneath(first), key=_area, default=first)
    if _area(below) > _area(first):
        size = f"{first.imagewidth}x{first.imagelength}"
        return below, [f"the first page is a preview of {size}; the larger picture beneath it was taken"]
    largest = max(whole, key=_area)
    if _is_thumbnail_of(first, largest):
        size = f"{first.imagewidth}x{first.imagelength}"
        return largest, [f"the first page is a thumbnail of {size}; the largest was taken"]
    notes = []
    if first is not pages[0]:
        notes.append("the first page is a reduced picture or a mask; the first that is not was taken")
    if len(whole) > 1:
        notes.append(f"the TIFF has {len(whole)} pages; the first was taken")
    return first, notes


def _is_thumbnail_of(small: Any, large: Any) -> bool:
    across, down = large.imagewidth / small.imagewidth, large.imagelength / small.imagelength
    return min(across, down) >= _THUMBNAIL and math.isclose(across, down, rel_tol=0.02)


def _check(path: Path, page: Any, data: bytes, max_megapixels: float) -> None:
    check_size(path, page.imagewidth, page.imagelength, max_megapixels)
    if page.sampleformat != tifffile.SAMPLEFORMAT.UINT:
        raise UnreadableImage(
            path, "is a TIFF of floats or signed values, not of code values; save it as EXR"
        )
    kind = _KINDS.get(name := getattr(page.photometric, "name", "strange"), name)
    if kind == "YCbCr" and page.compression in _CONVERTING:
        kind = "RGB"
    if kind == "RGB" and page.samplesperpixel < 3:
        kind = f"{page.samplesperpixel}-channel"
    if kind == "grey" and page.samplesperpixel > 2:
        kind = f"{page.samplesperpixel}-channel grey"
    check_codes(path, kind, page.bitspersample)
    if page.imagedepth > 1:
        raise UnreadableImage(path, "is a volume of several slices, not a picture; save one slice of it")
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except (KeyError, ValueError):
        name = getattr(page.compression, "name", page.compression)
        raise UnreadableImage(
            path, f"its compression ({name}) is not supported; save it with ZIP compression"
        ) from None
    parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if max(map(sum, parts), default=0) > len(data):
        raise UnreadableImage(path, "is a truncated TIFF; copy or save it again")
    needed = math.prod(page.chunked)
    tables = bytes(_value(page, _JPEG_TABLES, b""))
    if page.compression in _CONVERTING[1:] and not all(
        is_whole_segment(data[start : start + count], tables) for start, count in parts if count
    ):
        raise UnreadableImage(path, "is a truncated TIFF; copy or save it again")
    there = sum(offset > 0 and count > 0 for offset, count in parts)
    if there < needed:
        what = "tiles" if page.is_tiled else "strips"
        raise UnreadableImage(
            path, f"is a truncated TIFF: {needed - there} of {needed} {what} are missing; save it again"
        )


def _pixels(page: Any) -> NDArray[Any]:
    """Return a page as ``(height, width, samples)``."""
    pixels: NDArray[Any] = page.asarray()
    if pixels.ndim == 2:
        return pixels[..., None]
    return pixels if page.planarconfig == tifffile.PLANARCONFIG.CONTIG else np.moveaxis(pixels, 0, -1)


def _alpha(
    stored: NDArray[Any], extra: tuple[int, ...], colours: int
) -> tuple[NDArray[Any], NDArray[Any] | None, list[str]]:
    """Return the colour codes, not multiplied by alpha, alpha where a channel is said to be it, and notes.

    TIFF 6.0, section 18: an extra sample is unspecified (0), alpha that the codes were multiplied by (1), or alpha
    alone (2).
    """
    code, others = stored[..., :colours], stored.shape[2] - colours
    extra = (*extra, *([0] * others))[:others]
    place = next((i for i, kind in enumerate(extra) if kind in (_ASSOCIATED, _STRAIGHT)), None)
    left = others if place is None else others - 1
    notes = [f"{left} extra channel{'s' * (left > 1)} not said to be alpha left out"] if left else []
    if place is None:
        return code, None, notes
    alpha = stored[..., colours + place]
    if extra[place] == _ASSOCIATED:
        code = _divided(code, alpha)
        notes.append("the codes were multiplied by alpha, which was undone before decoding")
    return code, alpha, notes


def _divided(code: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Return codes divided by alpha, rounded; where alpha is 0 there is nothing to divide, and codes stay."""
    largest = np.iinfo(code.dtype).max
    opaque = np.where(alpha > 0, alpha, largest)[..., None].astype(np.float64)
    return np.minimum(np.rint(code * float(largest) / opaque), largest).astype(code.dtype)
