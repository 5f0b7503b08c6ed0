"""Models off the disk and onto a device: from a folder of what was trained to a generator."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import diffusers
import torch
from diffusers.utils import logging as diffusers_bars
from peft import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.utils import logging as transformers_bars

from hdrgen.flux.checkpoint import available_memory, check_memory
from hdrgen.flux.family import Flux, load_flux
from hdrgen.flux.hdr_vae import load_hdr_vae
from hdrgen.flux.weight_names import check_weights
from hdrgen.inference.backends import load_network
from hdrgen.routes.generator import (
    BracketsGenerator,
    DualGenerator,
    Generator,
    LatentGenerator,
)
from hdrgen.routes.trained_models import Trained, find_trained
from hdrgen.runtime.choices import Backend, Device, Route
from hdrgen.runtime.errors import HdrgenError

_OF_A_LAYER = re.compile(r"\.(lora_\w+|alpha|dora_scale|lokr_\w+)(\.\w+)*$")
_MOST_CHARACTERS = 300
_ADAPTER = "default"


def load_generator(
    models: Path,
    route: Route,
    *,
    device: Device = "auto",
    backend: Backend = "auto",
    strength: float = 1.0,
    align: bool = True,
    shared_noise: bool = True,
) -> Generator:
    """Load what a route needs.

    Transformer and text encoder are fp32 on a CPU and bf16 on a GPU; the VAE is fp32 on both. Where a GPU cannot hold
    all parts, each is there only while it works.

    Parameters
    ----------
    models
        Folder that is laid out by the names of the pipeline's stages, see `find_trained`.
    route
        ``brackets``, ``dual`` or ``latent``.
    device
        ``auto`` is the GPU where there is one.
    backend
        What runs the networks of the routes brackets and dual, see `inference.backends`.
    strength, align, shared_noise
        Of the route brackets, see `BracketsGenerator`.

    Raises
    ------
    HdrgenError
        As `find_trained`; or there is no GPU, or not enough memory; or the backend is not installed.
    """
    trained = find_trained(models, route)
    where = _device(device)
    note = check_memory(
        trained.checkpoint, available_memory(where), "the GPU's memory" if where == "cuda" else "memory"
    )
    with _without_bars():
        flux = _load_flux(trained, torch.bfloat16 if where == "cuda" else torch.float32)
    if note and where == "cuda":
        flux.pipeline.enable_model_cpu_offload()
    else:
        flux.pipeline.to(where)
    facts = {
        **trained.made_with(),
        "device": where,
        "diffusers_version": diffusers.__version__,
        "torch_version": str(torch.__version__),
    }
    if trained.hdr_vae:
        decoder = load_hdr_vae(trained.hdr_vae)
        decoder.vae.to(where)
        return LatentGenerator(flux, decoder, facts)
    if route == "dual":
        return DualGenerator(flux, load_network("tone_fusion", backend=backend), facts)
    return BracketsGenerator(
        flux,
        load_network("bit_depth", backend=backend),
        load_network("exposure_fusion", backend=backend),
        trained.evs,
        facts,
        strength=strength,
        align=align,
        shared_noise=shared_noise,
    )


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep both libraries' bars off stderr: where a person wants one, it is ours."""
    enabled = [
        library for library in (diffusers_bars, transformers_bars) if library.is_progress_bar_enabled()
    ]
    for library in enabled:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in enabled:
            library.enable_progress_bar()


def _device(device: Device) -> str:
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise HdrgenError("no GPU is at hand for --device cuda; take cpu or auto")
    return "cuda" if there and device != "cpu" else "cpu"


def _load_flux(trained: Trained, dtype: torch.dtype) -> Flux:
    load = partial(load_flux, trained.checkpoint, dtype=dtype)
    if trained.transformer:
        transformer = diffusers.AutoModel.from_pretrained(
            str(trained.transformer), local_files_only=True, dtype=dtype
        )
        check_weights(transformer, trained.transformer, "run `dvc repro train_flux_full`")
        return load(transformer=transformer.eval())
    flux = load()
    assert trained.lora is not None
    _load_lora(flux, trained.lora, trained.checkpoint.source)
    return flux


def _load_lora(flux: Flux, path: Path, source: str) -> None:
    """Add a LoRA whose names diffusers has or converts; what it does not know it would leave out in silence."""
    try:
        lost = _left_out(flux, load_file(path))
        if not lost:
            flux.pipeline.load_lora_weights(
                path.parent, weight_name=path.name, local_files_only=True, adapter_name=_ADAPTER
            )
            named = flux.pipeline_class().lora_state_dict(
                path.parent, weight_name=path.name, local_files_only=True
            )
            loaded = get_peft_model_state_dict(flux.pipeline.transformer, adapter_name=_ADAPTER)
            lost = sorted({f"transformer.{name}" for name in loaded} ^ named.keys())
    except (RuntimeError, ValueError, KeyError, OSError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise HdrgenError(
            f"{path}: does not fit the checkpoint {source} ({reason[:_MOST_CHARACTERS]}); "
            "run `dvc repro train_flux_lora`"
        ) from None
    if lost:
        raise HdrgenError(
            f"{path}: does not fit the checkpoint {source} ({len(lost)} of its weights have no place there, such as "
            f"{lost[0]}); run `dvc repro train_flux_lora`"
        )


def _left_out(flux: Flux, weights: dict[str, torch.Tensor]) -> list[str]:
    """Return the weights, layer by layer, that have no name in diffusers, nor are given one by it."""
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, weight in weights.items():
        layers.setdefault(_OF_A_LAYER.sub("", name), {})[name] = weight
    lost = [name for name in weights if "dora_scale" in name]
    for layer in layers.values():
        try:
            named = flux.pipeline_class().lora_state_dict(dict(layer))
        except (RuntimeError, ValueError, KeyError):
            named = {}
        if not named or not all(name.startswith("transformer.") for name in named):
            lost += layer
    return sorted(set(lost))
