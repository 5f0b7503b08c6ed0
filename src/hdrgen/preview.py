"""Scene-linear pictures as a display shows them: for eyes, not for further work."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.colour import ocio
from hdrgen.colour.tone_maps import quantise8
from hdrgen.conversion import assumed_chromaticities, describe, from_chromaticities
from hdrgen.images.code_image import write_png8
from hdrgen.images.scene_image import read_scene_image
from hdrgen.images.stored_image import SceneImage
from hdrgen.runtime.errors import HdrgenError


@dataclass(frozen=True)
class Preview:
    """What a preview shows: its size, the source's space, the display and view."""

    width: int
    height: int
    source_space: str
    display: str
    view: str
    exposure_stops: float


def write_preview(
    source: Path,
    target: Path,
    *,
    exposure_stops: float = 0.0,
    display: str | None = None,
    view: str | None = None,
    longest_side: int | None = None,
    threads: int = 2,
) -> Preview:
    """Show an OpenEXR or Radiance file through a display view and write what the display gets as 8-bit PNG.

    Parameters
    ----------
    source, target
        The files; the target must end in ``.png``.
    exposure_stops
        Added in scene-linear light.
    display, view
        Names in the OpenColorIO configuration; by default an sRGB monitor and its ACES 2.0 SDR view.
    longest_side
        Pixels; a larger picture is made smaller, averaging scene-linear light. None keeps the size.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        The file cannot be read, the display or view is unknown, or the target is no PNG.
    """
    if target.suffix.lower() != ".png":
        raise HdrgenError(f"{target}: previews are written as .png")
    display, view = ocio.display_view(display, view)
    image = read_scene_image(source)
    code8 = preview_code8(
        linear_ap1(image, longest_side=longest_side),
        exposure_stops=exposure_stops,
        display=display,
        view=view,
        threads=threads,
    )
    space = describe(assumed_chromaticities(image)[0])
    said = {"hdrgen:display": display, "hdrgen:view": view, "hdrgen:exposureStops": f"{exposure_stops:g}"}
    write_png8(target, code8, text=said)
    return Preview(code8.shape[1], code8.shape[0], space, display, view, exposure_stops)


def linear_ap1(image: SceneImage, *, longest_side: int | None = None) -> NDArray[np.float32]:
    """Return a picture in linear AP1, no larger than asked for; NaN becomes black, Inf half's largest value."""
    rgb = np.nan_to_num(image.rgb.astype(np.float32), nan=0.0, posinf=65504.0, neginf=-65504.0)
    if longest_side is not None and longest_side < max(image.width, image.height):
        scale = longest_side / max(image.width, image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.float32)
    return from_chromaticities(rgb, assumed_chromaticities(image)[0], "acescg")


def preview_code8(
    linear_ap1: NDArray[np.float32],
    *,
    exposure_stops: float = 0.0,
    display: str | None = None,
    view: str | None = None,
    threads: int = 2,
) -> NDArray[np.uint8]:
    """Return the 8-bit codes ``(H, W, 3)`` of a linear AP1 picture seen through a display view."""
    return quantise8(
        ocio.display(
            linear_ap1,
            "acescg",
            display=display,
            view=view,
            exposure_stops=exposure_stops,
            threads=threads,
        )
    )
