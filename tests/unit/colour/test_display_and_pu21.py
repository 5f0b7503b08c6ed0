import warnings

import numpy as np
import pytest

from hdrgen.colour import display, pu21

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import colour


def test_pq_agrees_with_colour_science_and_comes_back():
    nits = np.geomspace(0.001, 10000, 1001)
    code = display.pq_encode(nits)
    assert np.abs(code - colour.eotf_inverse(nits, "ITU-R BT.2100 PQ")).max() <= 1e-9
    np.testing.assert_allclose(display.pq_decode(code), nits, rtol=1e-9)


def test_srgb_agrees_with_colour_science_and_is_odd():
    light = np.linspace(0, 1.5, 1001)
    assert np.abs(display.srgb_encode(light) - colour.cctf_encoding(light, "sRGB")).max() <= 1e-9
    np.testing.assert_allclose(display.srgb_decode(display.srgb_encode(-light)), -light, atol=1e-9)


# The values that the paper's own code gives for banding_glare.
@pytest.mark.parametrize(
    ("nits", "value"),
    [
        (0.005, 0.0),
        (0.1, 5.717),
        (1, 36.544),
        (10, 123.647),
        (100, 256.384),
        (1000, 420.097),
        (10000, 595.394),
    ],
)
def test_pu21_has_the_published_values(nits, value):
    assert float(pu21.pu21_encode(np.array(float(nits)))) == pytest.approx(value, abs=1e-3)


def test_pu21_comes_back_and_is_limited_to_its_range():
    nits = np.geomspace(pu21.MIN_NITS, pu21.MAX_NITS, 1001)
    np.testing.assert_allclose(pu21.pu21_decode(pu21.pu21_encode(nits)), nits, rtol=1e-9)
    assert pu21.pu21_encode(np.array([1e6])) == pytest.approx(pu21.PEAK, abs=1e-3)
    assert pu21.pu21_encode(np.array([-1.0])) == pytest.approx(0, abs=1e-6)
