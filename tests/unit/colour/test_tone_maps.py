import numpy as np
import pytest

from hdrgen.colour.tone_maps import Log, Reinhard, intervals8, quantise8

CURVES = [Reinhard(), Log(), Log(100.0)]


@pytest.mark.parametrize("curve", CURVES)
def test_the_inverse_is_exact(curve):
    light = np.geomspace(1e-5, min(curve.ceiling_linear, 1e4), 2001)
    np.testing.assert_allclose(curve.decode(curve.encode(light)), light, rtol=1e-8)


@pytest.mark.parametrize("curve", CURVES)
def test_a_code_lies_in_its_own_cell_and_cells_leave_no_gap(curve):
    light = np.concatenate([[0.0], np.geomspace(1e-6, 60000, 50001)])
    code = quantise8(curve.encode(light))
    lower, upper = intervals8(curve)
    inside = light <= curve.ceiling_linear
    assert (lower[code] <= light * (1 + 1e-9)).all()
    assert (upper[code] >= light * (1 - 1e-9))[inside].all()
    np.testing.assert_array_equal(lower[1:], upper[:-1])
    assert lower[0] == 0
    assert upper[-1] == pytest.approx(curve.ceiling_linear)


@pytest.mark.parametrize("curve", CURVES)
def test_negatives_are_black(curve):
    assert curve.encode(np.array([-3.0])) == 0
