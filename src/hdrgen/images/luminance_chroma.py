"""Channels with fewer samples than the picture has pixels, and RGB out of luminance and chroma.

OpenEXR lets a channel have one sample for every few pixels across and down; the sample lies on the first of them.
"""

import numpy as np
from numpy.typing import NDArray

# Taps of the filter that OpenEXR halves chroma with, on odd samples (ImfRgbaYca.cpp, N = 27).
_CHROMA_TAPS = np.array([0.002128, -0.007540, 0.019597, -0.043159, 0.087929, -0.186077, 0.627123], np.float32)


def rgb_from_luminance_chroma(
    y: NDArray[np.floating], ry: NDArray[np.floating], by: NDArray[np.floating], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Rebuild RGB from luminance and RY = (R - Y) / Y, BY = (B - Y) / Y (OpenEXR's Technical Introduction).

    Parameters
    ----------
    y, ry, by
        All of shape ``(height, width)``.
    weights
        The luminance weights of the primaries, summing to 1.
    """
    y = y.astype(np.float32)
    w_r, w_g, w_b = weights.astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # as light is broken in the file
        red, blue = (ry + np.float32(1)) * y, (by + np.float32(1)) * y
        return np.stack([red, (y - w_r * red - w_b * blue) / w_g, blue], axis=-1)


def full_chroma(
    chroma: NDArray[np.floating], sampling: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring RY or BY to the size of the picture: stored samples stay, those between are OpenEXR's filter.

    OpenEXR itself knows every second pixel only; other samplings are interpolated as any channel is.

    Parameters
    ----------
    chroma
        The samples, ``(rows, columns)``.
    sampling
        Of how many pixels across and down there is one.
    shape
        Height and width of the picture.
    """
    result = chroma.astype(np.float32)
    for axis, every in ((0, sampling[1]), (1, sampling[0])):
        if every == 2:
            result = _doubled(result, axis, shape[axis])
        elif every > 1:
            result = _interpolated(result, axis, every, shape[axis])
    return result


def full_size(
    samples: NDArray[np.floating], sampling: tuple[int, int], shape: tuple[int, int], *, held: bool = False
) -> NDArray[np.floating]:
    """Bring a channel to the size of the picture, straight lines between the samples; the same array where it is.

    Parameters
    ----------
    samples, sampling, shape
        As of `full_chroma`; the float type stays.
    held
        Repeat the samples instead, for numbers that mean things: between two of them lies a third thing.
    """
    result = samples
    for axis, every in ((0, sampling[1]), (1, sampling[0])):
        if held and every > 1:
            result = np.repeat(result, every, axis)[tuple(slice(length) for length in shape[: axis + 1])]
        elif every > 1:
            result = _interpolated(result, axis, every, shape[axis])
    return result


def _interpolated(samples: NDArray[np.floating], axis: int, every: int, length: int) -> NDArray[np.floating]:
    """Put straight lines between the samples; the last one holds."""
    place = np.arange(length) / np.float32(every)
    before = np.minimum(place.astype(np.int64), samples.shape[axis] - 1)
    after = np.minimum(before + 1, samples.shape[axis] - 1)
    share = np.expand_dims((place - before).astype(np.float32), 1 - axis)
    first, second = (np.take(samples, index, axis).astype(np.float32) for index in (before, after))
    with np.errstate(invalid="ignore"):  # Inf less Inf, where light is broken in the file
        between = np.where(share > 0, first * (1 - share) + second * share, first)
    return between.astype(samples.dtype)


def _doubled(samples: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    samples = np.moveaxis(samples, axis, 0)
    taps = np.concatenate([_CHROMA_TAPS, _CHROMA_TAPS[::-1]])
    padded = np.pad(samples, ((6, 7), (0, 0)), mode="edge")
    with np.errstate(invalid="ignore"):  # as above
        between = sum(tap * padded[i : i + len(samples)] for i, tap in enumerate(taps))
    # Luminance times an overshoot is a coloured fringe, so what lies between stays between its neighbours.
    following = padded[7 : 7 + len(samples)]
    between = np.clip(between, np.minimum(samples, following), np.maximum(samples, following))
    result = np.empty((2 * len(samples), *samples.shape[1:]), np.float32)
    result[0::2], result[1::2] = samples, between
    return np.moveaxis(result[:length], 0, axis)
