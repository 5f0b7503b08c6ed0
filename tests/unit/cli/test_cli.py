"""The command line: what each command does, and that wrong input is one line and leaves nothing behind."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import typer
from PIL import Image

from hdrgen.cli import app, run
from hdrgen.colour.primaries import AP0, AP1, AWG4, REC709, convert_primaries
from hdrgen.colour.tone_maps import Log, Reinhard
from hdrgen.exposure.log2_encoding import log2_decode
from hdrgen.exposure.tone_map_tables import tone_map_tables
from hdrgen.images.code_image import read_code, read_code8, write_code, write_png8
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.overlap import overlappable

COMMANDS = (
    "generate",
    "ingest",
    "inspect",
    "check",
    "recover",
    "expand",
    "merge",
    "bracket",
    "fuse",
    "tonemap",
    "convert",
    "compare",
    "preview",
    "serve",
    "bench",
    "params",
    "caption",
)


def scene(seed: int = 0, height: int = 48, width: int = 64) -> np.ndarray:
    """Return a smooth scene-linear picture from 0.01 to some 60, with a little grain."""
    rng = np.random.default_rng(seed)
    stops = cv2.resize(rng.uniform(-4, 6, (5, 6, 3)), (width, height), interpolation=cv2.INTER_LINEAR)
    return (2.0 ** (stops + rng.normal(0, 0.02, stops.shape)) * 0.18).astype(np.float32)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Work in an empty folder, so that paths in messages are short and leftovers are seen."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def closed_form(monkeypatch):
    """Fuse without a network, by the intersection of the codes' intervals. Nobody waits for torch."""
    table = tone_map_tables(Reinhard(), Log()).intersection

    def load_network(model, weights, _backend):
        assert model == "tone_fusion"
        if weights is not None and weights.read_bytes() == b"nonsense":
            raise HdrgenError(f"{weights}: no readable safetensors weights")
        fuse = lambda reinhard, log, **_: log2_decode(table[reinhard, log])  # noqa: E731
        return SimpleNamespace(digest="0123456789ab", log_ceiling_linear=10000.0, fuse=fuse)

    monkeypatch.setitem(sys.modules, "hdrgen.inference.backends", SimpleNamespace(load_network=load_network))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def shot(name: str = "shot.exr", seed: int = 0, chromaticities=AP1, **how) -> np.ndarray:
    linear = scene(seed)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    write_exr(Path(name), linear, chromaticities=chromaticities, **how)
    return linear.astype(np.float16).astype(np.float32)


# What a person sees first.


def test_help_is_quick_and_imports_nothing_heavy():
    """`hdrgen --help` names every command without loading numpy, OpenEXR or torch."""
    script = (
        "import sys; from hdrgen.cli import run; code = run(['--help']);"
        "heavy = {'numpy', 'torch', 'OpenEXR', 'polars', 'cv2', 'PIL', 'PyOpenColorIO', 'colour', 'rich'} & {*sys.modules};"
        "assert not heavy, heavy; sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("missing", [".", "base_model/checkpoint.json"])
def test_models_that_are_missing_are_said_before_torch_is_loaded(tmp_path, missing):
    """Torch takes seconds to load."""
    models = tmp_path / "models"
    if missing != ".":
        models.mkdir()
    script = (
        "import sys; sys.modules['torch'] = None; from hdrgen.cli import run;"
        f"sys.exit(run(['generate', 'a street', '-o', 'a.exr', '--models', {str(models)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {models / missing}: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_examples(cli, command):
    """Help ends with lines that can be copied."""
    said = cli(command, "--help")
    assert said.code == 0
    assert f"\n    hdrgen {command} " in said.out.split("Examples:")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_can_be_typed(command):
    """Each option in an example exists and takes what it is given."""
    parser = typer.main.get_command(app).commands[command]
    lines = [shlex.split(line) for line in parser.epilog.splitlines() if line.startswith("  hdrgen")]
    assert lines
    for line in lines:
        typed = line[2 : line.index(">")] if ">" in line else line[2:]
        parser.make_context(command, typed).close()


def test_every_command_is_registered():
    """The commands are those of this test, so that none goes untested."""
    assert {command.callback.__name__ for command in app.registered_commands} == set(COMMANDS)


def test_version(cli):
    """`--version` answers and exits."""
    assert cli("--version").out == "hdrgen 0.1.0\n"


# What each command does.


def test_inspect_shows_light_and_writes_a_contact_sheet(cli, place):
    """Header, statistics, histogram; nine exposures in a PNG."""
    shot(attributes={"owner": "us"})
    said = cli("inspect", "shot.exr", "--contact-sheet", "sheet.png")
    assert said.code == 0
    for word in ("64x48 half RGB, zip", "ACEScg", "stops", "owner", "█", "stops from mid-grey"):
        assert word in said.out
    assert read_code8(Path("sheet.png")).code.shape == (3 * 48 + 12, 3 * 64 + 12, 3)
    answer = json.loads(cli("inspect", "shot.exr", "--json").out)["files"][0]
    assert answer["header"]["attributes"]["owner"] == "us"
    assert sum(answer["histogram"]["shares"]) == pytest.approx(1)
    assert files(place) == {"shot.exr", "sheet.png"}


def test_inspect_json_says_nan_and_inf_as_json_can(cli):
    """JSON has no NaN; statistics are of what is finite."""
    linear = scene()
    linear[3, 4] = [np.nan, np.inf, -1]
    write_exr(
        Path("a.exr"), linear, chromaticities=AP1, attributes={"odd": float("nan")}, allow_nonfinite=True
    )
    answer = json.loads(cli("inspect", "a.exr", "--json").out)["files"][0]
    assert (answer["statistics"]["nan_values"], answer["statistics"]["inf_values"]) == (1, 1)
    assert answer["header"]["attributes"]["odd"] == "nan"


def test_check_says_fit_or_why_not(cli):
    """Exit code 0 and 1, a table, JSON."""
    shot(attributes={"hdrgenVersion": "1"})
    shot("float.exr", pixel_type="float")
    assert "fit for delivery" in cli("check", "shot.exr").out
    said = cli("check", "shot.exr", "float.exr", "--quiet")
    assert said.code == 1
    assert "NOT fit" in said.out
    assert "hdrgen convert writes half" in said.out
    assert said.err == ""
    answer = json.loads(cli("check", "shot.exr", "float.exr", "--json").out)["files"]
    assert [file["fit"] for file in answer] == [True, False]


def test_check_follows_the_rules_of_a_show(cli):
    """The default rules are a file to start from; a folder has a sequence and ends with a summary."""
    shot("in/a.1001.exr", attributes={"hdrgenVersion": "1"})
    shot("in/a.1003.exr", attributes={"hdrgenVersion": "1"})
    said = cli("check", "in", "--quiet")
    assert said.code == 1
    assert "1001-1003 missing: 1002" in said.out
    assert said.out.splitlines()[-2:] == ["2 of 2 files fit for delivery", "  FAIL  sequence: 1"]
    rules = cli("check", "--show-rules")
    assert rules.code == 0
    Path("show.yaml").write_text(rules.out.replace("required: []", "required: [owner]"))
    answer = json.loads(cli("check", "in", "--rules", "show.yaml", "--json").out)["files"]
    broken = [[f["rule"] for f in file["findings"] if f["verdict"] != "pass"] for file in answer]
    assert broken == [["sequence"], ["metadata"], ["metadata"]]


def test_convert_goes_to_logc4_and_back(cli):
    """16-bit LogC4 holds a half-float picture to a thousandth."""
    linear = shot(attributes={"owner": "us"})
    assert cli("convert", "shot.exr", "-o", "log.png", "--to", "logc4").code == 0
    assert read_code(Path("log.png")).bits == 16
    assert cli("convert", "log.png", "-o", "back.exr", "--from", "logc4").code == 0
    np.testing.assert_allclose(read_exr(Path("back.exr")).rgb, linear, rtol=2e-3, atol=2e-3)


def test_convert_keeps_what_speaks_of_the_scene(cli):
    """Attributes and alpha go along; the file's own structure does not; provenance is added."""
    shot(
        "awg4.exr",
        chromaticities=AWG4,
        attributes={"owner": "us", "isoSpeed": 800.0, "a/b": 3},
        alpha=np.full((48, 64), 0.5, np.float32),
    )
    said = cli("convert", "awg4.exr", "-o", "out.exr", "--to", "aces2065-1", "--compression", "none")
    assert said.code == 0, said.err
    image = read_exr(Path("out.exr"))
    assert image.chromaticities == AP0
    assert image.attributes["acesImageContainerFlag"] == 1
    assert {"owner": "us", "isoSpeed": 800.0, "a/b": 3}.items() <= image.attributes.items()
    assert image.attributes["hdrgenRoute"] == "convert"
    assert image.attributes["hdrgenSourceSpace"] == "Linear ARRI Wide Gamut 4"
    assert (image.alpha == 0.5).all()
    expected = convert_primaries(read_exr(Path("awg4.exr")).rgb.astype(np.float32), AWG4, AP0)
    np.testing.assert_allclose(image.rgb, expected, rtol=1e-3, atol=2e-3)


def test_convert_notes_what_it_assumed_and_cut_off(cli):
    """Nothing happens in silence: assumed primaries, clipped codes, alpha."""
    alpha = np.full((48, 64), 200, np.uint8)
    Image.fromarray(np.dstack([np.full((48, 64, 3), 128, np.uint8), alpha])).save("a.png")
    assert "RGB was multiplied by alpha" in cli("convert", "a.png", "-o", "a.exr", "--from", "srgb").err
    shot()
    said = cli("convert", "shot.exr", "-o", "b.png", "--to", "srgb", "--bits", "8")
    assert "of pixels are outside what" in said.err
    assert read_code(Path("b.png")).bits == 8


def test_convert_refuses_or_clamps_what_half_cannot_hold(cli, place):
    """Never Inf: refused by default, clamped and counted with --clamp."""
    linear = scene()
    linear[1, 2] = 1e6
    write_exr(Path("bright.exr"), linear, chromaticities=AP1, pixel_type="float")
    said = cli("convert", "bright.exr", "-o", "out.exr", "--to", "aces2065-1")
    assert said.code == 2
    assert "beyond the half range" in said.err
    assert files(place) == {"bright.exr"}
    said = cli("convert", "bright.exr", "-o", "out.exr", "--to", "aces2065-1", "--clamp")
    assert said.code == 0
    assert "clamped" in said.err
    assert read_exr(Path("out.exr")).rgb.max() == 65504


def test_preview_is_written_for_hdr_displays(cli, place):
    """The suffix says the format, in a folder --format; the answer says peak, paper white and what is reached."""
    shot("in/a.exr")
    for name in ("a.avif", "a.jxl", "a.jpg"):
        assert cli("preview", "in/a.exr", "-o", name, "--peak-nits", "600", "--paper-white", "203").code == 0
    said = cli("preview", "in", "-o", "out", "--format", "avif", "--transfer", "hlg", "--json")
    [answer] = json.loads(said.out)["files"]
    assert (answer["transfer"], answer["peak_nits"], answer["output"]) == ("hlg", 1000, "out/a.avif")
    assert 145 < answer["brightest_nits"] <= 1000
    assert cli("preview", "in", "-o", "out", "--strip").code == 0
    assert files(place / "out") == {"a.avif", "a.png"}


def test_preview_shows_mid_grey_as_the_view_does(cli):
    """ACES 2.0 puts 0.18 at code 89 of sRGB; a stop more is brighter."""
    write_exr(Path("grey.exr"), np.full((20, 30, 3), 0.18, np.float32), chromaticities=AP1)
    assert cli("preview", "grey.exr", "-o", "grey.png").code == 0
    assert cli("preview", "grey.exr", "-o", "more.png", "--exposure", "1", "--size", "16").code == 0
    image = read_code8(Path("grey.png"))
    assert set(np.unique(image.code)) == {89}
    assert image.text["hdrgen:view"].startswith("ACES 2.0 - SDR")
    more = read_code8(Path("more.png")).code
    assert more.shape == (11, 16, 3)
    assert more.min() > 89


@pytest.mark.usefixtures("closed_form")
def test_tonemap_and_fuse_are_mirrors(cli):
    """What one makes the other undoes, primaries read from the pictures, provenance in the header."""
    linear = shot()
    said = cli("tonemap", "shot.exr", "--reinhard", "r.png", "--log", "l.png", "--primaries", "ap1")
    assert said.code == 0, said.err
    assert read_code8(Path("l.png")).text["hdrgen:ceilingLinear"] == "10000"
    said = cli("fuse", "--reinhard", "r.png", "--log", "l.png", "-o", "fused.exr", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["files"][0]["primaries"] == "ap1"
    fused = read_exr(Path("fused.exr"))
    assert np.median(np.abs(fused.rgb / linear - 1)) < 0.02
    assert fused.chromaticities == AP1
    assert fused.attributes["hdrgenRoute"] == "dual"
    assert fused.attributes["hdrgenWeights"] == "0123456789ab"
    assert fused.attributes["hdrgenSourceLog"] == "l.png"
    assert cli("check", "fused.exr").code == 0


@pytest.mark.usefixtures("closed_form")
def test_fuse_notes_assumed_primaries(cli):
    """Pictures from elsewhere say nothing; the option wins over what pictures say."""
    for name in ("r.png", "l.png"):
        write_png8(Path(name), np.full((8, 8, 3), 99, np.uint8), text={})
    said = cli("fuse", "--reinhard", "r.png", "--log", "l.png", "-o", "a.exr")
    assert "state no primaries, so awg4" in said.err
    assert (
        cli("fuse", "--reinhard", "r.png", "--log", "l.png", "-o", "a.exr", "--primaries", "rec709").err == ""
    )


def test_compare_brings_both_to_one_space(cli):
    """The same light in two spaces is all but equal."""
    linear = scene()
    write_exr(Path("a.exr"), linear, chromaticities=AP1)
    write_exr(Path("b.exr"), convert_primaries(linear, AP1, REC709), chromaticities=REC709)
    said = cli("compare", "a.exr", "b.exr", "--json")
    assert json.loads(said.out)["files"][0]["metrics"]["pu21_psnr"] > 60
    assert "pu21_psnr" in cli("compare", "a.exr", "b.exr").out


def test_compare_knows_that_xyz_is_the_scenes_own(cli, shared_hdr):
    scenes = shared_hdr / "scenes"
    said = cli("compare", scenes / "XYZ.exr", scenes / "Rec709.exr", "--json")
    assert json.loads(said.out)["files"][0]["metrics"]["pu21_psnr"] > 80


def test_ingest_takes_in_a_folder(cli, place):
    """Frames, an index, and the files that could not be used by name; exit code 1 then."""
    shot("day/one.exr", 1)
    shot("day/two.exr", 2)
    said = cli("ingest", "day", "-o", "frames", "--workers", 1)
    assert (said.code, said.err) == (0, "")
    Path("day/bad.exr").write_bytes(b"not a picture")
    said = cli("ingest", "day", "-o", "frames", "--workers", 1, "--json")
    answer = json.loads(said.out)["sources"][0]
    assert said.code == 1
    assert [frame["path"] for frame in answer["frames"]] == ["one.exr", "two.exr"]
    assert "bad.exr" in said.err
    assert len(files(place / "frames" / "frames")) == 2


def test_ingest_leaves_others_files_alone(cli, place):
    """What is gone from a source is removed from its output, so the output must be ours."""
    shot("day/one.exr")
    shot("mine/frames/precious.exr")
    before = files(place)
    said = cli("ingest", "day", "-o", "mine")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert files(place) == before


def test_ingest_keeps_apart_what_comes_from_two_folders(cli, place):
    """A second source never removes the first one's frames, also where both folders have one name."""
    shot("one/day/a.exr")
    shot("two/day/b.exr")
    shot("night/c.exr")
    assert cli("ingest", "one/day", "-o", "frames", "--workers", 1).code == 0
    before = files(place)
    for other in ("two/day", "night"):
        said = cli("ingest", other, "-o", "frames", "--workers", 1)
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert "give another folder" in said.err
        assert files(place) == before


def test_ingest_never_eats_its_own_output(cli, place):
    shot("day/a.exr")
    before = files(place)
    said = cli("ingest", "day", "-o", "day/frames", "--workers", 1)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "lies in its own source" in said.err
    assert files(place) == before


# Batches.


def test_one_bad_file_does_not_stop_a_batch(cli, place):
    """The others are made, the failure is named, the exit code is 1."""
    shot("in/a.exr", 1)
    Path("in/b.exr").write_bytes(b"v/1\x01 damaged")
    shot("in/c.exr", 3)
    for command in (["convert"], ["preview"]):
        said = cli(*command, "in", "-o", command[0], "--json")
        assert said.code == 1
        answer = json.loads(said.out)["files"]
        assert ["error" in file for file in answer] == [False, True, False]
        lines = said.err.splitlines()
        assert "in/b.exr" in lines[0]
        assert "1 of 3 failed" in lines[-1]
    assert files(place / "convert") == {"a.exr", "c.exr"}
    assert files(place / "preview") == {"a.png", "c.png"}


@pytest.mark.usefixtures("closed_form")
def test_folders_of_pairs_are_fused_and_compared(cli, place):
    """Files belong together by name; one without a partner fails alone."""
    for seed, name in enumerate("abc"):
        shot(f"in/{name}.exr", seed)
    assert cli("tonemap", "in", "--reinhard", "r", "--log", "l").code == 0
    Path("l/b.png").unlink()
    said = cli("fuse", "--reinhard", "r", "--log", "l", "-o", "out")
    assert said.code == 1
    assert "l/b.png" in said.err
    assert files(place / "out") == {"a.exr", "c.exr"}
    said = cli("compare", "out", "in")
    assert said.code == 0
    assert "2 pictures" in said.out


def test_skip_existing_resumes_and_dry_run_writes_nothing(cli):
    """An output that is there is whole, so a batch can go on where it stopped."""
    shot("in/a.exr", 1)
    shot("in/b.exr", 2)
    assert "dry run" in cli("convert", "in", "-o", "out", "--dry-run").out
    assert not Path("out").exists()
    Path("out").mkdir()
    Path("out/a.exr").write_text("made before")
    assert "is there already" in cli("convert", "in", "-o", "out", "--skip-existing").out
    assert Path("out/a.exr").read_text() == "made before"
    assert cli("convert", "in", "-o", "out").code == 0
    assert read_exr(Path("out/a.exr")).width == 64


def test_two_inputs_never_become_one_output(cli):
    """a.exr and a.png would both be a.exr: said before anything is made."""
    shot("in/a.exr")
    write_code(Path("in/a.png"), np.zeros((8, 8, 3), np.uint8))
    said = cli("convert", "in", "-o", "out")
    assert said.code == 2
    assert "would both become out/a.exr" in said.err
    assert not Path("out").exists()


# Wrong input: one line that says what, exit code 2, and nothing left behind.


@pytest.fixture
def wrong_inputs(place):
    """Make a folder with one of each thing that goes wrong."""
    shot("good.exr")
    shot("small.exr")
    write_exr(Path("small.exr"), scene()[:20], chromaticities=AP1)
    bad = scene()
    bad[5, 6, 1] = np.nan
    write_exr(Path("nan.exr"), bad, chromaticities=AP1, allow_nonfinite=True)
    data = Path("good.exr").read_bytes()
    Path("cut.exr").write_bytes(data[: len(data) // 2])
    Path("text.exr").write_text("not a picture")
    code8 = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    ours = {"hdrgen:toneMap": "log", "hdrgen:primaries": "awg4", "hdrgen:ceilingLinear": "10000"}
    write_png8(Path("r.png"), code8, text={"hdrgen:toneMap": "reinhard", "hdrgen:primaries": "awg4"})
    write_png8(Path("l.png"), code8, text=ours)
    write_png8(Path("other_ceiling.png"), code8, text={**ours, "hdrgen:ceilingLinear": "500"})
    write_png8(Path("rec709.png"), code8, text={**ours, "hdrgen:primaries": "rec709"})
    write_png8(Path("odd.png"), code8, text={**ours, "hdrgen:primaries": "odd"})
    write_png8(Path("small.png"), code8[:20])
    write_code(Path("deep.png"), code8.astype(np.uint16))
    data = Path("r.png").read_bytes()
    Path("cut.png").write_bytes(data[: len(data) // 2])
    Image.fromarray(code8).convert("CMYK").save("cmyk.jpg")
    Path("weights.safetensors").write_bytes(b"nonsense")
    Path("folder").mkdir()
    return place


@pytest.mark.usefixtures("closed_form")
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("frobnicate", "No such command 'frobnicate'"),
        ("inspect", "Missing argument"),
        ("inspect missing.exr", "missing.exr: cannot be read"),
        ("inspect text.exr", "text.exr: is neither an OpenEXR nor a Radiance file"),
        ("inspect cut.exr", "cut.exr: has damaged pixels"),
        ("inspect folder", "folder: holds no .exr"),
        ("inspect good.exr --contact-sheet out.tif", "out.tif: contact sheets are written as .png"),
        ("inspect good.exr --colour", "No such option"),
        ("check missing.exr", "missing.exr: no such file"),
        ("convert good.exr", "Missing option"),
        ("convert missing.exr -o out.exr", "missing.exr: cannot be read"),
        ("convert cut.exr -o out.exr", "cut.exr: has damaged pixels"),
        ("convert nan.exr -o out.exr", "out.exr: refused"),
        ("convert nan.exr -o out.png --to srgb", "out.png: refused"),
        ("convert good.exr -o out.exr --to acesgc", "unknown colour space 'acesgc'; did you mean 'acescg'"),
        ("convert good.exr -o out.exr --from logc5", "unknown colour space 'logc5'"),
        ("convert good.exr -o out.exr --to srgb", "an EXR holds scene-linear light"),
        ("convert good.exr -o out.png", "out.png: ACEScg is scene-linear"),
        ("convert good.exr -o out.jpg --to srgb", "out.jpg: the suffix must be"),
        ("convert good.exr -o folder/", "folder/good.exr: would overwrite its own source"),
        ("convert good.exr -o good.exr", "good.exr: would overwrite its own source"),
        ("convert good.exr small.exr -o out.exr", "out.exr: must be a folder"),
        ("convert good.exr -o out.exr --compression jpeg", "'jpeg' is not one of"),
        ("convert r.png -o out.exr", "r.png: code values do not say their colour space; give --from"),
        ("convert cut.png -o out.exr --from srgb", "cut.png: is a truncated PNG"),
        ("convert cmyk.jpg -o out.exr --from srgb", "cmyk.jpg: is a CMYK picture"),
        ("convert good.exr -o text.exr/out.exr", "text.exr"),
        ("preview missing.exr -o out.png", "missing.exr: cannot be read"),
        ("preview good.exr -o out.tif", "out.tif: previews are written as .png, .avif, .jxl, .jpg"),
        ("preview good.exr -o out.png --peak-nits 600", "--peak-nits does not go with .png"),
        ("preview good.exr -o out.jpg --bits 12", "--bits does not go with .jpg, which takes --peak-nits"),
        ("preview good.exr -o out.avif --peak-nits 20", "peaks from 101 to 10000 nit, not 20"),
        ("preview good.exr -o out.avif --format jxl", "out.avif: is no .jxl"),
        ("preview good.exr -o out.png --strip --exposure 1", "--strip shows -4 to +4 stops"),
        ("check good.exr --rules missing.yaml", "missing.yaml: cannot be read"),
        ("preview good.exr -o out.png --view Dark", "has no view 'Dark'; it has 'ACES 2.0"),
        ("preview good.exr -o out.png --display CRT", "unknown display 'CRT'"),
        ("preview good.exr -o out.png --exposure bright", "Invalid value for '--exposure'"),
        ("compare good.exr missing.exr", "missing.exr: cannot be read"),
        ("compare good.exr small.exr", "good.exr is 64x48 and small.exr is 64x20"),
        ("compare good.exr nan.exr", "nan.exr: holds NaN or Inf"),
        ("compare good.exr folder", "must be two files or two folders"),
        ("tonemap missing.exr --reinhard a.png --log b.png", "missing.exr: cannot be read"),
        ("tonemap nan.exr --reinhard a.png --log b.png", "nan.exr: holds NaN or Inf"),
        ("tonemap good.exr --reinhard a.png --log b.jpg", "b.jpg: tone-mapped pictures are written as .png"),
        ("tonemap good.exr --reinhard a.png --log a.png", "must be two files"),
        ("tonemap good.exr --reinhard a.png --log b.png --ceiling 0", "ceiling must be above 0"),
        ("tonemap good.exr --reinhard a.png --log b.png --primaries ap2", "'ap2' is not one of"),
        ("fuse --reinhard missing.png --log l.png -o out.exr", "missing.png: no such file"),
        ("fuse --reinhard r.png --log l.png -o out.png", "out.png: fused pictures are written as .exr"),
        ("fuse --reinhard r.png --log folder -o out.exr", "must be two files or two folders"),
        ("fuse --reinhard r.png --log r.png -o out.exr", "must be two files"),
        ("fuse --reinhard r.png --log small.png -o out.exr", "r.png is 64x48 and small.png is 64x20"),
        ("fuse --reinhard deep.png --log l.png -o out.exr", "deep.png: holds 16-bit codes where 8-bit"),
        ("fuse --reinhard cut.png --log l.png -o out.exr", "cut.png: is a truncated PNG"),
        ("fuse --reinhard cmyk.jpg --log l.png -o out.exr", "cmyk.jpg: is a CMYK picture"),
        ("fuse --reinhard r.png --log cmyk.jpg -o out.exr", "cmyk.jpg: is a CMYK picture"),
        ("fuse --reinhard good.exr --log l.png -o out.exr", "good.exr: is not a PNG, TIFF, JPEG or WebP"),
        ("fuse --reinhard l.png --log r.png -o out.exr", "l.png: says it is the log picture"),
        ("fuse --reinhard r.png --log other_ceiling.png -o out.exr", "made with a ceiling of 500"),
        ("fuse --reinhard r.png --log rec709.png -o out.exr", "give --primaries"),
        ("fuse --reinhard r.png --log l.png -o out.exr --space srgb", "an EXR holds scene-linear light"),
        (
            "fuse --reinhard r.png --log l.png -o out.exr --weights gone.st",
            "gone.st: no such file of weights",
        ),
        (
            "fuse --reinhard r.png --log l.png -o out.exr --weights weights.safetensors",
            "weights.safetensors: no",
        ),
        ("ingest missing -o out", "missing: no such file or folder"),
        ("ingest folder -o out", "folder: no OpenEXR or Radiance files found"),
        ("ingest folder -o good.exr", "good.exr: is a file"),
        ("ingest folder -o out --encoding logc9", "--encoding logc9: "),
        ("ingest folder -o out --panoramas maybe", "Invalid value for '--panoramas': "),
        ("ingest folder -o out --exposure -1", "--exposure -1.0: "),
        ("ingest folder -o out --exposure foo", "--exposure foo: must be auto, keep, grey or a factor"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(cli, wrong_inputs, command, reason):
    """A person reads what is wrong and where; outputs appear whole or not at all."""
    if command.endswith("-o folder/"):
        Path("folder/good.exr").hardlink_to("good.exr")
    before = files(wrong_inputs)
    said = cli(*command.split())
    assert said.code == 2, said
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("error: ")
    assert reason in lines[0]
    assert files(wrong_inputs) - before <= {"out"}
    assert not any(path.is_file() for path in Path("out").rglob("*"))


@pytest.mark.usefixtures("wrong_inputs")
def test_the_real_process_says_one_line_whatever_libraries_say():
    """OpenEXR speaks of damage on file descriptor 2, line after line; a person gets ours alone."""
    program = [sys.executable, "-c", "from hdrgen.cli import main; main()"]
    done = subprocess.run([*program, "inspect", "cut.exr"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: cut.exr: has damaged pixels")
    assert done.stderr.count("\n") == 1


def test_an_interrupted_batch_says_so(cli, monkeypatch):
    """Control-C is no traceback either; what was finished stays."""
    shot("in/a.exr")

    @overlappable
    def interrupted(*_, **__):
        yield
        raise KeyboardInterrupt

    monkeypatch.setattr("hdrgen.images.convert_file.convert_file", interrupted)
    said = cli("convert", "in", "-o", "out")
    assert said.code == 130
    assert said.err.startswith("error: interrupted")


def test_a_batch_is_what_its_files_are_one_by_one(cli, place):
    """Reading ahead and writing behind change neither the files nor what is said of them, nor its order."""
    names = [f"{number}.exr" for number in range(6)]
    for seed, name in enumerate(names):
        shot(f"in/{name}", seed, chromaticities=AWG4)
    Path("in/3.exr").write_bytes(Path("in/2.exr").read_bytes()[:-500])
    batch = cli("convert", "in", "-o", "out")
    alone = [cli("convert", f"in/{name}", "-o", f"alone/{name}") for name in names]
    assert batch.code == 1
    assert batch.out == "".join(said.out for said in alone).replace("alone/", "out/")
    assert batch.err == alone[3].err + "error: 1 of 6 failed, see above\n"
    assert {path.name: path.read_bytes() for path in (place / "out").iterdir()} == {
        path.name: path.read_bytes() for path in (place / "alone").iterdir()
    }
    assert len(files(place / "out")) == 5


def test_a_stopped_job_leaves_no_half_written_file(place):
    """A farm sends SIGTERM in the middle of writing: the temporary file goes as well."""
    shot()
    script = """
import contextlib, os, signal
from hdrgen import cli
from hdrgen.images import exr_writing

real = exr_writing.replacing

@contextlib.contextmanager
def stopped(path):
    with real(path) as temporary:
        os.kill(os.getpid(), signal.SIGTERM)
        yield temporary

exr_writing.replacing = stopped
cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "convert", "shot.exr", "-o", "out.exr"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr.startswith("error: interrupted")
    assert files(place) == {"shot.exr"}


def test_a_bug_is_one_line_unless_asked(cli, place, monkeypatch):
    """Even then a person gets a line, and a developer the way to the traceback."""

    @overlappable
    def bug(*_, **__):
        yield
        raise ZeroDivisionError("by zero")

    shot()
    monkeypatch.setattr("hdrgen.images.convert_file.convert_file", bug)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.delenv("HDRGEN_TRACEBACK", raising=False)
    said = cli("convert", "shot.exr", "-o", "a.exr")
    assert said.code == 1
    (log,) = place.glob("hdrgen-bug-*.log")
    assert said.err == (
        f"error: shot.exr: ZeroDivisionError: by zero (a bug in hdrgen; its traceback is in {log})\n"
    )
    assert log.read_text().endswith("ZeroDivisionError: by zero\n")
    monkeypatch.setenv("HDRGEN_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run(["convert", "shot.exr", "-o", "a.exr"])


def test_names_with_markup_are_said_as_they_are(cli):
    """A bracket in a file name is no colour."""
    said = cli("inspect", "[red]shot[/red].exr")
    assert "[red]shot[/red].exr" in said.err
