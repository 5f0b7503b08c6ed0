"""PSNR after the mu-law tone map, which much of the literature on merging exposures reports."""

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.units import FLOOR_LINEAR
from hdrgen.metrics.quality import psnr_linear

MU = 5000.0
"""Kalantari and Ramamoorthi, "Deep High Dynamic Range Imaging of Dynamic Scenes" (SIGGRAPH 2017)."""


def mu_law(relative: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compress light relative to a peak, 0 to 1, by ``log(1 + mu x) / log(1 + mu)``; odd about 0.

    Examples
    --------
    >>> mu_law(np.array([0.0, 0.1, 1.0])).round(2).tolist()
    [0.0, 0.73, 1.0]
    """
    return np.sign(relative) * np.log1p(MU * np.abs(relative)) / relative.dtype.type(np.log1p(MU))


def psnr_mu(test: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Return PSNR-mu in dB: PSNR over mu-law RGB, light normalised by the reference's peak, at most 100.

    One lamp in frame sets the peak, so figures of pictures with different peaks do not compare.

    Parameters
    ----------
    test, reference
        Scene-linear RGB of one shape ``(H, W, 3)``.

    Raises
    ------
    ValueError
        The pictures differ in size, or hold NaN or Inf.

    Examples
    --------
    A picture of 1.0 whose test is 0.5 differs by 1 - 0.9115 in mu-law values.

    >>> reference = np.ones((16, 16, 3))
    >>> round(psnr_mu(0.5 * reference, reference), 2)
    21.79
    """
    peak = max(float(reference.max()), FLOOR_LINEAR)
    # Normalised so, the reference's own peak is 1, and what is left is PSNR-L of the compressed pictures.
    return psnr_linear(mu_law(test / peak), mu_law(reference / peak))
