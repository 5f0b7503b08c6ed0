"""RGB spaces by their chromaticities, and the matrices between them.

Adaptation between whites is CAT02, as in ARRI's and the Academy's own transforms.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Matrix = NDArray[np.float64]


class Chromaticities(NamedTuple):
    """CIE 1931 xy of the three primaries and the white, as in an EXR's ``chromaticities``."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]


D65 = (0.3127, 0.3290)
ACES_WHITE = (0.32168, 0.33767)

# ARRI: "ALEXA LogC Curve - Usage in VFX" (2017), table 2, and "ARRI LogC4 Specification" (2022), section 2.
AWG3 = Chromaticities((0.6840, 0.3130), (0.2210, 0.8480), (0.0861, -0.1020), D65)
AWG4 = Chromaticities((0.7347, 0.2653), (0.1424, 0.8576), (0.0991, -0.0308), D65)
# SMPTE ST 2065-1:2012 and Academy S-2014-004.
AP0 = Chromaticities((0.7347, 0.2653), (0.0, 1.0), (0.0001, -0.0770), ACES_WHITE)
AP1 = Chromaticities((0.713, 0.293), (0.165, 0.830), (0.128, 0.044), ACES_WHITE)
REC709 = Chromaticities((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
REC2020 = Chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)
# Adobe RGB (1998), version 2005-05, section 4.3.1.
ADOBE_RGB = Chromaticities((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), D65)
P3_D65 = Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65)
XYZ_E = Chromaticities((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3))

SPACES: dict[str, Chromaticities] = {
    "awg3": AWG3,
    "awg4": AWG4,
    "ap0": AP0,
    "ap1": AP1,
    "rec709": REC709,
    "rec2020": REC2020,
    "p3d65": P3_D65,
    "xyz": XYZ_E,
}

# Moroney et al., "The CIECAM02 Color Appearance Model" (2002), equation 4.
CAT02: Matrix = np.array([[0.7328, 0.4296, -0.1624], [-0.7036, 1.6975, 0.0061], [0.0030, 0.0136, 0.9834]])


def _xyz(xy: tuple[float, float]) -> Matrix:
    x, y = xy
    return np.array([x / y, 1.0, (1.0 - x - y) / y])


@cache
def rgb_to_xyz(space: Chromaticities) -> Matrix:
    """Return the 3x3 matrix from linear RGB to CIE XYZ, white at Y = 1 (SMPTE RP 177:1993).

    Raises
    ------
    ValueError
        The primaries lie on one line, or the white has no luminance.
    """
    columns = np.array([[x, y, 1.0 - x - y] for x, y in (space.red, space.green, space.blue)]).T
    if space.white[1] <= 0.0 or abs(np.linalg.det(columns)) < 1e-6:
        raise ValueError(f"chromaticities {tuple(space)} span no colour space")
    return columns * np.linalg.solve(columns, _xyz(space.white))


@cache
def spans_space(space: Chromaticities) -> bool:
    """Tell whether chromaticities are those of a colour space, so that every function here works on them."""
    if not np.isfinite(space).all() or np.abs(space).max() > 100:
        return False
    with np.errstate(all="ignore"):
        try:
            to_ap1 = rgb_to_rgb(space, AP1)
        except (ValueError, ZeroDivisionError, np.linalg.LinAlgError):
            return False
        return bool(np.isfinite(to_ap1).all() and abs(np.linalg.det(rgb_to_xyz(space))) > 1e-6)


@cache
def adaptation(source_white: tuple[float, float], target_white: tuple[float, float]) -> Matrix:
    """Return the 3x3 von Kries matrix in CAT02 that takes XYZ under one white to another."""
    gain = (CAT02 @ _xyz(target_white)) / (CAT02 @ _xyz(source_white))
    return np.asarray(np.linalg.solve(CAT02, gain[:, None] * CAT02), np.float64)


@cache
def rgb_to_rgb(source: Chromaticities, target: Chromaticities) -> Matrix:
    """Return the 3x3 matrix between two linear RGB spaces, whites adapted with CAT02.

    CIE XYZ stands apart: its white E only says that equal values are the unit, not that the scene was lit so.
    Files hold the tristimulus values of scenes under their own white, which by convention is D65.
    """
    to_xyz = adaptation(_scene_white(source), _scene_white(target)) @ rgb_to_xyz(source)
    return np.asarray(np.linalg.solve(rgb_to_xyz(target), to_xyz), np.float64)


def _scene_white(space: Chromaticities) -> tuple[float, float]:
    """Return the white that a picture in a space is lit by; files round what they state."""
    return D65 if np.abs(np.subtract(space, XYZ_E)).max() < 1e-3 else space.white


def convert_primaries(linear: Array, source: Chromaticities, target: Chromaticities) -> Array:
    """Take scene-linear RGB from one space to another; shape ``(..., 3)``, dtype kept, range kept."""
    if source == target:
        return linear
    matrix = rgb_to_rgb(source, target).astype(np.result_type(linear.dtype, np.float32))
    return (linear @ matrix.T).astype(linear.dtype, copy=False)


def luminance_weights(space: Chromaticities) -> NDArray[np.float64]:
    """Return the three weights of relative luminance Y, summing to 1 for this space's white."""
    return rgb_to_xyz(space)[1]


def luminance(linear: Array, space: Chromaticities) -> Array:
    """Return relative luminance of scene-linear RGB ``(..., 3)``, shape ``(...)``, grey at its own value."""
    return linear @ luminance_weights(space).astype(linear.dtype)
