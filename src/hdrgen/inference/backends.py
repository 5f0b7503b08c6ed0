"""Loading the released models, and what runs them: torch, or onnxruntime on the exported graph, with or without TensorRT.

``auto`` is what `hdrgen bench` measured to be fastest on this machine, and torch where it has not run. Stages that
evaluate models load them in torch, whatever was measured. Graphs are exported when they are first needed, and kept in
the user's cache by the digest of their weights.
"""

import json
import platform
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen import __version__
from hdrgen.inference import bit_depth, exposure_fusion, highlights, tone_fusion
from hdrgen.inference.onnx_session import OnnxGraph, Runtime, cache_folder
from hdrgen.models.bit_depth import BitDepthUNet
from hdrgen.models.exposure_fusion import LuminanceStackProcessor
from hdrgen.models.highlights import HighlightsNet
from hdrgen.models.runtime_network import Network, weights_file_digest
from hdrgen.models.tiles import Tile
from hdrgen.models.tone_fusion import ToneFuser
from hdrgen.models.weights import released_weights
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.choices import Backend

if TYPE_CHECKING:
    from hdrgen.inference.onnx_graphs import Graph

Model = Literal["tone_fusion", "bit_depth", "exposure_fusion", "highlights"]
FASTEST = "fastest_backends.json"


class Fastest(NamedTuple):
    """The backend that was measured to be fastest on pictures of so many pixels."""

    backend: str
    pixels: int


@overload
def load_network(
    model: Literal["tone_fusion"], weights: Path | None = ..., backend: Backend = ...
) -> tone_fusion.Fuser: ...
@overload
def load_network(
    model: Literal["bit_depth"], weights: Path | None = ..., backend: Backend = ...
) -> bit_depth.Expander: ...
@overload
def load_network(
    model: Literal["exposure_fusion"], weights: Path | None = ..., backend: Backend = ...
) -> exposure_fusion.StackMerger: ...
@overload
def load_network(
    model: Literal["highlights"], weights: Path | None = ..., backend: Backend = ...
) -> highlights.Recoverer: ...
def load_network(model: Model, weights: Path | None = None, backend: Backend = "auto") -> Network[Any]:
    """Load a model, once for each content of its weights and each backend.

    Parameters
    ----------
    model
        ``tone_fusion`` of `hdrgen fuse`, ``bit_depth`` of `hdrgen expand`, ``exposure_fusion`` of `hdrgen merge`, or
        ``highlights`` of `hdrgen recover`.
    weights
        Its weights; None are the released ones.
    backend
        What runs it, see `choices.Backend`.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model; or the backend is not installed.
    """
    in_torch, _ = _CLASSES[model]
    runtime = chosen(model, backend)
    if runtime == "torch":
        return in_torch.load(weights)
    path = weights or released_weights(model)
    return _by_graph(model, path, weights_file_digest(path), runtime)


@lru_cache(maxsize=8)
def _by_graph(model: Model, path: Path, digest: str, runtime: Runtime) -> Network[Any]:
    from hdrgen.inference.onnx_graphs import GRAPHS  # noqa: PLC0415 - slow to import, and torch needs none

    in_torch, by_graph = _CLASSES[model]
    net = in_torch.load_net(path)
    return by_graph(net, digest, OnnxGraph(exported(GRAPHS[model](net), digest), runtime))


class ExportedFuser(tone_fusion.Fuser):
    """The fuser by its graph, tile by tile as in torch."""

    def __init__(self, net: ToneFuser, digest: str, graph: OnnxGraph) -> None:
        super().__init__(net, digest, torch.float32)
        self._graph = graph

    def _fuse_tile(
        self,
        reinhard_code8: NDArray[np.uint8],
        log_code8: NDArray[np.uint8],
        linear: NDArray[np.float32],
        tile: Tile,
        threads: int,
    ) -> None:
        light = self._graph(
            {"reinhard_code8": reinhard_code8[tile.input][None], "log_code8": log_code8[tile.input][None]},
            threads=threads,
        )
        linear[tile.kept] = light[0][tile.kept_of_input]


class ExportedExpander(bit_depth.Expander):
    """The expander by its graph."""

    def __init__(self, net: BitDepthUNet, digest: str, graph: OnnxGraph) -> None:
        super().__init__(net, digest, torch.float32)
        self._graph = graph

    def _expand_tile(
        self,
        code8: NDArray[np.uint8],
        smooth: NDArray[np.float32],
        expanded: NDArray[np.float32],
        tile: Tile,
        strength: float,
        threads: int,
    ) -> None:
        code = self._graph(
            {
                "code8": code8[tile.input][None],
                "smooth": smooth[tile.input][None],
                "strength": np.array(strength, np.float32),
            },
            threads=threads,
        )
        expanded[tile.kept] = code[0][tile.kept_of_input]


class ExportedMerger(exposure_fusion.StackMerger):
    """The merger by its graph."""

    TILE = (1024, 4096)  # the graph holds the tables of all of its pixels at once

    def __init__(self, net: LuminanceStackProcessor, digest: str, graph: OnnxGraph) -> None:
        super().__init__(net, digest, torch.float32)
        self._graph = graph

    def _merge_tile(
        self,
        brackets: exposure_fusion.Brackets,
        overview: exposure_fusion.Overview,
        linear: NDArray[np.float32],
        tile: Tile,
        threads: int,
    ) -> None:
        stack = brackets.stack(tile.input).corrected(overview.errors)
        estimates, _ = brackets.in_slots(stack)
        light = self._graph(
            {
                "level": estimates.log2.numpy(),
                "weight": estimates.weight.numpy(),
                "lower": estimates.lower.numpy(),
                "upper": estimates.upper.numpy(),
                "shown": overview.shown.numpy(),
                "reference": np.array([overview.reference]),
            },
            threads=threads,
        )
        linear[tile.kept] = light[0][tile.kept_of_input]


class ExportedRecoverer(highlights.Recoverer):
    """The network of the small picture by its graph."""

    def __init__(self, net: HighlightsNet, digest: str, graph: OnnxGraph) -> None:
        super().__init__(net, digest, torch.float32)
        self._graph = graph

    def _run(self, small: Tensor, counts: Tensor, given: Tensor, threads: int) -> tuple[Tensor, ...]:
        inputs = {"code": small.numpy(), "counts": counts.numpy(), "given": given.numpy()}
        outputs = self._graph.outputs(inputs, threads=threads)
        return tuple(map(torch.from_numpy, outputs))


_CLASSES: Mapping[Model, tuple[type[Network[Any]], Callable[[Any, str, OnnxGraph], Network[Any]]]] = {
    "tone_fusion": (tone_fusion.Fuser, ExportedFuser),
    "bit_depth": (bit_depth.Expander, ExportedExpander),
    "exposure_fusion": (exposure_fusion.StackMerger, ExportedMerger),
    "highlights": (highlights.Recoverer, ExportedRecoverer),
}
"""What runs each model in torch, and by its graph."""


def exported(graph: "Graph", digest: str) -> Path:
    """Return a graph's file in the cache; exported, some ten seconds, where it is not there yet.

    Raises
    ------
    HdrgenError
        It is not there, and what exports it is not installed.
    """
    path = cache_folder() / f"{graph.model}-{digest}-{__version__}.onnx"
    if not path.is_file():
        from hdrgen.inference.onnx_export import write_onnx  # noqa: PLC0415 - an extra

        write_onnx(path, graph, weights=digest)
    return path


def chosen(model: str, backend: Backend) -> Literal["torch"] | Runtime:
    """Return what ``auto`` stands for on this machine."""
    if backend != "auto":
        return backend
    try:
        fastest = str(_remembered()[_machine()][model]["backend"])
    except (RuntimeError, KeyError, TypeError):  # Runtime: there is no home
        return "torch"
    known: dict[str, Literal["torch"] | Runtime] = {"torch": "torch", "onnx": "onnx", "tensorrt": "tensorrt"}
    return known.get(fastest, "torch")


def remember_fastest(fastest: Mapping[str, Fastest]) -> None:
    """Keep which backend was measured to be fastest, model by model, for ``auto``.

    What was found on smaller pictures than before is not kept: large ones are what people wait for.
    """
    known = _remembered()
    here = known.get(_machine())
    models = here if isinstance(here, dict) else {}
    for model, measured in fastest.items():
        if measured.pixels >= _pixels(models.get(model)):
            models[model] = measured._asdict()
    with replacing(cache_folder() / FASTEST) as temporary:
        temporary.write_text(json.dumps({**known, _machine(): models}, indent=2) + "\n", encoding="utf-8")


def _remembered() -> dict[str, Any]:
    """Return what is kept: by machine, by model, ``backend`` and ``pixels``; empty where it cannot be read."""
    try:
        known = json.loads((cache_folder() / FASTEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _pixels(entry: Any) -> int:
    pixels = entry.get("pixels") if isinstance(entry, dict) else None
    return pixels if isinstance(pixels, int) else 0


def _machine() -> str:
    """Return what a measurement holds for: the computer, and the versions of what was compared."""
    versions = [f"hdrgen {__version__}", f"torch {torch.__version__}"]
    for package in ("onnxruntime", "onnxruntime-gpu"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join((platform.node(), platform.machine(), *versions))
