import numpy as np
import pytest

from hdrgen.dataset.pairs.gradients import HIGHEST_CODE, LOWEST_CODE, gradient_logc4


def gradients(count, size=128, **options):
    return [gradient_logc4(np.random.default_rng([9, i]), size, size, **options) for i in range(count)]


def test_the_same_seed_makes_the_same_gradient_and_another_does_not():
    first, again, other = (gradient_logc4(np.random.default_rng(s), 64, 96) for s in (1, 1, 2))
    assert first.shape == (64, 96, 3)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_gradients_are_smooth_and_have_no_noise():
    for picture in gradients(60, occluder_share=0):
        code8 = picture.astype(np.float64) * 255
        curvature = max(np.abs(np.diff(code8, 2, axis=axis)).max() for axis in (0, 1))
        assert curvature < 1, "no place is as rough as an edge or an 8-bit step"
        # Noise would turn from pixel to pixel: third differences would not be smaller than second ones.
        roughness = max(np.abs(np.diff(code8, 3, axis=axis)).mean() for axis in (0, 1))
        assert roughness < 0.01


def test_slopes_reach_from_one_step_in_80_pixels_to_one_in_3_over_the_whole_range_of_codes():
    pictures = gradients(150, occluder_share=0)
    slopes = []
    for picture in pictures:
        down, across = np.gradient(picture.mean(-1) * 255)
        slopes.append(np.percentile(np.hypot(down, across), 90))
    assert np.percentile(slopes, 5) == pytest.approx(1 / 80, rel=0.4)
    assert max(slopes) == pytest.approx(1 / 3, rel=0.1)
    assert np.histogram(slopes, [1 / 80, 1 / 40, 1 / 20, 1 / 10, 1 / 3])[0].min() > 20
    values = np.concatenate([p.ravel() for p in pictures])
    assert LOWEST_CODE - 1e-6 <= values.min() < 0.06
    assert 0.96 < values.max() <= HIGHEST_CODE + 1e-6


def test_what_stands_in_front_has_an_edge_a_pixel_wide():
    jumps = [np.abs(np.diff(p * 255, axis=0)).max() for p in gradients(20, occluder_share=1)]
    assert np.median(jumps) > 10


def test_gradients_of_any_size_fit_the_range():
    wide = gradient_logc4(np.random.default_rng(0), 300, 1500, occluder_share=0)
    assert wide.shape == (300, 1500, 3)
    assert wide.min() >= LOWEST_CODE - 1e-6
    assert wide.max() <= HIGHEST_CODE + 1e-6
