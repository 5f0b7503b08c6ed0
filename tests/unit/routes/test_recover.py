"""From an ordinary picture to its light: what is seen comes back out of the EXR, and what the EXR says of it."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch import nn

from hdrgen.colour.display import srgb_decode, srgb_encode
from hdrgen.colour.primaries import AP1, P3_D65, REC709, convert_primaries
from hdrgen.images import exr
from hdrgen.images.code_image import write_code
from hdrgen.images.conversion import from_chromaticities
from hdrgen.images.exr import read_exr
from hdrgen.inference.bit_depth import Expander
from hdrgen.inference.highlights import Recoverer
from hdrgen.models.highlights import Highlights, HighlightsNet
from hdrgen.routes.recover import OBSERVED, Recovery, SceneReferredError, recover_file
from hdrgen.routes.write_exr import ExrWriter
from hdrgen.runtime.errors import HdrgenError

PLAIN = Recovery("srgb")


@pytest.fixture(scope="module")
def recoverer():
    """Return an untrained network that says nonsense, loudly."""
    torch.manual_seed(0)
    net = HighlightsNet(Highlights(widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), curve_widths=(8, 8, 8)))
    for layer in (net.mixture, net.plain, net.unet.head):
        nn.init.normal_(layer.weight, std=0.5)
    return Recoverer(net, "feedfacebeef", torch.float32)


@pytest.fixture(scope="module")
def expander():
    return Expander.load()


@pytest.fixture
def recover(recoverer, expander, tmp_path):
    """Recover a file as out.exr."""

    def call(source, **how):
        how.setdefault("threads", 1)
        return recover_file(source, tmp_path / "out.exr", lambda: recoverer, lambda: expander, **how)

    return call


def never():
    raise AssertionError("a network was asked for")


def patches(codes, side=4):
    """Return a picture of grey patches with a little colour, that are near enough to ordinary ones for a network."""
    across = np.asarray(codes).reshape(-1, 16)
    return across.repeat(side, 0).repeat(side, 1)[..., None].repeat(3, 2)


ALL_CODES = patches(np.append(np.arange(255), 254)).astype(np.uint8)
COLOURED = np.clip(
    ALL_CODES.astype(int) + np.random.default_rng(0).integers(-24, 25, ALL_CODES.shape), 0, 254
).astype(np.uint8)


def codes_of(image):
    linear = from_chromaticities(image.rgb.astype(np.float32), image.chromaticities, "linear_rec709")
    return np.rint(srgb_encode(np.clip(linear, 0, 1)) * 255)


# What is seen.


@pytest.mark.parametrize("space", ["linear_rec709", "acescg"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("picture", [ALL_CODES, COLOURED], ids=["grey", "coloured"])
def test_every_code_comes_back_out_of_the_exr(recover, tmp_path, picture, bits, space):
    code = picture if bits == 8 else picture.astype(np.uint16) * 257
    write_code(tmp_path / "a.png", code)
    done = recover(tmp_path / "a.png", recovery=PLAIN, writer=ExrWriter(space))
    image = read_exr(tmp_path / "out.exr")
    np.testing.assert_array_equal(codes_of(image), picture)
    assert (done.bits, done.curve, done.invented_fraction, done.clipped_fraction) == (bits, "srgb", 0, 0)
    assert read_exr(tmp_path / "out.exr", layer=OBSERVED).rgb.min() == 1
    assert image.pixel_type == "half"


def test_what_is_clipped_is_white_or_brighter_and_said(recover, tmp_path):
    code8 = COLOURED.copy()
    code8[:16, :, 1] = 255
    write_code(tmp_path / "a.png", code8)
    done = recover(tmp_path / "a.png", recovery=PLAIN, writer=ExrWriter("linear_rec709"))
    image, observed = read_exr(tmp_path / "out.exr"), read_exr(tmp_path / "out.exr", layer=OBSERVED).rgb
    clipped = code8 == 255
    assert image.rgb[clipped].min() >= 1
    assert image.rgb[clipped].max() > 1
    np.testing.assert_array_equal(codes_of(image)[~clipped], code8[~clipped])
    np.testing.assert_array_equal(observed[..., 0] < 1, clipped.any(-1))
    assert done.clipped_fraction == done.invented_fraction == 0.25
    assert done.maximum_linear == pytest.approx(image.rgb.max(), rel=1e-3)


def test_nothing_invented_is_nothing_invented(recover, tmp_path):
    code8 = COLOURED.copy()
    code8[:16] = 255
    write_code(tmp_path / "a.png", code8)
    done = recover(
        tmp_path / "a.png", recovery=Recovery("srgb", strength=0), writer=ExrWriter("linear_rec709")
    )
    image = read_exr(tmp_path / "out.exr")
    assert (image.rgb[:16] == 1).all()
    np.testing.assert_array_equal(codes_of(image), code8)
    assert (done.invented_fraction, done.clipped_fraction, done.maximum_linear) == (0, 0.25, 1)
    assert read_exr(tmp_path / "out.exr", layer=OBSERVED).rgb.min() == 1


def test_the_anchor_is_whites_light_in_the_exr(recover, tmp_path):
    code8 = COLOURED.copy()
    code8[:16] = 255
    write_code(tmp_path / "a.png", code8)
    for space in ("linear_rec709", "acescg"):
        done = recover(
            tmp_path / "a.png",
            recovery=Recovery("srgb", anchor_linear=4, strength=0),
            writer=ExrWriter(space),
        )
        np.testing.assert_allclose(read_exr(tmp_path / "out.exr").rgb[:16], 4, rtol=1e-3)
        assert (done.white_linear, done.exposure_stops) == pytest.approx((4, 2))


# What the picture says of itself.


def test_a_picture_that_says_nothing_is_srgb_without_a_question(recover, tmp_path):
    """However much its codes look like a plate's."""
    write_code(tmp_path / "a.png", np.full((24, 24, 3), 90, np.uint8))
    done = recover(tmp_path / "a.png", recovery=PLAIN, writer=ExrWriter("linear_rec709"))
    assert done.encoding == "srgb"
    np.testing.assert_array_equal(codes_of(read_exr(tmp_path / "out.exr")), 90)


def test_display_p3_stays_wide(recover, tmp_path):
    """Its light is that of P3's primaries, some of it outside of Rec.709."""
    code8 = COLOURED.copy()
    code8[8:24, 8:40] = (10, 200, 20)
    write_code(tmp_path / "a.png", code8)
    done = recover(
        tmp_path / "a.png", recovery=PLAIN, encoding="display_p3", writer=ExrWriter("linear_rec709")
    )
    image = read_exr(tmp_path / "out.exr")
    assert image.rgb[8:24, 8:40, 0].max() < 0
    wide = convert_primaries(image.rgb.astype(np.float32), REC709, P3_D65)
    np.testing.assert_allclose(wide, srgb_decode(code8 / 255), rtol=0.1, atol=2e-3)
    assert done.encoding == "display_p3"


def test_another_display_curve_is_made_srgbs_and_not_clipped(recover, tmp_path):
    code16 = COLOURED.astype(np.uint16) * 257
    write_code(tmp_path / "a.png", code16)
    done = recover(
        tmp_path / "a.png", recovery=PLAIN, encoding="g22_rec709", writer=ExrWriter("linear_rec709")
    )
    np.testing.assert_allclose(
        read_exr(tmp_path / "out.exr").rgb, (code16 / 65535) ** 2.2, rtol=2e-3, atol=3e-5
    )
    assert done.encoding == "g22_rec709"


def test_an_srgb_profile_is_srgb(recover, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(COLOURED).save(tmp_path / "a.png", icc_profile=profile)
    done = recover(tmp_path / "a.png", recovery=PLAIN)
    assert done.encoding == "srgb"
    np.testing.assert_array_equal(codes_of(read_exr(tmp_path / "out.exr")), COLOURED)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ({"hdrgen:encoding": "logc4"}, None),
        ({"hdrgen:encoding": "logc3"}, None),
        ({"hdrgen:encoding": "linear"}, None),
        ({}, "logc4"),
        ({}, "linear"),
    ],
)
def test_a_plate_is_refused_with_both_ways_out(tmp_path, text, asked):
    write_code(tmp_path / "a.png", COLOURED, text=text)
    with pytest.raises(SceneReferredError, match=r"a\.png: is .* hdrgen expand .* or give --encoding srgb"):
        recover_file(tmp_path / "a.png", tmp_path / "out.exr", never, never, encoding=asked)
    assert not (tmp_path / "out.exr").exists()


def test_a_plate_that_is_called_srgb_is_srgb(recover, tmp_path):
    write_code(tmp_path / "a.png", COLOURED, text={"hdrgen:encoding": "logc4"})
    done = recover(tmp_path / "a.png", recovery=PLAIN, encoding="srgb")
    assert done.encoding == "srgb"
    assert "the picture says logc4; srgb was asked for" in done.notes


# The EXR.


def test_the_exr_says_what_made_it(recover, expander, tmp_path):
    write_code(tmp_path / "a.png", COLOURED)
    recovery = Recovery("film", exposure_stops=1.5, strength=0.5, peak_linear=20)
    done = recover(tmp_path / "a.png", recovery=recovery)
    image = read_exr(tmp_path / "out.exr")
    assert image.chromaticities == AP1
    said = {name: value for name, value in image.attributes.items() if name.startswith("hdrgen")}
    del said["hdrgenVersion"]
    assert said.pop("hdrgenWhiteLinear") == pytest.approx(done.white_linear)
    assert said == {
        "hdrgenRoute": "recover",
        "hdrgenSource": "a.png",
        "hdrgenSourceEncoding": "srgb",
        "hdrgenSourceBits": 8,
        "hdrgenCurve": "film",
        "hdrgenCurveAsked": "film",
        "hdrgenExposureStops": 1.5,
        "hdrgenStrength": 0.5,
        "hdrgenClippedShare": 0,
        "hdrgenWeights": "feedfacebeef",
        "hdrgenBitDepthWeights": expander.digest,
    }


def test_sixteen_bits_need_no_finer_codes(recoverer, tmp_path):
    write_code(tmp_path / "a.tif", COLOURED.astype(np.uint16) * 257)
    recover_file(tmp_path / "a.tif", tmp_path / "out.exr", lambda: recoverer, never, threads=1)
    attributes = read_exr(tmp_path / "out.exr").attributes
    assert attributes["hdrgenSourceBits"] == 16
    assert "hdrgenBitDepthWeights" not in attributes


def test_without_the_matte_the_light_is_the_same(recover, tmp_path):
    code8 = COLOURED.copy()
    code8[:16] = 255
    write_code(tmp_path / "a.png", code8)
    with_one = recover(tmp_path / "a.png")
    light = read_exr(tmp_path / "out.exr").rgb
    assert recover(tmp_path / "a.png", matte=False) == with_one
    np.testing.assert_array_equal(read_exr(tmp_path / "out.exr").rgb, light)
    with pytest.raises(HdrgenError):
        read_exr(tmp_path / "out.exr", layer=OBSERVED)


def test_alpha_goes_along_multiplied_in(recover, tmp_path):
    alpha = np.linspace(0, 255, COLOURED[..., 0].size).astype(np.uint8).reshape(COLOURED.shape[:2])
    Image.fromarray(np.dstack([COLOURED, alpha])).save(tmp_path / "a.png")
    done = recover(tmp_path / "a.png", recovery=PLAIN, writer=ExrWriter("linear_rec709"))
    image = read_exr(tmp_path / "out.exr")
    np.testing.assert_allclose(image.alpha, alpha / 255, atol=5e-4)
    edges = [srgb_decode((COLOURED + np.float32(by)) / 255) for by in (-0.51, 0.51)]
    low, high = (edge * (alpha / 255)[..., None] for edge in edges)
    assert ((low - 1e-6 <= image.rgb) & (image.rgb <= high * 1.001 + 1e-6)).all()
    assert "RGB was multiplied by alpha, as EXR wants it" in done.notes


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 5)])
def test_small_pictures_are_pictures(recover, tmp_path, size):
    code8 = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    write_code(tmp_path / "a.png", code8)
    done = recover(tmp_path / "a.png", recovery=PLAIN, writer=ExrWriter("linear_rec709"))
    np.testing.assert_array_equal(codes_of(read_exr(tmp_path / "out.exr")), code8)
    assert (done.height, done.width) == size


def test_threads_do_not_change_what_is_seen(recover, tmp_path):
    write_code(tmp_path / "a.tif", np.random.default_rng(0).integers(0, 60000, (300, 40, 3), np.uint16))
    written = []
    for threads in (1, 3):
        recover(tmp_path / "a.tif", recovery=PLAIN, threads=threads)
        written.append((tmp_path / "out.exr").read_bytes())
    assert written[0] == written[1]


def test_a_failing_write_leaves_nothing(recover, tmp_path, monkeypatch):
    write_code(tmp_path / "a.png", COLOURED)
    before = {path.name for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exr.OpenEXR.File, "write", full, raising=False)
    monkeypatch.setattr("os.replace", full)
    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises((HdrgenError, OSError), match="No space left"):
        recover(tmp_path / "a.png")
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("recovery", "reason"),
    [
        (Recovery(strength=2.5), "strength must be from 0 to 2"),
        (Recovery(strength=-0.1), "strength must be from 0 to 2"),
        (Recovery(strength=float("nan")), "strength must be from 0 to 2"),
        (Recovery(anchor_linear=1, exposure_stops=1), "anchor .* exposure .*: give one of them"),
        (Recovery(anchor_linear=0), "must land above 0"),
        (Recovery(anchor_linear=float("inf")), "must land above 0"),
        (Recovery(peak_linear=0), "peak must be above 0"),
        (Recovery(peak_linear=float("nan")), "peak must be above 0"),
        (Recovery(exposure_stops=float("nan")), "exposure"),
        (Recovery(exposure_stops=float("inf")), "exposure"),
        (Recovery(exposure_stops=2000), "exposure"),
    ],
)
def test_wrong_numbers_are_refused_before_any_work(tmp_path, recovery, reason):
    write_code(tmp_path / "a.png", COLOURED)
    with pytest.raises(HdrgenError, match=reason):
        recover_file(tmp_path / "a.png", tmp_path / "out.exr", never, never, recovery=recovery)
    with pytest.raises(HdrgenError, match=r"recovered pictures are written as \.exr"):
        recover_file(tmp_path / "a.png", tmp_path / "out.png", never, never)
    assert not (tmp_path / "out.exr").exists()
