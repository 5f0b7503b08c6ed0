"""Exposure values of a stack from its pictures: estimated where nobody says them, checked where somebody does.

Two exposures of one scene are the same distribution of light, one of them 2**EV brighter. So equal quantiles of the
two pictures belong together, wherever things are and even if they moved (Grossberg and Nayar, "Determining the
camera response from images: what is knowable?", 2003), and the median ratio of their light is the step in EV.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.exposure.bracket_tables import Bits, bracket_tables
from hdrgen.exposure.log2_encoding import LOG2_OFFSET, log2_decode
from hdrgen.runtime.errors import HdrgenError

QUANTILES = np.linspace(0.005, 0.995, 199)
FEWEST_QUANTILES = 6
"""Three per cent of the picture must be well exposed in both of two neighbours."""

MOST_SD_STOPS = 0.5
"""Codes whose light is less certain than this are not well exposed."""

HEADROOM_STOPS = 0.5
"""Nor are those this close to the highest code, where noise and clipping mix."""

TOLERANCE_STOPS = 0.75
"""Generated brackets are off by 0.3 stops each; an order reversed or a step forgotten is off by at least one."""

MOST_DISAGREEMENT_STOPS = 1.0
"""Interquartile range of the ratios of light beyond which their median says nothing."""

BACKWARDS_STOPS = 0.1
"""Stops by which the light of a brighter picture may seem to be less."""

FLAT_STOPS = 0.1
"""A picture with less between its dark and bright places is flat: any two of those seem to be exposures of one scene."""

ONE_EXPOSURE_STOPS = 1 / 6
"""Cameras step by thirds; estimates of one exposure differ by less."""

SMALL_SIDE, PLACES_SIDE = 256, 32
"""Longer side of a small picture, in pixels, and in places in which noise is averaged away."""


@dataclass(frozen=True)
class SmallPicture:
    """What an exposure shows at a glance.

    ``pixel_stops`` is log2 of the light of some pixels ``(h, w)``, as if it were EV 0, the mean of three components; NaN
    where one of them is clipped or lost in noise. ``range_stops`` is the darkest and brightest that its codes show well;
    ``shows_anything`` is False where no code does; ``dark`` tells whether most of what is not known is dark, not clipped.
    ``pixel_clipped`` tells of which pixels all components are brighter than that range.
    """

    pixel_stops: NDArray[np.float32]
    range_stops: tuple[float, float]
    shows_anything: bool
    dark: bool
    pixel_clipped: NDArray[np.bool_]

    @cached_property
    def stops(self) -> NDArray[np.float32]:
        """The same of larger places, noise averaged away, NaN where most of one is not known."""
        return places(self.pixel_stops, np.isfinite(self.pixel_stops), 0.5)

    @property
    def clipped(self) -> NDArray[np.bool_]:
        """The places as of `stops` most of which is clipped."""
        return np.isfinite(places(np.zeros_like(self.pixel_stops), self.pixel_clipped, 0.5))

    @cached_property
    def spread_stops(self) -> float:
        """See `spread_stops`."""
        return spread_stops(self.stops)


def spread_stops(stops: NDArray[np.floating]) -> float:
    """Return how far it is from the darkest places to the brightest, a few left out; NaN where none is known."""
    known = stops[np.isfinite(stops)]
    return float(np.ptp(np.percentile(known, (5, 95)))) if len(known) else np.nan


def small_picture(code: NDArray[Any], encoding: str, first_clipped: int | None = None) -> SmallPicture:
    """Return what an exposure ``(H, W, 3)`` shows at a glance; parameters as of `estimate_evs`, of one picture."""
    good, stops = well_exposed_codes(encoding, _bits(code), first_clipped)
    step = max(1, max(code.shape[:2]) // SMALL_SIDE)
    known = np.where(good, stops, np.nan).astype(np.float32)
    shown = float(stops[good].min(initial=np.inf)), float(stops[good].max(initial=-np.inf))
    pixels = code[::step, ::step]
    anything = bool(good[pixels].any() or good[code].any())  # a lamp may be between the pixels
    clipped = stops[pixels] > shown[1]
    dark = bool((stops[pixels] < shown[0]).mean() > clipped.mean())
    return SmallPicture(known[pixels].mean(-1), shown, anything, dark, clipped.all(axis=-1))


def places(
    pixel_stops: NDArray[np.float32], known: NDArray[np.bool_], least_share: float, side: int = PLACES_SIDE
) -> NDArray[np.float32]:
    """Return the means of the known pixels of larger places, NaN of places where less than a share is known."""
    scale = min(1.0, side / max(known.shape))
    size = [max(1, round(side * scale)) for side in known.shape[::-1]]
    share, total = (
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        for picture in (known.astype(np.float32), np.where(known, pixel_stops, np.float32(0)))
    )
    return np.where(share >= least_share, total / np.maximum(share, np.float32(1e-6)), np.float32(np.nan))


def exposure_groups(evs: Sequence[float]) -> list[list[int]]:
    """Return which pictures, darkest first, are of one exposure: nearer to each other than `ONE_EXPOSURE_STOPS`.

    Examples
    --------
    >>> exposure_groups((-2.0, 0.0, 0.02, 2.0))
    [[0], [1, 2], [3]]
    """
    groups: list[list[int]] = []
    for number, ev in enumerate(evs):
        if groups and ev - evs[groups[-1][0]] < ONE_EXPOSURE_STOPS:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def estimate_evs(
    codes: Sequence[NDArray[Any]], encoding: str, first_clipped: Sequence[int | None] | None = None
) -> tuple[float, ...]:
    """Estimate the exposure value of each bracket from the pictures alone.

    Parameters
    ----------
    codes
        The brackets in any order, uint8 or uint16 of shape ``(H, W, 3)``.
    encoding
        A key of `ENCODINGS`, or ``log2_code16``.
    first_clipped
        The code of each bracket from which on it is clipped, None of one that its encoding alone clips.

    Returns
    -------
    tuple
        EVs in the order of the brackets. The middle exposure is EV 0, the darker of the two middle ones where the
        number is even: pictures cannot tell how the scene itself was meant.

    Raises
    ------
    HdrgenError
        Two neighbouring exposures have next to nothing well exposed in common, or what they have does not tell:
        flat pictures, or ratios of light that do not agree.
    """
    ends = first_clipped or [None] * len(codes)
    light = [_well_exposed_stops(code, encoding, end) for code, end in zip(codes, ends, strict=True)]
    for number, (code, end) in enumerate(zip(codes, ends, strict=True), 1):
        if small_picture(code, encoding, end).spread_stops < FLAT_STOPS:
            raise HdrgenError(f"picture {number} is flat, which does not tell its exposure; give --ev")
    brightness = [float(code.mean()) / np.iinfo(code.dtype).max for code in codes]
    order = np.argsort(brightness, kind="stable")
    evs = np.zeros(len(codes))
    for darker, brighter in pairwise(order):
        step = _step(light[darker], light[brighter])
        if step is None:
            raise HdrgenError(
                f"pictures {darker + 1} and {brighter + 1} have too little well exposed in common "
                "to tell their exposures; give --ev"
            )
        if step < -BACKWARDS_STOPS or _disagreement(light[darker], light[brighter]) > MOST_DISAGREEMENT_STOPS:
            raise HdrgenError(
                f"pictures {darker + 1} and {brighter + 1} do not go together well enough "
                "to tell their exposures; give --ev"
            )
        evs[brighter] = evs[darker] + step
    return tuple(float(ev) for ev in evs - np.sort(evs)[(len(evs) - 1) // 2])


def check_evs(
    codes: Sequence[NDArray[Any]],
    encoding: str,
    evs: Sequence[float],
    first_clipped: Sequence[int | None] | None = None,
) -> None:
    """Refuse exposure values that the pictures contradict; what they cannot tell passes.

    Parameters
    ----------
    codes, encoding, first_clipped
        As in `estimate_evs`.
    evs
        The EVs given.

    Raises
    ------
    HdrgenError
        Two neighbouring exposures differ by `TOLERANCE_STOPS` more or less than their EVs say.
    """
    ends = first_clipped or [None] * len(codes)
    light = [_well_exposed_stops(code, encoding, end) for code, end in zip(codes, ends, strict=True)]
    for first, second in pairwise(np.argsort(evs, kind="stable")):
        step, given = _step(light[first], light[second]), evs[second] - evs[first]
        if step is not None and abs(step - given) > TOLERANCE_STOPS:
            raise HdrgenError(_contradiction(codes, encoding, evs, ends, (int(first), int(second)), step))


def _contradiction(
    codes: Sequence[NDArray[Any]],
    encoding: str,
    evs: Sequence[float],
    ends: Sequence[int | None],
    pair: tuple[int, int],
    step: float,
) -> str:
    message = f"the EVs given are {_listed(evs)}, but"
    try:
        estimated = np.array(estimate_evs(codes, encoding, ends))
    except HdrgenError:
        return (
            f"{message} picture {pair[1] + 1} is {step:+.1f} EV from picture {pair[0] + 1}; "
            "correct --ev or --encoding"
        )
    estimated += np.median(np.array(evs)) - np.median(estimated)
    message = f"{message} the pictures say {_listed(estimated)}"
    if np.abs(estimated[::-1] - evs).max() <= TOLERANCE_STOPS:
        return f"{message}: the order is reversed (EV -2 is the darkest picture)"
    return f"{message}; correct --ev or --encoding"


def _listed(evs: Sequence[float] | NDArray[np.floating]) -> str:
    return " ".join(f"{round(float(ev), 1) + 0.0:g}" for ev in evs)


def well_exposed_codes(
    encoding: str, bits: Bits, first_clipped: int | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Tell which codes are neither clipped nor lost in noise, and log2 of the light that each stands for.

    Parameters
    ----------
    encoding
        A key of `ENCODINGS`, or ``log2_code16``.
    bits
        8 or 16.
    first_clipped
        Code from which on all are clipped.

    Returns
    -------
    array, array
        Shape ``(256,)`` or ``(65536,)``. Light is that of an exposure at EV 0.
    """
    tables = bracket_tables(encoding, bits, 0.0, evs=(0.0,))
    linear = log2_decode(tables.log2.astype(np.float64))
    stops = np.log2(np.maximum(linear, 1e-12))
    sd_stops = tables.sd_log2 * (linear + LOG2_OFFSET) / np.maximum(linear, 1e-12)
    unclipped = ~tables.clipped
    unclipped[first_clipped:] &= first_clipped is None
    good = unclipped & (sd_stops < MOST_SD_STOPS)
    good &= stops < stops[unclipped].max(initial=-np.inf) - HEADROOM_STOPS
    return good, stops


def _bits(code: NDArray[Any]) -> Bits:
    return 8 if code.dtype == np.uint8 else 16


def _well_exposed_stops(code: NDArray[Any], encoding: str, first_clipped: int | None) -> NDArray[np.float64]:
    """Return log2 of the light at the quantiles, as if all exposures were EV 0; NaN where not well exposed."""
    good, stops = well_exposed_codes(encoding, _bits(code), first_clipped)
    counts = np.bincount(code.ravel(), minlength=len(good))
    at_quantiles = np.searchsorted(np.cumsum(counts), QUANTILES * code.size)
    return np.where(good, stops, np.nan)[at_quantiles]


def _step(darker: NDArray[np.float64], brighter: NDArray[np.float64]) -> float | None:
    """Return the median difference in stops, None where too few quantiles are well exposed in both."""
    difference = brighter - darker
    difference = difference[np.isfinite(difference)]
    return float(np.median(difference)) if len(difference) >= FEWEST_QUANTILES else None


def _disagreement(darker: NDArray[np.float64], brighter: NDArray[np.float64]) -> float:
    """Return the interquartile range of the differences in stops."""
    difference = brighter - darker
    return float(np.ptp(np.nanpercentile(difference, (25, 75))))
