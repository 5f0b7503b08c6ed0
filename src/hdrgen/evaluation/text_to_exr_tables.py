"""Tables about text to EXR: figures by route, what decides, and the tables that are plotted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.metrics.quality import summarise
from hdrgen.runtime.metrics_file import Figures, picked

BASE, FRAMES = "base", "frames"
"""Routes of text to EXR that are no trained route: the model before training, and the frames that it was trained on."""
PLOTTED = ("adherence", "stops", "peak_linear", "clipped_fraction", "consistency_pu21_psnr")
"""Figures that are plotted by prompt."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "routes": ("route", "figure"),
    "adherence_by_kind": ("route", "kind"),
    "classifier": ("figure",),
    "accuracy_by_kind": ("kind",),
    "confusion": ("kind", "taken_for"),
    "base_against_brackets": ("figure",),
    "consistency": ("noise", "figure"),
}
"""Sections of the figures, and what the table of each is keyed by."""


def base_against_brackets(by_route: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return what fine-tuning has changed; ``clipped_ratio`` is 0.2 for a fifth, and absent where nothing was clipped.

    Parameters
    ----------
    by_route
        Figures of each route.
    """
    base, tuned = (by_route[name] for name in (BASE, "brackets"))
    before, after = (of["clipped_fraction"]["mean"] for of in (base, tuned))
    ratio = {"clipped_ratio": after / before} if before > 0 else {}
    return {
        "clipped_fraction_base": before,
        "clipped_fraction_brackets": after,
        **ratio,
        "stops_gained": tuned["stops"]["mean"] - base["stops"]["mean"],
        "peak_ratio": tuned["peak_linear"]["mean"] / max(base["peak_linear"]["mean"], 1e-6),
        "adherence_gained": tuned["adherence"]["mean"] - base["adherence"]["mean"],
    }


def decisive_flux(figures: Figures) -> dict[str, Any]:
    """Return what decides, by route and of the classifier; see `KEYS`."""
    wanted = ("adherence", "clipped_fraction", "tone_distance_stops", "consistency_pu21_psnr")
    generated = {route: of for route, of in figures["routes"].items() if route != FRAMES}
    return picked(generated, *(f"*/{name}" for name in wanted)) | picked(figures, "classifier/accuracy")


def plots(rows: pl.DataFrame, tones: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return `PLOTTED` by prompt and the tones: a column for each route."""
    by_prompt = {f"{name}_by_prompt": _by_prompt(rows, name) for name in PLOTTED}
    return by_prompt | {"tones": tones}


def route_summary(rows: pl.DataFrame) -> dict[str, Any]:
    """Return the summaries of a route's pictures, each figure over those that have it."""
    figures = rows.drop("route", "prompt").to_dicts()
    return summarise([{name: v for name, v in row.items() if v is not None} for row in figures])


def adherence_by_kind(rows: pl.DataFrame) -> dict[str, float]:
    """Return the fraction of a route's pictures of each kind that are taken for it."""
    with_adherence = rows.filter(pl.col("adherence").is_not_null())
    return dict(with_adherence.group_by("prompt").agg(pl.col("adherence").mean()).sort("prompt").iter_rows())


def accuracy_by_kind(kinds: NDArray[np.str_], taken_for: NDArray[np.str_]) -> dict[str, float]:
    """Return the fraction of the pictures of each kind that are taken for it."""
    return {str(kind): float(np.mean(taken_for[kinds == kind] == kind)) for kind in np.unique(kinds)}


def _by_prompt(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return prompt and a column of the mean of a figure for each route that has it."""
    having = rows.filter(pl.col(name).is_not_null()) if name in rows.columns else rows.clear()
    if having.is_empty():
        return pl.DataFrame({"prompt": rows["prompt"].unique().sort()})
    table = having.pivot("route", index="prompt", values=name, aggregate_function="mean")
    return table.sort("prompt")
