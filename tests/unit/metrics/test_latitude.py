"""Each measure moves as it should on pictures that are made for it."""

import numpy as np
import pytest

from hdrgen.colour.display import srgb_decode, srgb_encode
from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.colour.primaries import AP1, AWG4, REC709, convert_primaries
from hdrgen.metrics.latitude import (
    LEAST_NOISE_LINEAR,
    ceiling_plateau,
    contours,
    exposure_latitude,
    flat_areas,
    noise_floor_stops,
    noise_sd,
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
    for bits in (8, 6):
        assert at(exposure_latitude(quantised(sky, bits)), "banded_share") > 0.9
    assert at(exposure_latitude(quantised(sky, 12)), "banded_share") == 0


@pytest.mark.parametrize("exposure_stops", [0, 2])
@pytest.mark.parametrize(
    ("primaries", "encode", "decode"),
    [(REC709, srgb_encode, srgb_decode), (AWG4, logc4_encode, logc4_decode)],
    ids=["srgb", "logc4"],
)
def test_a_coloured_sky_of_8_bits_is_banded_whatever_its_primaries_and_as_delivered(
    sky, primaries, encode, decode, exposure_stops
):
    """Codes of the components step at different places, so that each step is small in other primaries."""
    blue = sky * 2.0 ** (np.linspace(-1, 0, 64)[:, None, None] * [1.0, 0.4, 0.1] + [-0.6, 0, 0.4]) / 2
    codes = np.round(encode(blue) * 255) / 255

    def written(linear):
        half = convert_primaries(linear.astype(np.float32), primaries, AP1).astype(np.float16)
        return convert_primaries(half.astype(np.float32), AP1, AWG4)

    share = [
        at(exposure_latitude(written(light)), "banded_share", exposure_stops)
        for light in (blue, decode(codes))
    ]
    assert share[0] == 0
    assert share[1] > 0.9


def test_bands_show_when_a_picture_is_graded_up_and_not_when_it_is_graded_down(sky):
    codes = np.round(srgb_encode(sky / 4) * 255) / 255
    latitude = exposure_latitude(srgb_decode(codes).astype(np.float32))
    assert at(latitude, "banded_share", -4) == 0
    assert at(latitude, "banded_share", 0) > 0.9
    assert at(latitude, "banded_share", 2) > 0.9


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
    assert along.all()
    assert down.all()
    half = everywhere.copy()
    half[:, 40:] = False
    assert contours(steps, half)[:, :30].all()
    assert not contours(steps, half)[:, 40:].any()


def test_runs_shorter_than_four_pixels_are_no_bands():
    """Steps at every third pixel are a slope to the eye."""
    stairs = np.repeat(np.arange(30, dtype=np.float32) * 2, 3)[None].repeat(8, 0)
    assert not contours(stairs, np.ones(stairs.shape, bool)).any()


def test_a_clipped_sun_stays_clipped_however_far_down_it_is_graded(sky):
    sunny = sky.copy()
    rows, columns = np.mgrid[:64, :256]
    distance = np.hypot(rows - 32, columns - 200)
    sunny += rgb(300 * np.exp(-((distance / 9) ** 2)))
    clipped = np.minimum(sunny, 1)
    whole, cut = exposure_latitude(sunny), exposure_latitude(clipped)
    assert at(whole, "clipped_fraction", 0) == pytest.approx(at(cut, "clipped_fraction", 0), abs=0.005)
    assert at(cut, "clipped_fraction", -4) == pytest.approx(at(cut, "clipped_fraction", 0), abs=0.005)
    assert at(whole, "clipped_fraction", -4) < 0.6 * at(cut, "clipped_fraction", -4)
    assert ceiling_plateau(sunny).mean() < 0.005
    assert ceiling_plateau(cut_with_spark(clipped)).mean() == pytest.approx(np.mean(sunny >= 1), rel=0.1)


def cut_with_spark(clipped):
    """Return a clipped picture with one firefly, which must not hide the plateau."""
    spark = clipped.copy()
    spark[3, 3] = 900
    return spark


def test_a_sun_that_was_clipped_in_other_primaries_is_clipped(sky):
    """Clipped red alone is even in Rec.709, and in AWG4 it goes up and down with green and blue."""
    sunset = sky * np.float32([0.5, 0.3, 0.1])
    sunset[:, 128:, 0] = 1
    cut = convert_primaries(sunset, REC709, AWG4)
    assert ceiling_plateau(cut).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("brightness", [0, 0.18, 1], ids=["black", "grey", "white"])
def test_a_picture_of_one_brightness_has_no_ceiling(brightness):
    flat = np.full((32, 32, 3), brightness, np.float32)
    assert not ceiling_plateau(flat).any()
    assert at(exposure_latitude(flat), "clipped_fraction", -4) == 0
    assert at(exposure_latitude(flat), "clipped_fraction", 4) == (brightness * 16 >= 1)


def test_a_bright_wall_with_grain_is_no_ceiling(sky):
    wall = sky.copy()
    wall[:, 128:] = 2
    assert ceiling_plateau(wall)[:, 130:].all()
    assert ceiling_plateau(with_grain(wall, 0.01)).mean() < 0.01


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
    ramp = rgb(2.0 ** np.arange(-20, 10, 1 / 4)[None].repeat(32, 0))
    steep = (ramp > 2**-8) & (ramp < 2**8)
    assert not flat_areas(ramp)[steep[..., 0]].any()
    # Four stops down, all that is flat, at either end, is black or white.
    assert at(exposure_latitude(ramp), "banded_share", -4) is None
    assert at(exposure_latitude(ramp), "clipped_fraction", -4) > 0
