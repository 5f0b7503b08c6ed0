"""`hdrgen recover` as it is typed: many pictures, what is said of them, and that wrong input is one line."""

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from hdrgen.colour.display import srgb_decode, srgb_encode
from hdrgen.colour.primaries import P3_D65, REC709, convert_primaries
from hdrgen.images import exr
from hdrgen.images.code_image import write_code
from hdrgen.images.exr import read_exr
from hdrgen.models.highlights import Highlights, HighlightsNet, save_highlights

CODE8 = np.arange(255, dtype=np.uint8).repeat(12)[:3000].reshape(50, 60, 1).repeat(3, 2)
LAMP8 = CODE8.copy()
LAMP8[:5] = 255


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return weights of an untrained network that says something."""
    torch.manual_seed(0)
    net = HighlightsNet(Highlights(widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), curve_widths=(8, 8, 8)))
    for layer in (net.mixture, net.plain, net.unet.head):
        nn.init.normal_(layer.weight, std=0.3)
    path = tmp_path_factory.mktemp("weights") / "highlights.safetensors"
    save_highlights(path, net)
    return path


@pytest.fixture
def recover(cli, weights, tmp_path, monkeypatch):
    """Run the command beside its files."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return cli("recover", *arguments, "--weights", weights, "--backend", "torch")

    return call


def facts_of(said, number=0):
    assert said.code == 0, said.err
    return json.loads(said.out)["files"][number]


def codes_of(linear_rec709):
    return np.rint(srgb_encode(np.clip(linear_rec709.astype(np.float32), 0, 1)) * 255)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("bits", [8, 16])
def test_all_codes_come_back_through_the_command(recover, bits):
    write_code(Path("a.png"), CODE8 if bits == 8 else CODE8.astype(np.uint16) * 257)
    said = recover("a.png", "-o", "a.exr", "--curve", "srgb", "--space", "linear_rec709", "--json")
    facts = facts_of(said)
    np.testing.assert_array_equal(codes_of(read_exr(Path("a.exr")).rgb), CODE8)
    for name, value in {
        "file": "a.png",
        "output": "a.exr",
        "width": 60,
        "height": 50,
        "bits": bits,
        "encoding": "srgb",
        "curve": "srgb",
        "exposure_stops": 0,
        "white_linear": 1,
        "clipped_fraction": 0,
        "invented_fraction": 0,
        "notes": ["nothing says the encoding, so srgb; say --encoding if not"],
    }.items():
        assert facts[name] == value, name
    assert 0 <= facts["is_plain"] <= 1
    assert facts["maximum_linear"] == pytest.approx(srgb_decode(np.float32(CODE8.max() / 255)), rel=5e-3)


def test_a_person_is_told_what_was_done(recover):
    write_code(Path("a.png"), LAMP8)
    said = recover("a.png", "-o", "a.exr", "--curve", "srgb", "--anchor", "2")
    assert said.code == 0, said.err
    (line,) = said.out.splitlines()
    assert line.startswith("a.exr: 60x50, srgb, curve srgb, white at 2, 10.0 % invented, brightest ")


def test_options_reach_the_light(recover):
    write_code(Path("a.png"), LAMP8)
    write_code(Path("b.png"), LAMP8)
    how = ("--space", "linear_rec709", "--json")

    def light(*options):
        facts_of(recover("a.png", "-o", "a.exr", *options, *how))
        return read_exr(Path("a.exr")).rgb.astype(np.float32)

    plain = light("--curve", "srgb", "--strength", "0")
    assert (plain[:5] == 1).all()
    np.testing.assert_allclose(
        light("--curve", "srgb", "--strength", "0", "--exposure", "2"), 4 * plain, rtol=1e-3
    )
    np.testing.assert_allclose(
        light("--curve", "srgb", "--strength", "0", "--anchor", "4"), 4 * plain, rtol=1e-3
    )
    strong = light("--curve", "srgb", "--strength", "2")
    assert strong[:5].max() > 1.5
    assert light("--curve", "srgb", "--strength", "2", "--peak", "1.25").max() == 1.25
    assert np.abs(light("--curve", "film") - light("--curve", "aces13")).max() > 0.05


def test_no_matte_is_no_channel(recover):
    write_code(Path("a.png"), LAMP8)
    assert recover("a.png", "-o", "a.exr", "--no-matte").code == 0
    assert recover("a.png", "-o", "b.exr").code == 0
    assert b"observed\x00" not in Path("a.exr").read_bytes()
    assert b"observed\x00" in Path("b.exr").read_bytes()


def test_display_p3_stays_wide(recover):
    """A green of P3 that Rec.709 has not is not lost on the way."""
    red, green, blue, white = (tuple(xy) for xy in P3_D65)
    profile = imagecodecs.cms_profile(
        "rgb",
        whitepoint=[*white, 1.0],
        primaries=[*red, 1.0, *green, 1.0, *blue, 1.0],
        transferfunction=srgb_decode(np.linspace(0, 1, 4096)).astype(np.float32),
    )
    code8 = np.full((32, 32, 3), (30, 200, 40), np.uint8)
    Image.fromarray(code8).save("a.png", icc_profile=profile)
    facts = facts_of(recover("a.png", "-o", "a.exr", "--curve", "srgb", "--space", "linear_rec709", "--json"))
    rgb = read_exr(Path("a.exr")).rgb.astype(np.float32)
    expected = convert_primaries(srgb_decode(code8 / np.float32(255)), P3_D65, REC709)
    assert expected[0, 0, 0] < 0
    np.testing.assert_allclose(rgb, expected, rtol=1e-2, atol=2e-3)
    assert facts["encoding"] == "display_p3"
    assert any("display_p3, as the picture says" in note for note in facts["notes"])


def test_a_folder_is_recovered_picture_by_picture_and_a_plate_in_it_is_named(recover, tmp_path):
    Path("in").mkdir()
    write_code(Path("in/a.png"), CODE8)
    write_code(Path("in/b.png"), CODE8, text={"hdrgen:encoding": "logc4"})
    write_code(Path("in/c.tif"), LAMP8.astype(np.uint16) * 257)
    said = recover("in", "-o", "out", "--json")
    assert said.code == 1
    assert files(Path("out")) == {"a.exr", "c.exr"}
    rows = json.loads(said.out)["files"]
    assert [Path(row["file"]).name for row in rows] == ["a.png", "b.png", "c.tif"]
    assert "hdrgen expand" in rows[1]["error"]
    # Again: what is there stays; and alone it is the same.
    before = (tmp_path / "out/c.exr").read_bytes()
    assert recover("in/c.tif", "-o", "alone.exr").code == 0
    assert Path("alone.exr").read_bytes() == before
    stamps = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    recover("in", "-o", "out", "--skip-existing")
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == stamps


def test_a_dry_run_writes_nothing(recover, tmp_path):
    write_code(Path("a.png"), CODE8)
    assert recover("a.png", "-o", "a.exr", "--dry-run").code == 0
    assert files(tmp_path) == {"a.png"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            "a.png -o a.exr --anchor 1 --exposure 1",
            "the anchor says where white lands and the exposure moves it",
        ),
        ("a.png -o a.exr --anchor 0", "display white must land above 0"),
        ("a.png -o a.exr --anchor nan", "display white must land above 0"),
        ("a.png -o a.exr --exposure nan", "exposure"),
        ("a.png -o a.exr --exposure inf", "exposure"),
        ("a.png -o a.exr --exposure 5000", "exposure"),
        ("a.png -o a.exr --peak=-1", "the peak must be above 0"),
        ("a.png -o a.exr --strength 3", "--strength"),
        ("a.png -o a.exr --strength nan", "strength"),
        ("a.png -o a.exr --curve kodak", "'kodak' is not one of"),
        ("a.png -o a.png", "a.png"),
        ("a.png -o a.exr --space srgb", "srgb"),
        ("a.png -o a.exr --encoding logc4", "hdrgen expand makes an EXR of it"),
        ("a.png -o a.exr --exposure 30", "beyond"),
        ("plate.png -o a.exr", "hdrgen expand makes an EXR of it; or give --encoding srgb"),
        ("scene.exr -o a.exr", "scene.exr"),
        ("gone.png -o a.exr", "gone.png: no such file"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(recover, tmp_path, arguments, reason):
    write_code(Path("a.png"), CODE8)
    write_code(Path("plate.png"), CODE8, text={"hdrgen:encoding": "logc4"})
    exr.write_exr(Path("scene.exr"), np.ones((8, 8, 3), np.float16), chromaticities=REC709)
    before = files(tmp_path)
    said = recover(*arguments.split())
    assert said.code == 2, said
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("error: ")
    assert reason in said.err
    assert files(tmp_path) == before


def test_weights_of_another_model_are_refused(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_code(Path("a.png"), CODE8)
    Path("w.safetensors").write_bytes(b"nonsense")
    said = cli("recover", "a.png", "-o", "a.exr", "--weights", "w.safetensors")
    assert said.code == 2
    assert "w.safetensors" in said.err
    assert not Path("a.exr").exists()
