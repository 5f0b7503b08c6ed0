"""Encoded pictures: which curve their codes are in, as they say themselves or as their codes show.

Our own pictures say it in their PNG text, others in the ways of their format, see `CodeImage.colour`. Of those that say
nothing, a JPEG or WebP is taken for a photograph in sRGB. A PNG or TIFF may be that or a LogC4 plate, which is what the models
generate: codes far below LogC4's black show that it is sRGB; without them it is a question, for a matte or foggy sRGB
picture looks like LogC4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour import ocio
from hdrgen.colour.encodings import ENCODINGS, Encoding
from hdrgen.colour.stated_colour import StatedColour
from hdrgen.images.code_image import CodeImage
from hdrgen.runtime.errors import HdrgenError

Codes = NDArray[Any]

ENCODING, PRIMARIES, EV = "hdrgen:encoding", "hdrgen:primaries", "hdrgen:ev"
SCENE_REFERRED = ("logc", "linear")
"""What keys of `ENCODINGS` begin with that hold light of the scene; the others are of displays."""
CONVERTED_SPACE = "hdrgen:space"  # by `hdrgen convert`, in the words of the OpenColorIO configuration

CODE_ENCODINGS = {
    "logc4": "logc4_awg4",
    "srgb": "srgb_rec709",
    "logc3": "logc3_awg3",
    "linear": "linear_rec709",
    "display_p3": "srgb_p3d65",
    "adobe_rgb": "g22_adobergb",
    **{
        key: key
        for key in ENCODINGS
        if key.startswith(("g18_", "g22_rec709", "g22_ap1", "g24_", "itu709_", "srgb_rec2020", "srgb_ap1"))
    },
}
"""Encodings of integer codes by their short names, as keys of `ENCODINGS`."""

_SHORT_NAMES = {key: name for name, key in CODE_ENCODINGS.items()}

# LogC4's black is code 24. Measured on 59 scenes at exposures of -4 to 4 EV: no LogC4 picture, with noise of three codes
# or without, has more than one pixel in 10,000 that is dark in all components; 20 of 23 generated sRGB pictures have.
_DARK_CODE, _DARK_SHARE = 16, 5e-4
_FLAT_CODES = 2
"""Dark codes, the commonest ones, that are no evidence: bars around a picture are of one or two."""
_SAMPLED_PIXELS = 1 << 20


@dataclass(frozen=True)
class Decided:
    """What the codes of some pictures mean.

    ``name`` is for people: a key of `CODE_ENCODINGS` where ``key``, of `ENCODINGS`, is known; else what the file calls
    it. ``notes`` say how it was decided unless the pictures simply say it.
    """

    name: str
    encoding: Encoding
    key: str | None
    notes: tuple[str, ...]


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
    paths: Sequence[Path],
    pictures: Sequence[CodeImage[Any]],
    wanted: str | None,
    *,
    option: str = "--encoding",
    otherwise: str | None = None,
) -> Decided:
    """Return the one encoding of some pictures.

    Parameters
    ----------
    paths, pictures
        The files and what was read of them.
    wanted
        A key of `CODE_ENCODINGS`, or None for what the pictures say.
    option
        The option that messages name where that is not enough.
    otherwise
        What pictures are taken for that say nothing, a key of `CODE_ENCODINGS`; None looks at their codes.

    Raises
    ------
    HdrgenError
        They are of several encodings, or of one that is not known or cannot be told; or `wanted` is not known.
    """
    statements = [_statement_of(picture) for picture in pictures]
    picture_notes = tuple(
        note if len(paths) == 1 else f"{path.name}: {note}"
        for path, picture in zip(paths, pictures, strict=True)
        for note in picture.notes
    )
    if wanted is not None:
        encoding = encoding_named(wanted)
        others = sorted({_described(one) for one in statements if one and one.key != CODE_ENCODINGS[wanted]})
        contradicted = (f"the picture says {others[0]}; {wanted} was asked for",) if others else ()
        return Decided(wanted, encoding, CODE_ENCODINGS[wanted], (*contradicted, *picture_notes))
    unstated = [picture for picture, one in zip(pictures, statements, strict=True) if one is None]
    decisions = [one and _decided(path, one, option) for path, one in zip(paths, statements, strict=True)]
    guess_notes: tuple[str, ...] = ()
    if unstated:
        path = paths[statements.index(None)]
        usual, why = (otherwise, "") if otherwise else _guess(path, unstated, option)
        guess_notes = (f"nothing says the encoding, so {usual}{why}; say {option} if not",)
        guess = Decided(usual, encoding_named(usual), CODE_ENCODINGS[usual], ())
        decisions = [one or guess for one in decisions]
    decided = [one for one in decisions if one]
    for path, one in zip(paths, decided, strict=True):
        if one.name != decided[0].name:
            raise HdrgenError(
                f"{paths[0]} is {decided[0].name} and {path} is {one.name}; give {option} if not"
            )
    return Decided(
        decided[0].name,
        decided[0].encoding,
        decided[0].key,
        (*decided[0].notes, *guess_notes, *picture_notes),
    )


def stated_encoding(path: Path, picture: CodeImage[Any], *, option: str) -> Decided | None:
    """Return the encoding that a picture says it is in, None where it says nothing.

    Raises
    ------
    HdrgenError
        It says one that is not known here.
    """
    statement = _statement_of(picture)
    return None if statement is None else _decided(path, statement, option)


def contradiction(picture: CodeImage[Any], space: str) -> tuple[str, ...]:
    """Return a note where a picture says something else than the space it is taken for, by OpenColorIO's name."""
    statement = _statement_of(picture)
    if (
        statement is None
        or space == statement.name
        or (statement.key and statement.key == _key_of_space(space))
    ):
        return ()
    return (f"the picture says {_described(statement)}; {space} was asked for",)


def _statement_of(picture: CodeImage[Any]) -> StatedColour | None:
    """Return what a picture says of its encoding, our own words first."""
    for keyword in (CONVERTED_SPACE, ENCODING):
        if keyword in picture.text:
            name = picture.text[keyword]
            key = _key_of_space(name) if keyword == CONVERTED_SPACE else CODE_ENCODINGS.get(name)
            return StatedColour(name, "text", ENCODINGS[key] if key else None, key)
    return picture.colour


def _key_of_space(space: str) -> str | None:
    """Return which of our encodings a space of the OpenColorIO configuration is."""
    return next(
        (
            key
            for short, key in CODE_ENCODINGS.items()
            for name in (short, key)
            if ocio.knows(name) and ocio.space_name(name) == space
        ),
        None,
    )


def _described(statement: StatedColour) -> str:
    """Return what a person should read: a quoted word of ours, or where in the file it stands."""
    if statement.by == "text":
        return _SHORT_NAMES.get(statement.key or "", repr(statement.name))
    return f"{_SHORT_NAMES.get(statement.key or '', statement.name)} ({statement.by})"


def _decided(path: Path, statement: StatedColour, option: str) -> Decided:
    if statement.encoding is None:
        unknown = "unknown" if statement.by == "text" else "not decoded"
        raise HdrgenError(
            f"{path}: says it is {_described(statement)}, which is {unknown} here; give {option}"
        )
    if statement.key in _SHORT_NAMES:
        name = _SHORT_NAMES[statement.key]
        note = () if statement.by == "text" else (f"{name}, as the picture says ({statement.by})",)
        return Decided(name, statement.encoding, statement.key, note)
    note = (f"{statement.name}, as the picture says ({statement.by})",)
    return Decided(statement.name, statement.encoding, statement.key, note)


def _guess(path: Path, pictures: Sequence[CodeImage[Any]], option: str) -> tuple[str, str]:
    """Return what pictures that say nothing are taken for, and why.

    Raises
    ------
    HdrgenError
        Their codes could be of either encoding.
    """
    if all(picture.format in ("jpeg", "webp") for picture in pictures):
        return "srgb", ""
    if not shows_srgb([_visible(picture) for picture in pictures]):
        unsaid = "nothing says whether its codes are sRGB or LogC4, and they could be either"
        raise HdrgenError(
            f"{path}: {'; '.join([*pictures[0].notes, unsaid])}; give {option} srgb or {option} logc4"
            + ("; hdrgen recover makes light of an ordinary sRGB picture" if len(pictures) == 1 else "")
        )
    return "srgb", ": LogC4 has next to nothing below code 24, and here there is"


def shows_srgb(pictures: Sequence[Codes]) -> bool:
    """Tell whether the codes of some pictures of one encoding can only be sRGB's, and not LogC4's.

    Parameters
    ----------
    pictures
        uint8 or uint16, shape ``(..., 3)``.
    """
    return any(_dark_share(codes) > _DARK_SHARE for codes in pictures)


def _visible(picture: CodeImage[Any]) -> Codes:
    """Return some of a picture's pixels; what is transparent is no evidence."""
    step = max(1, round((picture.width * picture.height / _SAMPLED_PIXELS) ** 0.5))
    codes = picture.code[::step, ::step]
    return codes if picture.alpha is None else codes[picture.alpha[::step, ::step] > 0]


def _dark_share(codes: Codes) -> float:
    """Return the share of pixels whose brightest code is dark, but not black, without those of the commonest codes."""
    brightest8 = (codes.max(axis=-1) >> (8 * (codes.dtype.itemsize - 1))).ravel()
    dark = np.sort(np.bincount(brightest8, minlength=256)[1 : _DARK_CODE + 1])
    return float(dark[:-_FLAT_CODES].sum() / max(brightest8.size, 1))
