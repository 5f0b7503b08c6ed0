"""Figures as tables that a person can read: rounded, beside their baselines, and beside what they were."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hdrgen.metrics.full_reference import METRICS, metric_of
from hdrgen.report.pipeline import Tree
from hdrgen.validation.figures import FIGURES

MARGINS = "margin_over_best_closed_form"
Verdict = Literal["", "best", "above", "below"]
_SUMMARY = {"mean", "sd", "min", "max", "count"}
_SMALLEST_CHANGE = 0.005
"""Relative change of a figure from which it is listed."""
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
    """A table with a word about it; ``marked`` columns are baselines."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    marked: frozenset[str] = frozenset()
    note: str = ""


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


@dataclass(frozen=True)
class Change:
    """A figure that differs from the committed one."""

    stage: str
    figure: str
    before: float
    now: float
    verdict: Verdict = field(default="")

    @property
    def relative(self) -> float:
        """Return the change as a part of the larger of the two."""
        return abs(self.now - self.before) / max(abs(self.now), abs(self.before))


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
    elif size >= 0.001:
        said = f"{size:.3g}"
    else:
        said = f"{size:.1e}".replace("e-0", "e-").replace("-", "\N{MINUS SIGN}")
    return f"\N{MINUS SIGN}{said}" if value < 0 else said


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(rounded, value))
    return {None: "none", True: "yes", False: "no"}[value] if value in {None, True, False} else str(value)


def _two_digits(spread: float) -> str:
    return rounded(spread) if spread >= 1 or spread < 0.001 else f"{spread:.2g}"


def signed(value: float) -> str:
    """Return a difference for eyes, with its sign; below 10 with two decimals, or what is not 0 of four.

    Examples
    --------
    >>> signed(0.2391), signed(-20.172), signed(0.00472), signed(-0.00001)
    ('+0.24', '\N{MINUS SIGN}20.17', '+0.0047', '0')
    """
    size = abs(value)
    decimals = 2 if size >= 0.01 else 4
    if round(size, decimals) == 0:
        return "0"
    said = rounded(size) if size >= 100 else f"{size:.{decimals}f}"
    return f"+{said}" if value > 0 else f"\N{MINUS SIGN}{said}"


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


def unit_of(figure: str) -> str:
    """Return the unit of a figure, empty where it has none or is not known."""
    if "psnr" in figure:
        return "dB"
    return metric_of(figure).unit if _known(figure) else ""


def direction_of(figure: str) -> str:
    """Return ``higher``, ``lower`` or ``nearer 1``: what is better; empty where that is not known."""
    if "psnr" in figure:
        return "higher"
    return metric_of(figure).better if _known(figure) else ""


def is_summary(value: Any) -> bool:
    """Tell whether a value is a figure over several pictures: mean, spread, extremes."""
    return isinstance(value, Mapping) and set(value) == _SUMMARY


def cell(value: Any, verdict: Verdict = "") -> Cell:
    """Return a figure as a cell."""
    if value is None:
        return Cell("")
    if not is_summary(value):
        return Cell(rounded(value), verdict=verdict)
    more = f"{rounded(value['min'])} to {rounded(value['max'])}, {value['count']} pictures"
    spread = f"\N{PLUS-MINUS SIGN}\N{NARROW NO-BREAK SPACE}{_two_digits(value['sd'])}" if value["sd"] else ""
    return Cell(rounded(value["mean"]), spread, more, verdict)


def tables(tree: Tree, title: str = "") -> Iterator[Table]:
    """Yield all figures of a metrics file as tables, judgements and validations as what they are.

    Parameters
    ----------
    tree
        The file's content.
    title
        Of the first table.
    """
    if MARGINS in tree:
        yield judgement_table(tree, title)
        tree = {name: value for name, value in tree.items() if name not in judged_models(tree) | {MARGINS}}
    elif {"kinds", "way_to_footage", "falls_short"} <= set(tree):
        yield validation_table(tree, title)
        return
    single = {name: value for name, value in tree.items() if _is_leaf(value)}
    if single:
        yield Table(title, (), tuple(Row(words(name), (cell(value),)) for name, value in single.items()))
    branches = {name: value for name, value in tree.items() if not _is_leaf(value) and value}
    flat = {name: value for name, value in branches.items() if all(map(_is_leaf, value.values()))}
    if len(flat) > 1 and len(flat) == len(branches) and _alike(flat):
        yield _matrix(flat, title)
        return
    for name, value in branches.items():
        yield from tables(value, f"{title}, {words(name)}" if title else words(name))


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
        best = _best(means, direction_of(name))
        cells = tuple(cell(judged[model].get(name), "best" if model == best else "") for model in models)
        rows.append(Row(words(name), cells, ", ".join(filter(None, (unit_of(name), _wish(name))))))
        if any(name in of for of in margins.values()):
            rows.append(
                Row(
                    "over the best baseline",
                    tuple(_margin_cell(margins.get(model, {}).get(name)) for model in models),
                    unit_of(name),
                )
            )
    baselines = frozenset(words(model) for model in models if model not in margins)
    return Table(title, tuple(map(words, models)), tuple(rows), baselines)


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
            _wish_of_validation(name),
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


def _wish_of_validation(name: str) -> str:
    figure = FIGURES.get(name)
    if figure is None:
        return ""
    return ", ".join(
        filter(None, (figure.unit, f"{figure.better} is better" if figure.better else "not judged"))
    )


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


def changes(before: Mapping[str, Tree], now: Mapping[str, Tree]) -> list[Change]:
    """Return the figures, means where there are several pictures, that changed by half a per cent or more.

    Only files that both have are compared. The largest relative changes of each file come first.
    """
    found = []
    for file in (name for name in now if name in before):
        old, new = dict(_flat(before[file])), dict(_flat(now[file]))
        of_file = []
        for name in (name for name in new if name in old and new[name] != old[name]):
            last = name.rsplit(" / ", 1)[-1]
            change = Change(file, name, old[name], new[name], _better(last, old[name], new[name]))
            if change.relative >= _SMALLEST_CHANGE:
                of_file.append(change)
        found += sorted(of_file, key=lambda change: -change.relative)
    return found


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


def _better(figure: str, before: float, now: float) -> Verdict:
    match direction_of(figure):
        case "higher":
            return "above" if now > before else "below"
        case "lower":
            return "above" if now < before else "below"
        case "nearer 1":
            return "above" if abs(now - 1) < abs(before - 1) else "below"
    return ""


def _flat(tree: Tree) -> Iterator[tuple[str, float]]:
    for name, value in _leaves(tree):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value


def _leaves(tree: Tree, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        path = f"{above} / {name}" if above else str(name)
        if is_summary(value):
            yield path, value["mean"]
        elif isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _is_leaf(value: Any) -> bool:
    return is_summary(value) or not isinstance(value, Mapping)


def _alike(branches: Mapping[str, Tree]) -> bool:
    """Tell whether branches have so many names in common that they make one table."""
    sets = [set(branch) for branch in branches.values()]
    return 2 * len(set.intersection(*sets)) >= len(set.union(*sets))


def _matrix(branches: Mapping[str, Tree], title: str) -> Table:
    names = list(dict.fromkeys(name for branch in branches.values() for name in branch))
    if len(names) > len(branches):
        rows = [Row(words(n), tuple(cell(branch.get(n)) for branch in branches.values())) for n in names]
        return Table(title, tuple(map(words, branches)), tuple(rows))
    rows = [Row(words(key), tuple(cell(branch.get(n)) for n in names)) for key, branch in branches.items()]
    return Table(title, tuple(map(words, names)), tuple(rows))


def _known(figure: str) -> bool:
    return any(figure.startswith(name) for name in METRICS)


def _wish(figure: str) -> str:
    better = direction_of(figure)
    return f"{better} is better" if better else ""


def _best(means: Mapping[str, float], better: str) -> str | None:
    if not better or len(means) < 2:
        return None
    keys = {
        "higher": lambda m: -means[m],
        "lower": lambda m: means[m],
        "nearer 1": lambda m: abs(means[m] - 1),
    }
    return min(means, key=keys[better])


def _margin_cell(margin: float | None) -> Cell:
    return Cell("") if margin is None else Cell(signed(margin), verdict=verdict_on(margin))


def only(rows: Sequence[Change], most: int) -> tuple[list[Change], int]:
    """Return the first of the changes, each file in turn so that none is left out, and how many more there are."""
    by_file: dict[str, list[Change]] = {}
    for row in rows:
        by_file.setdefault(row.stage, []).append(row)
    share = max(1, most // max(1, len(by_file)))
    shown = [row for of_file in by_file.values() for row in of_file[:share]]
    return shown, len(rows) - len(shown)
