"""Figures of many pictures by several models: what the metrics file holds of them, and their tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from hdrgen.metrics.quality import LUMINANCE_BANDS, summarise
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.metrics_file import Figures, mean_of, write_measured

KEYS = ("source", "kind", "model", "figure")
"""What the tables of figures are keyed by."""
MARGIN = "_margin"
"""Ends the name of a figure that says by how much a model is above the best closed form."""


@dataclass(frozen=True)
class PictureFigures:
    """Figures of one picture by one model; ``kind`` is what was done to its input, as ``clean``."""

    source: str
    frame: str
    kind: str
    model: str
    figures: Mapping[str, float]


def summary(
    rows: Sequence[PictureFigures], closed_forms: Sequence[str], margin_metrics: Sequence[str]
) -> dict[str, Any]:
    """Return all figures, nested as `KEYS`; of models that are no closed form also ``<metric>_margin`` over the best one.

    Parameters
    ----------
    rows
        Any number.
    closed_forms
        Models that the others must beat; those that a kind does not have are left out.
    margin_metrics
        Metrics, larger when better, whose margins are wanted.
    """
    result: dict[str, Any] = {}
    for source, kind in sorted({(row.source, row.kind) for row in rows}):
        here = [row for row in rows if row.source == source and row.kind == kind]
        models: dict[str, dict[str, Any]] = {
            model: summarise([row.figures for row in here if row.model == model])
            for model in dict.fromkeys(row.model for row in here)
        }
        bases = [model for model in models if model in closed_forms]
        for model, figures in models.items():
            if bases and model not in bases:
                figures |= {
                    f"{metric}{MARGIN}": figures[metric]["mean"]
                    - max(models[b][metric]["mean"] for b in bases)
                    for metric in margin_metrics
                    if metric in figures
                }
        result.setdefault(source, {})[kind] = models
    return result


def decisive(figures: Figures, model: str, released: str = "") -> dict[str, Any]:
    """Return by source and kind what decides about a model, under the same names for all.

    These are ``pu21_psnr``, its ``margin`` over the best closed form and ``peak_ratio``; and ``released_margin``, that of
    the model that comes with the package.
    """
    margin = f"pu21_psnr{MARGIN}"
    wanted = {
        "pu21_psnr": (model, "pu21_psnr"),
        "margin": (model, margin),
        "peak_ratio": (model, "peak_ratio"),
        "released_margin": (released, margin),
    }
    return {
        source: {
            kind: {
                name: mean_of(models[of][figure])
                for name, (of, figure) in wanted.items()
                if figure in models.get(of, {})
            }
            for kind, models in kinds.items()
        }
        for source, kinds in figures.items()
    }


def write_evaluation(
    folder: Path, figures: Figures, decides: Figures, tables: Mapping[str, pl.DataFrame]
) -> None:
    """Write what decides as ``<folder>.json``, and into the folder all figures and the tables that are plotted."""
    write_measured(folder, decides, figures, KEYS)
    write_tables(folder, tables)


def plots(
    rows: Sequence[PictureFigures], metric: str = "pu21_psnr", **others: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """Return a metric by frame and errors by luminance band, a column for each model, a table for each kind of input.

    Parameters
    ----------
    rows
        At least one.
    metric
        What is plotted by frame.
    others
        More tables with a column ``kind``, by name.
    """
    tables = {f"{metric}_by_frame": _by_frame(rows, metric), "stops_rmse_by_band": _by_band(rows), **others}
    return {
        f"{name}_{kind}": of_kind
        for name, table in tables.items()
        for (kind,), of_kind in table.partition_by(
            "kind", as_dict=True, include_key=False, maintain_order=True
        ).items()
    }


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """Write tables in full precision."""
    for name, table in tables.items():
        with replacing(folder / f"{name}.tsv") as temporary:
            table.write_csv(temporary, separator="\t")


def _by_frame(rows: Sequence[PictureFigures], metric: str) -> pl.DataFrame:
    """Return kind, frame, and a column of this metric for each model."""
    cells = [
        {
            "kind": row.kind,
            "frame": f"{row.source}/{row.frame}",
            "model": row.model,
            "value": row.figures[metric],
        }
        for row in rows
    ]
    return pl.DataFrame(cells).pivot("model", index=["kind", "frame"], values="value")


def _by_band(rows: Sequence[PictureFigures]) -> pl.DataFrame:
    """Return kind, luminance band, and a column of the mean error in stops for each model."""
    cells = [
        {"kind": row.kind, "band": band, "model": row.model, "value": row.figures[f"stops_rmse_{band}"]}
        for row in rows
        for band in LUMINANCE_BANDS
        if f"stops_rmse_{band}" in row.figures
    ]
    return pl.DataFrame(cells).pivot(
        "model", index=["kind", "band"], values="value", aggregate_function="mean"
    )
