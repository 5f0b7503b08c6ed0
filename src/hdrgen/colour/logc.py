"""ARRI's logarithmic curves: LogC4 (ALEXA 35) and LogC3 (ALEXA and ALEXA Mini footage before it).

Curves only; the colour spaces they belong to are `primaries.AWG4` and `primaries.AWG3`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from hdrgen.colour.arrays import ArrayT, float_array

# "ARRI LogC4 Logarithmic Color Space Specification" (2022), section 3.
LOGC4_A = (2**18 - 16) / 117.45
LOGC4_B = (1023 - 95) / 1023
LOGC4_C = 95 / 1023
LOGC4_S = (7 * np.log(2) * 2 ** (7 - 14 * LOGC4_C / LOGC4_B)) / (LOGC4_A * LOGC4_B)
LOGC4_T = (2 ** (14 * (-LOGC4_C / LOGC4_B) + 6) - 64) / LOGC4_A

LOGC4_CEILING = (2 ** (14 * (1 - LOGC4_C) / LOGC4_B + 6) - 64) / LOGC4_A
"""Scene-linear value of code 1.0: 469.8, 11.3 stops above grey. The curve is no range of its own beyond it."""


def logc4_encode(linear: ArrayT) -> ArrayT:
    """Encode scene-linear values as LogC4 (specification, section 3.1).

    Parameters
    ----------
    linear
        Any shape; grey at 0.18. Negative values are encoded by the curve's linear part.

    Returns
    -------
    array
        Code values; 0 to 1 stands for -0.018 to 469.8, beyond on both sides the curve goes on.

    Examples
    --------
    >>> float(logc4_encode(0.18).round(6))
    0.278396
    """
    xp, x = float_array(linear)
    # where() evaluates both sides, so the logarithm must not see what the linear part covers.
    above = xp.where(x >= LOGC4_T, x, LOGC4_T + 0 * x)
    code = (xp.log2(LOGC4_A * above + 64) - 6) / 14 * LOGC4_B + LOGC4_C
    return xp.where(x >= LOGC4_T, code, (x - LOGC4_T) / LOGC4_S)


def logc4_decode(code: ArrayT) -> ArrayT:
    """Decode LogC4 code values to scene-linear: the mirror of `logc4_encode` (section 3.2).

    Examples
    --------
    >>> float(logc4_decode(1.0).round(1))
    469.8
    """
    xp, y = float_array(code)
    linear = (2 ** (14 * (y - LOGC4_C) / LOGC4_B + 6) - 64) / LOGC4_A
    return xp.where(y >= 0, linear, y * LOGC4_S + LOGC4_T)


class LogC3Curve(NamedTuple):
    """The constants of the LogC3 curve for one exposure index."""

    cut: float
    a: float
    b: float
    c: float
    d: float
    e: float
    f: float


@cache
def logc3_curve(exposure_index: int = 800) -> LogC3Curve:
    """Return the curve for an exposure index of 160 to 1600, whose published values are the table below.

    Source: "ALEXA Log C Curve - Usage in VFX" (2017), table "LogC3 linear scene exposure factor".

    Raises
    ------
    ValueError
        ARRI publishes no curve for that exposure index.
    """
    published = {
        160: (0.005561, 5.555556, 0.080216, 0.269036, 0.381991, 5.842037, 0.092778),
        200: (0.006208, 5.555556, 0.076621, 0.266007, 0.382478, 5.776265, 0.092782),
        250: (0.006871, 5.555556, 0.072941, 0.262978, 0.382966, 5.710494, 0.092786),
        320: (0.007622, 5.555556, 0.068768, 0.259627, 0.383508, 5.637732, 0.092791),
        400: (0.008318, 5.555556, 0.064901, 0.256598, 0.383999, 5.571960, 0.092795),
        500: (0.009031, 5.555556, 0.060939, 0.253569, 0.384493, 5.506188, 0.092800),
        640: (0.009840, 5.555556, 0.056443, 0.250219, 0.385040, 5.433426, 0.092805),
        800: (0.010591, 5.555556, 0.052272, 0.247190, 0.385537, 5.367655, 0.092809),
        1000: (0.011361, 5.555556, 0.047996, 0.244161, 0.386036, 5.301883, 0.092814),
        1280: (0.012235, 5.555556, 0.043137, 0.240810, 0.386590, 5.229121, 0.092819),
        1600: (0.013047, 5.555556, 0.038625, 0.237781, 0.387093, 5.163350, 0.092824),
    }
    if exposure_index not in published:
        raise ValueError(
            f"no LogC3 curve for EI {exposure_index}; there are {', '.join(map(str, published))}"
        )
    return LogC3Curve(*published[exposure_index])


def logc3_encode(linear: ArrayT, exposure_index: int = 800) -> ArrayT:
    """Encode scene-linear values as LogC3; grey 0.18 is 0.391 at every exposure index.

    Examples
    --------
    >>> float(logc3_encode(0.18).round(6))
    0.391007
    """
    k = logc3_curve(exposure_index)
    xp, x = float_array(linear)
    above = xp.where(x > k.cut, x, k.cut + 0 * x)
    return xp.where(x > k.cut, k.c * xp.log10(k.a * above + k.b) + k.d, k.e * x + k.f)


def logc3_decode(code: ArrayT, exposure_index: int = 800) -> ArrayT:
    """Decode LogC3 code values to scene-linear: the mirror of `logc3_encode`; code 1.0 is 55.1 at EI 800."""
    k = logc3_curve(exposure_index)
    xp, y = float_array(code)
    return xp.where(y > k.e * k.cut + k.f, (10 ** ((y - k.d) / k.c) - k.b) / k.a, (y - k.f) / k.e)
