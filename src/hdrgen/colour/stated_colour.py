"""What files of codes say of their colour, as an encoding: H.273 numbers, gamma and chromaticities, interop ids."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hdrgen.colour import primaries
from hdrgen.colour.display import srgb_decode, srgb_encode
from hdrgen.colour.encodings import ENCODINGS, Encoding, gamma
from hdrgen.colour.logc import logc3_decode, logc3_encode, logc4_decode, logc4_encode
from hdrgen.colour.power_laws import rec709_decode, rec709_encode
from hdrgen.colour.primaries import Chromaticities

CURVE_TOLERANCE = 5e-4
"""Largest difference, of light 0 to 1, from a known curve. Profiles hold sRGB's curve as a
table, or with constants of five digits."""

CHROMATICITIES_TOLERANCE = 2e-3
"""Profiles hold their primaries rounded, and adapted to another white; no two known spaces are so near."""

NAMES = {
    "srgb_rec709": "sRGB",
    "srgb_p3d65": "Display P3",
    "srgb_rec2020": "Rec.2020 with sRGB's curve",
    "srgb_ap1": "ACEScg's primaries with sRGB's curve",
    "g18_rec709": "Rec.709 with gamma 1.8",
    "g22_rec709": "Rec.709 with gamma 2.2",
    "g24_rec709": "Rec.709 with gamma 2.4",
    "g22_ap1": "ACEScg's primaries with gamma 2.2",
    "g22_adobergb": "Adobe RGB (1998)",
    "itu709_rec709": "a camera's Rec.709",
    "itu709_rec2020": "a camera's Rec.2020",
    "linear_rec709": "linear Rec.709",
    "linear_rec2020": "linear Rec.2020",
    "linear_p3d65": "linear P3-D65",
}
"""Encodings that files state, by their keys of `ENCODINGS`, as people know them."""

_PROBE = np.linspace(0, 1, 257)


@dataclass(frozen=True)
class StatedColour:
    """What a file says of its codes.

    ``name`` is for people, and ``by`` says where it stands (``iCCP``, ``ICC profile``, ...). ``encoding`` is None
    where it is understood but cannot be made scene-linear light here, as PQ; ``key`` is the encoding's in
    `ENCODINGS`, None where it is another.
    """

    name: str
    by: str
    encoding: Encoding | None
    key: str | None = None


class NotUnderstood(ValueError):  # noqa: N818 - reads as what it says
    """What a file says of its colour cannot be made use of; the message says why."""


def named(key: str, by: str) -> StatedColour:
    """Return a key of `ENCODINGS` as something stated."""
    return StatedColour(NAMES.get(key, key), by, ENCODINGS[key], key)


def recognised(encoding: Encoding, name: str, by: str) -> StatedColour:
    """Return an encoding as the known one that it is within a file's rounding, else as it is, under a name."""
    for key in NAMES:
        known = ENCODINGS[key]
        if (
            _distance(known.chromaticities, encoding.chromaticities) < CHROMATICITIES_TOLERANCE
            and np.abs(known.decode(_PROBE) - _probed(encoding)).max() < CURVE_TOLERANCE
        ):
            return named(key, by)
    return StatedColour(name, by, encoding)


def _distance(one: Chromaticities, other: Chromaticities) -> float:
    return float(np.abs(np.subtract(one, other)).max())


def _probed(encoding: Encoding) -> Any:
    """Return a curve at even steps; a known one is the same for the three components."""
    light = encoding.decode(np.repeat(_PROBE[:, None], 3, axis=1))
    return light[:, 1] if np.abs(np.ptp(light, axis=1)).max() < CURVE_TOLERANCE else np.full(257, np.inf)


_TRANSFERS: dict[int, Callable[[Chromaticities], Encoding]] = {
    **dict.fromkeys((1, 6, 14, 15), partial(Encoding, decode=rec709_decode, encode=rec709_encode)),
    4: partial(gamma, 2.2),
    5: partial(gamma, 2.8),
    8: Encoding,
    13: partial(Encoding, decode=srgb_decode, encode=srgb_encode),
}
# ITU-T H.273 (2024), tables 2 and 3.
_PRIMARIES = {
    1: primaries.REC709,
    5: Chromaticities((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), primaries.D65),
    6: Chromaticities((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), primaries.D65),
    7: Chromaticities((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), primaries.D65),
    9: primaries.REC2020,
    11: primaries.P3_D65._replace(white=(0.314, 0.351)),
    12: primaries.P3_D65,
}
_HDR = {16: "PQ", 18: "HLG"}


def from_cicp(numbers: tuple[int, int, int, int], by: str) -> StatedColour | None:
    """Return what H.273's numbers of primaries, transfer, matrix and range say of RGB codes.

    None where they say "unspecified".

    Raises
    ------
    NotUnderstood
        The numbers are reserved, of no RGB, or of a curve that is not known here.
    """
    colours, transfer, matrix, full_range = numbers
    if 2 in (colours, transfer):
        return None
    name = f"H.273 numbers {colours}/{transfer}/{matrix}/{full_range}"
    if transfer in _HDR:
        return StatedColour(_HDR[transfer], by, None)
    if full_range == 0:
        return StatedColour(f"codes of the narrow range ({name})", by, None)
    if matrix != 0 or colours not in _PRIMARIES or transfer not in _TRANSFERS:
        raise NotUnderstood(f"{name} are not known here")
    return recognised(_TRANSFERS[transfer](_PRIMARIES[colours]), name, by)


def from_gamma(exponent: float, chromaticities: Chromaticities | None, by: str) -> StatedColour:
    """Return what a gamma (of light, such as 2.2) and primaries say; Rec.709 where there are none.

    Raises
    ------
    NotUnderstood
        The gamma is no curve, or the primaries span no space.
    """
    if not 0.1 < exponent < 10:
        raise NotUnderstood(f"gamma {exponent:g} is no curve")
    space = chromaticities or primaries.REC709
    if max(map(max, space)) > 1:
        raise NotUnderstood("chromaticities above 1 are none")
    try:
        primaries.rgb_to_xyz(space)
    except ValueError as error:
        raise NotUnderstood(str(error)) from None
    where = "" if chromaticities is None else " and primaries of its own"
    return recognised(gamma(exponent, space), f"gamma {exponent:.4g}{where}", by)


# Color Interop Forum, "Color Space Interop IDs" (2024), and OpenColorIO's own under `ocio:`.
_INTEROP = re.compile(r"(?:[a-z]+:)?(?P<curve>[a-z0-9]+)_(?P<space>[a-z0-9]+)_(?:scene|display)")
_INTEROP_SPACES = {
    "ap0": primaries.AP0,
    "ap1": primaries.AP1,
    "rec709": primaries.REC709,
    "p3d65": primaries.P3_D65,
    "rec2020": primaries.REC2020,
    "adobergb": primaries.ADOBE_RGB,
    "awg3": primaries.AWG3,
    "awg4": primaries.AWG4,
    "ciexyzd65": primaries.XYZ_E,
    "xyzd65": primaries.XYZ_E,
}
_INTEROP_CURVES: dict[str, Callable[[Chromaticities], Encoding]] = {
    "lin": Encoding,
    "srgb": _TRANSFERS[13],
    "itu709": _TRANSFERS[1],
    "g18": partial(gamma, 1.8),
    "g22": partial(gamma, 2.2),
    "g24": partial(gamma, 2.4),
    "g26": partial(gamma, 2.6),
    "arrilogc3": partial(Encoding, decode=logc3_decode, encode=logc3_encode),
    "arrilogc4": partial(Encoding, decode=logc4_decode, encode=logc4_encode),
}


def from_interop_id(name: str) -> StatedColour | None:
    """Return what a `colorInteropID` names, None where it says that nothing is known.

    An id of codes that are not known here, such as PQ, comes back without an encoding.

    Raises
    ------
    NotUnderstood
        The id is not known here, and may be of linear light.

    Examples
    --------
    >>> from_interop_id("srgb_p3d65_scene").key, from_interop_id("lin_ap1_scene").key
    ('srgb_p3d65', 'linear_ap1')
    """
    by = "colorInteropID"
    if name in ("", "unknown"):
        return None
    if name == "data":
        return StatedColour("data, not colour", by, None)
    parts = _INTEROP.fullmatch(name)
    if parts and parts["space"] in _INTEROP_SPACES and parts["curve"] in _INTEROP_CURVES:
        encoding = _INTEROP_CURVES[parts["curve"]](_INTEROP_SPACES[parts["space"]])
    elif parts and parts["curve"] != "lin":
        return StatedColour(name, by, None)  # whatever these codes are, linear light they are not
    else:
        raise NotUnderstood(f"colorInteropID {name!r} is not known here")
    key = next((key for key, known in ENCODINGS.items() if _same(known, encoding)), None)
    return StatedColour(NAMES.get(key or "", name), by, encoding, key)


def _same(one: Encoding, other: Encoding) -> bool:
    if one.chromaticities != other.chromaticities:
        return False
    return bool(np.abs(one.decode(_PROBE) - other.decode(_PROBE)).max() < CURVE_TOLERANCE)
