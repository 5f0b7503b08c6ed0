"""Training of the tiny FLUX.2 Klein (`hdrgen.flux.tiny`) as an ordinary 8-bit sRGB text-to-image model.

First the VAE learns to give pictures back, then the transformer learns the velocity from its latents to noise:
rectified flow (Liu et al. 2022), with the logit-normal times of Stable Diffusion 3 (Esser et al. 2024). The text
encoder stays random, so its answers are computed once.
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from diffusers import AutoencoderKLFlux2, DiffusionPipeline, Flux2KleinPipeline, Flux2Transformer2DModel
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from hdrgen.flux.latents import (
    PIXELS_PER_TOKEN,
    decode_latents,
    encode_latents,
    pack,
    patchify,
    picture_ids,
    prompt_ids,
    set_statistics,
)
from hdrgen.flux.tiny import TinyNetwork, tiny_klein
from hdrgen.pairs.display_crops import DisplayCrops, display_crops
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import Batch, Recipe, autocast, fit, turned


class VaeRecipe(Recipe):
    """How the VAE learns; errors are of codes from -1 to 1."""

    gradient_weight: float = Field(1.0, ge=0)
    """Of the error of differences between neighbours, which keeps edges sharp."""
    kl_weight: float = Field(1e-4, ge=0)
    """Of the divergence of the latents from a normal distribution, which keeps their range in bounds."""


class FlowRecipe(Recipe):
    """How the transformer learns."""

    prompt_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of samples that are learned without their prompt, for guidance."""


class TinyKlein(Section):
    """The tiny model and how it learns."""

    seed: int
    """Decides crops and the weights at the start."""
    size: int = Field(64, ge=32, multiple_of=PIXELS_PER_TOKEN)
    """Side of the pictures in pixels."""
    crops_per_frame: int = Field(16, ge=1)
    smallest_window: float = Field(0.7, gt=0, le=1)
    """Smallest part of a frame's shorter side that a crop shows."""
    prompt_tokens: int = Field(64, ge=16)
    """Tokens that a prompt is padded or cut to."""
    network: TinyNetwork = TinyNetwork()
    vae: VaeRecipe
    flow: FlowRecipe


def train_tiny_klein(
    frames_dir: Path,
    index: pl.DataFrame,
    settings: TinyKlein,
    out: Path,
    curves: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Train the tiny Klein on the train split and save it as a diffusers checkpoint.

    Parameters
    ----------
    frames_dir, index
        Frames in scene-linear AWG4 and `split`'s index of them.
    settings
        The model and the recipe.
    out
        The checkpoint's folder. Beside it lies, while training runs, what it needs to go on.
    curves
        Folder of the two learning curves, ``vae.tsv`` and ``flow.tsv``.
    on_progress
        Called with (steps done, steps in all) over both trainings.

    Returns
    -------
    dict
        ``vae`` and ``flow``: what `fit` returns; ``vae`` also has the PSNR of codes in dB on both splits.

    Raises
    ------
    HdrgenError
        There are no frames to train or to validate on; or as `fit`.
    """
    train, val = (split_crops(frames_dir, index, settings, split) for split in ("train", "val"))
    words = sorted({prompt for prompts in train.prompts for prompt in prompts})
    pipeline = tiny_klein(settings.network, words, settings.prompt_tokens, settings.seed)
    steps = settings.vae.steps + settings.flow.steps
    digest = _digest(train, val)
    vae_weights, flow_weights = (out.with_name(f"{out.name}.{part}.safetensors") for part in ("vae", "flow"))

    vae_figures = fit(
        pipeline.vae,
        _VaeTask(train, val, settings.vae),
        settings.vae,
        vae_weights,
        curves / "vae.tsv",
        _from_step(0, steps, on_progress),
        data_digest=digest,
    )
    vae = pipeline.vae.cpu().eval().requires_grad_(False)
    vae.load_state_dict(load_file(vae_weights))
    set_statistics(vae, torch.cat([patchify(vae.encode(x).latent_dist.mode()) for x in _batches(train)]))
    for split, crops in (("train", train), ("val", val)):
        vae_figures[f"{split}_code_psnr"] = code_psnr(vae, crops)

    flow_figures = fit(
        pipeline.transformer,
        _FlowTask(pipeline, train, val, settings),
        settings.flow,
        flow_weights,
        curves / "flow.tsv",
        _from_step(settings.vae.steps, steps, on_progress),
        data_digest=digest,
    )
    pipeline.transformer.cpu().eval().load_state_dict(load_file(flow_weights))
    save_pipeline(pipeline, out)
    for weights in (vae_weights, flow_weights):
        weights.unlink()
    return {"vae": vae_figures, "flow": flow_figures}


def split_crops(frames_dir: Path, index: pl.DataFrame, settings: TinyKlein, split: str) -> DisplayCrops:
    """Return the pictures of one split that the tiny model is trained or judged with."""
    usable = index.filter(pl.col("quarantine_reason").is_null(), pl.col("split") == split)
    return display_crops(
        frames_dir,
        usable,
        size=settings.size,
        crops_per_frame=settings.crops_per_frame,
        smallest_window=settings.smallest_window,
        seed=settings.seed,
    )


def save_pipeline(pipeline: DiffusionPipeline, out: Path) -> None:
    """Write a checkpoint folder; a half-written one never stands there under its name."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    pipeline.save_pretrained(partial)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def code_psnr(vae: AutoencoderKLFlux2, crops: DisplayCrops) -> float:
    """Return how well a VAE gives 8-bit pictures back: PSNR in dB of the mean squared error over all codes."""
    errors = [
        (decode_latents(vae, encode_latents(vae, picture)).clamp(-1, 1) - picture).square().mean().item()
        for picture in _batches(crops, 1)
    ]
    return float(10 * np.log10(4 / np.mean(errors)))


class _VaeTask:
    curves = ("val_error",)

    def __init__(self, train: DisplayCrops, val: DisplayCrops, recipe: VaeRecipe) -> None:
        self._train, self._val, self._recipe = train, val, recipe
        places = np.random.default_rng(recipe.seed).permutation(len(val.code8))[: recipe.validation_crops]
        self._held_out = torch.split(pictures(val.code8[np.sort(places)]), recipe.batch_crops)

    def batch(self, rng: np.random.Generator) -> Batch:
        places = rng.integers(len(self._train.code8), size=self._recipe.batch_crops)
        picture = pictures(self._train.code8[places])
        (picture,) = turned([picture], 0, int(rng.integers(2)), axes=(2, 3))
        count, _, height, width = picture.shape
        noise = torch.from_numpy(rng.standard_normal((count, 32, height // 8, width // 8), np.float32))
        return Batch(self._on_device(picture, noise), [self._train.frames[place] for place in places])

    def loss(self, net: AutoencoderKLFlux2, batch: Batch) -> Tensor:
        picture, noise = batch.tensors
        with autocast(self._recipe):
            posterior = net.encode(picture).latent_dist
            answer = net.decode(posterior.mean + posterior.std * noise).sample
        divergence = posterior.kl().mean() / noise[0].numel()
        return self._error(answer.float(), picture) + self._recipe.kl_weight * divergence

    def validation(self, net: AutoencoderKLFlux2) -> Mapping[str, float]:
        errors = []
        for held_out in self._held_out:
            (picture,) = self._on_device(held_out)
            with autocast(self._recipe):
                answer = net.decode(net.encode(picture).latent_dist.mode()).sample
            errors.append(self._error(answer.float(), picture).item())
        return {"val_error": float(np.mean(errors))}

    def score(self, figures: Mapping[str, float]) -> float:
        return figures["val_error"]

    def save(self, path: Path, net: AutoencoderKLFlux2) -> None:
        _save(path, net)

    def _error(self, answer: Tensor, picture: Tensor) -> Tensor:
        wrong = answer - picture
        gradients = wrong.diff(dim=2).abs().mean() + wrong.diff(dim=3).abs().mean()
        return wrong.abs().mean() + self._recipe.gradient_weight * gradients

    def _on_device(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(t.to(self._recipe.device, memory_format=torch.channels_last) for t in tensors)


class _FlowTask:
    """Weights are kept by the error on the pictures that are learned: scenes held out are of kinds it cannot know."""

    curves = ("train_fixed_noise", "val_fixed_noise")

    def __init__(
        self, pipeline: Flux2KleinPipeline, train: DisplayCrops, val: DisplayCrops, settings: TinyKlein
    ) -> None:
        self._recipe, self._train = settings.flow, train
        self._latents = _latents(pipeline.vae, train)
        self._prompts = _PromptTable(pipeline, [*train.prompts, *val.prompts], settings.prompt_tokens)
        side = settings.size // PIXELS_PER_TOKEN
        self._picture_ids = picture_ids(side, side).to(self._recipe.device)
        self._prompt_ids = prompt_ids(settings.prompt_tokens).to(self._recipe.device)
        rng = np.random.default_rng(self._recipe.seed)
        self._fixed = (
            self._samples(self._latents, train, self._recipe.validation_crops, rng)[0],
            self._samples(_latents(pipeline.vae, val), val, self._recipe.validation_crops, rng)[0],
        )

    def batch(self, rng: np.random.Generator) -> Batch:
        tensors, places = self._samples(self._latents, self._train, self._recipe.batch_crops, rng)
        return Batch(tensors, [self._train.frames[place] for place in places])

    def loss(self, net: Flux2Transformer2DModel, batch: Batch) -> Tensor:
        x0, noise, time, prompt = batch.tensors
        mixed = torch.lerp(x0, noise, time[:, None, None])
        with autocast(self._recipe):
            velocity = net(
                hidden_states=mixed,
                timestep=time,
                encoder_hidden_states=prompt,
                img_ids=self._picture_ids,
                txt_ids=self._prompt_ids,
                guidance=None,
            ).sample
        return functional.mse_loss(velocity.float(), noise - x0)

    def validation(self, net: Flux2Transformer2DModel) -> Mapping[str, float]:
        losses = [self.loss(net, Batch(fixed, [])).item() for fixed in self._fixed]
        return dict(zip(self.curves, losses, strict=True))

    def score(self, figures: Mapping[str, float]) -> float:
        return figures["train_fixed_noise"]

    def save(self, path: Path, net: Flux2Transformer2DModel) -> None:
        _save(path, net)

    def _samples(
        self, latents: Tensor, crops: DisplayCrops, count: int, rng: np.random.Generator
    ) -> tuple[tuple[Tensor, ...], NDArray[np.int64]]:
        """Draw clean latents, noise, times and embedded prompts, and which crops they are."""
        places = rng.integers(len(latents), size=count)
        x0 = latents[places]
        noise = torch.from_numpy(rng.standard_normal(x0.shape, np.float32))
        time = torch.from_numpy(rng.standard_normal(count, np.float32)).sigmoid()
        dropped = rng.random(count) < self._recipe.prompt_dropout
        choices = [crops.prompts[place][rng.integers(len(crops.prompts[place]))] for place in places]
        prompt = self._prompts(
            ["" if drop else choice for drop, choice in zip(dropped, choices, strict=True)]
        )
        return tuple(t.to(self._recipe.device) for t in (x0, noise, time, prompt)), places


class _PromptTable:
    """Every prompt's embedding, computed once: the text encoder is not trained."""

    def __init__(self, pipeline: Flux2KleinPipeline, prompts: Sequence[tuple[str, ...]], length: int) -> None:
        known = sorted({"", *(prompt for several in prompts for prompt in several)})
        with torch.no_grad():
            self._embeddings, _ = pipeline.encode_prompt(prompt=known, max_sequence_length=length)
        self._places = {prompt: place for place, prompt in enumerate(known)}

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        return self._embeddings[[self._places[prompt] for prompt in prompts]]


def pictures(code8: NDArray[np.uint8]) -> Tensor:
    """Return 8-bit codes ``(N, H, W, 3)`` as what a VAE is given: ``(N, 3, H, W)``, -1 to 1."""
    return torch.from_numpy(code8).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def _batches(crops: DisplayCrops, size: int = 64) -> Sequence[Tensor]:
    return torch.split(pictures(crops.code8), size)


def _latents(vae: AutoencoderKLFlux2, crops: DisplayCrops) -> Tensor:
    return torch.cat([pack(encode_latents(vae, picture)) for picture in _batches(crops)])


def _digest(*several: DisplayCrops) -> str:
    digest = hashlib.sha256()
    for crops in several:
        digest.update(crops.code8.tobytes())
        digest.update(repr(crops.prompts).encode())
    return digest.hexdigest()


def _save(path: Path, net: torch.nn.Module) -> None:
    with replacing(path) as temporary:
        save_file({name: value.contiguous() for name, value in net.state_dict().items()}, temporary)


def _from_step(first: int, steps: int, on_progress: OnProgress | None) -> OnProgress | None:
    """Return what reports one training as a part of several."""
    return None if on_progress is None else lambda done, _: on_progress(first + done, steps)
