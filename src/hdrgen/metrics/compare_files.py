"""Two picture files compared with each other, whatever their primaries."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AWG4, Chromaticities
from hdrgen.images.conversion import assumed_chromaticities, to_chromaticities
from hdrgen.images.geometry import Window, cut, described, overlap
from hdrgen.images.scene_image import read_scene_image
from hdrgen.images.stored_image import SceneImage
from hdrgen.metrics.compare_plots import write_comparison_plot
from hdrgen.metrics.full_reference import SMALLEST_SIDE, Comparison, compare_corrected, correct
from hdrgen.runtime.choices import ScaleBy
from hdrgen.runtime.errors import HdrgenError


@dataclass(frozen=True)
class FileComparison(Comparison):
    """A comparison of two files: the window compared, None where windows were ignored, and what is to be known."""

    window: Window | None = None
    notes: tuple[str, ...] = ()


def compare_files(
    test: Path,
    reference: Path,
    *,
    metrics: Sequence[str] | None = None,
    scale: ScaleBy = "none",
    crf: bool = False,
    plot: Path | None = None,
    layers: tuple[str | None, str | None] = (None, None),
    parts: tuple[int | str | None, int | str | None] = (None, None),
    ignore_windows: bool = False,
) -> FileComparison:
    """Compare one OpenEXR or Radiance file with another, both in linear AWG4.

    Data that was asked for is compared as it is, without that. Pixels are compared where both files have them, by the coordinates of their data windows.

    Parameters
    ----------
    test, reference
        The files.
    metrics, scale, crf
        As of `compare_pictures`.
    plot
        A PNG to write: histograms, and the error in stops by luminance and by place.
    layers, parts
        What to read of an EXR, of the test and of the reference, see `layers.choose_layer`.
    ignore_windows
        Compare from the first pixel of each on, wherever they lie; the two must have one size.

    Raises
    ------
    HdrgenError
        A file cannot be read or holds NaN or Inf, the two differ in size, have no pixel in common or too few, or
        something that was asked for is unknown or not installed.
    """
    paths = (test, reference)
    images = [
        read_scene_image(path, layer=layer, part=part)
        for path, layer, part in zip(paths, layers, parts, strict=True)
    ]
    pixels, window, notes = _in_common(paths, images, ignore_windows=ignore_windows)
    # Numbers that are no colour would not be the same ones after a matrix, nor comparable with what went through it.
    as_they_are = any(image.is_data for image in images)
    linear_awg4 = [
        _linear_awg4(path, rgb, AWG4 if as_they_are else assumed_chromaticities(image)[0])
        for path, rgb, image in zip(paths, pixels, images, strict=True)
    ]
    if as_they_are:
        notes = (*notes, "data: compared as it is, without colour conversion")
    height, width, _ = linear_awg4[0].shape
    if min(width, height) < SMALLEST_SIDE:
        what = (
            f"{test}: is"
            if window in (None, images[0].geometry.data_window)
            else f"{test} and {reference}: share"
        )
        raise HdrgenError(f"{what} {width}x{height}; SSIM needs at least {SMALLEST_SIDE}x{SMALLEST_SIDE}")
    corrected, correction = correct(*linear_awg4, scale=scale, crf=crf)
    comparison = compare_corrected(corrected, linear_awg4[1], correction, metrics)
    if plot is not None:
        title = f"{test.name} against {reference.name}, correction: {correction}"
        write_comparison_plot(plot, corrected, linear_awg4[1], title)
    noted = [*_notes(paths, images), *notes]
    return FileComparison(**vars(comparison), window=window, notes=tuple(noted))


def _in_common(
    paths: tuple[Path, Path], images: list[SceneImage], *, ignore_windows: bool
) -> tuple[list[NDArray[np.floating]], Window | None, tuple[str, ...]]:
    """Return the pixels to compare, the window that they lie in, and what is to be known of it."""
    pixels, (test, reference) = [image.rgb for image in images], [image.geometry for image in images]
    sizes = [f"{image.width}x{image.height}" for image in images]
    unlike = HdrgenError(f"{paths[0]} is {sizes[0]} and {paths[1]} is {sizes[1]}: they must have one size")
    if ignore_windows:
        if sizes[0] != sizes[1]:
            raise unlike
        return pixels, None, ()
    if test.data_window == reference.data_window and test.display_window == reference.display_window:
        return pixels, test.data_window, ()
    corners = {test.display_window[:2], reference.display_window[:2]}
    if test.is_whole and reference.is_whole and len(corners) == 1:
        raise unlike  # in pixels: coordinates of pictures of two resolutions have nothing to do with each other
    shared = overlap([test.data_window, reference.data_window])
    frames = [described(test.display_window), described(reference.display_window)]
    differ = f"the display windows differ, {frames[0]} and {frames[1]}" if frames[0] != frames[1] else ""
    way_out = (
        "--ignore-windows compares pixel by pixel" if sizes[0] == sizes[1] else "crop or place one of them"
    )
    if shared is None:
        windows = f"{described(test.data_window)} and {described(reference.data_window)}"
        also = f"; {differ}" if differ else ""
        raise HdrgenError(f"{paths[0]} and {paths[1]}: have no pixel in common, {windows}{also}; {way_out}")
    notes = [f"{differ}; {way_out}"] if differ else []
    if test.data_window != reference.data_window:
        notes.insert(0, f"compared where both have pixels: {described(shared)} of {' and '.join(sizes)}")
    places = [image.geometry.data_window for image in images]
    return [cut(rgb, place, shared) for rgb, place in zip(pixels, places, strict=True)], shared, tuple(notes)


def _notes(paths: tuple[Path, Path], images: list[SceneImage]) -> list[str]:
    notes = [f"{path}: {note}" for path, image in zip(paths, images, strict=True) for note in image.notes]
    aspects = [image.geometry.pixel_aspect_ratio for image in images]
    if aspects[0] != aspects[1]:
        notes.append(f"pixels differ in shape: {aspects[0]:g} and {aspects[1]:g} times as wide as high")
    if any(image.alpha is not None for image in images):
        notes.append("alpha is not compared")
    return notes


def _linear_awg4(
    path: Path, rgb: NDArray[np.floating], chromaticities: Chromaticities
) -> NDArray[np.float32]:
    if not np.isfinite(rgb).all():
        raise HdrgenError(f"{path}: holds NaN or Inf; repair the frame before judging it")
    return to_chromaticities(rgb, chromaticities, AWG4)
