"""What validation says of all pictures: figures by kind, where each kind stands, and the tables that are plotted."""

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from hdrgen.evaluation.production import GENERATED, GRADIENTS, KINDS, Validated
from hdrgen.evaluation.production_pictures import FOOTAGE, INPUT_OF
from hdrgen.metrics.continuity import codes_per_stop
from hdrgen.metrics.production_figures import FIGURES
from hdrgen.metrics.quality import summarise
from hdrgen.metrics.verdicts import Verdict, verdict
from hdrgen.runtime.choices import ROUTES
from hdrgen.runtime.metrics_file import Figures

KEYS = ("source", "kind", "figure")
"""What the table of figures is keyed by."""
FALLS_SHORT, BETWEEN, AS_FOOTAGE, OPEN = "falls_short", "between", "as_footage", "open"
"""Verdicts; the last is none."""
VERDICTS = {
    **dict.fromkeys(("source", "kind", "input", "figure"), pl.String),
    "way_to_footage": pl.Float64,
    "verdict": pl.String,
}
"""Columns of the verdicts."""
LATITUDE = ("clipped_fraction", "banded_share")
CONTINUITY = ("levels", "gap_share", "comb")
STRONGEST_SOURCES = 24
PLACE = ("place", "source", "frame", "row", "column", "energy")
"""Columns that say where a source of light is."""


def summary(validated: Sequence[Validated]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return all figures by source of frames and kind.

    Generated pictures stand beside the frames of each source but gradients, as they have none of their own.
    """
    return {
        source: {
            kind: summarise([one.figures for one in here if one.kind == kind])
            for kind in KINDS
            if any(one.kind == kind for one in here)
        }
        for source, here in _by_source(validated).items()
    }


def all_verdicts(validated: Sequence[Validated]) -> pl.DataFrame:
    """Return where each kind stands between footage and the one 8-bit picture that it begins with (`INPUT_OF`).

    Generated pictures have no verdict by figures that depend on what a picture shows.

    Returns
    -------
    DataFrame
        A row for each figure that counts for a kind: ``source``, ``kind``, ``input``, ``figure``; ``way_to_footage``, 0 as the
        8-bit input and 1 as footage; and ``verdict``: `FALLS_SHORT` where the kind is not better than its input,
        `AS_FOOTAGE` where it is not worse than footage, else `BETWEEN`, always by more than chance (see `verdicts`). Where
        nothing can be said, the verdict is `OPEN` and ``way_to_footage`` null.
    """
    return pl.DataFrame(
        [
            (source, kind, INPUT_OF[kind], figure, outcome and outcome.way, _word(outcome))
            for source, here in _by_source(validated).items()
            for kind in KINDS
            if kind in INPUT_OF and any(one.kind == kind for one in here)
            for figure, outcome in _verdicts(here, kind).items()
        ],
        VERDICTS,
        orient="row",
    )


def decisive(figures: Figures, verdicts: pl.DataFrame) -> dict[str, Any]:
    """Return what decides, by source and kind: in how many figures it falls short, and in how many it is as footage."""
    counts = dict.fromkeys(verdicts.select("source", "kind", "verdict").iter_rows(), 0)
    for row in verdicts.select("source", "kind", "verdict").iter_rows():
        counts[row] += 1
    return {
        source: {
            kind: {word: counts.get((source, kind, word), 0) for word in (FALLS_SHORT, AS_FOOTAGE)}
            for kind in kinds
            if kind in INPUT_OF
        }
        for source, kinds in figures.items()
    }


def _by_source(validated: Sequence[Validated]) -> dict[str, list[Validated]]:
    """Return the pictures that stand beside each other: those of each source of frames, and the generated ones."""
    generated = [one for one in validated if one.source == GENERATED]
    return {
        source: [one for one in validated if one.source == source]
        + (generated if source != GRADIENTS else [])
        for source in sorted({one.source for one in validated} - {GENERATED})
    }


def _word(outcome: Verdict | None) -> str:
    if outcome is None:
        return OPEN
    return FALLS_SHORT if outcome.falls_short else AS_FOOTAGE if outcome.as_footage else BETWEEN


def _verdicts(here: Sequence[Validated], kind: str) -> dict[str, Verdict | None]:
    """Return the verdict on a kind by each figure that it has and that counts for it."""
    outcomes = {}
    for name, figure in FIGURES.items():
        of_kind, footage, input_8bit = (
            {
                (one.source, one.name): figure.goodness(one.figures[name])
                for one in here
                if one.kind == which and name in one.figures
            }
            for which in (kind, FOOTAGE, INPUT_OF[kind])
        )
        if figure.better and of_kind and not (figure.of_content and kind in ROUTES):
            outcomes[name] = verdict(of_kind, footage, input_8bit, least=figure.least)
    return outcomes


def latitude_table(validated: Iterable[Validated], measure: str) -> pl.DataFrame:
    """Return ``exposure_stops`` and a column of the means of one of `LATITUDE` for each kind."""
    return _means(
        ("exposure_stops",),
        (
            (one.kind, (stops,), value)
            for one in validated
            for stops, value in one.latitude.select("exposure_stops", measure).iter_rows()
        ),
    ).sort("exposure_stops")


def continuity_table(validated: Sequence[Validated], measure: str) -> pl.DataFrame:
    """Return ``stop`` and a column of the means of one of `CONTINUITY` for each kind.

    ``levels`` has two columns more: ``levels_half_float``, what footage's samples could have in half floats,
    and ``levels_logc4_8bit``, the codes that 8-bit LogC4 has in the stop.
    """
    rows = [
        (one.kind, (stop,), value)
        for one in validated
        for stop, value in one.continuity.select("stop", measure).iter_rows()
    ]
    if measure != "levels":
        return _means(("stop",), rows).sort("stop")
    rows += [
        ("levels_half_float", (stop,), value)
        for one in validated
        if one.kind == FOOTAGE
        for stop, value in one.continuity.select("stop", "levels_half_float").iter_rows()
    ]
    allowed = codes_per_stop("logc4_awg4", 8).rename({"levels": "levels_logc4_8bit"})
    return _means(("stop",), rows).sort("stop").join(allowed, on="stop", how="left", maintain_order="left")


def sources_table(validated: Iterable[Validated], strongest: int = STRONGEST_SOURCES) -> pl.DataFrame:
    """Return what each kind made of the strongest sources of light: the share of its energy that each kept.

    Columns are ``place``, 1 for the strongest; ``source``, ``frame``, ``row`` and ``column``, where it is in the evaluated
    part; ``energy``, its luminance summed over pixels; and one for each kind.
    """
    place = ("row", "column", "energy")
    table = _means(
        ("source", "frame", *place),
        (
            (one.kind, (one.source, one.name, *where), ratio)
            for one in validated
            if one.source not in {GRADIENTS, GENERATED}
            for *where, ratio in one.sources.select(*place, "energy_ratio").iter_rows()
        ),
    )
    return (
        table.sort("energy", descending=True, maintain_order=True)
        .head(strongest)
        .with_row_index("place", offset=1)
    )


def _means(key: Sequence[str], values: Iterable[tuple[str, tuple[Any, ...], float | None]]) -> pl.DataFrame:
    """Return a table of means: a row for each key in the order they came, and a column for each kind."""
    rows = [(*at, kind, value) for kind, at, value in values]
    if not rows:
        return pl.DataFrame(schema=[*key])
    long = pl.DataFrame(rows, [*key, "kind", ("value", pl.Float64)], orient="row", infer_schema_length=None)
    return long.pivot("kind", index=key, values="value", aggregate_function="mean", maintain_order=True)


def plots(validated: Sequence[Validated]) -> dict[str, pl.DataFrame]:
    """Return what is plotted: a column for each kind.

    The frames of all sources and the generated pictures have one table for each measure by exposure or
    stop, and one of what was kept of the strongest sources of light; the gradients have
    ``gradients_banded_share_by_exposure``.
    """
    pictures = [one for one in validated if one.source != GRADIENTS]
    smooth = [one for one in validated if one.source == GRADIENTS]
    return {
        **{f"{measure}_by_exposure": latitude_table(pictures, measure) for measure in LATITUDE},
        **{f"{measure}_by_stop": continuity_table(pictures, measure) for measure in CONTINUITY},
        "source_energy_ratio_by_place": sources_table(validated).drop(*PLACE[1:]),
        "gradients_banded_share_by_exposure": latitude_table(smooth, "banded_share"),
    }


def tables(validated: Sequence[Validated]) -> dict[str, pl.DataFrame]:
    """Return what stands beside the figures: the verdicts, and where light sources are."""
    return {"verdicts": all_verdicts(validated), "light_sources": sources_table(validated).select(PLACE)}
