"""Scene-linear pictures as a display shows them: for eyes, not for further work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hdrgen.colour import ocio
from hdrgen.colour.tone_maps import quantise8
from hdrgen.images.code_image import write_png8
from hdrgen.images.conversion import assumed_chromaticities, describe, from_chromaticities
from hdrgen.images.geometry import square_pixels
from hdrgen.images.scene_image import in_display, read_scene_image
from hdrgen.images.stored_image import SceneImage
from hdrgen.runtime.errors import HdrgenError

STRIP_STOPS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
_STRIP_SIDE = 480
_GAP_PIXELS = 6


@dataclass(frozen=True)
class Preview:
    """What a preview shows: its size, the source's space, the display and view, what a person should know."""

    width: int
    height: int
    source_space: str
    display: str
    view: str
    exposure_stops: float
    notes: tuple[str, ...] = ()


def write_preview(
    source: Path,
    target: Path,
    *,
    exposure_stops: float = 0.0,
    display: str | None = None,
    view: str | None = None,
    longest_side: int | None = None,
    layer: str | None = None,
    part: int | str | None = None,
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
    layer, part
        What of an EXR to read, see `layers.choose_layer`.
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
    image = in_display(source, read_scene_image(source, layer=layer, part=part))
    code8 = preview_code8(
        linear_ap1(image, longest_side=longest_side),
        exposure_stops=exposure_stops,
        display=display,
        view=view,
        threads=threads,
    )
    space = source_space(image)
    text_chunks = {
        "hdrgen:display": display,
        "hdrgen:view": view,
        "hdrgen:exposureStops": f"{exposure_stops:g}",
    }
    write_png8(target, code8, text=text_chunks)
    return Preview(code8.shape[1], code8.shape[0], space, display, view, exposure_stops, preview_notes(image))


def write_strip(
    source: Path,
    target: Path,
    *,
    display: str | None = None,
    view: str | None = None,
    longest_side: int = _STRIP_SIDE,
    layer: str | None = None,
    part: int | str | None = None,
    threads: int = 2,
) -> Preview:
    """Show a picture at nine exposures, -4 to +4 stops, side by side in one 8-bit PNG.

    See `write_preview`; `longest_side` is of one exposure.
    """
    if target.suffix.lower() != ".png":
        raise HdrgenError(f"{target}: strips are written as .png")
    display, view = ocio.display_view(display, view)
    image = in_display(source, read_scene_image(source, layer=layer, part=part))
    linear = linear_ap1(image, longest_side=longest_side)
    code8 = exposure_sheet(linear, columns=len(STRIP_STOPS), display=display, view=view, threads=threads)
    text_chunks = {"hdrgen:display": display, "hdrgen:view": view, "hdrgen:strip": _listed(STRIP_STOPS)}
    write_png8(target, code8, text=text_chunks)
    space = source_space(image)
    return Preview(code8.shape[1], code8.shape[0], space, display, view, 0.0, preview_notes(image))


def write_contact_sheet(image: SceneImage, path: Path) -> None:
    """Write the picture at nine exposures, -4 to +4 stops, through the default display view, as one PNG.

    Raises
    ------
    HdrgenError
        The path is no ``.png``, or cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise HdrgenError(f"{path}: contact sheets are written as .png")
    sheet = exposure_sheet(linear_ap1(image, longest_side=_STRIP_SIDE), stops=STRIP_STOPS, columns=3)
    write_png8(path, sheet, text={"hdrgen:contactSheet": _listed(STRIP_STOPS)})


def exposure_sheet(
    linear_ap1: NDArray[np.float32],
    *,
    columns: int,
    stops: Sequence[int] = STRIP_STOPS,
    display: str | None = None,
    view: str | None = None,
    threads: int = 2,
) -> NDArray[np.uint8]:
    """Return the 8-bit codes of a sheet of exposures, each labelled, row by row."""
    cells = [
        _labelled(
            preview_code8(linear_ap1, exposure_stops=ev, display=display, view=view, threads=threads), ev
        )
        for ev in stops
    ]
    height, width, _ = cells[0].shape
    rows = -(-len(cells) // columns)
    down, across = height + _GAP_PIXELS, width + _GAP_PIXELS
    sheet = np.zeros((rows * down - _GAP_PIXELS, columns * across - _GAP_PIXELS, 3), np.uint8)
    for index, cell in enumerate(cells):
        top, left = index // columns * down, index % columns * across
        sheet[top : top + height, left : left + width] = cell
    return sheet


def _labelled(code8: NDArray[np.uint8], stops: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(code8)
    font = ImageFont.load_default(max(10, min(22, picture.height // 6)))
    label = f"{stops:+d}" if stops else "0"
    ImageDraw.Draw(picture).text((8, 4), label, fill="white", font=font, stroke_width=2, stroke_fill="black")
    return np.array(picture)


def _listed(stops: Sequence[int]) -> str:
    return " ".join(f"{ev:+d}" for ev in stops)


def preview_notes(image: SceneImage) -> tuple[str, ...]:
    """Return what a person should know of what `linear_ap1` shows of a picture."""
    notes = list(image.notes)
    size, square = (image.width, image.height), _square(image)
    if (aspect := image.geometry.pixel_aspect_ratio) != 1.0:
        displayed = f"shown as {square[0]}x{square[1]}" if square != size else "shown as if they were square"
        notes.append(f"pixels are {aspect:g} times as wide as high; {displayed}")
    if image.alpha is not None:
        notes.append("alpha is not shown")
    return tuple(notes)


def linear_ap1(image: SceneImage, *, longest_side: int | None = None) -> NDArray[np.float32]:
    """Return a picture in linear AP1, with square pixels and no larger than asked for.

    NaN becomes black, Inf half's largest value. Data is taken as it is.
    """
    rgb = np.nan_to_num(image.rgb.astype(np.float32), nan=0.0, posinf=65504.0, neginf=-65504.0)
    width, height = _square(image)
    if longest_side is not None and longest_side < max(width, height):
        scale = longest_side / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    for size, method in (
        ((min(width, image.width), min(height, image.height)), cv2.INTER_AREA),
        ((width, height), cv2.INTER_LINEAR),
    ):
        if size != (rgb.shape[1], rgb.shape[0]):
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=method), np.float32)
    return rgb if image.is_data else from_chromaticities(rgb, assumed_chromaticities(image)[0], "acescg")


def source_space(image: SceneImage) -> str:
    """Return the colour space of a picture in words, "data" of what is no light."""
    return "data" if image.is_data else describe(assumed_chromaticities(image)[0])


def _square(image: SceneImage) -> tuple[int, int]:
    return square_pixels(image.width, image.height, image.geometry.pixel_aspect_ratio)


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
