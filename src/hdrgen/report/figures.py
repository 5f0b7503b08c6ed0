"""All figures of a stage as tables that a person can read."""

from collections.abc import Iterator, Mapping

from hdrgen.report.cells import Row, Table, cell, is_leaf, notes_of, spread_note, titled
from hdrgen.report.evaluations import is_of_models, is_of_routes, models_table, routes_table
from hdrgen.report.text import unit_and_wish, unit_of, words
from hdrgen.runtime.metrics_file import Figures


def tables(tree: Figures, path: str = "") -> Iterator[Table]:
    """Yield all figures of a stage as tables, models and routes beside their baselines.

    Parameters
    ----------
    tree
        Nested, as `read_figures` returns them, or a section of them.
    path
        Path of the section: names with `` / `` between.
    """
    title = ", ".join(map(words, path.split(" / ")))
    if is_of_models(tree):
        yield models_table(tree, title)
        return
    single = {name: value for name, value in tree.items() if is_leaf(value)}
    if single:
        units, of_all = notes_of({name: unit_of(f"{path} / {name}") for name in single})
        rows = (Row(words(name), (cell(value),), units[name]) for name, value in single.items())
        yield Table(titled(title, of_all), (), tuple(rows))
    branches = {name: value for name, value in tree.items() if not is_leaf(value) and value}
    if _alike(branches):
        yield from _side_by_side(branches, path, title)
        return
    for name, value in branches.items():
        yield from tables(value, f"{path} / {name}" if path else name)


def _alike(branches: Mapping[str, Figures]) -> bool:
    """Tell whether branches make one table: routes, a confusion, or figures that have most names in common."""
    sets = [{name for name, value in branch.items() if is_leaf(value)} for branch in branches.values()]
    if len(sets) < 2 or not all(sets):
        return False
    in_common = 2 * len(set.intersection(*sets)) >= len(set.union(*sets))
    return in_common or is_of_routes(branches) or _is_confusion(branches)


def _is_confusion(branches: Mapping[str, Figures]) -> bool:
    return all(set(branch) <= set(branches) for branch in branches.values())


def _side_by_side(branches: Mapping[str, Figures], path: str, title: str) -> Iterator[Table]:
    """Yield one table of the figures of alike branches, and one of each section that they have."""
    if is_of_routes(branches):
        yield routes_table(branches, title, path)
    elif _is_confusion(branches):
        yield _confusion(branches, title)
    else:
        yield _matrix(branches, path, title)
    sections = dict.fromkeys(n for branch in branches.values() for n in branch if not is_leaf(branch[n]))
    for name in sections:
        of_section = {key: branch[name] for key, branch in branches.items() if name in branch}
        yield from tables(of_section, f"{path} / {name}" if path else name)


def _matrix(branches: Mapping[str, Figures], path: str, title: str) -> Table:
    names = list(
        dict.fromkeys(n for branch in branches.values() for n, value in branch.items() if is_leaf(value))
    )
    note = spread_note(branches)
    if len(names) > len(branches):
        notes, of_all = notes_of({n: unit_and_wish(f"{path} / {n}") for n in names})
        rows = [Row(words(n), tuple(cell(b.get(n)) for b in branches.values()), notes[n]) for n in names]
        return Table(titled(title, of_all), tuple(map(words, branches)), tuple(rows), note=note)
    notes, of_all = notes_of({n: unit_of(f"{path} / {n}") for n in names})
    rows = [Row(words(key), tuple(cell(branch.get(n)) for n in names)) for key, branch in branches.items()]
    columns = tuple(titled(words(n), notes[n]) for n in names)
    return Table(titled(title, of_all), columns, tuple(rows), note=note)


def _confusion(branches: Mapping[str, Figures], title: str) -> Table:
    rows = (
        Row(words(own), tuple(cell(branch.get(other), "best" if other == own else "") for other in branches))
        for own, branch in branches.items()
    )
    note = "A row for what pictures are, a column for what they were taken for: how many; blank is none."
    return Table(title, tuple(map(words, branches)), tuple(rows), note=note)
