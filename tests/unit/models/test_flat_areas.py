import numpy as np
import pytest

from hdrgen.exposure.log2_encoding import MAX_LOG2, log2_decode, log2_encode
from hdrgen.models.flat_areas import smooth_flat_areas

STEP = 0.1
"""Length of an interval, in log2 encoding."""


def gradient(grain_steps=0.0, size=192):
    """Return light (H, W, 3), in log2 encoding, that crosses an interval in some twenty pixels, with or without grain."""
    y, x = np.mgrid[:size, :size]
    log2 = -1 + STEP / 20 * np.stack([x + 0.3 * y, x - 0.2 * y, 0.7 * x + y], -1)
    return (log2 + np.random.default_rng(0).normal(0, grain_steps * STEP + 1e-9, log2.shape)).astype(
        np.float32
    )


def intervals_of(log2):
    lower = np.floor(log2 / STEP) * np.float32(STEP)
    return lower, lower + np.float32(STEP)


def smoothed(lower, upper, start=None, threads=2):
    """Return light after flat areas were smoothed, begun with the middle of each interval."""
    linear = log2_decode((lower + upper) / 2 if start is None else start)

    def intervals(component, every):
        lowest, highest = (bound[::every, ::every, component].copy() for bound in (lower, upper))
        return lowest, highest

    smooth_flat_areas(linear, intervals, threads=threads)
    return log2_encode(linear)


@pytest.mark.parametrize(
    ("grain_steps", "most"), [(0, 0.2), (0.1, 0.4), (0.2, 0.75), (0.3, 0.95), (0.5, 0.95), (1, 1), (2, 1.001)]
)
def test_errors_become_smaller_as_far_as_grain_allows_and_never_larger(grain_steps, most):
    log2 = gradient(grain_steps)
    lower, upper = intervals_of(log2)
    smooth, middle = smoothed(lower, upper), (lower + upper) / 2
    inside = np.s_[24:-24, 24:-24]
    assert (smooth - log2)[inside].std() < most * (middle - log2)[inside].std()
    assert (smooth >= lower - 1e-5).all()
    assert (smooth <= upper + 1e-5).all()


def test_one_thread_gives_the_same():
    intervals = intervals_of(gradient(0.1))
    np.testing.assert_array_equal(smoothed(*intervals, threads=1), smoothed(*intervals))


def test_a_picture_half_flat_and_half_grain_is_smoothed_where_it_is_flat():
    log2 = np.where(np.arange(192)[None, :, None] < 96, gradient(), gradient(grain_steps=1)).astype(
        np.float32
    )
    lower, upper = intervals_of(log2)
    middle = (lower + upper) / 2
    moved = np.abs(smoothed(lower, upper) - middle)
    assert moved[:, 16:80].mean() > 0.15 * STEP
    assert moved[:, 112:].mean() < 0.01 * STEP


def test_intervals_that_do_not_meet_are_not_believed():
    lower, upper = intervals_of(gradient())
    lower[:, 112:], upper[:, 112:] = upper[:, 112:].copy(), lower[:, 112:].copy()
    moved = np.abs(smoothed(lower, upper) - (lower + upper) / 2)
    assert moved[:, :70].mean() > 0.15 * STEP
    assert moved[:, 126:].max() < 1e-5


@pytest.mark.parametrize(("below", "above"), [(-np.inf, np.inf), (-np.inf, 0.4), (0.4, np.inf), (0.5, 0.3)])
def test_what_has_no_interval_of_its_own_stays_finite_and_in_its_place(below, above):
    log2 = gradient()
    lower, upper = intervals_of(log2)
    start = ((lower + upper) / 2).astype(np.float32)
    lower[40:60, 40:60], upper[40:60, 40:60] = below, above
    smooth = smoothed(lower, upper, start)
    assert np.isfinite(smooth).all()
    if np.isinf([below, above]).any():
        np.testing.assert_allclose(smooth[40:60, 40:60], start[40:60, 40:60], atol=1e-5)


def test_light_ends_below_the_end_of_half_floats():
    lower, upper = intervals_of(gradient() + np.float32(18))
    assert lower.min() > MAX_LOG2
    np.testing.assert_allclose(smoothed(lower, upper), MAX_LOG2, atol=1e-4)
