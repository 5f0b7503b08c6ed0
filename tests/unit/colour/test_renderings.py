"""Filmic curves and ACES's SDR views: what every rendering of the pairs and every inverse of them relies on."""

import numpy as np
import pytest

from hdrgen.colour import ocio
from hdrgen.colour.display import srgb_encode
from hdrgen.colour.primaries import REC709, luminance
from hdrgen.colour.renderings import SHOULDERS, Filmic


def grey(values):
    return np.repeat(np.float32(values)[None, :, None], 3, axis=-1)


def some_light(seed=0, brightest=1.0):
    """Return in-gamut scene light of a few stops, not much saturated."""
    rng = np.random.default_rng(seed)
    level = brightest * np.exp2(rng.uniform(-6, 0, (16, 24, 1)))
    return (level * rng.uniform(0.5, 1, (16, 24, 3))).astype(np.float32)


@pytest.mark.parametrize("contrast", [0.85, 1.0, 1.6])
@pytest.mark.parametrize("white", [2**0.5, 6.0, 32.0])
@pytest.mark.parametrize("shoulder", SHOULDERS)
def test_curves_rise_from_black_to_white_and_stay_there(shoulder, white, contrast):
    curve = Filmic(shoulder, white, contrast)
    shown = curve.display_linear(grey(np.geomspace(1e-4, white, 500)))[0, :, 0]
    assert (np.diff(shown) >= 0).all()
    assert (np.diff(shown[shown < 0.999]) > 0).all()
    assert shown[0] < 1e-2
    black, at_white, beyond, far = curve.display_linear(grey([0, white, 2 * white, 60000]))[0, :, 0]
    assert black == pytest.approx(0, abs=1e-7)
    assert (at_white, beyond, far) == pytest.approx((1, 1, 1), abs=1e-6)
    assert curve.display_linear(grey([-1]))[0, 0, 0] == black, "what is below black is black"


def test_reinhards_curve_is_his_closed_form():
    x = np.geomspace(1e-3, 8, 200, dtype=np.float32)
    shown = Filmic("reinhard", 8.0).display_linear(grey(x))[0, :, 1]
    np.testing.assert_allclose(shown, x * (1 + x / 64) / (1 + x), rtol=1e-6)


@pytest.mark.parametrize("shoulder", SHOULDERS)
def test_contrast_is_a_steeper_curve(shoulder):
    """Ratios are told, for white is divided by what it became."""
    plain, steep = (Filmic(shoulder, 8.0, contrast) for contrast in (1.0, 1.3))
    dark, bright = grey([0.18 / 4]), grey([0.18 * 4])
    ends = [
        float(c.display_linear(dark)[0, 0, 0] / c.display_linear(bright)[0, 0, 0]) for c in (plain, steep)
    ]
    assert ends[1] < 0.75 * ends[0]


@pytest.mark.parametrize("saturation", [0.5, 1.3])
def test_saturation_keeps_luminance_before_the_curve(saturation):
    """Below its bend the knee is a line, so that what goes into it is seen."""
    light = some_light(brightest=0.4)
    plain, coloured = (Filmic("knee", 8.0, saturation=s).display_linear(light) for s in (1.0, saturation))
    np.testing.assert_allclose(luminance(coloured, REC709), luminance(plain, REC709), rtol=1e-5)
    spread = [np.ptp(picture, axis=-1).mean() for picture in (plain, coloured)]
    assert spread[1] == pytest.approx(saturation * spread[0], rel=1e-3)


def test_white_balance_comes_before_all_else():
    light = some_light()
    balance = (1.1, 1.0, 0.9)
    curve = {"contrast": 1.2, "saturation": 1.1}
    np.testing.assert_allclose(
        Filmic("hable", 8.0, **curve, white_balance=balance).display_linear(light),
        Filmic("hable", 8.0, **curve).display_linear(light * np.float32(balance)),
        rtol=1e-6,
    )


def test_aces_2_is_the_view_of_the_configuration(monkeypatch):
    monkeypatch.delenv("OCIO", raising=False)
    light = some_light(brightest=8.0)
    code = ocio.display(
        light, "linear_rec709", display="sRGB - Display", view="ACES 2.0 - SDR 100 nits (Rec.709)"
    )
    off = 255 * (srgb_encode(ocio.aces_sdr(light, "2.0")) - code)
    assert np.abs(off).max() < 0.25
    assert np.ptp(code) > 0.7


def test_aces_1_is_not_aces_2_and_shows_grey_as_it_is_known_to():
    """A tenth of white, by the publications of both."""
    shown = [float(ocio.aces_sdr(grey([0.18]), version)[0, 0, 1]) for version in ("1.3", "2.0")]
    assert shown == pytest.approx([0.1, 0.1], rel=0.06)
    bright = [ocio.aces_sdr(some_light(brightest=8.0), version) for version in ("1.3", "2.0")]
    assert np.abs(bright[0] - bright[1]).max() > 0.05


@pytest.mark.parametrize("version", ["1.3", "2.0"])
def test_aces_views_are_undone(version):
    """From the light of deep shadows to what is nearly white."""
    light = some_light(brightest=2.0)
    shown = ocio.aces_sdr(light, version)
    assert shown.max() < 1
    back = ocio.aces_sdr(shown, version, inverse=True)
    np.testing.assert_allclose(back, light, rtol=1e-2, atol=5e-4)


@pytest.mark.parametrize("version", ["1.3", "2.0"])
def test_aces_views_end_at_white_and_leave_the_light_alone(version):
    light = grey([0, 1e3, 6e4])
    before = light.copy()
    shown = ocio.aces_sdr(light, version)
    assert ((shown >= 0) & (shown <= 1)).all()
    np.testing.assert_allclose(shown[0, 1:], 1, atol=1e-3)
    np.testing.assert_allclose(shown[0, 0], 0, atol=1e-3)
    np.testing.assert_array_equal(light, before)
