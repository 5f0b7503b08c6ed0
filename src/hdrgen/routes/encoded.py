"""Encoded pictures: which curve their codes are in, as they say themselves or as is usual where they do not.

Our own pictures say it in their PNG text. Of others, a JPEG is taken for a photograph in sRGB, a PNG or TIFF for a
LogC4 plate, which is what the models generate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hdrgen.colour import ocio
from hdrgen.colour.encodings import ENCODINGS, Encoding
from hdrgen.images.code_image import CodeImage
from hdrgen.runtime.errors import HdrgenError

ENCODING, PRIMARIES, EV = "hdrgen:encoding", "hdrgen:primaries", "hdrgen:ev"
CONVERTED_SPACE = "hdrgen:space"  # by `hdrgen convert`, in the words of the OpenColorIO configuration

CODE_ENCODINGS = {
    "logc4": "logc4_awg4",
    "srgb": "srgb_rec709",
    "logc3": "logc3_awg3",
    "linear": "linear_rec709",
}
"""Encodings of integer codes by their short names, as keys of `ENCODINGS`."""


def encoding_named(name: str) -> Encoding:
    """Return the curve and primaries of a short name.

    Raises
    ------
    HdrgenError
        It is none of `CODE_ENCODINGS`.
    """
    if name not in CODE_ENCODINGS:
        raise HdrgenError(f"unknown encoding {name!r}; known are {', '.join(CODE_ENCODINGS)}")
    return ENCODINGS[CODE_ENCODINGS[name]]


def encoding_of(
    paths: Sequence[Path], pictures: Sequence[CodeImage[Any]], asked: str | None
) -> tuple[str, tuple[str, ...]]:
    """Return the short name of the one encoding of some pictures, and a note unless they simply say it.

    Raises
    ------
    HdrgenError
        They are of several encodings, or of one that is not known; or `asked` is not.
    """
    stated = [_stated(picture) for picture in pictures]
    if asked is not None:
        encoding_named(asked)
        others = sorted({name for name in stated if name and name != asked})
        return asked, (f"the picture says {others[0]}; {asked} was asked for",) if others else ()
    for path, name in zip(paths, stated, strict=True):
        if name and name not in CODE_ENCODINGS:
            raise HdrgenError(f"{path}: says it is {name!r}, which is unknown here; give --encoding")
    found = [
        name or ("srgb" if picture.format == "jpeg" else "logc4")
        for name, picture in zip(stated, pictures, strict=True)
    ]
    for path, name in zip(paths, found, strict=True):
        if name != found[0]:
            raise HdrgenError(f"{paths[0]} is {found[0]} and {path} is {name}; give --encoding if not")
    if all(stated):
        return found[0], ()
    return found[0], (f"nothing says the encoding, so {found[0]}; say --encoding if not",)


def _stated(picture: CodeImage[Any]) -> str | None:
    """Return what a picture says of its encoding, in a short name where there is one."""
    if CONVERTED_SPACE in picture.text:
        space = picture.text[CONVERTED_SPACE]
        names = {ocio.space_name(name): name for name in CODE_ENCODINGS if ocio.knows(name)}
        return names.get(space, space)
    return picture.text.get(ENCODING)
