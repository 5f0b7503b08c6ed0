import numpy as np
import pytest

from hdrgen.colour.tone_maps import quantise8
from hdrgen.flux.renditions import brackets
from hdrgen.metrics.generated import (
    ToneStatistics,
    at_maximum_share,
    bracket_consistency,
    clipped_fraction,
    light_figures,
    spread_stops,
)


@pytest.fixture
def light():
    """Return light from 0.01 to 100, 13.3 stops, a column for each level."""
    row = np.geomspace(0.01, 100, 256, dtype=np.float32)
    return np.repeat(np.repeat(row[None, :, None], 8, 0), 3, 2)


def logc4_code8(light, *evs, error_stops=0.0):
    """Return brackets, the last of them off by an error."""
    codes = {r.ev: quantise8(r.encode(light)) for r in brackets(evs)}
    last = brackets(evs)[-1]
    return codes | {last.ev: quantise8(last.encode(light * np.float32(2.0**error_stops)))}


def test_a_pixel_is_pinned_when_every_rendition_of_it_has_a_component_at_the_ceiling():
    long, short = np.zeros((2, 2, 2, 3), np.uint8)
    long[:, :, 0] = 255  # all four
    short[0, 0, 2] = 255  # one of them, in another component
    short[1, 1] = 254
    assert clipped_fraction(long) == 1.0
    assert clipped_fraction(long, short) == 0.25
    assert clipped_fraction(short) == 0.25


def test_a_plateau_at_the_maximum_is_seen_and_a_single_peak_is_one_pixel(light):
    assert at_maximum_share(light) == pytest.approx(1 / 256)
    assert at_maximum_share(np.minimum(light, 1)) == pytest.approx(np.mean(light[..., 0] >= 0.999), abs=1e-6)


def test_light_says_its_range_peak_and_what_is_no_number(light):
    figures = light_figures(light)
    assert figures["stops"] == pytest.approx(np.log2(100 / 0.01), abs=0.05)
    assert figures["peak_linear"] == pytest.approx(100, rel=1e-3)
    assert figures["finite_share"] == 1.0
    broken = light.copy()
    broken[0, :64, 1] = np.nan
    assert light_figures(broken)["finite_share"] == 1 - 64 / (8 * 256)


def test_renditions_of_one_light_agree_as_far_as_8_bits_allow(light):
    figures = bracket_consistency(logc4_code8(light, -2, 0, 2, 4))
    assert figures["pu21_psnr"] > 45
    assert figures["exposure_error_stops"] < 0.02
    assert figures["compared_share"] > 0.4
    assert {"pu21_psnr_ev-2", "pu21_psnr_ev+2", "pu21_psnr_ev+4"} <= set(figures)
    assert "pu21_psnr_ev+0" not in figures


def test_an_exposure_that_is_off_by_a_stop_is_said_to_be(light):
    figures = bracket_consistency(logc4_code8(light, 0, 2, error_stops=1))
    assert figures["exposure_error_stops"] == pytest.approx(1, abs=0.03)
    assert figures["stops_rmse"] == pytest.approx(1, abs=0.05)
    right = bracket_consistency(logc4_code8(light, 0, 2))
    assert figures["pu21_psnr"] < right["pu21_psnr"] - 15


def test_brackets_that_show_another_scene_agree_less(light):
    codes = logc4_code8(light, 0, 2)
    other = codes | {2.0: codes[2.0][:, ::-1]}
    assert bracket_consistency(other)["pu21_psnr"] < bracket_consistency(codes)["pu21_psnr"] - 20


def test_what_is_clipped_or_in_the_noise_is_not_compared(light):
    codes = logc4_code8(light, 0, 2)
    spoiled = codes[2.0].copy()
    spoiled[codes[0.0] < 25] = 0  # under the black of the reference, whatever the long exposure says
    spoiled[codes[0.0] > 220] = 255
    assert bracket_consistency(codes | {2.0: spoiled})["pu21_psnr"] > 45
    assert bracket_consistency({0.0: codes[0.0], 4.0: np.full_like(codes[0.0], 255)}) == {}


def test_a_set_that_is_a_stop_brighter_is_one_stop_away(light):
    of = ToneStatistics.of
    assert of([light]).distance_stops(of([light * 2])) == pytest.approx(1, abs=1e-6)
    assert of([light, light]).distance_stops(of([light])) == 0
    assert of([light]).share.sum() == pytest.approx(1)
    below = of([light * 1e-9])  # noise around black is no light: all of it counts as the floor
    assert below.share.max() == 1


def test_spread_is_0_for_equal_pictures_and_half_the_distance_of_two(light):
    assert spread_stops([light, light]) == 0
    assert spread_stops([light, light * 4]) == pytest.approx(1, abs=1e-5)
