"""JPEG of RGB or grey codes: turned upright, whole, and with what profile and EXIF say of colour."""

import io
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageOps
from PIL.JpegImagePlugin import jpeg_factory

from hdrgen.colour.stated_colour import NotUnderstood
from hdrgen.images.exif import says_more, stated_by_exif
from hdrgen.images.icc import stated_by_profile
from hdrgen.images.jpeg_scans import is_whole, scans_of, unsupported, with_end
from hdrgen.images.stored_codes import (
    CodeImage,
    Statement,
    check_codes,
    check_size,
    first_stated,
    rgb_of_grey,
)
from hdrgen.images.stored_image import UnreadableImage

# What Pillow warns of in broken EXIF and multi-picture data does not concern the picture.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_jpeg(path: Path, data: bytes, max_megapixels: float) -> CodeImage[Any]:
    """Read the bytes of a JPEG; see `code_image.read_code`."""
    scans = scans_of(data)
    if (kind := unsupported(scans)) is not None:
        raise UnreadableImage(path, f"is {kind}, which is not supported; save it as PNG or TIFF")
    data = with_end(data, scans)
    # Image.open has a limit of its own to the size, for the whole process.
    with jpeg_factory(io.BytesIO(data)) as image:
        check_size(path, *image.size, max_megapixels)
        check_codes(path, {"L": "grey"}.get(image.mode, image.mode), 8)
        profile, exif = image.info.get("icc_profile", b""), image.getexif()
        sources = {
            "EXIF": says_more(exif),
            **{name: image.info.get(name.lower()) for name in ("XMP", "comment")},
        }
        several = getattr(image, "n_frames", 1) > 1
        upright = np.array(ImageOps.exif_transpose(image))
        whole = is_whole(data, scans, image)
    if not whole:
        raise UnreadableImage(path, "is a truncated JPEG; copy or save it again")
    grey = upright.ndim == 2
    statements: list[Statement] = [partial(stated_by_exif, exif)]
    if profile is None:
        statements.insert(0, _by_part_of_profile)
    elif profile:
        statements.insert(0, partial(stated_by_profile, profile, "ICC profile", grey=grey))
    colour, notes = first_stated(statements)
    if several:
        notes = (*notes, "the JPEG holds more pictures (an HDR gain map is one); the first was taken")
    header = tuple(name for name, value in sources.items() if value)
    code = rgb_of_grey(upright) if grey else upright
    return CodeImage(code, None, text={}, format="jpeg", colour=colour, notes=notes, header=header)


def _by_part_of_profile() -> None:
    """Say what is wrong with a profile that Pillow could not put together."""
    raise NotUnderstood("its colour profile is incomplete")
