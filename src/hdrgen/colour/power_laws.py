"""Curves of pictures that are powers of light: a plain gamma, and the camera's of Rec.709 and Rec.2020."""

from hdrgen.colour.arrays import ArrayT, float_array

# ITU-R BT.2020-2, table 4, which makes BT.709's 0.018 and 0.099 meet.
_A, _B = 1.09929682680944, 0.018053968510807


def gamma_encode(linear: ArrayT, exponent: float) -> ArrayT:
    """Encode light 0 to 1 as its power of ``1 / exponent``; odd about zero, no clipping above 1."""
    xp, x = float_array(linear)
    return xp.sign(x) * abs(x) ** (1 / exponent)


def gamma_decode(code: ArrayT, exponent: float) -> ArrayT:
    """Decode code values of a plain gamma: the mirror of `gamma_encode`."""
    xp, y = float_array(code)
    return xp.sign(y) * abs(y) ** exponent


def rec709_encode(linear: ArrayT) -> ArrayT:
    """Encode scene light 0 to 1 with the camera's curve of BT.709 and BT.2020; odd about zero, no clipping."""
    xp, x = float_array(linear)
    size = abs(x)
    above = _A * xp.where(size > 0, size, size + 1) ** 0.45 - (_A - 1)
    return xp.sign(x) * xp.where(size < _B, 4.5 * size, above)


def rec709_decode(code: ArrayT) -> ArrayT:
    """Decode a camera's BT.709 or BT.2020 code values to scene light: the mirror of `rec709_encode`."""
    xp, y = float_array(code)
    size = abs(y)
    return xp.sign(y) * xp.where(size < 4.5 * _B, size / 4.5, ((size + _A - 1) / _A) ** (1 / 0.45))
