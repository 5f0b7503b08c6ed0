"""`expand`, `merge` and `bracket`: what they do, how EVs are typed, and that wrong input is one line."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from hdrgen.cli.exposure_values import _joined
from hdrgen.colour.primaries import AP1
from hdrgen.exposure.ev_list import parse_evs
from hdrgen.images.choices import CodeEncoding
from hdrgen.images.code_image import read_code, write_code
from hdrgen.images.encoded import CODE_ENCODINGS
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """Models that decode and average, so that nobody waits for torch."""

    class Plain:
        digest = "0123456789ab"

        def expand(self, code8, **_):
            return (code8 / np.float32(255)).astype(np.float32)

        def merge(self, codes, tables, _evs, *, reference, **_):
            linear = 2.0 ** tables[reference].log2[codes[reference]] - 0.01
            return SimpleNamespace(linear=linear, confidence=np.ones(linear.shape[:2], np.float32))

    def load(_model, weights, _backend):
        if weights is not None and weights.read_bytes() == b"nonsense":
            raise HdrgenError(f"{weights}: no readable safetensors weights")
        return Plain()

    loaders = SimpleNamespace(load_network=load)
    monkeypatch.setitem(sys.modules, "hdrgen.inference.backends", loaders)


def test_every_encoding_that_is_offered_is_known():
    assert set(get_args(CodeEncoding)) <= CODE_ENCODINGS.keys()


def shot(name: str, peak: float = 100.0) -> np.ndarray:
    """Write a scene-linear ramp from 0.05 to a peak."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    linear = np.geomspace(0.05, peak, 48 * 64, dtype=np.float32).reshape(48, 64, 1).repeat(3, -1)
    write_exr(Path(name), linear, chromaticities=AP1)
    return read_exr(Path(name)).rgb


def brackets(cli, *names: str) -> None:
    """Bracket a shot of each name into `brackets`."""
    for name in names:
        shot(f"in/{name}.exr")
    said = cli("bracket", "in", "--ev", "-2", "0", "2", "4", "-o", "brackets")
    assert said.code == 0, said.err


def files(folder: str) -> set[str]:
    return {path.name for path in Path(folder).rglob("*") if path.is_file()}


# How EVs are typed.


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("a.png --ev -2 0 2 4 -o x.exr", "a.png --ev=-2,0,2,4 -o x.exr"),
        ("--ev -2 0 2 4 a.png b.png -o x.exr", "--ev=-2,0,2,4 a.png b.png -o x.exr"),
        ("a.png --ev -2,0,2,4", "a.png --ev=-2,0,2,4"),
        ("a.png --ev=-2,0,2,4", "a.png --ev=-2,0,2,4"),
        ("a.png --ev=-2 0 2 4", "a.png --ev=-2,0,2,4"),
        ("a.png --ev -2, 0, +2.5", "a.png --ev=-2,,0,,+2.5"),
        ("--ev -.5 .5 --no-align 7.png", "--ev=-.5,.5 --no-align 7.png"),
        ("a.png --ev auto -o x.exr", "a.png --ev auto -o x.exr"),
        ("a.png --ev -o x.exr", "a.png --ev -o x.exr"),
        ("--ev 0 2 -- 4", "--ev=0,2 -- 4"),
        ("a.png --evil 3 --size 4", "a.png --evil 3 --size 4"),
    ],
)
def test_numbers_after_ev_are_its_values(typed, read):
    """The parser would take -2 for an option and 0 for a file."""
    assert _joined(typed.split()) == read.split()


@pytest.mark.parametrize("text", ["-2,0,+2.5", "-2 0 2.5", " -2, 0 ,2.5,", "-2,,0,,2.5"])
def test_values_are_read_with_commas_and_spaces(text):
    assert parse_evs(text) == [-2, 0, 2.5]


@pytest.mark.parametrize("text", ["", ",", "dark", "0,dark", "nan", "0 inf", "0 25"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(HdrgenError, match=r"the EVs .*: must be numbers such as -2 0 2 4"):
        parse_evs(text)


@pytest.mark.parametrize(
    "spelling",
    [["--ev", "-2", "0", "2", "4"], ["--ev=-2,0,2,4"], ["--ev", "-2,0,2,4"], ["--ev", "-2 0 2 4"]],
)
def test_every_spelling_reaches_both_commands(cli, spelling):
    linear = shot("shot.exr", 1000)
    assert cli("bracket", "shot.exr", *spelling, "-o", "b").code == 0
    names = [f"b/shot_ev{ev}.png" for ev in ("-2", "+0", "+2", "+4")]
    said = cli("merge", *names, *spelling, "-o", "out.exr", "--method", "closed", "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)["files"][0]
    assert (facts["evs"], facts["evs_from"], facts["notes"]) == ([-2, 0, 2, 4], "given", [])
    np.testing.assert_allclose(read_exr(Path("out.exr")).rgb, linear, rtol=0.08)
    # Values first, files after them.
    assert cli("merge", *spelling, *names, "-o", "again.exr", "--method", "closed").code == 0
    assert Path("again.exr").read_bytes() == Path("out.exr").read_bytes()


# What each command does.


def test_bracket_and_merge_are_mirrors(cli):
    """The share that is cut off is said; EVs and encoding are read from the pictures; fit for delivery."""
    linear = shot("shot.exr", 1000)
    said = cli("bracket", "shot.exr", "--ev", "-2", "0", "2", "-o", "b", "--encoding", "srgb", "--bits", "16")
    assert "EV -2: " in said.err
    assert "of pixels are above the ceiling and are cut off" in said.err
    assert said.out == "b: shot at EV -2 0 2, 64x48, srgb\n"
    picture = read_code(Path("b/shot_ev+2.png"))
    assert (picture.bits, picture.text["hdrgen:ev"]) == (16, "2")
    said = cli("merge", "b", "-o", "out.exr", "--method", "closed", "--confidence", "seen.png")
    assert said.code == 0, said.err
    assert said.err == "note: EVs -2 0 2, as the pictures say\n"
    shown = linear.max(-1) < 3.9
    np.testing.assert_allclose(read_exr(Path("out.exr")).rgb[shown], linear[shown], rtol=0.02, atol=1e-3)
    assert (read_code(Path("seen.png")).code[linear.min(-1) > 4.1] == 0).all()
    assert cli("check", "out.exr").code == 0


def test_merge_uses_the_network_unless_told_otherwise(cli):
    linear = shot("shot.exr", 8)
    assert cli("bracket", "shot.exr", "--ev", "0", "2", "-o", "b").code == 0
    said = cli("merge", "b", "-o", "out.exr", "--reference", "2", "--no-align")
    assert said.code == 0, said.err
    image = read_exr(Path("out.exr"))
    assert image.attributes["hdrgenWeights"] == "0123456789ab"
    assert image.attributes["hdrgenMethod"] == "learned"
    np.testing.assert_allclose(image.rgb, linear, rtol=0.03)


def test_expand_makes_an_acescg_exr(cli):
    linear = shot("shot.exr")
    assert cli("convert", "shot.exr", "-o", "plate.png", "--to", "logc4", "--bits", "8").code == 0
    said = cli("expand", "plate.png", "-o", "plate.exr", "--json")
    assert said.code == 0
    assert said.err == ""  # `convert` has said the encoding
    facts = json.loads(said.out)["files"][0]
    assert (facts["encoding"], facts["bits"]) == ("logc4", 8)
    image = read_exr(Path("plate.exr"))
    np.testing.assert_allclose(image.rgb, linear, rtol=0.06)
    assert image.attributes["hdrgenWeights"] == "0123456789ab"
    assert cli("check", "plate.exr").code == 0


CODE8 = np.full((8, 8, 3), 90, np.uint8)


def test_expand_says_what_it_took_for_granted(cli):
    shadows = np.linspace(1, 200, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    write_code(Path("a.png"), shadows)
    Image.fromarray(CODE8).save("a.jpg")
    write_code(Path("deep.png"), CODE8.astype(np.uint16) * 257, text={"hdrgen:encoding": "logc4"})
    assert "so srgb" in cli("expand", "a.png", "-o", "a.exr").err
    assert "so srgb" in cli("expand", "a.jpg", "-o", "a.exr").err
    assert cli("expand", "a.jpg", "-o", "a.exr", "--encoding", "srgb").err == ""
    assert "without the network" in cli("expand", "deep.png", "-o", "a.exr").err


# Batches.


def test_a_batch_loads_its_network_once(cli, monkeypatch):
    """Its weights are not read and hashed anew for every picture."""
    loaded = []
    backends = sys.modules["hdrgen.inference.backends"]
    load = backends.load_network
    monkeypatch.setattr(backends, "load_network", lambda *args: loaded.append(args[0]) or load(*args))
    Path("in").mkdir()
    for name in "abc":
        write_code(Path(f"in/{name}.png"), CODE8, text={"hdrgen:encoding": "logc4"})
    said = cli("expand", "in", "-o", "out")
    assert said.code == 0, said.err
    assert files("out") == {"a.exr", "b.exr", "c.exr"}
    assert loaded == ["bit_depth"]


def test_a_folder_of_brackets_is_merged_set_by_set(cli):
    """Files belong together by name; what has no EV in its name is left alone, and that is said."""
    brackets(cli, "one", "two.0001", "two.0002")
    write_code(Path("brackets/thumbnail.png"), np.zeros((8, 8, 3), np.uint8))
    said = cli("merge", "brackets", "-o", "out", "--confidence", "seen", "--method", "closed")
    assert said.code == 0, said.err
    assert "brackets: 1 without an EV in the file name, left alone" in said.err
    assert files("out") == files("seen") == {"one.exr", "two.0001.exr", "two.0002.exr"}
    assert read_exr(Path("seen/one.exr")).rgb.max() == 1


def test_one_bad_set_does_not_stop_a_batch(cli):
    brackets(cli, "a", "b", "c", "d")
    whole = Path("brackets/b_ev+2.png").read_bytes()
    Path("brackets/b_ev+2.png").write_bytes(whole[: len(whole) // 2])
    for ev in ("-2", "+0", "+2"):
        Path(f"brackets/c_ev{ev}.png").unlink()
    said = cli("merge", "brackets", "-o", "out", "--json")
    assert said.code == 1
    assert [("error" in facts) for facts in json.loads(said.out)["files"]] == [False, True, True, False]
    assert "b_ev+2.png: is a truncated PNG" in said.err
    assert "c_ev+4.png: one exposure is no stack" in said.err
    assert said.err.splitlines()[-1] == "error: 2 of 4 failed, see above"
    assert files("out") == {"a.exr", "d.exr"}


def test_one_bad_picture_does_not_stop_expanding(cli):
    Path("in").mkdir()
    write_code(Path("in/shot.0001.png"), CODE8)
    Image.fromarray(CODE8).convert("CMYK").save("in/shot.0002.jpg")
    write_code(Path("in/shot.0003.png"), CODE8)
    said = cli("expand", "in", "-o", "out", "--encoding", "logc4")
    assert said.code == 1
    assert "in/shot.0002.jpg: is a CMYK picture, not RGB" in said.err
    assert files("out") == {"shot.0001.exr", "shot.0003.exr"}


def test_photographs_are_sets_by_folder_or_by_number(cli):
    """Names that say nothing: each folder is one set, or so many in a row."""
    brackets(cli, "a", "b")
    for i, ev in enumerate(("-2", "+0", "+2")):
        for j, name in enumerate("ab"):
            for target in (f"photos/IMG_{3 * j + i}.png", f"sets/{name}/{i}.png"):
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                Path(target).write_bytes(Path(f"brackets/{name}_ev{ev}.png").read_bytes())
    assert cli("merge", "photos", "--group", "3", "-o", "out").code == 0
    assert files("out") == {"IMG_0.exr", "IMG_3.exr"}
    assert cli("merge", "sets/a", "sets/b", "-o", "by_folder").code == 0
    assert files("by_folder") == {"a.exr", "b.exr"}
    assert cli("merge", "sets/a", "-o", "single.exr").code == 0
    assert Path("single.exr").read_bytes() == Path("by_folder/a.exr").read_bytes()


def test_skip_existing_resumes_and_dry_run_writes_nothing(cli):
    brackets(cli, "a", "b")
    said = cli("merge", "brackets", "-o", "out", "--dry-run")
    assert said.out.splitlines()[0] == (
        "brackets/a_ev-2.png + brackets/a_ev+0.png + brackets/a_ev+2.png + brackets/a_ev+4.png "
        "-> out/a.exr (dry run)"
    )
    assert "dry run" in cli("expand", "brackets", "-o", "out", "--dry-run").out
    assert "dry run" in cli("bracket", "in", "-o", "out", "--dry-run").out
    assert not Path("out").exists()
    Path("out").mkdir()
    Path("out/a.exr").write_text("made before")
    assert "is there already" in cli("merge", "brackets", "-o", "out", "--skip-existing").out
    assert Path("out/a.exr").read_text() == "made before"
    assert read_exr(Path("out/b.exr")).width == 64


# Wrong input: one line that says what, exit code 2, and nothing left behind.


@pytest.fixture
def wrong_inputs(cli):
    shot("good.exr")
    for encoding in ("logc4", "srgb"):
        assert cli("bracket", "good.exr", "--ev", "0", "2", "--encoding", encoding, "-o", encoding).code == 0
    picture = read_code(Path("logc4/good_ev+0.png"))
    for name, path in {
        "a.png": "logc4/good_ev+0.png",
        "b.png": "logc4/good_ev+2.png",
        "srgb.png": "srgb/good_ev+2.png",
        "same.png": "logc4/good_ev+0.png",
    }.items():
        Path(name).write_bytes(Path(path).read_bytes())
    write_code(Path("small.png"), picture.code[:20], text=picture.text)
    data = Path("b.png").read_bytes()
    Path("cut.png").write_bytes(data[: len(data) // 2])
    Image.fromarray(picture.code).convert("CMYK").save("cmyk.jpg")
    Path("weights.safetensors").write_bytes(b"nonsense")
    Path("folder").mkdir()
    Path("many").mkdir()
    for i in range(65):
        Path(f"many/{i:02}.png").touch()


@pytest.mark.usefixtures("wrong_inputs")
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("expand missing.png -o out.exr", "missing.png: no such file"),
        ("expand cut.png -o out.exr", "cut.png: is a truncated PNG"),
        ("expand cmyk.jpg -o out.exr", "cmyk.jpg: is a CMYK picture, not RGB"),
        ("expand good.exr -o out.exr", "good.exr: is not a PNG, TIFF, JPEG or WebP picture"),
        ("expand a.png -o out.png", "out.png: expanded pictures are written as .exr"),
        ("expand a.png -o out.exr --strength 2", "Invalid value for '--strength'"),
        ("expand a.png -o out.exr --encoding slog3", "'slog3' is not one of"),
        ("expand a.png -o out.exr --space srgb", "an EXR holds scene-linear light"),
        ("expand a.png -o out.exr --weights gone.st", "gone.st: no such file of weights"),
        ("expand a.png -o out.exr --weights weights.safetensors", "weights.safetensors: no readable"),
        ("expand a.png b.png -o out.exr", "out.exr: must be a folder"),
        ("expand folder -o out", "folder: holds no .png"),
        ("merge a.png -o out.exr", "a.png: one exposure is no stack; `hdrgen expand` takes single pictures"),
        ("merge a.png a.png -o out.exr", "a.png: is given twice"),
        ("merge many -o out.exr", "many/00.png and 64 others: more than 64 pictures"),
        ("merge a.png missing.png -o out.exr", "missing.png: no such file"),
        ("merge a.png small.png -o out.exr", "a.png is 64x48 and small.png is 64x20: the exposures must"),
        ("merge a.png cut.png -o out.exr", "cut.png: is a truncated PNG"),
        ("merge a.png cmyk.jpg -o out.exr", "cmyk.jpg: is a CMYK picture"),
        ("merge a.png good.exr -o out.exr", "good.exr holds linear light and a.png does not"),
        ("merge a.png srgb.png -o out.exr", "a.png is logc4 and srgb.png is srgb; give --encoding"),
        ("merge a.png same.png -o out.exr", "a.png and same.png hold the same picture; leave one out"),
        (
            "merge a.png same.png -o out.exr --ev auto",
            "a.png and same.png hold the same picture; leave one out",
        ),
        ("merge a.png b.png -o out.exr --ceiling bright", "--ceiling bright: must be auto, none, or light"),
        ("merge a.png b.png -o out.exr --ev 1 1", "the EVs given are 1 1, but the pictures say"),
        (
            "merge a.png b.png -o out.exr --ev 0 2 4",
            "a.png to b.png are 2 pictures, but there are 3 EVs: 0 2",
        ),
        (
            "merge a.png b.png -o out.exr --ev 2 0",
            "a.png, b.png: the EVs given are 2 0, but the pictures say",
        ),
        (
            "merge a.png b.png -o out.exr --ev 0 6",
            "a.png, b.png: the EVs given are 0 6, but the pictures say",
        ),
        ("merge a.png b.png -o out.exr --ev", "requires an argument"),
        ("merge a.png b.png -o out.exr --ev=dark", "--ev dark: must be numbers"),
        (
            "merge a.png b.png -o out.exr --reference 7",
            "no exposure has EV 7 to be the reference; there are 0 2",
        ),
        (
            "merge a.png b.png -o out.exr --confidence c.jpg",
            "c.jpg: the confidence is written as .exr or .png",
        ),
        (
            "merge a.png b.png -o out.exr --confidence ./out.exr --method closed",
            "light and confidence must be two files",
        ),
        ("merge a.png b.png -o out.exr --method magic", "'magic' is not one of"),
        ("merge a.png b.png -o out.exr --weights gone.st", "gone.st: no such file of weights"),
        ("merge a.png b.png -o out.png", "out.png: merged pictures are written as .exr"),
        ("merge a.png b.png --group 2 -o a.png", "a.png: would overwrite its own source"),
        ("merge logc4 srgb -o out", "would both become good.exr; merge them apart"),
        ("bracket missing.exr -o out", "missing.exr: cannot be read"),
        ("bracket good.exr --ev 0 2000 -o out", "--ev 0,2000: must be numbers"),
        ("bracket good.exr --ev 0 0 -o out", "the EVs 0 0 must differ"),
        ("bracket good.exr --ev auto -o out", "--ev auto: must be numbers"),
        ("bracket good.exr -o out.png", "out.png: must be a folder"),
        ("bracket a.png -o out", "a.png: is neither an OpenEXR nor a Radiance file"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(cli, place, command, reason):
    before = files(place)
    said = cli(*command.split())
    assert said.code == 2, said
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("error: ")
    assert reason in said.err
    assert files(place) == before
