"""Each measure moves as it should on pictures that are made for it."""

import numpy as np
import pytest

from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.validation.latitude import (
    LEAST_NOISE_LINEAR,
    ceiling_share,
    contours,
    exposure_latitude,
    flat_areas,
    noise_floor_stops,
    noise_sd,
    shown_codes,
)


def rgb(luminance):
    return np.repeat(np.asarray(luminance, np.float32)[..., None], 3, -1)


@pytest.fixture
def sky():
    """Return a gradient of two stops about grey, 1.3 codes of 8-bit LogC4 for every ten pixels."""
    return rgb(0.18 * 2 ** np.linspace(-1, 1, 256)[None].repeat(64, 0))


def quantised(linear, bits):
    largest = 2**bits - 1
    return logc4_decode(np.round(logc4_encode(linear) * largest) / largest).astype(np.float32)


def with_grain(linear, sd, seed=0):
    noise = np.random.default_rng(seed).normal(0, sd, linear.shape)
    return (linear * (1 + noise)).astype(np.float32)


def at(latitude, measure, stops=0.0):
    return latitude.filter(exposure_stops=stops)[measure].item()


def test_a_posterised_sky_is_banded_and_a_smooth_one_is_not(sky):
    assert at(exposure_latitude(sky), "banded_share") == 0
    eight, six = (exposure_latitude(quantised(sky, bits)) for bits in (8, 6))
    assert at(eight, "banded_share") > 0.9
    assert at(six, "banded_share") > 0.9
    assert at(six, "step_codes") == pytest.approx(4 * at(eight, "step_codes"), rel=0.2)
    assert at(exposure_latitude(quantised(sky, 12)), "banded_share") == 0


def test_bands_get_higher_steps_when_a_picture_is_graded_up(sky):
    latitude = exposure_latitude(quantised(sky / 16, 8))
    assert at(latitude, "step_codes", 4) > 2 * at(latitude, "step_codes", 0)


def test_grain_dithers_the_bands_away(sky):
    plain, grainy = (
        at(exposure_latitude(quantised(p, 8)), "banded_share") for p in (sky, with_grain(sky, 0.05))
    )
    assert grainy < 0.05 < plain


def test_the_edges_of_things_are_no_bands(sky):
    board = sky.copy()
    board[:, ::32] *= 4
    board[16:48, 64:192] = 3.0
    assert at(exposure_latitude(board), "banded_share") < 0.01


def test_contours_are_found_down_columns_as_along_rows():
    ramp = np.linspace(100, 110, 80, dtype=np.float32)[None].repeat(40, 0)
    steps = np.round(ramp / 2) * 2
    everywhere = np.ones(steps.shape, bool)
    along, down = contours(steps, everywhere), contours(steps.T.copy(), everywhere.T)
    assert (along.banded == down.banded.T).all()
    assert along.step_codes.tolist() == down.step_codes.tolist() == [2.0] * 5 * 40
    half = everywhere.copy()
    half[:, 40:] = False
    assert not contours(steps, half).banded[:, 45:].any()


def test_runs_shorter_than_four_pixels_are_no_bands():
    """Steps at every third pixel are a slope to the eye."""
    stairs = np.repeat(np.arange(30, dtype=np.float32) * 2, 3)[None].repeat(8, 0)
    assert not contours(stairs, np.ones(stairs.shape, bool)).banded.any()


def test_a_clipped_sun_stays_clipped_however_far_down_it_is_graded(sky):
    sunny = sky.copy()
    rows, columns = np.mgrid[:64, :256]
    distance = np.hypot(rows - 32, columns - 200)
    sunny += rgb(300 * np.exp(-((distance / 9) ** 2)))
    clipped = np.minimum(sunny, 1)
    whole, cut = exposure_latitude(sunny), exposure_latitude(clipped)
    assert at(whole, "clipped_share", 0) == pytest.approx(at(cut, "clipped_share", 0), abs=0.005)
    assert at(cut, "clipped_share", -4) == pytest.approx(at(cut, "clipped_share", 0), abs=0.005)
    assert at(whole, "clipped_share", -4) < 0.6 * at(cut, "clipped_share", -4)
    assert ceiling_share(cut_with_spark(clipped)) > 5 * ceiling_share(sunny)


def cut_with_spark(clipped):
    """Return a clipped picture with one firefly, which must not hide the plateau."""
    spark = clipped.copy()
    spark[3, 3] = 900
    return spark


def test_crushed_blacks_stay_black_when_graded_up(sky):
    dark = sky / 64
    crushed = np.where(dark < 0.002, 0, dark)
    assert at(exposure_latitude(dark), "crushed_share", 4) == 0
    assert at(exposure_latitude(crushed), "crushed_share", 4) == pytest.approx(
        np.mean(crushed == 0), abs=0.01
    )


@pytest.mark.parametrize("sd", [0.01, 0.04])
def test_noise_is_measured_and_a_slope_is_none(sky, sd):
    grainy = with_grain(sky, sd)
    clean = exposure_latitude(sky)
    assert at(clean, "noise_codes") < 0.05
    # The slope of the sRGB curve turns relative noise into codes.
    expected = np.std((shown_codes(grainy) - shown_codes(sky))[flat_areas(sky)])
    assert at(exposure_latitude(grainy), "noise_codes") == pytest.approx(expected, rel=0.15)


def test_the_noise_floor_is_where_signal_and_noise_are_equal():
    rng = np.random.default_rng(1)
    for sd in (0.001, 0.008):
        shadows = rgb(0.02 + rng.normal(0, sd, (96, 96)))
        assert noise_floor_stops(shadows) == pytest.approx(np.log2(sd), abs=0.2)
    assert noise_floor_stops(rgb(np.full((32, 32), 0.02))) == np.log2(LEAST_NOISE_LINEAR)


def test_a_line_is_not_taken_for_noise():
    picture = np.zeros((64, 64), np.float32)
    picture[30] = 50
    assert noise_sd(picture, np.ones(picture.shape, bool)) == 0


def test_a_picture_without_flat_areas_has_no_figures_of_them():
    rng = np.random.default_rng(2)
    blocks = np.kron(2.0 ** rng.uniform(-8, 8, (6, 6)), np.ones((4, 4)))
    latitude = exposure_latitude(rgb(blocks), [0])
    if not flat_areas(rgb(blocks)).any():
        assert at(latitude, "banded_share") is None
    assert at(latitude, "clipped_share") > 0
