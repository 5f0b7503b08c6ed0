"""`hdrgen bench`: real commands in processes of their own, in one table and one JSON."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import psutil
import pytest

from hdrgen.bench import measure as bench
from hdrgen.bench.ceilings import Ceilings
from hdrgen.bench.in_memory import prepared
from hdrgen.bench.measure import Missing, Timing, fastest_backends, measure
from hdrgen.bench.operations import OPERATIONS, scene
from hdrgen.bench.peers import PEERS
from hdrgen.bench.process import Run, cpu_seconds, resident_bytes, sampled_peak
from hdrgen.cli import bench as command
from hdrgen.cli.bench_worker import run_process
from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.ocio import convert
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import read_exr
from hdrgen.inference.backends import Fastest
from hdrgen.runtime.errors import HdrgenError

CEILINGS = Ceilings("a processor", 2, "float32", 1e11, None, 1e10)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_what_can_be_measured_is_what_there_is():
    assert (*OPERATIONS, "generate_step") == command.OPERATIONS
    for operation in OPERATIONS.values():
        assert set(operation.peers) <= set(PEERS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_pictures_are_those_that_the_command_takes(name, tmp_path):
    """Each file that an operation names is there."""
    OPERATIONS[name].write_pictures(scene(48, 32), tmp_path)
    for argument in OPERATIONS[name].arguments or ():
        if argument.startswith("{folder}") and "/out" not in argument:
            path = tmp_path / argument.removeprefix("{folder}").lstrip("/")
            assert path.exists(), path


def test_the_perceptron_is_measured_in_memory_alone(tmp_path):
    (timing,) = measure(["tone_mlp"], [(48, 32)], 2, CEILINGS, tmp_path, run_process)
    assert isinstance(timing, Timing)
    assert (timing.by, timing.runs) == ("torch in memory", 2)
    flop = 48 * 32 * 2 * (6 * 128 + 128 * 256 + 256 * 128 + 128 * 3)
    assert timing.matrix_share == pytest.approx(flop / timing.median_s / 1e11)


def test_networks_in_8_bit_integers_are_held_against_the_peak_of_these(tmp_path):
    measured = []

    def worker(*arguments, **calls):
        if not measured:
            measured.append(run_process(*arguments, **calls))
        return measured[0]

    flop = 64 * 64 * OPERATIONS["fuse_batch"].flop_per_pixel()
    for int8_ops, peak in ((None, 1e11), (4e11, 4e11)):
        ceilings = replace(CEILINGS, int8_ops=int8_ops)
        timing = next(measure(["fuse_batch"], [(64, 64)], 1, ceilings, tmp_path, worker))
        assert isinstance(timing, Timing)
        assert timing.matrix_share == pytest.approx(flop / timing.median_s / peak)


def test_convert_beside_openexr_alone(tmp_path):
    """A real measurement, small: ours first, the peers by how many times of ours they take."""
    measured = list(measure(["convert"], [(48, 32)], 1, CEILINGS, tmp_path, run_process))
    timings = [one for one in measured if isinstance(one, Timing)]
    ours, openexr = timings[:2]
    assert (ours.by, ours.of_ours, ours.matrix_share) == ("hdrgen", 1.0, None)
    assert openexr.by == "OpenEXR read + write"
    assert openexr.of_ours == pytest.approx(openexr.median_s / ours.median_s)
    assert ours.memory_share == pytest.approx(12 * 48 * 32 / ours.median_s / 1e10)
    assert 0 < ours.median_s < ours.process_s
    assert ours.peak_mib > 20
    # What is not installed is said, not left out in silence.
    named = {timing.by for timing in timings[1:]} | {
        note.why.split(" needs")[0] for note in measured if isinstance(note, Missing)
    }
    assert named == set(OPERATIONS["convert"].peers)


@pytest.mark.parametrize("name", ["OpenEXR read + write", "colour-science", "OpenImageIO"])
def test_peers_convert_what_hdrgen_converts(name, tmp_path):
    for module in PEERS[name].modules:
        pytest.importorskip(module, reason=f"{module} comes with pip install 'hdrgen[bench]'")
    OPERATIONS["convert"].write_pictures(scene(48, 32), tmp_path)
    PEERS[name].work(tmp_path)
    source, output = (read_exr(tmp_path / f"{n}.exr").rgb.astype(np.float32) for n in ("in", "out"))
    if name == "OpenEXR read + write":
        np.testing.assert_array_equal(output, source)
        return
    np.testing.assert_allclose(output, convert(source, "aces2065-1", "acescg"), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["fuse", "expand", "merge"])
def test_models_alone_are_given_what_the_command_is_given(name, tmp_path):
    OPERATIONS[name].write_pictures(scene(64, 48), tmp_path)
    light = prepared(name, "torch", tmp_path)()
    light = getattr(light, "linear", light)
    if name == "expand":  # whose answer are codes
        light = ENCODINGS["logc4_awg4"].decode(light)
    assert np.median(np.abs(np.log2(light / scene(64, 48)))) < 0.15


def test_light_is_recovered_from_what_the_command_is_given(tmp_path):
    """Whatever the curve is taken for, about grey the light is that of the picture: at half its exposure, clipped."""
    OPERATIONS["recover"].write_pictures(scene(128, 96), tmp_path)
    code8 = read_code8(tmp_path / "srgb.png").code
    assert 0.02 < (code8 == 255).any(-1).mean() < 0.2
    light, expected = prepared("recover", "torch", tmp_path)().linear, scene(128, 96) / 2
    grey = np.abs(np.log2(expected / 0.18)) < 0.3
    assert np.median(np.abs(np.log2(light[grey] / expected[grey]))) < 0.15


def test_a_command_that_fails_is_one_line():
    with pytest.raises(HdrgenError, match=r"no-such-file\.exr"):
        run_process("hdrgen", ("json",), ("convert", "no-such-file.exr", "-o", "a.exr"))


def run_of(*seconds):
    return Run([*seconds], [2 * s for s in seconds], 9.0, 100.0, "")


def test_a_model_in_memory_is_called_again_in_one_process_after_a_first_call(tmp_path):
    OPERATIONS["fuse"].write_pictures(scene(48, 32), tmp_path)
    run = run_process("memory", OPERATIONS["fuse"].modules, ("fuse", "torch", str(tmp_path)), calls=4)
    assert len(run.seconds) == len(run.cpu_seconds) == 4

    def worker(kind, _modules, arguments, *, calls=1):
        if kind == "memory" and "torch" in arguments:
            assert calls == 4
            return run_of(5.0, 1.0, 3.0, 2.0)
        return run_of(*[4.0] * calls)

    timings = {
        one.by: one
        for one in measure(["fuse"], [(48, 32)], 3, CEILINGS, tmp_path, worker)
        if isinstance(one, Timing)
    }
    assert [by for by in timings if by.endswith("in memory")][:1] == ["torch in memory"]
    in_memory = timings["torch in memory"]
    assert (in_memory.runs, in_memory.median_s, in_memory.fastest_s, in_memory.slowest_s) == (
        3,
        2.0,
        1.0,
        3.0,
    )
    assert (in_memory.first_call_s, in_memory.cpu_s, in_memory.of_ours) == (5.0, 4.0, 0.5)


def test_what_fails_is_said_and_the_rest_is_measured(tmp_path, monkeypatch):
    """Ours is the first that works; where none of ours does, nobody is so many times of it."""
    failing = {"torch"}

    def worker(kind, _modules, arguments, *, calls=1):
        if kind != "peer" and failing & set(arguments):
            raise HdrgenError("out of disk")
        return run_of(*[2.0] * calls)

    monkeypatch.setattr(bench, "why_absent", lambda backend: "of a reason" if backend != "onnx" else None)
    started = []
    measured = list(measure(["fuse"], [(48, 32)], 1, CEILINGS, tmp_path, worker, started.append))
    assert [str(one) for one in measured if isinstance(one, Missing)] == [
        "fuse: tensorrt is absent, because of a reason",
        "fuse by torch, 48x32: out of disk",
        "fuse by torch in memory, 48x32: out of disk",
    ]
    assert [one.failed for one in measured if isinstance(one, Missing)] == [False, True, True]
    ours = {one.by: one.of_ours for one in measured if isinstance(one, Timing)}
    assert ours == {"onnx": 1.0, "onnx in memory": 1.0, "OpenCV Mertens": 1.0}
    assert started[0] == "fuse by torch, 48x32"
    failing.add("onnx")
    again = measure(["fuse"], [(48, 32)], 1, CEILINGS, tmp_path, worker)
    assert {one.by: one.of_ours for one in again if isinstance(one, Timing)} == {"OpenCV Mertens": None}


def test_processor_time_and_memory_are_of_the_processes_that_were_started_too():
    code = """
import time
held = bytearray(64 << 20)
while time.process_time() < 0.3: pass
print("done", flush=True)
input()
"""
    before = cpu_seconds()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        assert cpu_seconds() - before >= 0.28  # the system counts in hundredths
        alone = psutil.Process().memory_info().rss
        assert resident_bytes(os.getpid()) - alone > 60 << 20
        child.communicate(b"\n")
    assert cpu_seconds() - before >= 0.28
    assert resident_bytes(child.pid) == 0  # it is gone


def test_the_peak_is_what_was_seen_while_the_block_ran():
    resident_mib = iter([3, 7, 5])
    last = threading.Event()

    def resident():
        value = next(resident_mib, None)
        if value is None:
            last.set()
        return value or 0

    with sampled_peak(resident, every_s=0.001) as peak:
        assert last.wait(60)
    assert peak() == 7


def test_without_models_the_generate_step_is_missing_and_one_that_fails_has_failed(tmp_path, monkeypatch):
    (missing,) = measure(["generate_step"], [], 1, CEILINGS, tmp_path / "none", run_process)
    assert (missing.what, missing.failed) == ("generate_step", False)
    assert "no such folder of models" in missing.why

    def worker(*_arguments):
        raise HdrgenError("the transformer is damaged")

    monkeypatch.setattr(bench, "find_trained", lambda *_: None)
    (failed,) = measure(["generate_step"], [], 1, CEILINGS, tmp_path, worker)
    assert (str(failed), failed.failed) == ("generate_step: the transformer is damaged", True)


def test_a_generate_step_is_the_difference_of_two_lengths(tmp_path, monkeypatch):
    stdout = json.dumps({"files": [{"width": 64, "height": 48}]})

    def worker(_kind, _modules, arguments):
        return Run([3.0 + 0.5 * int(arguments[-1])], [2.0 * int(arguments[-1])], 9.0, 100.0, stdout)

    monkeypatch.setattr(bench, "find_trained", lambda *_: None)
    (step,) = measure(["generate_step"], [], 2, CEILINGS, tmp_path, worker)
    assert (step.width, step.height, step.runs) == (64, 48, 2)
    assert (step.median_s, step.fastest_s, step.slowest_s, step.cpu_s) == (0.5, 0.5, 0.5, 2.0)


def timing(operation, by, seconds, side=1):
    return Timing(
        operation, by, side, side, 1, seconds, seconds, seconds, seconds, seconds, 1.0, None, None, 1.0
    )


def test_the_fastest_backend_is_that_on_the_largest_pictures():
    fastest = fastest_backends(
        [
            timing("fuse", "torch", 2.0, 20),
            timing("fuse", "onnx", 1.5, 20),
            timing("fuse", "torch", 1.0, 10),
            timing("fuse", "onnx", 9.0, 10),
            timing("fuse", "torch", 8.0, 30),  # where onnx failed
            timing("fuse", "OpenCV Mertens", 0.1, 20),
            timing("expand", "torch", 1.0),
            timing("convert", "hdrgen", 1.0),
        ]
    )
    assert fastest == {"tone_fusion": Fastest("onnx", 400)}  # of expand only one was measured


@pytest.fixture
def measuring(cli, tmp_path, monkeypatch):
    """Run the command with these findings: its answer, and the file that it wrote."""

    def call(*outcomes):
        def measured(*_arguments):
            for one in outcomes:
                if isinstance(one, BaseException):
                    raise one
                yield one

        monkeypatch.setattr("hdrgen.bench.ceilings.measure_ceilings", lambda _: CEILINGS)
        monkeypatch.setattr(bench, "measure", measured)
        result = cli("bench", "convert", "-o", tmp_path / "bench.json")
        return result, json.loads((tmp_path / "bench.json").read_text())

    return call


def test_the_command_writes_one_json(measuring):
    result, written = measuring(
        timing("convert", "hdrgen", 0.5), Missing("convert", "x is not installed", failed=False)
    )
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()[1:]] == ["convert", "hdrgen"]
    assert "note: convert: x is not installed" in result.err
    assert written["ceilings"]["matrix_flops"] == 1e11
    assert [row["median_s"] for row in written["timings"]] == [0.5]
    assert written["absent"] == ["convert: x is not installed"]
    assert written["failed"] == []


def test_what_failed_is_the_exit_code_and_in_the_json(measuring):
    result, written = measuring(
        Missing("convert by hdrgen, 1x1", "no disk", failed=True), timing("convert", "OpenImageIO", 0.5)
    )
    assert result.code == 1
    assert "failed: convert by hdrgen, 1x1: no disk" in result.err
    assert "OpenImageIO" in result.out
    assert written["failed"] == ["convert by hdrgen, 1x1: no disk"]


@pytest.mark.parametrize(
    ("end", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 2)]
)
def test_what_was_measured_is_shown_and_written_whatever_ends_it(measuring, end, code):
    result, written = measuring(timing("convert", "hdrgen", 0.5), end)
    assert result.code == code
    assert "hdrgen" in result.out.splitlines()[-1]
    assert [row["by"] for row in written["timings"]] == ["hdrgen"]


def test_a_size_that_is_none_is_one_line(cli):
    result = cli("bench", "--sizes", "big")
    assert result.code == 2
    assert "must be width x height" in result.err


def test_an_operation_that_is_none_is_one_line(cli):
    result = cli("bench", "fly")
    assert result.code == 2
    assert "'fly' is nothing that is measured; known are fuse," in result.err
