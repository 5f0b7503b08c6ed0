"""Hybrid Log-Gamma against the recommendation, the report on its use, and colour-science."""

import warnings

import numpy as np
import pytest

from hdrgen.colour.display import pq_encode
from hdrgen.colour.hlg import hlg_decode, hlg_encode, hlg_oetf, hlg_oetf_inverse, hlg_system_gamma

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import colour

CODE = np.random.default_rng(0).uniform(0, 1, (200, 3))


def test_curve_has_the_values_of_bt2100():
    """A twelfth of the light is half of the codes (table 5), and all of it is one."""
    np.testing.assert_allclose(hlg_oetf(np.array([0, 1 / 12, 1.0])), [0, 0.5, 1], atol=1e-7)


@pytest.mark.parametrize(("nits", "hlg", "pq"), [(203, 0.75, 0.58), (26, 0.38, 0.38), (1000, 1.0, 0.75)])
def test_levels_are_those_of_bt2408(nits, hlg, pq):
    """Reference white, a grey card and the nominal peak (table 1), on a display of 1000 nit."""
    grey = np.full((1, 3), float(nits))
    assert hlg_encode(grey, 1000.0)[0] == pytest.approx(hlg, abs=5e-3)
    assert pq_encode(grey)[0] == pytest.approx(pq, abs=5e-3)


@pytest.mark.parametrize("peak_nits", [400.0, 1000.0, 2000.0])
def test_encode_and_decode_agree_with_colour_science(peak_nits):
    nits = hlg_decode(CODE, peak_nits)
    theirs = colour.models.eotf_BT2100_HLG(CODE, L_W=peak_nits)
    np.testing.assert_allclose(nits, theirs, rtol=2e-5, atol=1e-3)
    np.testing.assert_allclose(hlg_encode(nits, peak_nits), CODE, atol=1e-6)


def test_saturated_light_at_the_peak_is_more_than_hlg_holds():
    """Such a display shows blue alone at 57 % of its peak (0.0593 to the power of 0.2)."""
    blue = hlg_encode(np.array([[0.0, 0.0, 1000.0]]), 1000.0)
    np.testing.assert_allclose(blue, [[0, 0, 1]], atol=1e-7)
    assert hlg_decode(blue, 1000.0)[0, 2] == pytest.approx(568.4, abs=0.5)


def test_oetf_agrees_with_colour_science_and_comes_back():
    light = np.linspace(0, 1, 1001)
    assert np.abs(hlg_oetf(light) - colour.models.oetf_BT2100_HLG(light)).max() < 1e-7
    np.testing.assert_allclose(hlg_oetf_inverse(hlg_oetf(light)), light, atol=1e-7)


def test_gamma_is_given_from_400_to_2000_nits():
    assert hlg_system_gamma(1000) == 1.2
    assert hlg_system_gamma(2000) == pytest.approx(1.326, abs=1e-3)
    with pytest.raises(ValueError, match="400 to 2000 nit, not 4000"):
        hlg_system_gamma(4000)


def test_torch_takes_the_same_way():
    torch = pytest.importorskip("torch")
    nits = hlg_decode(torch.from_numpy(CODE), 1000.0)
    np.testing.assert_allclose(hlg_encode(nits, 1000.0).numpy(), CODE, atol=1e-6)
