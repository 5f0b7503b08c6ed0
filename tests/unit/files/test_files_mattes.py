"""Files with a matte beside their picture: every command takes the picture and says what it leaves behind."""

import json

import numpy as np
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.images.mattes import OBSERVED

RANDOM = np.random.default_rng(2)
LIGHT = (2.0 ** RANDOM.uniform(-3, 2, (24, 32, 3)) * 0.18).astype(np.float32)
MATTE = RANDOM.integers(0, 2, LIGHT.shape[:2]).astype(np.float32)
LEFT = "left behind: observed"

COMMANDS = {
    "convert": (("convert", "a.exr", "-o", "o.exr"), ["o.exr"]),
    "convert to codes": (("convert", "a.exr", "-o", "o.png", "--to", "srgb"), ["o.png"]),
    "tonemap": (("tonemap", "a.exr", "--reinhard", "r.png", "--log", "l.png"), ["r.png", "l.png"]),
    "bracket": (("bracket", "a.exr", "--ev", "0", "-o", "b"), ["b/a_ev+0.png"]),
    "preview": (("preview", "a.exr", "-o", "p.png"), ["p.png"]),
    "preview hdr": (("preview", "a.exr", "-o", "p.jpg"), ["p.jpg"]),
    "strip": (("preview", "a.exr", "-o", "p.png", "--strip"), ["p.png"]),
    "compare": (("compare", "a.exr", "b.exr", "--metrics", "stops_rmse"), []),
    "inspect": (("inspect", "a.exr"), []),
}


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_exr(tmp_path / "a.exr", LIGHT, chromaticities=AP1, mattes={OBSERVED: MATTE})
    write_exr(tmp_path / "b.exr", LIGHT, chromaticities=AP1)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_picture_and_says_what_it_leaves_behind(cli, files, command):
    """What is written is, byte for byte, what a file without a matte gives."""
    arguments, written = COMMANDS[command]
    said = cli(*arguments, "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)["files"][0]
    assert any(LEFT in note for note in answer["notes"]), answer["notes"]
    with_matte = [(files / name).read_bytes() for name in written]
    (files / "b.exr").replace(files / "a.exr")
    if command != "compare":
        alone = json.loads(cli(*arguments, "--json").out)["files"][0]
        assert not any("left behind" in note for note in alone["notes"])
        assert with_matte == [(files / name).read_bytes() for name in written]
    else:
        assert answer["metrics"]["stops_rmse"] == 0


def test_inspect_lists_it(cli):
    (part,) = json.loads(cli("inspect", "a.exr", "--json").out)["files"][0]["header"]["parts"]
    assert {c["name"]: c["pixel_type"] for c in part["channels"]} == dict.fromkeys((*"RGB", OBSERVED), "half")
    assert LEFT in cli("inspect", "a.exr").err


def test_check_judges_the_picture_alone(cli):
    findings = {}
    for name in ("a.exr", "b.exr"):
        answer = json.loads(cli("check", name, "--json").out)["files"][0]
        findings[name] = {f["rule"]: (f["verdict"], f["why"]) for f in answer["findings"]}
        assert not answer["notes"]
    of_matte, alone = findings["a.exr"], findings["b.exr"]
    assert of_matte.pop(OBSERVED)[0] == "pass"
    assert of_matte.pop("pixels") == ("pass", "half RGB, beside it observed (half)")
    for said in (of_matte, alone):
        for rule in ("readable", "pixels", "naming"):
            said.pop(rule, None)
    assert of_matte == alone


def test_the_matte_can_be_had(cli, files):
    assert cli("convert", "a.exr", "-o", "o.exr", "--layer", OBSERVED).code == 0
    assert np.array_equal(read_exr(files / "o.exr", layer=None).rgb, np.repeat(MATTE[..., None], 3, axis=-1))
