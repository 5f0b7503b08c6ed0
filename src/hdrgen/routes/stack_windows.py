"""Exposures whose data windows differ, brought to the pixels that all of them have."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hdrgen.images.geometry import Geometry, cut, described, overlap
from hdrgen.images.stored_image import SceneImage
from hdrgen.runtime.errors import HdrgenError


def brought_together(
    paths: Sequence[Path], images: Sequence[SceneImage]
) -> tuple[list[SceneImage], Geometry, tuple[str, ...]]:
    """Return exposures of one data window, their geometry, and what a person should know of it.

    Raises
    ------
    HdrgenError
        They have different display windows, pixels of different shape, or no pixel in common.
    """
    first = images[0].geometry
    for path, image in zip(paths, images, strict=True):
        geometry = image.geometry
        if geometry.display_window != first.display_window:
            displays = [described(first.display_window), described(geometry.display_window)]
            what = "is" if first.is_whole and geometry.is_whole else "has the display window"
            raise HdrgenError(
                f"{paths[0]} {what} {displays[0]} and {path} {what} {displays[1]}: the exposures must have one size"
            )
        if geometry.pixel_aspect_ratio != first.pixel_aspect_ratio:
            aspects = f"{first.pixel_aspect_ratio:g} and {geometry.pixel_aspect_ratio:g}"
            raise HdrgenError(
                f"{paths[0]} and {path}: pixels are {aspects} times as wide as high; exposures must have pixels of one shape"
            )
    windows = [image.geometry.data_window for image in images]
    if len(set(windows)) == 1:
        return list(images), first, ()
    shared = overlap(windows)
    if shared is None:
        raise HdrgenError(
            f"{', '.join(map(str, paths))}: have no pixel in common; their data windows are "
            f"{', '.join(map(described, windows))}"
        )
    merged = [
        replace(
            image,
            rgb=cut(image.rgb, window, shared),
            alpha=None if image.alpha is None else cut(image.alpha, window, shared),
            attributes={**image.attributes, "dataWindow": list(shared)},
        )
        for image, window in zip(images, windows, strict=True)
    ]
    note = f"data windows differ: what all exposures have is merged, {described(shared)}"
    return merged, first.with_data(shared), (note,)
