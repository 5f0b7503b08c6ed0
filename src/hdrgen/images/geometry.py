"""Where a picture's pixels lie, in OpenEXR's terms: data window, display window, shape of a pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.runtime.errors import HdrgenError

Window = tuple[int, int, int, int]
"""First column, first row, last column, last row, all inclusive; rows grow downwards."""

MAX_MEGAPIXELS = 300.0
"""A header of a few bytes can claim a display window of any size; nothing larger is filled with black."""
_WIDEST = 8.0  # of pixels that a lens squeezes
_SWAPPED = (5, 6, 7, 8)  # orientations of EXIF whose rows are stored columns
_SQUARE = 0.005  # what resolutions rounded to whole numbers miss 1 by


@dataclass(frozen=True)
class Geometry:
    """Where pixels lie.

    Attributes
    ----------
    data_window
        The pixels that are there.
    display_window
        The frame that is looked at. Pixels outside of it are overscan; where it has none it is black.
    pixel_aspect_ratio
        Width of a pixel over its height.
    """

    data_window: Window
    display_window: Window
    pixel_aspect_ratio: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether the pixels are those of the display window."""
        return self.data_window == self.display_window

    @property
    def is_plain(self) -> bool:
        """Whether a file that says nothing of windows and aspect has this geometry."""
        return self.is_whole and self.data_window[:2] == (0, 0) and self.pixel_aspect_ratio == 1.0

    def with_data(self, window: Window) -> "Geometry":
        """Return the same frame with pixels in another window."""
        return replace(self, data_window=window)

    def in_display(self) -> "Geometry":
        """Return what `placed` makes of it: pixels in all of the display window."""
        return self.with_data(self.display_window)


def geometry_of(attributes: Mapping[str, Any], width: int, height: int) -> Geometry:
    """Return what a header says; a file without windows shows all of its pixels.

    A pixel aspect ratio that is none (0, negative, NaN, Inf) counts as 1.
    """
    whole = (0, 0, width - 1, height - 1)
    data = _window(attributes.get("dataWindow"), whole)
    display = _window(attributes.get("displayWindow"), data)
    return Geometry(data, display, _aspect(attributes))


def size_of(window: Window) -> tuple[int, int]:
    """Return width and height in pixels."""
    return window[2] - window[0] + 1, window[3] - window[1] + 1


def overlap(windows: Sequence[Window]) -> Window | None:
    """Return what lies in all windows, None where nothing does."""
    x0, y0 = (max(window[i] for window in windows) for i in (0, 1))
    x1, y1 = (min(window[i] for window in windows) for i in (2, 3))
    return (x0, y0, x1, y1) if x0 <= x1 and y0 <= y1 else None


def cut(pixels: NDArray[Any], window: Window, part: Window) -> NDArray[Any]:
    """Return the pixels of a part of a window, a view of ``(height, width, ...)``; the part lies inside."""
    x, y = part[0] - window[0], part[1] - window[1]
    width, height = size_of(part)
    return pixels[y : y + height, x : x + width]


def placed(pixels: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Return the pixels of the display window: overscan is cut off, what was never rendered is 0.

    Parameters
    ----------
    pixels
        Those of the data window, ``(height, width, ...)``; the same array comes back where the windows agree.
    geometry
        Where they lie.

    Raises
    ------
    HdrgenError
        The display window is larger than anybody's picture.
    """
    if geometry.is_whole:
        return pixels
    data, display = geometry.data_window, geometry.display_window
    width, height = size_of(display)
    shared = overlap([data, display])
    if shared == display:
        return np.ascontiguousarray(cut(pixels, data, display))
    if width * height > MAX_MEGAPIXELS * 1e6:
        raise HdrgenError(f"its display window is {width}x{height}, more than {MAX_MEGAPIXELS:g} megapixels")
    frame = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
    if shared is not None:
        cut(frame, display, shared)[:] = cut(pixels, data, shared)
    return frame


def visible(pixels: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Return the pixels that are there and are looked at: overscan is cut off, nothing is filled in.

    Parameters
    ----------
    pixels
        Those of the data window, ``(height, width, ...)``; the same array comes back where all of them are seen.
    geometry
        Where they lie.

    Raises
    ------
    HdrgenError
        None of them is in the display window.
    """
    shared = overlap([geometry.data_window, geometry.display_window])
    if shared is None:
        raise HdrgenError("none of its pixels lies in its display window")
    if shared == geometry.data_window:
        return pixels
    return np.ascontiguousarray(cut(pixels, geometry.data_window, shared))


def square_pixels(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Return the size of a picture shown with square pixels, nothing made smaller; as it is where that is absurd."""
    wide, high = round(width * max(aspect, 1.0)), round(height / min(aspect, 1.0))
    usual = 1 / _WIDEST <= aspect <= _WIDEST and wide * high <= MAX_MEGAPIXELS * 1e6
    return (wide, high) if usual else (width, height)


def is_meant(aspect: float) -> bool:
    """Tell whether somebody meant the shape of pixels that resolutions state; programs write some that mean nothing."""
    return 1 / _WIDEST <= aspect <= _WIDEST and abs(aspect - 1) > _SQUARE


def aspect_of_resolutions(across: float, down: float, orientation: int) -> float:
    """Return width over height of a pixel, 1 where the resolutions do not mean any other shape.

    Parameters
    ----------
    across, down
        Pixels along a row and along a column as stored, in one unit.
    orientation
        Of the stored picture, by EXIF; 5 to 8 swap width and height.
    """
    if across <= 0 or down <= 0 or across == down:
        return 1.0
    aspect = across / down if orientation in _SWAPPED else down / across
    return aspect if is_meant(aspect) else 1.0


def resolution_notes(geometry: Geometry | None) -> tuple[str, ...]:
    """Return the shape of pixels that a file states by its resolutions, for a person; nothing of square ones."""
    if geometry is None:
        return ()
    return (f"pixels are {geometry.pixel_aspect_ratio:.4g} times as wide as high, by its resolutions",)


def placed_notes(geometry: Geometry) -> tuple[str, ...]:
    """Return what `placed` did, for a person; nothing where it did nothing."""
    if geometry.is_whole:
        return ()
    data, display = geometry.data_window, geometry.display_window
    what = []
    shared = overlap([data, display])
    if shared != data:
        what.append("what lies outside of the frame was cut off")
    if shared != display:
        what.append("what was never rendered is black")
    window = "{}x{}{:+d}{:+d}".format(*size_of(data), *data[:2])
    return (f"data window {window}, display window {described(display)}: {' and '.join(what)}",)


def aspect_notes(geometry: Geometry) -> tuple[str, ...]:
    """Return that pixels are not square, for a person who opens a PNG or TIFF of them."""
    if geometry.pixel_aspect_ratio == 1.0:
        return ()
    shape = f"pixels are {geometry.pixel_aspect_ratio:g} times as wide as high"
    if not is_meant(geometry.pixel_aspect_ratio):
        return (f"{shape}; they are taken for square where the file is read",)
    return (f"{shape}; the file says so by its resolutions, which few programs read",)


def described(window: Window) -> str:
    """Return a window as it is written: size, and first column and row where they are not 0."""
    width, height = size_of(window)
    return f"{width}x{height}" + (f"{window[0]:+d}{window[1]:+d}" if window[:2] != (0, 0) else "")


def _aspect(attributes: Mapping[str, Any]) -> float:
    try:
        # Radiance states height over width.
        ratio = attributes.get("pixelAspectRatio") or 1 / float(attributes.get("PIXASPECT", 1.0))
        aspect = float(ratio)
    except (TypeError, ValueError, ZeroDivisionError):
        return 1.0
    return aspect if np.isfinite(aspect) and aspect > 0 else 1.0


def _window(edges: Any, whole: Window) -> Window:
    if not isinstance(edges, Sequence) or len(edges) != 4:
        return whole
    x0, y0, x1, y1 = (int(edge) for edge in edges)
    return (x0, y0, x1, y1) if x0 <= x1 and y0 <= y1 else whole
