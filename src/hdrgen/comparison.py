"""Two picture files judged against each other, whatever their primaries."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AWG4
from hdrgen.comparison_plots import write_comparison_plot
from hdrgen.conversion import assumed_chromaticities, to_chromaticities
from hdrgen.images.scene_image import read_scene_image
from hdrgen.metrics.correction import ScaleBy
from hdrgen.metrics.full_reference import SMALLEST_SIDE, Comparison, compare_corrected, correct
from hdrgen.runtime.errors import HdrgenError


def compare_files(
    test: Path,
    reference: Path,
    *,
    metrics: Sequence[str] | None = None,
    scale: ScaleBy = "none",
    crf: bool = False,
    plot: Path | None = None,
) -> Comparison:
    """Judge one OpenEXR or Radiance file against another, both in linear AWG4.

    Parameters
    ----------
    test, reference
        The files.
    metrics, scale, crf
        As of `compare_pictures`.
    plot
        A PNG to write: histograms, and the error in stops by luminance and by place.

    Raises
    ------
    HdrgenError
        A file cannot be read or holds NaN or Inf, the two differ in size or are too small, or something that was
        asked for is unknown or not installed.
    """
    linear_awg4 = [_linear_awg4(path) for path in (test, reference)]
    sizes = [f"{picture.shape[1]}x{picture.shape[0]}" for picture in linear_awg4]
    if sizes[0] != sizes[1]:
        raise HdrgenError(f"{test} is {sizes[0]} and {reference} is {sizes[1]}: they must have one size")
    if min(linear_awg4[0].shape[:2]) < SMALLEST_SIDE:
        raise HdrgenError(f"{test}: is {sizes[0]}; SSIM needs at least {SMALLEST_SIDE}x{SMALLEST_SIDE}")
    corrected, correction = correct(*linear_awg4, scale=scale, crf=crf)
    comparison = compare_corrected(corrected, linear_awg4[1], correction, metrics)
    if plot is not None:
        title = f"{test.name} against {reference.name}, correction: {correction}"
        write_comparison_plot(plot, corrected, linear_awg4[1], title)
    return comparison


def _linear_awg4(path: Path) -> NDArray[np.float32]:
    image = read_scene_image(path)
    if not np.isfinite(image.rgb).all():
        raise HdrgenError(f"{path}: holds NaN or Inf; repair the frame before judging it")
    return to_chromaticities(image.rgb, assumed_chromaticities(image)[0], AWG4)
