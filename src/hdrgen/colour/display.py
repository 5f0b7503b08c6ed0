"""Display curves: sRGB, and PQ for HDR displays."""

from hdrgen.colour.arrays import ArrayT, float_array

# SMPTE ST 2084:2014, section 5.1.
PQ_M1 = 2610 / 16384
PQ_M2 = 2523 / 4096 * 128
PQ_C1 = 3424 / 4096
PQ_C2 = 2413 / 4096 * 32
PQ_C3 = 2392 / 4096 * 32
PQ_PEAK_NITS = 10000.0


def srgb_encode(display_linear: ArrayT) -> ArrayT:
    """Encode display-linear 0 to 1 as sRGB code values (IEC 61966-2-1); odd about zero, no clipping above 1."""
    xp, x = float_array(display_linear)
    size = abs(x)
    return xp.sign(x) * xp.where(
        size <= 0.0031308, 12.92 * size, 1.055 * xp.where(size > 0, size, size + 1) ** (1 / 2.4) - 0.055
    )


def srgb_decode(code: ArrayT) -> ArrayT:
    """Decode sRGB code values to display-linear: the mirror of `srgb_encode`."""
    xp, y = float_array(code)
    size = abs(y)
    return xp.sign(y) * xp.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)


def pq_encode(nits: ArrayT) -> ArrayT:
    """Encode absolute luminance 0 to 10,000 nit as PQ code values 0 to 1 (ST 2084, equation 5.2)."""
    xp, x = float_array(nits)
    y = xp.clip(x / PQ_PEAK_NITS, 0, 1) ** PQ_M1
    return ((PQ_C1 + PQ_C2 * y) / (1 + PQ_C3 * y)) ** PQ_M2


def pq_decode(code: ArrayT) -> ArrayT:
    """Decode PQ code values to absolute luminance in nit: the mirror of `pq_encode` (equation 4.1)."""
    xp, v = float_array(code)
    p = xp.clip(v, 0, 1) ** (1 / PQ_M2)
    return PQ_PEAK_NITS * (xp.clip(p - PQ_C1, 0, None) / (PQ_C2 - PQ_C3 * p)) ** (1 / PQ_M1)
