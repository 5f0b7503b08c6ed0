"""Exposure latitude: what is left of a picture when it is graded up or down by some stops.

Every exposure is looked at as an 8-bit sRGB monitor would show it, through its curve and nothing else, component by
component. What the monitor alone does to a perfect picture is the same for all, so real footage beside it says what is
to be expected. Steps and ceilings that codes left are looked for in each of `CODED_PRIMARIES`.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.colour.display import srgb_encode
from hdrgen.colour.primaries import AWG4, REC709, convert_primaries, luminance
from hdrgen.colour.units import FLOOR_LINEAR
from hdrgen.metrics.coded_primaries import in_coded_primaries

EXPOSURES_STOPS = (-4, -2, 0, 2, 4)

CEILING_PERCENTILE, CEILING_WIDTH = 99.9, 1 / 64
"""The ceiling of a picture is where its brightest thousandth begins; pixels that are lower by less than this part of it
are at it, which is less than an 8-bit LogC4 code."""
_PLATEAU = 2.0**-9
"""Relative difference up to which neighbours are equal: what half floats round, after a change of primaries."""

RUN_PIXELS = 4
"""Equal pixels that a contour has at least on either side."""
EQUAL_CODES, CONTOUR_CODES = 0.25, 0.5
"""Neighbours that differ by less are equal, by more a step: codes of an 8-bit monitor. A step of one code is what plain
8-bit input has; half a code is more than half floats round to in the components that are looked at."""
_LEAST_OF_LARGEST = 1 / 4
"""Components below this part of the largest are not looked at: half floats of other primaries round to steps there."""
FLAT_STOPS_PER_PIXEL = 1 / 16
"""Steepest slope of luminance, smoothed over `_SMOOTHED_PIXELS`, that still is a flat area."""
_SMOOTHED_PIXELS = 4.0

# Immerkaer, "Fast noise variance estimation" (1996): blind to planes, so slopes are no noise; white noise of standard
# deviation 1 comes out with 6.
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
_MAD_TO_SD = 1.4826
_DARKEST_SHARE = 0.1
LEAST_NOISE_LINEAR = 2.0**-16

Light = NDArray[np.float32]


def exposure_latitude(linear_awg4: Light, exposures_stops: Sequence[float] = EXPOSURES_STOPS) -> pl.DataFrame:
    """Measure a picture at several exposures.

    Parameters
    ----------
    linear_awg4
        Scene-linear AWG4 of shape ``(H, W, 3)``, finite.
    exposures_stops
        Exposures.

    Returns
    -------
    DataFrame
        A row for each exposure: ``clipped_fraction`` of the pixels, which the monitor shows white or which are at the
        picture's own ceiling (grey patches where light should be); ``banded_share`` of the pixels in flat areas that
        belong to false contours, in the primaries where they are most, and null where there is no flat area.
    """
    at_ceiling, flat = ceiling_plateau(linear_awg4), flat_areas(linear_awg4)
    linear_rec709 = convert_primaries(linear_awg4, AWG4, REC709)
    coded = [
        (linear, flat[..., None] & (linear >= _LEAST_OF_LARGEST * linear.max(-1, keepdims=True)))
        for linear in in_coded_primaries(linear_awg4)
    ]
    rows = []
    for stops in exposures_stops:
        white = linear_rec709.max(-1) * np.float32(2.0**stops) >= 1
        banded = [_banded_share(srgb_monitor_codes(linear, stops), inside) for linear, inside in coded]
        rows.append(
            {
                "exposure_stops": float(stops),
                "clipped_fraction": float(np.mean(white | at_ceiling)),
                "banded_share": max((share for share in banded if share is not None), default=None),
            }
        )
    return pl.DataFrame(rows, schema_overrides={"banded_share": pl.Float64})


def _banded_share(codes: Light, inside: NDArray[np.bool_]) -> float | None:
    """Return the share of pixels in which a component has contours; ``inside`` is where each may be looked at.

    What the monitor shows black or white is not.
    """
    inside = inside & (codes >= 0.5) & (codes < 254.5)
    looked_at = inside.any(-1)
    if not looked_at.any():
        return None
    banded = [contours(codes[..., c], inside[..., c]) for c in range(3)]
    return float(np.logical_or.reduce(banded)[looked_at].mean())


def srgb_monitor_codes(linear: Light, exposure_stops: float = 0.0) -> Light:
    """Return the codes 0 to 255 of an 8-bit sRGB monitor before they are rounded, ``(H, W, 3)``, of its primaries."""
    clipped = np.clip(linear * np.float32(2.0**exposure_stops), 0, 1)
    return (srgb_encode(clipped) * 255).astype(np.float32)


def ceiling_plateau(linear_awg4: Light) -> NDArray[np.bool_]:
    """Return where light was cut off, ``(H, W)``: pixels of an even patch at the picture's ceiling.

    The ceiling is that of the largest component; a single spark above it, or codes that differ a little, move it not. A
    light that was not cut off is no even patch, as it has a slope or grain. A picture all of one brightness has none:
    nothing in it tells a ceiling from a wall.

    Parameters
    ----------
    linear_awg4
        Scene-linear AWG4 of shape ``(H, W, 3)``, finite.
    """
    plateaus = [_plateau(np.ascontiguousarray(linear.max(-1))) for linear in in_coded_primaries(linear_awg4)]
    return np.asarray(np.logical_or.reduce(plateaus))


def _plateau(largest: Light) -> NDArray[np.bool_]:
    darkest, ceiling = np.percentile(largest, (100 - CEILING_PERCENTILE, CEILING_PERCENTILE))
    lowest = ceiling * (1 - CEILING_WIDTH)
    if ceiling <= 0 or darkest >= lowest:
        return np.zeros(largest.shape, np.bool_)
    at_ceiling, block = largest >= lowest, np.ones((3, 3), np.uint8)
    even = cv2.dilate(largest, block) - cv2.erode(largest, block) <= _PLATEAU * largest
    # Every pixel of an even block, its middle and its rim.
    return np.asarray((cv2.dilate((even & at_ceiling).astype(np.uint8), block) > 0) & at_ceiling)


def flat_areas(linear_awg4: Light) -> NDArray[np.bool_]:
    """Return where luminance has no edge and hardly a slope, ``(H, W)``: skies, walls, out-of-focus ground."""
    stops = np.log2(np.maximum(luminance(linear_awg4, AWG4), np.float32(FLOOR_LINEAR)))
    smooth = cv2.GaussianBlur(stops, (0, 0), _SMOOTHED_PIXELS, borderType=cv2.BORDER_REFLECT)
    down, across = np.gradient(smooth)
    return np.asarray(np.hypot(down, across) <= FLAT_STOPS_PER_PIXEL)


def contours(codes: Light, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of false contours in one component, ``(H, W)``, along its rows and its columns.

    A contour is a step of `CONTOUR_CODES` or more between two neighbours, each at the end of a run of at least
    `RUN_PIXELS` equal pixels; both runs belong to it. Noise breaks the runs, as dither does to the eye; a fine
    quantisation has no such steps; edges of things are not in flat areas.

    Parameters
    ----------
    codes
        Codes of an 8-bit monitor, not rounded, ``(H, W)``.
    inside
        Where to look, ``(H, W)``.

    Examples
    --------
    >>> ramp = np.linspace(100, 110, 80, dtype=np.float32)[None].repeat(8, 0)
    >>> everywhere = np.ones(ramp.shape, bool)
    >>> bool(contours(ramp, everywhere).any()), bool(contours(np.round(ramp), everywhere).all())
    (False, True)
    """
    down = _contours_along_rows(np.ascontiguousarray(codes.T), np.ascontiguousarray(inside.T))
    return _contours_along_rows(codes, inside) | down.T


def _contours_along_rows(codes: Light, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    difference = np.abs(np.diff(codes, axis=1))
    usable = inside[:, 1:] & inside[:, :-1]
    equal, step = (difference < EQUAL_CODES) & usable, (difference >= CONTOUR_CODES) & usable
    # Most rows of most pictures have no step with an equal link on either side: they need no lengths of runs.
    rows = np.flatnonzero((step[:, 1:-1] & equal[:, :-2] & equal[:, 2:]).any(1))
    banded = np.zeros(codes.shape, np.bool_)
    banded[rows] = _runs_at_steps(equal[rows], step[rows])
    return banded


def _runs_at_steps(equal: NDArray[np.bool_], step: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of the runs on either side of steps; links between neighbours are equal, steps, or neither."""
    # Links of equal pixels that end at each link, from either side; none beyond the borders.
    none = np.zeros((len(equal), 1), np.int32)
    before = np.hstack([none, _run_lengths(equal)[:, :-1]])
    after = np.hstack([_run_lengths(equal[:, ::-1])[:, ::-1][:, 1:], none])
    rows, links = np.nonzero(step & (np.minimum(before, after) >= RUN_PIXELS - 1))
    # A difference array: +1 where a banded stretch begins, -1 behind its end.
    stretches = np.zeros((equal.shape[0], equal.shape[1] + 2), np.int32)
    np.add.at(stretches, (rows, links - before[rows, links]), 1)
    np.add.at(stretches, (rows, links + after[rows, links] + 2), -1)
    return np.asarray(np.cumsum(stretches, 1)[:, :-1] > 0)


def _run_lengths(equal: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return, at each place of each row, how many in a row are true up to there."""
    place = np.arange(1, equal.shape[1] + 1, dtype=np.int32)[None]
    last_false = np.maximum.accumulate(np.where(equal, 0, place), axis=1)
    return np.asarray(place - last_false)


def noise_sd(values: Light, inside: NDArray[np.bool_]) -> float:
    """Return the standard deviation of the noise of one component by the median of what a plane does not explain.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 2, (64, 64)).astype(np.float32)
    >>> round(noise_sd(noise + np.arange(64), np.ones((64, 64), bool)), 1)
    2.0
    """
    response = cv2.filter2D(values, -1, _NOISE_KERNEL, borderType=cv2.BORDER_REFLECT_101)
    return float(np.median(np.abs(response[inside]))) * _MAD_TO_SD


def noise_floor_stops(linear_awg4: Light) -> float:
    """Return log2 of the noise of luminance in the darkest tenth of the flat areas: there signal and noise are equal.

    Light below it is lost in noise (ISO 15739 ends the dynamic range there). No noise at all counts as
    `LEAST_NOISE_LINEAR`: a picture without any was smoothed, or its codes are too coarse to show it.
    """
    y = luminance(linear_awg4, AWG4)
    flat = flat_areas(linear_awg4)
    if not flat.any():
        flat = np.ones_like(flat)
    # Chosen by smoothed luminance: the darkest pixels themselves would be those that noise made darkest.
    smooth = cv2.GaussianBlur(y, (0, 0), _SMOOTHED_PIXELS, borderType=cv2.BORDER_REFLECT)
    darkest = flat & (smooth <= np.quantile(smooth[flat], _DARKEST_SHARE))
    return float(np.log2(max(noise_sd(y, darkest), LEAST_NOISE_LINEAR)))
