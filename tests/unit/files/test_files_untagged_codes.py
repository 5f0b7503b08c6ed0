"""An ordinary PNG is not LogC4: what the codes decide, and that the rest is a question."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import colour
import numpy as np
import pytest
import tifffile
from PIL import Image

from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.colour.primaries import AWG4, REC709, convert_primaries
from hdrgen.images.code_image import read_code, write_code
from hdrgen.images.encoded import shows_srgb
from hdrgen.images.exr import read_exr

RNG = np.random.default_rng(0)
STOPS = RNG.uniform(-6, 2, (64, 96, 3)).cumsum(axis=1) / np.sqrt(np.arange(1, 97))[:, None]
LINEAR = 0.18 * 2.0 ** np.clip(np.sort(STOPS, axis=1), -6, 2.4)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Plain:
        digest = "0123456789ab"

        def expand(self, code8, **_):
            return (code8 / np.float32(255)).astype(np.float32)

    loaders = SimpleNamespace(load_network=lambda *_: Plain())
    monkeypatch.setitem(sys.modules, "hdrgen.inference.backends", loaders)


def srgb(linear, bits=8) -> np.ndarray:
    code = colour.models.eotf_inverse_sRGB(np.clip(linear, 0, 1))
    return np.rint(code * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def logc4(linear, noise_codes=0.0) -> np.ndarray:
    code = logc4_encode(linear) * 255 + RNG.normal(0, noise_codes, linear.shape)
    return np.rint(np.clip(code, 0, 255)).astype(np.uint8)


def brightest(cli, path: str, *options: str) -> tuple[float, str, list[str]]:
    said = cli("expand", path, "-o", "out.exr", "--json", *options)
    assert said.code == 0, said.err
    facts = json.loads(said.out)["files"][0]
    return facts["maximum_linear"], facts["encoding"], facts["notes"]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_an_untagged_srgb_picture_with_shadows_is_srgb(cli, bits, suffix):
    """It came out as light of hundreds before."""
    codes = srgb(LINEAR * 0.5, bits)
    write_code(Path(f"a.{suffix}"), codes)
    light, encoding, notes = brightest(cli, f"a.{suffix}", "--space", "linear_rec709")
    assert encoding == "srgb"
    assert light <= 1.001
    expected = colour.models.eotf_sRGB(codes / np.iinfo(codes.dtype).max)
    np.testing.assert_allclose(read_exr(Path("out.exr")).rgb, expected, rtol=2e-3, atol=1e-4)
    assert any(
        note.startswith("nothing says the encoding, so srgb: LogC4 has next to nothing") for note in notes
    )


@pytest.mark.parametrize("noise_codes", [0.0, 1.5, 3.0])
def test_an_untagged_logc4_plate_is_a_question_and_never_srgb(cli, noise_codes):
    """Also one that a model painted, with noise about its black: a matte sRGB picture has the same codes."""
    codes = logc4(LINEAR, noise_codes)
    write_code(Path("a.png"), codes)
    said = cli("expand", "a.png", "-o", "out.exr")
    assert (said.code, Path("out.exr").exists()) == (2, False)
    assert "give --encoding srgb or --encoding logc4" in said.err
    assert brightest(cli, "a.png", "--encoding", "logc4", "--space", "linear_awg4")[1] == "logc4"
    np.testing.assert_allclose(read_exr(Path("out.exr")).rgb, logc4_decode(codes / 255), rtol=2e-3, atol=1e-4)


def test_a_matte_picture_is_never_taken_for_logc4(cli):
    """Lifted blacks and a low white are a look that sRGB pictures have."""
    matte = (22 + srgb(LINEAR * 0.5).astype(float) * (119 - 22) / 255).round().astype(np.uint8)
    write_code(Path("a.png"), matte)
    assert cli("expand", "a.png", "-o", "out.exr").code == 2


@pytest.mark.parametrize(
    "codes",
    [
        np.full((8, 8, 3), 128, np.uint8),
        np.linspace(60, 200, 64 * 96 * 3).reshape(64, 96, 3).astype(np.uint8),  # fog
        np.linspace(40, 255, 64 * 96 * 3).reshape(64, 96, 3).astype(np.uint8),  # high key
        np.where(np.arange(96)[None, :, None] < 48, 0, 180)
        .astype(np.uint8)
        .repeat(64, 0)
        .repeat(3, 2),  # ink
        logc4(LINEAR * 500),  # bright, in LogC4
    ],
    ids=["flat", "fog", "high key", "two tones", "bright LogC4"],
)
def test_codes_that_could_be_either_are_a_question_that_names_both_options(cli, codes):
    write_code(Path("a.png"), codes)
    for command in (["expand", "a.png"], ["merge", "a.png", "b.png", "--ev", "0", "1"]):
        write_code(Path("b.png"), codes)
        said = cli(*command, "-o", "out.exr")
        assert said.code == 2
        assert "give --encoding srgb or --encoding logc4" in said.err
        assert not Path("out.exr").exists()
    for encoding in ("srgb", "logc4"):
        assert brightest(cli, "a.png", "--encoding", encoding)[1] == encoding


@pytest.mark.parametrize("bar", [0, 3, 16])
def test_what_is_transparent_and_dark_bars_are_no_evidence(cli, bar):
    """A LogC4 plate between bars, of video's black too, or cut out of its background, is no sRGB picture."""
    codes = logc4(LINEAR)
    alpha = np.full(codes.shape[:2], 255, np.uint8)
    alpha[:20] = 0
    cut, barred = codes.copy(), codes.copy()
    cut[:20] = np.arange(20)[:, None, None]
    barred[:20] = bar
    Image.fromarray(np.dstack([cut, alpha])).save("cut.png")
    write_code(Path("barred.png"), barred)
    for name in ("cut.png", "barred.png"):
        assert cli("expand", name, "-o", "out.exr").code == 2


def test_a_stack_is_decided_by_all_of_its_pictures(cli):
    """Only the darkest exposure of an sRGB stack may show shadows that LogC4 has not."""
    for name, encode in (("logc4", logc4), ("srgb", srgb)):
        files = []
        for ev in (-2, 0, 2, 4):
            files.append(f"{name}{ev + 2}.png")
            write_code(Path(files[-1]), encode(LINEAR * 2.0**ev * (0.5 if name == "srgb" else 1)))
        merge = [
            "merge",
            *files,
            "--ev",
            "-2",
            "0",
            "2",
            "4",
            "-o",
            "out.exr",
            "--method",
            "closed",
            "--json",
        ]
        said = cli(*merge)
        if name == "logc4":
            assert said.code == 2
            said = cli(*merge, "--encoding", "logc4")
        assert said.code == 0, said.err
        assert json.loads(said.out)["files"][0]["encoding"] == name


def test_our_own_pictures_say_it_and_are_not_asked(cli):
    """`bracket` writes it, whatever the codes look like."""
    for encoding in ("logc4", "srgb", "logc3"):
        write_code(Path("a.png"), np.full((8, 8, 3), 128, np.uint8), text={"hdrgen:encoding": encoding})
        assert brightest(cli, "a.png")[1:] == (encoding, [])


def test_a_jpeg_is_a_photograph(cli):
    Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save("a.jpg")
    assert brightest(cli, "a.jpg")[1:] == (
        "srgb",
        ["nothing says the encoding, so srgb; say --encoding if not"],
    )


def test_pictures_of_one_set_that_say_different_things_are_refused(cli):
    tifffile.imwrite("a.tif", srgb(LINEAR * 0.5), photometric="rgb")
    write_code(Path("b.png"), logc4(LINEAR), text={"hdrgen:encoding": "logc4"})
    said = cli("merge", "a.tif", "b.png", "--ev", "0", "1", "-o", "out.exr")
    assert said.code == 2
    assert "a.tif is srgb and b.png is logc4; give --encoding if not" in said.err


def test_no_logc4_picture_of_a_real_scene_is_taken_for_srgb(shared_hdr):
    """And some sRGB pictures are known for what they are."""
    from hdrgen.images.scene_image import read_scene_image  # noqa: PLC0415

    known = []
    for path in sorted((shared_hdr / "scenes").glob("*.hdr"))[:12]:
        linear = read_scene_image(path).rgb[::4, ::4].astype(np.float64)
        linear = linear * (0.18 / np.exp(np.log(np.maximum(linear.mean(-1), 1e-5)).mean()))
        assert not shows_srgb([logc4(convert_primaries(linear, REC709, AWG4), 2.0)]), path.name
        known.append(shows_srgb([srgb(linear)]))
    assert any(known)


def test_the_reader_says_nothing_of_it():
    write_code(Path("a.png"), srgb(LINEAR))
    assert read_code(Path("a.png")).colour is None
