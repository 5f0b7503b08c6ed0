"""Pictures for a page: the same light at nine exposures, in false colour and as histograms, side by side."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hdrgen.colour.false_colour import HIGHEST_STOP, LOWEST_STOP, MID_GREY, false_colour
from hdrgen.colour.primaries import AP1, luminance
from hdrgen.images.scene_image import read_scene_image
from hdrgen.qc.preview import STRIP_STOPS, exposure_sheet, linear_ap1, preview_code8
from hdrgen.qc.statistics import stops_histogram
from hdrgen.report.curves import histogram_svg
from hdrgen.runtime.errors import HdrgenError


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture in the page's own bytes."""

    uri: str
    width: int
    height: int
    text: str
    """The text in place of the picture where it cannot be seen."""


@dataclass(frozen=True)
class Rendered:
    """One of several pictures of the same thing."""

    name: str
    strip: EmbeddedPicture
    false_colour: EmbeddedPicture


@dataclass(frozen=True)
class SideBySide:
    """Several pictures of the same thing, and their histograms in one plot."""

    title: str
    pictures: tuple[Rendered, ...]
    histogram: EmbeddedPicture


def side_by_side(
    title: str, paths: Mapping[str, Path], *, longest_side: int, quality: int, threads: int = 2
) -> SideBySide:
    """Show EXRs of the same thing through the ACES 2.0 view from -4 to +4 stops, and what light is in them.

    Parameters
    ----------
    title
        What they show.
    paths
        The files by what made them.
    longest_side
        Longest side of one exposure, in pixels.
    quality
        Quality of the compression, 1 to 100.
    threads
        Threads to work with.

    Raises
    ------
    HdrgenError
        A file cannot be read.
    """
    rendered, shares, edges = [], {}, np.zeros(0)
    for name, path in paths.items():
        image = read_scene_image(path)
        histogram = stops_histogram(image)
        shares[name], edges = np.array(histogram.shares), np.array(histogram.edges_stops)
        linear = linear_ap1(image, longest_side=longest_side)
        strip = exposure_sheet(linear, columns=len(STRIP_STOPS), threads=threads)
        colours = false_colour(luminance(linear, AP1))
        rendered.append(
            Rendered(
                name,
                webp(strip, f"{title}, {name}, {STRIP_STOPS[0]:+d} to {STRIP_STOPS[-1]:+d} stops", quality),
                lossless(colours, f"{title}, {name}, in false colour"),
            )
        )
    histogram_of_all = svg(histogram_svg(shares, edges, "Histogram in stops"), f"{title}, histogram in stops")
    return SideBySide(title, tuple(rendered), histogram_of_all)


def contact_sheet(
    paths: Sequence[Path], text: str, *, columns: int, longest_side: int, quality: int, threads: int = 2
) -> EmbeddedPicture:
    """Show EXRs at EV 0 through the ACES 2.0 view in one picture, row by row.

    Raises
    ------
    HdrgenError
        A file cannot be read.
    """
    cells = [
        preview_code8(linear_ap1(read_scene_image(path), longest_side=longest_side), threads=threads)
        for path in paths
    ]
    height, width = (max(cell.shape[axis] for cell in cells) + 2 for axis in (0, 1))
    columns = min(columns, len(cells))
    sheet = np.zeros((-(-len(cells) // columns) * height, columns * width, 3), np.uint8)
    for place, cell in enumerate(cells):
        top, left = place // columns * height, place % columns * width
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return webp(sheet, text, quality)


def thumbnail(path: Path, text: str, *, longest_side: int, quality: int) -> EmbeddedPicture:
    """Show one EXR at EV 0 through the ACES 2.0 view.

    Raises
    ------
    HdrgenError
        The file cannot be read.
    """
    return contact_sheet([path], text, columns=1, longest_side=longest_side, quality=quality)


def display_picture(path: Path, text: str, *, longest_side: int, quality: int) -> EmbeddedPicture:
    """Show a picture that is meant for a monitor already, no larger than asked for.

    Raises
    ------
    HdrgenError
        It cannot be read.
    """
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise HdrgenError(f"{path}: cannot be shown ({error}); run its stage again") from None
    picture.thumbnail((longest_side, longest_side))
    return webp(np.asarray(picture), text, quality)


def false_colour_scale() -> list[tuple[str, str]]:
    """Return the colours of false colour as CSS, each with its stop from mid-grey."""
    stops = np.arange(LOWEST_STOP, HIGHEST_STOP + 1)
    colours = false_colour(MID_GREY * 2.0 ** stops[None].astype(np.float64))[0]
    return [(f"rgb({r}, {g}, {b})", f"{stop:+d}") for (r, g, b), stop in zip(colours, stops, strict=True)]


def webp(code8: NDArray[np.uint8], text: str, quality: int) -> EmbeddedPicture:
    """Return 8-bit codes ``(H, W, 3)`` as a picture of the page."""
    return _embedded(code8, text, "webp", quality=quality, method=4)


def lossless(code8: NDArray[np.uint8], text: str) -> EmbeddedPicture:
    """Return 8-bit codes ``(H, W, 3)`` as a picture of the page, bit for bit: codes that stand for something."""
    return _embedded(code8, text, "webp", lossless=True)


def svg(drawing: str, text: str) -> EmbeddedPicture:
    """Return a drawing as a picture of the page, of which nothing can run or collide with other drawings."""
    return EmbeddedPicture(_uri("svg+xml", drawing.encode()), 0, 0, text)


def _embedded(code8: NDArray[np.uint8], text: str, kind: str, **how: int) -> EmbeddedPicture:
    stream = io.BytesIO()
    Image.fromarray(code8).save(stream, kind, **how)
    return EmbeddedPicture(_uri(kind, stream.getvalue()), code8.shape[1], code8.shape[0], text)


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
