"""Every trained model as an ONNX file, held against eager fp32 on pictures of many sizes.

An export that differs is no export: it is refused, and nothing is left of it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.dataset.pairs.display_pairs import judged_picture
from hdrgen.dataset.pairs.scene_crops import split_frames
from hdrgen.evaluation.export_decoders import flux_vae_graph, hdr_vae_graph
from hdrgen.exposure.bracket_tables import bracket_tables
from hdrgen.exposure.ev_list import DEFAULT_EVS
from hdrgen.exposure.smoothest_in_intervals import smooth_in_intervals
from hdrgen.flux.hdr_vae import HdrVae, load_hdr_vae
from hdrgen.images.exr import read_exr
from hdrgen.inference.onnx_export import write_onnx
from hdrgen.inference.onnx_graphs import (
    Graph,
    bit_depth_graph,
    exposure_fusion_graph,
    highlights_graph,
    tone_fusion_graph,
)
from hdrgen.inference.onnx_session import OnnxGraph, Runtime, present_runtimes
from hdrgen.models.bit_depth import load_bit_depth
from hdrgen.models.exposure_fusion import load_exposure_fusion, shows_light
from hdrgen.models.hdr_vae import PIXELS_PER_LATENT, PublishedHdrVae, load_published_hdr_vae
from hdrgen.models.highlights import histogram, load_highlights
from hdrgen.models.stack_estimates import estimates_of
from hdrgen.models.tone_fusion import load_tone_fuser
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import Figures
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

Light = NDArray[np.float32]
REFERENCE = DEFAULT_EVS.index(0.0)


ModelName = Literal[
    "tone_fusion", "bit_depth", "exposure_fusion", "highlights", "hdr_vae_decoder", "flux_vae_decoder"
]


SIZES = (
    (1, 1), (2, 3), (7, 5), (16, 16), (17, 15), (31, 33), (64, 32), (63, 65), (64, 64), (127, 65), (97, 96), (160, 90),
    (129, 127), (128, 192), (255, 181), (320, 180),
)  # fmt: skip
"""Smaller than a network's stride, equal to it, beside it, and of frames; every second one is noisy."""


class Export(Section):
    """What is exported, and what it is held against."""

    models: tuple[ModelName, ...] = Field(get_args(ModelName), min_length=1)
    """Models and decoders that are exported."""
    sizes: tuple[tuple[int, int], ...] = Field(SIZES, min_length=1)
    """Width and height of the pictures that exports are held against, in pixels."""
    tolerance: float = Field(1e-4, gt=0)
    """Largest relative error from eager fp32; of one nit, one 8-bit code or 1 of a logarithm where values are smaller."""
    noise_codes: float = Field(3.0, ge=0)
    """Standard deviation of the noise in every second picture, in 8-bit codes; the others are clean."""
    seed: int = 0
    """Decides the noise."""


@dataclass(frozen=True)
class Exportable:
    """A model's graph, the digest of its weights, and what it is given for a scene.

    ``inputs`` makes the graph's inputs of scene-linear AWG4 light ``(H, W, 3)`` and the noise to add, in 8-bit codes.
    """

    graph: Graph
    weights: str
    inputs: Callable[[Light, float, np.random.Generator], tuple[Tensor, ...]]


def trained_models(
    *,
    tone_fusion: Path,
    bit_depth: Path,
    exposure_fusion: Path,
    highlights: Path,
    hdr_vae: Path,
    flux_vae: Path,
) -> list[Exportable]:
    """Load all that is exported: files of weights, and the folder of the FLUX VAE.

    Raises
    ------
    HdrgenError
        One of them cannot be loaded.
    """
    fuser, published, flux = (
        load_tone_fuser(tone_fusion),
        load_published_hdr_vae(hdr_vae),
        load_hdr_vae(flux_vae),
    )
    merger, expander = load_exposure_fusion(exposure_fusion), load_bit_depth(bit_depth)
    curves = Reinhard(), Log(fuser.log_ceiling_linear)

    def pair(linear: Light, noise_codes: float, rng: np.random.Generator) -> tuple[Tensor, ...]:
        return tuple(_code8(curve.encode(linear), noise_codes, rng) for curve in curves)

    return [
        Exportable(tone_fusion_graph(fuser), _digest([tone_fusion]), pair),
        Exportable(bit_depth_graph(expander), _digest([bit_depth]), _codes),
        Exportable(exposure_fusion_graph(merger), _digest([exposure_fusion]), _stack),
        Exportable(highlights_graph(load_highlights(highlights)), _digest([highlights]), _display),
        Exportable(hdr_vae_graph(published), _digest([hdr_vae]), _latents_of(published)),
        Exportable(
            flux_vae_graph(flux), _digest(sorted((flux_vae / "vae").iterdir())), _flux_latents_of(flux)
        ),
    ]


def light_of_test_frames(frames_dir: Path, index: pl.DataFrame) -> list[Light]:
    """Return the light of the test frames, from 0.

    Raises
    ------
    HdrgenError
        There are none, or one cannot be read.
    """
    tests = split_frames(index, "test")
    if tests.is_empty():
        raise HdrgenError(f"{frames_dir}: no test frames to hold exports against; raise split.test_fraction")
    return [np.maximum(read_exr(frames_dir / file).rgb.astype(np.float32), 0) for file in tests["file"]]


def export_models(
    models: Sequence[Exportable],
    scenes: Sequence[Light],
    settings: Export,
    folder: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Write each model that is wanted into the folder as ``<model>.onnx``, and measure how far it is from eager fp32.

    Returns
    -------
    dict
        ``models``: each model's ``weights`` and ``bytes``, and by runtime its largest ``relative_error`` and over how many
        ``sizes``. ``relative_error``: that of each size, by runtime and model.

    Raises
    ------
    HdrgenError
        A graph differs by more than the tolerance; or onnxruntime is not installed.
    """
    written: dict[str, Any] = {}
    errors: dict[Runtime, dict[str, Any]] = {runtime: {} for runtime in present_runtimes()}
    models = [model for model in models if model.graph.model in settings.models]
    for done, model in enumerate(models):
        if on_progress:
            on_progress(done, len(models))
        name = model.graph.model
        path = folder / f"{name}.onnx"
        write_onnx(path, model.graph, weights=model.weights)
        for runtime, of_runtime in errors.items():
            of_runtime[name] = parity(model, OnnxGraph(path, runtime), scenes, settings)
            _check(of_runtime[name], path, settings)
        written[name] = {"weights": model.weights, "bytes": path.stat().st_size} | {
            runtime: {"relative_error": max(of[name].values()), "sizes": len(of[name])}
            for runtime, of in errors.items()
        }
    if on_progress:
        on_progress(len(models), len(models))
    return {"models": written, "relative_error": errors}


def decisive_export(figures: Figures) -> dict[str, Any]:
    """Return each model's largest relative error over all runtimes, in parts per million; see `export_models`."""
    errors = figures["relative_error"].values()
    return {
        model: {"error_ppm": 1e6 * max(max(of_runtime[model].values()) for of_runtime in errors)}
        for model in figures["models"]
    }


def parity(
    model: Exportable, graph: OnnxGraph, scenes: Sequence[Light], settings: Export
) -> dict[str, float]:
    """Return a graph's largest error from eager fp32 for each size, over all outputs, relative to `Graph.floors` or more."""
    rng = np.random.default_rng(settings.seed)
    names = list(model.graph.contract.inputs)
    errors: dict[str, float] = {}
    for number, (width, height) in enumerate(settings.sizes):
        linear = _of_size(scenes[number % len(scenes)], width, height)
        inputs = model.inputs(linear, settings.noise_codes * (number % 2), rng)
        with torch.inference_mode():
            eager = model.graph.module(*inputs)
        outputs = graph.outputs({name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)})
        expected = [eager] if isinstance(eager, Tensor) else eager
        relative = [
            _relative_error(output, tensor.numpy(), floor)
            for output, tensor, floor in zip(outputs, expected, model.graph.floors, strict=True)
        ]
        errors[f"{width}x{height}"] = float(np.max(relative))  # which is NaN where one of them is
    return errors


def _relative_error(output: Light, expected: Light, floor: float) -> float:
    return float((np.abs(output - expected) / np.maximum(np.abs(expected), floor)).max())


def _check(errors: Mapping[str, float], path: Path, settings: Export) -> None:
    largest = max(errors.values())
    # A NaN is larger than any tolerance, too.
    if not largest <= settings.tolerance:
        path.unlink()
        raise HdrgenError(
            f"{path}: differs from eager fp32 by {largest:.2g}, more than export.tolerance "
            f"{settings.tolerance:g}; not exported"
        )


def _of_size(scene: Light, width: int, height: int) -> Light:
    """Return the scene from its corner, repeated where it is too small."""
    rows = np.take(scene, range(height), axis=0, mode="wrap")
    return np.take(rows, range(width), axis=1, mode="wrap")


def _code8(code: NDArray[np.floating], noise_codes: float, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(quantise8(code + rng.normal(0, noise_codes / 255, code.shape)))[None]


def _codes(linear: Light, noise_codes: float, rng: np.random.Generator) -> tuple[Tensor, ...]:
    code8 = _code8(ENCODINGS["logc4_awg4"].encode(linear), noise_codes, rng)
    smooth = torch.from_numpy(smooth_in_intervals(code8[0].numpy()))[None]
    return code8, smooth, torch.tensor(1.0 if noise_codes else 0.0)


def _stack(linear: Light, noise_codes: float, rng: np.random.Generator) -> tuple[Tensor, ...]:
    encode = ENCODINGS["logc4_awg4"].encode
    codes = [_code8(encode(linear * np.float32(2**ev)), noise_codes, rng)[0] for ev in DEFAULT_EVS]
    stack = estimates_of(codes, [bracket_tables("logc4_awg4", 8, ev, evs=DEFAULT_EVS) for ev in DEFAULT_EVS])
    stack = stack.corrected(stack.log2_errors())
    tables = (stack.log2, stack.weight, stack.lower, stack.upper)
    return *(table.contiguous() for table in tables), shows_light(stack.weight), torch.tensor([REFERENCE])


def _display(linear: Light, noise_codes: float, rng: np.random.Generator) -> tuple[Tensor, ...]:
    code8 = _code8(judged_picture(linear, "clip").code8 / 255, noise_codes, rng)
    return code8.float(), histogram(code8), torch.full((1,), -1.0)


def _planes(linear: Light, multiple: int) -> Tensor:
    """``(H, W, 3)`` to ``(1, 3, H', W')``, sides rounded up to whole multiples."""
    height, width = (-(-side // multiple) * multiple for side in linear.shape[:2])
    return torch.from_numpy(_of_size(linear, width, height)).permute(2, 0, 1)[None].contiguous()


def _latents_of(vae: PublishedHdrVae) -> Callable[..., tuple[Tensor, ...]]:
    def latents(linear: Light, _noise: float, _rng: np.random.Generator) -> tuple[Tensor, ...]:
        return (vae.latents(_planes(linear, PIXELS_PER_LATENT)),)

    return latents


def _flux_latents_of(vae: HdrVae) -> Callable[..., tuple[Tensor, ...]]:
    def latents(linear: Light, _noise: float, _rng: np.random.Generator) -> tuple[Tensor, ...]:
        code = vae.normalisation.encode(_planes(linear, vae.pixels_per_token // 2))
        with torch.inference_mode():
            return (vae.vae.encode(code).latent_dist.mode(),)

    return latents


def _digest(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
