"""What a file says of itself and the output does not: named in a note, briefly, and nothing that is carried."""

import json
from fractions import Fraction

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import pytest

from hdrgen.cli import run
from hdrgen.images.provenance import carried, header_notes, left_behind

LONG = "com.maker.camera.lens.distortion.model.of.the.day"
SAID = {
    "framesPerSecond": Fraction(24000, 1001),
    "timeCode": OpenEXR.TimeCode(1, 2, 3, 4, *[0] * 14),
    "keyCode": OpenEXR.KeyCode(1, 2, 3, 4, 5, 4, 64),
    "worldToCamera": np.eye(4, dtype="f4"),
    "preview": OpenEXR.PreviewImage(6, 4),
    "cropOfTheDay": (np.array((0, 0), "i4"), np.array((3, 3), "i4")),
    "envmap": OpenEXR.ENVMAP_LATLONG,
    "adoptedNeutral": (0.3, 0.3),
    "screenWindowWidth": 2.0,
    LONG: "x",
}
KEPT = {"owner": "me", "expTime": 0.5, "isoSpeed": 800.0, "frame": 7}
STRUCTURE = {"lineOrder": OpenEXR.DECREASING_Y, "pixelAspectRatio": 2.0, "colorInteropID": "lin_rec709_scene"}


def write(path, scale=1.0, *, alpha=False, **attributes):
    planes = {
        name: np.full((16, 24), value * scale, "f2")
        for name, value in zip("RGB", (0.2, 0.4, 0.6), strict=True)
    }
    if alpha:
        planes["A"] = np.ones((16, 24), "f2")
    OpenEXR.File({"type": OpenEXR.scanlineimage, **attributes}, planes).write(path)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def notes_of(capsys, *args):
    ended = run([*map(str, args), "--json"])
    said = capsys.readouterr()
    assert ended == 0, said.err
    notes = json.loads(said.out)["files"][0]["notes"]
    assert all(f"note: {note}" in said.err for note in notes)
    return notes


@pytest.mark.parametrize("name", SAID)
def test_convert_names_what_it_cannot_carry(capsys, name):
    write("a.exr", **{name: SAID[name]})
    notes = notes_of(capsys, "convert", "a.exr", "-o", "b.exr")
    assert f"left behind of the header: {name}" in notes
    there = oiio.ImageBuf("b.exr").spec()
    assert not [p.name for p in there.extra_attribs if p.name.lower().endswith(name.lower()) and name == LONG]


def test_the_note_is_short(capsys):
    write("a.exr", **SAID)
    (note,) = [n for n in notes_of(capsys, "convert", "a.exr", "-o", "b.exr") if "header" in n]
    assert note.endswith(" and 5 more")
    assert len(note) < 160


def test_neither_structure_nor_what_is_carried_is_named(capsys):
    write("a.exr", **KEPT, **STRUCTURE)
    assert not any("header" in note for note in notes_of(capsys, "convert", "a.exr", "-o", "b.exr"))
    spec = oiio.ImageBuf("b.exr").spec()
    assert (spec["owner"] if "owner" in [p.name for p in spec.extra_attribs] else spec["Copyright"]) == "me"
    assert spec.get_float_attribute("PixelAspectRatio") == 2.0


def test_merge_names_what_exposures_say_once(capsys):
    for ev in (0, 1):
        write(f"a_ev{ev:+d}.exr", 2.0**ev, **KEPT, timeCode=SAID["timeCode"])
    command = ("merge", "a_ev+0.exr", "a_ev+1.exr", "--method", "closed", "--no-align", "-o", "m.exr")
    (note,) = [n for n in notes_of(capsys, *command) if "header" in n]
    assert set(note.split(": ")[1].split(", ")) == {*KEPT, "timeCode"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("tonemap", "a.exr", "--reinhard", "r.png", "--log", "l.png"), "alpha was dropped"),
        (("bracket", "a.exr", "--ev", "0", "-o", "b"), "alpha was dropped"),
        (("convert", "a.exr", "-o", "b.png", "--to", "srgb"), "alpha was dropped"),
        (("preview", "a.exr", "-o", "b.png"), "alpha is not shown"),
        (("preview", "a.exr", "-o", "b.jpg"), "alpha is not shown"),
        (("compare", "a.exr", "a.exr", "--metrics", "stops_rmse"), "alpha is not compared"),
    ],
)
def test_alpha_is_named_where_it_is_left(capsys, args, said):
    write("a.exr", alpha=True)
    assert said in notes_of(capsys, *args)


def test_names_are_found_by_what_would_be_kept():
    attributes = {"owner": "me", "v3f": [1.0, 2.0], "big": 2**40, "tiles": "64", "screenWindowWidth": 1.0}
    assert carried(attributes) == {"owner": "me"}
    assert left_behind(attributes) == ("v3f", "big")
    assert left_behind(attributes, kept=()) == ("owner", "v3f", "big")
    assert header_notes(()) == ()
