"""Colour difference for HDR: Delta E ITP of ITU-R BT.2124-0 (2019), over ICtCp of ITU-R BT.2100-2 (2018).

1 is about the smallest difference that can be seen by an eye adapted to that very colour.
"""

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.display import pq_encode
from hdrgen.colour.primaries import AWG4, REC2020, convert_primaries
from hdrgen.colour.units import NITS_PER_UNIT

Array = NDArray[np.floating]

# BT.2100-2, table 7.
LMS = np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096
ICTCP = np.array([[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]) / 4096


def ictcp(nits_rec2020: Array) -> Array:
    """Return ICtCp ``(..., 3)`` of light in nit and Rec.2020 primaries; I from 0 to 1, Ct and Cp about 0.

    Light below 0 and above 10,000 nit is limited, as PQ has it.

    Examples
    --------
    >>> (ictcp(np.array([100.0, 100.0, 100.0])).round(4) + 0.0).tolist()
    [0.5081, 0.0, 0.0]
    """
    lms = nits_rec2020 @ LMS.T.astype(nits_rec2020.dtype)
    return pq_encode(lms) @ ICTCP.T.astype(nits_rec2020.dtype)


def delta_e_itp_between(ictcp_1: Array, ictcp_2: Array) -> Array:
    """Return Delta E ITP of ICtCp colours ``(..., 3)``, shape ``(...)``.

    ``720 sqrt(dI^2 + dT^2 + dP^2)`` with T half of Ct, and P as Cp.

    Examples
    --------
    >>> one, other = np.array([0.4885, -0.0474, 0.0748]), np.array([0.4899, -0.0457, 0.0736])
    >>> float(delta_e_itp_between(one, other).round(2))
    1.46
    """
    difference = ictcp_1 - ictcp_2
    return 720 * np.sqrt(np.square(difference * np.array([1, 0.5, 1], difference.dtype)).sum(-1))


def delta_e_itp(test: Array, reference: Array) -> Array:
    """Return the colour difference of each pixel in Delta E ITP, shape ``(H, W)``.

    Light above 10,000 nit, 100.0, is all one to it.

    Parameters
    ----------
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``; 1.0 is 100 nit.

    Examples
    --------
    Grey that is a tenth too bright:

    >>> grey = np.full((1, 1, 3), 0.18)
    >>> float(delta_e_itp(1.1 * grey, grey).round(2)[0, 0])
    5.89
    """
    colours = [
        ictcp(convert_primaries(linear, AWG4, REC2020) * linear.dtype.type(NITS_PER_UNIT))
        for linear in (test, reference)
    ]
    return delta_e_itp_between(*colours)
