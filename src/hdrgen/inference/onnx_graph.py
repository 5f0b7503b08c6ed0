"""An exported graph on onnxruntime."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.runtime.errors import HdrgenError

Runtime = Literal["onnx", "tensorrt"]
PROVIDERS: dict[Runtime, str] = {"onnx": "CPUExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
"""What onnxruntime calls them."""


class OnnxGraph:
    """A graph that `hdrgen.export` wrote, loaded when it first runs.

    Parameters
    ----------
    path
        The ONNX file.
    runtime
        ``onnx``, onnxruntime's own kernels on the processor; or ``tensorrt``, on an NVIDIA GPU, in single precision.

    Raises
    ------
    HdrgenError
        onnxruntime is not installed, or knows no TensorRT.
    """

    def __init__(self, path: Path, runtime: Runtime = "onnx") -> None:
        self.path, self.runtime = path, runtime
        if runtime not in present_runtimes():
            raise HdrgenError(
                "onnxruntime has no TensorRT here; on a machine with an NVIDIA GPU: pip install 'hdrgen[tensorrt]'"
            )

    def __call__(self, inputs: Mapping[str, NDArray[Any]], *, threads: int = 2) -> NDArray[np.float32]:
        """Return the graph's output for inputs by name."""
        answer: NDArray[np.float32] = _session(self.path, self.runtime, threads).run(
            None, {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        )[0]
        return answer


def present_runtimes() -> list[Runtime]:
    """Return what can run a graph on this machine.

    Raises
    ------
    HdrgenError
        It is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError:
        raise HdrgenError("onnxruntime is not installed; pip install 'hdrgen[onnx]'") from None
    available = onnxruntime.get_available_providers()
    return [runtime for runtime, provider in PROVIDERS.items() if provider in available]


@lru_cache(maxsize=4)
def _session(path: Path, runtime: Runtime, threads: int) -> Any:
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    wanted = [PROVIDERS[runtime]]
    if runtime == "tensorrt":
        wanted += ["CUDAExecutionProvider", "CPUExecutionProvider"]  # for what TensorRT does not know
    try:
        # Its own fallback to other providers speaks on stdout, and would be measured as what was asked for.
        session = onnxruntime.InferenceSession(path, options, providers=wanted, enable_fallback=0)
    except Exception as error:  # its errors have no common class  # noqa: BLE001
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise HdrgenError(
            f"{path}: onnxruntime cannot run it ({said}); remove the file, it is made again"
        ) from None
    if PROVIDERS[runtime] not in session.get_providers():
        raise HdrgenError(
            f"onnxruntime cannot use {runtime} here: its libraries or the GPU's driver are missing"
        )
    return session
