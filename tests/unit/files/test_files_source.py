"""A source that changes, hides or goes away while it is taken in loses nothing in silence."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import hdrgen.dataset.ingest
from hdrgen.cli import run
from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.encode import EncodeParams, encode_logc4
from hdrgen.dataset.ingest import ingest
from hdrgen.dataset.ingest_settings import IngestParams, Source
from hdrgen.dataset.journal import JOURNAL_NAME, Journal, journal_is_about
from hdrgen.dataset.repair import SanitizeParams
from hdrgen.dataset.sanitize import sanitize
from hdrgen.dataset.source_files import check_unchanged, find_pictures
from hdrgen.images.exr import write_exr
from hdrgen.runtime.errors import HdrgenError, MachineError
from hdrgen.runtime.scheduling import map_frames


def _write(folder, *names, seed=0, side=32):
    for number, name in enumerate(names):
        noise = np.random.default_rng([seed, number]).uniform(0.05, 0.5, (side, side, 3))
        write_exr(folder / f"{name}.exr", noise.astype(np.float16), chromaticities=AWG4)
    return folder


def _ingest(source, out, *more):
    return run(["ingest", str(source), "-o", str(out), "--workers", "1", *more])


def _files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def meanwhile(monkeypatch):
    """Return a function that does something when all files are taken in and the index is not yet written."""

    def then(do):
        def changed(*arguments):
            do()
            check_unchanged(*arguments)

        monkeypatch.setattr(hdrgen.dataset.ingest, "check_unchanged", changed)

    return then


def test_files_added_and_replaced_meanwhile_fail_ingest_and_the_next_run_takes_them_in(
    tmp_path, meanwhile, capsys, monkeypatch
):
    source = _write(tmp_path / "in", "a", "b", "c")

    def do():
        _write(source, *(f"new{number}" for number in range(10)))
        _write(source, "b", seed=1)

    meanwhile(do)
    assert _ingest(source, tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert f"{source}: changed while it was taken in (10 added, 1 changed, first b.exr); run it again" in said
    assert not (tmp_path / "out/index.parquet").exists()
    monkeypatch.undo()
    made = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out/frames").iterdir()}
    assert _ingest(source, tmp_path / "out") == 0
    assert pl.read_parquet(tmp_path / "out/index.parquet").height == 13
    assert _ingest(source, tmp_path / "fresh") == 0
    assert _files(tmp_path / "out") == _files(tmp_path / "fresh")
    kept = [p for p in (tmp_path / "out/frames").iterdir() if made.get(p.name) == p.stat().st_mtime_ns]
    assert len(kept) == 2  # a and c


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda source: (source / "a.exr").unlink(), "1 removed, first a.exr"),
        (lambda source: (source / "a.exr").rename(source / "z.exr"), "1 added, 1 removed, first a.exr"),
        (lambda source: _write(source / "deep/deeper", "d"), "1 added, first deep/deeper/d.exr"),
        (lambda source: _same_size_and_time(source / "b.exr"), "1 changed, first b.exr"),
        (lambda source: shutil.copy(source / "a.exr", source / "half"), "1 changed, first half"),
    ],
)
def test_every_change_of_the_source_is_noticed(tmp_path, meanwhile, capsys, do, words):
    source = _write(tmp_path / "in", "a", "b")
    if words.endswith("half"):  # a copy that was under way is set aside, and then is whole
        (source / "half").write_bytes((source / "a.exr").read_bytes()[:200])
    meanwhile(lambda: do(source))
    assert _ingest(source, tmp_path / "out") == 2
    assert f"({words})" in capsys.readouterr().err


def _same_size_and_time(file):
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_file_that_was_only_touched_is_the_same(tmp_path, meanwhile):
    source = _write(tmp_path / "in", "a", "b")

    def do():
        (source / "a.exr").touch()
        content = (source / "b.exr").read_bytes()
        (source / "b.exr").unlink()
        (source / "b.exr").write_bytes(content)
        (source / ".hidden.exr").write_bytes(b"x")

    meanwhile(do)
    assert _ingest(source, tmp_path / "out") == 0


def test_a_folder_that_cannot_be_listed_is_an_error_and_its_frames_stay(tmp_path, capsys, monkeypatch):
    source = _write(_write(tmp_path / "in", "a") / "day2", "b").parent
    assert _ingest(source, tmp_path / "out") == 0
    before = _files(tmp_path / "out")
    scandir = os.scandir

    def refused(path="."):
        if Path(path) == source / "day2":
            raise PermissionError(13, os.strerror(13), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    capsys.readouterr()
    assert _ingest(source, tmp_path / "out") == 2
    assert (
        f"{source}/day2: cannot be read (Permission denied); nothing was removed" in capsys.readouterr().err
    )
    assert _files(tmp_path / "out") == before


def test_a_folder_that_is_gone_half_way_is_an_error(tmp_path, monkeypatch):
    source = _write(_write(tmp_path / "in", "a") / "day2", "b").parent
    scandir = os.scandir

    def gone(path="."):
        if path == str(source / "day2"):
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", gone)
    with pytest.raises(MachineError, match=r"day2: cannot be read \(No such file or directory\)"):
        find_pictures(source)


def test_links_that_lead_nowhere_are_named_in_words_and_json(tmp_path, capsys):
    source = _write(tmp_path / "in", "a")
    (source / "gone.exr").symlink_to(tmp_path / "nowhere.exr")
    (source / "loop.hdr").symlink_to("loop.hdr")
    (source / "folder").symlink_to(tmp_path)
    (source / "notes.txt").symlink_to(tmp_path / "nowhere.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(source)  # a socket's path is short
        listening.bind("s.exr")
        os.chdir(here)
    assert _ingest(source, tmp_path / "out", "--json") == 0
    said = capsys.readouterr()
    (answer,) = json.loads(said.out)["sources"]
    assert answer["notes"] == [
        f"{source}/folder: is a link to a folder, which is not followed",
        f"{source}/gone.exr: is a link to what cannot be found (No such file or directory)",
        f"{source}/loop.hdr: is a link to what cannot be found (Too many levels of symbolic links)",
        f"{source}/s.exr: is no file but a pipe, a socket or a device",
    ]
    assert all(f"warning: {note}\n" in said.err for note in answer["notes"])
    assert [frame["path"] for frame in answer["frames"]] == ["a.exr"]


def test_frames_of_a_link_whose_target_is_away_are_not_removed(tmp_path, capsys):
    disk = _write(tmp_path / "disk", "b")
    source = _write(tmp_path / "in", "a")
    (source / "b.exr").symlink_to(disk / "b.exr")
    assert _ingest(source, tmp_path / "out") == 0
    before = _files(tmp_path / "out")
    disk.rename(tmp_path / "unmounted")
    capsys.readouterr()
    assert _ingest(source, tmp_path / "out") == 2
    assert f"{source}/b.exr: is a link to what cannot be found" in capsys.readouterr().err
    assert {name: _files(tmp_path / "out")[name] for name in before} == before
    (source / "b.exr").unlink()
    assert _ingest(source, tmp_path / "out") == 0
    assert pl.read_parquet(tmp_path / "out/index.parquet")["path"].to_list() == ["a.exr"]


def _interrupt_after(count):
    """Return a scheduler that is interrupted when so many outcomes are known."""

    def schedule(function, items, **limits):
        for number, outcome in enumerate(map_frames(function, items, **limits)):
            if number == count:
                raise KeyboardInterrupt
            yield outcome

    return schedule


def _params(source):
    return IngestParams(sources={"in": Source(path=source)}, workers=1)


def test_an_interrupted_first_ingest_goes_on_and_makes_the_bytes_of_an_undisturbed_one(tmp_path, capsys):
    source = _write(tmp_path / "in", *"abcdef")
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        ingest("in", _params(source), out, schedule=_interrupt_after(4))
    made = {p.name: p.stat().st_mtime_ns for p in (out / "frames").glob("[a-d]*.exr")}
    assert len(made) == 4
    assert _ingest(source, out) == 0, capsys.readouterr().err
    assert made == {p.name: p.stat().st_mtime_ns for p in (out / "frames").glob("[a-d]*.exr")}
    assert _ingest(source, tmp_path / "undisturbed") == 0
    assert _files(out) == _files(tmp_path / "undisturbed")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that nobody can catch")
def test_a_killed_ingest_goes_on_with_what_was_made(tmp_path):
    source = _write(tmp_path / "in", *(f"f{number:03}" for number in range(20)))
    out = tmp_path / "out"
    code = f"""
import sys
from pathlib import Path
from hdrgen.dataset.ingest import IngestParams, Source, ingest

def wait_in_the_middle(done, _total):
    if done == 7:
        print("killed here", flush=True)
        sys.stdin.read()

params = IngestParams(sources={{"in": Source(path=Path({str(source)!r}))}}, workers=1)
ingest("in", params, Path({str(out)!r}), on_progress=wait_in_the_middle)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "killed here\n"
        process.kill()
        process.stdout.read()  # until its worker has ended, too, as it does when it sees that it is alone
    assert not (out / "index.parquet").exists()
    made = {p.name: p.stat().st_mtime_ns for p in (out / "frames").glob("f*.exr")}
    assert len(made) >= 5
    assert _ingest(source, out) == 0
    now = {p.name: p.stat().st_mtime_ns for p in (out / "frames").iterdir()}
    assert sum(now[name] == mtime for name, mtime in made.items()) >= 5
    assert _ingest(source, tmp_path / "undisturbed") == 0
    assert _files(out) == _files(tmp_path / "undisturbed")


def test_an_unfinished_folder_is_not_given_to_another_source(tmp_path, capsys):
    source, other = _write(tmp_path / "in", "a", "b"), _write(tmp_path / "other/in", "z")
    with pytest.raises(KeyboardInterrupt):
        ingest("in", _params(source), tmp_path / "out", schedule=_interrupt_after(1))
    assert _ingest(other, tmp_path / "out") == 2
    assert f"{tmp_path}/out: holds the unfinished frames of {source}" in capsys.readouterr().err
    with pytest.raises(HdrgenError, match="holds the frames of in"):
        ingest("x", IngestParams(sources={"x": Source(path=other)}), tmp_path / "out")


def test_frames_that_no_ingest_made_are_still_refused(tmp_path, capsys):
    source = _write(tmp_path / "in", "a")
    _write(tmp_path / "out/frames", "mine")
    assert _ingest(source, tmp_path / "out") == 2
    assert "holds files that no ingest made" in capsys.readouterr().err
    assert (tmp_path / "out/frames/mine.exr").is_file()


def test_sanitize_and_encode_go_on_where_they_were_stopped(tmp_path):
    source = _write(tmp_path / "in", *"abcd")
    out, clean, codes = tmp_path / "out", tmp_path / "clean", tmp_path / "codes"
    ingest("in", _params(source), out)
    index = sanitize([out], SanitizeParams(), tmp_path / "clean_undisturbed")
    encode_logc4(index, tmp_path / "clean_undisturbed", EncodeParams(), tmp_path / "codes_undisturbed")

    with pytest.raises(KeyboardInterrupt):
        sanitize([out], SanitizeParams(), clean, schedule=_interrupt_after(3))
    assert sum(1 for row in Journal(clean, index.schema).rows if row["repair_digest"]) == 3
    index = sanitize([out], SanitizeParams(), clean)
    assert _files(clean) == _files(tmp_path / "clean_undisturbed")

    with pytest.raises(KeyboardInterrupt):
        encode_logc4(index, clean, EncodeParams(), codes, schedule=_interrupt_after(3))
    made = {p.name: p.stat().st_mtime_ns for p in (codes / "code16").glob("[a-c]*.tif")}
    assert len(made) == 3
    encode_logc4(index, clean, EncodeParams(), codes)
    assert made == {p.name: p.stat().st_mtime_ns for p in (codes / "code16").glob("[a-c]*.tif")}
    assert _files(codes) == _files(tmp_path / "codes_undisturbed")


def test_a_journal_with_half_a_line_or_of_another_version_costs_only_those_rows(tmp_path):
    schema = pl.Schema({"frame": pl.String, "stops": pl.Float64, "fingerprint": pl.Binary, "note": pl.String})
    row = {"frame": "a", "stops": 1 / 3, "fingerprint": b"\x00\xff\n", "note": None}
    with Journal(tmp_path, schema, {"source": "s"}) as journal:
        journal.add([row, {"frame": "\u2028", "stops": float("inf"), "fingerprint": None}])
    with (tmp_path / JOURNAL_NAME).open("ab") as stream:
        stream.write(b'{"frame": "other version"}\n{"frame": "half')
    with Journal(tmp_path, schema) as journal:
        assert journal.rows == [
            row,
            {"frame": "\u2028", "stops": float("inf"), "fingerprint": None, "note": None},
        ]
        journal.add([row, {"frame": "b", "stops": 2.0, "fingerprint": b"", "note": "n"}])
    assert [row["frame"] for row in Journal(tmp_path, schema).rows] == ["a", "\u2028", "b"]
    assert journal_is_about(tmp_path) == {"source": "s"}


def test_what_a_run_left_that_was_killed_while_it_wrote_is_cleared_away(tmp_path):
    source = _write(tmp_path / "in", "a")
    (tmp_path / "out/frames").mkdir(parents=True)
    assert _ingest(source, tmp_path / "out") == 0
    whole = _files(tmp_path / "out")
    (tmp_path / "out/.index.0123456789ab.parquet").write_bytes(b"half")
    (tmp_path / "out/frames/.a_1.0123456789ab.exr").write_bytes(b"half")
    assert _ingest(source, tmp_path / "out") == 0
    assert _files(tmp_path / "out") == whole


@pytest.mark.parametrize("name", ["day2", "day2.2026", "deep/day2"])
@pytest.mark.parametrize("how", ["link", "dead link", "empty", "missing"])
def test_frames_of_a_folder_that_is_away_are_not_removed_and_of_one_that_is_gone_are(
    tmp_path, capsys, name, how
):
    source = _write(tmp_path / "in", "a")
    folder = _write(source / name / "takes", "b").parent
    assert _ingest(source, tmp_path / "out") == 0
    before = _files(tmp_path / "out")
    folder.rename(tmp_path / "nas")
    if how == "empty":
        folder.mkdir()
    elif how != "missing":
        folder.symlink_to(tmp_path / ("nas" if how == "link" else "nowhere"))
    capsys.readouterr()
    if how == "missing":
        shutil.rmtree(source / "deep", ignore_errors=True)
    else:
        words = {"link": "link to a folder", "dead link": "cannot be found", "empty": "is empty"}[how]
        assert _ingest(source, tmp_path / "out") == 2
        said = capsys.readouterr().err
        assert f"error: {folder}: is " in said
        assert words in said
        assert {file: _files(tmp_path / "out")[file] for file in before} == before
        folder.rmdir() if how == "empty" else folder.unlink()
        shutil.rmtree(source / "deep", ignore_errors=True)
    assert _ingest(source, tmp_path / "out") == 0
    assert pl.read_parquet(tmp_path / "out/index.parquet")["path"].to_list() == ["a.exr"]


@pytest.mark.parametrize("again", ["chmod", "link", "touch", "replace"])
def test_a_file_that_is_set_aside_may_be_touched_too(tmp_path, meanwhile, capsys, again):
    source = _write(tmp_path / "in", "a")
    bad = source / "bad.exr"
    bad.write_bytes((source / "a.exr").read_bytes()[:200])
    assert _ingest(source, tmp_path / "undisturbed") == 1

    def do():
        if again == "chmod":
            bad.chmod(0o600)
        elif again == "link":
            (tmp_path / "backup").hardlink_to(bad)
        elif again == "touch":
            os.utime(bad, (1, 1))
        else:
            content = bad.read_bytes()
            bad.unlink()
            bad.write_bytes(content)

    meanwhile(do)
    assert _ingest(source, tmp_path / "out") == 1, capsys.readouterr().err
    assert _files(tmp_path / "out") == _files(tmp_path / "undisturbed")
    assert pl.read_parquet(tmp_path / "out/index.parquet")["content_hash"].null_count() == 1


def test_a_file_that_is_set_aside_and_then_written_anew_is_noticed_whatever_its_times_say(
    tmp_path, meanwhile, capsys
):
    source = _write(tmp_path / "in", "a")
    (source / "bad.exr").write_bytes((source / "a.exr").read_bytes()[:200])
    meanwhile(lambda: _same_size_and_time(source / "bad.exr"))
    assert _ingest(source, tmp_path / "out") == 2
    assert "(1 changed, first bad.exr)" in capsys.readouterr().err


def test_a_file_without_a_hash_is_compared_by_its_size_and_time(tmp_path):
    source = _write(tmp_path / "in", "a")
    before = find_pictures(source)
    (source / "a.exr").chmod(0o600)
    check_unchanged(before, {})
    os.utime(source / "a.exr", (1, 1))
    with pytest.raises(MachineError, match=r"1 changed, first a\.exr"):
        check_unchanged(before, {})


def test_a_source_that_cannot_be_taken_in_does_not_cost_the_others(tmp_path, capsys):
    a, c = _write(tmp_path / "a", "x"), _write(tmp_path / "c", "z")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_bytes(b"a file where a folder is to be")
    sources = [a, tmp_path / "empty", tmp_path / "gone", tmp_path / "loop", c]
    assert run(["ingest", *map(str, sources), "-o", str(tmp_path / "out"), "--workers", "1", "--json"]) == 1
    said = capsys.readouterr()
    errors = [
        f"{tmp_path}/out/a: is a file; give a folder for the frames",
        f"{tmp_path}/empty: no OpenEXR or Radiance files found",
        f"{tmp_path}/gone: no such file or folder",
        f"{tmp_path}/loop: no such file or folder",
    ]
    *failed, good = json.loads(said.out)["sources"]
    assert failed == [
        {"source": str(source), "output": str(tmp_path / "out" / source.name), "error": error}
        for source, error in zip(sources, errors, strict=False)
    ]
    assert [frame["path"] for frame in good["frames"]] == ["z.exr"]
    assert (tmp_path / "out/c/index.parquet").is_file()
    assert said.err.splitlines() == [f"error: {error}" for error in (*errors, "4 of 5 failed, see above")]
    assert run(["ingest", str(a), str(c), "-o", str(tmp_path / "out"), "--workers", "1"]) == 1
    assert capsys.readouterr().out == f"{c}: 1 frames in {tmp_path}/out/c, 0 files not used\n"


def test_the_only_source_that_fails_is_in_the_json_too(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert _ingest(tmp_path / "empty", tmp_path / "out", "--json") == 2
    (answer,) = json.loads(capsys.readouterr().out)["sources"]
    assert answer["error"] == f"{tmp_path}/empty: no OpenEXR or Radiance files found"


def test_an_error_of_the_system_in_one_source_does_not_cost_the_others(tmp_path, capsys, monkeypatch):
    a, c = _write(tmp_path / "a", "x"), _write(tmp_path / "c", "z")
    mkdir = Path.mkdir

    def refused(self, *args, **kwargs):
        if self == tmp_path / "out/a/frames":
            raise PermissionError(13, os.strerror(13), str(self))
        mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", refused)
    assert run(["ingest", str(a), str(c), "-o", str(tmp_path / "out"), "--workers", "1", "--json"]) == 1
    bad, good = json.loads(capsys.readouterr().out)["sources"]
    assert bad["error"] == f"{tmp_path}/out/a/frames: Permission denied"
    assert len(good["frames"]) == 1


def test_a_picture_without_a_telling_name_that_is_none_any_more_is_an_error(tmp_path, capsys):
    source = _write(tmp_path / "in", "a", "b")
    odd = (source / "b.exr").rename(source / "b.part")
    assert _ingest(source, tmp_path / "out") == 0
    whole = odd.read_bytes()
    odd.write_bytes(b"")  # as a copy that has just begun
    assert _ingest(source, tmp_path / "out") == 2
    assert (
        f"error: {odd}: is no picture any more, and frames of it were to be removed"
        in capsys.readouterr().err
    )
    odd.write_bytes(whole)
    assert _ingest(source, tmp_path / "out") == 0
    assert pl.read_parquet(tmp_path / "out/index.parquet").height == 2


def test_a_source_that_becomes_one_of_its_files_loses_the_others_as_asked(tmp_path):
    source = _write(tmp_path / "in", "a", "b")
    ingest("in", _params(source), tmp_path / "out")
    assert ingest("in", _params(source / "a.exr"), tmp_path / "out")["path"].to_list() == ["a.exr"]


def test_files_that_may_not_be_looked_at_are_an_error_and_their_frames_stay(tmp_path, capsys, monkeypatch):
    source = _write(_write(tmp_path / "in", "a") / "day2", "b").parent
    assert _ingest(source, tmp_path / "out") == 0
    before = _files(tmp_path / "out")
    stat = Path.stat

    def refused(self, **how):  # a folder that may be listed and not entered
        if self.parent == source / "day2":
            raise PermissionError(13, os.strerror(13), str(self))
        return stat(self, **how)

    monkeypatch.setattr(Path, "stat", refused)
    assert _ingest(source, tmp_path / "out") == 2
    assert f"{source}/day2/b.exr: cannot be read (Permission denied)" in capsys.readouterr().err
    assert _files(tmp_path / "out") == before
