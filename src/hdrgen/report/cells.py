"""What a table of the page is made of, and the notes that go with figures over several pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hdrgen.metrics.quantities import Quantity
from hdrgen.report.text import Verdict, rounded, signed, two_digits, verdict_on, words
from hdrgen.runtime.metrics_file import Figures, is_summary


@dataclass(frozen=True)
class Cell:
    """One figure: as it is shown, its spread over pictures, more that shows when it is pointed at, and what it means."""

    text: str
    spread: str = ""
    more: str = ""
    verdict: Verdict = ""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    label: str
    cells: tuple[Cell, ...]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a word about it; ``marked`` columns are baselines, ``references`` what a perfect result would have."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    marked: frozenset[str] = frozenset()
    note: str = ""
    references: frozenset[str] = frozenset()


def cell(value: Any, verdict: Verdict = "") -> Cell:
    """Return a figure as a cell."""
    if value is None:
        return Cell("")
    if not is_summary(value):
        return Cell(rounded(value), verdict=verdict)
    more = f"{rounded(value['min'])} to {rounded(value['max'])}, {value['count']} pictures"
    spread = f"\N{PLUS-MINUS SIGN}\N{NARROW NO-BREAK SPACE}{two_digits(value['sd'])}" if value["sd"] else ""
    return Cell(rounded(value["mean"]), spread, more, verdict)


def is_leaf(value: Any) -> bool:
    """Tell whether a value is a figure, not a section of figures."""
    return is_summary(value) or not isinstance(value, Mapping)


def notes_of(notes: Mapping[str, str]) -> tuple[Mapping[str, str], str]:
    """Return the note of each figure and that of all: where all have the same, it is said once."""
    if len(notes) > 1 and len(set(notes.values())) == 1:
        return dict.fromkeys(notes, ""), next(iter(notes.values()))
    return notes, ""


def titled(title: str, note: str) -> str:
    """Return a title with a note behind it, where there is one."""
    return ", ".join(filter(None, (title, note)))


def spread_note(branches: Mapping[str, Figures]) -> str:
    """Return over how many pictures each branch has its means; empty where it has single figures."""
    counts: dict[int, list[str]] = {}
    for key, branch in branches.items():
        most = max((figure["count"] for figure in branch.values() if is_summary(figure)), default=0)
        counts.setdefault(most, []).append(words(key))
    if set(counts) == {0}:
        return ""
    over = [f"{rounded(count)} pictures ({', '.join(names)})" for count, names in counts.items() if count]
    if len(over) == 1:
        over = [over[0].split(" (")[0]]
    return f"Mean \N{PLUS-MINUS SIGN} standard deviation over {' and '.join(over)}."


def best_of(quantity: Quantity, means: Mapping[str, float]) -> set[str]:
    """Return all that have the best mean; none where no way is better, or where all are as good."""
    best = {one for one in means if all(quantity.gain(mean, means[one]) >= 0 for mean in means.values())}
    return best if len(best) < len(means) else set()


def margin_cell(margin: float | None) -> Cell:
    """Return a difference, larger when better, as a cell; empty where there is none."""
    return Cell("") if margin is None else Cell(signed(margin), verdict=verdict_on(margin))
