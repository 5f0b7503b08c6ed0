"""Pictures as a display shows them."""

import numpy as np
import pytest

from hdrgen.colour import ocio
from hdrgen.colour.primaries import AP1, REC709, convert_primaries
from hdrgen.images.exr import write_exr
from hdrgen.images.stored_image import SceneImage
from hdrgen.qc.preview import linear_ap1, preview_code8, write_preview
from hdrgen.runtime.errors import HdrgenError

RAMP = np.repeat((0.18 * 2.0 ** np.linspace(-8, 8, 200))[None, :, None], 3, 2).astype(np.float32)


def test_the_default_view_is_aces_2_on_an_srgb_monitor():
    """Names of the pinned configuration, case ignored."""
    assert ocio.display_view() == ("sRGB - Display", "ACES 2.0 - SDR 100 nits (Rec.709)")
    assert ocio.display_view("display p3 - display", "RAW") == ("Display P3 - Display", "Raw")


def test_grey_stays_grey_and_brighter_is_brighter():
    """The view is neutral and rising; exposure is a gain before it."""
    displayed = ocio.display(RAMP, "acescg")
    assert np.ptp(displayed, axis=-1).max() < 2e-3
    assert (np.diff(displayed[0, :, 1]) >= -1e-6).all()
    np.testing.assert_allclose(
        ocio.display(RAMP, "acescg", exposure_stops=2), ocio.display(RAMP * 4, "acescg"), atol=2e-4
    )


def test_the_space_of_the_source_does_not_matter():
    """The same light in two spaces looks the same."""
    rec709 = convert_primaries(RAMP * np.float32([1, 0.6, 0.3]), AP1, REC709)
    a = ocio.display(RAMP * np.float32([1, 0.6, 0.3]), "acescg")
    np.testing.assert_allclose(ocio.display(rec709, "linear_rec709"), a, atol=2e-3)


def test_what_cannot_be_shown_is_black_or_white():
    """NaN is black, Inf is white; neither spreads."""
    rgb = np.full((20, 20, 3), 0.18, np.float16)
    rgb[0, 0], rgb[1, 1] = np.nan, np.inf
    code8 = preview_code8(linear_ap1(SceneImage(rgb, None, AP1, {}, "half", "zip", "scanline")))
    assert code8[0, 0].tolist() == [0, 0, 0]
    assert code8[1, 1].min() == 255
    assert np.count_nonzero(code8 != 89) == 6


def test_preview_says_what_it_shows(tmp_path):
    """Display, view and exposure come back, and an unknown name is answered with those there are."""
    write_exr(tmp_path / "a.exr", RAMP, chromaticities=AP1)
    displayed = write_preview(tmp_path / "a.exr", tmp_path / "a.png", exposure_stops=-2)
    assert (displayed.width, displayed.source_space, displayed.exposure_stops) == (200, "ACEScg", -2)
    with pytest.raises(HdrgenError, match="'Un-tone-mapped'"):
        write_preview(tmp_path / "a.exr", tmp_path / "b.png", view="pretty")
    assert not (tmp_path / "b.png").exists()
