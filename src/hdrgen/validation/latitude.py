"""Exposure latitude: what is left of a picture when it is graded up or down by some stops.

Every exposure is looked at as an 8-bit monitor would show it, through the sRGB curve and nothing else, component by
component. What the monitor alone does to a perfect picture is the same for all, so real footage beside it says what is
to be expected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.colour.display import srgb_encode
from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.metrics.quality import FLOOR_LINEAR

EXPOSURES_STOPS = tuple(range(-4, 5))

CEILING_PERCENTILE, CEILING_STOPS = 99.9, 1 / 8
"""The ceiling of a picture is where its brightest thousandth begins; pixels this close below it are at it."""

RUN_PIXELS = 4
"""A contour has at least so many equal pixels on either side."""
EQUAL_CODES, CONTOUR_CODES = 0.25, 1.0
"""Neighbours that differ by less are equal, by more a step: codes of an 8-bit monitor."""
FLAT_STOPS_PER_PIXEL = 1 / 16
"""Steepest slope of luminance, smoothed over `_SMOOTHED_PIXELS`, that still is a flat area."""
_SMOOTHED_PIXELS = 4.0

# Immerkaer, "Fast noise variance estimation" (1996): blind to planes, so slopes are no noise; white noise of standard
# deviation 1 comes out with 6.
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
_MAD_TO_SD = 1.4826
_DARKEST_SHARE = 0.1
LEAST_NOISE_LINEAR = 2.0**-16

_OF_COMPONENTS = ("banded_share", "step_codes", "noise_codes")

Light = NDArray[np.float32]


@dataclass(frozen=True)
class Contours:
    """Where a picture steps from one flat run to the next: false contours, as coarse codes make them.

    ``banded`` marks the pixels of such runs, ``(H, W)``; ``step_codes`` the height of each step.
    """

    banded: NDArray[np.bool_]
    step_codes: NDArray[np.float32]


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
        A row for each exposure: ``clipped_share`` of the pixels, which the monitor shows white or which are at the
        picture's own ceiling (grey patches where light should be); ``crushed_share``, shown black; ``banded_share`` of
        the pixels in flat areas that belong to contours; ``step_codes``, the median height of those; ``noise_codes``,
        the standard deviation of the noise in flat areas. Shares and heights are means over the three components, and
        null where there is no flat area.
    """
    largest = linear_awg4.max(-1)
    at_ceiling = largest >= ceiling_linear(linear_awg4) * np.float32(2.0**-CEILING_STOPS)
    flat = flat_areas(linear_awg4)
    rows = []
    for stops in exposures_stops:
        gain = np.float32(2.0**stops)
        codes = shown_codes(linear_awg4, stops)
        white, black = (largest * gain >= 1), (codes < 0.5).all(-1)
        found = [_of_component(codes[..., c], flat) for c in range(3)]
        rows.append(
            {
                "exposure_stops": float(stops),
                "clipped_share": float(np.mean(white | at_ceiling)),
                "crushed_share": float(np.mean(black)),
                **{name: _mean([one[name] for one in found]) for name in _OF_COMPONENTS},
            }
        )
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(_OF_COMPONENTS, pl.Float64))


def _of_component(codes: Light, flat: NDArray[np.bool_]) -> dict[str, float | None]:
    inside = flat & (codes >= 0.5) & (codes < 254.5)
    if not inside.any():
        return dict.fromkeys(_OF_COMPONENTS)
    found = contours(codes, inside)
    return {
        "banded_share": float(found.banded[inside].mean()),
        "step_codes": float(np.median(found.step_codes)) if found.step_codes.size else None,
        "noise_codes": noise_sd(codes, inside),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def shown_codes(linear_awg4: Light, exposure_stops: float = 0.0) -> Light:
    """Return the codes 0 to 255 of an 8-bit monitor before they are rounded, ``(H, W, 3)``."""
    shown = np.clip(linear_awg4 * np.float32(2.0**exposure_stops), 0, 1)
    return (srgb_encode(shown) * 255).astype(np.float32)


def ceiling_linear(linear_awg4: Light) -> float:
    """Return the light of a picture's ceiling: a single spark above it, or codes that differ a little, move it not."""
    return float(np.percentile(linear_awg4.max(-1), CEILING_PERCENTILE))


def ceiling_share(linear_awg4: Light) -> float:
    """Return the share of pixels at the picture's ceiling: a thousandth at least, more where light was cut off."""
    lowest = ceiling_linear(linear_awg4) * 2.0**-CEILING_STOPS
    return float(np.mean(linear_awg4.max(-1) >= lowest))


def flat_areas(linear_awg4: Light) -> NDArray[np.bool_]:
    """Return where luminance has no edge and hardly a slope, ``(H, W)``: skies, walls, out-of-focus ground."""
    stops = np.log2(np.maximum(luminance(linear_awg4, AWG4), np.float32(FLOOR_LINEAR)))
    smooth = cv2.GaussianBlur(stops, (0, 0), _SMOOTHED_PIXELS, borderType=cv2.BORDER_REFLECT)
    down, across = np.gradient(smooth)
    return np.asarray(np.hypot(down, across) <= FLAT_STOPS_PER_PIXEL)


def contours(codes: Light, inside: NDArray[np.bool_]) -> Contours:
    """Find the false contours of one component, along its rows and its columns.

    A contour is a step of `CONTOUR_CODES` or more between two neighbours, each at the end of a run of at least
    `RUN_PIXELS` equal pixels. Noise breaks the runs, as dither does to the eye; a fine quantisation has no such steps;
    edges of things are not in flat areas.

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
    >>> bool(contours(ramp, everywhere).banded.any()), bool(contours(np.round(ramp / 2) * 2, everywhere).banded.all())
    (False, True)
    """
    along_rows, row_steps = _contours_along_rows(codes, inside)
    along_columns, column_steps = _contours_along_rows(codes.T, inside.T)
    return Contours(along_rows | along_columns.T, np.concatenate([row_steps, column_steps]))


def _contours_along_rows(codes: Light, inside: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Light]:
    """Return which pixels belong to contours, and the height of each contour."""
    difference = np.abs(np.diff(codes, axis=1))
    usable = inside[:, 1:] & inside[:, :-1]
    equal = (difference < EQUAL_CODES) & usable
    # Links of equal pixels that end at each link, from either side; none beyond the borders.
    none = np.zeros((len(codes), 1), np.int64)
    before = np.hstack([none, _run_lengths(equal)[:, :-1]])
    after = np.hstack([_run_lengths(equal[:, ::-1])[:, ::-1][:, 1:], none])
    long = np.minimum(before, after) >= RUN_PIXELS - 1
    rows, links = np.nonzero((difference >= CONTOUR_CODES) & usable & long)
    # A difference array: +1 where a banded stretch begins, -1 behind its end.
    stretches = np.zeros((codes.shape[0], codes.shape[1] + 1), np.int32)
    np.add.at(stretches, (rows, links - before[rows, links]), 1)
    np.add.at(stretches, (rows, links + after[rows, links] + 2), -1)
    return np.cumsum(stretches, 1)[:, :-1] > 0, difference[rows, links]


def _run_lengths(equal: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return, at each place of each row, how many in a row are true up to there."""
    place = np.arange(1, equal.shape[1] + 1)[None]
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
