"""Hybrid Log-Gamma (ITU-R BT.2100-3, table 5): code values that each display turns into light of its own peak.

RGB is Rec.2020, in the last axis, black at 0 nit.
"""

import math

from hdrgen.colour.arrays import ArrayT, float_array
from hdrgen.colour.primaries import REC2020, luminance_weights

A = 0.17883277
B = 1 - 4 * A
C = 0.5 - A * math.log(4 * A)

PEAK_NITS = (400.0, 2000.0)
"""Nominal peaks for which BT.2100 gives the system gamma."""


def hlg_oetf(scene_linear: ArrayT) -> ArrayT:
    """Encode scene light 0 to 1 as HLG code values 0 to 1."""
    xp, e = float_array(scene_linear)
    e = xp.clip(e, 0, 1)
    return xp.where(e <= 1 / 12, xp.sqrt(3 * e), A * xp.log(xp.clip(12 * e - B, 1 - B, None)) + C)


def hlg_oetf_inverse(code: ArrayT) -> ArrayT:
    """Decode HLG code values to scene light 0 to 1: the mirror of `hlg_oetf`."""
    xp, v = float_array(code)
    v = xp.clip(v, 0, 1)
    return xp.where(v <= 0.5, v**2 / 3, (xp.exp((v - C) / A) + B) / 12)


def hlg_system_gamma(peak_nits: float) -> float:
    """Return the gamma from scene light to a display of this peak (note 5f): 1.2 at 1000 nit.

    Raises
    ------
    ValueError
        The peak is not among those that the note speaks of.
    """
    low, high = PEAK_NITS
    if not low <= peak_nits <= high:
        raise ValueError(f"HLG is defined for peaks from {low:g} to {high:g} nit, not {peak_nits:g}")
    return 1.2 + 0.42 * math.log10(peak_nits / 1000)


def hlg_encode(nits: ArrayT, peak_nits: float) -> ArrayT:
    """Encode light of a display, Rec.2020 ``(..., 3)`` in nit, as the code values that make it show that light.

    The inverse of the OOTF, ``E = (Y / peak)^((1 - gamma) / gamma) * RGB / peak``, then the OETF. What HLG cannot make
    a display show, saturated colours near its peak, is clipped.
    """
    xp, light = float_array(nits)
    light = xp.clip(light / peak_nits, 0, None)
    y = _luminance(light)
    gain = xp.where(y > 0, y, y + 1) ** (1 / hlg_system_gamma(peak_nits) - 1)
    return hlg_oetf(light * gain)


def hlg_decode(code: ArrayT, peak_nits: float) -> ArrayT:
    """Return the light, Rec.2020 ``(..., 3)`` in nit, of a display of this peak: the mirror of `hlg_encode`."""
    _, scene = float_array(hlg_oetf_inverse(code))
    return peak_nits * _luminance(scene) ** (hlg_system_gamma(peak_nits) - 1) * scene


def _luminance(rgb: ArrayT) -> ArrayT:
    """Return Y with its axis kept, so that it multiplies RGB."""
    red, green, blue = (float(weight) for weight in luminance_weights(REC2020))
    return red * rgb[..., 0:1] + green * rgb[..., 1:2] + blue * rgb[..., 2:3]
