"""The suite: every metric of a picture against its reference, what it says, and where it is from.

>>> reference = np.geomspace(0.01, 20, 3 * 32 * 32).reshape(32, 32, 3)
>>> comparison = compare_pictures(reference / 2, reference, scale="median")
>>> round(comparison.correction.exposure_stops, 3), round(comparison.figures["stops_rmse"], 3)
(1.0, 0.0)

All metrics take scene-linear AWG4 with 18 % grey at 0.18 and read 1.0 as 100 nit; `hdrgen.metrics.compare_files` brings files
there. A metric may have several figures, such as an error by luminance band.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.pu21 import MAX_NITS
from hdrgen.colour.units import NITS_PER_UNIT
from hdrgen.metrics import quality
from hdrgen.metrics.correction import SCALES, crf_corrected, scale_stops
from hdrgen.metrics.delta_e_itp import delta_e_itp
from hdrgen.metrics.jod import PEAK_NITS, is_installed, jod
from hdrgen.metrics.mu_law import psnr_mu
from hdrgen.runtime.choices import ScaleBy
from hdrgen.runtime.errors import HdrgenError

Picture = NDArray[np.floating]
SMALLEST_SIDE = 11
"""Pixels that the window of SSIM needs."""
CEILING_LINEAR = MAX_NITS / NITS_PER_UNIT
"""10,000 nit, where PU21 and PQ end: metrics over them see no difference between what is above."""


@dataclass(frozen=True)
class Metric:
    """A metric of the suite.

    ``measure`` returns a figure for a test and a reference, or several by name. ``decides`` tells those that models
    are evaluated by from those that are there for comparison with published figures. Light above ``ceiling_linear`` is all
    one to it.
    """

    name: str
    unit: str
    better: Literal["higher", "lower", "nearer 1"]
    decides: bool
    source: str
    measure: Callable[[Picture, Picture], float | Mapping[str, float]]
    ceiling_linear: float | None = None
    is_available: Callable[[], bool] = lambda: True


def _stops(test: Picture, reference: Picture) -> dict[str, float]:
    stops = quality.stops_rmse(test, reference)
    return {"stops_rmse": stops.pop("all"), **{f"stops_rmse_{band}": rmse for band, rmse in stops.items()}}


def _delta_e(test: Picture, reference: Picture) -> dict[str, float]:
    error = delta_e_itp(test, reference)
    return {"delta_e_itp": float(error.mean()), "delta_e_itp_p95": float(np.percentile(error, 95))}


_PU21 = "Mantiuk and Azimi, PU21, PCS 2021"
_SSIM = "Wang et al., IEEE TIP 2004"
_CVVDP = "Mantiuk et al., ColorVideoVDP, SIGGRAPH 2024"
_MU_LAW = "Kalantari and Ramamoorthi, SIGGRAPH 2017"
_PEAK = "over the reference's peak"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("pu21_psnr", "dB", "higher", True, _PU21, quality.pu21_psnr, CEILING_LINEAR),
        Metric("pu21_ssim", "", "higher", True, f"{_PU21}; {_SSIM}", quality.pu21_ssim, CEILING_LINEAR),
        Metric("stops_rmse", "stops", "lower", True, "log2 of luminance", _stops),
        Metric("peak_ratio", "", "nearer 1", True, "99.99th percentiles", quality.peak_ratio),
        Metric("delta_e_itp", "", "lower", True, "ITU-R BT.2124-0, 2019", _delta_e, CEILING_LINEAR),
        Metric("jod", "JOD", "higher", True, _CVVDP, jod, PEAK_NITS / NITS_PER_UNIT, is_installed),
        Metric("psnr_mu", "dB", "higher", False, _MU_LAW, psnr_mu),
        Metric("psnr_linear", "dB", "higher", False, f"PSNR-L: linear RGB {_PEAK}", quality.psnr_linear),
        Metric("ssim_linear", "", "higher", False, f"{_SSIM}, {_PEAK}", quality.ssim_linear),
    )
}
"""Every metric by its name, those that decide first. PSNR-L of the literature is ``psnr_linear``."""


def metric_of(figure: str) -> Metric:
    """Return the metric that a figure such as ``stops_rmse_above_16`` is of."""
    return next(metric for name, metric in METRICS.items() if figure.startswith(name))


@dataclass(frozen=True)
class Correction:
    """What was taken out of a picture before it was compared: an exposure, found by ``scale``, and a response curve."""

    scale: ScaleBy = "none"
    exposure_stops: float = 0.0
    crf: bool = False

    def __str__(self) -> str:
        exposure = (
            [f"exposure by {self.scale}: {self.exposure_stops:+.3f} stops"] if self.scale != "none" else []
        )
        return ", ".join(exposure + ["CRF correction (Hanji et al. 2022)"] * self.crf) or "none"


@dataclass(frozen=True)
class Comparison:
    """Figures of one picture, what was corrected before, and how much of the reference some of them cannot see.

    ``reference_above_10000_nit_share`` is the share of the reference's pixels with a component above `CEILING_LINEAR`.
    """

    figures: dict[str, float]
    correction: Correction
    reference_above_10000_nit_share: float


def correct(
    test: Picture, reference: Picture, *, scale: ScaleBy = "none", crf: bool = False
) -> tuple[Picture, Correction]:
    """Return a picture as it is to be compared, and what was done to it; the exposure is taken out before the curve.

    Raises
    ------
    HdrgenError
        The way of scaling is unknown.
    ValueError
        The pictures differ in size, or hold NaN or Inf.
    """
    if test.shape != reference.shape:
        raise ValueError(f"pictures differ in size: {test.shape} against {reference.shape}")
    if not (np.isfinite(test).all() and np.isfinite(reference).all()):
        raise ValueError("pictures hold NaN or Inf; repair them before judging them")
    if scale not in SCALES:
        raise HdrgenError(f"unknown scale {scale!r}; known are {', '.join(SCALES)}")
    stops = scale_stops(test, reference, scale)
    corrected = test * test.dtype.type(2.0**stops)
    return (crf_corrected(corrected, reference) if crf else corrected), Correction(scale, stops, crf)


def chosen(names: Sequence[str] | None) -> list[Metric]:
    """Return metrics by name; None means all that can be computed here.

    Raises
    ------
    HdrgenError
        A name is unknown.
    """
    if names is None:
        return [metric for metric in METRICS.values() if metric.is_available()]
    for name in names:
        if name not in METRICS:
            raise HdrgenError(f"unknown metric {name!r}; known are {', '.join(METRICS)}")
    return [METRICS[name] for name in dict.fromkeys(names)]


def compare_pictures(
    test: Picture,
    reference: Picture,
    *,
    metrics: Sequence[str] | None = None,
    scale: ScaleBy = "none",
    crf: bool = False,
) -> Comparison:
    """Compare a picture with its reference.

    Parameters
    ----------
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``, at least 11 by 11.
    metrics
        Keys of `METRICS`; None takes all, JOD only where its package is installed.
    scale
        How the picture's exposure is brought to the reference's, see `correction.scale_stops`.
    crf
        Take out what a camera response function may have done, see `correction.crf_corrected`.

    Raises
    ------
    HdrgenError
        A name is unknown, or JOD was asked for without its package.
    ValueError
        The pictures differ in size, or hold NaN or Inf.
    """
    corrected, correction = correct(test, reference, scale=scale, crf=crf)
    return compare_corrected(corrected, reference, correction, metrics)


def compare_corrected(
    test: Picture, reference: Picture, correction: Correction, metrics: Sequence[str] | None = None
) -> Comparison:
    """Compare what `correct` returned; see `compare_pictures`."""
    figures: dict[str, float] = {}
    for metric in chosen(metrics):
        value = metric.measure(test, reference)
        figures |= value if isinstance(value, Mapping) else {metric.name: value}
    above = (reference > CEILING_LINEAR).any(axis=-1)
    return Comparison(figures, correction, float(above.mean()))
