"""Merging a stack of exposures without a network: two closed forms over tables, and OpenCV's two classics.

The closed forms work on each component alone, in levels (`hdrgen.exposure.tone_map_tables`). All of them take a stack whose
exposures are known and give scene-linear light at EV 0.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.exposure.bracket_tables import BracketCells, Table, bracket_cells
from hdrgen.exposure.tone_map_tables import level_decode
from hdrgen.runtime.bands import each_band

RESPONSE_FLOOR_LINEAR = 1e-3
"""Least light of a code for OpenCV, which takes its logarithm; LogC4's lowest codes are black or below."""


def inverse_variance_merge(
    codes: Sequence[NDArray[Any]],
    cells: Sequence[BracketCells],
    occluded: Sequence[NDArray[np.bool_]] | None = None,
) -> NDArray[np.float32]:
    """Average the brackets' levels, each weighted by the inverse variance of its code.

    Where all brackets are clipped, the one that clips last decides.

    Parameters
    ----------
    codes
        The brackets, uint8 or uint16 of shape ``(H, W, 3)``.
    cells
        The tables of each bracket's codes.
    occluded
        Shape ``(H, W)`` each: pixels of a bracket that have no weight, unless all brackets are occluded there.

    Returns
    -------
    array
        Scene-linear light at EV 0, float32 of shape ``(H, W, 3)``.
    """
    level, total = _weighted_mean(codes, cells, occluded)
    nothing = total == 0
    if occluded is not None and nothing.any():
        level[nothing] = _weighted_mean(codes, cells, None)[0][nothing]
    return level_decode(level)


def cell_intersection(
    codes: Sequence[NDArray[Any]],
    cells: Sequence[BracketCells],
    occluded: Sequence[NDArray[np.bool_]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the lowest and highest levels that all brackets' codes allow; crossed where their cells do not meet.

    Parameters as of `inverse_variance_merge`, or one component ``(H, W)`` of the codes. Occluded brackets bound nothing.
    """
    lower = np.full(codes[0].shape, -np.inf, np.float32)
    upper = np.full(codes[0].shape, np.inf, np.float32)
    for bracket, (code, cell) in enumerate(zip(codes, cells, strict=True)):
        lowest, highest = (_look_up(table, code) for table in (cell.lower, cell.upper))
        if occluded is not None:
            lowest[occluded[bracket]], highest[occluded[bracket]] = -np.inf, np.inf
        np.maximum(lower, lowest, out=lower)
        np.minimum(upper, highest, out=upper)
    return lower, upper


def cell_intersection_merge(
    codes: Sequence[NDArray[Any]], cells: Sequence[BracketCells]
) -> NDArray[np.float32]:
    """Return the middle of what all quantisation cells allow: nothing is better for clean brackets.

    A component whose cells do not meet (noise, motion), or which is clipped in all brackets, falls back to
    `inverse_variance_merge`. Parameters and result as there.
    """
    lower, upper = cell_intersection(codes, cells)
    meet = (lower <= upper) & np.isfinite(lower) & np.isfinite(upper)
    linear = inverse_variance_merge(codes, cells)
    linear[meet] = level_decode((lower[meet] + upper[meet]) / 2)
    return linear


def debevec_merge(codes: Sequence[NDArray[Any]], encoding: str, evs: Sequence[float]) -> NDArray[np.float32]:
    """Merge by OpenCV's ``MergeDebevec`` (Debevec and Malik 1997, equation 6) with the known response.

    Parameters
    ----------
    codes
        The brackets, ``(H, W, 3)``; uint16 is rounded to uint8, which is all that OpenCV takes.
    encoding
        A key of `ENCODINGS`, or ``level16``.
    evs
        Exposure value of each bracket.

    Returns
    -------
    array
        Scene-linear light at EV 0, float32 of shape ``(H, W, 3)``.
    """
    return _opencv_merge(cv2.createMergeDebevec().process, codes, encoding, evs)


def robertson_merge(
    codes: Sequence[NDArray[Any]], encoding: str, evs: Sequence[float]
) -> NDArray[np.float32]:
    """Merge by OpenCV's ``MergeRobertson`` (Robertson et al. 1999) with the known response; see `debevec_merge`."""
    return _opencv_merge(cv2.createMergeRobertson().process, codes, encoding, evs)


def seen_share(
    codes: Sequence[NDArray[Any]],
    cells: Sequence[BracketCells],
    occluded: Sequence[NDArray[np.bool_]] | None = None,
    *,
    threads: int = 2,
) -> NDArray[np.float32]:
    """Return how much of each pixel was seen, ``(H, W)``: 0 where there was nothing but clipping.

    The share of its three components that some bracket shows neither clipped nor occluded. Parameters as of
    `inverse_variance_merge`.
    """
    share = np.empty(codes[0].shape[:2], np.float32)

    def look(rows: slice) -> None:
        seen = np.zeros(codes[0][rows].shape, bool)
        for bracket, (code, cell) in enumerate(zip(codes, cells, strict=True)):
            shown = ~cell.clipped[code[rows]]
            if occluded is not None:
                shown &= ~occluded[bracket][rows, :, None]
            seen |= shown
        share[rows] = seen.mean(axis=-1, dtype=np.float32)

    each_band(len(share), look, threads=threads)
    return share


def _weighted_mean(
    codes: Sequence[NDArray[Any]],
    cells: Sequence[BracketCells],
    occluded: Sequence[NDArray[np.bool_]] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weighted mean of levels and the sum of weights; the mean is 0 where the sum is."""
    level, total = np.zeros((2, *codes[0].shape), np.float32)
    for bracket, (code, c) in enumerate(zip(codes, cells, strict=True)):
        weight = _look_up(c.weight, code)
        if occluded is not None:
            weight[occluded[bracket]] = 0
        total += weight
        level += weight * _look_up(c.level, code)
    np.divide(level, total, out=level, where=total > 0)
    return level, total


def _look_up(table: Table, code: NDArray[Any]) -> NDArray[np.float32]:
    looked_up: Any = cv2.LUT(code, table) if code.dtype == np.uint8 else table[code]
    return looked_up


def _opencv_merge(
    process: Callable[..., Any], codes: Sequence[NDArray[Any]], encoding: str, evs: Sequence[float]
) -> NDArray[np.float32]:
    codes8 = [c if c.dtype == np.uint8 else cv2.convertScaleAbs(c, alpha=1 / 257) for c in codes]
    linear = level_decode(bracket_cells(encoding, 8, 0.0, evs=(0.0,)).level)
    response = np.repeat(np.maximum(linear, RESPONSE_FLOOR_LINEAR), 3).reshape(256, 1, 3)
    times_s = np.exp2(np.array(evs, np.float32))
    merged: NDArray[np.float32] = process(codes8, times_s, response)
    return merged
