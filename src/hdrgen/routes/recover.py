"""One ordinary picture becomes scene-linear light: its curve undone, what was clipped lit again, and which is which."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.display import srgb_encode
from hdrgen.colour.encodings import Encoding
from hdrgen.images.code_image import CodeImage, read_code
from hdrgen.images.conversion import multiply_by_alpha
from hdrgen.images.encoded import SCENE_REFERRED, Decided, encoding_of
from hdrgen.images.geometry import resolution_notes
from hdrgen.images.mattes import OBSERVED
from hdrgen.images.provenance import header_notes, made_by
from hdrgen.routes.write_exr import ACESCG, ExrWriter
from hdrgen.runtime.bands import each_band
from hdrgen.runtime.choices import DisplayCurve
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.overlap import ReadComputeWrite, overlappable

if TYPE_CHECKING:  # torch, which a refusal needs none of
    from hdrgen.inference.bit_depth import Expander
    from hdrgen.inference.highlights import Light, Recoverer

Code = NDArray[np.float32]

_FARTHEST = np.float32(0.35 / 255)
"""From its 8-bit code. An interval ends at 0.5 codes; half floats and ACEScg's primaries move sRGB by up to 0.15."""
_MOST_EXPOSURE_STOPS = 100.0


class SceneReferredError(HdrgenError):
    """A picture says, or is said to be, a plate of the scene's light and not what a display shows."""


@dataclass(frozen=True)
class Recovery:
    """How a picture's light is recovered.

    Parameters
    ----------
    curve
        What it was rendered with, see `Recoverer.recover`.
    exposure_stops
        Exposure of all light, after 18 % grey of the picture was made 0.18.
    anchor_linear
        Where display white lands before anything is invented; it takes the place of the exposure. None leaves it where the
        curve has it.
    strength
        Share of the missing light that is added, in stops; 0 invents nothing.
    peak_linear
        Invented light goes no further, in the EXR's own numbers; None is no end but that of half floats.
    """

    curve: DisplayCurve = "auto"
    exposure_stops: float = 0.0
    anchor_linear: float | None = None
    strength: float = 1.0
    peak_linear: float | None = None

    def check(self) -> None:
        """Say what is wrong before any work is done.

        Raises
        ------
        HdrgenError
            A number is out of range, or two contradict each other.
        """
        if not 0 <= self.strength <= 2:
            raise HdrgenError(f"the strength must be from 0 to 2, not {self.strength:g}")
        if not abs(self.exposure_stops) <= _MOST_EXPOSURE_STOPS:
            raise HdrgenError(f"the exposure must be from -100 to 100 stops, not {self.exposure_stops:g}")
        if self.anchor_linear is not None and self.exposure_stops:
            raise HdrgenError("the anchor says where white lands and the exposure moves it: give one of them")
        if self.anchor_linear is not None and not 0 < self.anchor_linear <= 1e4:
            raise HdrgenError(
                f"display white must land above 0 and up to 10000, not at {self.anchor_linear:g}"
            )
        if self.peak_linear is not None and not self.peak_linear > 0:
            raise HdrgenError(f"the peak must be above 0, not {self.peak_linear:g}")

    def light(self, recoverer: "Recoverer", code: Code, *, threads: int = 2) -> "Light":
        """Return the light of codes 0 to 255 of sRGB's curve, ``(H, W, 3)``, whose memory is used for it."""
        return recoverer.recover(
            code,
            curve=self.curve,
            exposure_stops=self.exposure_stops,
            anchor_linear=self.anchor_linear,
            strength=self.strength,
            peak_linear=self.peak_linear,
            threads=threads,
        )


@dataclass(frozen=True)
class RecoveredFile:
    """What was recovered, and what a person should know of it.

    ``curve`` is what was undone, and ``is_plain`` the estimated probability of there being none but sRGB's. Display white
    landed at ``white_linear`` before anything was invented. ``clipped_fraction`` is that of pixels with the highest code,
    ``invented_fraction`` that of pixels with some invented light, ``maximum_linear`` the brightest value written.
    """

    width: int
    height: int
    bits: int
    encoding: str
    curve: str
    is_plain: float
    exposure_stops: float
    white_linear: float
    clipped_fraction: float
    invented_fraction: float
    maximum_linear: float
    notes: tuple[str, ...]


@overlappable
def recover_file(
    source: Path,
    target: Path,
    recoverer: Callable[[], "Recoverer"],
    expander: Callable[[], "Expander"],
    *,
    recovery: Recovery = Recovery(),
    encoding: str | None = None,
    matte: bool = True,
    writer: ExrWriter = ACESCG,
    threads: int = 2,
) -> ReadComputeWrite[RecoveredFile]:
    """Write an ordinary picture as a scene-linear half-float EXR with its light, a matte and provenance.

    Alpha goes along, multiplied in as EXR wants it.

    Parameters
    ----------
    source
        A picture that `read_code` reads.
    target
        The EXR.
    recoverer, expander
        Give what `inference.backends.load_network` returns; the expander is called only where a picture has 8 bits.
    recovery
        How.
    encoding
        A key of `CODE_ENCODINGS`; None takes what the picture says, else sRGB.
    matte
        Whether the EXR has the channel `OBSERVED`.
    writer
        Space, compression and overflow of the EXR.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        A file or option is not what it should be.
    SceneReferredError
        The picture is no display picture; nothing was done.
    """
    writer.check(target, "recovered")
    recovery.check()
    picture = read_code(source)
    decided = display_encoding_of(source, picture, encoding)
    geometry = picture.geometry
    notes = [*decided.notes, *header_notes(picture.header), *resolution_notes(geometry)]
    yield
    largest = np.float32(np.iinfo(picture.code.dtype).max)
    dequantised_by = None
    if picture.bits == 8:
        dequantiser = expander()
        dequantised_by = dequantiser.digest
        code = dequantised(picture.code, dequantiser, threads=threads)
    else:
        code = np.divide(picture.code, largest, dtype=np.float32)
    to_srgb_codes(code, decided.encoding, threads=threads)
    network = recoverer()
    light = recovery.light(network, code, threads=threads)
    linear = light.linear
    alpha = None
    if picture.alpha is not None:
        alpha = np.divide(picture.alpha, largest, dtype=np.float32)
        notes += multiply_by_alpha(linear, alpha)
    clipped = float((picture.code == largest).any(-1).mean())
    attributes = made_by(
        "recover",
        source=source.name,
        source_encoding=decided.name,
        source_bits=picture.bits,
        curve=light.curve,
        curve_asked=recovery.curve,
        exposure_stops=light.exposure_stops,
        white_linear=light.white_linear,
        strength=recovery.strength,
        clipped_share=clipped,
        weights=network.digest,
        bit_depth_weights=dequantised_by,
    )
    yield
    maximum_linear, write_notes = writer.write(
        target,
        linear,
        decided.encoding.chromaticities,
        attributes,
        alpha=alpha,
        geometry=geometry,
        mattes={OBSERVED: light.observed} if matte else {},
        threads=threads,
    )
    return RecoveredFile(
        picture.width,
        picture.height,
        picture.bits,
        decided.name,
        light.curve,
        light.is_plain,
        light.exposure_stops,
        light.white_linear,
        clipped,
        float((light.observed < 1).mean()),
        maximum_linear,
        (*notes, *write_notes),
    )


def display_encoding_of(source: Path, picture: CodeImage[Any], encoding: str | None) -> Decided:
    """Return the encoding of a display picture; one that says nothing is sRGB.

    Raises
    ------
    HdrgenError
        It says an encoding that is not known here.
    SceneReferredError
        It says, or is said to be, something else than a display picture; the message says what to do with it.
    """
    decided = encoding_of([source], [picture], encoding, otherwise="srgb")
    if decided.key and decided.key.startswith(SCENE_REFERRED):
        raise SceneReferredError(
            f"{source}: is {decided.name}, which holds the light of the scene already: hdrgen expand makes an EXR of it; "
            "or give --encoding srgb if it is an ordinary picture"
        )
    return decided


def dequantised(code8: NDArray[np.uint8], expander: "Expander", *, threads: int = 2) -> Code:
    """Return float codes 0 to 1 of 8-bit ones, so near to them that they come back out of a half-float EXR.

    That holds of colours whose components are up to 48 codes apart; of others in Rec.709's primaries. The highest is 1:
    the last interval of the network ends a little below.
    """
    code = expander.expand(code8, threads=threads)

    def work(rows: slice) -> None:
        band, band8 = code[rows], code8[rows]
        middle = band8 * np.float32(1 / 255)
        np.clip(band, np.maximum(middle - _FARTHEST, 0), middle + _FARTHEST, out=band)
        band[band8 == 255] = 1

    each_band(len(code), work, threads=threads)
    return code


def to_srgb_codes(code: Code, encoding: Encoding, *, threads: int = 2) -> None:
    """Make codes 0 to 1 of a display encoding, in place, codes 0 to 255 of sRGB's curve in the same primaries."""
    is_srgb = encoding.encode is srgb_encode

    def work(rows: slice) -> None:
        band = code[rows]
        if not is_srgb:
            band[...] = srgb_encode(np.clip(encoding.decode(band), 0, 1))
        band *= 255

    each_band(len(code), work, threads=threads)
