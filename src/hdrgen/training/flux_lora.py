"""A LoRA that makes light: low-rank additions (Hu et al. 2021) move the transformer into the HDR VAE's latents.

Prompts stay as they are. The weights are saved in diffusers' own format, and load into a plain pipeline; what comes
out is decoded by the HDR VAE.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from diffusers import ModelMixin
from diffusers.training_utils import _collate_lora_metadata
from numpy.typing import NDArray
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from pydantic import Field
from torch import Tensor, nn

from hdrgen.colour import ocio
from hdrgen.dataset.pairs.scene_crops import CropSettings, SceneCrop
from hdrgen.flux.checkpoint import Checkpoint, Family
from hdrgen.flux.family import Flux
from hdrgen.flux.hdr_vae import NORMALISATION, load_hdr_vae
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.safetensors_header import sort_metadata
from hdrgen.training.flow import FlowRecipe, FlowTask, SamplePreview, SampleSheets, fine_tune
from hdrgen.training.flow_data import FlowSource, cache_flow_data, embed_prompts, load_parts
from hdrgen.training.token_cache import CachedSamples, Sample, digest_of, weights_digest

WEIGHTS_NAME = "pytorch_lora_weights.safetensors"
# `to_out` is a list in double blocks and a layer in Klein's single ones, so layers are named by a regex.
_DOUBLE = r"transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0|add_[qkv]_proj|to_add_out)"
TARGETS: dict[Family, str] = {
    "klein": rf"{_DOUBLE}|single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)",
    "flux1": rf"{_DOUBLE}|single_transformer_blocks\.\d+\.(attn\.to_[qkv]|proj_mlp|proj_out)",
}
"""Layers that get additions: all of attention, and what single blocks compute beside it."""


class TrainFluxLora(Section):
    """Which crops, what is added to which layers, and how it learns."""

    crops: CropSettings
    """The pictures it learns."""
    rank: int = Field(8, ge=1)
    """Rank of the additions; 32 is usual for FLUX itself."""
    alpha: int = Field(8, ge=1)
    """Additions are scaled by alpha / rank."""
    targets: str | None = None
    """Regular expression of whole layer names; None takes attention, and what single blocks compute beside it."""
    gradient_checkpointing: bool = False
    """Activations are computed again on the way back: less memory, a third more time."""
    flow: FlowRecipe
    """How it learns."""
    samples: SamplePreview
    """Samples that are drawn at every validation."""


def train_flux_lora(
    checkpoint: Checkpoint,
    hdr_vae: Path,
    frames_dir: Path,
    index: pl.DataFrame,
    settings: TrainFluxLora,
    out_dir: Path,
    curve: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Train the LoRA.

    Parameters
    ----------
    checkpoint, frames_dir, index, curve, on_progress
        As of `train_flux_full`.
    hdr_vae
        Folder of `load_hdr_vae`.
    settings
        See `TrainFluxLora`.
    out_dir
        Gets ``pytorch_lora_weights.safetensors``, a model card, and ``samples/``, a sheet for every validation, as an
        sRGB monitor shows it. Beside them lies, while training runs, what it needs to go on.

    Returns
    -------
    dict
        What `fit` returns, and the number of samples.

    Raises
    ------
    HdrgenError
        The checkpoint is distilled; there is no HDR VAE; there are no frames to train or to validate on; or as `fit`.
    """
    cache, device, look = out_dir / "cache", settings.flow.device, settings.samples
    train, val = _encoded(cache, FlowSource(frames_dir, index, settings.crops, _light, 1), hdr_vae, device)
    every_prompt = {*train.all_prompts, *val.all_prompts, *look.prompts}
    prompts = embed_prompts(cache, checkpoint, every_prompt, device)

    flux = load_parts(checkpoint, "transformer", device=device)
    transformer = flux.pipeline.transformer
    base = weights_digest(transformer)
    add_lora(transformer, checkpoint.family, settings)

    def save(path: Path, net: nn.Module) -> None:
        with replacing(path) as temporary:
            flux.pipeline_class().save_lora_weights(
                temporary.parent,
                transformer_lora_layers=get_peft_model_state_dict(net),
                weight_name=temporary.name,
                **_collate_lora_metadata({"transformer": net}),
            )
            sort_metadata(temporary)

    figures = fine_tune(
        transformer,
        FlowTask(flux, train, val, prompts, settings.flow, save),
        SampleSheets(
            out_dir / "samples",
            look.prompts,
            look,
            lambda tokens: _displayed(hdr_vae, tokens, settings.crops.size),
            columns=len(look.prompts),
        ),
        out_dir / WEIGHTS_NAME,
        curve,
        on_progress,
        started_from=(base, settings.rank, settings.alpha, settings.targets),
    )
    with replacing(out_dir / "README.md") as temporary:
        temporary.write_text(_model_card(checkpoint, flux, settings, len(train.names)), encoding="utf-8")
    shutil.rmtree(cache)
    return figures


def add_lora(transformer: ModelMixin, family: Family, settings: TrainFluxLora) -> None:
    """Add the LoRA to a transformer, and let nothing else of it learn. The recipe's seed decides its start."""
    transformer.requires_grad_(False)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        init_lora_weights="gaussian",
        target_modules=settings.targets or TARGETS[family],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.flow.seed)
        transformer.add_adapter(config)
    if settings.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()


def _encoded(
    cache: Path, source: FlowSource, hdr_vae: Path, device: str
) -> tuple[CachedSamples, CachedSamples]:
    """Load the HDR VAE alone, and encode light."""
    hdr = load_hdr_vae(hdr_vae)
    hdr.vae.to(device)
    made_of = digest_of(weights_digest(hdr.vae), (hdr_vae / NORMALISATION).read_text())
    return cache_flow_data(cache, source, lambda linear: hdr.tokens(linear.to(device)), made_of)


def _displayed(hdr_vae: Path, tokens: Tensor, size: int) -> NDArray[np.float32]:
    """Return square pictures of tokens as an sRGB monitor shows them, codes from 0 to 1 ``(B, size, size, 3)``."""
    vae = load_hdr_vae(hdr_vae)
    light = torch.cat([vae.linear_awg4(one[None].cpu(), size, size) for one in tokens])
    rows = light.permute(0, 2, 3, 1).reshape(-1, size, 3).contiguous().numpy()
    return ocio.display(rows, "linear_awg4").reshape(-1, size, size, 3)


def _light(crop: SceneCrop) -> Iterator[Sample]:
    yield Sample(crop.linear_awg4, crop.frame, crop.prompts)


def _model_card(checkpoint: Checkpoint, flux: Flux, settings: TrainFluxLora, samples: int) -> str:
    flow = settings.flow
    average = f", weights averaged with decay {flow.ema_decay:g}" if flow.ema_decay else ""
    return f"""---
base_model: {checkpoint.source}
library_name: diffusers
pipeline_tag: text-to-image
tags: [lora, hdr, text-to-image, diffusers]
---

# LoRA of light

Makes {checkpoint.source} draw scene-linear light (ARRI Wide Gamut 4) in the latents of an HDR VAE. The checkpoint's own
VAE does not decode them: take the one of `train_flux_vae`, or `hdrgen generate`, which does all of this.

- Rank {settings.rank}, alpha {settings.alpha}, layers `{settings.targets or TARGETS[checkpoint.family]}`.
- {samples} crops of {settings.crops.size} pixels, {flow.steps} steps of {flow.batch_crops * flow.accumulated_batches}
  at a peak learning rate of {flow.learning_rate:g}{average}.

```python
from diffusers import {flux.pipeline_class().__name__}

pipeline = {flux.pipeline_class().__name__}.from_pretrained("{checkpoint.source}")
pipeline.load_lora_weights("FOLDER_OF_THIS_FILE")
latents = pipeline(prompt="night street", output_type="latent").images
```
"""
