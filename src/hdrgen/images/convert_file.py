"""A picture file from one colour space, bit depth and format to another."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour import ocio
from hdrgen.colour.primaries import Chromaticities
from hdrgen.colour.stated_colour import NotUnderstood, from_interop_id
from hdrgen.images import exr
from hdrgen.images.choices import Compression
from hdrgen.images.code_image import WRITTEN_SUFFIXES, code_format, read_code, write_code
from hdrgen.images.conversion import (
    LINEAR_SPACES,
    Picture,
    assumed_chromaticities,
    clamped_notes,
    describe,
    from_chromaticities,
    linear_space,
    multiply_by_alpha,
)
from hdrgen.images.encoded import CONVERTED_SPACE, contradiction, stated_encoding
from hdrgen.images.geometry import Geometry, aspect_notes, resolution_notes
from hdrgen.images.provenance import Attributes, carried, header_notes, left_behind, made_by
from hdrgen.images.scene_image import decoded, image_format, in_display, read_scene_image
from hdrgen.images.stored_image import SceneImage, UnreadableImage
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.overlap import ReadComputeWrite, overlappable


@dataclass(frozen=True)
class Converted:
    """What was done: the two spaces by their configuration's names, and what a person should know of it.

    `clipped_fraction` is the share of pixels that code values could not hold, 0 to 1; `clamped_values` is how many
    values were beyond half floats.
    """

    source_space: str
    target_space: str
    width: int
    height: int
    clipped_fraction: float
    clamped_values: int
    notes: tuple[str, ...]


@overlappable
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
) -> ReadComputeWrite[Converted]:
    """Convert a picture file; formats are told by the source's first bytes and the target's suffix.

    Alpha goes along into an EXR (multiplied in, as EXR wants it, where the source is a PNG or TIFF), and is
    dropped elsewhere. Attributes of a source EXR that speak of the scene are kept, and so are its windows and the
    shape of its pixels; a PNG or TIFF gets the pixels of the display window. What is left behind is noted.

    Parameters
    ----------
    source
        OpenEXR, Radiance, PNG, TIFF, JPEG or WebP.
    target
        ``.exr`` for a scene-linear space, ``.png`` or ``.tif`` for an encoded one.
    source_space
        Name or alias of the source's space. None takes what the file states: primaries of an EXR or Radiance
        file, Rec.709 where it states none; of code values what they state themselves, see `encoded.stated_encoding`, which must be there.
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
    taken = _from_scene(image, source_space) if image else _from_codes(source, source_space)
    notes = list(taken.notes)
    yield
    if taken.chromaticities is None:
        rgb = ocio.convert(taken.rgb, taken.space, target_space, threads=threads, in_place=True)
    else:
        rgb = from_chromaticities(
            taken.rgb, taken.chromaticities, target_space, threads=threads, in_place=True
        )
    if to_exr and taken.alpha is not None and image is None:
        notes += multiply_by_alpha(rgb, taken.alpha)

    target_name = ocio.space_name(target_space)
    height, width, _ = rgb.shape
    if image is None:
        notes += resolution_notes(taken.geometry)
    clipped_fraction, clamped = 0.0, 0
    yield
    if target_chromaticities is not None:
        attributes = made_by(
            "convert",
            source=source.name,
            source_layer=None if image is None else image.layer or None,
            source_space=taken.space,
            space=target_name,
        )
        clamped = exr.write_exr(
            target,
            rgb,
            alpha=taken.alpha,
            chromaticities=target_chromaticities,
            attributes={**taken.attributes, **attributes},
            geometry=taken.geometry,
            compression=compression,
            overflow=overflow,
        )
    else:
        clipped_fraction = _write_codes(target, rgb, bits, target_name, taken.geometry)
        if taken.alpha is not None:
            notes.append("alpha was dropped")
    if clipped_fraction:
        notes.append(
            f"{clipped_fraction:.2%} of pixels are outside what {target_name} can hold, and were clipped"
        )
    notes += clamped_notes(clamped, compression)
    return Converted(taken.space, target_name, width, height, clipped_fraction, clamped, tuple(notes))


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
        colour = from_interop_id(name)
    except NotUnderstood:
        known = False
    else:
        known = colour is None or colour.encoding is not None
    return None if known or image.chromaticities is not None or not ocio.knows_scene_space(name) else name


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


@dataclass(frozen=True)
class _Source:
    """What is to be converted.

    `rgb` is ``(H, W, 3)``: light in `chromaticities`, or where they are None values in the configuration's `space`.
    `alpha` is ``(H, W)`` or None. `attributes` go along into an EXR. `geometry` is None for square pixels that fill
    their frame.
    """

    rgb: Picture
    alpha: Picture | None
    chromaticities: Chromaticities | None
    space: str
    geometry: Geometry | None
    notes: tuple[str, ...]
    attributes: Attributes = field(default_factory=dict)


def _from_scene(image: SceneImage, space: str | None) -> _Source:
    space = space or _id_of_the_configuration(image)
    chromaticities, is_stated = assumed_chromaticities(image)
    notes, attributes = image.notes, carried(image.attributes)
    if space is not None:
        name = ocio.space_name(space)
        return _Source(image.rgb, image.alpha, None, name, image.geometry, notes, attributes)
    if not is_stated:
        notes = (*notes, "the file states no primaries, so Rec.709 by convention; say --from if not")
    name = describe(chromaticities)
    return _Source(image.rgb, image.alpha, chromaticities, name, image.geometry, notes, attributes)


def _from_codes(source: Path, space: str | None) -> _Source:
    """Read a PNG, TIFF, JPEG or WebP; its light where it states the curve of its codes, and nobody names their space.

    Raises
    ------
    HdrgenError
        It cannot be read, or nothing says what its codes mean.
    """
    if not code_format(source):
        raise UnreadableImage(source, "is no OpenEXR, Radiance, PNG, TIFF, JPEG or WebP picture")
    codes = read_code(source)
    notes = (*codes.notes, *header_notes(codes.header))
    if space is None and ocio.knows(converted := codes.text.get(CONVERTED_SPACE, "")):
        space = converted
    largest = np.float32(np.iinfo(codes.code.dtype).max)
    encoded = np.divide(codes.code, largest, dtype=np.float32)
    alpha = None if codes.alpha is None else np.divide(codes.alpha, largest, dtype=np.float32)
    if space is not None:
        name = ocio.space_name(space)
        notes = (*notes, *contradiction(codes, name))
        return _Source(encoded, alpha, None, name, codes.geometry, notes)
    decided = stated_encoding(source, codes, option="--from")
    if decided is None:
        unknown = "code values do not say their colour space; give --from, such as logc4 or srgb"
        raise HdrgenError(f"{source}: {'; '.join([*notes, unknown])}")
    linear = decided.encoding.decode(encoded)
    notes = (*notes, *decided.notes)
    return _Source(linear, alpha, decided.encoding.chromaticities, decided.name, codes.geometry, notes)


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
