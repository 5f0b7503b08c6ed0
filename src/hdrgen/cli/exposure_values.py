"""The option ``--ev``, which takes any number of values, negative ones too: ``--ev -2 0 2 4``."""

import re
from typing import TYPE_CHECKING

from typer.core import TyperCommand

from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from typing import Any

OPTION = "--ev"
_FURTHEST = 24
"""Stops, beyond which half floats hold nothing of a picture."""


class WithExposureValues(TyperCommand):
    """A command whose ``--ev`` takes all the numbers that follow it; `parse_evs` reads what comes of them.

    Without this, the parser would take ``-2`` for an option and ``0`` for a file.
    """

    def parse_args(self, ctx: "Any", args: list[str]) -> list[str]:  # noqa: D102
        return super().parse_args(ctx, _joined(args))


def parse_evs(text: str) -> list[float]:
    """Return the exposure values of ``-2,0,2,4`` or ``-2 0 2 4``.

    Raises
    ------
    HdrgenError
        They are no numbers, or further than `_FURTHEST` stops from 0.
    """
    evs = [_number(part) for part in _parts(text)]
    finite = [ev for ev in evs if ev is not None and abs(ev) <= _FURTHEST]
    if not finite or len(finite) < len(evs):
        raise HdrgenError(
            f"{OPTION} {text}: must be numbers such as {OPTION} -2 0 2 4, within {_FURTHEST} stops of 0"
        )
    return finite


def _joined(arguments: list[str]) -> list[str]:
    """Return the arguments with ``--ev -2 0 2 4`` as ``--ev=-2,0,2,4``."""
    joined: list[str] = []
    following = iter(arguments)
    values: list[str] | None = None
    for argument in following:
        if argument == "--":
            return [*joined, *_option(values), argument, *following]
        if values is not None and _is_numbers(argument):
            values.append(argument)
            continue
        joined += _option(values)
        values = None
        name, equals, value = argument.partition("=")
        if name == OPTION:
            values = [value] if equals else []
        else:
            joined.append(argument)
    return joined + _option(values)


def _option(values: list[str] | None) -> list[str]:
    if values is None:
        return []
    return [f"{OPTION}={','.join(values)}"] if values else [OPTION]


def _is_numbers(argument: str) -> bool:
    parts = _parts(argument)
    return bool(parts) and all(_number(part) is not None for part in parts)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
