"""Dense alignment of exposures: each bracket as the reference sees it, and where it shows something else.

Two exposures of one scene are compared as pictures in units of their common noise. With the standard deviations
s_a and s_b of the two brackets' codes at a level, both are mapped by the integral of 1 / sqrt(s_a**2 + s_b**2) over
levels. A picture then has equal noise everywhere, and what either bracket clips, or drowns in noise, is flat in
both: six stops apart need no special case, and residuals are in standard deviations.

Flow is Dense Inverse Search (Kroeger et al., ECCV 2016, OpenCV's ``PRESET_FAST``) on top of a translation found by
phase correlation, and is used only where it explains the pictures measurably better than none. A bracket that has
nothing well exposed in common with the reference stays as it is.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.exposure.bracket_tables import BracketCells
from hdrgen.runtime.errors import HdrgenError

Picture = NDArray[Any]
"""Single precision, shape ``(H, W)``, in standard deviations."""

Flow = NDArray[Any]
"""Single precision, shape ``(H, W, 2)``, x and y in pixels."""

Mask = NDArray[np.bool_]

SMALLEST_SIDE = 32
"""Side of the smallest picture in which flow is looked for."""

HEADROOM_LEVELS = 0.5
"""Below a bracket's highest code: what was clipped before noise or a change of exposure is anywhere in there."""

MOST_EXPOSURE_ERROR_LEVELS = 1.0
"""How far a bracket's exposure may be from what was said and still be made up for before comparing."""

STILL_PIXELS = 0.35
"""Flow up to this is noise; it counts fully from twice this on."""

MEASURABLE_GAIN, MEASURABLE_RATIO = 0.05, 1.2
"""By how much, and by which factor, flow must lower the mean square residual at half size. Noise alone gives 0.25;
flow through noise was never seen to lower it by 0.01, a shift of 0.3 pixels lowers it by 0.03 to 1."""

MISMATCH_SD, INCONSISTENT_MISMATCH_SD = 3.0, 1.0
"""Residual, in standard deviations, beyond that of a misplacement by one pixel: an exposure error of 0.1 stop stays
below the first. The second is for where the flow is not consistent, noise stays below it."""

INCONSISTENT_PIXELS = 1.5
"""There and back again should be nowhere: this far from it is inconsistent."""


@dataclass(frozen=True)
class Aligned:
    """A stack as its reference sees it.

    ``codes`` has the reference and every static bracket as the very arrays given; a bracket that was moved has
    uint16 codes (8-bit codes times 257). ``occluded``, shape ``(H, W)`` each, is True where a bracket does not show
    what the reference shows: its codes there are only the nearest guess and deserve no weight.
    """

    codes: tuple[NDArray[Any], ...]
    occluded: tuple[Mask, ...]


def align_stack(
    codes: Sequence[NDArray[Any]], cells: Sequence[BracketCells], *, reference: int, threads: int = 1
) -> Aligned:
    """Align each bracket of a stack with the reference.

    Parameters
    ----------
    codes
        The brackets, uint8 or uint16 of shape ``(H, W, 3)``, all of one size.
    cells
        The tables of each bracket's codes.
    reference
        Which bracket stays as it is: best one in the middle, with much neither clipped nor black.
    threads
        Brackets worked on at once; each takes some seven float pictures of memory.

    Raises
    ------
    HdrgenError
        The brackets differ in size.
    """
    sizes = {code.shape[:2] for code in codes}
    if len(sizes) > 1:
        raise HdrgenError(
            f"the brackets differ in size: {' against '.join(sorted(f'{w}x{h}' for h, w in sizes))}"
        )

    def seen_by_reference(bracket: int) -> tuple[NDArray[Any], Mask]:
        if bracket == reference:
            return codes[bracket], np.zeros(codes[bracket].shape[:2], bool)
        return _align(codes[reference], cells[reference], codes[bracket], cells[bracket])

    with ThreadPoolExecutor(threads) as pool:
        pairs = pool.map(seen_by_reference, range(len(codes)))
    aligned, occluded = zip(*pairs, strict=True)
    return Aligned(aligned, occluded)


def _align(
    reference_code: NDArray[Any], reference_cells: BracketCells, code: NDArray[Any], cells: BracketCells
) -> tuple[NDArray[Any], Mask]:
    reference, bracket = _comparable(reference_code, reference_cells, code, cells)
    found = _flow(reference, bracket)
    if found is None:
        return code, _mismatch(reference, bracket, MISMATCH_SD)
    flow, inconsistent = found
    height, width = reference.shape
    x, y = _positions(flow)
    outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    moved = _at(code if code.dtype == np.uint16 else code.astype(np.uint16) * np.uint16(257), x, y)
    # Compared anew, because an exposure error is seen better without the displacement.
    reference, bracket = _comparable(reference_code, reference_cells, moved, cells)
    most_sd = np.where(inconsistent, np.float32(INCONSISTENT_MISMATCH_SD), np.float32(MISMATCH_SD))
    return moved, _mismatch(reference, bracket, most_sd) | outside


def _comparable(
    code_a: NDArray[Any], a: BracketCells, code_b: NDArray[Any], b: BracketCells
) -> tuple[Picture, Picture]:
    """Return two brackets as pictures ``(H, W)`` whose difference has a standard deviation of one."""
    code_a, code_b = _as_entries(code_a, a), _as_entries(code_b, b)
    level_b = b.level + _exposure_difference(code_a, a, code_b, b)
    grid = np.linspace(min(a.level.min(), level_b.min()), max(a.level.max(), level_b.max()), 4096)
    variance = sum(_sd(grid, level, c) ** 2 for level, c in ((a.level, a), (level_b, b)))
    per_level = 1 / np.sqrt(variance)
    integral = np.concatenate([[0], np.cumsum((per_level[1:] + per_level[:-1]) / 2 * np.diff(grid))])
    # The mean of three components is worth sqrt(3) of one.
    table_a, table_b = (
        (np.interp(level, grid, integral) / np.sqrt(3)).astype(np.float32) for level in (a.level, level_b)
    )
    return _summed(table_a, code_a), _summed(table_b, code_b)


def _as_entries(code: NDArray[Any], cells: BracketCells) -> NDArray[Any]:
    """Return codes as entries of the tables: those of a moved 8-bit bracket have 16 bits."""
    if code.dtype == np.uint16 and len(cells.level) == 256:
        return cv2.convertScaleAbs(code, alpha=1 / 257)
    return code


def _sd(grid: NDArray[np.floating], level: Picture, cells: BracketCells) -> NDArray[np.float64]:
    """Return a bracket's standard deviation at each level of the grid, infinite where it says nothing."""
    says, sd = level[~cells.clipped], cells.sd_levels[~cells.clipped]
    inside = (grid >= says.min()) & (grid <= says.max() - HEADROOM_LEVELS)
    return np.where(inside, np.interp(grid, says, sd), np.inf)


def _summed(table: Picture, code: NDArray[Any]) -> Picture:
    looked_up = cv2.LUT(code, table) if code.dtype == np.uint8 else table[code]
    return cv2.transform(looked_up, np.ones((1, 3), np.float32))


def _exposure_difference(
    code_a: NDArray[Any], a: BracketCells, code_b: NDArray[Any], b: BracketCells
) -> float:
    """Return by how many levels the second bracket is darker than it should be: a median over good codes."""
    step = max(1, min(code_a.shape[:2]) // 256)
    thin_a, thin_b = code_a[::step, ::step], code_b[::step, ::step]
    good_a, good_b = (
        (c.sd_levels < 0.5) & (c.level < c.level[~c.clipped].max() - HEADROOM_LEVELS) for c in (a, b)
    )
    good = good_a[thin_a] & good_b[thin_b]
    if good.sum() < 100:
        return 0.0
    difference = float(np.median(a.level[thin_a[good]] - b.level[thin_b[good]]))
    return float(np.clip(difference, -MOST_EXPOSURE_ERROR_LEVELS, MOST_EXPOSURE_ERROR_LEVELS))


def _flow(reference: Picture, bracket: Picture) -> tuple[Flow, Mask] | None:
    """Return where the bracket shows each pixel of the reference, and where that is contradicted; None if static."""
    if min(reference.shape) < SMALLEST_SIDE:
        return None
    still = _misfit(reference - bracket)
    if still < MEASURABLE_GAIN:
        return None
    dx, dy = _translation(*_eight_bits(reference, bracket))
    moved, translated = bracket, still
    if dx or dy:
        moved = _at(bracket, *_positions(_constant_flow(reference.shape, dx, dy)))
        translated = _misfit(reference - moved)
        if not _measurably_better(translated, still):
            dx, dy, moved, translated = 0, 0, bracket, still
    dense, inconsistent = _dense_flow(*_eight_bits(reference, moved))
    flow = dense + np.array((dx, dy), np.float32)
    if not (dx or dy):
        flow *= np.clip(_length(flow) / STILL_PIXELS - 1, 0, 1)[..., None]
    if _measurably_better(_misfit(reference - _at(bracket, *_positions(flow))), translated):
        return flow, inconsistent
    if dx or dy:
        return _constant_flow(reference.shape, dx, dy), np.zeros(reference.shape, bool)
    return None


def _measurably_better(misfit: float, before: float) -> bool:
    return before - misfit > MEASURABLE_GAIN and before > MEASURABLE_RATIO * misfit


def _misfit(residual: Picture) -> float:
    """Return the mean square residual at half size, what varies slowly (gain, veil) left out."""
    half = cv2.resize(residual, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(half, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    half = half - cv2.resize(coarse, half.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return float(np.mean(np.square(half)))


def _eight_bits(*pictures: Picture) -> tuple[NDArray[Any], ...]:
    """Return the pictures over their common range, noise of one becoming at most five codes."""
    ends = [np.percentile(picture[::4, ::4], (0.5, 99.5)) for picture in pictures]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    scale = min(255 / max(high - low, 1e-3), 5.0)
    return tuple(cv2.convertScaleAbs(np.maximum(p - low, 0), alpha=scale) for p in pictures)


def _translation(reference: NDArray[Any], bracket: NDArray[Any]) -> tuple[int, int]:
    """Return the shift, in whole pixels, by which the bracket shows the reference (phase correlation)."""
    height, width = reference.shape
    small = min(width, 512), min(height, 512)
    thin = [
        cv2.resize(picture, small, interpolation=cv2.INTER_AREA).astype(np.float32)
        for picture in (reference, bracket)
    ]
    (dx, dy), _ = cv2.phaseCorrelate(thin[0], thin[1], cv2.createHanningWindow(small, cv2.CV_32F))
    return round(dx * width / small[0]), round(dy * height / small[1])


def _dense_flow(reference: NDArray[Any], bracket: NDArray[Any]) -> tuple[Flow, Mask]:
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    forward = search.calc(reference, bracket, None)
    backward = search.calc(bracket, reference, None)
    back_again = forward + _at(backward, *_positions(forward))
    return forward, _length(back_again) > INCONSISTENT_PIXELS


def _mismatch(reference: Picture, bracket: Picture, most_sd: Picture | float) -> Mask:
    """Return where the bracket shows what no neighbouring pixel of the reference does."""
    reference, bracket = (cv2.GaussianBlur(picture, (0, 0), 1.2) for picture in (reference, bracket))
    around = np.ones((3, 3), np.uint8)
    other = (bracket - cv2.dilate(reference, around) > most_sd) | (
        cv2.erode(reference, around) - bracket > most_sd
    )
    return cv2.dilate(other.astype(np.uint8), around).astype(bool)


def _constant_flow(shape: tuple[int, ...], dx: int, dy: int) -> Flow:
    return np.full((*shape, 2), (dx, dy), np.float32)


def _length(flow: Flow) -> Picture:
    return cv2.magnitude(flow[..., 0], flow[..., 1])


def _positions(flow: Flow) -> tuple[Picture, Picture]:
    height, width, _ = flow.shape
    return (
        flow[..., 0] + np.arange(width, dtype=np.float32),
        flow[..., 1] + np.arange(height, dtype=np.float32)[:, None],
    )


def _at(picture: NDArray[Any], x: Picture, y: Picture) -> NDArray[Any]:
    """Sample a picture, bicubic, the border going on beyond it."""
    return cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
