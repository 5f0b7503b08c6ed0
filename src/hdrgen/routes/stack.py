"""A stack of exposures as it comes from files: codes, what they mean, and their exposure values."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import Chromaticities
from hdrgen.exposure.bracket_tables import BracketTables, bracket_tables
from hdrgen.exposure.estimation import check_evs, estimate_evs, exposure_groups, small_picture
from hdrgen.exposure.ev_list import listed
from hdrgen.images.code_image import CodeImage, read_code
from hdrgen.images.conversion import assumed_chromaticities, describe, to_chromaticities
from hdrgen.images.encoded import EV, encoding_of
from hdrgen.images.geometry import Geometry, resolution_notes
from hdrgen.images.provenance import header_notes, left_behind
from hdrgen.images.scene_image import image_format, read_finite_scene_image
from hdrgen.images.stored_image import SceneImage
from hdrgen.routes.stack_ceiling import (
    Ceiling,
    CeilingOption,
    ceiling_notes,
    ceilings_of_codes,
    ceilings_of_light,
    tables_with_ceilings,
)
from hdrgen.routes.stack_evs import EVS_FROM_IN_WORDS, EvsFrom, known_evs
from hdrgen.routes.stack_faults import DifferentScenesError, find_faults
from hdrgen.routes.stack_windows import brought_together
from hdrgen.runtime.errors import HdrgenError

FEWEST, MOST = 2, 64
"""Pictures in a stack, all held in memory at once. The network takes four exposures and averages those that are near."""

Codes = NDArray[Any]


@dataclass(frozen=True)
class ExposureStack:
    """Exposures of one scene and size, darkest first; several may have one EV.

    ``codes`` are ``(H, W, 3)``, uint8 or uint16, in ``encoding`` (a key of `ENCODINGS`, or ``log2_code16`` of pictures
    that were linear light), which has a short ``name`` for people. ``evs_from`` says where the ``evs`` are from,
    ``geometry`` where the pixels lie, None where nothing is said of that. ``ceilings`` are of exposures that end before
    their encoding does, in the same order or empty. ``left_out`` says which pictures do not belong, and why; ``notes``
    say it too.
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
    ceilings: tuple[Ceiling | None, ...] = ()
    left_out: tuple[str, ...] = ()

    def tables(self, codes: Sequence[Codes]) -> list[BracketTables]:
        """Return the tables for each exposure's codes; alignment gives those it moves 16 bits."""
        tables = [
            bracket_tables(self.encoding, 8 if code.dtype == np.uint8 else 16, ev, evs=self.evs)
            for code, ev in zip(codes, self.evs, strict=True)
        ]
        return tables_with_ceilings(tables, self.evs, self.ceilings) if any(self.ceilings) else tables


@dataclass(frozen=True)
class Pictures:
    """As `ExposureStack`, in the order given and with what the pictures say of their EVs; ``paths`` is what they are called."""

    paths: Sequence[Path]
    codes: list[Codes]
    name: str
    encoding: str
    chromaticities: Chromaticities
    text_evs: tuple[float | None, ...]
    notes: tuple[str, ...]
    geometry: Geometry | None = None
    ceilings: Sequence[Ceiling | None] = ()

    @property
    def first_clipped(self) -> list[int | None]:
        """The code of each picture from which on it is clipped, None where only its encoding says so."""
        ceilings = self.ceilings or [None] * len(self.codes)
        return [None if ceiling is None else ceiling.first_code for ceiling in ceilings]

    def only(self, kept: Sequence[int], notes: tuple[str, ...]) -> "Pictures":
        """Return some of the pictures."""
        return replace(
            self,
            paths=[self.paths[i] for i in kept],
            codes=[self.codes[i] for i in kept],
            text_evs=tuple(self.text_evs[i] for i in kept),
            ceilings=[self.ceilings[i] for i in kept] if self.ceilings else (),
            notes=(*self.notes, *notes),
        )


def read_stack(
    paths: Sequence[Path],
    *,
    evs: Sequence[float] | Literal["auto"] | None = None,
    encoding: str | None = None,
    layer: str | None = None,
    part: int | str | None = None,
    ceiling: CeilingOption = "auto",
    threads: int = 2,
) -> ExposureStack:
    """Read the exposures of a scene and find out what they are.

    Pictures that carry nothing, or show another scene than most, are left out with a note.

    Parameters
    ----------
    paths
        PNG, TIFF, JPEG or WebP of 8 or 16 bits, all of one encoding; or OpenEXR or Radiance, which are linear. One size.
        `FEWEST` to `MOST` files, some of one exposure if need be.
    evs
        The EV of each, or ``auto`` to estimate them from the pictures. None takes what all pictures say in their
        text, else in their names, else in their EXIF, and estimates them otherwise.
    encoding
        A key of `CODE_ENCODINGS`; None takes what the pictures say, see `encoding_of`.
    layer, part
        What of EXRs to read, see `layers.choose_layer`.
    ceiling
        Light, in the pictures' own values, from which on they are clipped; ``auto`` looks for it where they are linear,
        ``none`` takes all light as it is.
    threads
        Pictures read at once.

    Raises
    ------
    HdrgenError
        A picture cannot be read, they do not belong together, or the EVs contradict them.
    """
    _check_count(paths)
    return stack_of(_read(paths, encoding, ceiling, layer, part, threads), evs)


def stack_of(
    pictures: Pictures, evs: Sequence[float] | Literal["auto"] | None, *, checked: bool = True
) -> ExposureStack:
    """Find out what the EVs of pictures are and which of them belong together; see `read_stack`.

    Not ``checked``, all of them are taken, with the EVs that were asked for.

    Raises
    ------
    HdrgenError
        They do not belong together, or the EVs contradict them.
    """
    known, evs_from = known_evs(pictures.paths, pictures.text_evs, evs)
    left_out: tuple[str, ...] = ()
    if checked:
        kept, left_out = _without_faults(pictures, known)
        pictures = pictures.only(kept, left_out)
        known = known and tuple(known[i] for i in kept)
    decided, notes = _evs(pictures, known, evs_from, checked=checked)
    order = sorted(range(len(decided)), key=decided.__getitem__)
    pictures = pictures.only(order, notes)
    return ExposureStack(
        tuple(pictures.paths),
        tuple(pictures.codes),
        tuple(decided[i] for i in order),
        evs_from,
        pictures.name,
        pictures.encoding,
        pictures.chromaticities,
        pictures.notes,
        pictures.geometry,
        tuple(pictures.ceilings),
        left_out,
    )


def _check_count(paths: Sequence[Path]) -> None:
    if len(paths) < FEWEST:
        raise HdrgenError(f"{paths[0]}: one exposure is no stack; `hdrgen expand` takes single pictures")
    if len(paths) > MOST:
        raise HdrgenError(f"{paths[0]} and {len(paths) - 1} others: more than {MOST} pictures")
    for path in paths:
        if paths.count(path) > 1:
            raise HdrgenError(f"{path}: is given twice")


def _read(
    paths: Sequence[Path],
    encoding: str | None,
    ceiling: CeilingOption,
    layer: str | None,
    part: int | str | None,
    threads: int,
) -> Pictures:
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
    if scenes[0]:
        return _linear(paths, images, encoding, ceiling, dropped)
    pictures = _encoded(paths, images, encoding, dropped)
    codes, ceilings = ceilings_of_codes(pictures.codes, pictures.encoding, ceiling)
    return replace(
        pictures,
        codes=codes,
        ceilings=ceilings,
        notes=(*pictures.notes, *ceiling_notes(ceilings, option=ceiling)),
    )


def _linear(
    paths: Sequence[Path],
    images: list[SceneImage],
    encoding: str | None,
    ceiling: CeilingOption,
    notes: tuple[str, ...],
) -> Pictures:
    if encoding not in (None, "linear"):
        raise HdrgenError(f"{paths[0]}: holds linear light, not {encoding}; leave --encoding away")
    images, geometry, windows = brought_together(paths, images)
    notes = (*_left(images), *windows, *notes)
    target, states_primaries = assumed_chromaticities(images[0])
    if not states_primaries:
        notes = (*notes, "the files state no primaries, so Rec.709 by convention")
    light = [to_chromaticities(image.rgb, assumed_chromaticities(image)[0], target) for image in images]
    codes, ceilings, cut_in = ceilings_of_light(light, target, ceiling)
    notes = (
        *notes,
        *ceiling_notes(ceilings, option=ceiling, cut_in=None if cut_in == target else describe(cut_in)),
    )
    return Pictures(
        paths, codes, describe(cut_in), "log2_code16", cut_in, (None,) * len(paths), notes, geometry, ceilings
    )


def _left(images: Sequence[SceneImage]) -> Iterator[str]:
    """Return what the merged picture leaves behind of its exposures, each thing once."""
    yield from dict.fromkeys(note for image in images for note in image.notes)
    yield from header_notes(name for image in images for name in left_behind(image.attributes, kept=()))


def _encoded(
    paths: Sequence[Path], images: list[CodeImage[Any]], encoding: str | None, notes: tuple[str, ...]
) -> Pictures:
    decided = encoding_of(paths, images, encoding)
    if decided.key is None:
        raise HdrgenError(
            f"{paths[0]}: is in {decided.name}, for which there are no tables; convert the pictures first, or give "
            "--encoding"
        )
    geometry = images[0].geometry
    left = header_notes(name for image in images for name in image.header)
    return Pictures(
        paths,
        [image.code for image in images],
        decided.name,
        decided.key,
        decided.encoding.chromaticities,
        tuple(_number(image.text.get(EV)) for image in images),
        (*decided.notes, *notes, *left, *resolution_notes(geometry)),
        geometry,
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _without_faults(pictures: Pictures, evs: Sequence[float] | None) -> tuple[list[int], tuple[str, ...]]:
    """Return which pictures belong in the stack, and notes on the others."""
    small = [
        small_picture(code, pictures.encoding, first)
        for code, first in zip(pictures.codes, pictures.first_clipped, strict=True)
    ]
    try:
        faults = find_faults(small, evs)
    except DifferentScenesError as error:
        raise HdrgenError(f"{', '.join(map(str, pictures.paths))}: {error}; merge them apart") from None
    kept = [number for number in range(len(small)) if number not in faults]
    reasons = [f"{pictures.paths[number]} {fault}" for number, fault in sorted(faults.items())]
    if len(kept) < FEWEST:
        left = f"only {pictures.paths[kept[0]]} is left" if kept else "no picture is left"
        raise HdrgenError(f"{'; '.join(reasons)}; {left} to merge")
    return kept, tuple(f"left out: {reason}" for reason in reasons)


def _evs(
    pictures: Pictures, evs: tuple[float, ...] | None, evs_from: EvsFrom, *, checked: bool
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Return the EV of each picture in the order given, and notes."""
    contradiction: tuple[str, ...] = ()
    if checked:
        _check_differ(pictures)
    try:
        if evs is None:
            estimated = estimate_evs(pictures.codes, pictures.encoding, pictures.first_clipped)
            evs = tuple(round(ev, 2) + 0.0 for ev in estimated)
        elif checked:
            check_evs(pictures.codes, pictures.encoding, evs, pictures.first_clipped)
    except HdrgenError as error:
        # A camera knows its exposures; it is its tone curve that makes the steps look larger than they are.
        if evs is None or evs_from != "exif":
            raise HdrgenError(f"{', '.join(map(str, pictures.paths))}: {error}") from None
        contradiction = (str(error),)
    several = _averaged(evs, pictures.ceilings)
    if evs_from == "given":
        return evs, several
    return evs, (f"EVs {listed(evs)}, {EVS_FROM_IN_WORDS[evs_from]}", *several, *contradiction)


def _averaged(evs: Sequence[float], ceilings: Sequence[Ceiling | None]) -> tuple[str, ...]:
    exposures = len(exposure_groups(sorted(evs)))
    if exposures == len(evs):
        return ()
    if exposures == 1:
        averaged = f"{len(evs)} pictures of one exposure are averaged"
        alike = len({ceiling and ceiling.linear for ceiling in ceilings}) <= 1
        return (f"{averaged}, which shows no more light than each does" if alike else averaged,)
    return (f"{len(evs)} pictures of {exposures} exposures; those of one are averaged",)


def _check_differ(pictures: Pictures) -> None:
    """Refuse one picture under two names: its noise would count as agreement. Black ones may be alike."""
    every = zip(pictures.paths, pictures.codes, pictures.first_clipped, strict=True)
    for (path, code, first), (other, same, _) in combinations(every, 2):
        few = np.s_[::16, ::16]
        if code.dtype != same.dtype or not np.array_equal(code[few], same[few]):
            continue
        if np.array_equal(code, same) and small_picture(code, pictures.encoding, first).shows_anything:
            raise HdrgenError(f"{path} and {other} hold the same picture; leave one out")
