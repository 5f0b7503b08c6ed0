"""Two picture files judged against each other, whatever their primaries."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AWG4
from hdrgen.conversion import assumed_chromaticities, to_chromaticities
from hdrgen.images.scene_image import read_scene_image
from hdrgen.metrics.quality import judge
from hdrgen.runtime.errors import HdrgenError


def compare_files(test: Path, reference: Path) -> dict[str, float]:
    """Return every metric of `quality.judge` for two OpenEXR or Radiance files, in linear AWG4.

    Raises
    ------
    HdrgenError
        A file cannot be read or holds NaN or Inf, or the two differ in size.
    """
    linear_awg4 = [_linear_awg4(path) for path in (test, reference)]
    sizes = [f"{picture.shape[1]}x{picture.shape[0]}" for picture in linear_awg4]
    if sizes[0] != sizes[1]:
        raise HdrgenError(f"{test} is {sizes[0]} and {reference} is {sizes[1]}: they must have one size")
    if min(linear_awg4[0].shape[:2]) < 11:
        raise HdrgenError(f"{test}: is {sizes[0]}; SSIM needs at least 11x11")
    return judge(*linear_awg4)


def _linear_awg4(path: Path) -> NDArray[np.float32]:
    image = read_scene_image(path)
    if not np.isfinite(image.rgb).all():
        raise HdrgenError(f"{path}: holds NaN or Inf; repair the frame before judging it")
    return to_chromaticities(image.rgb, assumed_chromaticities(image)[0], AWG4)
