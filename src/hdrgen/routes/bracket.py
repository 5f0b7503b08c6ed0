"""A scene-linear picture as exposures of it: what `merge` undoes.

A bracket at an exposure value EV shows ``linear * 2**EV`` through a curve, so the lowest EV holds the highlights. The
PNGs say curve, primaries and EV in their text, and the EV in their names, which outlives editing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen import __version__
from hdrgen.colour.encodings import Encoding
from hdrgen.colour.primaries import SPACES
from hdrgen.exposure.ev_list import check_differ
from hdrgen.images.code_image import write_pngs
from hdrgen.images.conversion import read_for_codes
from hdrgen.images.encoded import ENCODING, EV, PRIMARIES, encoding_named
from hdrgen.images.pixel_share import pixel_share
from hdrgen.runtime.bands import each_band
from hdrgen.runtime.errors import HdrgenError

_NAMED = re.compile(r"(?P<stem>.+)[._-]ev(?P<ev>[+-]?\d+(\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Bracketed:
    """What was bracketed: the encoding, and for each EV the fraction of pixels above the curve's ceiling."""

    width: int
    height: int
    encoding: str
    bits: int
    evs: tuple[float, ...]
    clipped_fractions: tuple[float, ...]
    notes: tuple[str, ...]


def bracket_suffix(ev: float) -> str:
    """Return what a bracket's file name ends in.

    Examples
    --------
    >>> bracket_suffix(-2), bracket_suffix(0), bracket_suffix(0.5)
    ('_ev-2.png', '_ev+0.png', '_ev+0.5.png')
    """
    return f"_ev{ev + 0.0:+g}.png"


def name_and_ev(path: Path) -> tuple[str, float | None]:
    """Return a file's name without suffix and EV, and the EV where the name ends in one.

    Examples
    --------
    >>> name_and_ev(Path("shot_ev-2.png")), name_and_ev(Path("shot.png"))
    (('shot', -2.0), ('shot', None))
    """
    named = _NAMED.fullmatch(path.stem)
    return (named["stem"], float(named["ev"])) if named else (path.stem, None)


def bracket_file(
    source: Path,
    targets: Sequence[Path],
    evs: Sequence[float],
    *,
    encoding: str = "logc4",
    bits: Literal[8, 16] = 8,
    layer: str | None = None,
    part: int | str | None = None,
    threads: int = 2,
) -> Bracketed:
    """Write a scene-linear picture as one PNG for each exposure value, all of them or none.

    The PNGs show the display window.

    Parameters
    ----------
    source
        OpenEXR or Radiance; Rec.709 where it states no primaries.
    targets, evs
        A PNG for each EV.
    encoding
        A key of `CODE_ENCODINGS`: curve and primaries of the PNGs.
    bits
        Bits of the PNGs' codes.
    layer, part
        What of an EXR to read, see `layers.choose_layer`.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        A file or option is not what it should be, or the picture holds NaN or Inf.
    """
    for target in targets:
        if target.suffix.lower() != ".png":
            raise HdrgenError(f"{target}: brackets are written as .png")
    check_differ(evs)
    curve = encoding_named(encoding)
    image, linear, notes = read_for_codes(source, curve.chromaticities, layer=layer, part=part)
    primaries = next((name for name, space in SPACES.items() if space == curve.chromaticities), None)
    named = {} if primaries is None else {PRIMARIES: primaries}
    text = {ENCODING: encoding, **named, "hdrgen:version": __version__}
    codes = [_codes(linear, curve, ev, bits, threads) for ev in evs]
    texts = [{**text, EV: f"{ev + 0.0:g}"} for ev in evs]
    aspect = image.geometry.pixel_aspect_ratio
    write_pngs(list(zip(targets, codes, texts, strict=True)), pixel_aspect_ratio=aspect)
    ceiling_linear = curve.decode(np.float64(1.0))
    clipped = tuple(pixel_share(linear > ceiling_linear / 2.0**ev) for ev in evs)
    return Bracketed(image.width, image.height, encoding, bits, tuple(evs), clipped, tuple(notes))


def _codes(
    linear: NDArray[np.float32], curve: Encoding, ev: float, bits: Literal[8, 16], threads: int
) -> NDArray[Any]:
    codes = np.empty(linear.shape, np.uint8 if bits == 8 else np.uint16)
    largest = np.float32(2**bits - 1)
    gain = np.float32(2.0**ev)

    def encode(rows: slice) -> None:
        codes[rows] = np.clip(curve.encode(linear[rows] * gain), 0, 1) * largest + np.float32(0.5)

    each_band(len(linear), encode, threads=threads)
    return codes
