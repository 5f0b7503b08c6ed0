import numpy as np
import pytest

from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.exposure.log2_encoding import log2_decode, log2_encode
from hdrgen.exposure.tone_map_tables import reinhard_table, tone_map_tables


def test_levels_come_back():
    light = np.concatenate([[0.0], np.geomspace(1e-4, 60000, 1001)])
    np.testing.assert_allclose(log2_decode(log2_encode(light)), light, rtol=1e-9, atol=1e-12)


def test_a_clean_pair_always_agrees_and_the_light_is_inside_the_intersection():
    light = np.concatenate([[0.0], np.geomspace(1e-6, 9999, 200_001)])
    reinhard, log = Reinhard(), Log()
    pair = quantise8(reinhard.encode(light)), quantise8(log.encode(light))
    tables = tone_map_tables(reinhard, log)
    assert tables.consistent[pair].all()
    log2 = log2_encode(light)
    assert (tables.lower[pair] <= log2 + 1e-5).all()
    assert (tables.upper[pair] >= log2 - 1e-5).all()


def test_every_table_is_finite_and_the_average_lies_between_the_two_pictures():
    tables = tone_map_tables(Reinhard(), Log())
    for table in (tables.lower, tables.upper, tables.average, tables.average_sd, tables.disagreement):
        assert np.isfinite(table).all()
    assert (tables.average_sd > 0).all()
    # Where Reinhard is blind the log picture decides, and the other way round in the shadows.
    assert log2_decode(tables.average[255, 200]) == pytest.approx(Log().decode(np.array(200 / 255)), rel=0.05)
    assert log2_decode(tables.average[30, 0]) == pytest.approx(Reinhard().decode(np.array(30 / 255)), rel=0.2)


def test_a_reinhard_code_alone_is_the_light_in_its_middle_and_the_last_the_least_of_its_own():
    linear = reinhard_table()
    np.testing.assert_array_equal(quantise8(Reinhard().encode(linear[:255])), np.arange(255))
    assert linear[255] == pytest.approx(Reinhard().decode(254.5 / 255), rel=1e-6)
