"""Full fine-tuning: all weights of the transformer learn to show a scene in the renditions that a prompt names.

LogC4 at several exposures, so that one prompt and one seed give consistent brackets, and the two tone maps of the
dual route. Each sample of a batch is a crop in one rendition, with the rendition's words before its prompt. The VAE
stays as it is: renditions are pictures of codes from 0 to 1, as it knows them.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor

from hdrgen.dataset.pairs.scene_crops import CropSettings, SceneCrop
from hdrgen.exposure.ev_list import DEFAULT_EVS
from hdrgen.flux.checkpoint import Checkpoint
from hdrgen.flux.renditions import DUAL, Rendition, brackets
from hdrgen.models.weights import save_state_dict
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.flow import (
    FlowRecipe,
    FlowTask,
    SamplePreview,
    SampleSheets,
    fine_tune,
    save_folder,
)
from hdrgen.training.flow_data import FlowSource, cache_flow_data, embed_prompts, load_parts
from hdrgen.training.token_cache import CachedSamples, Sample, digest_of, weights_digest


class TrainFluxFull(Section):
    """Which renditions of which crops, and how all weights learn them."""

    crops: CropSettings
    """The pictures it learns."""
    evs: tuple[float, ...] = Field(DEFAULT_EVS, min_length=1)
    """Exposures of the LogC4 renditions."""
    dual: bool = True
    """Whether the two tone maps of the dual route are learned as well."""
    gradient_checkpointing: bool = False
    """Activations are computed again on the way back: less memory, a third more time."""
    flow: FlowRecipe
    """How it learns."""
    samples: SamplePreview
    """Samples that are drawn at every validation: a row for each prompt, a column for each rendition."""

    @property
    def renditions(self) -> tuple[Rendition, ...]:
        """What the model learns to show."""
        return brackets(self.evs) + (DUAL if self.dual else ())


def train_flux_full(
    checkpoint: Checkpoint,
    frames_dir: Path,
    index: pl.DataFrame,
    settings: TrainFluxFull,
    out_dir: Path,
    curve: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Fine-tune all weights of a checkpoint's transformer.

    Parameters
    ----------
    checkpoint
        The base model, not distilled.
    frames_dir, index
        Frames in scene-linear AWG4 and `split`'s index of them.
    settings
        See `TrainFluxFull`.
    out_dir
        Gets ``transformer/`` in diffusers' layout, ``about.json``, which says what was learned, and ``samples/``,
        a sheet for every validation: a row for each prompt, a column for each rendition. Beside them lies, while
        training runs, what it needs to go on.
    curve
        Where the learning curve (TSV) goes.
    on_progress
        Called with (steps done, steps in all).

    Returns
    -------
    dict
        What `fit` returns, and the number of samples.

    Raises
    ------
    HdrgenError
        The checkpoint is distilled; there are no frames to train or to validate on; or as `fit`.
    """
    cache, weights, device = out_dir / "cache", out_dir / "transformer.safetensors", settings.flow.device
    renditions, look = settings.renditions, settings.samples

    source = FlowSource(frames_dir, index, settings.crops, _AllRenditions(renditions), len(renditions))
    train, val = _encoded(cache, source, checkpoint, renditions, device)
    sheets = SampleSheets(
        out_dir / "samples",
        [rendition.prompt(prompt) for prompt in look.prompts for rendition in renditions],
        look,
        lambda tokens: _decoded(checkpoint, tokens, settings.crops.size, device),
        columns=len(renditions),
    )
    every_prompt = {*train.all_prompts, *val.all_prompts, *sheets.prompts}
    prompts = embed_prompts(cache, checkpoint, every_prompt, device)

    flux = load_parts(checkpoint, "transformer", device=device)
    transformer = flux.pipeline.transformer
    if settings.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    task = FlowTask(flux, train, val, prompts, settings.flow, save_state_dict)
    base = weights_digest(transformer)
    figures = fine_tune(transformer, task, sheets, weights, curve, on_progress, started_from=(base,))
    transformer.load_state_dict(load_file(weights))
    save_folder(transformer.cpu(), out_dir / "transformer")
    about = {
        "evs": list(settings.evs),
        "dual": settings.dual,
        "size": settings.crops.size,
        "steps": settings.flow.steps,
        "checkpoint": checkpoint.source,
        "revision": checkpoint.revision,
    }
    with replacing(out_dir / "about.json") as temporary:
        temporary.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    weights.unlink()
    shutil.rmtree(cache)
    return figures


def _encoded(
    cache: Path, source: FlowSource, checkpoint: Checkpoint, renditions: Sequence[Rendition], device: str
) -> tuple[CachedSamples, CachedSamples]:
    """Load the VAE alone, and encode what it is given."""
    flux = load_parts(checkpoint, "vae", device=device)
    made_of = digest_of(weights_digest(flux.pipeline.vae), [(r.name, r.words) for r in renditions])
    return cache_flow_data(cache, source, lambda picture: flux.tokens(picture.to(device)), made_of)


def _decoded(checkpoint: Checkpoint, tokens: Tensor, size: int, device: str) -> NDArray[np.float32]:
    """Return square pictures of tokens, codes from 0 to 1 ``(B, size, size, 3)``, by the checkpoint's own VAE."""
    flux = load_parts(checkpoint, "vae", device=device)
    with torch.no_grad():
        pictures = torch.cat([flux.picture(one[None], size, size) for one in tokens])
    return (pictures.permute(0, 2, 3, 1) * 0.5 + 0.5).clamp(0, 1).float().cpu().numpy()


class _AllRenditions:
    """Each crop in every rendition."""

    def __init__(self, renditions: Sequence[Rendition]) -> None:
        self._renditions = renditions

    def __call__(self, crop: SceneCrop) -> Iterator[Sample]:
        for rendition in self._renditions:
            # A prompt that is left out leaves the exposure: guidance is towards the scene, not towards the words.
            yield Sample(
                rendition.encode(crop.linear_awg4) * 2 - 1,
                f"{crop.frame} {rendition.name}",
                tuple(rendition.prompt(prompt) for prompt in crop.prompts),
                rendition.prompt(""),
            )
