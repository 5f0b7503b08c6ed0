import numpy as np
import pytest

from hdrgen.exposure.tone_map_tables import level_decode, level_encode
from hdrgen.models.flat_areas import smooth_flat_areas

STEP = 0.1
"""Height of a cell, in levels."""


def gradient(grain_steps=0.0, size=192):
    """Return levels (H, W, 3) that cross a cell in some twenty pixels, with or without grain."""
    y, x = np.mgrid[:size, :size]
    level = -1 + STEP / 20 * np.stack([x + 0.3 * y, x - 0.2 * y, 0.7 * x + y], -1)
    return (level + np.random.default_rng(0).normal(0, grain_steps * STEP + 1e-9, level.shape)).astype(
        np.float32
    )


def cells_of(level):
    lower = np.floor(level / STEP) * np.float32(STEP)
    return lower, lower + np.float32(STEP)


def smoothed(lower, upper, start=None, threads=2, max_level=15.9):
    """Return levels after flat areas were smoothed, begun with the middle of each cell."""
    linear = level_decode((lower + upper) / 2 if start is None else start)

    def cells(component, every):
        lowest, highest = (bound[::every, ::every, component].copy() for bound in (lower, upper))
        return lowest, highest

    smooth_flat_areas(linear, cells, max_level=max_level, threads=threads)
    return level_encode(linear)


@pytest.mark.parametrize(
    ("grain_steps", "most"), [(0, 0.2), (0.1, 0.4), (0.2, 0.75), (0.3, 0.95), (0.5, 0.95), (1, 1), (2, 1.001)]
)
def test_errors_shrink_as_far_as_grain_allows_and_never_grow(grain_steps, most):
    level = gradient(grain_steps)
    lower, upper = cells_of(level)
    smooth, middle = smoothed(lower, upper), (lower + upper) / 2
    inside = np.s_[24:-24, 24:-24]
    assert (smooth - level)[inside].std() < most * (middle - level)[inside].std()
    assert (smooth >= lower - 1e-5).all()
    assert (smooth <= upper + 1e-5).all()


def test_one_thread_gives_the_same():
    cells = cells_of(gradient(0.1))
    np.testing.assert_array_equal(smoothed(*cells, threads=1), smoothed(*cells))


def test_a_picture_half_flat_and_half_grain_is_smoothed_where_it_is_flat():
    level = np.where(np.arange(192)[None, :, None] < 96, gradient(), gradient(grain_steps=1)).astype(
        np.float32
    )
    lower, upper = cells_of(level)
    middle = (lower + upper) / 2
    moved = np.abs(smoothed(lower, upper) - middle)
    assert moved[:, 16:80].mean() > 0.15 * STEP
    assert moved[:, 112:].mean() < 0.01 * STEP


def test_cells_that_do_not_meet_are_not_believed():
    lower, upper = cells_of(gradient())
    lower[:, 112:], upper[:, 112:] = upper[:, 112:].copy(), lower[:, 112:].copy()
    moved = np.abs(smoothed(lower, upper) - (lower + upper) / 2)
    assert moved[:, :70].mean() > 0.15 * STEP
    assert moved[:, 126:].max() < 1e-5


@pytest.mark.parametrize(("below", "above"), [(-np.inf, np.inf), (-np.inf, 0.4), (0.4, np.inf), (0.5, 0.3)])
def test_what_has_no_cell_of_its_own_stays_finite_and_in_its_place(below, above):
    level = gradient()
    lower, upper = cells_of(level)
    start = ((lower + upper) / 2).astype(np.float32)
    lower[40:60, 40:60], upper[40:60, 40:60] = below, above
    smooth = smoothed(lower, upper, start)
    assert np.isfinite(smooth).all()
    if np.isinf([below, above]).any():
        np.testing.assert_allclose(smooth[40:60, 40:60], start[40:60, 40:60], atol=1e-5)


def test_light_ends_where_it_is_told_to():
    lower, upper = cells_of(gradient())
    assert smoothed(lower, upper).max() > 0
    assert smoothed(lower, upper, max_level=0).max() < 1e-5
