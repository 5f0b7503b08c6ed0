"""PU21: luminance in nit to values in which equal steps look equal, for quality metrics.

Mantiuk and Azimi, "PU21: A novel perceptually uniform encoding for adapting existing quality metrics for HDR"
(PCS 2021), variant ``banding_glare``; constants as published with the paper (gfxdisp/pu21).
"""

from hdrgen.colour.arrays import ArrayT, float_array

MIN_NITS = 0.005
MAX_NITS = 10000.0
PEAK = 595.3939
"""The encoded value of 10,000 nit, which PSNR takes as its peak. 100 nit, the white of SDR, is at 256."""

P = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)


def pu21_encode(nits: ArrayT) -> ArrayT:
    """Encode luminance in nit, limited to 0.005 to 10,000, as PU21 values 0 to 595.39 (equation 11).

    Examples
    --------
    >>> float(pu21_encode(100.0).round(1))
    256.4
    """
    xp, nits = float_array(nits)
    y = xp.clip(nits, MIN_NITS, MAX_NITS) ** P[3]
    return xp.clip(P[6] * (((P[0] + P[1] * y) / (1 + P[2] * y)) ** P[4] - P[5]), 0, None)


def pu21_decode(code: ArrayT) -> ArrayT:
    """Decode PU21 values to luminance in nit: the mirror of `pu21_encode`."""
    xp, v = float_array(code)
    u = xp.clip(v / P[6] + P[5], 0, None) ** (1 / P[4])
    return (xp.clip(u - P[0], 0, None) / (P[1] - P[2] * u)) ** (1 / P[3])
