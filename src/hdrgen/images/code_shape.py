"""The shape of pixels that a PNG or TIFF states by its resolutions, across and down."""

import struct
from pathlib import Path

import tifffile
from PIL import ExifTags, Image

from hdrgen.images.geometry import Geometry, is_meant
from hdrgen.images.tiff import picture_page

_TURNED = (5, 6, 7, 8)
"""Orientations of EXIF that swap width and height."""

_Stated = tuple[float, float, int]
"""Pixels across and down some unit, and the orientation of the picture."""


def stated_geometry(path: Path, width: int, height: int) -> Geometry | None:
    """Return the geometry of a picture of codes that says its pixels are not square, None for any other.

    Parameters
    ----------
    path
        A picture that has been read; JPEGs, whose densities nobody sets, say nothing.
    width, height
        Of the picture the right way up, in pixels.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
        stated = (
            _png(path)
            if start == b"\x89PNG\r\n\x1a\n"
            else _tiff(path)
            if start[:2] in (b"II", b"MM")
            else None
        )
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        ArithmeticError,
        struct.error,
        tifffile.TiffFileError,
    ):
        return None  # the picture is whole, and that is what counts
    if stated is None:
        return None
    across, down, orientation = stated
    if across <= 0 or down <= 0 or across == down:
        return None
    aspect = across / down if orientation in _TURNED else down / across
    window = (0, 0, width - 1, height - 1)
    return Geometry(window, window, aspect) if is_meant(aspect) else None


def shape_notes(geometry: Geometry | None) -> tuple[str, ...]:
    """Return the shape that `stated_geometry` found, for a person; nothing where it found none."""
    if geometry is None:
        return ()
    return (f"pixels are {geometry.pixel_aspect_ratio:.4g} times as wide as high, by its resolutions",)


def _png(path: Path) -> _Stated | None:
    found: dict[bytes, bytes] = {}
    with path.open("rb") as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8 and (kind := head[4:]) not in (b"IDAT", b"IEND"):
            (length,) = struct.unpack(">I", head[:4])
            if kind in (b"pHYs", b"eXIf"):
                found[kind] = stream.read(length)
                length = 0
            stream.seek(length + 4, 1)
    if b"pHYs" not in found:
        return None
    across, down, _ = struct.unpack(">IIB", found[b"pHYs"])
    exif = Image.Exif()
    exif.load(found.get(b"eXIf", b""))
    return across, down, int(exif.get(ExifTags.Base.Orientation, 1))


def _tiff(path: Path) -> _Stated | None:
    with tifffile.TiffFile(path) as file:
        tags = picture_page(file)[0].tags
        values = [tags.valueof(name) for name in ("XResolution", "YResolution")]
        orientation = int(tags.valueof("Orientation") or 1)
    if None in values:
        return None
    (across, unit), (down, other) = values
    return across / unit, down / other, orientation
