"""Tables and figures as Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """A table of the documents: the files under the root that it is made of, and what makes it of them."""

    sources: tuple[str, ...]
    write: Callable[[Path], str]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table.

    Examples
    --------
    >>> print(markdown(["", "dB"], [["fuse", "64.17"]]))
    |  | dB |
    | --- | --- |
    | fuse | 64.17 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def decimals(value: float | None, places: int, factor: float = 1) -> str:
    """Return a figure with ``places`` digits behind the point; nothing where there is none.

    Examples
    --------
    >>> decimals(0.2391, 1, 100), decimals(None, 1)
    ('23.9', '')
    """
    return "" if value is None else f"{factor * value:.{places}f}"


def percent(value: float | None, places: int = 0) -> str:
    """Return a share in per cent; nothing where there is none."""
    return "" if value is None else f"{decimals(value, places, 100)} %"
