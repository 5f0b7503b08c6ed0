"""Pictures between colour spaces: what their primaries are, and what they become in others."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour import ocio
from hdrgen.colour.primaries import (
    AP0,
    AP1,
    AWG3,
    AWG4,
    P3_D65,
    REC709,
    REC2020,
    Chromaticities,
    convert_primaries,
)
from hdrgen.images import exr
from hdrgen.images.choices import Compression
from hdrgen.images.geometry import aspect_notes
from hdrgen.images.provenance import header_notes, left_behind
from hdrgen.images.scene_image import (
    in_display,
    read_finite_scene_image,
)
from hdrgen.images.stored_image import SceneImage
from hdrgen.runtime.errors import HdrgenError

LINEAR_SPACES: dict[str, Chromaticities] = {
    "acescg": AP1,
    "aces2065-1": AP0,
    "linear_awg4": AWG4,
    "linear_awg3": AWG3,
    "linear_rec709": REC709,
    "linear_rec2020": REC2020,
    "linear_p3d65": P3_D65,
}
"""Scene-linear spaces that an EXR can be written in, and what its header says then."""

Picture = NDArray[np.floating]


def assumed_chromaticities(image: SceneImage) -> tuple[Chromaticities, bool]:
    """Return the primaries of a picture and whether its file states them; Rec.709 by convention where not."""
    return (REC709, False) if image.chromaticities is None else (image.chromaticities, True)


def from_chromaticities(
    linear: Picture, chromaticities: Chromaticities, target: str, *, threads: int = 2, in_place: bool = False
) -> NDArray[np.float32]:
    """Take scene-linear RGB ``(H, W, 3)`` of any primaries to a space of the OpenColorIO configuration.

    See `ocio.convert` for `threads` and `in_place`.

    Raises
    ------
    HdrgenError
        The primaries span no colour space, or the configuration knows no such target.
    """
    for name, known in LINEAR_SPACES.items():
        if known == chromaticities and ocio.knows(name):
            return ocio.convert(linear, name, target, threads=threads, in_place=in_place)
    try:
        linear_ap1 = convert_primaries(linear.astype(np.float32), chromaticities, AP1)
    except ValueError as error:
        raise HdrgenError(str(error)) from None
    return ocio.convert(linear_ap1, "acescg", target, threads=threads, in_place=True)


def to_chromaticities(linear: Picture, source: Chromaticities, target: Chromaticities) -> NDArray[np.float32]:
    """Take scene-linear RGB from one set of primaries to another, as float32.

    Raises
    ------
    HdrgenError
        The source's primaries span no colour space.
    """
    try:
        return convert_primaries(linear.astype(np.float32), source, target)
    except ValueError as error:
        raise HdrgenError(str(error)) from None


def read_for_codes(
    source: Path, target: Chromaticities, *, layer: str | None = None, part: int | str | None = None
) -> tuple[SceneImage, NDArray[np.float32], list[str]]:
    """Read a scene picture for codes that hold its display window and nothing else.

    Parameters
    ----------
    source
        OpenEXR or Radiance; Rec.709 where it states no primaries.
    target
        The primaries of the light that comes back.
    layer, part
        What of an OpenEXR file to read, see `layers.choose_layer`.

    Returns
    -------
    tuple
        The picture, its light ``(H, W, 3)`` in the target's primaries, and notes on what codes leave behind.

    Raises
    ------
    HdrgenError
        The file cannot be read, holds NaN or Inf, or is data.
    """
    image = in_display(source, read_finite_scene_image(source, layer=layer, part=part))
    chromaticities, is_stated = assumed_chromaticities(image)
    header = header_notes(left_behind(image.attributes, kept=()))
    notes = [*image.notes, *aspect_notes(image.geometry), *header]
    if not is_stated:
        notes.append("the file states no primaries, so Rec.709 by convention")
    if image.alpha is not None:
        notes.append("alpha was dropped")
    return image, to_chromaticities(image.rgb, chromaticities, target), notes


def linear_space(space: str) -> Chromaticities:
    """Return the primaries of a scene-linear space that an EXR can be written in.

    Raises
    ------
    HdrgenError
        The configuration knows no such space, or it is encoded, or its primaries are not known here.
    """
    wanted = ocio.space_name(space)
    for name, chromaticities in LINEAR_SPACES.items():
        if ocio.knows(name) and ocio.space_name(name) == wanted:
            return chromaticities
    raise HdrgenError(
        f"an EXR holds scene-linear light, and {space!r} is none of {', '.join(LINEAR_SPACES)}; "
        "write encoded pictures as .png or .tif"
    )


def multiply_by_alpha(linear: NDArray[np.float32], alpha: Picture) -> tuple[str, ...]:
    """Multiply scene-linear RGB ``(H, W, 3)`` in place by alpha ``(H, W)``, and note it where that changes it."""
    if alpha.min() >= 1:
        return ()
    linear *= alpha[..., None]
    return ("RGB was multiplied by alpha, as EXR wants it",)


def clamped_notes(clamped_values: int, compression: Compression) -> tuple[str, ...]:
    """Return what a person should know of values that half floats could not hold in an EXR of some compression."""
    if not clamped_values:
        return ()
    which = f"beyond half floats were clamped to {exr.HALF_MAX:g}"
    if compression in exr.LOSSY:
        which = f"beyond half floats, or so near their end that {compression} makes Inf of them, were clamped"
    return (f"{clamped_values} values {which}",)


def describe(chromaticities: Chromaticities) -> str:
    """Return the configuration's name of a scene-linear space, else ours, else its primaries in figures."""
    for name, known in LINEAR_SPACES.items():
        if known == chromaticities:
            return ocio.space_name(name) if ocio.knows(name) else name
    return "linear, primaries " + " ".join(f"{x:g},{y:g}" for x, y in chromaticities)
