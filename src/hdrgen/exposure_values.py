"""Exposure values of a stack from its pictures: estimated where nobody says them, checked where somebody does.

Two exposures of one scene are the same distribution of light, one of them 2**EV brighter. So equal quantiles of the
two pictures belong together, wherever things are and even if they moved (Grossberg and Nayar, "Determining the
camera response from images: what is knowable?", 2003), and the median ratio of their light is the step in EV.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.models.bracket_cells import Bits, bracket_cells
from hdrgen.models.tone_cells import LEVEL_OFFSET, level_decode
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


def estimate_evs(codes: Sequence[NDArray[Any]], encoding: str) -> tuple[float, ...]:
    """Estimate the exposure value of each bracket from the pictures alone.

    Parameters
    ----------
    codes
        The brackets in any order, uint8 or uint16 of shape ``(H, W, 3)``.
    encoding
        A key of `ENCODINGS`, or ``level16``.

    Returns
    -------
    tuple
        EVs in the order of the brackets. The middle exposure is EV 0, the darker of the two middle ones where the
        number is even: pictures cannot tell how the scene itself was meant.

    Raises
    ------
    HdrgenError
        Two neighbouring exposures have next to nothing well exposed in common.
    """
    light = [_well_exposed_stops(code, encoding) for code in codes]
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
        evs[brighter] = evs[darker] + step
    return tuple(float(ev) for ev in evs - np.sort(evs)[(len(evs) - 1) // 2])


def check_evs(codes: Sequence[NDArray[Any]], encoding: str, evs: Sequence[float]) -> None:
    """Refuse exposure values that the pictures contradict; what they cannot tell passes.

    Parameters
    ----------
    codes, encoding
        As in `estimate_evs`.
    evs
        The EVs given.

    Raises
    ------
    HdrgenError
        Two neighbouring exposures differ by `TOLERANCE_STOPS` more or less than their EVs say.
    """
    light = [_well_exposed_stops(code, encoding) for code in codes]
    for first, second in pairwise(np.argsort(evs, kind="stable")):
        step, given = _step(light[first], light[second]), evs[second] - evs[first]
        if step is not None and abs(step - given) > TOLERANCE_STOPS:
            raise HdrgenError(_contradiction(codes, encoding, evs, (int(first), int(second)), step))


def _contradiction(
    codes: Sequence[NDArray[Any]],
    encoding: str,
    evs: Sequence[float],
    pair: tuple[int, int],
    step: float,
) -> str:
    said = f"the EVs given are {_listed(evs)}, but"
    try:
        seen = np.array(estimate_evs(codes, encoding))
    except HdrgenError:
        return (
            f"{said} picture {pair[1] + 1} is {step:+.1f} EV from picture {pair[0] + 1}; "
            "correct --ev or --encoding"
        )
    seen += np.median(np.array(evs)) - np.median(seen)
    said = f"{said} the pictures say {_listed(seen)}"
    if np.abs(seen[::-1] - evs).max() <= TOLERANCE_STOPS:
        return f"{said}: the order is reversed (EV -2 is the darkest picture)"
    return f"{said}; correct --ev or --encoding"


def _listed(evs: Sequence[float] | NDArray[np.floating]) -> str:
    return " ".join(f"{round(float(ev), 1) + 0.0:g}" for ev in evs)


def well_exposed_codes(encoding: str, bits: Bits) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Tell which codes are neither clipped nor lost in noise, and log2 of the light that each stands for.

    Parameters
    ----------
    encoding
        A key of `ENCODINGS`, or ``level16``.
    bits
        8 or 16.

    Returns
    -------
    array, array
        Shape ``(256,)`` or ``(65536,)``. Light is that of an exposure at EV 0.
    """
    cells = bracket_cells(encoding, bits, 0.0, evs=(0.0,))
    linear = level_decode(cells.level.astype(np.float64))
    stops = np.log2(np.maximum(linear, 1e-12))
    sd_stops = cells.sd_levels * (linear + LEVEL_OFFSET) / np.maximum(linear, 1e-12)
    good = ~cells.clipped & (sd_stops < MOST_SD_STOPS)
    good &= stops < stops[~cells.clipped].max() - HEADROOM_STOPS
    return good, stops


def _well_exposed_stops(code: NDArray[Any], encoding: str) -> NDArray[np.float64]:
    """Return log2 of the light at the quantiles, as if all exposures were EV 0; NaN where not well exposed."""
    good, stops = well_exposed_codes(encoding, 8 if code.dtype == np.uint8 else 16)
    counts = np.bincount(code.ravel(), minlength=len(good))
    at_quantiles = np.searchsorted(np.cumsum(counts), QUANTILES * code.size)
    return np.where(good, stops, np.nan)[at_quantiles]


def _step(darker: NDArray[np.float64], brighter: NDArray[np.float64]) -> float | None:
    """Return the median difference in stops, None where too few quantiles are well exposed in both."""
    difference = brighter - darker
    difference = difference[np.isfinite(difference)]
    return float(np.median(difference)) if len(difference) >= FEWEST_QUANTILES else None
