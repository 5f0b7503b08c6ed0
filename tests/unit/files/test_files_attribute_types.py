"""Attributes of types of their own are left behind by type, named, and shown readably, whatever their names."""

import json
import struct
from fractions import Fraction

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import pytest

from hdrgen.cli import run
from hdrgen.images.exr import read_header
from hdrgen.images.provenance import carried, left_behind

SAID = {
    "captureRate": (Fraction(24000, 1001), "23.976"),
    "editTime": (OpenEXR.TimeCode(1, 2, 3, 4, *[0] * 14), "01:02:03:04"),
    "filmEdge": (OpenEXR.KeyCode(1, 2, 3, 4, 5, 4, 64), "(1, 2, 3, 4, 5, 4, 64)"),
    "skyMap": (OpenEXR.ENVMAP_LATLONG, "Envmap.ENVMAP_LATLONG"),
    "thumbnail": (OpenEXR.PreviewImage(6, 4), "PreviewImage"),
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, **attributes):
    planes = {name: np.full((16, 24), 0.25, "f2") for name in "RGB"}
    OpenEXR.File({"type": OpenEXR.scanlineimage, **attributes}, planes).write(path)


def answered(capsys, *args):
    assert run([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["files"][0]


@pytest.mark.parametrize("name", SAID)
def test_a_type_of_its_own_is_named_and_not_made_text_or_a_number(capsys, name):
    write("a.exr", **{name: SAID[name][0]}, owner="me")
    notes = answered(capsys, "convert", "a.exr", "-o", "b.exr")["notes"]
    assert f"left behind of the header: {name}" in notes
    there = {attribute.name for attribute in oiio.ImageBuf("b.exr").spec().extra_attribs}
    assert name not in there
    assert there & {"owner", "Copyright"}


@pytest.mark.parametrize("name", SAID)
def test_inspect_shows_it_readably(capsys, name):
    value, shown = SAID[name]
    write("a.exr", **{name: value})
    assert str(answered(capsys, "inspect", "a.exr")["header"]["attributes"][name]).startswith(shown)


def test_a_type_that_the_library_does_not_know_is_left_behind(place, capsys):
    write("a.exr", swap="x" * 12)
    data = (place / "a.exr").read_bytes()
    told = b"swap\0string\0" + struct.pack("<i", 12)
    assert told in data
    (place / "a.exr").write_bytes(data.replace(told, b"swap\0sXring\0" + struct.pack("<i", 12)))
    assert answered(capsys, "inspect", "a.exr")["header"]["attributes"]["swap"] == "sXring of 12 bytes"
    said = read_header(place / "a.exr").attributes
    assert "swap" not in carried(said)
    assert "swap" in left_behind(said)
