"""What can be known of a generated picture that has no reference: its ceiling, its range, its agreement with itself.

Everything takes scene-linear AWG4 of shape ``(H, W, 3)``, 18 % grey at 0.18, or 8-bit codes of that shape.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from hdrgen.colour.units import FLOOR_LINEAR
from hdrgen.exposure.estimation import well_exposed_codes
from hdrgen.images.light_statistics import awg4_luminance, luminance_percentiles
from hdrgen.metrics.quality import pu21_psnr
from hdrgen.qc.statistics import at_maximum_share

Light = NDArray[np.floating]
Code8 = NDArray[np.uint8]

CLIPPED_CODE = 255
FEWEST_COMPARED = 0.02
"""Brackets are compared where at least this share of their components is well exposed in both."""

_STOPS_EDGES = np.arange(-10, 14 + 1 / 16, 1 / 8)
_STOPS_MIDDLES = (_STOPS_EDGES[1:] + _STOPS_EDGES[:-1]) / 2


def clipped_fraction(*code8: Code8) -> float:
    """Return the fraction of pixels that every one of these renditions of a scene has at its ceiling.

    A pixel is at the ceiling when any of its components is code 255. A long exposure is meant to clip: what counts is
    whether there is one that does not.
    """
    return float(np.mean(np.logical_and.reduce([(c == CLIPPED_CODE).any(-1) for c in code8])))


def light_figures(linear_awg4: Light) -> dict[str, float]:
    """Return what the picture's light says.

    Returns
    -------
    dict
        ``stops`` between the 0.1th and 99.9th percentile of luminance, as the frames' index has it;
        ``median_linear`` and ``peak_linear``, of luminance; ``at_maximum_share`` and ``finite_share`` of the pixels.
    """
    percentiles = luminance_percentiles(awg4_luminance(linear_awg4))
    return {
        "stops": percentiles["stops"],
        "median_linear": percentiles["luminance_p50"],
        "peak_linear": percentiles["luminance_max"],
        "at_maximum_share": at_maximum_share(linear_awg4),
        "finite_share": float(np.isfinite(linear_awg4).all(-1).mean()),
    }


def bracket_consistency(logc4_code8: Mapping[float, Code8]) -> dict[str, float]:
    """Compare each bracket with the one at EV 0, to see whether they show one scene.

    Light is brought to EV 0 by each bracket's exposure value, and compared where neither is clipped nor in the noise.

    Parameters
    ----------
    logc4_code8
        8-bit LogC4 codes by exposure value, EV 0 among them.

    Returns
    -------
    dict
        Means over the brackets that have enough in common with EV 0, empty where none has:
        ``pu21_psnr`` in dB; ``exposure_error_stops``, size of the median difference in stops, which says how far an
        exposure is from what was asked for; ``stops_rmse`` of the components; ``compared_share`` of the components;
        ``pu21_psnr_ev<EV>`` of each bracket.
    """
    good, stops = well_exposed_codes("logc4_awg4", 8)
    reference = logc4_code8[0.0]
    rows: list[dict[str, float]] = []
    single: dict[str, float] = {}
    for ev in sorted(set(logc4_code8) - {0.0}):
        code8 = logc4_code8[ev]
        compared = good[code8] & good[reference]
        if compared.mean() < FEWEST_COMPARED:
            continue
        light, wanted = stops[code8[compared]] - ev, stops[reference[compared]]
        psnr = pu21_psnr(2.0**light, 2.0**wanted)
        single[f"pu21_psnr_ev{ev:+g}"] = psnr
        rows.append(
            {
                "pu21_psnr": psnr,
                "exposure_error_stops": abs(float(np.median(light - wanted))),
                "stops_rmse": float(np.sqrt(np.mean(np.square(light - wanted)))),
                "compared_share": float(compared.mean()),
            }
        )
    if not rows:
        return {}
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | single


def spread_stops(pictures: Sequence[Light]) -> float:
    """Return how pictures of one prompt differ: the standard deviation of a pixel's luminance in stops, on average.

    A model that gives one picture for every seed has 0.
    """
    return float(np.stack([_stops(picture) for picture in pictures]).std(0).mean())


@dataclass(frozen=True)
class ToneStatistics:
    """How often each luminance occurs in a set of pictures, in bins of an eighth of a stop; of constant size."""

    counts: NDArray[np.float64]

    @classmethod
    def of(cls, pictures: Sequence[Light]) -> Self:
        """Count the pixels of pictures; luminance below `FLOOR_LINEAR` counts as that."""
        return cls(sum((_counts(picture) for picture in pictures), np.zeros(len(_STOPS_MIDDLES))))

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of the pixels in each bin."""
        return self.counts / self.counts.sum()

    def distance_stops(self, other: "ToneStatistics") -> float:
        """Return the Wasserstein distance to another set: the stops by which its light must be moved on average."""
        return float(wasserstein_distance(_STOPS_MIDDLES, _STOPS_MIDDLES, self.counts, other.counts))


def tone_bins() -> NDArray[np.float64]:
    """Return the middle of each bin of `ToneStatistics`, log2 of scene-linear luminance."""
    return _STOPS_MIDDLES.copy()


def _stops(linear_awg4: Light) -> NDArray[np.float32]:
    luminance = np.nan_to_num(awg4_luminance(linear_awg4), nan=0, posinf=2.0**14, neginf=0)
    stops: NDArray[np.float32] = np.log2(np.maximum(luminance, np.float32(FLOOR_LINEAR)))
    return stops


def _counts(linear_awg4: Light) -> NDArray[np.float64]:
    inside = np.clip(_stops(linear_awg4), _STOPS_EDGES[0], _STOPS_EDGES[-1])
    return np.histogram(inside, _STOPS_EDGES)[0].astype(np.float64)
