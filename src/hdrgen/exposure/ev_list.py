"""Exposure values as people write them: ``-2 0 2 4`` or ``-2,0,2,4``."""

import re

from hdrgen.runtime.errors import HdrgenError

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


def parts(text: str) -> list[str]:
    """Return what stands between spaces and commas."""
    return [part for part in re.split(r"[\s,]+", text) if part]


def as_number(text: str) -> float | None:
    """Return a number, or None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None
