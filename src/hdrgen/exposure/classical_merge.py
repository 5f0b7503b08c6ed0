"""Merging a stack of exposures without a network: two closed forms over tables, and OpenCV's two classics.

The closed forms work on each component alone, in the log2 encoding (`hdrgen.exposure.log2_encoding`). All of them take a
stack whose exposures are known and give scene-linear light at EV 0.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.exposure.bracket_tables import BracketTables, Table, bracket_tables
from hdrgen.exposure.log2_encoding import log2_decode
from hdrgen.runtime.bands import each_band

RESPONSE_FLOOR_LINEAR = 1e-3
"""Least light of a code for OpenCV, which takes its logarithm; LogC4's lowest codes are black or below."""


def inverse_variance_merge(
    codes: Sequence[NDArray[Any]],
    tables: Sequence[BracketTables],
    occluded: Sequence[NDArray[np.bool_]] | None = None,
) -> NDArray[np.float32]:
    """Average the brackets' light in log2 encoding, each weighted by the inverse variance of its code.

    Where all brackets are clipped, the one that clips last decides.

    Parameters
    ----------
    codes
        The brackets, uint8 or uint16 of shape ``(H, W, 3)``.
    tables
        The tables of each bracket's codes.
    occluded
        Shape ``(H, W)`` each: pixels of a bracket that have no weight, unless all brackets are occluded there.

    Returns
    -------
    array
        Scene-linear light at EV 0, float32 of shape ``(H, W, 3)``.
    """
    log2, total = _weighted_mean(codes, tables, occluded)
    nothing = total == 0
    if occluded is not None and nothing.any():
        log2[nothing] = _weighted_mean(codes, tables, None)[0][nothing]
    return log2_decode(log2)


def interval_intersection(
    codes: Sequence[NDArray[Any]],
    tables: Sequence[BracketTables],
    occluded: Sequence[NDArray[np.bool_]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the least and most light, in log2 encoding, that all codes allow; crossed where their intervals do not meet.

    Parameters as of `inverse_variance_merge`, or one component ``(H, W)`` of the codes. Occluded brackets bound nothing.
    """
    lower = np.full(codes[0].shape, -np.inf, np.float32)
    upper = np.full(codes[0].shape, np.inf, np.float32)
    for bracket, (code, of_code) in enumerate(zip(codes, tables, strict=True)):
        lowest, highest = (_look_up(bound, code) for bound in (of_code.lower, of_code.upper))
        if occluded is not None:
            lowest[occluded[bracket]], highest[occluded[bracket]] = -np.inf, np.inf
        np.maximum(lower, lowest, out=lower)
        np.minimum(upper, highest, out=upper)
    return lower, upper


def interval_intersection_merge(
    codes: Sequence[NDArray[Any]], tables: Sequence[BracketTables]
) -> NDArray[np.float32]:
    """Return the middle of what all quantisation intervals allow: nothing is better for clean brackets.

    A component whose intervals do not meet (noise, motion), or which is clipped in all brackets, falls back to
    `inverse_variance_merge`. Parameters and result as there.
    """
    lower, upper = interval_intersection(codes, tables)
    meet = (lower <= upper) & np.isfinite(lower) & np.isfinite(upper)
    linear = inverse_variance_merge(codes, tables)
    linear[meet] = log2_decode((lower[meet] + upper[meet]) / 2)
    return linear


def debevec_merge(codes: Sequence[NDArray[Any]], encoding: str, evs: Sequence[float]) -> NDArray[np.float32]:
    """Merge by OpenCV's ``MergeDebevec`` (Debevec and Malik 1997, equation 6) with the known response.

    Parameters
    ----------
    codes
        The brackets, ``(H, W, 3)``; uint16 is rounded to uint8, which is all that OpenCV takes.
    encoding
        A key of `ENCODINGS`, or ``log2_code16``.
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


def observed_fraction(
    codes: Sequence[NDArray[Any]],
    tables: Sequence[BracketTables],
    occluded: Sequence[NDArray[np.bool_]] | None = None,
    *,
    threads: int = 2,
) -> NDArray[np.float32]:
    """Return how much of each pixel was observed, ``(H, W)``: 0 where there was nothing but clipping.

    The share of its three components that some bracket shows neither clipped nor occluded. Parameters as of
    `inverse_variance_merge`.
    """
    fraction = np.empty(codes[0].shape[:2], np.float32)

    def observe(rows: slice) -> None:
        observed = np.zeros(codes[0][rows].shape, bool)
        for bracket, (code, of_code) in enumerate(zip(codes, tables, strict=True)):
            shown = ~of_code.clipped[code[rows]]
            if occluded is not None:
                shown &= ~occluded[bracket][rows, :, None]
            observed |= shown
        fraction[rows] = observed.mean(axis=-1, dtype=np.float32)

    each_band(len(fraction), observe, threads=threads)
    return fraction


def _weighted_mean(
    codes: Sequence[NDArray[Any]],
    tables: Sequence[BracketTables],
    occluded: Sequence[NDArray[np.bool_]] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weighted mean in log2 encoding and the sum of weights; the mean is 0 where the sum is."""
    log2, total = np.zeros((2, *codes[0].shape), np.float32)
    for bracket, (code, of_code) in enumerate(zip(codes, tables, strict=True)):
        weight = _look_up(of_code.weight, code)
        if occluded is not None:
            weight[occluded[bracket]] = 0
        total += weight
        log2 += weight * _look_up(of_code.log2, code)
    np.divide(log2, total, out=log2, where=total > 0)
    return log2, total


def _look_up(table: Table, code: NDArray[Any]) -> NDArray[np.float32]:
    looked_up: Any = cv2.LUT(code, table) if code.dtype == np.uint8 else table[code]
    return looked_up


def _opencv_merge(
    process: Callable[..., Any], codes: Sequence[NDArray[Any]], encoding: str, evs: Sequence[float]
) -> NDArray[np.float32]:
    codes8 = [c if c.dtype == np.uint8 else cv2.convertScaleAbs(c, alpha=1 / 257) for c in codes]
    linear = log2_decode(bracket_tables(encoding, 8, 0.0, evs=(0.0,)).log2)
    response = np.repeat(np.maximum(linear, RESPONSE_FLOOR_LINEAR), 3).reshape(256, 1, 3)
    times_s = np.exp2(np.array(evs, np.float32))
    merged: NDArray[np.float32] = process(codes8, times_s, response)
    return merged
