"""The option ``--ev``, which takes any number of values, negative ones too: ``--ev -2 0 2 4``."""

from typing import TYPE_CHECKING

from typer.core import TyperCommand

from hdrgen.exposure.ev_list import as_number, parts

if TYPE_CHECKING:
    from typing import Any

OPTION = "--ev"


class WithExposureValues(TyperCommand):
    """A command whose ``--ev`` takes all the numbers that follow it; `ev_list.parse_evs` reads what comes of them.

    Without this, the parser would take ``-2`` for an option and ``0`` for a file.
    """

    def parse_args(self, ctx: "Any", args: list[str]) -> list[str]:  # noqa: D102
        return super().parse_args(ctx, _joined(args))


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
    numbers = [as_number(part) for part in parts(argument)]
    return bool(numbers) and None not in numbers
