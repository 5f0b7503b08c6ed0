"""What runs a graph, and why it cannot: an onnxruntime of the tests' own stands in for one with a GPU."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from hdrgen.inference import onnx_session
from hdrgen.inference.onnx_session import (
    OnnxGraph,
    present_runtimes,
    probe_graph,
    provider_options,
    why_absent,
)
from hdrgen.runtime.errors import HdrgenError

TENSORRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "")  # so that it is put back
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    why_absent.cache_clear()
    yield
    why_absent.cache_clear()


class Session:
    """A session that runs on the providers of `works`, and raises where `error` says so."""

    works = (CPU,)
    error = None
    opened: list = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, graph, _options, *, providers, enable_fallback):
        if self.error:
            raise RuntimeError(self.error)
        assert enable_fallback == 0
        self.opened.append((graph, dict(providers), onnx_session.os.environ.get("NVIDIA_TF32_OVERRIDE")))
        self._providers = [name for name, _ in providers if name in self.works]

    def get_providers(self):
        return self._providers

    def run(self, _names, inputs):
        return [2 * inputs["x"]]


@pytest.fixture
def onnxruntime(monkeypatch):
    """Install an onnxruntime that was built for GPUs; what works is up to the test."""
    pytest.importorskip("onnx", reason="the graph that is tried needs pip install 'hdrgen[onnx]'")
    session = type("Fresh", (Session,), {"opened": []})
    module = SimpleNamespace(
        __version__="9.9",
        get_available_providers=lambda: [TENSORRT, CUDA, CPU],
        SessionOptions=SimpleNamespace,
        InferenceSession=session,
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    return session


def test_what_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for runtime in ("onnx", "tensorrt"):
        assert "pip install 'hdrgen[onnx]'" in why_absent(runtime)
    with pytest.raises(HdrgenError, match=r"pip install 'hdrgen\[onnx\]'"):
        OnnxGraph(tmp_path / "a.onnx")
    with pytest.raises(HdrgenError, match=r"pip install 'hdrgen\[onnx\]'"):
        present_runtimes()


def test_an_onnxruntime_without_tensorrt_says_what_to_install(onnxruntime, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules["onnxruntime"], "get_available_providers", lambda: [CPU])
    assert why_absent("onnx") is None
    with pytest.raises(HdrgenError, match=r"has no TensorRT here.*pip install 'hdrgen\[tensorrt\]'"):
        OnnxGraph(tmp_path / "a.onnx", "tensorrt")
    assert present_runtimes() == ["onnx"]
    assert not onnxruntime.opened  # nothing to try


@pytest.mark.parametrize(
    ("error", "said"), [(None, "did not start"), ("libnvinfer.so.10: no such file\nat", "libnvinfer")]
)
def test_a_gpu_build_without_a_gpu_is_absent_for_a_reason(onnxruntime, caplog, error, said):
    """It either raises, or goes on without the provider."""
    onnxruntime.error = error
    why = why_absent("tensorrt")
    assert said in why
    assert why.startswith("onnxruntime cannot use TensorRT here (")
    assert "\n" not in why
    assert present_runtimes() == ["onnx"]
    assert caplog.messages == [why]


def test_tensorrt_keeps_its_engines_by_graph_and_works_in_single_precision(onnxruntime, tmp_path):
    onnxruntime.works = (TENSORRT, CUDA, CPU)
    graphs = [tmp_path / f"{name}.onnx" for name in ("a", "b")]
    for graph in graphs:
        graph.write_bytes(graph.name.encode())
        answer = OnnxGraph(graph, "tensorrt")({"x": np.ones(2, np.float32)})
        np.testing.assert_array_equal(answer, 2)
    (tried, options, _), *opened = onnxruntime.opened
    assert isinstance(tried, bytes)  # once
    assert options[TENSORRT] == {}  # and nothing is kept of it
    assert [graph for graph, _, _ in opened] == graphs
    assert {tf32 for _, _, tf32 in onnxruntime.opened} == {"0"}
    folders = set()
    for _, providers, _ in opened:
        assert list(providers) == [TENSORRT, CUDA, CPU]
        assert providers[CUDA]["use_tf32"] == "0"
        assert providers[TENSORRT]["trt_engine_cache_enable"] == "1"
        folder = onnx_session.Path(providers[TENSORRT]["trt_engine_cache_path"])
        assert folder.is_dir()
        assert folder.is_relative_to(tmp_path / "cache")
        folders.add(folder)
    assert len(folders) == 2


def test_whoever_wants_tf32_has_it(onnxruntime, monkeypatch, tmp_path):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    onnxruntime.works = (TENSORRT, CUDA, CPU)
    OnnxGraph(tmp_path / "a.onnx", "tensorrt")
    assert {tf32 for _, _, tf32 in onnxruntime.opened} == {"1"}


def test_the_processor_needs_no_options(onnxruntime, tmp_path):
    assert provider_options("onnx", None) == [(CPU, {})]
    OnnxGraph(tmp_path / "a.onnx")({"x": np.ones(2, np.float32)})
    assert onnxruntime.opened == [(tmp_path / "a.onnx", {CPU: {}}, None)]  # others' TF32 is left as it is


def test_the_graph_that_is_tried_runs():
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'hdrgen[onnx]'")
    session = onnxruntime.InferenceSession(probe_graph(), providers=[CPU])
    np.testing.assert_array_equal(session.run(None, {"x": np.array([3], np.float32)})[0], [6])
