"""`hdrgen bench`: real commands in processes of their own, in one table and one JSON."""

import json

import numpy as np
import pytest

from hdrgen.bench import measure as bench
from hdrgen.bench.ceilings import Ceilings
from hdrgen.bench.in_memory import prepared
from hdrgen.bench.measure import Timing, fastest_backends, measure, measure_generate_step
from hdrgen.bench.operations import OPERATIONS, scene
from hdrgen.bench.peers import PEERS
from hdrgen.cli import bench as command
from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.ocio import convert
from hdrgen.images.exr import read_exr
from hdrgen.inference import backends
from hdrgen.runtime.errors import HdrgenError

CEILINGS = Ceilings(2, "float32", 1e11, 1e10)


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
    for argument in OPERATIONS[name].arguments:
        if argument.startswith("{folder}") and "/out" not in argument:
            path = tmp_path / argument.removeprefix("{folder}").lstrip("/")
            assert path.exists(), path


def test_convert_beside_openexr_alone():
    """A real measurement, small: ours first, the peers by how many times of ours they take."""
    found = list(measure(["convert"], [(48, 32)], 1, CEILINGS))
    timings = [one for one in found if isinstance(one, Timing)]
    ours, openexr = timings[:2]
    assert (ours.by, ours.of_ours, ours.matrix_share) == ("hdrgen", 1.0, None)
    assert openexr.by == "OpenEXR read + write"
    assert openexr.of_ours == pytest.approx(openexr.median_s / ours.median_s)
    assert ours.memory_share == pytest.approx(12 * 48 * 32 / ours.median_s / 1e10)
    assert 0 < ours.median_s < ours.process_s
    assert ours.peak_mib > 20
    # What is not installed is said, not left out in silence.
    named = {timing.by for timing in timings[1:]} | {
        str(note).split(": ")[1].split(" needs")[0] for note in found if isinstance(note, str)
    }
    assert named == set(OPERATIONS["convert"].peers)


@pytest.mark.parametrize("name", ["OpenEXR read + write", "colour-science", "OpenImageIO"])
def test_peers_convert_what_hdrgen_converts(name, tmp_path):
    for module in PEERS[name].modules:
        pytest.importorskip(module, reason=f"{module} comes with pip install 'hdrgen[bench]'")
    OPERATIONS["convert"].write_pictures(scene(48, 32), tmp_path)
    PEERS[name].work(tmp_path)
    source, made = (read_exr(tmp_path / f"{n}.exr").rgb.astype(np.float32) for n in ("in", "out"))
    if name == "OpenEXR read + write":
        np.testing.assert_array_equal(made, source)
        return
    np.testing.assert_allclose(made, convert(source, "aces2065-1", "acescg"), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["fuse", "expand", "merge"])
def test_models_alone_are_given_what_the_command_is_given(name, tmp_path):
    OPERATIONS[name].write_pictures(scene(64, 48), tmp_path)
    light = prepared(name, "torch", tmp_path)()
    light = getattr(light, "linear", light)
    if name == "expand":  # whose answer are codes
        light = ENCODINGS["logc4_awg4"].decode(light)
    assert np.median(np.abs(np.log2(light / scene(64, 48)))) < 0.15
    ways, _ = bench._ways(OPERATIONS[name])
    assert [way.name for way in ways if way.in_memory][:1] == ["torch in memory"]


def test_a_command_that_fails_is_one_line():
    with pytest.raises(HdrgenError, match=r"no-such-file\.exr"):
        bench._process("hdrgen", ("json",), ("convert", "no-such-file.exr", "-o", "a.exr"))


def test_without_models_the_generate_step_is_said_to_be_missing(tmp_path):
    said = measure_generate_step(tmp_path, 1)
    assert isinstance(said, str)
    assert said.startswith("generate_step: ")


def timing(operation, by, seconds):
    return Timing(operation, by, 1, 1, 1, seconds, seconds, seconds, seconds, seconds, 1.0, None, None, 1.0)


def test_the_fastest_backend_is_that_over_all_sizes():
    found = fastest_backends(
        [
            timing("fuse", "torch", 1.0),
            timing("fuse", "onnx", 0.5),
            timing("fuse", "torch", 2.0),
            timing("fuse", "onnx", 3.0),
            timing("fuse", "OpenCV Mertens", 0.1),
            timing("expand", "torch", 1.0),
            timing("convert", "hdrgen", 1.0),
        ]
    )
    assert found == {"tone_fusion": "torch"}  # of expand only one was measured
    backends.remember_fastest({"tone_fusion": "onnx"})
    assert backends.chosen("tone_fusion", "auto") == "onnx"


def test_the_command_writes_one_json(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("hdrgen.bench.ceilings.measure_ceilings", lambda _: CEILINGS)
    monkeypatch.setattr(
        bench, "measure", lambda *_: iter([timing("convert", "hdrgen", 0.5), "convert: x is not installed"])
    )
    said = cli("bench", "convert", "-o", tmp_path / "bench.json")
    assert said.code == 0
    assert "convert" in said.out
    assert "x is not installed" in said.err
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["ceilings"]["matrix_flops"] == 1e11
    assert [row["median_s"] for row in written["timings"]] == [0.5]
    assert written["absent"] == ["convert: x is not installed"]


def test_a_size_that_is_none_is_one_line(cli):
    said = cli("bench", "--sizes", "big")
    assert said.code == 2
    assert "must be width x height" in said.err


def test_an_operation_that_is_none_is_one_line(cli):
    said = cli("bench", "fly")
    assert said.code == 2
    assert "'fly' is nothing that is measured; known are fuse," in said.err
