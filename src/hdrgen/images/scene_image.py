"""Scene-linear pictures of any format we read, told apart by their first bytes: damaged files have no suffix."""

from pathlib import Path
from typing import Literal

import numpy as np

from hdrgen.images import exr, radiance
from hdrgen.images.interop_id import NotLinear, linear_light
from hdrgen.images.stored_image import SceneImage, StoredHeader, UnreadableImage
from hdrgen.runtime.errors import HdrgenError

Format = Literal["openexr", "radiance"]


def image_format(path: Path) -> Format | None:
    """Tell the format by the file's first bytes, None for a file of another kind.

    Raises
    ------
    UnreadableImage
        The file is missing or cannot be opened.
    """
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read ({error.strerror})") from None
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
            try:
                return linear_light(image) if decode else image
            except NotLinear as error:
                raise UnreadableImage(path, f"{error}; `hdrgen convert --from` takes such codes") from None
        case "radiance":
            _refuse_layers(path, layer, part)
            return radiance.read_radiance(path)
    raise UnreadableImage(path, "is neither an OpenEXR nor a Radiance file")


def read_finite_scene_image(
    path: Path, *, layer: str | None = None, part: int | str | None = None
) -> SceneImage:
    """Read as `read_scene_image` does, for work that NaN and Inf would spread in.

    Raises
    ------
    HdrgenError
        As `read_scene_image`, or the picture holds NaN or Inf.
    """
    image = read_scene_image(path, layer=layer, part=part)
    if not np.isfinite(image.rgb).all():
        raise HdrgenError(f"{path}: holds NaN or Inf; repair the frame first")
    return image


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


def _refuse_layers(path: Path, layer: str | None, part: int | str | None) -> None:
    if layer is not None or part not in (None, 0, "0"):
        raise UnreadableImage(path, "is a Radiance file, which has neither layers nor parts")
