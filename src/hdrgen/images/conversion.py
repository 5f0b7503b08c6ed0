"""A picture from one colour space, bit depth and file format to another."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

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
from hdrgen.colour.stated_colour import NotUnderstood, from_interop_id
from hdrgen.images import exr
from hdrgen.images.choices import Compression
from hdrgen.images.code_image import WRITTEN_SUFFIXES, code_format, read_code, write_code
from hdrgen.images.code_shape import shape_notes, stated_geometry
from hdrgen.images.encoded import CONVERTED_SPACE, contradiction, stated_encoding
from hdrgen.images.geometry import Geometry, aspect_notes
from hdrgen.images.provenance import Attributes, carried, header_notes, left_behind, made_by
from hdrgen.images.scene_image import (
    decoded,
    image_format,
    in_display,
    read_finite_scene_image,
    read_scene_image,
)
from hdrgen.images.stored_image import SceneImage, UnreadableImage
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.overlap import Steps, in_steps

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


@dataclass(frozen=True)
class Converted:
    """What was done: the two spaces by their configuration's names, and what a person should know of it.

    `clipped_share` is the share of pixels that code values could not hold, `clamped_values` how many values
    were beyond half floats.
    """

    source_space: str
    target_space: str
    width: int
    height: int
    clipped_share: float
    clamped_values: int
    notes: tuple[str, ...]


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
    chromaticities, stated = assumed_chromaticities(image)
    left = header_notes(left_behind(image.attributes, kept=()))
    notes = [*image.notes, *aspect_notes(image.geometry), *left]
    if not stated:
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


@in_steps
def convert_file(
    source: Path,
    target: Path,
    *,
    source_space: str | None,
    target_space: str,
    layer: str | None = None,
    part: int | str | None = None,
    compression: Compression = "zip",
    bits: Literal[8, 16] = 16,
    overflow: Literal["raise", "clamp"] = "raise",
    threads: int = 2,
) -> Steps[Converted]:
    """Convert a picture file; formats are told by the source's first bytes and the target's suffix.

    Alpha goes along into an EXR (multiplied in, as EXR wants it, where the source is a PNG or TIFF), and is
    dropped elsewhere. Attributes of a source EXR that speak of the scene are kept, and so are its windows and the
    shape of its pixels; a PNG or TIFF gets the pixels of the display window. What is left behind is noted.

    Parameters
    ----------
    source
        OpenEXR, Radiance, PNG, TIFF or JPEG.
    target
        ``.exr`` for a scene-linear space, ``.png`` or ``.tif`` for an encoded one.
    source_space
        Name or alias of the source's space. None takes what the file states: primaries of an EXR or Radiance
        file, Rec.709 where it states none; of code values what `routes.encoded` finds stated, which must be there.
    target_space
        Name or alias of the target's space.
    layer, part
        What of an EXR to read, see `layers.choose_layer`. Data, such as normals, is written as it is, without colour
        conversion, unless `source_space` says that it is light.
    compression
        Of an EXR.
    bits
        Of the code values of a PNG or TIFF.
    overflow
        Of values that half floats cannot hold: refused, or clamped and counted.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        A file or space is not what it should be; the message says which, and what to do.
    """
    to_exr = target.suffix.lower() == ".exr"
    if not to_exr and target.suffix.lower() not in WRITTEN_SUFFIXES:
        raise HdrgenError(f"{target}: the suffix must be .exr, {', '.join(WRITTEN_SUFFIXES)}")
    target_chromaticities = linear_space(target_space) if to_exr else None
    if not to_exr:
        _check_encoded(target, target_space)
    image = _scene_image(source, source_space, layer, part, to_exr=to_exr)
    if image is not None and image.is_data and source_space is None:
        return _write_data(source, target, image, compression)
    picture, alpha, chromaticities, attributes, source_name, notes = _read(source, source_space, image)
    yield
    if chromaticities is None:
        rgb = ocio.convert(picture, source_name, target_space, threads=threads, in_place=True)
    else:
        rgb = from_chromaticities(picture, chromaticities, target_space, threads=threads, in_place=True)
    if to_exr and alpha is not None and image is None:
        notes += multiply_by_alpha(rgb, alpha)

    target_name = ocio.space_name(target_space)
    height, width, _ = rgb.shape
    geometry = image.geometry if image else stated_geometry(source, width, height)
    notes += () if image else shape_notes(geometry)
    clipped_share, clamped = 0.0, 0
    yield
    if target_chromaticities is not None:
        made = made_by(
            "convert",
            source=source.name,
            source_layer=None if image is None else image.layer or None,
            source_space=source_name,
            space=target_name,
        )
        clamped = exr.write_exr(
            target,
            rgb,
            alpha=alpha,
            chromaticities=target_chromaticities,
            attributes={**attributes, **made},
            geometry=geometry,
            compression=compression,
            overflow=overflow,
        )
    else:
        clipped_share = _write_codes(target, rgb, bits, target_name, geometry)
        if alpha is not None:
            notes.append("alpha was dropped")
    if clipped_share:
        notes.append(
            f"{clipped_share:.2%} of pixels are outside what {target_name} can hold, and were clipped"
        )
    notes += clamped_notes(clamped, compression)
    return Converted(source_name, target_name, width, height, clipped_share, clamped, tuple(notes))


def _write_data(source: Path, target: Path, image: SceneImage, compression: Compression) -> Converted:
    """Write data with its numbers untouched: as halves where it is stored so, else as 32-bit floats.

    Raises
    ------
    HdrgenError
        The target cannot hold the numbers as they are.
    """
    what = f"{source}: layer {image.layer}" if image.layer else f"{source}: what was asked for"
    way_out = "--from NAME takes it for light"
    if target.suffix.lower() != ".exr":
        raise HdrgenError(f"{what} is data, which only an .exr takes as it is; {way_out}")
    if compression in exr.LOSSY:
        raise HdrgenError(
            f"{what} is data, which {compression} would change; compress it by zip, or {way_out}"
        )
    planes = [image.rgb] if image.alpha is None else [image.rgb, image.alpha]
    if image.pixel_type == "uint" and any((plane.astype(np.float32) != plane).any() for plane in planes):
        raise HdrgenError(f"{what} holds integers beyond 2^24, which a 32-bit float does not hold exactly")
    exr.write_exr(
        target,
        image.rgb,
        alpha=image.alpha,
        chromaticities=None,
        attributes={
            **carried(image.attributes),
            **made_by("convert", source=source.name, source_layer=image.layer or None),
        },
        geometry=image.geometry,
        compression=compression,
        pixel_type="half" if image.pixel_type == "half" else "float",
        allow_nonfinite=True,
    )
    notes = (*image.notes, f"data: no colour conversion; {way_out}")
    return Converted("data", "data", image.width, image.height, 0.0, 0, notes)


def _check_encoded(target: Path, space: str) -> None:
    wanted = ocio.space_name(space)
    if wanted in {ocio.space_name(name) for name in LINEAR_SPACES if ocio.knows(name)}:
        raise HdrgenError(
            f"{target}: {wanted} is scene-linear, which integer code values cannot hold; write .exr, or convert "
            "to an encoded space such as logc4 or srgb"
        )


def _id_of_the_configuration(image: SceneImage) -> str | None:
    """Return a picture's `colorInteropID` where only the configuration knows it, such as a camera maker's."""
    name = str(image.attributes.get("colorInteropID", ""))
    try:
        stated = from_interop_id(name)
    except NotUnderstood:
        ours = False
    else:
        ours = stated is None or stated.encoding is not None
    return None if ours or image.chromaticities is not None or not ocio.knows_scene_space(name) else name


def _scene_image(
    source: Path, space: str | None, layer: str | None, part: int | str | None, *, to_exr: bool
) -> SceneImage | None:
    """Return the picture of an OpenEXR or Radiance file as its target takes it, with notes on what that lacks.

    None is a file of code values.
    """
    if not image_format(source):
        if layer is not None or part is not None:
            raise UnreadableImage(source, "is no OpenEXR file, so it has neither layers nor parts")
        return None
    image = read_scene_image(source, layer=layer, part=part, decode=False)
    if space is None and _id_of_the_configuration(image) is None:
        image = decoded(source, image)
    if to_exr:
        return replace(image, notes=(*image.notes, *header_notes(left_behind(image.attributes))))
    image = in_display(source, image)
    left = header_notes(left_behind(image.attributes, kept=()))
    return replace(image, notes=(*image.notes, *aspect_notes(image.geometry), *left))


def _read(
    source: Path, space: str | None, image: SceneImage | None
) -> tuple[Picture, Picture | None, Chromaticities | None, Attributes, str, list[str]]:
    """Return RGB, alpha, primaries unless the space is given, attributes to keep, the space's name, notes."""
    if image is not None:
        space = space or _id_of_the_configuration(image)
        notes = list(image.notes)
        attributes = carried(image.attributes)
        if space is not None:
            return image.rgb, image.alpha, None, attributes, ocio.space_name(space), notes
        chromaticities, stated = assumed_chromaticities(image)
        if not stated:
            notes.append("the file states no primaries, so Rec.709 by convention; say --from if not")
        return image.rgb, image.alpha, chromaticities, attributes, describe(chromaticities), notes
    if not code_format(source):
        raise UnreadableImage(source, "is no OpenEXR, Radiance, PNG, TIFF or JPEG picture")
    codes = read_code(source)
    notes = [*codes.notes, *header_notes(codes.header)]
    if space is None and ocio.knows(converted := codes.text.get(CONVERTED_SPACE, "")):
        space = converted
    largest = np.float32(np.iinfo(codes.code.dtype).max)
    encoded = np.divide(codes.code, largest, dtype=np.float32)
    alpha = None if codes.alpha is None else np.divide(codes.alpha, largest, dtype=np.float32)
    if space is not None:
        name = ocio.space_name(space)
        return encoded, alpha, None, {}, name, [*notes, *contradiction(codes, name)]
    said = stated_encoding(source, codes, option="--from")
    if said is None:
        unsaid = "code values do not say their colour space; give --from, such as logc4 or srgb"
        raise HdrgenError(f"{source}: {'; '.join([*notes, unsaid])}")
    light = said.encoding.decode(encoded)
    return light, alpha, said.encoding.chromaticities, {}, said.name, [*notes, *said.notes]


def describe(chromaticities: Chromaticities) -> str:
    """Return the configuration's name of a scene-linear space, else ours, else its primaries in figures."""
    for name, known in LINEAR_SPACES.items():
        if known == chromaticities:
            return ocio.space_name(name) if ocio.knows(name) else name
    return "linear, primaries " + " ".join(f"{x:g},{y:g}" for x, y in chromaticities)


def _write_codes(
    target: Path, rgb: NDArray[np.float32], bits: Literal[8, 16], space: str, geometry: Geometry | None
) -> float:
    """Write code values 0 to 1 and return the share of pixels that had to be clipped."""
    finite = np.isfinite(rgb)
    if not finite.all():
        raise HdrgenError(
            f"{target}: refused: {np.count_nonzero(~finite)} values are NaN or Inf; repair them first"
        )
    half_code = 0.5 / (2**bits - 1)
    clipped = ((rgb < -half_code) | (rgb > 1 + half_code)).any(axis=-1)
    np.clip(rgb, 0, 1, out=rgb)
    code = rgb * np.float32(2**bits - 1) + np.float32(0.5)
    write_code(
        target,
        code.astype(np.uint8) if bits == 8 else code.astype(np.uint16),
        text={"hdrgen:space": space},
        pixel_aspect_ratio=1.0 if geometry is None else geometry.pixel_aspect_ratio,
    )
    return float(clipped.mean())
