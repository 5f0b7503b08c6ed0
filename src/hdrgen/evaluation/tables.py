"""Figures of many pictures by several models: the metrics file, and the tables that are plotted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from hdrgen.metrics.quality import LUMINANCE_BANDS, summarise
from hdrgen.runtime.atomic import replacing


@dataclass(frozen=True)
class Judgement:
    """Figures of one picture by one model; ``kind`` is what was done to its input, as ``clean``."""

    source: str
    frame: str
    kind: str
    model: str
    figures: Mapping[str, float]


def summary(
    judgements: Sequence[Judgement], closed_forms: Sequence[str], margin_metrics: Sequence[str]
) -> dict[str, Any]:
    """Return the metrics file: source, kind, model, metric; and each model's margin over the best closed form.

    Parameters
    ----------
    judgements
        Any number.
    closed_forms
        Models that the others must beat; those that a kind does not have are left out.
    margin_metrics
        Metrics, larger when better, whose margins are wanted.
    """
    result: dict[str, Any] = {}
    for source, kind in sorted({(j.source, j.kind) for j in judgements}):
        here = [j for j in judgements if j.source == source and j.kind == kind]
        models = {
            model: summarise([j.figures for j in here if j.model == model])
            for model in dict.fromkeys(j.model for j in here)
        }
        bases = [model for model in models if model in closed_forms]
        margins = {
            model: {
                metric: figures[metric]["mean"] - max(models[base][metric]["mean"] for base in bases)
                for metric in margin_metrics
                if metric in figures
            }
            for model, figures in models.items()
            if bases and model not in bases
        }
        result.setdefault(source, {})[kind] = {**models, "margin_over_best_closed_form": margins}
    return result


def table_by_frame(judgements: Sequence[Judgement], metric: str) -> pl.DataFrame:
    """Return kind, frame, and a column of this metric for each model."""
    rows = [
        {"kind": j.kind, "frame": f"{j.source}/{j.frame}", "model": j.model, "value": j.figures[metric]}
        for j in judgements
    ]
    return pl.DataFrame(rows).pivot("model", index=["kind", "frame"], values="value")


def table_by_band(judgements: Sequence[Judgement]) -> pl.DataFrame:
    """Return kind, luminance band, and a column of the mean error in stops for each model."""
    rows = [
        {"kind": j.kind, "band": band, "model": j.model, "value": j.figures[f"stops_rmse_{band}"]}
        for j in judgements
        for band in LUMINANCE_BANDS
        if f"stops_rmse_{band}" in j.figures
    ]
    return pl.DataFrame(rows).pivot(
        "model", index=["kind", "band"], values="value", aggregate_function="mean"
    )


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame], kinds: Sequence[str]) -> None:
    """Write each table's rows of each kind as ``<name>_<kind>.tsv``, which `dvc plots` draws."""
    for name, table in tables.items():
        for kind in kinds:
            rows = table.filter(pl.col("kind") == kind).drop("kind")
            with replacing(folder / f"{name}_{kind}.tsv") as temporary:
                rows.write_csv(temporary, separator="\t", float_precision=4)
