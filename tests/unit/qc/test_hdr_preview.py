"""HDR previews, read back by other libraries: FFmpeg, libjxl through Pillow, libultrahdr."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from hdrgen.colour import ocio
from hdrgen.colour.display import pq_decode, pq_encode, srgb_decode
from hdrgen.colour.hlg import hlg_decode
from hdrgen.colour.primaries import AP0, AP1, P3_D65, REC709, REC2020, convert_primaries, luminance
from hdrgen.images.exr import write_exr
from hdrgen.images.hdr_codes import encode_avif
from hdrgen.images.ultra_hdr import gain_map
from hdrgen.qc.hdr_preview import HdrDisplay, write_hdr_preview
from hdrgen.qc.preview import write_strip
from hdrgen.runtime.errors import HdrgenError

LEVELS = (0.0, 0.02, 0.18, 1.0, 4.0, 30.0, 2000.0)
COLOURS = np.float32([[1, 1, 1], [1, 0.35, 0.2], [0.3, 0.8, 0.35], [0.25, 0.35, 1]])
CELL = 24


def patches() -> np.ndarray:
    """Return a chart in linear AP1: a row for each colour, a column for each level."""
    chart = COLOURS[:, None, :] * np.float32(LEVELS)[None, :, None]
    return chart.repeat(CELL, 0).repeat(CELL, 1)


def centres(picture: np.ndarray) -> np.ndarray:
    """Return the mean of the middle of each patch, ``(colours, levels, 3)``."""
    rows, columns = len(COLOURS), len(LEVELS)
    cells = picture.reshape(rows, CELL, columns, CELL, 3)
    return cells[:, 6:-6, :, 6:-6].mean((1, 3))


def expected(display: HdrDisplay) -> np.ndarray:
    """Return the light of the patches in nit, in Rec.2020."""
    return centres(convert_primaries(display.nits(patches(), P3_D65), P3_D65, REC2020))


@pytest.fixture
def chart(tmp_path):
    write_exr(tmp_path / "chart.exr", patches(), chromaticities=AP1)
    return tmp_path / "chart.exr"


def decoded_by_ffmpeg(path):
    """Return what FFmpeg reads: RGB codes 0 to 1, and the stream's own words on them."""
    av = pytest.importorskip("av", reason="PyAV (FFmpeg) is not installed")
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    bits = frame.format.components[0].bits
    planes = [
        np.frombuffer(bytes(plane), "<u2").reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    ]
    y, cb, cr = np.float64(planes) / (2**bits - 1)
    cb, cr = cb - 2 ** (bits - 1) / (2**bits - 1), cr - 2 ** (bits - 1) / (2**bits - 1)
    # BT.2020, table 4: non-constant luminance.
    red, blue = y + 1.4746 * cr, y + 1.8814 * cb
    green = (y - 0.2627 * red - 0.0593 * blue) / 0.6780
    said = (bits, int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace))
    return np.stack([red, green, blue], -1), said, frame


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize(("transfer", "cicp"), [("pq", 16), ("hlg", 18)])
def test_avif_is_what_it_says_to_ffmpeg(chart, tmp_path, transfer, cicp, bits):
    """Depth, CICP, full range without subsampling, and the light of every patch within a few percent."""
    display = HdrDisplay(1000.0, 203.0, transfer)
    done = write_hdr_preview(chart, tmp_path / "a.avif", display=display, bits=bits)
    code, said, frame = decoded_by_ffmpeg(tmp_path / "a.avif")
    assert said == (bits, 9, cicp, 9)
    assert frame.format.name == f"yuv444p{bits}le"
    assert int(frame.color_range) == 2  # AVCOL_RANGE_JPEG
    shown = centres(pq_decode(code) if transfer == "pq" else hlg_decode(code, 1000.0))
    np.testing.assert_allclose(shown, expected(display), rtol=0.03, atol=1.5)
    assert shown[0, 2] == pytest.approx(20.3, rel=0.02)  # 18 % grey is a tenth of paper white
    assert shown[0, -1] == pytest.approx(1000, rel=0.02)
    assert done.brightest_nits == pytest.approx(1000, rel=1e-3)


@pytest.mark.parametrize("peak_nits", [300.0, 600.0, 4000.0])
def test_peak_of_the_display_is_the_peak_of_the_file(chart, tmp_path, peak_nits):
    """Read by colour-science's PQ, not ours."""
    colour = pytest.importorskip("colour")
    write_hdr_preview(chart, tmp_path / "a.avif", display=HdrDisplay(peak_nits))
    code, _, _ = decoded_by_ffmpeg(tmp_path / "a.avif")
    assert colour.eotf(centres(code)[0, -1], "ITU-R BT.2100 PQ") == pytest.approx(peak_nits, rel=0.02)


@pytest.mark.parametrize(("transfer", "cicp"), [("pq", 16), ("hlg", 18)])
def test_jpeg_xl_is_what_it_says_to_libjxl(chart, tmp_path, transfer, cicp):
    """The profile that another binding of libjxl makes of the header, and 16-bit codes from a third."""
    pytest.importorskip("pillow_jxl", reason="pillow-jxl-plugin is not installed")
    imagecodecs = pytest.importorskip("imagecodecs")
    display = HdrDisplay(600.0, 150.0, transfer)
    write_hdr_preview(chart, tmp_path / "a.jxl", display=display)
    profile = Image.open(tmp_path / "a.jxl").info["icc_profile"]
    assert re.search(rb"cicp\0{4}(..)", profile, re.DOTALL)[1] == bytes([9, cicp])
    code = imagecodecs.jpegxl_decode((tmp_path / "a.jxl").read_bytes()) / 65535
    shown = centres(pq_decode(code) if transfer == "pq" else hlg_decode(code, 600.0))
    np.testing.assert_allclose(shown, expected(display), rtol=0.03, atol=1.5)


def test_ultra_hdr_brightens_to_the_hdr_rendition(chart, tmp_path):
    """The first picture is the SDR view to any reader; libultrahdr makes the HDR one of it."""
    imagecodecs = pytest.importorskip("imagecodecs")
    display = HdrDisplay(800.0, 160.0)
    done = write_hdr_preview(chart, tmp_path / "a.jpg", display=display)
    data = (tmp_path / "a.jpg").read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        sdr = np.asarray(picture.convert("RGB"), np.float32) / 255
        assert picture.format == "JPEG"  # and no multi-picture file, which Pillow calls others than gain maps
    np.testing.assert_allclose(centres(sdr), centres(ocio.display(patches(), "acescg")), atol=0.02)
    assert imagecodecs.ultrahdr_check(data)
    hdr = imagecodecs.ultrahdr_decode(data)[..., :3].astype(np.float32)
    wanted = centres(display.nits(patches(), REC709))
    np.testing.assert_allclose(centres(hdr) * 160, wanted, rtol=0.05, atol=1.5)
    assert done.transfer == "gain map"
    assert done.brightest_nits == pytest.approx(800, rel=1e-3)


def test_gain_map_on_a_display_without_headroom_is_the_sdr_picture(chart, tmp_path):
    """The boost that the file asks for is followed by what the display has."""
    imagecodecs = pytest.importorskip("imagecodecs")
    write_hdr_preview(chart, tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    plain = imagecodecs.ultrahdr_decode(data, boost=1.0)[..., :3].astype(np.float32)
    with Image.open(io.BytesIO(data)) as picture:
        sdr = srgb_decode(np.asarray(picture.convert("RGB"), np.float32) / 255)
    np.testing.assert_allclose(centres(plain), centres(sdr), atol=0.01)


def test_gain_map_comes_back():
    """Codes are even in stops between the smallest and the largest gain."""
    rng = np.random.default_rng(0)
    sdr, hdr = rng.random((8, 9, 3)), rng.random((8, 9, 3)) * 6
    gain = gain_map(sdr, hdr)
    stops = gain.minimum_stops + gain.code8 / 255 * (gain.maximum_stops - gain.minimum_stops)
    back = (sdr + 1 / 64) * 2**stops - 1 / 64
    np.testing.assert_allclose(back, hdr, rtol=0.02, atol=2e-3)
    assert (gain.code8.min(), gain.code8.max()) == (0, 255)
    assert not gain_map(sdr, sdr).code8.any()


@pytest.mark.parametrize("peak_nits", [500, 1000, 2000, 4000])
def test_hdr_rendition_is_that_of_the_configuration(peak_nits):
    """The peaks that the built-in configuration has views for, on colours from deep shadow to far above white."""
    rng = np.random.default_rng(1)
    linear = (0.18 * 2.0 ** rng.uniform(-8, 10, (32, 32, 3))).astype(np.float32)
    view = f"ACES 2.0 - HDR {peak_nits} nits (P3 D65)"
    theirs = ocio.display(linear, "acescg", display="Rec.2100-PQ - Display", view=view)
    ours = convert_primaries(HdrDisplay(peak_nits).nits(linear, P3_D65), P3_D65, REC2020)
    np.testing.assert_allclose(pq_encode(ours), np.clip(theirs, 0, 1), atol=1e-4)


def test_paper_white_is_a_gain_before_the_view():
    """Grey is at a tenth of it; without one it is where the view has it."""
    grey = np.full((1, 1, 3), 0.18, np.float32)
    for display in (HdrDisplay(1000.0), HdrDisplay(1000.0, 203.0), HdrDisplay(300.0, 80.0)):
        shown = luminance(display.nits(grey, P3_D65), P3_D65)
        assert float(shown[0, 0]) == pytest.approx(display.sdr_white_nits / 10, rel=1e-3)
    assert HdrDisplay(1000.0).sdr_white_nits == pytest.approx(145.1, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((50.0,), "101 to 10000 nit, not 50"),
        ((4000.0, None, "hlg"), "HLG previews are for peaks from 400 to 2000 nit"),
        ((500.0, 600.0), "below the peak of 500"),
    ],
)
def test_displays_that_cannot_be(arguments, said):
    with pytest.raises(HdrgenError, match=said):
        HdrDisplay(*arguments)


def test_what_is_missing_is_said(chart, tmp_path, monkeypatch):
    """Another suffix, and what writes JPEG XL, an extra; no file is left. AVIF needs no extra."""
    with pytest.raises(HdrgenError, match=r"a\.gif: HDR previews are written as \.avif"):
        write_hdr_preview(chart, tmp_path / "a.gif")
    monkeypatch.setitem(__import__("sys").modules, "opencodecs", None)
    with pytest.raises(HdrgenError, match=r"JPEG XL .* pip install 'hdrgen\[preview\]'"):
        write_hdr_preview(chart, tmp_path / "a.jxl")
    assert {path.name for path in tmp_path.iterdir()} == {"chart.exr"}
    write_hdr_preview(chart, tmp_path / "a.avif")
    assert (tmp_path / "a.avif").is_file()


def test_codes_beyond_the_range_are_clipped():
    """Rounding errors of a matrix do not wrap."""
    data = encode_avif(np.full((16, 16, 3), 1.2), transfer="pq")
    assert len(data) > 100


def test_strip_shows_nine_exposures(tmp_path):
    """Each cell is the view at its exposure; labels lie in a corner."""
    write_exr(tmp_path / "a.exr", np.full((48, 64, 3), 0.18, np.float32), chromaticities=AP0)
    shown = write_strip(tmp_path / "a.exr", tmp_path / "s.png")
    strip = np.asarray(Image.open(tmp_path / "s.png"))
    assert strip.shape == (48, 9 * 64 + 8 * 6, 3) == (48, shown.width, 3)
    middle = strip[40, 60 :: 64 + 6, 1].astype(int)
    grey = np.float32(0.18 * 2.0 ** np.arange(-4, 5))[None, :, None].repeat(3, 2)
    np.testing.assert_allclose(middle, ocio.display(grey, "aces2065-1")[0, :, 1] * 255, atol=1)
    with pytest.raises(HdrgenError, match=r"as \.png"):
        write_strip(tmp_path / "a.exr", tmp_path / "s.jpg")
