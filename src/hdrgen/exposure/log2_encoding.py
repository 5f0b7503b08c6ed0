"""The log2 encoding of light that networks and closed forms work in: log2(linear + 0.01).

Near enough to stops in the light, and to linear below one nit. A difference of 1 is one stop where light is far above 0.01.
"""

from hdrgen.colour.arrays import ArrayT, float_array

LOG2_OFFSET = 0.01

MAX_LOG2 = 15.9
"""Just below where half floats end; beyond it an untrained network's light would overflow, and its gradients be NaN."""


def log2_encode(linear: ArrayT) -> ArrayT:
    """Scene-linear (from 0) to its log2 encoding; 0 is -6.64, grey -2.40, 10,000 is 13.29."""
    xp, x = float_array(linear)
    return xp.log2(xp.clip(x, 0, None) + LOG2_OFFSET)


def log2_decode(log2: ArrayT) -> ArrayT:
    """Log2 encoding to scene-linear: the mirror of `log2_encode`; never negative."""
    xp, log2 = float_array(log2)
    # Several times as fast as 2**log2, which is a general power.
    return xp.clip(xp.exp2(log2) - LOG2_OFFSET, 0, None)
