"""Graphs as ONNX files: any size of picture, the contract in the header, the same bytes for the same weights."""

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim
from torch.overrides import TorchFunctionMode

from hdrgen import __version__
from hdrgen.inference.onnx_graphs import Graph, Signal
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

LARGEST_SIDE = 1 << 16
SMALLEST_TRACED = {"height": 65, "width": 65, "rows": 2, "columns": 2}
"""What the tracer may assume of sizes, so that it need not ask whether a picture is one block wide. The graphs have no
such bound: a test runs them on a single pixel."""


def write_onnx(path: Path, graph: Graph, *, weights: str) -> None:
    """Write a graph as an ONNX file.

    Its metadata says ``hdrgen.version``, ``hdrgen.model``, ``hdrgen.weights``, and for each tensor
    ``hdrgen.input.<name>`` or ``hdrgen.output.<name>``, a `Signal` as JSON.

    Parameters
    ----------
    path
        Where; the file appears whole or not at all.
    graph
        The model to write, with an example of its inputs.
    weights
        The digest of its weights.

    Raises
    ------
    HdrgenError
        The packages that write ONNX are not installed.
    """
    onnx = optional("onnx", "onnx")
    optional("onnxscript", "onnx")
    contract = graph.contract
    sides: dict[str, Dim] = {}
    dynamic = tuple(_dynamic_axes(signal, sides) for signal in contract.inputs.values())
    with torch.no_grad(), _EveryBranch(), _quiet():
        program = torch.export.export(
            graph.module.eval(),
            graph.example,
            dynamic_shapes=dynamic,
            strict=False,
            # Sizes are rounded up to the network's stride, which the tracer cannot prove to be large enough.
            prefer_deferred_runtime_asserts_over_guards=True,
        )
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=list(contract.inputs),
            output_names=list(contract.outputs),
            verbose=False,
        )
    assert exported is not None, "a program with the dynamo exporter makes a model"
    model = exported.model_proto
    _forget_the_tracer(model)
    for values, signals in ((model.graph.input, contract.inputs), (model.graph.output, contract.outputs)):
        for value, signal in zip(values, signals.values(), strict=True):
            _name_axes(value, signal)
    onnx.helper.set_model_props(
        model,
        {
            "hdrgen.version": __version__,
            "hdrgen.model": graph.model,
            "hdrgen.weights": weights,
            **contract.metadata(),
        },
    )
    with replacing(path) as temporary:
        onnx.save(model, temporary)


def optional(module: str, extra: str) -> Any:
    """Import a package that only some need.

    Raises
    ------
    HdrgenError
        It is not installed; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise HdrgenError(f"{module} is not installed; pip install 'hdrgen[{extra}]'") from None


class _EveryBranch(TorchFunctionMode):
    """The models leave out what no pixel of a picture needs. A graph has no such choice: it always does it."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is Tensor.any and len(args) == 1:
            return True
        return function(*args, **(kwargs or {}))


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the exporter keep to itself how it goes about its work."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def _dynamic_axes(signal: Signal, sides: dict[str, Dim]) -> dict[int, Dim]:
    """Return the axes whose size is the picture's; those of one name are equal in all inputs."""
    return {
        axis: sides.setdefault(name, Dim(name, min=SMALLEST_TRACED[name], max=LARGEST_SIDE))
        for axis, name in enumerate(signal.axes)
        if isinstance(name, str)
    }


def _forget_the_tracer(model: Any) -> None:
    """Remove where in which file each node was made, and the sizes in between, which the runtime finds by itself."""
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.functions):
        del part.metadata_props[:]
        part.doc_string = ""
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""
        del function.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.value_info[:]


def _name_axes(value: Any, signal: Signal) -> None:
    for dimension, axis in zip(value.type.tensor_type.shape.dim, signal.axes, strict=True):
        if isinstance(axis, str):
            dimension.dim_param = axis
        else:
            dimension.dim_value = axis
