"""Scene-linear pictures of any format we read, told apart by their first bytes: damaged files have no suffix."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.images import exr, radiance
from hdrgen.images.geometry import Geometry, Window, overlap, placed, placed_notes, visible
from hdrgen.images.interop_id import NotLinear, linear_light
from hdrgen.images.stored_image import SceneImage, StoredHeader, UnreadableImage, read_bytes
from hdrgen.runtime.errors import HdrgenError

Format = Literal["openexr", "radiance"]


def image_format(path: Path) -> Format | None:
    """Tell the format by the file's first bytes, None for a file of another kind.

    Raises
    ------
    UnreadableImage
        The file is missing or cannot be opened.
    """
    start = read_bytes(Path(path), 4)
    if start == exr.MAGIC:
        return "openexr"
    return "radiance" if start.startswith(radiance.MAGIC) else None


def read_scene_image(
    path: Path, *, layer: str | None = None, part: int | str | None = None, decode: bool = True
) -> SceneImage:
    """Read an OpenEXR or Radiance picture as it is stored; see `exr.read_exr`, `radiance.read_radiance`.

    Codes that an OpenEXR says it holds are decoded, see `interop_id.linear_light`.

    Parameters
    ----------
    path
        The file; its suffix does not matter.
    layer, part
        What of an OpenEXR file to read, see `layers.choose_layer`.
    decode
        False leaves codes as they are, for a caller who was told what they are.

    Raises
    ------
    UnreadableImage
        The file is missing, of another format, damaged, has no such layer, or holds codes that are not known here.
    """
    match image_format(path):
        case "openexr":
            image = exr.read_exr(path, layer=layer, part=part)
            return decoded(path, image) if decode else image
        case "radiance":
            _refuse_layers(path, layer, part)
            return radiance.read_radiance(path)
    raise UnreadableImage(path, "is neither an OpenEXR nor a Radiance file")


def decoded(path: Path, image: SceneImage) -> SceneImage:
    """Return the light of a picture that was read without being decoded; see `interop_id.linear_light`.

    Raises
    ------
    UnreadableImage
        It holds codes that are not known here.
    """
    try:
        return linear_light(image)
    except NotLinear as error:
        raise UnreadableImage(path, f"{error}; `hdrgen convert --from` takes such codes") from None


def read_finite_scene_image(
    path: Path, *, layer: str | None = None, part: int | str | None = None
) -> SceneImage:
    """Read as `read_scene_image` does, for work that NaN and Inf would spread in.

    Raises
    ------
    HdrgenError
        As `read_scene_image`, or what was asked for is data, or the picture holds NaN or Inf.
    """
    image = read_scene_image(path, layer=layer, part=part)
    refuse_data(path, image)
    if not np.isfinite(image.rgb).all():
        raise HdrgenError(f"{path}: holds NaN or Inf; repair the frame first")
    return image


def refuse_data(path: Path, image: SceneImage | StoredHeader) -> None:
    """Refuse data that was asked for where only light makes sense.

    Raises
    ------
    UnreadableImage
        It is data, such as normals or depth.
    """
    if image.is_data:
        what = f"layer {image.layer}" if image.layer else "what was asked for"
        raise UnreadableImage(
            path, f"{what} is data, not light; preview, compare and convert take it as it is"
        )


def read_scene_header(path: Path, *, layer: str | None = None, part: int | str | None = None) -> StoredHeader:
    """Read what the file says about the picture that `read_scene_image` would return, without decoding it.

    Raises
    ------
    UnreadableImage
        The file is missing, of another format, or damaged.
    """
    match image_format(path):
        case "openexr":
            return exr.read_header(path, layer=layer, part=part)
        case "radiance":
            _refuse_layers(path, layer, part)
            return radiance.read_radiance_header(path)
    raise UnreadableImage(path, "is neither an OpenEXR nor a Radiance file")


def in_display(path: Path, image: SceneImage) -> SceneImage:
    """Return a picture whose pixels are those of its display window, see `geometry.placed`, and notes of that.

    For targets that have no windows. The same picture comes back where its windows agree.

    Raises
    ------
    UnreadableImage
        The display window is larger than anybody's picture.
    """
    geometry = image.geometry
    return _in_window(path, image, placed, geometry.display_window, placed_notes(geometry))


def cut_to_display(path: Path, image: SceneImage) -> SceneImage:
    """Return a picture without the pixels that are outside of its display window, see `geometry.visible`.

    For light that is measured or learned from: what was never rendered is no darkness.

    Raises
    ------
    UnreadableImage
        All are outside.
    """
    geometry = image.geometry
    shared = overlap([geometry.data_window, geometry.display_window]) or geometry.data_window
    return _in_window(path, image, visible, shared, ())


def _in_window(
    path: Path,
    image: SceneImage,
    move: Callable[[NDArray[Any], Geometry], NDArray[Any]],
    window: Window,
    notes: tuple[str, ...],
) -> SceneImage:
    geometry = image.geometry
    if geometry.is_whole:
        return image
    try:
        rgb = move(image.rgb, geometry)
    except HdrgenError as error:
        raise UnreadableImage(path, str(error)) from None
    return replace(
        image,
        rgb=rgb,
        alpha=None if image.alpha is None else move(image.alpha, geometry),
        attributes={**image.attributes, "dataWindow": list(window)},
        notes=(*image.notes, *notes),
    )


def _refuse_layers(path: Path, layer: str | None, part: int | str | None) -> None:
    if layer is not None or part not in (None, 0, "0"):
        raise UnreadableImage(path, "is a Radiance file, which has neither layers nor parts")
