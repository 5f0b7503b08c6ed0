"""The simulated camera: exposure lands on grey, noise follows the photons, light clips where it is told to."""

import numpy as np
import pytest

from hdrgen.colour.primaries import REC709, luminance
from hdrgen.dataset.simulate.camera import (
    CameraParams,
    expose,
    lens,
    planckian_xy,
    sensor,
    shoot,
    white_balance,
)
from hdrgen.dataset.simulate.materials import blackbody


def flat(value, size=(64, 96)):
    return np.full((*size, 3), value, np.float32)


@pytest.mark.parametrize("stops", [-2.0, 0.0, 1.5])
def test_an_even_grey_card_of_any_brightness_is_metered_to_its_place(stops):
    card = flat(37.0)
    assert expose(card, stops) * 37.0 == pytest.approx(0.18 * 2**stops, rel=2e-3)


def test_a_lamp_in_the_picture_does_not_move_the_meter():
    card = flat(0.5)
    lit = card.copy()
    lit[:4, :4] = 5000.0
    assert expose(lit, 0.0) == pytest.approx(expose(card, 0.0), rel=1e-3)


def test_a_black_picture_cannot_be_metered():
    with pytest.raises(ValueError, match="black"):
        expose(flat(0.0), 0.0)


def test_photon_noise_follows_the_square_root_of_the_light():
    params = CameraParams(read_noise_electrons=0.0, grey_electrons=1600.0)
    shot = sensor(flat(0.18, (200, 200)), params, np.random.default_rng(1))
    assert shot.mean() == pytest.approx(0.18, rel=2e-3)
    assert 0.18 / shot.std() == pytest.approx(40.0, rel=0.02)


def test_doubling_the_exposure_index_costs_half_the_photons():
    noise = [
        sensor(
            flat(0.18, (200, 200)),
            CameraParams(exposure_index=ei, read_noise_electrons=0),
            np.random.default_rng(1),
        ).std()
        for ei in (800, 1600)
    ]
    assert noise[1] / noise[0] == pytest.approx(np.sqrt(2), rel=0.02)


def test_read_noise_goes_below_black_and_has_no_bias():
    params = CameraParams(read_noise_electrons=6.0)
    dark = sensor(flat(0.0, (200, 200)), params, np.random.default_rng(1))
    assert dark.min() < 0
    assert abs(dark.mean()) < 1e-5
    assert dark.std() == pytest.approx(6.0 * 0.18 / 1600, rel=0.02)


def test_highlights_end_exactly_at_the_ceiling():
    params = CameraParams(highlight_ceiling_linear=640.0)
    shot = sensor(flat(1e5), params, np.random.default_rng(1))
    assert np.all(shot == 640.0)


def test_the_lens_moves_light_and_neither_makes_nor_loses_it():
    point = flat(0.0, (65, 65))
    point[32, 32] = 1000.0
    through = lens(point, 0.8, 0.02)
    assert through.sum() == pytest.approx(point.sum(), rel=2e-2)
    assert through[32, 32, 0] < 500.0
    assert 0.0 < through[32, 60, 0] < 0.01


def test_without_blur_and_glare_the_lens_is_not_there():
    picture = np.random.default_rng(1).random((8, 9, 3), np.float32)
    assert np.array_equal(lens(picture, 0.0, 0.0), picture)


@pytest.mark.parametrize("kelvin", [2800.0, 4300.0, 9000.0])
def test_the_light_that_is_balanced_for_comes_out_neutral(kelvin):
    lit = flat(1.0, (2, 2)) * np.array(blackbody(kelvin), np.float32)
    balanced = white_balance(lit, kelvin)
    assert np.ptp(balanced[0, 0]) < 0.02 * balanced.max()
    assert luminance(balanced, REC709)[0, 0] == pytest.approx(1.0, abs=0.02)


def test_colour_temperatures_outside_the_formula_are_refused():
    assert planckian_xy(6504) == pytest.approx((0.3135, 0.3237), abs=2e-3)
    with pytest.raises(ValueError, match="1000 K"):
        planckian_xy(1000)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kelvin", [1700.0, 2221.0, 3999.0, 4001.0, 6504.0, 25000.0])
def test_colour_temperatures_are_those_of_kang(kelvin):
    colour = pytest.importorskip("colour")
    expected = colour.temperature.CCT_to_xy_Kang2002(kelvin)
    assert planckian_xy(kelvin) == pytest.approx(tuple(expected), abs=1e-9)


def test_a_shot_is_finite_half_float_and_repeats():
    picture = np.random.default_rng(3).random((32, 32, 3), np.float32)
    picture[4, 4] = 1e7
    how = {"exposure_stops": -0.5, "white_balance_kelvin": 5600.0}
    first, second = (shoot(picture, CameraParams(), np.random.default_rng(5), **how) for _ in range(2))
    assert first.dtype == np.float16
    assert np.isfinite(first).all()
    assert np.array_equal(first.view(np.uint16), second.view(np.uint16))
    assert first.max() == 1000.0
