"""What changed since the last figures: beside the newest commit whose figures are others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdrgen.metrics.quantities import quantity_of
from hdrgen.report.pipeline import (
    Revision,
    Tree,
    commits_of_metrics,
    committed_metrics,
    committed_parameters,
    read_commit,
)
from hdrgen.report.text import MINUS, Verdict, rounded, signed, unit_of
from hdrgen.runtime.metrics_file import is_summary, mean_of

_SMALLEST_CHANGE = 0.005
"""Relative change of a figure from which it is listed."""


@dataclass(frozen=True)
class Change:
    """A figure that differs from the committed one, by its file and its path in there."""

    file: str
    figure: str
    before: float
    now: float

    @property
    def relative(self) -> float:
        """Return the change as a part of the larger of the two."""
        return abs(self.now - self.before) / max(abs(self.now), abs(self.before))

    @property
    def unit(self) -> str:
        """Return its unit, where the figure's name does not have it."""
        return unit_of(self.figure)

    @property
    def verdict(self) -> Verdict:
        """Tell whether it became better, ``above``, or worse, ``below``; empty where no way is better."""
        gain = quantity_of(self.figure).gain(self.before, self.now)
        return "above" if gain > 0 else "below" if gain < 0 else ""

    @property
    def difference(self) -> str:
        """Return the difference for eyes: however small, it is one."""
        text, size = signed(self.now - self.before), rounded(abs(self.now - self.before))
        return text if text != "0" else f"{'+' if self.now > self.before else MINUS}{size}"


@dataclass(frozen=True)
class Changes:
    """All that differs from a commit.

    ``unlisted`` more figures than ``figures`` changed; ``new`` metrics files were not there; ``parameters`` are name,
    former value and value.
    """

    since: Revision
    figures: Sequence[Change]
    unlisted: int
    new: Sequence[str]
    parameters: Sequence[tuple[str, str, str]]


def changes_since(
    root: Path, now: Mapping[str, Tree], parameters: Mapping[str, Tree], most: int
) -> Changes | None:
    """Return what differs from the newest commit that has other figures; None where there is none, or no git.

    Parameters
    ----------
    root
        Folder of ``metrics`` and ``dvc.lock``.
    now
        The metrics files in place by name, without what repeats a parameter (`measured`).
    parameters
        Those that each stage last ran with.
    most
        Figures that are listed.
    """
    for commit in commits_of_metrics(root):
        before = committed_metrics(root, commit)
        if any(_differences(before[file], now[file]) for file in now if file in before):
            since = read_commit(root, commit)
            break
    else:
        return None
    # The lock of the commit also has the stage that is running now.
    former = {name: tree for name, tree in committed_parameters(root, commit).items() if name in parameters}
    figures, unlisted = only(figure_changes(before, now), most)
    new = [file for file in now if file not in before]
    return Changes(since, figures, unlisted, new, changed_parameters(former, parameters))


def measured(figures: Tree, parameters: Tree) -> dict[str, Any]:
    """Return a stage's figures without those that only repeat a parameter of it, such as ``steps``."""
    repeated = [(path.rsplit(" / ", 1)[-1], value) for path, value in _leaves(parameters)]

    def kept(tree: Tree) -> dict[str, Any]:
        return {
            name: kept(value) if isinstance(value, Mapping) else value
            for name, value in tree.items()
            if (name, value) not in repeated
        }

    return kept(figures)


def figure_changes(before: Mapping[str, Tree], now: Mapping[str, Tree]) -> list[Change]:
    """Return the figures, means where there are several pictures, that changed by half a per cent or more.

    Only files that both have are compared. The largest relative changes of each file come first.
    """
    changes = []
    for file in (name for name in now if name in before):
        of_file = [Change(file, *difference) for difference in _differences(before[file], now[file])]
        listed = (change for change in of_file if change.relative >= _SMALLEST_CHANGE)
        changes += sorted(listed, key=lambda change: -change.relative)
    return changes


def changed_parameters(before: Mapping[str, Tree], now: Mapping[str, Tree]) -> list[tuple[str, str, str]]:
    """Return name, former value and value of every parameter that differs; a dash where there was or is none."""
    old, new = (
        {name: value for of_stage in stages.values() for name, value in _leaves(of_stage)}
        for stages in (before, now)
    )
    none = "\N{EN DASH}"
    return [
        (name.replace(" / ", "."), str(old.get(name, none)), str(new.get(name, none)))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name) or (name in old) != (name in new)
    ]


def only(rows: Sequence[Change], most: int) -> tuple[list[Change], int]:
    """Return the first of the changes, each file in turn so that none is left out, and how many more there are."""
    by_file: dict[str, list[Change]] = {}
    for row in rows:
        by_file.setdefault(row.file, []).append(row)
    share = max(1, most // max(1, len(by_file)))
    listed = [row for of_file in by_file.values() for row in of_file[:share]]
    return listed, len(rows) - len(listed)


def _differences(before: Tree, now: Tree) -> list[tuple[str, float, float]]:
    """Return path, former figure and figure of all numbers that both have and that differ."""
    old, new = dict(_numbers(before)), dict(_numbers(now))
    return [(name, old[name], new[name]) for name in new if name in old and new[name] != old[name]]


def _numbers(tree: Tree) -> Iterator[tuple[str, float]]:
    for name, value in _leaves(tree):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value


def _leaves(tree: Tree, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        path = f"{above} / {name}" if above else str(name)
        if isinstance(value, Mapping) and not is_summary(value):
            yield from _leaves(value, path)
        else:
            yield path, mean_of(value)
