import numpy as np
import pytest

from hdrgen.exposure.smoothest_in_cells import smooth_in_cells


def in_codes(code):
    """Show a profile ``(W,)`` in codes as a picture, and its 8-bit codes."""
    picture = np.asarray(code).reshape(1, -1, 1).repeat(96, 0).repeat(3, 2)
    return picture, np.rint(picture).astype(np.uint8)


def gain_db(picture, code8, inner=slice(None)):
    """Return by how many dB smoothing is nearer to a picture than its codes."""
    before = np.square(code8 - picture)[inner, inner].mean()
    after = np.square(code8 + smooth_in_cells(code8) - picture)[inner, inner].mean()
    return 10 * np.log10(before / after)


@pytest.mark.parametrize("pixels_per_code", [3.3, 7.1, 15.7, 31.3, 60.9])
@pytest.mark.parametrize("falling", [False, True])
def test_ramps_come_out_smooth(pixels_per_code, falling):
    ramp = 100.3 + np.arange(512) / pixels_per_code
    assert gain_db(*in_codes(ramp[::-1] if falling else ramp)) > 6


@pytest.mark.parametrize("pixels_per_code", [5.3, 23.7])
def test_ramps_at_an_angle_and_of_colours_that_drift_apart(pixels_per_code):
    y, x = np.mgrid[:256, :256] / pixels_per_code
    picture = 60 + np.stack([0.8 * x + 0.6 * y, 0.6 * x - 0.8 * y + 60, -x + 0.2 * y + 90], -1)
    assert gain_db(picture, np.rint(picture).astype(np.uint8)) > 6


def test_a_parabola_is_not_bent():
    x = np.arange(-256, 256)
    picture, code8 = in_codes(100 + 24 * (x / 256) ** 2)
    inner = slice(128, -128)  # around the vertex, where a plain smoothing would fill the valley
    error = (code8 + smooth_in_cells(code8) - picture)[:, inner]
    steps = (code8 - picture)[:, inner]
    assert np.sqrt(np.mean(error**2)) < 0.25 * np.sqrt(np.mean(steps**2))
    assert abs(error.mean()) < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 5), (17, 33), (64, 64), (101, 75)])
def test_any_size_stays_inside_its_cells(size):
    code8 = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    offset = smooth_in_cells(code8)
    assert offset.shape == code8.shape
    assert offset.dtype == np.float32
    assert np.abs(offset).max() <= 0.5


def test_noise_is_pressed_to_the_edges_of_its_cells_and_not_beyond():
    code8 = np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    offset = np.abs(smooth_in_cells(code8))
    assert offset.max() == 0.5
    assert np.median(offset) == 0.5


def test_a_flat_picture_is_left_alone():
    for code in (0, 77, 255):
        assert np.abs(smooth_in_cells(np.full((40, 50, 3), code, np.uint8))).max() < 1e-4


def test_components_do_not_see_each_other_and_threads_change_nothing():
    code8 = np.random.default_rng(2).integers(0, 256, (96, 80, 3), dtype=np.uint8)
    once = smooth_in_cells(code8)
    np.testing.assert_array_equal(smooth_in_cells(code8, threads=3), once)
    np.testing.assert_array_equal(smooth_in_cells(code8[..., ::-1])[..., ::-1], once)


def test_the_picture_is_left_as_it_was():
    code8 = np.random.default_rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    before = code8.copy()
    smooth_in_cells(code8)
    np.testing.assert_array_equal(code8, before)
