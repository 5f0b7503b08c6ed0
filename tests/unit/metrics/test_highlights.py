import cv2
import numpy as np
import pytest

from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.metrics.highlights import (
    highlight_colour_shift,
    highlight_saturation,
    light_sources,
    logc4_psnr,
    source_energy_share,
    source_figures,
    uv_from_white,
)


@pytest.fixture
def evening():
    """Return a street with an orange sun of 200 and a small lamp of 60."""
    rng = np.random.default_rng(0)
    street = rng.uniform(0.05, 0.4, (80, 120, 3)).astype(np.float32)
    rows, columns = np.mgrid[:80, :120]
    street[np.hypot(rows - 20, columns - 30) < 6] = (220.0, 180.0, 60.0)
    street[60:64, 90:94] = 60.0
    return street


def test_8_bit_codes_have_the_psnr_of_rounding():
    light = (2.0 ** np.random.default_rng(0).uniform(-6, 7, (64, 64, 3))).astype(np.float32)
    codes = np.round(logc4_encode(light) * 255) / 255
    assert logc4_psnr(logc4_decode(codes).astype(np.float32), light) == pytest.approx(58.92, abs=0.1)
    assert logc4_psnr(light, light) == 100


def test_saturation_and_hue_do_not_depend_on_exposure():
    colours = np.random.default_rng(0).uniform(0.1, 1, (5, 5, 3))
    assert uv_from_white(colours * 64) == pytest.approx(uv_from_white(colours))
    assert uv_from_white(np.ones((1, 3))) == pytest.approx(np.zeros((1, 2)), abs=1e-9)


def test_clipping_every_component_fades_a_sun_to_white(evening):
    clipped = np.minimum(evening, 1)
    shift = highlight_colour_shift(clipped, evening)
    assert shift["highlight_saturation_ratio"] < 0.05
    assert shift["highlight_hue_shift_degrees"] == pytest.approx(90, abs=1)
    assert highlight_colour_shift(evening, evening) == {
        "highlight_saturation_ratio": 1,
        "highlight_hue_shift_degrees": pytest.approx(0, abs=1e-3),
    }


def test_clipping_one_component_turns_the_hue_and_a_mere_exposure_does_not(evening):
    turned = highlight_colour_shift(np.minimum(evening, 190), evening)
    assert 1 < turned["highlight_hue_shift_degrees"] < 60
    darker = highlight_colour_shift(evening / 4, evening)
    assert darker["highlight_hue_shift_degrees"] == pytest.approx(0, abs=1e-2)
    assert darker["highlight_saturation_ratio"] == pytest.approx(1, abs=1e-4)


def test_desaturating_by_half_halves_the_saturation_and_keeps_the_hue(evening):
    white = luminance(evening, AWG4)[..., None]
    half = evening * 0.5 + white * 0.5
    shift = highlight_colour_shift(half, evening)
    assert 0.3 < shift["highlight_saturation_ratio"] < 0.7
    assert shift["highlight_hue_shift_degrees"] < 10


def test_a_picture_without_highlights_has_no_such_figures():
    dim = np.full((16, 16, 3), 0.18, np.float32)
    assert highlight_colour_shift(dim, dim) == {}
    assert highlight_saturation(dim) is None
    assert source_figures(light_sources(dim, dim)) == {}
    assert source_energy_share(dim) == 0


def test_every_source_is_found_with_its_place_and_its_energy(evening):
    sources = light_sources(evening, evening)
    assert len(sources) == 2
    sun, lamp = sources.iter_rows(named=True)
    assert (sun["row"], sun["column"]) == (pytest.approx(20, abs=0.1), pytest.approx(30, abs=0.1))
    assert (lamp["row"], lamp["column"]) == (pytest.approx(61.5, abs=0.1), pytest.approx(91.5, abs=0.1))
    assert sun["energy"] > lamp["energy"]
    assert sources["energy_ratio"].to_list() == pytest.approx([1, 1])
    assert source_energy_share(evening) > 0.8
    assert source_energy_share(np.minimum(evening, 10)) == 0


def test_the_saturation_of_highlights_is_that_of_the_sun_and_the_white_lamp(evening):
    sun, lamp = (evening[18:22, 28:32], evening[60:64, 90:94])
    assert highlight_saturation(lamp) == pytest.approx(0, abs=1e-6)
    assert highlight_saturation(sun) > 0.02
    assert 0 < highlight_saturation(evening) < highlight_saturation(sun)


def test_a_clipped_sun_loses_its_energy_and_the_lamp_beside_it_does_not(evening):
    sources = light_sources(np.minimum(evening, 100), evening)
    assert sources["energy_ratio"][0] == pytest.approx(
        luminance(np.float32([100, 100, 60]), AWG4) / 185, abs=0.1
    )
    assert sources["energy_ratio"][1] == pytest.approx(1, abs=1e-6)
    # The sun has most of the energy.
    assert sources["energy_ratio"][0] < source_figures(sources)["source_energy_ratio"] < 0.7


def test_blur_keeps_most_of_the_energy_and_spreads_it(evening):
    blurred = cv2.GaussianBlur(evening, (0, 0), 0.7)
    figures = source_figures(light_sources(blurred, evening))
    assert figures["source_energy_ratio"] == pytest.approx(1, abs=0.05)
    assert figures["source_area_ratio"] > 1.05
    assert source_figures(light_sources(np.minimum(evening, 2), evening))["source_area_ratio"] > 1
