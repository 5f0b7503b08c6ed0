"""Where the exposure values of a stack's pictures are from: a person, their text, their names, or EXIF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hdrgen.exposure.ev_list import listed
from hdrgen.images.exif import evs_of, exposure_of
from hdrgen.images.stored_image import UnreadableImage
from hdrgen.routes.bracket import name_and_ev
from hdrgen.runtime.errors import HdrgenError

EvsFrom = Literal["given", "text", "names", "exif", "estimate"]

EVS_FROM_IN_WORDS: dict[EvsFrom, str] = {
    "text": "as the pictures say",
    "names": "from the file names",
    "exif": "from EXIF",
    "estimate": "estimated from the pictures; give --ev if not",
}


def known_evs(
    paths: Sequence[Path],
    text_evs: Sequence[float | None],
    evs: Sequence[float] | Literal["auto"] | None,
) -> tuple[tuple[float, ...] | None, EvsFrom]:
    """Return the EV of each picture, None where they are to be estimated, and where they are from.

    Parameters
    ----------
    paths
        The pictures, whose names or EXIF may say it.
    text_evs
        What each picture's text says, None where it says nothing.
    evs
        What a person says; ``auto`` estimates them.

    Raises
    ------
    HdrgenError
        There are more or fewer EVs than pictures.
    """
    if evs == "auto":
        return None, "estimate"
    if evs is not None:
        if len(evs) != len(paths):
            raise HdrgenError(
                f"{paths[0]} to {paths[-1]} are {len(paths)} pictures, but there are {len(evs)} EVs: "
                f"{listed([float(ev) for ev in evs])}"
            )
        return tuple(float(ev) for ev in evs), "given"
    if (known := _all_known(text_evs)) is not None:
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
