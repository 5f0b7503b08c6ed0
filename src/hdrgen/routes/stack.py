"""A stack of exposures as it comes from files: codes, what they mean, and their exposure values."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import Chromaticities
from hdrgen.conversion import assumed_chromaticities, describe, to_chromaticities
from hdrgen.exposure_values import check_evs, estimate_evs
from hdrgen.images.code_image import CodeImage, read_code
from hdrgen.images.code_shape import stated_geometry
from hdrgen.images.exif import evs_of, exposure_of
from hdrgen.images.geometry import Geometry
from hdrgen.images.scene_image import image_format, read_finite_scene_image
from hdrgen.images.stored_image import SceneImage, UnreadableImage
from hdrgen.models.bracket_cells import BracketCells, bracket_cells, encode_level16
from hdrgen.provenance import header_notes, left_behind
from hdrgen.routes.bracket import listed, name_and_ev
from hdrgen.routes.encoded import EV, encoding_of
from hdrgen.routes.stack_windows import brought_together
from hdrgen.runtime.errors import HdrgenError

FEWEST, MOST = 2, 9
"""Exposures in a stack."""

Codes = NDArray[Any]
EvsFrom = Literal["given", "text", "names", "exif", "estimate"]

_SAID: dict[EvsFrom, str] = {
    "text": "as the pictures say",
    "names": "from the file names",
    "exif": "from EXIF",
    "estimate": "estimated from the pictures; give --ev if not",
}


@dataclass(frozen=True)
class Stack:
    """Exposures of one scene and size, darkest first.

    ``codes`` are ``(H, W, 3)``, uint8 or uint16, in ``encoding`` (a key of `ENCODINGS`, or ``level16`` of pictures
    that were linear light), which has a short ``name`` for people. ``evs_from`` says where the ``evs`` are from,
    ``geometry`` where the pixels lie, None where nothing is said of that.
    """

    paths: tuple[Path, ...]
    codes: tuple[Codes, ...]
    evs: tuple[float, ...]
    evs_from: EvsFrom
    name: str
    encoding: str
    chromaticities: Chromaticities
    notes: tuple[str, ...]
    geometry: Geometry | None = None

    def cells(self, codes: Sequence[Codes]) -> list[BracketCells]:
        """Return the tables for each exposure's codes; alignment gives those it moves 16 bits."""
        return [
            bracket_cells(self.encoding, 8 if code.dtype == np.uint8 else 16, ev, evs=self.evs)
            for code, ev in zip(codes, self.evs, strict=True)
        ]


@dataclass(frozen=True)
class _Pictures:
    """As `Stack`, in the order given and with what the pictures say of their EVs."""

    paths: Sequence[Path]
    codes: list[Codes]
    name: str
    encoding: str
    chromaticities: Chromaticities
    stated_evs: tuple[float | None, ...]
    notes: tuple[str, ...]
    geometry: Geometry | None = None


def read_stack(
    paths: Sequence[Path],
    *,
    evs: Sequence[float] | Literal["auto"] | None = None,
    encoding: str | None = None,
    layer: str | None = None,
    part: int | str | None = None,
    threads: int = 2,
) -> Stack:
    """Read 2 to 9 exposures and find out what they are.

    Parameters
    ----------
    paths
        PNG, TIFF or JPEG of 8 or 16 bits, all of one encoding; or OpenEXR or Radiance, which are linear. One size.
    evs
        The EV of each, or ``auto`` to estimate them from the pictures. None takes what all pictures say in their
        text, else in their names, else in their EXIF, and estimates them otherwise.
    encoding
        A key of `CODE_ENCODINGS`; None takes what the pictures say, see `encoding_of`.
    layer, part
        What of EXRs to read, see `layers.choose_layer`.
    threads
        Pictures read at once.

    Raises
    ------
    HdrgenError
        A picture cannot be read, they do not belong together, or the EVs contradict them.
    """
    _check_count(paths)
    pictures = _read(paths, encoding, layer, part, threads)
    found, evs_from, notes = _evs(pictures, evs)
    order = sorted(range(len(found)), key=found.__getitem__)
    return Stack(
        tuple(paths[i] for i in order),
        tuple(pictures.codes[i] for i in order),
        tuple(found[i] for i in order),
        evs_from,
        pictures.name,
        pictures.encoding,
        pictures.chromaticities,
        (*pictures.notes, *notes),
        pictures.geometry,
    )


def _check_count(paths: Sequence[Path]) -> None:
    if len(paths) < FEWEST:
        raise HdrgenError(f"{paths[0]}: one exposure is no stack; `hdrgen expand` takes single pictures")
    if len(paths) > MOST:
        raise HdrgenError(f"{paths[0]} and {len(paths) - 1} others: more than {MOST} exposures")
    for path in paths:
        if paths.count(path) > 1:
            raise HdrgenError(f"{path}: is given twice")


def _read(
    paths: Sequence[Path], encoding: str | None, layer: str | None, part: int | str | None, threads: int
) -> _Pictures:
    scenes = [image_format(path) is not None for path in paths]
    if any(scenes) and not all(scenes):
        linear, other = paths[scenes.index(True)], paths[scenes.index(False)]
        raise HdrgenError(
            f"{linear} holds linear light and {other} does not; exposures must be of one encoding"
        )
    if not scenes[0] and (layer is not None or part is not None):
        raise HdrgenError(f"{paths[0]}: is no OpenEXR file, so it has neither layers nor parts")
    read: Callable[[Path], Any] = (
        partial(read_finite_scene_image, layer=layer, part=part) if scenes[0] else read_code
    )
    with ThreadPoolExecutor(threads) as pool:
        images = list(pool.map(read, paths))
    for path, image in zip(paths, images, strict=True):
        if not scenes[0] and (image.width, image.height) != (images[0].width, images[0].height):
            raise HdrgenError(
                f"{paths[0]} is {images[0].width}x{images[0].height} and {path} is {image.width}x{image.height}: "
                "the exposures must have one size"
            )
    dropped = ("alpha was dropped",) if any(image.alpha is not None for image in images) else ()
    return (_linear if scenes[0] else _encoded)(paths, images, encoding, dropped)


def _linear(
    paths: Sequence[Path], images: list[SceneImage], encoding: str | None, notes: tuple[str, ...]
) -> _Pictures:
    if encoding not in (None, "linear"):
        raise HdrgenError(f"{paths[0]}: holds linear light, not {encoding}; leave --encoding away")
    images, geometry, windows = brought_together(paths, images)
    notes = (*_left(images), *windows, *notes)
    target, stated = assumed_chromaticities(images[0])
    if not stated:
        notes = (*notes, "the files state no primaries, so Rec.709 by convention")
    codes: list[Codes] = [
        encode_level16(to_chromaticities(image.rgb, assumed_chromaticities(image)[0], target))
        for image in images
    ]
    return _Pictures(paths, codes, describe(target), "level16", target, (None,) * len(paths), notes, geometry)


def _left(images: Sequence[SceneImage]) -> Iterator[str]:
    """Return what the merged picture leaves behind of its exposures, each thing once."""
    yield from dict.fromkeys(note for image in images for note in image.notes)
    yield from header_notes(name for image in images for name in left_behind(image.attributes, kept=()))


def _encoded(
    paths: Sequence[Path], images: list[CodeImage[Any]], asked: str | None, notes: tuple[str, ...]
) -> _Pictures:
    decided = encoding_of(paths, images, asked)
    if decided.key is None:
        raise HdrgenError(
            f"{paths[0]}: is in {decided.name}, for which there are no tables; convert the pictures first, or give "
            "--encoding"
        )
    return _Pictures(
        paths,
        [image.code for image in images],
        decided.name,
        decided.key,
        decided.encoding.chromaticities,
        tuple(_number(image.text.get(EV)) for image in images),
        (*decided.notes, *notes),
        stated_geometry(paths[0], images[0].width, images[0].height),
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _evs(
    pictures: _Pictures, asked: Sequence[float] | Literal["auto"] | None
) -> tuple[tuple[float, ...], EvsFrom, tuple[str, ...]]:
    """Return the EV of each picture in the order given, where they are from, and notes."""
    evs, evs_from = _said_evs(pictures, asked)
    contradiction: tuple[str, ...] = ()
    try:
        if evs is None:
            estimated = estimate_evs(pictures.codes, pictures.encoding)
            evs = tuple(round(ev, 2) + 0.0 for ev in estimated)
        elif len(set(evs)) == len(evs):
            check_evs(pictures.codes, pictures.encoding, evs)
    except HdrgenError as error:
        # A camera knows its exposures; it is its tone curve that makes the steps look larger than they are.
        if evs is None or evs_from != "exif":
            raise HdrgenError(f"{', '.join(map(str, pictures.paths))}: {error}") from None
        contradiction = (str(error),)
    _check_differ(pictures.paths, evs)
    if evs_from == "given":
        return evs, evs_from, ()
    return evs, evs_from, (f"EVs {listed(evs)}, {_SAID[evs_from]}", *contradiction)


def _check_differ(paths: Sequence[Path], evs: Sequence[float]) -> None:
    first_of: dict[float, Path] = {}
    for path, ev in zip(paths, evs, strict=True):
        first = first_of.setdefault(ev, path)
        if first != path:
            raise HdrgenError(
                f"{first} and {path} have the same exposure, EV {ev:g}; leave one out, or correct --ev"
            )


def _said_evs(
    pictures: _Pictures, asked: Sequence[float] | Literal["auto"] | None
) -> tuple[tuple[float, ...] | None, EvsFrom]:
    paths = pictures.paths
    if asked == "auto":
        return None, "estimate"
    if asked is not None:
        if len(asked) != len(paths):
            raise HdrgenError(
                f"{paths[0]} to {paths[-1]} are {len(paths)} pictures, but there are {len(asked)} EVs: "
                f"{listed([float(ev) for ev in asked])}"
            )
        return tuple(float(ev) for ev in asked), "given"
    if (known := _all_known(pictures.stated_evs)) is not None:
        return known, "text"
    if (known := _all_known([name_and_ev(path)[1] for path in paths])) is not None:
        return known, "names"
    if all(_has_exposure(path) for path in paths):
        return tuple(round(ev, 2) + 0.0 for ev in evs_of(paths)), "exif"
    return None, "estimate"


def _all_known(evs: Sequence[float | None]) -> tuple[float, ...] | None:
    known = tuple(ev for ev in evs if ev is not None)
    return known if len(known) == len(evs) else None


def _has_exposure(path: Path) -> bool:
    try:
        return exposure_of(path) is not None
    except UnreadableImage:  # a format that the reader of EXIF does not know
        return False
