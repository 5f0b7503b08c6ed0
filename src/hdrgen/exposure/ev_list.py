"""Exposure values as people write them: ``-2 0 2 4`` or ``-2,0,2,4``. Imports nothing heavy."""

import re
from collections.abc import Sequence
from typing import Literal

from hdrgen.runtime.errors import HdrgenError

DEFAULT_EVS = (-2.0, 0.0, 2.0, 4.0)
"""EVs of the brackets that the models are trained on, generate and are measured with."""

FURTHEST_STOPS = 24
"""Beyond which half floats hold nothing of a picture."""


def parse_evs(text: str, called: str = "the EVs") -> list[float]:
    """Return exposure values, one or more.

    Parameters
    ----------
    text
        Numbers between spaces or commas.
    called
        What an error says they are.

    Raises
    ------
    HdrgenError
        They are no numbers, or further than `FURTHEST_STOPS` from 0.

    Examples
    --------
    >>> parse_evs("-2, 0 2.5")
    [-2.0, 0.0, 2.5]
    """
    evs = [as_number(part) for part in parts(text)]
    good = [ev for ev in evs if ev is not None and abs(ev) <= FURTHEST_STOPS]
    if not good or len(good) < len(evs):
        raise HdrgenError(
            f"{called} {text}: must be numbers such as -2 0 2 4, within {FURTHEST_STOPS} stops of 0"
        )
    return good


def parse_evs_or_auto(text: str, called: str = "the EVs") -> list[float] | Literal["auto"]:
    """Return exposure values, see `parse_evs`, or ``auto`` where they are to be found from the pictures.

    Raises
    ------
    HdrgenError
        They are neither.
    """
    if text.strip().lower() == "auto":
        return "auto"
    try:
        return parse_evs(text, called)
    except HdrgenError as error:
        raise HdrgenError(f"{error}; or auto") from None


def check_differ(evs: Sequence[float]) -> None:
    """Check that no exposure value is given twice.

    Raises
    ------
    HdrgenError
        One is.
    """
    if len(set(evs)) < len(evs):
        raise HdrgenError(f"the EVs {listed(evs)} must differ")


def listed(evs: Sequence[float]) -> str:
    """Return exposure values as a person reads and types them.

    Examples
    --------
    >>> listed([-2.0, -0.0, 2.5])
    '-2 0 2.5'
    """
    return " ".join(f"{ev + 0.0:g}" for ev in evs)


def parts(text: str) -> list[str]:
    """Return what stands between spaces and commas."""
    return [part for part in re.split(r"[\s,]+", text) if part]


def as_number(text: str) -> float | None:
    """Return a number, or None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None
