"""OpenEXR files as scene-linear pictures. Other rooms import all that reads and writes them from here."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from hdrgen.colour.primaries import REC709 as CHROMATICITIES_WHEN_NONE_STATED
from hdrgen.colour.primaries import SPACES, Chromaticities, luminance_weights, spans_space
from hdrgen.images.exr_attributes import ATTRIBUTE_NAME_MAX, why_not_stored
from hdrgen.images.exr_file import MAGIC, ExrFile, open_exr
from hdrgen.images.exr_writing import (
    HALF_MAX,
    LOSES_NONFINITE,
    LOSSY,
    interop_id,
    write_exr,
)
from hdrgen.images.layers import Kind, Layer, NoPicture, PartNames, choose_layer, layer_notes, layers_of
from hdrgen.images.luminance_chroma import full_chroma, full_size, rgb_from_luminance_chroma
from hdrgen.images.stored_image import (
    OwnTypeText,
    SceneImage,
    StoredChannel,
    StoredHeader,
    StoredPart,
    UnreadableImage,
)

__all__ = [
    "ATTRIBUTE_NAME_MAX",
    "HALF_MAX",
    "LOSES_NONFINITE",
    "LOSSY",
    "MAGIC",
    "UnreadableImage",
    "interop_chromaticities",
    "interop_id",
    "read_exr",
    "read_header",
    "use_threads",
    "why_not_stored",
    "write_exr",
]

_DEEP = (OpenEXR.deepscanline, OpenEXR.deeptile)
_NOT_SHOWN = frozenset(("channels", "compression", "preview", "type"))


def use_threads(count: int) -> None:
    """Let OpenEXR compress and decompress on this many cores; it starts with no threads of its own."""
    # Half of its threads wait for others' turn at the file: with two for each core it reads and writes a fifth faster.
    OpenEXR.set_global_thread_count(2 * count)


def read_header(path: Path, *, layer: str | None = None, part: int | str | None = None) -> StoredHeader:
    """Read what an EXR says about the picture that `read_exr` would return, without decoding pixels.

    The pixel type is missing: the library tells it only with the pixels.

    Parameters
    ----------
    path
        The file.
    layer, part
        As of `read_exr`.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR, is damaged, is deep, or holds no picture.
    """
    path = Path(path)
    file = open_exr(path)
    taken, notes = choose_picture(file, layer, part)
    return stored_header(file.headers[taken.part], taken, notes)


def read_exr(path: Path, *, layer: str | None = None, part: int | str | None = None) -> SceneImage:
    """Read an EXR's picture as it is stored.

    Half, float and uint pixels; scan lines and tiles, the largest level of a mip map; of several layers, parts and
    views the one that is the picture (see `layers`), and notes on the others; RGB with or without alpha, a single
    luminance channel (repeated), luminance-chroma at any 2x2 subsampling (RGB rebuilt with the file's own luminance
    weights). Uint samples of a picture become float32, the largest uint being 1.0, as in OpenImageIO; those of data keep
    their value, as float64. RGB is not divided by alpha:
    EXR is premultiplied, and emission under alpha zero is light.

    Parameters
    ----------
    path
        The file; its suffix does not matter.
    layer
        The name of the layer, or of one channel, that is wanted; None takes the likeliest.
    part
        The index or name of the part to look in; None looks in all.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR, is damaged, is deep, or holds no picture, no such layer, or several that are as
        likely.
    """
    file = open_exr(Path(path))
    taken, notes = choose_picture(file, layer, part)
    return picture_in(file, decode_for(file, taken), taken, notes)


def decode_for(file: ExrFile, taken: Layer) -> list[Any]:
    """Decode a file for one layer of it: R, G, B and A of a file of one part together, which is faster."""
    together = (
        len(file.headers) == 1
        and taken.channels == ("R", "G", "B")
        and taken.alpha in (None, "A")
        and set(_samplings(file.headers[0]).values()) == {(1, 1)}
    )
    return file.parts(separate=not together)


def _samplings(header: Any) -> dict[str, tuple[int, int]]:
    return {channel.name: (int(channel.xSampling), int(channel.ySampling)) for channel in header["channels"]}


def picture_in(file: ExrFile, parts: list[Any], taken: Layer, notes: tuple[str, ...]) -> SceneImage:
    """Return a layer of a file whose pixels are decoded; see `read_exr`.

    Parameters
    ----------
    file, parts
        The file and its `ExrFile.parts`.
    taken, notes
        From `choose_picture`.
    """
    header = file.headers[taken.part]
    stored = stored_header(header, taken, notes)
    planes = {name: channel.pixels for name, channel in parts[taken.part].channels.items()}

    if "RGB" in planes or "RGBA" in planes:
        packed = _as_float(planes["RGBA"] if "RGBA" in planes else planes["RGB"], taken.kind)
        rgb, alpha = packed[..., :3], packed[..., 3] if packed.shape[-1] == 4 else None
    else:
        used = {name: _as_float(planes[name], taken.kind) for name in (*taken.channels, taken.alpha) if name}
        rgb, alpha = _assemble(used, _samplings(header), taken, stored)
    return SceneImage(
        rgb=np.ascontiguousarray(rgb),
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
        chromaticities=stored.chromaticities,
        attributes=stored.attributes,
        pixel_type=pixel_type(_samples(planes, taken.channels[0])),
        compression=stored.compression,
        storage=stored.storage,
        part=taken.part,
        view=taken.view,
        luminance_chroma=taken.kind == "luminance-chroma",
        layer=taken.name,
        is_data=taken.kind == "data",
        notes=stored.notes,
        parts=_stored_parts(file, parts),
    )


def read_parts(path: Path) -> tuple[StoredPart, ...]:
    """Return all that a file holds, whether or not any of it is a picture.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR or is damaged.
    """
    file = open_exr(Path(path))
    return _stored_parts(file, file.parts(separate=True))


def layers_in(file: ExrFile) -> list[Layer]:
    """Return the layers of a file's parts, without the deep ones.

    Raises
    ------
    UnreadableImage
        All parts are deep.
    """
    flat = [index for index, header in enumerate(file.headers) if header.get("type") not in _DEEP]
    if not flat:
        raise UnreadableImage(file.path, "is a deep EXR: flatten it before use")
    return layers_of([_part_names(index, file.headers) for index in flat])


def choose_picture(
    file: ExrFile, layer: str | None, part: int | str | None, *, whole_file: bool = False
) -> tuple[Layer, tuple[str, ...]]:
    """Return the layer that is the picture, and what a person should know of the others and of the header.

    Parameters
    ----------
    file
        The file.
    layer, part
        As of `layers.choose_layer`.
    whole_file
        All channels are read, so that those of other layers are not left behind.

    Raises
    ------
    UnreadableImage
        There is none, or none of that name, or several are as likely, or all parts are deep.
    """
    layers = layers_in(file)
    try:
        taken = choose_layer(layers, layer=layer, part=part)
    except NoPicture as error:
        raise UnreadableImage(file.path, str(error)) from None
    notes = layer_notes(layers, taken, chosen=layer is not None, whole_file=whole_file)
    if deep := sum(header.get("type") in _DEEP for header in file.headers):
        notes += (f"{deep} deep {'part is' if deep == 1 else 'parts are'} left behind",)
    return taken, (*notes, *file.notes)


def _part_names(index: int, headers: list[Any]) -> PartNames:
    header = headers[index]
    view = header.get("view")
    several = header.get("multiView")
    views = [str(view)] if view else [str(name) for name in several] if isinstance(several, list) else []
    name = str(header.get("name") or "") if len(headers) > 1 else ""
    return PartNames(index, name, tuple(views), tuple(channel.name for channel in header["channels"]))


def stored_header(header: Any, taken: Layer, notes: tuple[str, ...] = ()) -> StoredHeader:
    """Return what a part's header says about a layer of it."""
    (x0, y0), (x1, y1) = header["dataWindow"]
    attributes = {name: _plain(value) for name, value in header.items() if name not in _NOT_SHOWN}
    for window in ("dataWindow", "displayWindow"):
        attributes[window] = [int(x) for corner in header[window] for x in corner]
    if isinstance(preview := header.get("preview"), OpenEXR.PreviewImage):
        attributes["preview"] = "{1}x{0}".format(*preview.pixels.shape)
    chromaticities, none_spanned = _chromaticities(header)
    return StoredHeader(
        width=int(x1) - int(x0) + 1,
        height=int(y1) - int(y0) + 1,
        channels=tuple(channel.name for channel in header["channels"]),
        chromaticities=chromaticities,
        attributes=attributes,
        compression=header["compression"].name.removesuffix("_COMPRESSION").lower(),
        storage="tiled" if header.get("type") == OpenEXR.tiledimage else "scanline",
        part=taken.part,
        view=taken.view,
        layer=taken.name,
        is_data=taken.kind == "data",
        notes=(*notes, *_sampling_notes(header, taken), *none_spanned),
        alpha=taken.alpha is not None,
    )


def interop_chromaticities(name: str) -> Chromaticities | None:
    """Return what a `colorInteropID` stands for, None where the library does not know it."""
    coordinates = OpenEXR.colorInteropIDToChromaticities(name)
    return None if coordinates is None else _known(coordinates)


def _chromaticities(header: dict[str, Any]) -> tuple[Chromaticities | None, tuple[str, ...]]:
    """Return what a header states, None where that is no colour space, and a note on that."""
    coordinates = header.get("chromaticities")
    if coordinates is None:
        name = header.get("colorInteropID")
        return (interop_chromaticities(name) if isinstance(name, str) else None), ()
    if isinstance(coordinates, tuple) and len(coordinates) == 8:
        known = _known(coordinates)
        if spans_space(known):
            return known, ()
        coordinates = " ".join(f"{x:g}" for xy in known for x in xy)
    return None, (f"the chromaticities stated ({coordinates}) span no colour space: taken as if none were",)


def _sampling_notes(header: dict[str, Any], taken: Layer) -> tuple[str, ...]:
    """Return which channels were brought to the size of the picture; halved chroma is how such files are."""
    chroma = taken.channels[1:] if taken.kind == "luminance-chroma" else ()
    by_sampling: dict[tuple[int, int], list[str]] = {}
    for channel in header["channels"]:
        sampling = (int(channel.xSampling), int(channel.ySampling))
        usual = max(sampling) <= (2 if channel.name in chroma else 1)
        if channel.name in (*taken.channels, taken.alpha) and not usual:
            by_sampling.setdefault(sampling, []).append(channel.name)
    how = "repeated" if taken.kind == "data" else "interpolated"
    return tuple(
        f"{', '.join(names)}: one sample for {x}x{y} pixels, {how}" for (x, y), names in by_sampling.items()
    )


def _known(coordinates: Any) -> Chromaticities:
    """Return what a header states, a known space exactly where it agrees to float32's precision."""
    values = np.array(coordinates, np.float64)
    for space in SPACES.values():
        if np.abs(np.ravel(space) - values).max() < 1e-5:
            return space
    return Chromaticities(*((round(float(x), 6), round(float(y), 6)) for x, y in values.reshape(4, 2)))


def _plain(value: Any) -> Any:
    match value:
        case None | str() | int() | float() | Fraction():
            return value
        case np.ndarray() | np.generic():
            return value.tolist()
        case tuple() | list():
            return [_plain(item) for item in value]
        case OpenEXR.TimeCode():
            parts = (value.hours, value.minutes, value.seconds, value.frame)
            return OwnTypeText(":".join(f"{part:02d}" for part in parts))
        case OpenEXR.OpaqueAttribute():
            return OwnTypeText(f"{value.typeName} of {len(value.data)} bytes")
    return OwnTypeText(value)


def pixel_type(samples: NDArray[Any]) -> str:
    """Return ``half``, ``float``, ``uint``, or ``deep`` for lists of samples."""
    return {"u": "uint", "O": "deep"}.get(
        samples.dtype.kind, "half" if samples.dtype == np.float16 else "float"
    )


def _samples(planes: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Return the array that holds a channel: its own, or that of the colours that the library has put together."""
    if name in planes:
        return planes[name]
    layer = name.rpartition(".")[0]
    return next(planes[key] for key in (layer, "RGBA", "RGB") if key in planes)


def _stored_parts(file: ExrFile, parts: list[Any]) -> tuple[StoredPart, ...]:
    return tuple(_stored_part(index, file.headers[index], part) for index, part in enumerate(parts))


def _stored_part(index: int, header: dict[str, Any], part: Any) -> StoredPart:
    planes = {name: channel.pixels for name, channel in part.channels.items()}
    channels = tuple(
        StoredChannel(c.name, pixel_type(_samples(planes, c.name)), (int(c.xSampling), int(c.ySampling)))
        for c in header["channels"]
    )
    storage = header["type"].name.removesuffix("image") if "type" in header else "scanline"
    return StoredPart(index, str(header.get("name") or ""), str(header.get("view") or ""), storage, channels)


def _as_float(pixels: NDArray[Any], kind: Kind) -> NDArray[np.floating]:
    if pixels.dtype.kind == "u":
        if kind == "data":  # an id is itself, not a share of the largest one
            return pixels.astype(np.float64)
        return (pixels * (1.0 / np.iinfo(pixels.dtype).max)).astype(np.float32)
    return pixels


def _assemble(
    planes: dict[str, NDArray[np.floating]],
    samplings: dict[str, tuple[int, int]],
    taken: Layer,
    stored: StoredHeader,
) -> tuple[NDArray[np.floating], NDArray[np.floating] | None]:
    shape = (stored.height, stored.width)

    def full(name: str) -> NDArray[np.floating]:
        return full_size(planes[name], samplings[name], shape, held=taken.kind == "data")

    alpha = full(taken.alpha) if taken.alpha else None
    if len(taken.channels) == 1:
        return np.repeat(full(taken.channels[0])[..., None], 3, axis=-1), alpha
    if taken.kind != "luminance-chroma":
        return np.stack([full(name) for name in taken.channels], axis=-1), alpha
    y, ry, by = taken.channels
    weights = luminance_weights(stored.chromaticities or CHROMATICITIES_WHEN_NONE_STATED)
    red, blue = (full_chroma(planes[name], samplings[name], shape) for name in (ry, by))
    # In float32: colours of a half luminance may be beyond halves.
    return rgb_from_luminance_chroma(full(y), red, blue, weights), alpha
