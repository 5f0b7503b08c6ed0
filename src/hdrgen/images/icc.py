"""ICC profiles of pictures: three primaries and a curve, as cameras, phones and paint programs embed them; of grey, a curve alone.

ICC.1:2022 (version 4.4). Profiles that are tables through and through are not understood; no library at hand gives
the light of such a picture without clipping it into another space.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour import primaries
from hdrgen.colour.display import PQ_PEAK_NITS, pq_decode
from hdrgen.colour.encodings import Encoding
from hdrgen.colour.hlg import hlg_oetf_inverse, hlg_system_gamma
from hdrgen.colour.primaries import Chromaticities, Matrix
from hdrgen.colour.stated_colour import NotUnderstood, StatedColour, from_cicp, recognised

_Curve = Callable[[NDArray[Any]], NDArray[Any]]

_D50_XYZ = np.array([0.9642, 1.0, 0.8249])
# Lam and Rigg's matrix, which the specification names in annex E.
_BRADFORD: Matrix = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_MOST_TAGS = 200
_WHITE_TOLERANCE = 0.02
"""Largest error of the white in XYZ: the three primaries add up to the white of the profile
connection space, but for rounding."""
_HLG_GAMMA = hlg_system_gamma(1000.0)
_MIDDLE = 102
"""A code of 255 where none of the HDR curves is clipped."""
_SAME_CURVE = 0.01
"""Largest difference, of light 0 to 1, between two curves that count as the same."""

_KINDS = {b"CMYK": "CMYK", b"GRAY": "grey", b"Lab ": "Lab", b"XYZ ": "XYZ"}


def stated_by_profile(profile: bytes, by: str, *, grey: bool = False) -> StatedColour:
    """Return what an ICC profile says of RGB codes.

    Parameters
    ----------
    profile, by
        The profile, and where it stood.
    grey
        The codes are a grey picture's: the profile may be one of grey, whose curve then counts, with the primaries and
        white of Rec.709. One of RGB says the same of three equal codes.

    Raises
    ------
    NotUnderstood
        The profile is damaged, for another kind of codes, or a table.
    """
    try:
        return _stated(profile, by, grey=grey)
    except (struct.error, IndexError, ZeroDivisionError, np.linalg.LinAlgError):
        raise NotUnderstood("the profile is damaged") from None


def _stated(profile: bytes, by: str, *, grey: bool) -> StatedColour:
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise NotUnderstood("the profile is damaged")
    tags = _tags(profile)
    name = _text(tags.get(b"desc", b"")) or "unnamed"
    space = profile[16:20]
    if grey and space == b"GRAY":
        # In Lab the curve gives lightness, not light (section 9.2.31).
        if profile[20:24] != b"XYZ " or b"kTRC" not in tags:
            raise NotUnderstood(f"profile {name!r} is a table, not a curve of light")
        return _of_curves(primaries.REC709, [_curve(tags[b"kTRC"], name)] * 3, tags, name, by)
    if space != b"RGB ":
        kind = _KINDS.get(space, space.decode("latin-1").strip())
        raise NotUnderstood(f"profile {name!r} is for {kind}, not for RGB")
    if (numbers := tags.get(b"cicp")) is not None:
        colour = from_cicp(struct.unpack_from("4B", numbers, 8), by)
        if colour is not None:
            return colour
    columns = [tags.get(tag) for tag in (b"rXYZ", b"gXYZ", b"bXYZ")]
    curves = [tags.get(tag) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    if profile[20:24] != b"XYZ " or None in columns or None in curves:
        raise NotUnderstood(f"profile {name!r} is a table, not three primaries and a curve")
    chromaticities = _chromaticities(np.array([_xyz(column) for column in columns if column]).T, tags, name)
    return _of_curves(chromaticities, [_curve(curve, name) for curve in curves if curve], tags, name, by)


def _of_curves(
    chromaticities: Chromaticities, decoders: Sequence[_Curve], tags: dict[bytes, bytes], name: str, by: str
) -> StatedColour:
    """Return what primaries and the three curves are."""

    def decode(code: NDArray[Any]) -> NDArray[Any]:
        return np.stack([decoder(code[..., i]) for i, decoder in enumerate(decoders)], axis=-1)

    with np.errstate(all="ignore"):
        if not np.isfinite(decode(np.linspace(-0.05, 1.05, 256)[:, None].repeat(3, axis=1))).all():
            raise NotUnderstood(f"profile {name!r} has a curve without end")
        hdr = _hdr_curve(decode)
    if hdr is not None:
        return StatedColour(hdr, f"the curve of {by} {name!r}", None)
    taken = " by its primaries, not its table" if b"A2B0" in tags else ""
    return recognised(Encoding(chromaticities, decode), f"profile {name!r}{taken}", by)


def _hdr_curve(decode: _Curve) -> str | None:
    """Return ``PQ`` or ``HLG`` where the three curves are one of theirs, at any scale, clipped at 1 or not."""
    codes = np.linspace(0, 1, 256)
    lights = decode(codes[:, None].repeat(3, axis=1))
    hlg = hlg_oetf_inverse(codes)
    for name, light in (("PQ", pq_decode(codes) / PQ_PEAK_NITS), ("HLG", hlg), ("HLG", hlg**_HLG_GAMMA)):
        scale = lights[_MIDDLE].mean() / light[_MIDDLE]
        scaled = np.minimum(light * scale, 1)[:, None]
        if scale > 0.5 and np.abs(lights - scaled).max() < _SAME_CURVE:
            return name
    return None


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > _MOST_TAGS:
        raise NotUnderstood("the profile is damaged")
    tags = {}
    for number in range(count):
        tag, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        tags[tag] = profile[offset : offset + size]
        if len(tags[tag]) != size:
            raise NotUnderstood("the profile is damaged")
    return tags


def _text(tag: bytes) -> str:
    """Return a profile's name: text of version 2, or the first of several languages of version 4."""
    if tag[:4] == b"desc":
        (length,) = struct.unpack_from(">I", tag, 8)
        text = tag[12 : 12 + length].decode("latin-1")
    elif tag[:4] == b"mluc":
        length, offset = struct.unpack_from(">II", tag, 20)
        text = tag[offset : offset + length].decode("utf-16-be", "replace")
    else:
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _fixed(data: bytes, offset: int, count: int) -> NDArray[np.float64]:
    """Return numbers of type s15Fixed16."""
    return np.array(struct.unpack_from(f">{count}i", data, offset), np.float64) / 65536


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return _fixed(tag, 8, 3)


def _chromaticities(columns: Matrix, tags: dict[bytes, bytes], name: str) -> Chromaticities:
    """Return the primaries and white before the profile adapted them to D50 (annex E; section 9.2.15, ``chad``).

    Version 2 has no ``chad``: what a display's white was stands in ``wtpt``, and the adaptation is Bradford's.
    """
    if np.abs(columns.sum(axis=1) - _D50_XYZ).max() > _WHITE_TOLERANCE:
        raise NotUnderstood(f"profile {name!r} has primaries that do not add up to its white")
    if b"chad" in tags:
        adaptation = _fixed(tags[b"chad"], 8, 9).reshape(3, 3)
    else:
        white = _xyz(tags[b"wtpt"]) if b"wtpt" in tags else _D50_XYZ
        if white.min() < 0.1:
            raise NotUnderstood(f"profile {name!r} has a white that is none")
        adaptation = _bradford(white)
        if np.abs(white - _D50_XYZ).max() < 1e-3 and (known := _known_adapted(columns)) is not None:
            return known
    own = np.linalg.solve(adaptation, np.column_stack([columns, columns.sum(axis=1)]))
    red, green, blue, white_xy = ((float(x / total), float(y / total)) for x, y, total in _with_sums(own))
    chromaticities = Chromaticities(red, green, blue, white_xy)
    try:
        primaries.rgb_to_xyz(chromaticities)
    except ValueError as error:
        raise NotUnderstood(f"profile {name!r}: {error}") from None
    return chromaticities


def _with_sums(columns: Matrix) -> list[tuple[float, float, float]]:
    totals = columns.sum(axis=0)
    if (np.abs(totals) < 1e-6).any():
        raise NotUnderstood("the profile is damaged")
    return list(zip(columns[0], columns[1], totals, strict=True))


def _bradford(white: NDArray[np.float64]) -> Matrix:
    """Return the matrix that adapts XYZ under a white to D50."""
    gain = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ white)
    return np.asarray(np.linalg.solve(_BRADFORD, gain[:, None] * _BRADFORD), np.float64)


def _known_adapted(columns: Matrix) -> Chromaticities | None:
    """Return the known D65 space that these are the D50 primaries of; version 2 often states D50 as its white."""
    for space in (primaries.REC709, primaries.P3_D65, primaries.ADOBE_RGB, primaries.REC2020):
        own = primaries.rgb_to_xyz(space)
        if np.abs(_bradford(own.sum(axis=1)) @ own - columns).max() < 2e-3:
            return space
    return None


def _curve(tag: bytes, name: str) -> _Curve:
    if tag[:4] == b"curv":
        return _sampled(tag, name)
    if tag[:4] == b"para":
        return _parametric(tag, name)
    raise NotUnderstood(f"profile {name!r} has a curve of an unknown type")


def _sampled(tag: bytes, name: str) -> _Curve:
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return lambda code: code
    if count == 1:
        exponent = struct.unpack_from(">H", tag, 12)[0] / 256
        return lambda code: np.sign(code) * np.abs(code) ** np.asarray(exponent, code.dtype)
    if len(tag) < 12 + 2 * count:
        raise NotUnderstood(f"profile {name!r} is damaged")
    light = np.frombuffer(tag, ">u2", count, 12).astype(np.float64) / 65535
    codes = np.linspace(0, 1, count)
    return lambda code: np.interp(code, codes, light).astype(code.dtype)


def _parametric(tag: bytes, name: str) -> _Curve:
    """Return a curve of table 68: ``(a x + b)^g + e`` from d on, ``c x + f`` below."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    counts = (1, 3, 4, 5, 7)
    if kind >= len(counts):
        raise NotUnderstood(f"profile {name!r} has a curve of an unknown type")
    g, *rest = (float(value) for value in _fixed(tag, 12, counts[kind]))
    a, b, c, d, e, f = 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    match kind:
        case 1:
            a, b = rest
            d = -b / a
        case 2:
            a, b, e = rest
            d, f = -b / a, e
        case 3:
            a, b, c, d = rest
        case 4:
            a, b, c, d, e, f = rest

    def decode(code: NDArray[Any]) -> NDArray[Any]:
        size = np.abs(code)
        above = np.maximum(a * size + b, 0) ** g + e
        return np.asarray(np.sign(code) * np.where(size >= d, above, c * size + f), code.dtype)

    return decode
