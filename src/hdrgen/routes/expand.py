"""One picture of codes becomes scene-linear light: 8 bits through the bit-depth model, 16 bits as they are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hdrgen.images.code_image import read_code
from hdrgen.images.conversion import multiply_by_alpha
from hdrgen.images.encoded import encoding_of
from hdrgen.images.geometry import resolution_notes
from hdrgen.images.pixel_share import pixel_share
from hdrgen.images.provenance import header_notes, made_by
from hdrgen.routes.write_exr import ACESCG, ExrWriter
from hdrgen.runtime.bands import each_band
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.overlap import ReadComputeWrite, overlappable

if TYPE_CHECKING:  # torch, which 16-bit pictures need none of
    from hdrgen.inference.bit_depth import Expander


@dataclass(frozen=True)
class Expanded:
    """What was expanded, and what a person should know of it.

    ``clipped_fraction`` is that of pixels at the highest code, which only says "at least"; ``maximum_linear`` the
    brightest value written.
    """

    width: int
    height: int
    bits: int
    encoding: str
    strength: float
    clipped_fraction: float
    maximum_linear: float
    notes: tuple[str, ...]


def keep_clipped(code: NDArray[np.float32], code8: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return expanded codes from 0 to 1, those of the highest 8-bit code at 1: a merge has to know that they were clipped.

    Parameters
    ----------
    code, code8
        What an expander returned, and the 8-bit codes that it was given, of one shape.
    """
    return np.where(code8 == 255, np.float32(1), np.clip(code, 0, 1))


@overlappable
def expand_file(
    source: Path,
    target: Path,
    expander: Callable[[], "Expander"],
    *,
    encoding: str | None = None,
    strength: float = 0.0,
    writer: ExrWriter = ACESCG,
    threads: int = 2,
) -> ReadComputeWrite[Expanded]:
    """Write a picture of codes as a scene-linear half-float EXR with provenance.

    Alpha goes along, multiplied in as EXR wants it.

    Parameters
    ----------
    source
        PNG, TIFF, JPEG or WebP, RGB or grey, with or without alpha, 8 or 16 bits.
    target
        The EXR.
    expander
        Gives what `inference.backends.load_network` returns; called only where a picture has 8 bits.
    encoding
        A key of `CODE_ENCODINGS`; None takes what the picture says or shows, see `encoding_of`.
    strength
        0 keeps every value inside its code's quantisation interval, up to 1 takes the codes for noisy.
    writer
        Space, compression and overflow of the EXR.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        A file or option is not what it should be.
    """
    writer.check(target, "expanded")
    if not 0 <= strength <= 1:
        raise HdrgenError(f"the strength must be from 0 to 1, not {strength:g}")
    picture = read_code(source)
    decided = encoding_of([source], [picture], encoding)
    geometry = picture.geometry
    notes = [*decided.notes, *header_notes(picture.header), *resolution_notes(geometry)]
    largest = np.float32(np.iinfo(picture.code.dtype).max)
    weights = None
    yield
    if picture.bits == 8:
        model = expander()
        weights = model.digest
        light = model.expand(picture.code, strength=strength, threads=threads)
    else:
        notes.append("16-bit codes are fine enough: decoded as they are, without the network")
        light = np.divide(picture.code, largest, dtype=np.float32)
        strength = 0.0

    curve = decided.encoding

    def decode(rows: slice) -> None:
        light[rows] = curve.decode(light[rows])

    each_band(picture.height, decode, threads=threads)
    alpha = None
    if picture.alpha is not None:
        alpha = np.divide(picture.alpha, largest, dtype=np.float32)
        notes += multiply_by_alpha(light, alpha)
    attributes = made_by(
        "expand",
        source=source.name,
        source_encoding=decided.name,
        source_bits=picture.bits,
        strength=strength,
        weights=weights,
    )
    yield
    maximum_linear, write_notes = writer.write(
        target,
        light,
        curve.chromaticities,
        attributes,
        alpha=alpha,
        geometry=geometry,
        threads=threads,
    )
    return Expanded(
        picture.width,
        picture.height,
        picture.bits,
        decided.name,
        strength,
        pixel_share(picture.code == largest),
        maximum_linear,
        (*notes, *write_notes),
    )
