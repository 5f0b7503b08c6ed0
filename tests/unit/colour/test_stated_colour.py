"""Names and numbers of colour spaces, as encodings; the curves as colour-science has them."""

import colour
import numpy as np
import pytest
from colour.models.rgb import itut_h_273 as h_273

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.power_laws import gamma_decode, gamma_encode, rec709_decode, rec709_encode
from hdrgen.colour.primaries import ADOBE_RGB, AWG4, P3_D65, REC709, XYZ_E
from hdrgen.colour.stated_colour import NotUnderstood, from_cicp, from_gamma, from_interop_id, named
from hdrgen.images.interop_id import holds_codes

CODE = np.linspace(-0.1, 1.2, 131)


def test_curves_are_those_of_the_standards_and_go_on_beyond_their_range():
    light = rec709_decode(CODE)
    inside = CODE >= 0
    np.testing.assert_allclose(
        light[inside], colour.models.oetf_inverse_BT2020(CODE[inside], is_12_bits_system=True), atol=1e-4
    )
    np.testing.assert_allclose(rec709_encode(light), CODE, atol=1e-9)
    np.testing.assert_allclose(gamma_encode(gamma_decode(CODE, 2.2), 2.2), CODE, atol=1e-9)
    np.testing.assert_allclose(gamma_decode(CODE[inside], 2.2), CODE[inside] ** 2.2)
    assert rec709_decode(np.float32(0.5)).dtype == np.float32


@pytest.mark.parametrize("key", ["srgb_p3d65", "g22_adobergb", "itu709_rec2020", "g18_rec709", "srgb_ap1"])
def test_an_encodings_two_curves_are_mirrors(key):
    encoding = ENCODINGS[key]
    np.testing.assert_allclose(encoding.encode(encoding.decode(CODE)), CODE, atol=1e-9)


def test_adobe_rgb_is_as_colour_science_has_it():
    theirs = colour.RGB_COLOURSPACES["Adobe RGB (1998)"]
    ours = ENCODINGS["g22_adobergb"]
    np.testing.assert_allclose(ours.chromaticities[:3], theirs.primaries, atol=1e-6)
    np.testing.assert_allclose(ours.decode(CODE[10:]), theirs.cctf_decoding(CODE[10:]), rtol=1e-6)


@pytest.mark.parametrize("number", [1, 5, 6, 7, 9, 11, 12])
def test_the_primaries_of_h273_are_those_of_colour_science(number):
    ours = from_cicp((number, 8, 0, 1), "x").encoding.chromaticities
    np.testing.assert_array_equal(ours[:3], h_273.COLOUR_PRIMARIES_ITUTH273[number])


@pytest.mark.parametrize(
    ("name", "key", "codes"),
    [
        ("lin_rec709_scene", "linear_rec709", False),
        ("lin_ap0_scene", "linear_ap0", False),
        ("lin_p3d65_scene", "linear_p3d65", False),
        ("ocio:lin_awg4_scene", "linear_awg4", False),
        ("srgb_rec709_scene", "srgb_rec709", True),
        ("srgb_rec709_display", "srgb_rec709", True),
        ("srgb_p3d65_display", "srgb_p3d65", True),
        ("g22_rec709_scene", "g22_rec709", True),
        ("g24_rec709_display", "g24_rec709", True),
        ("g22_adobergb_scene", "g22_adobergb", True),
        ("g22_ap1_scene", "g22_ap1", True),
        ("ocio:itu709_rec709_scene", "itu709_rec709", True),
        ("ocio:arrilogc3_awg3_scene", "logc3_awg3", True),
        ("ocio:arrilogc4_awg4_scene", "logc4_awg4", True),
    ],
)
def test_interop_ids_are_encodings(name, key, codes):
    stated = from_interop_id(name)
    assert stated.key == key
    assert stated.encoding.chromaticities == ENCODINGS[key].chromaticities
    assert holds_codes(name) == codes


def test_interop_ids_of_no_encoding_here():
    assert from_interop_id("unknown") is None
    assert from_interop_id("") is None
    assert from_interop_id("lin_adobergb_scene").encoding.chromaticities == ADOBE_RGB
    assert from_interop_id("g26_p3d65_display").encoding.chromaticities == P3_D65
    assert from_interop_id("lin_ciexyzd65_scene").encoding.chromaticities == XYZ_E
    codes = ("data", "pq_rec2020_display", "hlg_rec2020_display", "pq_xyzd65_display", "srgb_ours_scene")
    for name in (*codes, "ours_rec709_scene", "ocio:acescct_ap1_scene"):
        assert from_interop_id(name).encoding is None
        assert holds_codes(name)
    for name in ("nonsense", "lin_ours_scene", "lin_rec709"):
        with pytest.raises(NotUnderstood, match=f"{name!r} is not known here"):
            from_interop_id(name)
        assert not holds_codes(name)


def test_numbers_of_h273():
    assert from_cicp((1, 13, 0, 1), "x") == named("srgb_rec709", "x")
    assert from_cicp((12, 13, 0, 1), "x").key == "srgb_p3d65"
    assert from_cicp((2, 13, 0, 1), "x") is None
    assert from_cicp((11, 8, 0, 1), "x").encoding.chromaticities.white == (0.314, 0.351)
    for numbers in ((1, 13, 1, 1), (3, 13, 0, 1), (1, 3, 0, 1)):
        with pytest.raises(NotUnderstood, match="are not known here"):
            from_cicp(numbers, "x")


def test_gammas():
    assert from_gamma(2.2, None, "x").key == "g22_rec709"
    assert from_gamma(1.0, REC709, "x").key == "linear_rec709"
    assert from_gamma(1.0, AWG4, "x").key is None
    for exponent in (0.01, 50.0, float("nan")):
        with pytest.raises(NotUnderstood):
            from_gamma(exponent, None, "x")
