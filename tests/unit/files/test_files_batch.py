"""Whatever a file, the disk or a bug does to one file of a batch is that file's line, and the others are done."""

import errno
import json
import logging
import os
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile

from hdrgen.cli import WarningLines, run
from hdrgen.colour.primaries import AWG4
from hdrgen.images.convert_file import convert_file
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.overlap import overlappable
from hdrgen.runtime.scheduling import map_frames

resource = pytest.importorskip("resource")


@pytest.fixture
def plates(tmp_path, monkeypatch):
    """Four pictures; the second one's output is too large for where files cannot exceed 24,000 bytes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for number, name in enumerate("abcd"):
        side = 160 if name == "b" else 16
        noise = np.random.default_rng(number).uniform(0.05, 0.5, (side, side, 3)).astype(np.float16)
        write_exr(tmp_path / f"plates/{name}.exr", noise, chromaticities=AWG4)
    return tmp_path / "plates"


def _files(capsys):
    said = capsys.readouterr()
    return {Path(row["file"]).stem: row for row in json.loads(said.out)["files"]}, said.err


@contextmanager
def _little_room():
    """No file beyond 24,000 bytes: for as short as can be, since it holds for pytest's own output too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("plates")
@pytest.mark.parametrize(
    ("command", "written"),
    [
        (("convert", "plates", "-o", "out"), "out/b.exr"),
        (("convert", "plates", "-o", "out", "--suffix", ".png", "--to", "logc4"), "out/b.png"),
        (("convert", "plates", "-o", "out", "--suffix", ".tif", "--to", "logc4"), "out/b.tif"),
        (("bracket", "plates", "-o", "out"), "out/b_ev-2.png"),
        (("preview", "plates", "-o", "out"), "out/b.png"),
    ],
)
def test_a_disk_that_has_no_room_for_one_file_costs_that_file(capsys, command, written):
    with _little_room():
        assert run([*command, "--json"]) == 1
    files, said = _files(capsys)
    assert list(files) == list("abcd")
    assert [name for name, row in files.items() if "error" in row] == ["b"]
    assert files["b"]["error"].startswith(written)
    assert os.strerror(errno.EFBIG) in files["b"]["error"]
    assert said.splitlines() == [f"error: {files['b']['error']}", "error: 1 of 4 failed, see above"]
    assert not list(Path("out").glob("*b*"))
    assert not list(Path("out").glob(".*"))


def test_a_file_that_vanishes_a_folder_in_its_place_and_a_link_to_nothing_cost_themselves(
    plates, capsys, monkeypatch
):
    (plates / "e.exr").symlink_to("../gone.exr")
    Path("out/c.exr").mkdir(parents=True)
    task = convert_file.task

    @overlappable
    def late(source, *arguments, **named):
        if source.name == "b.exr":
            source.unlink()
        return (yield from task(source, *arguments, **named))

    monkeypatch.setattr("hdrgen.images.convert_file.convert_file", late)
    assert run(["convert", "plates", "-o", "out", "--json"]) == 1
    files, _ = _files(capsys)
    assert {name: row.get("error") for name, row in files.items()} == {
        "a": None,
        "b": "plates/b.exr: cannot be read (No such file or directory)",
        "c": "out/c.exr: is a folder where a file is to be written",
        "d": None,
        "e": "plates/e.exr: is a link to ../gone.exr, which cannot be found",
    }
    assert read_exr(Path("out/d.exr")).width == 16


@pytest.mark.usefixtures("plates")
def test_a_link_in_a_loop_costs_itself_and_a_pipe_is_left_out_with_a_note(capsys):
    Path("plates/loop.exr").symlink_to("loop.exr")
    os.mkfifo("plates/pipe.exr")  # opening it would wait for somebody to write
    assert run(["convert", "plates", "-o", "out", "--json"]) == 1
    files, said = _files(capsys)
    assert list(files) == [*"abcd", "loop"]
    assert files["loop"]["error"] == "plates/loop.exr: is a link to loop.exr, which cannot be found"
    assert "note: plates/pipe.exr: is no file but a pipe, a socket or a device, left out\n" in said


@pytest.mark.usefixtures("plates")
def test_a_folder_that_may_not_be_written_is_named_by_the_file_that_was_wanted(capsys, monkeypatch):
    touch = Path.touch

    def refused(self, *arguments, **named):
        if self.parent.name == "out":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        touch(self, *arguments, **named)

    Path("out").mkdir()
    monkeypatch.setattr(Path, "touch", refused)
    assert run(["convert", "plates", "-o", "out", "--json"]) == 1
    files, said = _files(capsys)
    assert {row["error"] for row in files.values()} == {
        f"out/{name}.exr: {os.strerror(errno.EROFS)}" for name in "abcd"
    }
    assert not re.search(r"/\.", said)


@pytest.mark.usefixtures("plates")
def test_a_bug_is_told_with_the_place_of_its_traceback_and_the_files_after_it_are_done(capsys, monkeypatch):
    task = convert_file.task

    @overlappable
    def bug(source, *arguments, **named):
        if source.name in {"b.exr", "c.exr"}:
            raise KeyError("R")
        return (yield from task(source, *arguments, **named))

    monkeypatch.delenv("HDRGEN_TRACEBACK", raising=False)
    monkeypatch.setattr("hdrgen.images.convert_file.convert_file", bug)
    assert run(["convert", "plates", "-o", "out", "--json"]) == 1
    files, said = _files(capsys)
    (log,) = Path().glob("hdrgen-bug-*.log")
    assert [name for name, row in files.items() if "error" in row] == ["b", "c"]
    for name in "bc":
        assert files[name]["error"] == (
            f"plates/{name}.exr: KeyError: 'R' (a bug in hdrgen; its traceback is in {log.absolute()})"
        )
    assert said.splitlines()[-1] == "error: 2 of 4 failed, see above"
    told = log.read_text()
    assert told.count("Traceback") == 1
    assert 'raise KeyError("R")' in told
    assert read_exr(Path("out/d.exr")).width == 16


def test_a_bug_on_a_disk_without_room_for_its_log_is_told_all_the_same(plates, capsys, monkeypatch):
    def bug(*_, **__):
        raise KeyError("R")

    monkeypatch.delenv("HDRGEN_TRACEBACK", raising=False)
    monkeypatch.setattr("hdrgen.images.scene_image.read_scene_image", bug)
    monkeypatch.setattr("tempfile.tempdir", str(plates / "nowhere"))
    assert run(["inspect", "plates/a.exr", "--json"]) == 1
    files, _ = _files(capsys)
    assert files["a"]["error"].endswith("(a bug in hdrgen; HDRGEN_TRACEBACK=1 shows where)")


def _bug(item):
    return {}[item]


def test_a_bug_of_a_frame_in_a_worker_is_one_line_and_its_traceback_is_in_the_log(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    handler = WarningLines(logging.WARNING)
    logging.getLogger("hdrgen").addHandler(handler)
    list(map_frames(_bug, ["R", "R"], workers=1, timeout_s=30.0, memory_bytes=2**30))
    logging.getLogger("hdrgen").removeHandler(handler)
    (log,) = tmp_path.glob("hdrgen-bug-*.log")
    line = f"warning: a frame failed unexpectedly: KeyError: 'R' (a bug in hdrgen; its traceback is in {log})"
    assert capsys.readouterr().err.splitlines() == [line, line]
    assert "return {}[item]" in log.read_text()


@pytest.mark.parametrize(
    "write",
    [
        lambda path: pl.DataFrame({"a": range(20_000)}).write_csv(path),
        lambda path: np.save(path, np.zeros(20_000)),
        lambda path: tifffile.imwrite(path, np.zeros((200, 200, 3), np.uint16), photometric="rgb"),
        lambda path: path.write_bytes(bytes(200_000)),
    ],
    ids=["polars", "numpy", "tifffile", "python"],
)
def test_every_writer_on_a_full_disk_names_the_target(tmp_path, write):
    with (
        _little_room(),
        pytest.raises(OSError, match=r".") as raised,
        replacing(tmp_path / "a.npy") as temporary,
    ):
        write(temporary)
    assert raised.value.filename == str(tmp_path / "a.npy")
    assert raised.value.strerror
    assert not list(tmp_path.iterdir())


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, replacing(tmp_path / "a.txt"):
        (tmp_path / "other.txt").read_bytes()
    assert raised.value.filename == str(tmp_path / "other.txt")
