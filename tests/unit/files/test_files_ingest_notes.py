"""What frames leave behind of the files they are made from is said, over all files; a part can be asked for."""

import json
from pathlib import Path

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import polars as pl
import pytest

from hdrgen.cli import run
from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.ingest import INDEX_SCHEMA


def plane(value):
    return np.full((16, 24), value, "f4")


def write(path, channels, **attributes):
    OpenEXR.File({"type": OpenEXR.scanlineimage, **attributes}, dict(channels)).write(str(path))


RGB = {"R": plane(0.1), "G": plane(0.2), "B": plane(0.3)}


@pytest.fixture
def footage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "footage").mkdir()
    return tmp_path / "footage"


def take_in(capsys, *options):
    assert run(["ingest", "footage", "-o", "out", "--exposure", "keep", "--json", *options]) == 0
    said = capsys.readouterr()
    (source,) = json.loads(said.out)["sources"]
    assert all(f"note: footage: {note}" in said.err for note in source["notes"])
    return source["notes"]


def test_a_plain_file_has_no_notes(footage, capsys):
    write(footage / "a.exr", RGB)
    assert take_in(capsys) == []


def test_layers_and_alpha_are_counted_over_files_and_said_again_by_the_next_run(footage, capsys):
    for frame in range(3):
        write(footage / f"s.000{frame}.exr", {**RGB, "A": plane(1), "Z": plane(5)})
    write(footage / "plain.exr", RGB)
    notes = take_in(capsys)
    assert "left behind: Z (3 of 4 files)" in notes
    assert "alpha was dropped (3 of 4 files)" in notes
    before = Path("out/index.parquet").read_bytes()
    assert take_in(capsys) == notes
    assert Path("out/index.parquet").read_bytes() == before


def test_values_clamped_are_counted(footage, capsys):
    bright = {name: pixels.copy() for name, pixels in RGB.items()}
    for pixels in bright.values():
        pixels[:2, :2] = 1e6
    write(footage / "a.exr", bright)
    assert "12 values beyond half floats clamped in 1 of 1 frames" in take_in(capsys)


@pytest.mark.parametrize(
    ("name", "said"), [("srgb_rec709_scene", "codes decoded"), ("odd_scene", "odd_scene is not known")]
)
def test_what_was_made_of_a_colour_id_is_said(footage, capsys, name, said):
    write(footage / "a.exr", RGB, colorInteropID=name)
    assert any(said in note and note.endswith("in 1 of 1 frames") for note in take_in(capsys))


def test_notes_of_many_kinds_are_few(footage, capsys):
    for number in range(12):
        write(footage / f"{number}.exr", {**RGB, f"mask{number}": plane(1)})
    notes = take_in(capsys)
    assert len(notes) == 9
    assert notes[-1].startswith("4 more notes")


def two_parts(path):
    parts = [
        OpenEXR.Part({"name": name, "type": OpenEXR.scanlineimage}, {c: plane(v) for c in "RGB"}, name)
        for name, v in (("beauty", 0.25), ("clean", 0.75))
    ]
    OpenEXR.File(parts).write(str(path))


@pytest.mark.parametrize(("part", "value"), [("clean", 0.75), ("1", 0.75), ("0", 0.25), ("beauty", 0.25)])
def test_the_part_asked_for_becomes_the_frame(footage, capsys, part, value):
    two_parts(footage / "a.exr")
    take_in(capsys, "--part", part)
    (row,) = read_index(Path("out")).iter_rows(named=True)
    assert oiio.ImageBuf(f"out/{row['file']}").getpixel(3, 3) == pytest.approx((value,) * 3, rel=2e-3)


def test_a_part_asked_for_makes_other_frames_and_none_makes_those_of_before(footage, capsys):
    write(footage / "a.exr", RGB)
    names = []
    for options in ((), ("--part", "0"), ()):
        take_in(capsys, *options)
        names.append(read_index(Path("out"))["frame"].item())
    assert names[0] == names[2] != names[1]


def test_the_index_holds_no_notes(footage, capsys):
    write(footage / "a.exr", {**RGB, "A": plane(1)})
    take_in(capsys)
    assert pl.read_parquet("out/index.parquet").schema == INDEX_SCHEMA
