"""Models beside their baselines: against the best closed form, by route, and between 8 bits and footage."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hdrgen.evaluation.tables import MARGIN
from hdrgen.evaluation.text_to_exr_tables import BASE, FRAMES
from hdrgen.metrics.quantities import QUANTITIES, Quantity, quantity_of
from hdrgen.report.cells import (
    Cell,
    Row,
    Table,
    best_of,
    cell,
    is_leaf,
    margin_cell,
    notes_of,
    spread_note,
    titled,
)
from hdrgen.report.text import Verdict, frame_name, signed, unit_and_wish, unit_of, verdict_on, words
from hdrgen.runtime.metrics_file import Figures, mean_of

_GAINS = {
    "gain_db": "gain, dB",
    "gain_crf_db": "gain with the curve fitted, dB",
    "energy_error_stops": "energy of clipped light off by, stops",
    "released_gain_db": "gain as released, dB",
}
"""What decides about recovered light, and what it is called."""


@dataclass(frozen=True)
class Standing:
    """How models stand against the best closed form on one kind of input, by one metric: larger is better.

    ``models`` are name, figure and margin.
    """

    stage: str
    evaluated_on: str
    metric: str
    unit: str
    baseline: str
    baseline_value: float
    models: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Shortfall:
    """How a kind of picture stands between its 8-bit input and footage.

    ``count`` figures tell these two apart. Of those it is ``as_footage`` in some, not better than the input in the
    ``short`` ones, and ``between`` has each other with the part of the way to footage.
    """

    source: str
    kind: str
    input_8bit: str
    count: int
    as_footage: tuple[str, ...]
    between: tuple[tuple[str, float], ...]
    short: tuple[str, ...]


def is_of_models(section: Any) -> bool:
    """Tell whether a section of the figures is of models, some with a margin over the best closed form."""
    return isinstance(section, Mapping) and any(_margins(of) for of in section.values())


def models_table(models: Figures, title: str) -> Table:
    """Return a row for each figure and a column for each model, baselines marked, the best set off, and the margins."""
    margins = {model: _margins(figures) for model, figures in models.items()}
    names = dict.fromkeys(
        name for figures in models.values() for name in figures if not name.endswith(MARGIN)
    )
    rows = []
    for name in names:
        means = {model: mean_of(figures[name]) for model, figures in models.items() if name in figures}
        best = best_of(quantity_of(name), means)
        cells = tuple(
            cell(figures.get(name), "best" if model in best else "") for model, figures in models.items()
        )
        rows.append(Row(words(name), cells, unit_and_wish(name)))
        if any(name in of for of in margins.values()):
            over = tuple(margin_cell(margins[model].get(name)) for model in models)
            rows.append(Row("over the best baseline", over, unit_of(name)))
    baselines = frozenset(words(model) for model in models if not margins[model])
    return Table(title, tuple(map(words, models)), tuple(rows), baselines, spread_note(models))


def is_of_routes(section: Any) -> bool:
    """Tell whether a section of a metrics file is what `routes_table` shows."""
    return isinstance(section, Mapping) and {BASE, FRAMES} <= set(section)


def routes_table(routes: Figures, title: str, path: str = "", *, whole: bool = True) -> Table:
    """Return text to EXR: a row for each figure, a column for the base model, each route and the frames.

    The base model is the baseline; below each figure that has a better way is what the routes differ by from it. The
    frames are the reference, as a perfect generator would make pictures like those.

    Parameters
    ----------
    routes
        Figures of `BASE`, of each route and of `FRAMES`; sections of them are left out.
    title
        Title of the table.
    path
        Path of the section, as in `tables`.
    whole
        All figures in their order; else those alone that are registered by their very name, as no single exposure's is,
        in the registry's order.
    """
    means = {
        route: {name: mean_of(value) for name, value in of.items() if is_leaf(value)}
        for route, of in routes.items()
    }
    names = dict.fromkeys(name for of in means.values() for name in of)
    if not whole:
        names = {name: None for name in QUANTITIES if name in names}
    notes, of_all = notes_of({name: unit_and_wish(f"{path} / {name}") for name in names})
    rows = []
    for name in names:
        quantity = quantity_of(f"{path} / {name}")
        of_name = {route: of[name] for route, of in means.items() if name in of}
        best = best_of(quantity, {route: mean for route, mean in of_name.items() if route != FRAMES})
        cells = tuple(cell(of.get(name), "best" if route in best else "") for route, of in routes.items())
        rows.append(Row(words(name), cells, notes[name]))
        margins = tuple(_margin_to_base(quantity, of_name, route) for route in routes)
        if any(margin.verdict for margin in margins):
            rows.append(Row("against the base", margins))
    return Table(
        titled(title, of_all),
        tuple(map(words, routes)),
        tuple(rows),
        frozenset({words(BASE)}),
        spread_note(routes),
        frozenset({words(FRAMES)}),
    )


def production_table(kinds: Figures, verdicts: Sequence[Mapping[str, str]], title: str) -> Table:
    """Return a row for each figure and a column for each kind, footage and 8-bit inputs marked, and the verdicts.

    Where a figure has a verdict on a kind, it is set off: not better than the 8-bit input, or as good as footage.
    """
    names = dict.fromkeys(name for figures in kinds.values() for name in figures)
    marks: dict[str, Verdict] = {"falls_short": "below", "as_footage": "best"}
    mark_of = {(row["kind"], row["figure"]): marks.get(row["verdict"], "") for row in verdicts}
    inputs = {row["kind"]: row["input"] for row in verdicts}
    rows = tuple(
        Row(
            words(name),
            tuple(cell(figures.get(name), mark_of.get((kind, name), "")) for kind, figures in kinds.items()),
            unit_and_wish(name),
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


def shortfalls(verdicts: Sequence[Mapping[str, str]]) -> Iterator[Shortfall]:
    """Yield how each kind stands, by the rows of the table of verdicts."""
    groups: dict[tuple[str, str, str], dict[str, list[tuple[str, float]]]] = {}
    for row in verdicts:
        of_kind = groups.setdefault((row["source"], row["kind"], row["input"]), {})
        if row["way_to_footage"]:
            of_kind.setdefault(row["verdict"], []).append((row["figure"], float(row["way_to_footage"])))
    for at, by_verdict in groups.items():
        as_footage, short = (
            tuple(name for name, _ in by_verdict.get(word, ())) for word in ("as_footage", "falls_short")
        )
        yield Shortfall(
            *at, sum(map(len, by_verdict.values())), as_footage, tuple(by_verdict.get("between", ())), short
        )


def is_of_gains(section: Any) -> bool:
    """Tell whether a metrics file is what `gains_table` shows."""
    kinds = [kind for source in section.values() if isinstance(source, Mapping) for kind in source.values()]
    return any(isinstance(kind, Mapping) and "gain_db" in kind for kind in kinds)


def gains_table(decides: Figures, title: str) -> Table:
    """Return what recovered light is worth beside the untouched picture: a row for each source and kind of picture."""
    rows = []
    for source, kinds in decides.items():
        for kind, figures in kinds.items():
            cells = tuple(
                cell(figures.get(name)) if name == "energy_error_stops" else margin_cell(figures.get(name))
                for name in _GAINS
            )
            rows.append(Row(f"{words(source)}, {words(kind)}", cells))
    return Table(title, tuple(_GAINS.values()), tuple(rows))


def harmed_table(harmed: Sequence[Mapping[str, str]], title: str, most: int = 12) -> Table:
    """Return the pictures that a model made worse than they were, at most so many, the worst first.

    Parameters
    ----------
    harmed
        Rows of ``harmed.tsv`` as `evaluation.highlights.harmed` orders them; at least one.
    title
        Title of the table.
    most
        Pictures that are listed.
    """
    rows = tuple(
        Row(
            f"{frame_name(one['frame'])}, {words(one['source'])}, {words(one['kind'])}",
            (Cell(words(one["model"])), margin_cell(float(one["gain_db"]))),
        )
        for one in harmed[:most]
    )
    counts = Counter(one["model"] for one in harmed)
    of_each = ", ".join(f"{words(model)} {count}" for model, count in counts.items())
    return Table(title, ("model", "gain, dB"), rows, note=f"Of all pictures: {of_each}.")


def standings(stage: str, figures: Figures) -> Iterator[Standing]:
    """Yield how the models of each kind of input stand, by the metric that their margins name first."""
    for source, kinds in figures.items():
        for kind, models in kinds.items() if isinstance(kinds, Mapping) else ():
            if not is_of_models(models):
                continue
            margins = {model: of for model in models if (of := _margins(models[model]))}
            metric = next(iter(next(iter(margins.values()))))
            means = {model: mean_of(of[metric]) for model, of in models.items() if metric in of}
            baseline = max((model for model in means if model not in margins), key=lambda base: means[base])
            yield Standing(
                stage,
                f"{words(source)}, {words(kind)}",
                metric,
                unit_of(metric),
                baseline,
                means[baseline],
                tuple((model, means[model], of[metric]) for model, of in margins.items()),
            )


def _margins(figures: Any) -> dict[str, float]:
    """Return a model's margins by metric; empty where it is a baseline."""
    if not isinstance(figures, Mapping):
        return {}
    return {name.removesuffix(MARGIN): value for name, value in figures.items() if name.endswith(MARGIN)}


def _margin_to_base(quantity: Quantity, means: Mapping[str, float], route: str) -> Cell:
    """Return the difference to the base with its own sign, marked by what is better."""
    if route in {BASE, FRAMES} or not {BASE, route} <= set(means):
        return Cell("")
    gain = quantity.gain(means[BASE], means[route])
    return Cell(signed(means[route] - means[BASE]), verdict=verdict_on(gain))
