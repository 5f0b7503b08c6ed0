"""EXRs whose `colorInteropID` says that they hold codes: sRGB textures and the like, which become linear light."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.encodings import Encoding
from hdrgen.colour.stated_colour import NotUnderstood, StatedColour, from_interop_id
from hdrgen.images.stored_image import SceneImage

ATTRIBUTE = "colorInteropID"


class NotLinear(ValueError):  # noqa: N818 - reads as what it says
    """A picture holds codes that cannot be made scene-linear light here; the message says which."""


def is_linear(colour: StatedColour) -> bool:
    """Tell whether what is stated is linear light; codes that are not known here are not."""
    return colour.encoding is not None and float(colour.encoding.decode(0.5)) == 0.5


def holds_codes(name: str) -> bool:
    """Tell whether a `colorInteropID` names something else than linear light; what is not known may be either."""
    try:
        colour = from_interop_id(name)
    except NotUnderstood:
        return False
    return colour is not None and not is_linear(colour)


def linear_light(image: SceneImage) -> SceneImage:
    """Return a picture as the scene-linear light that its `colorInteropID` says its values stand for.

    Data that was asked for is no codes of light. One that says nothing, or that it is linear, comes back as it is, with the id's primaries where the file states no
    others. Codes are decoded, those under alpha after they were divided by it; a note says so.

    Raises
    ------
    NotLinear
        The codes are not known here, as PQ.
    """
    if image.is_data:
        return image
    name = str(image.attributes.get(ATTRIBUTE, ""))
    try:
        colour = from_interop_id(name)
    except NotUnderstood as error:
        return _noted(image, f"{error}; its values were taken for linear light")
    if colour is None:
        return image
    if colour.encoding is None:
        raise NotLinear(f"says it holds {colour.name} ({ATTRIBUTE}), not linear light")
    space = image.chromaticities or colour.encoding.chromaticities
    if is_linear(colour):
        return image if space == image.chromaticities else replace(image, chromaticities=space)
    rgb = _decoded(image.rgb.astype(np.float32), image.alpha, colour.encoding)
    decoded = replace(image, rgb=rgb, chromaticities=space)
    return _noted(
        decoded, f"the file says it holds {colour.name} codes ({ATTRIBUTE} {name}), which were decoded"
    )


def _noted(image: SceneImage, note: str) -> SceneImage:
    return replace(image, notes=(*image.notes, note))


def _decoded(
    code: NDArray[np.float32], alpha: NDArray[np.floating] | None, encoding: Encoding
) -> NDArray[np.float32]:
    if alpha is None:
        return np.asarray(encoding.decode(code), np.float32)
    coverage = np.where(alpha > 0, alpha, 1).astype(np.float32)[..., None]
    return np.asarray(encoding.decode(code / coverage) * coverage, np.float32)
