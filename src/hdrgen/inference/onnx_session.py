"""An exported graph on onnxruntime.

TensorRT has not been run by hdrgen's authors, for want of an NVIDIA GPU with its packages: its options are those that
onnxruntime documents, and a machine on which it does not work is told apart by trying.
"""

import logging
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.runtime.documents import file_sha256
from hdrgen.runtime.errors import HdrgenError

log = logging.getLogger(__name__)

Runtime = Literal["onnx", "tensorrt"]
PROVIDERS: dict[Runtime, str] = {"onnx": "CPUExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
"""What onnxruntime calls them."""


class OnnxGraph:
    """A graph that `onnx_export` wrote, loaded when it first runs.

    Parameters
    ----------
    path
        The ONNX file.
    runtime
        ``onnx``, onnxruntime's own kernels on the processor; or ``tensorrt``, on an NVIDIA GPU, in single precision
        without TF32.

    Raises
    ------
    HdrgenError
        The runtime cannot be used here; the message says why.
    """

    def __init__(self, path: Path, runtime: Runtime = "onnx") -> None:
        self.path, self.runtime = path, runtime
        if why := why_absent(runtime):
            raise HdrgenError(why)

    def __call__(self, inputs: Mapping[str, NDArray[Any]], *, threads: int = 2) -> NDArray[np.float32]:
        """Return the graph's first output for inputs by name."""
        return self.outputs(inputs, threads=threads)[0]

    def outputs(
        self, inputs: Mapping[str, NDArray[Any]], *, threads: int = 2
    ) -> tuple[NDArray[np.float32], ...]:
        """Return all outputs of the graph, in its contract's order."""
        given = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        return tuple(_session(self.path, self.runtime, threads).run(None, given))


def present_runtimes() -> list[Runtime]:
    """Return what can run a graph on this machine; of one that is installed and does not work, a warning is logged.

    Raises
    ------
    HdrgenError
        onnxruntime is not installed.
    """
    built_in = _providers()
    absent = {runtime: why_absent(runtime) for runtime in PROVIDERS}
    for runtime, why in absent.items():
        if why and PROVIDERS[runtime] in built_in:
            log.warning("%s", why)
    return [runtime for runtime, why in absent.items() if why is None]


@lru_cache
def why_absent(runtime: Runtime) -> str | None:
    """Return why a runtime cannot be used on this machine and what to do, None where it can.

    onnxruntime lists what it was built with. Whether the GPU, its driver and TensorRT's libraries are there shows only
    when a graph is run, so a small one is.
    """
    try:
        built_in = _providers()
    except HdrgenError as error:
        return str(error)
    if PROVIDERS[runtime] not in built_in:
        return "onnxruntime has no TensorRT here; on a machine with an NVIDIA GPU: pip install 'hdrgen[tensorrt]'"
    if runtime == "onnx":  # its own kernels run wherever it can be imported
        return None
    try:
        _open(probe_graph(), runtime, provider_options(runtime, None), threads=1).run(
            None, {"x": np.zeros(1, np.float32)}
        )
    except Exception as error:  # onnxruntime's errors have no common class  # noqa: BLE001
        return f"onnxruntime cannot use TensorRT here ({_first_line(error)}); take the backend torch or onnx"
    return None


def provider_options(runtime: Runtime, engines: Path | None) -> list[tuple[str, dict[str, str]]]:
    """Return onnxruntime's providers for a runtime, the first choice first, with their options.

    Parameters
    ----------
    runtime
        Which.
    engines
        Folder in which TensorRT keeps what it built, for one graph alone: it does not look whether the weights are
        still the same. None keeps nothing.
    """
    if runtime == "onnx":
        return [(PROVIDERS[runtime], {})]
    # No range of sizes is stated up front: the engine would reserve memory for the largest. onnxruntime widens the range
    # by what it is given, builds again where a picture is beyond it, and keeps the range beside the engine.
    kept = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(engines),
    }
    return [
        (PROVIDERS[runtime], kept if engines else {}),
        ("CUDAExecutionProvider", {"use_tf32": "0"}),  # for what TensorRT does not know
        (PROVIDERS["onnx"], {}),
    ]


def cache_folder() -> Path:
    """Return the user's folder for what can be made again.

    Raises
    ------
    RuntimeError
        There is neither ``$XDG_CACHE_HOME`` nor a home.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hdrgen"


def _providers() -> list[str]:
    """Return the providers that onnxruntime was built with."""
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError:
        raise HdrgenError("onnxruntime is not installed; pip install 'hdrgen[onnx]'") from None
    built_in: list[str] = onnxruntime.get_available_providers()
    return built_in


@lru_cache(maxsize=4)
def _session(path: Path, runtime: Runtime, threads: int) -> Any:
    engines = None if runtime == "onnx" else _engines(path)
    try:
        return _open(path, runtime, provider_options(runtime, engines), threads)
    except HdrgenError:
        raise
    except Exception as error:  # its errors have no common class  # noqa: BLE001
        raise HdrgenError(
            f"{path}: onnxruntime cannot run it ({_first_line(error)}); remove the file, it is made again"
        ) from None


def _open(
    graph: Path | bytes, runtime: Runtime, providers: list[tuple[str, dict[str, str]]], threads: int
) -> Any:
    import onnxruntime  # noqa: PLC0415

    if runtime == "tensorrt":
        # TensorRT rounds fp32 to TF32's 10 bits unless the driver is told not to, before its libraries are loaded. That
        # holds for all of this process; whoever set it already decides.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    # Its own fallback to other providers speaks on stdout, and would be measured as what was asked for.
    session = onnxruntime.InferenceSession(graph, options, providers=providers, enable_fallback=0)
    if PROVIDERS[runtime] not in session.get_providers():
        raise HdrgenError(
            f"{PROVIDERS[runtime]} did not start: its libraries or the GPU's driver are missing"
        )
    return session


def _engines(path: Path) -> Path:
    """Return a folder for the engines of this very file, by the version of onnxruntime."""
    import onnxruntime  # noqa: PLC0415

    digest = file_sha256(path)[:12]
    folder = cache_folder() / "tensorrt" / f"{path.stem}-{digest}-{onnxruntime.__version__}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def probe_graph() -> bytes:
    """Return the smallest graph: one number and itself added."""
    from onnx import TensorProto, helper  # noqa: PLC0415 - comes with onnxruntime's extra

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "probe", [x], [y])
    opset = helper.make_opsetid("", 17)
    probe: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    return probe


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
