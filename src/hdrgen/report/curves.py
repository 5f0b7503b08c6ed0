"""Curves as SVG, by matplotlib: those that ``dvc.yaml`` names under ``plots``, drawn as `dvc plots show` means them."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.report.text import frame_name, words
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 5.6, 3.1
_MOST_NAMES = 24
"""Rows of a table by name, as frames, that have room for their names."""
_MARKERS = "osD^vPX*<>"
_LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Plot:
    """One plot of ``dvc.yaml``: columns ``y`` of a table over its column ``x``."""

    table: str
    x: str
    y: tuple[str, ...]
    x_label: str
    y_label: str
    template: str

    @property
    def title(self) -> str:
        """Return the table's name in words."""
        return words(Path(self.table).stem)


def read_plots(entries: Sequence[Any]) -> list[Plot]:
    """Return the plots under ``plots`` of ``dvc.yaml``, a table each.

    Raises
    ------
    HdrgenError
        An entry is no table with columns.
    """
    plots = []
    for entry in entries:
        try:
            ((table, axes),) = entry.items()
            y = (axes["y"],) if isinstance(axes["y"], str) else tuple(axes["y"])
            x_label = axes.get("x_label", words(axes["x"]))
            template = axes.get("template", "linear")
            plots.append(Plot(table, axes["x"], y, x_label, axes.get("y_label", ""), template))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise HdrgenError(
                f"dvc.yaml: plots: {entry!r} must be a table with its columns x and y"
            ) from None
    return plots


def plot_svg(plot: Plot, folder: Path) -> str | None:
    """Draw a plot from its table in the folder; None where that was not written, or has none of the columns.

    Raises
    ------
    HdrgenError
        matplotlib is not installed, or the table is none.
    """
    path = folder / plot.table
    if not path.is_file():
        return None
    try:
        table = pl.read_csv(path, separator="\t", infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise HdrgenError(f"{path}: is no table ({error}); run its stage again") from None
    if plot.template.startswith("bar_horizontal"):
        return _bars(plot, table)
    columns = [name for name in plot.y if name in table.columns and table[name].dtype.is_numeric()]
    if plot.x not in table.columns or not columns or table.is_empty():
        return None
    if table[plot.x].dtype.is_numeric():
        return _lines(plot, table, columns)
    return _by_name(plot, table, columns)


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


def _lines(plot: Plot, table: pl.DataFrame, columns: Sequence[str]) -> str:
    figure = _figure(_HEIGHT)
    axes = figure.subplots()
    few = len(table) <= _MOST_NAMES
    for place, name in enumerate(columns):
        axes.plot(
            table[plot.x].to_numpy(),
            table[name].cast(pl.Float64).to_numpy(),
            label=words(name),
            marker=_MARKERS[place % len(_MARKERS)] if few else None,
            markersize=3,
            linestyle=_LINES[place // 10 % len(_LINES)],
            color=f"C{place}",
        )
    return _finished(figure, axes, plot.title, plot.x_label, plot.y_label)


def _by_name(plot: Plot, table: pl.DataFrame, columns: Sequence[str]) -> str:
    """Draw a line of markers for each row: its name at the left, or no names where there are too many of them."""
    rows = np.arange(len(table))
    named = len(table) <= _MOST_NAMES
    figure = _figure(max(_HEIGHT, 1.2 + 0.22 * len(table)) if named else 2 * _HEIGHT)
    axes = figure.subplots()
    for place, name in enumerate(columns):
        axes.plot(
            table[name].cast(pl.Float64).to_numpy(),
            rows,
            label=words(name),
            marker=_MARKERS[place % len(_MARKERS)],
            markersize=4.5 if named else 2,
            linestyle="none",
            color=f"C{place}",
        )
    if named:
        axes.set_yticks(rows, [_label(name) for name in table[plot.x]])
    else:
        axes.set_yticks([])
    axes.invert_yaxis()
    return _finished(
        figure, axes, plot.title, plot.y_label, "" if named else f"{len(table)} by {plot.x_label}"
    )


def _bars(plot: Plot, table: pl.DataFrame) -> str | None:
    # dvc's horizontal bars have their lengths in x and their names in y.
    (name,) = plot.y
    if {plot.x, name} - set(table.columns) or table.is_empty():
        return None
    figure = _figure(max(_HEIGHT, 0.6 + 0.16 * len(table)))
    axes = figure.subplots()
    axes.barh([_label(label) for label in table[name]], table[plot.x].to_numpy(), color="C0")
    axes.invert_yaxis()
    return _finished(figure, axes, plot.title, plot.x_label, "", legend=False)


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
