"""From a picture of codes to light: through the expander or as it is, and what the EXR says of it."""

import numpy as np
import pytest
from PIL import Image

from hdrgen.colour.logc import logc4_decode
from hdrgen.colour.primaries import AP1, AWG4, convert_primaries
from hdrgen.images.code_image import write_code
from hdrgen.images.exr import read_exr
from hdrgen.routes.expand import expand_file
from hdrgen.routes.write_exr import ExrWriter
from hdrgen.runtime.errors import HdrgenError

CODE8 = np.random.default_rng(0).integers(30, 150, (300, 24, 3), np.uint8)
CODE8[:6] //= 4
CODE8[:6] += 20  # shadows near LogC4's black
CODE16 = np.random.default_rng(1).integers(8000, 50000, (24, 30, 3), np.uint16)


class ThirdOfACode:
    """An expander that adds a third of a code, so that its answer is told from plain decoding."""

    digest = "feedfacebeef"

    def expand(self, code8, *, strength=0.0, threads=2):
        self.given, self.strength, self.threads = code8, strength, threads
        return (code8 + np.float32(1 / 3)) / np.float32(255)


def never():
    raise AssertionError("the network was asked for")


def test_what_the_expander_answers_is_decoded(tmp_path):
    """Bands of rows make no difference; the EXR is in ACEScg and says what made it."""
    write_code(tmp_path / "a.png", CODE8)
    expander = ThirdOfACode()
    done = expand_file(
        tmp_path / "a.png", tmp_path / "a.exr", lambda: expander, encoding="logc4", strength=0.25, threads=3
    )
    np.testing.assert_array_equal(expander.given, CODE8)
    assert (expander.strength, expander.threads) == (0.25, 3)
    image = read_exr(tmp_path / "a.exr")
    linear = convert_primaries(logc4_decode((CODE8 + 1 / 3) / 255), AWG4, AP1)
    np.testing.assert_allclose(image.rgb, linear, rtol=1e-3, atol=1e-4)
    assert image.pixel_type == "half"
    assert image.chromaticities == AP1
    said = {name: value for name, value in image.attributes.items() if name.startswith("hdrgen")}
    del said["hdrgenVersion"]
    assert said == {
        "hdrgenRoute": "expand",
        "hdrgenSource": "a.png",
        "hdrgenSourceEncoding": "logc4",
        "hdrgenSourceBits": 8,
        "hdrgenStrength": 0.25,
        "hdrgenWeights": "feedfacebeef",
    }
    assert (done.encoding, done.bits, done.clipped_fraction) == ("logc4", 8, 0)
    assert done.maximum_linear == pytest.approx(image.rgb.max(), rel=1e-3)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_decoded_without_the_network(tmp_path, name):
    write_code(tmp_path / name, CODE16)
    done = expand_file(
        tmp_path / name, tmp_path / "a.exr", never, encoding="logc4", writer=ExrWriter("linear_awg4")
    )
    image = read_exr(tmp_path / "a.exr")
    np.testing.assert_allclose(image.rgb, logc4_decode(CODE16 / 65535), rtol=1e-3)
    assert image.chromaticities == AWG4
    assert "hdrgenWeights" not in image.attributes
    assert ["without the network" in note for note in done.notes] == [True]


@pytest.mark.parametrize(
    ("text", "suffix", "asked", "encoding", "note"),
    [
        ({"hdrgen:encoding": "logc3"}, "png", None, "logc3", None),
        ({"hdrgen:space": "sRGB Encoded Rec.709 (sRGB)"}, "png", None, "srgb", None),
        ({"hdrgen:encoding": "logc3"}, "png", "srgb", "srgb", "the picture says logc3; srgb was asked for"),
        ({"hdrgen:encoding": "srgb"}, "png", "srgb", "srgb", None),
        ({}, "jpg", None, "srgb", "nothing says the encoding, so srgb; say --encoding if not"),
        ({}, "jpg", "logc4", "logc4", None),
    ],
)
def test_the_encoding_is_asked_for_or_said_or_usual(tmp_path, text, suffix, asked, encoding, note):
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        write_code(path, CODE8, text=text)
    else:
        Image.fromarray(CODE8).save(path)
    done = expand_file(path, tmp_path / "a.exr", ThirdOfACode, encoding=asked)
    assert done.encoding == encoding
    assert done.notes == ((note,) if note else ())


def test_an_unknown_encoding_is_refused(tmp_path):
    for name, encoding in (("theirs.png", "slog3"), ("converted.png", None)):
        said = {"hdrgen:encoding": encoding} if encoding else {"hdrgen:space": "Canon Log 3"}
        write_code(tmp_path / name, CODE8, text=said)
        with pytest.raises(HdrgenError, match=rf"{name}: says it is .* unknown here; give --encoding"):
            expand_file(tmp_path / name, tmp_path / "a.exr", never)
    with pytest.raises(HdrgenError, match="unknown encoding 'slog3'; known are logc4"):
        expand_file(tmp_path / "theirs.png", tmp_path / "a.exr", never, encoding="slog3")
    assert not (tmp_path / "a.exr").exists()


def test_alpha_goes_along_multiplied_in(tmp_path):
    alpha = np.linspace(0, 255, CODE8[..., 0].size).astype(np.uint8).reshape(CODE8.shape[:2])
    Image.fromarray(np.dstack([CODE8, alpha])).save(tmp_path / "a.png")
    how = {"encoding": "logc4", "writer": ExrWriter("linear_awg4")}
    done = expand_file(tmp_path / "a.png", tmp_path / "a.exr", ThirdOfACode, **how)
    image = read_exr(tmp_path / "a.exr")
    np.testing.assert_allclose(image.alpha, alpha / 255, atol=5e-4)
    linear = logc4_decode((CODE8 + 1 / 3) / 255) * (alpha / 255)[..., None]
    np.testing.assert_allclose(image.rgb, linear, rtol=2e-3, atol=1e-6)
    assert done.notes == ("RGB was multiplied by alpha, as EXR wants it",)


def test_clipped_pixels_are_counted(tmp_path):
    code8 = CODE8.copy()
    code8[:30, :, 1] = 255
    write_code(tmp_path / "a.png", code8)
    done = expand_file(tmp_path / "a.png", tmp_path / "a.exr", ThirdOfACode, encoding="logc4")
    assert done.clipped_fraction == 0.1


@pytest.mark.parametrize(
    ("target", "strength", "reason"),
    [("a.png", 0.0, "expanded pictures are written as .exr"), ("a.exr", 1.5, "strength must be from 0 to 1")],
)
def test_wrong_options_are_refused(tmp_path, target, strength, reason):
    write_code(tmp_path / "in.png", CODE8)
    with pytest.raises(HdrgenError, match=reason):
        expand_file(tmp_path / "in.png", tmp_path / target, never, strength=strength)
