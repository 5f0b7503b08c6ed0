import numpy as np
import pytest

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.exposure.bracket_tables import bracket_cells, encode_level16
from hdrgen.exposure.tone_map_tables import level_decode, level_encode

EVS = (-2.0, 0.0, 2.0, 4.0)
ENCODED = ["logc4_awg4", "logc3_awg3", "srgb_rec709", "linear_rec709"]


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("ev", EVS)
def test_light_is_inside_the_cell_of_its_code(encoding, bits, ev):
    light = np.concatenate([[0.0], np.geomspace(1e-5, 5000, 20_001)])
    code = np.clip(ENCODINGS[encoding].encode(light * 2**ev), 0, 1)
    code = (code * (2**bits - 1) + 0.5).astype(int)
    cells = bracket_cells(encoding, bits, ev, evs=EVS)
    level = level_encode(light)
    assert (cells.lower[code] <= level + 1e-5).all()
    assert (cells.upper[code] >= level - 1e-5).all()


@pytest.mark.parametrize("encoding", ENCODED)
def test_level_is_the_light_of_the_code(encoding):
    cells = bracket_cells(encoding, 8, 2.0, evs=EVS)
    light = ENCODINGS[encoding].decode(np.arange(256) / 255) / 4
    np.testing.assert_allclose(level_decode(cells.level), np.clip(light, 0, None), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("encoding", ENCODED)
def test_neighbouring_cells_touch(encoding):
    cells = bracket_cells(encoding, 8, 0.0, evs=EVS)
    np.testing.assert_allclose(cells.lower[~cells.clipped][1:], cells.upper[~cells.clipped][:-1], atol=1e-6)


def test_the_ends_are_clipped_and_open():
    cells = bracket_cells("srgb_rec709", 8, 0.0, evs=EVS)
    assert cells.clipped.nonzero()[0].tolist() == [0, 255]
    assert cells.upper[255] == np.inf
    assert cells.lower[0] == -np.inf
    logc4 = bracket_cells("logc4_awg4", 8, 0.0, evs=EVS)
    assert logc4.clipped.nonzero()[0].tolist() == [*range(24), 255]  # LogC4 has black at code 23.7


def test_of_clipped_codes_the_bracket_that_clips_last_is_believed():
    sd = np.array([bracket_cells("logc4_awg4", 8, ev, evs=EVS).sd_levels for ev in EVS])
    assert sd[:, 255].argmin() == 0  # the darkest picture knows most about highlights
    assert sd[:, 0].argmin() == 3  # the brightest about shadows
    np.testing.assert_allclose(sd[1:, 255] / sd[:-1, 255], 16.0**2)


def test_noise_is_that_of_codes():
    curve = ENCODINGS["srgb_rec709"]
    cells = bracket_cells("srgb_rec709", 8, 0.0, evs=EVS, noise_codes=3.0)
    code = 100
    level = level_encode(curve.decode(np.array([code - 1, code + 1]) / 255))
    per_code = (level[1] - level[0]) / 2
    assert cells.sd_levels[code] == pytest.approx(per_code * np.sqrt(9 + 1 / 12), rel=1e-3)
    np.testing.assert_allclose(cells.weight, 1 / cells.sd_levels**2, rtol=1e-6)
    sixteen = bracket_cells("srgb_rec709", 16, 0.0, evs=EVS, noise_codes=3.0)
    assert sixteen.sd_levels[code * 257] == pytest.approx(per_code * 3, rel=1e-2)


def test_codes_within_noise_of_the_highest_may_have_been_clipped():
    bright = bracket_cells("srgb_rec709", 8, 4.0, evs=EVS)
    # Light that is clipped gets such codes by noise, and another bracket shows it: next to no weight.
    assert bright.weight[248] < 1e-3 * bright.weight[200]
    # Without noise there is nothing to fear.
    clean = bracket_cells("srgb_rec709", 8, 4.0, evs=EVS, noise_codes=0.0)
    assert clean.weight[254] > 0.9 * clean.weight[250]


@pytest.mark.parametrize("evs", [tuple(np.arange(9.0) * 2), (-12.0, 12.0), (0.0,)])
def test_any_range_of_exposures_gives_finite_positive_weights(evs):
    for encoding in (*ENCODED, "level16"):
        for ev in evs:
            cells = bracket_cells(encoding, 8, ev, evs=evs)
            assert np.isfinite(cells.level).all()
            assert np.isfinite(cells.weight).all()
            assert (cells.weight > 0).all()


def test_level16_holds_all_half_floats_finely():
    light = np.concatenate([[0.0], np.geomspace(1e-4, 16000, 1001)])
    cells = bracket_cells("level16", 16, 2.0, evs=EVS)
    assert not cells.clipped.any()
    back = level_decode(cells.level[encode_level16(light * 4)])
    np.testing.assert_allclose(back, light, rtol=2e-4, atol=3e-6)
