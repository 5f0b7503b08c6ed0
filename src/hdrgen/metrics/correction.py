"""What is taken out of a picture before it is compared: its overall exposure, or the tone curve it went through.

A method that cannot know the exposure or the camera's curve is measured mostly on them otherwise. Figures after a
correction say nothing about tones any more, so whoever shows them names the correction.
"""

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.display import PQ_C1, PQ_C2, PQ_C3, PQ_M1, PQ_M2, PQ_PEAK_NITS
from hdrgen.colour.primaries import AWG4, luminance, rgb_to_xyz
from hdrgen.colour.units import FLOOR_LINEAR, NITS_PER_UNIT
from hdrgen.runtime.choices import ScaleBy

Array = NDArray[np.floating]
SCALES: tuple[ScaleBy, ...] = get_args(ScaleBy)

# Hanji et al. (2022): degree, ridge, smallest light, and the scale of u'v' of LogLuv.
_DEGREE = 3
_RIDGE = 0.01
_MIN_NITS, _MIN_XYZ_NITS = 0.005, 1e-4
_UV_SCALE = 410 / 255
_LARGEST_PQ = 1.5  # 3 million nit; the curve has its pole at 2


def scale_stops(test: Array, reference: Array, by: ScaleBy) -> float:
    """Return the exposure in stops that brings a picture nearest to its reference.

    Parameters
    ----------
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``.
    by
        ``median``: the median difference of luminance in stops, where both are above `FLOOR_LINEAR`; no highlight
        decides it. ``least_squares``: the factor of the smallest squared error of linear RGB, which highlights decide.
        ``none``: 0.

    Examples
    --------
    >>> reference = np.geomspace(0.01, 10, 48).reshape(4, 4, 3)
    >>> round(scale_stops(reference / 4, reference, "median"), 6)
    2.0
    """
    if by == "none":
        return 0.0
    if by == "least_squares":
        across, power = float(np.vdot(test, reference)), float(np.vdot(test, test))
        return float(np.log2(across / power)) if across > 0 and power > 0 else 0.0
    test_y, reference_y = luminance(test, AWG4), luminance(reference, AWG4)
    usable = (test_y > FLOOR_LINEAR) & (reference_y > FLOOR_LINEAR)
    if not usable.any():
        return 0.0
    return float(np.median(np.log2(reference_y[usable] / test_y[usable])))


def crf_corrected(test: Array, reference: Array) -> NDArray[np.float32]:
    """Return a picture without the tone and colour differences that a camera response function leaves.

    Luminance goes through the cubic in PQ values that is nearest to the reference's by least squares, u'v' through
    cubics of both with their product, held near the identity. Hanji et al., "Comparison of single image HDR
    reconstruction methods - the caveats of quality assessment" (SIGGRAPH 2022), as `crf_correction` of the authors' code has it.

    Parameters
    ----------
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``; 1.0 is 100 nit.

    Examples
    --------
    A gamma is undone:

    >>> reference = np.geomspace(0.01, 10, 300).reshape(10, 10, 3)
    >>> corrected = crf_corrected(reference**1.2, reference)
    >>> bool(abs(np.log2(corrected / reference)).max() < 0.1)
    True
    """
    to_xyz = rgb_to_xyz(AWG4)
    test_y, test_uv = _luminance_and_uv(test, to_xyz)
    reference_y, reference_uv = _luminance_and_uv(reference, to_xyz)

    pq = _fitted(_powers(_pq(test_y)[:, None]), _pq(reference_y)[:, None], ridge=0.0)[:, 0]
    y = np.maximum(_nits(pq), _MIN_NITS)

    terms = np.column_stack([_powers(test_uv), test_uv.prod(1)])
    u, v = _fitted(terms, reference_uv, ridge=_RIDGE).T / _UV_SCALE
    # X and Z of u'v' (CIE 15:2004), turned round.
    v = np.maximum(v, 1e-6)
    xyz = np.stack([y * 9 * u / (4 * v), y, y * (12 - 3 * u - 20 * v) / (4 * v)], -1)
    linear = np.linalg.solve(to_xyz, np.maximum(xyz, _MIN_XYZ_NITS).T).T / NITS_PER_UNIT
    return np.maximum(linear, 0).astype(np.float32).reshape(test.shape)


def _pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return PQ values as `pq_encode` does, without its end at 10,000 nit: a lamp must stay a lamp."""
    y = (nits / PQ_PEAK_NITS) ** PQ_M1
    return np.asarray(((PQ_C1 + PQ_C2 * y) / (1 + PQ_C3 * y)) ** PQ_M2)


def _nits(pq: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(pq, 0, _LARGEST_PQ) ** (1 / PQ_M2)
    return np.asarray(PQ_PEAK_NITS * (np.maximum(p - PQ_C1, 0) / (PQ_C2 - PQ_C3 * p)) ** (1 / PQ_M1))


def _luminance_and_uv(linear: Array, to_xyz: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Y in nit and scaled u'v', one row for each pixel."""
    nits = np.maximum(linear.reshape(-1, 3).astype(np.float64) * NITS_PER_UNIT, _MIN_NITS)
    x, y, z = np.maximum(nits @ to_xyz.T, _MIN_XYZ_NITS).T
    return y, np.stack([4 * x, 9 * y], -1) / (x + 15 * y + 3 * z)[:, None] * _UV_SCALE


def _powers(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values, a constant and the powers up to the degree, side by side; the values come first."""
    powers = [values**degree for degree in range(2, _DEGREE + 1)]
    return np.column_stack([values, np.ones(len(values)), *powers])


def _fitted(terms: NDArray[np.float64], wanted: NDArray[np.float64], *, ridge: float) -> NDArray[np.float64]:
    """Return the least squares fit of the terms, whose coefficients are drawn to the identity by the ridge."""
    rows, columns = terms.shape
    identity = np.eye(columns, wanted.shape[1])
    strength = ridge * rows / columns
    normal = terms.T @ terms + strength * np.eye(columns)
    # A plain picture has too few tones to decide every coefficient: the smallest ones then.
    return terms @ np.linalg.lstsq(normal, terms.T @ wanted + strength * identity, rcond=None)[0]
