"""What is in a scene-linear picture: its light in numbers, in stops, and at a glance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import Chromaticities, luminance_weights
from hdrgen.images.conversion import assumed_chromaticities
from hdrgen.images.exr import HALF_MAX
from hdrgen.images.light_statistics import luminance_percentiles
from hdrgen.images.pixel_share import pixel_share
from hdrgen.images.stored_image import SceneImage
from hdrgen.runtime.errors import HdrgenError

MID_GREY = 0.18
LOWEST_STOP, HIGHEST_STOP = -16, 20
"""Stops from mid-grey that the histogram tells apart; half floats end at +18.5."""

NEAR_MAXIMUM = 0.999
"""Components this close to a picture's largest one, as a ratio, are pinned to it."""


@dataclass(frozen=True)
class Statistics:
    """The light of a picture. Counts are of values (three to a pixel), shares are of pixels.

    Percentiles and stops are of positive, finite relative luminance; stops from p0.1 to p99.9. `ceiling_share`
    is the share of pixels at exactly the largest value of some component: one or two in a picture that fits,
    more where something was cut off.
    """

    nan_values: int
    inf_values: int
    negative_values: int
    half_max_values: int
    minimum_linear: float
    maximum_linear: float
    ceiling_share: float
    above_one_share: float
    percentiles: dict[str, float]
    stops: float


@dataclass(frozen=True)
class StopsHistogram:
    """Shares of pixels by luminance in stops from mid-grey.

    ``shares[i]`` is that from ``edges_stops[i]`` to ``edges_stops[i + 1]``, what lies beyond is counted in the
    first and the last; `dark_share` has no positive luminance. NaN and Inf are left out.
    """

    edges_stops: tuple[float, ...]
    shares: tuple[float, ...]
    dark_share: float


def luminance_of(image: SceneImage) -> NDArray[np.float32]:
    """Return relative luminance ``(height, width)`` by the file's own primaries, Rec.709 where it states none.

    Raises
    ------
    HdrgenError
        The stated primaries span no colour space.
    """
    chromaticities: Chromaticities = assumed_chromaticities(image)[0]
    try:
        weights = luminance_weights(chromaticities)
    except ValueError as error:
        raise HdrgenError(str(error)) from None
    with np.errstate(invalid="ignore"):
        return np.asarray(image.rgb.astype(np.float32) @ weights.astype(np.float32))


def statistics(image: SceneImage) -> Statistics:
    """Measure a picture's light as it is stored."""
    rgb = image.rgb
    finite = np.isfinite(rgb)
    nan_values = int(np.count_nonzero(np.isnan(rgb)))
    usable = rgb if finite.all() else np.where(finite, rgb, rgb.dtype.type(0))
    highest = usable.max(axis=(0, 1))
    at_ceiling = [float(np.mean(usable[..., c] == highest[c])) if highest[c] > 0 else 0.0 for c in range(3)]
    light = luminance_percentiles(luminance_of(image))
    stops = light.pop("stops")
    return Statistics(
        nan_values=nan_values,
        inf_values=int(finite.size - np.count_nonzero(finite)) - nan_values,
        negative_values=int(np.count_nonzero(usable < 0)),
        half_max_values=int(np.count_nonzero(np.abs(usable) >= HALF_MAX)),
        minimum_linear=float(usable.min()),
        maximum_linear=float(highest.max()),
        ceiling_share=max(at_ceiling),
        above_one_share=pixel_share(usable > 1),
        percentiles={name.removeprefix("luminance_"): value for name, value in light.items()},
        stops=stops,
    )


def at_maximum_share(linear_awg4: NDArray[np.floating]) -> float:
    """Return the share of pixels with a component at the picture's own maximum: a plateau, where light was cut off."""
    largest = np.nan_to_num(linear_awg4, nan=0, posinf=0, neginf=0).max(-1)
    return float(np.mean(largest >= NEAR_MAXIMUM * largest.max()))


def stops_histogram(image: SceneImage, *, bins_per_stop: int = 2) -> StopsHistogram:
    """Count pixels by luminance in stops from mid-grey (0.18)."""
    y = luminance_of(image)
    y = y[np.isfinite(y)]
    count = (HIGHEST_STOP - LOWEST_STOP) * bins_per_stop
    edges = tuple(LOWEST_STOP + i / bins_per_stop for i in range(count + 1))
    positive = y[y > 0]
    stops = np.log2(positive) - np.float32(np.log2(MID_GREY))
    place = np.floor((stops - LOWEST_STOP) * bins_per_stop).astype(np.int64)
    counts = np.bincount(np.clip(place, 0, count - 1), minlength=count)
    total = max(y.size, 1)
    return StopsHistogram(edges, tuple(map(float, counts / total)), (y.size - positive.size) / total)
