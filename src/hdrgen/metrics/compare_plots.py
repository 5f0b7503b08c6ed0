"""Plots of pictures against their references, by matplotlib, which is an extra."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.colour.units import FLOOR_LINEAR
from hdrgen.metrics.full_reference import metric_of
from hdrgen.metrics.quality import stops_error
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEAST_SHOWN_STOPS = 0.05
_BINS_PER_STOP = 2
_FEWEST_PIXELS = 8
"""Pixels that percentiles of a bin are worth showing of."""


def write_comparison_plot(
    path: Path, test: NDArray[np.floating], reference: NDArray[np.floating], title: str
) -> None:
    """Write one PNG: luminance histograms, the error in stops by luminance, and where it is.

    Parameters
    ----------
    path
        The PNG.
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``.
    title
        What stands above it.

    Raises
    ------
    HdrgenError
        matplotlib is not installed.
    """
    error, reference_y = stops_error(test, reference)
    reference_stops, test_stops = (
        np.log2(np.maximum(y, FLOOR_LINEAR)) for y in (reference_y, luminance(test, AWG4))
    )
    figure = _figure(14, 4)
    histogram, by_light, by_place = figure.subplots(1, 3, width_ratios=(1, 1, 1.4))
    low, high = (f(np.minimum(test_stops, reference_stops)) for f in (np.min, np.max))
    high = max(high, float(test_stops.max()), float(reference_stops.max()))
    edges = np.arange(np.floor(low), np.ceil(high) + 1, 1 / _BINS_PER_STOP)
    for name, stops in (("reference", reference_stops), ("test", test_stops)):
        counts, _ = np.histogram(stops, edges)
        histogram.stairs(counts / stops.size, edges, label=name)
    histogram.set(xlabel="log2 of luminance", ylabel="share of the pixels", yscale="log")
    histogram.legend()

    place = np.digitize(reference_stops.ravel(), edges)
    groups = {bin_: error.ravel()[place == bin_] for bin_ in np.unique(place)}
    filled = {bin_: group for bin_, group in groups.items() if group.size >= _FEWEST_PIXELS}
    middles = [edges[bin_ - 1] + 0.5 / _BINS_PER_STOP for bin_ in filled]
    if filled:
        p10, p50, p90 = np.array([np.percentile(group, (10, 50, 90)) for group in filled.values()]).T
        by_light.fill_between(middles, p10, p90, alpha=0.3, label="p10 to p90")
        by_light.plot(middles, p50, label="median")
        by_light.legend()
    by_light.axhline(0, linewidth=0.8, color="black")
    by_light.set(xlabel="log2 of the reference's luminance", ylabel="error in stops")

    most = max(_LEAST_SHOWN_STOPS, float(np.percentile(np.abs(error), 99)))
    error_image = by_place.imshow(error, cmap="RdBu_r", vmin=-most, vmax=most)
    by_place.set_axis_off()
    figure.colorbar(error_image, ax=by_place, label="error in stops", shrink=0.8)
    figure.suptitle(title, fontsize="small")
    _save(figure, path)


def write_summary_plot(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write one PNG with a panel for each figure that decides: its values over all pictures, sorted.

    Raises
    ------
    HdrgenError
        matplotlib is not installed.
    """
    names = [name for name in dict.fromkeys(n for row in rows for n in row) if metric_of(name).decides]
    figure = _figure(14, 3 * -(-len(names) // 4))
    panels = figure.subplots(-(-len(names) // 4), 4, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        values = np.sort([row[name] for row in rows if name in row])
        panel.plot(np.arange(1, len(values) + 1), values, marker=".")
        panel.axhline(values.mean(), linewidth=0.8, color="black")
        metric = metric_of(name)
        panel.set_title(f"{name}, {metric.unit or 'ratio'}, {metric.better} is better", fontsize="small")
    for panel in panels[len(names) :]:
        panel.set_axis_off()
    _save(figure, path)


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError:
        raise HdrgenError("plots need matplotlib; install it with pip install 'hdrgen[plots]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    with replacing(path) as temporary:
        # No time of day and no version in the file: equal figures make equal bytes.
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
