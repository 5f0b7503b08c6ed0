"""What the machine does while frames are taken in ends the work, and is never a property of a file."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import OpenEXR
import polars as pl
import pytest
import yaml

from hdrgen.cli import run
from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.encode import EncodeParams, encode_logc4
from hdrgen.dataset.ingest import ingest
from hdrgen.dataset.ingest_settings import IngestParams, Source
from hdrgen.dataset.repair import SanitizeParams
from hdrgen.dataset.sanitize import sanitize
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.images.written_exr import check_whole
from hdrgen.runtime.errors import HdrgenError, MachineError
from hdrgen.runtime.scheduling import map_frames

resource = pytest.importorskip("resource")
ROOT = Path(__file__).resolve().parents[3]
LARGEST_FILE = 24_000
"""Bytes: more than an index or a journal has, less than a frame of noise."""
LIMITS = {"workers": 1, "timeout_s": 30.0, "memory_bytes": 2**30}


def _source(folder, names="abc", side=96):
    for number, name in enumerate(names):
        noise = np.random.default_rng(number).uniform(0.05, 0.5, (side, side, 3)).astype(np.float16)
        write_exr(folder / f"{name}.exr", noise, chromaticities=AWG4)
    return folder


def _no_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))


def _python(*arguments, cwd, room):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "400"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=None if room else _no_room,
    )


def _hdrgen(*arguments, cwd, room=True):
    return _python("-c", "from hdrgen.cli import main; main()", *arguments, cwd=cwd, room=room)


def _files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_ingest_on_a_full_disk_fails_names_the_frame_and_sets_no_file_aside(tmp_path):
    source = _source(tmp_path / "in")
    done = _hdrgen("ingest", source, "-o", tmp_path / "out", cwd=tmp_path, room=False)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert str(tmp_path / "out/frames/") in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out/index.parquet").exists()

    again = _hdrgen("ingest", source, "-o", tmp_path / "out", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    (answer,) = json.loads(again.stdout)["sources"]
    assert ([frame["path"] for frame in answer["frames"]], answer["quarantined"]) == (
        ["a.exr", "b.exr", "c.exr"],
        [],
    )
    _hdrgen("ingest", source, "-o", tmp_path / "undisturbed", cwd=tmp_path)
    assert _files(tmp_path / "out") == _files(tmp_path / "undisturbed")


def test_the_stages_ingest_and_sanitize_fail_on_a_full_disk_and_are_whole_with_room_again(tmp_path):
    _source(tmp_path / "in")
    bright = np.full((96, 96, 3), 0.2, np.float16)
    bright += np.random.default_rng(9).uniform(0, 0.1, bright.shape).astype(np.float16)
    bright[40, 40] = np.nan  # is repaired, so written anew
    write_exr(tmp_path / "in/nan.exr", bright, chromaticities=AWG4, allow_nonfinite=True)
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump(
            {"ingest": {"sources": {"a": {"path": "in"}}, "workers": 1}, "sanitize": {"workers": 1}}
        )
    )
    for stage, arguments in (("ingest", ("--source", "a")), ("sanitize", ())):
        script = ROOT / f"stages/{stage}.py"
        done = _python(script, *arguments, cwd=tmp_path, room=False)
        assert done.returncode == 1, done.stderr
        assert "File too large" in done.stderr
        assert not list((tmp_path / "metrics").glob(f"{stage}*"))
        again = _python(script, *arguments, cwd=tmp_path, room=True)
        assert again.returncode == 0, again.stderr
    index = pl.read_parquet(tmp_path / "data/sanitize/index.parquet")
    assert index["quarantine_reason"].null_count() == 4
    assert index.filter(pl.col("path") == "nan.exr")["repaired_nonfinite_pixels"].item() == 1


def test_encode_on_a_full_disk_does_not_ask_to_delete_the_frame(tmp_path):
    _source(tmp_path / "in")
    params = IngestParams(sources={"a": Source(path=tmp_path / "in")}, workers=1)
    index = ingest("a", params, tmp_path / "out")

    def full(function, items, **_):
        return map_frames(_Limited(function), items, **LIMITS)

    with pytest.raises(MachineError, match="written") as raised:
        encode_logc4(index, tmp_path / "out", EncodeParams(workers=1), tmp_path / "codes", schedule=full)
    assert "delete" not in str(raised.value)
    assert encode_logc4(index, tmp_path / "out", EncodeParams(workers=1), tmp_path / "codes").height == 3


class _Limited:
    """A function that runs where files cannot grow large; it travels to the worker."""

    __module__ = __name__

    def __init__(self, function):
        self.function = function

    def __call__(self, item):
        _no_room()
        return self.function(item)


@pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="needs a file whose first byte cannot be read"
)
def test_an_io_error_of_one_file_fails_ingest_and_removes_nothing(tmp_path, capsys):
    source = _source(tmp_path / "in")
    assert run(["ingest", str(source), "-o", str(tmp_path / "out")]) == 0
    before = _files(tmp_path / "out")
    (source / "b.exr").unlink()
    (source / "b.exr").symlink_to("/proc/self/mem")  # reading address 0 is an I/O error
    capsys.readouterr()
    assert run(["ingest", str(source), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert f"{source}/b.exr: cannot be read ({os.strerror(5)})" in said.err
    assert {name: _files(tmp_path / "out")[name] for name in before} == before


def test_a_file_that_vanishes_before_it_is_read_fails_ingest(tmp_path):
    source = _source(tmp_path / "in")
    params = IngestParams(sources={"a": Source(path=source)}, workers=1)

    def late(function, items, **limits):
        (source / "b.exr").unlink()
        return map_frames(function, items, **limits)

    with pytest.raises(MachineError, match=r"b\.exr: cannot be read \(No such file"):
        ingest("a", params, tmp_path / "out", schedule=late)


def test_a_damaged_file_is_still_set_aside_beside_good_ones(tmp_path, capsys):
    source = _source(tmp_path / "in")
    whole = (source / "b.exr").read_bytes()
    (source / "b.exr").write_bytes(whole[: len(whole) // 2])
    assert run(["ingest", str(source), "-o", str(tmp_path / "out"), "--json"]) == 1
    (answer,) = json.loads(capsys.readouterr().out)["sources"]
    assert [row["path"] for row in answer["quarantined"]] == ["b.exr"]
    assert [row["path"] for row in answer["frames"]] == ["a.exr", "c.exr"]


def test_sanitize_names_a_frame_that_is_damaged_or_gone_since_ingest(tmp_path):
    params = IngestParams(sources={"a": Source(path=_source(tmp_path / "in"))}, workers=1)
    index = ingest("a", params, tmp_path / "out")
    frame = tmp_path / "out" / index["file"][1]
    whole = frame.read_bytes()
    for bad in (whole[:-100], None):
        frame.write_bytes(bad) if bad else frame.unlink()
        with pytest.raises(MachineError, match=frame.name):
            sanitize([tmp_path / "out"], SanitizeParams(workers=1), tmp_path / "clean")
    frame.write_bytes(whole)
    assert sanitize([tmp_path / "out"], SanitizeParams(workers=1), tmp_path / "clean").height == 3


def _die(how):
    os.kill(os.getpid(), how)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_was_killed_is_the_machines_doing(how):
    with pytest.raises(MachineError, match=f"killed .{how.name}"):
        list(map_frames(_die, [how], **LIMITS))


def test_a_worker_that_crashed_is_the_frames_doing():
    (outcome,) = map_frames(_die, [signal.SIGSEGV], **LIMITS)
    assert outcome.failure == "crashed its process (SIGSEGV)"


def test_a_small_picture_that_openexr_loses_in_silence_on_a_full_disk_is_an_error(tmp_path, monkeypatch):
    """The library notices a full disk but while it writes; what the last buffer holds is lost at closing."""
    write = OpenEXR.File.write

    def lost(self, name):
        write(self, name)
        os.truncate(name, 0)

    monkeypatch.setattr(OpenEXR.File, "write", lost)
    with pytest.raises(OSError, match="whole") as raised:
        write_exr(tmp_path / "a.exr", np.ones((4, 4, 3), np.float16), chromaticities=AWG4)
    assert raised.value.filename == str(tmp_path / "a.exr")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compression", ["none", "zips", "zip", "piz", "dwab", "htj2k"])
def test_every_way_of_cutting_a_written_file_is_noticed(tmp_path, compression):
    file = tmp_path / "a.exr"
    write_exr(
        file,
        np.random.default_rng(0).uniform(0, 1, (70, 33, 3)),
        chromaticities=AWG4,
        compression=compression,
        attributes={"comments": "x" * 300},
    )
    check_whole(file, file)
    whole = file.read_bytes()
    for size in (*range(0, 500, 37), len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(OSError, match="whole"):
            check_whole(file, file)


def test_an_error_of_the_machine_names_the_file_and_not_a_hidden_one(tmp_path, monkeypatch, capsys):
    source = _source(tmp_path / "in", "a") / "a.exr"
    touch = Path.touch

    def refused(self, *args, **kwargs):
        if self.parent == tmp_path / "out":
            raise PermissionError(13, os.strerror(13), str(self))
        touch(self, *args, **kwargs)

    monkeypatch.setattr(Path, "touch", refused)
    assert run(["convert", str(source), "-o", str(tmp_path / "out/b.exr"), "--to", "acescg"]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/out/b.exr: Permission denied\n"
    assert read_exr(source).width == 96


def test_nothing_usable_says_why(tmp_path):
    write_exr(tmp_path / "in/a.exr", np.full((32, 32, 3), np.nan), chromaticities=AWG4, allow_nonfinite=True)
    ingest("a", IngestParams(sources={"a": Source(path=tmp_path / "in")}), tmp_path / "out")
    with pytest.raises(HdrgenError, match=r"first a\.exr: 100 % of its pixels are NaN"):
        sanitize([tmp_path / "out"], SanitizeParams(), tmp_path / "clean")


def test_a_journal_that_a_full_disk_cuts_is_named_and_what_was_made_is_kept(tmp_path):
    source = _source(tmp_path / "in", side=32)
    journal = tmp_path / "out/unfinished.jsonl"
    journal.parent.mkdir()
    about = json.dumps({"source": "in", "path": str(source)})
    journal.write_text(about.ljust(LARGEST_FILE - 100, "\n"))  # has room for half a row
    done = _hdrgen("ingest", source, "-o", tmp_path / "out", cwd=tmp_path, room=False)
    assert done.returncode == 2
    words = f"{os.strerror(27)}; mend it and run it again, what was made is kept"
    assert done.stderr == f"error: {journal}: {words}\n"
    assert _hdrgen("ingest", source, "-o", tmp_path / "out", cwd=tmp_path).returncode == 0
    assert _hdrgen("ingest", source, "-o", tmp_path / "undisturbed", cwd=tmp_path).returncode == 0
    assert _files(tmp_path / "out") == _files(tmp_path / "undisturbed")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_journal_that_cannot_be_started_is_named(tmp_path, capsys):
    source = _source(tmp_path / "in", "a", side=32)
    journal = tmp_path / "out/unfinished.jsonl"
    journal.parent.mkdir()
    journal.symlink_to("/dev/full")
    assert run(["ingest", str(source), "-o", str(tmp_path / "out")]) == 2
    assert f"error: {journal}: {os.strerror(28)}; mend it" in capsys.readouterr().err
