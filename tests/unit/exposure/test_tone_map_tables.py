import numpy as np
import pytest

from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.exposure.tone_map_tables import level_decode, level_encode, tone_cells


def test_levels_come_back():
    light = np.concatenate([[0.0], np.geomspace(1e-4, 60000, 1001)])
    np.testing.assert_allclose(level_decode(level_encode(light)), light, rtol=1e-9, atol=1e-12)


def test_a_clean_pair_always_agrees_and_the_light_is_inside_the_intersection():
    light = np.concatenate([[0.0], np.geomspace(1e-6, 9999, 200_001)])
    reinhard, log = Reinhard(), Log()
    pair = quantise8(reinhard.encode(light)), quantise8(log.encode(light))
    cells = tone_cells(reinhard, log)
    assert cells.agree[pair].all()
    level = level_encode(light)
    assert (cells.lower[pair] <= level + 1e-5).all()
    assert (cells.upper[pair] >= level - 1e-5).all()


def test_every_table_is_finite_and_the_average_lies_between_the_two_pictures():
    cells = tone_cells(Reinhard(), Log())
    for table in (cells.lower, cells.upper, cells.average, cells.average_sd, cells.disagreement):
        assert np.isfinite(table).all()
    assert (cells.average_sd > 0).all()
    # Where Reinhard is blind the log picture decides, and the other way round in the shadows.
    assert level_decode(cells.average[255, 200]) == pytest.approx(Log().decode(np.array(200 / 255)), rel=0.05)
    assert level_decode(cells.average[30, 0]) == pytest.approx(Reinhard().decode(np.array(30 / 255)), rel=0.2)
