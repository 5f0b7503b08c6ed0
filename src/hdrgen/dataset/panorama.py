"""Camera-like views out of 360-degree panoramas (latitude-longitude)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.dataset.ingest_settings import PanoramaParams

Direction = tuple[float, float]
"""Yaw and pitch in degrees: yaw grows to the right of the panorama's middle, pitch grows upwards."""


def wraps_around(linear: NDArray[np.floating]) -> bool:
    """Tell a panorama from a camera frame of the same 2:1 shape by its pixels.

    The left edge of a panorama goes on at its right edge, and its top and bottom rows are one point each:
    neighbours there hardly differ. On 43 panoramas they differ by less than a tenth of what neighbours do
    elsewhere; on 2:1 crops of 23 camera frames never in both rows.

    Parameters
    ----------
    linear
        Scene-linear RGB, shape ``(height, width, 3)``.
    """
    green = linear[..., 1].astype(np.float32)
    if green.shape[1] != 2 * green.shape[0] or green.shape[0] < 8:
        return False
    stops = np.log2(np.clip(np.nan_to_num(green, nan=0.0), 1e-4, 1e4))
    middle = stops[len(stops) // 4 : -len(stops) // 4]
    neighbours = np.abs(np.diff(middle, axis=1)).mean()
    seam = np.abs(middle[:, 0] - middle[:, -1]).mean()
    poles = np.abs(np.diff(stops[[0, -1]], axis=1)).mean(axis=1)
    return bool(neighbours > 0 and seam <= 3 * neighbours and (poles <= 0.15 * neighbours).all())


def view_size(panorama_width: int, params: PanoramaParams) -> tuple[int, int]:
    """Return the width and height of a view whose middle has the panorama's own density of pixels."""
    per_radian = panorama_width / (2 * np.pi)
    width = 2 * per_radian * np.tan(np.radians(params.field_of_view_degrees) / 2)
    # Encoders and networks like multiples of 16.
    width = max(16, min(params.max_width, round(width / 16) * 16))
    return width, max(16, round(width / params.aspect / 16) * 16)


def view_directions(luminance: NDArray[np.float32], params: PanoramaParams) -> list[Direction]:
    """Return where the views look: the first one at the brightest light, the rest evenly around the horizon.

    Pitch follows the light up to a limit, so that a sun at noon is not the only thing in the picture.
    """
    usable = np.maximum(np.where(np.isfinite(luminance), luminance, np.float32(0)), 0)
    small = cv2.resize(usable, (64, 32), interpolation=cv2.INTER_AREA)
    row, column = np.unravel_index(int(small.argmax()), small.shape)
    yaw = (float(column) + 0.5) / 64 * 360 - 180
    pitch = 90 - (float(row) + 0.5) / 32 * 180
    limit = params.pitch_limit_degrees
    level = [(_wrapped(yaw + 360 * i / params.views), 0.0) for i in range(1, params.views)]
    return [(yaw, float(np.clip(pitch, -limit, limit))), *level]


def rectilinear_view(
    panorama: NDArray[np.floating], direction: Direction, size: tuple[int, int], field_of_view_degrees: float
) -> NDArray[np.float32]:
    """Look into a panorama with a pinhole camera.

    Every pixel is the mean of 2x2 bilinear samples, which is close to the mean over its area as long as the
    view is no coarser than `view_size` makes it; a coarser one is made from a smaller panorama.

    Parameters
    ----------
    panorama
        Scene-linear, shape ``(height, 2 * height, channels)``; row 0 is the zenith.
    direction
        Yaw and pitch of the camera.
    size
        Width and height of the view in pixels.
    field_of_view_degrees
        Horizontal.

    Returns
    -------
    array
        Shape ``(height, width, channels)``, float32.
    """
    width, height = size
    yaw, pitch = np.radians(direction)
    focal = width / (2 * np.tan(np.radians(field_of_view_degrees) / 2))  # in pixels
    panorama = panorama.astype(np.float32, copy=False)
    native = panorama.shape[1] / (2 * np.pi)
    if focal < native / 1.5:
        shrunk = round(2 * np.pi * focal / 2) * 2
        panorama = np.asarray(
            cv2.resize(panorama, (shrunk, shrunk // 2), interpolation=cv2.INTER_AREA), np.float32
        )
    rows, columns = panorama.shape[:2]

    # Rays at quarter pixels, camera x to the right, y down, z ahead; then pitched up.
    x = (np.arange(2 * width) + 0.5) / 2 - width / 2
    y = (np.arange(2 * height) + 0.5) / 2 - height / 2
    x, y = np.meshgrid(x / focal, y / focal)
    ahead = np.cos(pitch) + y * np.sin(pitch)
    up = np.sin(pitch) - y * np.cos(pitch)
    longitude = yaw + np.arctan2(x, ahead)
    latitude = np.arctan2(up, np.hypot(x, ahead))

    column = np.mod(longitude / (2 * np.pi) + 0.5, 1.0) * columns - 0.5
    row = (0.5 - latitude / np.pi) * rows - 0.5
    wrapped = np.concatenate([panorama[:, -1:], panorama, panorama[:, :1]], axis=1)
    samples = cv2.remap(
        wrapped,
        (column + 1).astype(np.float32),
        row.astype(np.float32),
        interpolation=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    view: NDArray[np.float32] = samples.reshape(height, 2, width, 2, -1).mean(axis=(1, 3))
    return view


def _wrapped(degrees: float) -> float:
    return (degrees + 180) % 360 - 180
