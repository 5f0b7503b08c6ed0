"""Figures as tables that a person can read: rounded, beside their baselines, and beside what they were."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hdrgen.metrics.quantities import QUANTITIES, Quantity, quantity_of
from hdrgen.report.pipeline import Tree

MARGINS = "margin_over_best_closed_form"
ROUTES, BASE, FRAMES = "routes", "base", "frames"
"""Text to EXR as `metrics.flux` writes it: the routes, among them the model before training and what it was trained on."""
MINUS = "\N{MINUS SIGN}"
Verdict = Literal["", "best", "above", "below"]
_SUMMARY = {"mean", "sd", "min", "max", "count"}
_DIGESTS = re.compile(r"(_[0-9a-f]{12})+$")
_SPELLING = {
    word.lower().replace("-", ""): word
    for word in (
        *("8-bit", "EXR", "FLUX", "HDR", "JPEG", "LogC3", "LogC4", "LoRA", "MLP", "OpenCV"),
        *("PSNR", "PU21", "RMSE", "sRGB", "SSIM", "VAE"),
    )
} | {"pu21": "PU21", "inf": "Inf", "nan": "NaN", "uv": "u'v'"}


@dataclass(frozen=True)
class Cell:
    """One figure: as it is shown, its spread over pictures, more to be told by pointing at it, and what it means."""

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


@dataclass(frozen=True)
class Standing:
    """How models stand against the best closed form on one kind of input, by one metric: larger is better.

    ``models`` are name, figure and margin.
    """

    stage: str
    judged_on: str
    metric: str
    unit: str
    baseline: str
    baseline_value: float
    models: tuple[tuple[str, float, float], ...]


def rounded(value: Any) -> str:
    """Return a figure for eyes: about four digits, a real minus sign, thousands apart.

    Examples
    --------
    >>> rounded(63.5557), rounded(-0.02514), rounded(2142176), rounded(0.0), rounded(18234.2)
    ('63.56', '\N{MINUS SIGN}0.0251', '2\N{NARROW NO-BREAK SPACE}142\N{NARROW NO-BREAK SPACE}176', '0', '18\N{NARROW NO-BREAK SPACE}234')
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _said(value)
    size = abs(value)
    if isinstance(value, int) or size >= 1000:
        said = f"{size:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    elif size == 0:
        said = "0"
    elif size >= 100:
        said = f"{size:.1f}"
    elif size >= 1:
        said = f"{size:.2f}"
    elif size >= 0.1:
        said = f"{size:.4f}"
    elif size >= 0.0001:
        said = f"{size:.3g}"
    else:
        said = f"{size:.1e}".replace("e-0", "e-").replace("-", MINUS)
    return f"{MINUS}{said}" if value < 0 else said


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(rounded, value))
    return {None: "none", True: "yes", False: "no"}[value] if value in {None, True, False} else str(value)


def _two_digits(spread: float) -> str:
    return rounded(spread) if spread >= 1 or spread < 0.0001 else f"{spread:.2g}"


def signed(value: float) -> str:
    """Return a difference for eyes, with its sign: two digits behind the point, or two that are not 0 of four.

    Examples
    --------
    >>> signed(0.2391), signed(-20.172), signed(-0.0241), signed(0.00472), signed(-0.00001)
    ('+0.24', '\N{MINUS SIGN}20.17', '\N{MINUS SIGN}0.024', '+0.0047', '0')
    """
    size = abs(value)
    decimals = 2 if size >= 0.1 else 3 if size >= 0.01 else 4
    if round(size, decimals) == 0:
        return "0"
    said = rounded(size) if size >= 100 else f"{size:.{decimals}f}"
    return f"+{said}" if value > 0 else f"{MINUS}{said}"


def verdict_on(margin: float) -> Verdict:
    """Return whether a model is above its baseline, below it, or, to four decimals, level with it."""
    if signed(margin) == "0":
        return ""
    return "above" if margin > 0 else "below"


def words(name: str) -> str:
    """Return a name of code as words, with the field's own spelling.

    Examples
    --------
    >>> words("pu21_psnr"), words("srgb_8bit"), words("stops_rmse_below_0.05")
    ('PU21-PSNR', 'sRGB 8-bit', 'stops RMSE below 0.05')
    """
    said = " ".join(_SPELLING.get(word, word) for word in name.split("_"))
    return said.replace("PU21 ", "PU21-")


def frame_name(name: str) -> str:
    """Return a frame's name without its source and its digests.

    Examples
    --------
    >>> frame_name("simulated/night_street_0026_a94850d569f7_a69b7a31686e")
    'night street 0026'
    """
    return _DIGESTS.sub("", name.rsplit("/", 1)[-1]).replace("_", " ")


def is_summary(value: Any) -> bool:
    """Tell whether a value is a figure over several pictures: mean, spread, extremes."""
    return isinstance(value, Mapping) and set(value) == _SUMMARY


def mean_of(value: Any) -> Any:
    """Return the mean of a figure over several pictures, and any other as it is."""
    return value["mean"] if is_summary(value) else value


def cell(value: Any, verdict: Verdict = "") -> Cell:
    """Return a figure as a cell."""
    if value is None:
        return Cell("")
    if not is_summary(value):
        return Cell(rounded(value), verdict=verdict)
    more = f"{rounded(value['min'])} to {rounded(value['max'])}, {value['count']} pictures"
    spread = f"\N{PLUS-MINUS SIGN}\N{NARROW NO-BREAK SPACE}{_two_digits(value['sd'])}" if value["sd"] else ""
    return Cell(rounded(value["mean"]), spread, more, verdict)


def tables(tree: Tree, path: str = "") -> Iterator[Table]:
    """Yield all figures of a metrics file as tables, judgements and validations as what they are.

    Parameters
    ----------
    tree
        The file's content, or a section of it.
    path
        Of the section: names with `` / `` between.
    """
    title = ", ".join(map(words, path.split(" / ")))
    if MARGINS in tree:
        yield judgement_table(tree, title)
        tree = {name: value for name, value in tree.items() if name not in judged_models(tree) | {MARGINS}}
    elif {"kinds", "way_to_footage", "falls_short"} <= set(tree):
        yield validation_table(tree, title)
        return
    single = {name: value for name, value in tree.items() if _is_leaf(value)}
    if single:
        units, of_all = _notes({name: unit_of(f"{path} / {name}") for name in single})
        rows = (Row(words(name), (cell(value),), units[name]) for name, value in single.items())
        yield Table(_titled(title, of_all), (), tuple(rows))
    branches = {name: value for name, value in tree.items() if not _is_leaf(value) and value}
    if _alike(branches):
        yield from _side_by_side(branches, path, title)
        return
    for name, value in branches.items():
        yield from tables(value, f"{path} / {name}" if path else name)


def judged_models(judged: Tree) -> set[str]:
    """Return the models of a judgement, closed forms among them."""
    return {name for name, figures in judged.items() if any(is_summary(f) for f in figures.values())}


def judgement_table(judged: Tree, title: str) -> Table:
    """Return a row for each figure and a column for each model, baselines marked, the best set off, and the margins."""
    models = [name for name in judged if name in judged_models(judged)]
    margins: Tree = judged[MARGINS]
    names = dict.fromkeys(name for model in models for name in judged[model])
    rows = []
    for name in names:
        means = {model: judged[model][name]["mean"] for model in models if name in judged[model]}
        best = _best(quantity_of(name), means)
        cells = tuple(cell(judged[model].get(name), "best" if model in best else "") for model in models)
        rows.append(Row(words(name), cells, _unit_and_wish(name)))
        if any(name in of for of in margins.values()):
            rows.append(
                Row(
                    "over the best baseline",
                    tuple(_margin_cell(margins.get(model, {}).get(name)) for model in models),
                    unit_of(name),
                )
            )
    baselines = frozenset(words(model) for model in models if model not in margins)
    note = _spread_note({model: judged[model] for model in models})
    return Table(title, tuple(map(words, models)), tuple(rows), baselines, note)


def is_of_routes(section: Any) -> bool:
    """Tell whether a section of a metrics file is what `routes_table` shows."""
    return isinstance(section, Mapping) and {BASE, FRAMES} <= set(section)


def routes_table(routes: Tree, title: str, path: str = "", *, whole: bool = True) -> Table:
    """Return text to EXR: a row for each figure, a column for the base model, each route and the frames.

    The base model is the baseline; below each figure that has a better way is what the routes differ by from it. The
    frames are the reference, as a perfect generator would make pictures like those.

    Parameters
    ----------
    routes
        Figures of `BASE`, of each route and of `FRAMES`; sections of them are left out.
    title
        Of the table.
    path
        Of the section, as in `tables`.
    whole
        All figures in their order; else those alone that are registered by their very name, as no single exposure's is,
        in the registry's order.
    """
    means = {
        route: {name: mean_of(value) for name, value in of.items() if _is_leaf(value)}
        for route, of in routes.items()
    }
    names = dict.fromkeys(name for of in means.values() for name in of)
    if not whole:
        names = {name: None for name in QUANTITIES if name in names}
    notes, of_all = _notes({name: _unit_and_wish(f"{path} / {name}") for name in names})
    rows = []
    for name in names:
        quantity = quantity_of(f"{path} / {name}")
        of_name = {route: of[name] for route, of in means.items() if name in of}
        best = _best(quantity, {route: mean for route, mean in of_name.items() if route != FRAMES})
        cells = tuple(cell(of.get(name), "best" if route in best else "") for route, of in routes.items())
        rows.append(Row(words(name), cells, notes[name]))
        margins = tuple(_margin_to_base(quantity, of_name, route) for route in routes)
        if any(margin.verdict for margin in margins):
            rows.append(Row("against the base", margins))
    return Table(
        _titled(title, of_all),
        tuple(map(words, routes)),
        tuple(rows),
        frozenset({words(BASE)}),
        _spread_note(routes),
        frozenset({words(FRAMES)}),
    )


def validation_table(source: Tree, title: str) -> Table:
    """Return a row for each figure and a column for each kind, footage and 8-bit inputs marked, and the verdicts.

    Where a figure may judge a kind, it is set off: not better than the 8-bit input, or as good as footage.
    """
    kinds, inputs = source["kinds"], source["input_of"]
    names = dict.fromkeys(name for figures in kinds.values() for name in figures)
    rows = tuple(
        Row(
            words(name),
            tuple(
                cell(figures.get(name), _standing_of(source, kind, name)) for kind, figures in kinds.items()
            ),
            _unit_and_wish(name),
        )
        for name in names
    )
    marked = frozenset(words(kind) for kind in kinds if kind not in inputs)
    note = "; ".join(f"{words(kind)} begins with {words(at)}" for kind, at in inputs.items())
    return Table(
        title,
        tuple(map(words, kinds)),
        rows,
        marked,
        "Set off where footage is better than the 8-bit picture that a kind begins with by more than chance. Marked: the "
        f"kind is not better than that 8-bit picture by more than chance; bold: it is as good as footage. {note}.",
    )


def _standing_of(source: Tree, kind: str, name: str) -> Verdict:
    if name in source["falls_short"].get(kind, ()):
        return "below"
    return "best" if name in source["as_footage"].get(kind, ()) else ""


def standings(stage: str, tree: Tree) -> Iterator[Standing]:
    """Yield how the models of each judgement stand, by the metric that its margins name first."""
    for source, kinds in tree.items():
        for kind, judged in kinds.items() if isinstance(kinds, Mapping) else ():
            if not isinstance(judged, Mapping) or not judged.get(MARGINS):
                continue
            margins = judged[MARGINS]
            metric = next(iter(next(iter(margins.values()))))
            bases = {
                model: judged[model][metric]["mean"]
                for model in judged
                if model in judged_models(judged) and model not in margins and metric in judged[model]
            }
            baseline = max(bases, key=lambda base: bases[base])
            yield Standing(
                stage,
                f"{words(source)}, {words(kind)}",
                metric,
                unit_of(metric),
                baseline,
                bases[baseline],
                tuple(
                    (model, judged[model][metric]["mean"], found[metric]) for model, found in margins.items()
                ),
            )


def _is_leaf(value: Any) -> bool:
    return is_summary(value) or not isinstance(value, Mapping)


def _alike(branches: Mapping[str, Tree]) -> bool:
    """Tell whether branches make one table: routes, a confusion, or figures that have most names in common."""
    sets = [{name for name, value in branch.items() if _is_leaf(value)} for branch in branches.values()]
    if len(sets) < 2 or not all(sets):
        return False
    in_common = 2 * len(set.intersection(*sets)) >= len(set.union(*sets))
    return in_common or is_of_routes(branches) or _is_confusion(branches)


def _is_confusion(branches: Mapping[str, Tree]) -> bool:
    return all(set(branch) <= set(branches) for branch in branches.values())


def _side_by_side(branches: Mapping[str, Tree], path: str, title: str) -> Iterator[Table]:
    """Yield one table of the figures of alike branches, and one of each section that they have."""
    if is_of_routes(branches):
        yield routes_table(branches, title, path)
    elif _is_confusion(branches):
        yield _confusion(branches, title)
    else:
        yield _matrix(branches, path, title)
    sections = dict.fromkeys(n for branch in branches.values() for n in branch if not _is_leaf(branch[n]))
    for name in sections:
        of_section = {key: branch[name] for key, branch in branches.items() if name in branch}
        yield from tables(of_section, f"{path} / {name}" if path else name)


def _matrix(branches: Mapping[str, Tree], path: str, title: str) -> Table:
    names = list(
        dict.fromkeys(n for branch in branches.values() for n, value in branch.items() if _is_leaf(value))
    )
    note = _spread_note(branches)
    if len(names) > len(branches):
        notes, of_all = _notes({n: _unit_and_wish(f"{path} / {n}") for n in names})
        rows = [Row(words(n), tuple(cell(b.get(n)) for b in branches.values()), notes[n]) for n in names]
        return Table(_titled(title, of_all), tuple(map(words, branches)), tuple(rows), note=note)
    notes, of_all = _notes({n: unit_of(f"{path} / {n}") for n in names})
    rows = [Row(words(key), tuple(cell(branch.get(n)) for n in names)) for key, branch in branches.items()]
    columns = tuple(_titled(words(n), notes[n]) for n in names)
    return Table(_titled(title, of_all), columns, tuple(rows), note=note)


def _notes(notes: Mapping[str, str]) -> tuple[Mapping[str, str], str]:
    """Return the note of each figure and that of all: where all have the same, it is said once."""
    if len(notes) > 1 and len(set(notes.values())) == 1:
        return dict.fromkeys(notes, ""), next(iter(notes.values()))
    return notes, ""


def _titled(title: str, note: str) -> str:
    return ", ".join(filter(None, (title, note)))


def _confusion(branches: Mapping[str, Tree], title: str) -> Table:
    rows = (
        Row(words(own), tuple(cell(branch.get(other), "best" if other == own else "") for other in branches))
        for own, branch in branches.items()
    )
    note = "A row for what pictures are, a column for what they were taken for: how many; blank is none."
    return Table(title, tuple(map(words, branches)), tuple(rows), note=note)


def _spread_note(branches: Mapping[str, Tree]) -> str:
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


def unit_of(figure: str) -> str:
    """Return the unit of a figure, by its name or its path; empty where there is none, or where the name has it.

    Examples
    --------
    >>> unit_of("pu21_psnr"), unit_of("tone_distance_stops"), unit_of("routes / base / pinned_share")
    ('dB', '', 'of pixels')
    """
    unit = quantity_of(figure).unit
    return "" if unit in figure.rsplit(" / ", 1)[-1].split("_") else unit


def _unit_and_wish(figure: str) -> str:
    better = quantity_of(figure).better
    return ", ".join(filter(None, (unit_of(figure), f"{better} is better" if better else "")))


def _best(quantity: Quantity, means: Mapping[str, float]) -> set[str]:
    """Return all that have the best mean; none where no way is better, or where all are as good."""
    best = {one for one in means if all(quantity.gain(mean, means[one]) >= 0 for mean in means.values())}
    return best if len(best) < len(means) else set()


def _margin_to_base(quantity: Quantity, means: Mapping[str, float], route: str) -> Cell:
    """Return the difference to the base with its own sign, judged by what is better."""
    if route in {BASE, FRAMES} or not {BASE, route} <= set(means):
        return Cell("")
    gain = quantity.gain(means[BASE], means[route])
    return Cell(signed(means[route] - means[BASE]), verdict=verdict_on(gain))


def _margin_cell(margin: float | None) -> Cell:
    return Cell("") if margin is None else Cell(signed(margin), verdict=verdict_on(margin))
