"""The dual route between files: a scene-linear picture as two tone-mapped PNGs, and back.

The PNGs say in their text which curve made them, in which primaries and with which ceiling, so that what is
fused is what was tone-mapped. Pictures from elsewhere say nothing; then the options and defaults stand.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hdrgen import __version__
from hdrgen.colour.primaries import SPACES, Chromaticities
from hdrgen.colour.tone_maps import Log, Reinhard, ToneMap, quantise8
from hdrgen.images.code_image import CodeImage, read_code8, write_pngs
from hdrgen.images.conversion import read_for_codes
from hdrgen.images.encoded import PRIMARIES
from hdrgen.images.geometry import resolution_notes
from hdrgen.images.pixel_share import pixel_share
from hdrgen.images.provenance import header_notes, made_by
from hdrgen.routes.write_exr import ACESCG, ExrWriter
from hdrgen.runtime.bands import each_band
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.overlap import ReadComputeWrite, overlappable

if TYPE_CHECKING:  # torch, which tone mapping needs none of
    from hdrgen.inference.tone_fusion import Fuser

TONE_MAP, CEILING = "hdrgen:toneMap", "hdrgen:ceilingLinear"
"""Names of PNG texts; `PRIMARIES` is another."""
DEFAULT_PRIMARIES = "awg4"


@dataclass(frozen=True)
class ToneMapped:
    """What was tone-mapped: primaries, the log picture's ceiling, the share of pixels above it, what a person should know."""

    width: int
    height: int
    primaries: str
    log_ceiling_linear: float
    above_ceiling_share: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fused:
    """What was fused: primaries of the pictures, the brightest value written, and what a person should know."""

    width: int
    height: int
    primaries: str
    maximum_linear: float
    notes: tuple[str, ...]


def tone_map_file(
    source: Path,
    reinhard_png: Path,
    log_png: Path,
    *,
    primaries: str = DEFAULT_PRIMARIES,
    log_ceiling_linear: float = Log().ceiling_linear,
    layer: str | None = None,
    part: int | str | None = None,
    threads: int = 2,
) -> ToneMapped:
    """Write a scene-linear picture as its Reinhard and its log PNG, 8 bits each; they show the display window.

    Parameters
    ----------
    source
        OpenEXR or Radiance; Rec.709 where it states no primaries.
    reinhard_png, log_png
        The outputs; both must end in ``.png`` and be two files.
    primaries
        A key of `SPACES` that the tone maps are to work in; negatives there become 0.
    log_ceiling_linear
        Scene-linear value of the log picture's code 255.
    layer, part
        What of an EXR to read, see `layers.choose_layer`.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        A file or option is not what it should be, or the picture holds NaN or Inf.
    """
    for path in (reinhard_png, log_png):
        if path.suffix.lower() != ".png":
            raise HdrgenError(f"{path}: tone-mapped pictures are written as .png")
    if reinhard_png == log_png:
        raise HdrgenError(f"{log_png}: the Reinhard and the log picture must be two files")
    if not log_ceiling_linear > 0:
        raise HdrgenError(f"the log picture's ceiling must be above 0, not {log_ceiling_linear:g}")
    target = _space(primaries)
    image, linear, notes = read_for_codes(source, target, layer=layer, part=part)
    curves: tuple[tuple[str, ToneMap, Path], ...] = (
        ("reinhard", Reinhard(), reinhard_png),
        ("log", Log(log_ceiling_linear), log_png),
    )

    def text_of(name: str, curve: ToneMap) -> dict[str, str]:
        ceiling = f"{curve.ceiling_linear:g}"
        return {TONE_MAP: name, PRIMARIES: primaries, CEILING: ceiling, "hdrgen:version": __version__}

    write_pngs(
        [(path, _code8(curve, linear, threads), text_of(name, curve)) for name, curve, path in curves],
        pixel_aspect_ratio=image.geometry.pixel_aspect_ratio,
    )
    above = pixel_share(linear > log_ceiling_linear)
    if above:
        notes.append(f"{above:.2%} of pixels are above the ceiling of {log_ceiling_linear:g} and are cut off")
    return ToneMapped(image.width, image.height, primaries, log_ceiling_linear, above, tuple(notes))


@overlappable
def fuse_files(
    reinhard_png: Path,
    log_png: Path,
    target: Path,
    fuser: "Fuser",
    *,
    primaries: str | None = None,
    writer: ExrWriter = ACESCG,
    threads: int = 2,
) -> ReadComputeWrite[Fused]:
    """Fuse a Reinhard and a log picture into a scene-linear half-float EXR with provenance.

    Parameters
    ----------
    reinhard_png, log_png
        8-bit RGB pictures of one size; PNG, or TIFF, JPEG or WebP from elsewhere.
    target
        The EXR.
    fuser
        From `inference.backends.load_network`.
    primaries
        A key of `SPACES`; None takes what the pictures say, ARRI Wide Gamut 4 where they say nothing.
    writer
        Space, compression and overflow of the EXR.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        A picture cannot be read, the two do not belong together, or do not fit the fuser.
    """
    writer.check(target, "fused")
    if reinhard_png == log_png:
        raise HdrgenError(f"{log_png}: the Reinhard and the log picture must be two files")
    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read_code8, path) for path in (reinhard_png, log_png)]
        reinhard, log = (future.result() for future in reading)
    _check_pair(reinhard_png, reinhard, log_png, log)
    _check_curve(reinhard_png, reinhard.text, "reinhard", np.inf)
    _check_curve(log_png, log.text, "log", fuser.log_ceiling_linear)
    space, notes = _primaries(reinhard_png, reinhard.text, log_png, log.text, primaries)
    if space is None:
        space = DEFAULT_PRIMARIES
        if reinhard.colour is None and log.colour is None:
            notes.append(f"the pictures state no primaries, so {space}; say --primaries if not")
        way_out = "; say --primaries if not"
    else:
        way_out = ""
    for path, picture in ((reinhard_png, reinhard), (log_png, log)):
        if picture.colour is not None:
            notes.append(
                f"{path.name} says it is {picture.colour.name} ({picture.colour.by}); "
                f"its codes were taken for a tone map's in {space}{way_out}"
            )
        notes += [f"{path.name}: {note}" for note in picture.notes]
    if reinhard.alpha is not None or log.alpha is not None:
        notes.append("alpha was dropped")

    yield
    linear = fuser.fuse(reinhard.code, log.code, threads=threads)
    attributes = made_by(
        "dual",
        source_reinhard=reinhard_png.name,
        source_log=log_png.name,
        source_primaries=space,
        log_ceiling=fuser.log_ceiling_linear,
        weights=fuser.digest,
    )
    geometry = reinhard.geometry
    notes += (*header_notes((*reinhard.header, *log.header)), *resolution_notes(geometry))
    yield
    maximum_linear, write_notes = writer.write(
        target,
        linear,
        _space(space),
        attributes,
        geometry=geometry,
        threads=threads,
    )
    notes += write_notes
    return Fused(reinhard.width, reinhard.height, space, maximum_linear, tuple(notes))


def _space(primaries: str) -> Chromaticities:
    if primaries not in SPACES:
        raise HdrgenError(f"unknown primaries {primaries!r}; known are {', '.join(SPACES)}")
    return SPACES[primaries]


def _code8(curve: ToneMap, linear: NDArray[np.float32], threads: int) -> NDArray[np.uint8]:
    code8 = np.empty(linear.shape, np.uint8)

    def encode(rows: slice) -> None:
        code8[rows] = quantise8(curve.encode(linear[rows]))

    each_band(len(linear), encode, threads=threads)
    return code8


def _check_pair(
    reinhard_png: Path, reinhard: CodeImage[np.uint8], log_png: Path, log: CodeImage[np.uint8]
) -> None:
    if reinhard.code.shape != log.code.shape:
        raise HdrgenError(
            f"{reinhard_png} is {reinhard.width}x{reinhard.height} and {log_png} is {log.width}x{log.height}: "
            "the two pictures must have one size"
        )


def _check_curve(path: Path, text: Mapping[str, str], curve: str, ceiling_linear: float) -> None:
    if text.get(TONE_MAP, curve) != curve:
        raise HdrgenError(
            f"{path}: says it is the {text[TONE_MAP]} picture, not the {curve} one; swap the two?"
        )
    ceiling = text.get(CEILING, f"{ceiling_linear:g}")
    if ceiling != f"{ceiling_linear:g}":
        raise HdrgenError(
            f"{path}: was made with a ceiling of {ceiling}, the weights are for {ceiling_linear:g}; "
            "tone-map it again, or give other --weights"
        )


def _primaries(
    reinhard_png: Path,
    reinhard: Mapping[str, str],
    log_png: Path,
    log: Mapping[str, str],
    option: str | None,
) -> tuple[str | None, list[str]]:
    """Return the primaries that are asked for or that the pictures' texts say, and a note where these differ."""
    names = [text[PRIMARIES] for text in (reinhard, log) if PRIMARIES in text]
    if option is not None:
        _space(option)
        over = (
            [f"the pictures say {names[0]} primaries; {option} was asked for"]
            if names and names[0] != option
            else []
        )
        return option, over
    if len(set(names)) > 1:
        raise HdrgenError(
            f"{reinhard_png} says {names[0]} primaries and {log_png} {names[1]}; give --primaries"
        )
    if not names:
        return None, []
    if names[0] not in SPACES:
        raise HdrgenError(f"{reinhard_png}: says {names[0]!r} primaries, which are unknown; give --primaries")
    return names[0], []
