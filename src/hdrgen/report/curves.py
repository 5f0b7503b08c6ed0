"""Curves as SVG, by matplotlib: the tables of a stage that are plots, and histograms."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.metrics.quantities import quantity_of
from hdrgen.report.text import frame_name, words
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import TABLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 5.6, 3.1
_MOST_NAMES = 24
"""Rows of a table by name, as frames, that have room for their names."""
_MARKERS = "osD^vPX*<>"
_LINES = ("-", "--", "-.", ":")
_VELOCITY, _CODES = "mean squared error of the velocity", "error of codes from -1 to 1"
_LABELS = {
    "base_model/flow": ("step", _VELOCITY),
    "base_model/vae": ("step", _CODES),
    "evaluate_flux/tones": ("stops", "of pixels"),
    "evaluate_tone_fusion/reliability_clean": ("true luminance in stops", "estimate in stops"),
    "evaluate_tone_fusion/reliability_generated": ("true luminance in stops", "estimate in stops"),
    "train_bit_depth/loss": ("step", "minus PSNR over code values in dB"),
    "train_exposure_fusion/loss": ("step", "minus PU21-PSNR in dB, plus errors in levels and light"),
    "train_flux_full/loss": ("step", _VELOCITY),
    "train_flux_lora/loss": ("step", _VELOCITY),
    "train_flux_vae/loss": ("step", _CODES),
    "train_hdr_vae/loss": ("step", _CODES),
    "train_tone_fusion/fuser": ("step", "minus PU21-PSNR in dB, plus error in levels"),
    "train_tone_fusion/mlp": ("epoch", "loss"),
    "validate/source_energy_ratio_by_place": ("place", "ratio to the frame, strongest source first"),
}
"""Labels of x and y where names do not say them."""
_SHOWN = {
    "reliability": (
        *(f"estimate_{percentile}_fuser" for percentile in ("p10", "p50", "p90")),
        "estimate_p50_published_mlp",
    )
}
"""Columns that are drawn of tables with many."""


@dataclass(frozen=True)
class Plot:
    """A table that is plotted: its first column is x, each other one a curve."""

    title: str
    table: pl.DataFrame
    x_label: str
    y_label: str


def read_plot(path: Path) -> Plot | None:
    """Return a stage's table as a plot; None where it is none: figures, empty, or with more words than its first column.

    Parameters
    ----------
    path
        ``metrics/<stage>/<name>.tsv``. A name ``<figure>_by_<x>`` or ``<figure>_by_<x>_<kind>`` says what is plotted.

    Raises
    ------
    HdrgenError
        The file is no table.
    """
    if path.stem.split("_")[0] == TABLE:
        return None
    try:
        table = pl.read_csv(path, separator="\t", infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise HdrgenError(f"{path}: is no table ({error}); run its stage again") from None
    x, *curves = table.columns
    curves = [name for name in curves if table[name].null_count() < len(table)]
    if not curves or not all(table[name].dtype.is_numeric() for name in curves):
        return None
    shown = [name for name in _SHOWN.get(path.stem.split("_")[0], curves) if name in curves] or curves
    figure, _, kind = path.stem.partition("_by_")
    _, _, kind = kind.partition("_")
    title = f"{words(figure)} by {words(x)}" if "_by_" in path.stem else words(path.stem)
    x_label, y_label = _LABELS.get(f"{path.parent.name}/{path.stem}", (words(x), quantity_of(figure).unit))
    return Plot(", ".join(filter(None, (title, words(kind)))), table.select(x, *shown), x_label, y_label)


def plot_svg(plot: Plot) -> str:
    """Draw a plot: lines over numbers, markers or, of one column, bars over names.

    Raises
    ------
    HdrgenError
        matplotlib is not installed.
    """
    x, *curves = plot.table.columns
    if plot.table[x].dtype.is_numeric():
        return _lines(plot, x, curves)
    return _bars(plot, x, *curves) if len(curves) == 1 else _by_name(plot, x, curves)


def histogram_svg(
    shares: Mapping[str, NDArray[np.floating]], edges_stops: NDArray[np.floating], title: str
) -> str:
    """Draw shares of pixels by stop from mid-grey, a line for each picture; empty ends are left out."""
    figure = _figure(_HEIGHT)
    axes = figure.subplots()
    everywhere = np.sum([*shares.values()], axis=0)
    used = np.flatnonzero(everywhere)
    first, last = (used[0], used[-1] + 1) if used.size else (0, len(edges_stops) - 1)
    for place, (name, share) in enumerate(shares.items()):
        axes.stairs(
            np.maximum(share[first:last], 1e-6),
            edges_stops[first : last + 1],
            label=words(name),
            linestyle=_LINES[place // 10 % len(_LINES)],
            linewidth=2 if place == 0 else 1.1,
            color="black" if place == 0 and len(shares) > 1 else f"C{place}",
        )
    smallest = min((float(s[s > 0].min()) for s in shares.values() if (s > 0).any()), default=1e-4)
    axes.set(yscale="log", ylim=(smallest / 2, None))
    return _finished(figure, axes, title, "stops from mid-grey", "share of pixels")


def _lines(plot: Plot, x: str, curves: Sequence[str]) -> str:
    figure = _figure(_HEIGHT)
    axes = figure.subplots()
    few = len(plot.table) <= _MOST_NAMES
    for place, name in enumerate(curves):
        axes.plot(
            plot.table[x].to_numpy(),
            plot.table[name].cast(pl.Float64).to_numpy(),
            label=words(name),
            marker=_MARKERS[place % len(_MARKERS)] if few else None,
            markersize=3,
            linestyle=_LINES[place // 10 % len(_LINES)],
            color=f"C{place}",
        )
    return _finished(figure, axes, plot.title, plot.x_label, plot.y_label)


def _by_name(plot: Plot, x: str, curves: Sequence[str]) -> str:
    """Draw a line of markers for each row: its name at the left, or no names where there are too many of them."""
    rows = np.arange(len(plot.table))
    named = len(rows) <= _MOST_NAMES
    figure = _figure(max(_HEIGHT, 1.2 + 0.22 * len(rows)) if named else 2 * _HEIGHT)
    axes = figure.subplots()
    for place, name in enumerate(curves):
        axes.plot(
            plot.table[name].cast(pl.Float64).to_numpy(),
            rows,
            label=words(name),
            marker=_MARKERS[place % len(_MARKERS)],
            markersize=4.5 if named else 2,
            linestyle="none",
            color=f"C{place}",
        )
    if named:
        axes.set_yticks(rows, [_label(name) for name in plot.table[x]])
    else:
        axes.set_yticks([])
    axes.invert_yaxis()
    return _finished(
        figure, axes, plot.title, plot.y_label, "" if named else f"{len(rows)} by {plot.x_label}"
    )


def _bars(plot: Plot, x: str, length: str) -> str:
    figure = _figure(max(_HEIGHT, 0.6 + 0.16 * len(plot.table)))
    axes = figure.subplots()
    axes.barh([_label(name) for name in plot.table[x]], plot.table[length].to_numpy(), color="C0")
    axes.invert_yaxis()
    return _finished(figure, axes, plot.title, words(length), "", legend=False)


def _label(value: object) -> str:
    """Return the name of a row as matplotlib shows it: between two dollars it would look for a formula."""
    return frame_name(str(value)).replace("$", r"\$")


def _figure(height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        raise HdrgenError("curves need matplotlib; install it with pip install 'hdrgen[pipeline]'") from None
    return Figure(figsize=(_WIDTH, height), layout="constrained")


def _finished(
    figure: "Figure", axes: "Axes", title: str, x_label: str, y_label: str, *, legend: bool = True
) -> str:
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    axes.set_title(title, fontsize=9, loc="left", fontweight="bold")
    axes.set_xlabel(x_label, fontsize=8)
    axes.set_ylabel(y_label, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, linewidth=0.4, color="#ddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if legend and len(axes.get_legend_handles_labels()[1]) > 1:
        figure.legend(loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    stream = io.StringIO()
    # Text stays text. Equal figures make equal bytes: names inside are made of a fixed word, and no date is in it.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hdrgen"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
