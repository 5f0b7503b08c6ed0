"""Training of the tiny FLUX.2 Klein (`hdrgen.flux.tiny`) as an ordinary 8-bit sRGB text-to-image model.

First the VAE learns to give pictures back, from a linear codec on (`hdrgen.flux.linear_codec`), then the transformer
learns the velocity from its latents to noise (`hdrgen.training.flow`). The text encoder stays random.
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from diffusers import AutoencoderKLFlux2
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from hdrgen.colour import ocio
from hdrgen.colour.tone_maps import quantise8
from hdrgen.dataset.pairs.scene_crops import CropSettings, SceneCrop, scene_crops, split_frames
from hdrgen.flux.family import Klein
from hdrgen.flux.latents import decode_latents, encode_latents, patchify, set_statistics
from hdrgen.flux.linear_codec import start_as_linear_codec
from hdrgen.flux.renditions import DUAL, brackets
from hdrgen.flux.tiny import TinyNetwork, tiny_klein
from hdrgen.models.weights import save_state_dict
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import Batch, Recipe, autocast, fit, turned
from hdrgen.training.flow import FlowRecipe, FlowTask, save_folder
from hdrgen.training.token_cache import (
    CachedSamples,
    Sample,
    cache_prompts,
    cache_samples,
    digest_of,
    weights_digest,
)

_RENDITIONS = [rendition.words for rendition in (*brackets((-4, -2, 0, 2, 4)), *DUAL)]
_START_CROPS = 128
"""Crops that the VAE's start is computed from."""
_AROUND = 9
"""Side in pixels of what a light is compared with."""


class VaeRecipe(Recipe):
    """How the VAE learns; the squared error is of codes from -1 to 1."""

    gradient_weight: float = Field(0.1, ge=0)
    """Weight of the absolute error of differences between neighbours, which keeps edges sharp."""
    light_weight: float = Field(8.0, ge=0)
    """How many times more an error counts for each code that a place is brighter than around it: small lights are few."""
    kl_weight: float = Field(2.5e-5, ge=0)
    """Weight of the divergence of the latents from a normal distribution, which keeps their range in bounds."""


class TinyKlein(Section):
    """The tiny model and how it learns."""

    seed: int
    """Decides the weights at the start."""
    crops: CropSettings
    """The pictures it learns."""
    prompt_tokens: int = Field(40, ge=16)
    """Tokens that a prompt is padded or cut to."""
    network: TinyNetwork = TinyNetwork()
    """Sizes of the networks."""
    vae: VaeRecipe
    """How the VAE learns."""
    flow: FlowRecipe
    """How the transformer learns."""


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
    train, val = (split_crops(frames_dir, index, settings.crops, split) for split in ("train", "val"))
    train8, val8 = display_code8(train), display_code8(val)
    # Fine-tuning asks for renditions in words of its own.
    words = sorted({prompt for crop in train for prompt in crop.prompts}) + _RENDITIONS
    flux = Klein(tiny_klein(settings.network, words, settings.prompt_tokens, settings.seed))
    some = slice(None, None, max(1, len(train8) // _START_CROPS))
    start_as_linear_codec(flux.pipeline.vae, pictures(train8[some]), settings.seed)
    steps = settings.vae.steps + settings.flow.steps
    vae_weights, flow_weights = (out.with_name(f"{out.name}.{part}.safetensors") for part in ("vae", "flow"))

    vae_figures = fit(
        flux.pipeline.vae,
        _VaeTask(train8, [crop.frame for crop in train], val8, flux.pixels_per_token // 2, settings.vae),
        settings.vae,
        vae_weights,
        curves / "vae.tsv",
        _from_step(0, steps, on_progress),
        data_digest=hashlib.sha256(train8.tobytes() + val8.tobytes()).hexdigest(),
    )
    vae = flux.pipeline.vae.cpu().eval().requires_grad_(False)
    vae.load_state_dict(load_file(vae_weights))
    set_statistics(vae, torch.cat([patchify(vae.encode(x).latent_dist.mode()) for x in _batches(train8)]))
    for split, code8 in (("train", train8), ("val", val8)):
        vae_figures[f"{split}_code_psnr"] = code_psnr(vae, code8)

    tokens = out.with_name(f"{out.name}.tokens")
    learned, held_out = (
        _cached(tokens / f"{split}.npy", flux, crops, code8)
        for split, crops, code8 in (("train", train, train8), ("val", val, val8))
    )
    digest = weights_digest(flux.pipeline.text_encoder)
    prompts = cache_prompts(tokens, learned.all_prompts | held_out.all_prompts, flux.embedded, digest)
    flow_figures = fit(
        flux.pipeline.transformer,
        FlowTask(flux, learned, held_out, prompts, settings.flow, save_state_dict),
        settings.flow,
        flow_weights,
        curves / "flow.tsv",
        _from_step(settings.vae.steps, steps, on_progress),
        data_digest=digest_of(digest, learned.digest, held_out.digest),
    )
    flux.pipeline.transformer.cpu().eval().load_state_dict(load_file(flow_weights))
    save_folder(flux.pipeline, out)
    for weights in (vae_weights, flow_weights):
        weights.unlink()
    shutil.rmtree(tokens)
    return {"vae": vae_figures, "flow": flow_figures}


def split_crops(frames_dir: Path, index: pl.DataFrame, settings: CropSettings, split: str) -> list[SceneCrop]:
    """Return the crops of one split that the tiny model is trained or evaluated with."""
    return list(scene_crops(frames_dir, split_frames(index, split), settings))


def display_code8(crops: Sequence[SceneCrop]) -> NDArray[np.uint8]:
    """Return crops as a text-to-image model is usually taught: 8-bit sRGB codes ``(N, size, size, 3)``."""
    # One above the other they are one picture for OpenColorIO.
    srgb = ocio.display(np.concatenate([crop.linear_awg4 for crop in crops]), "linear_awg4")
    return quantise8(srgb).reshape(len(crops), *crops[0].linear_awg4.shape)


def code_psnr(vae: AutoencoderKLFlux2, code8: NDArray[np.uint8]) -> float:
    """Return how well a VAE gives 8-bit pictures back: PSNR in dB of the mean squared error over all codes."""
    errors = [
        (decode_latents(vae, encode_latents(vae, picture)).clamp(-1, 1) - picture).square().sum().item()
        for picture in _batches(code8, 16)
    ]
    return float(10 * np.log10(4 * code8.size / np.sum(errors)))


class _VaeTask:
    curves = ("val_error",)

    def __init__(
        self,
        train8: NDArray[np.uint8],
        frames: list[str],
        val8: NDArray[np.uint8],
        pixels_per_latent: int,
        recipe: VaeRecipe,
    ) -> None:
        self._code8, self._frames, self._recipe = train8, frames, recipe
        self._pixels_per_latent = pixels_per_latent
        places = np.random.default_rng(recipe.seed).permutation(len(val8))[: recipe.validation_crops]
        self._held_out = torch.split(pictures(val8[np.sort(places)]), recipe.batch_crops)

    def batch(self, rng: np.random.Generator) -> Batch:
        places = rng.integers(len(self._code8), size=self._recipe.batch_crops)
        picture = pictures(self._code8[places])
        (picture,) = turned([self._varied(picture, rng)], 0, int(rng.integers(2)), axes=(2, 3))
        count, _, *size = picture.shape
        shape = (count, 32, *(side // self._pixels_per_latent for side in size))
        noise = torch.from_numpy(rng.standard_normal(shape, np.float32))
        return Batch(self._on_device(picture, noise), [self._frames[place] for place in places])

    def loss(self, net: AutoencoderKLFlux2, batch: Batch) -> Tensor:
        picture, noise = batch.tensors
        with autocast(self._recipe):
            posterior = net.encode(picture).latent_dist
            decoded = net.decode(posterior.mean + posterior.std * noise).sample
        divergence = posterior.kl().mean() / noise[0].numel()
        return self._error(decoded.float(), picture) + self._recipe.kl_weight * divergence

    def validation(self, net: AutoencoderKLFlux2) -> Mapping[str, float]:
        errors = []
        for held_out in self._held_out:
            (picture,) = self._on_device(held_out)
            with autocast(self._recipe):
                decoded = net.decode(net.encode(picture).latent_dist.mode()).sample
            errors.append(self._error(decoded.float(), picture).item())
        return {"val_error": float(np.mean(errors))}

    def score(self, figures: Mapping[str, float]) -> float:
        return figures["val_error"]

    def save(self, path: Path, net: AutoencoderKLFlux2) -> None:
        save_state_dict(path, net)

    def _varied(self, picture: Tensor, rng: np.random.Generator) -> Tensor:
        """Return pictures of which half are flatter, tinted, darker or brighter.

        Published VAEs were trained on pictures of every contrast. One that knows finished pictures only gives LogC4's greys
        back with a cast, which nobody can train away behind it.
        """
        contrast = np.where(rng.random(len(picture)) < 0.5, 1, rng.uniform(0.2, 1, len(picture)))
        contrast = contrast[:, None, None, None]
        offset = rng.uniform(-1, 1, (len(picture), 3, 1, 1)) * (1 - contrast)
        return picture * torch.from_numpy(contrast).float() + torch.from_numpy(offset).float()

    def _error(self, decoded: Tensor, picture: Tensor) -> Tensor:
        error = decoded - picture
        gradients = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        around = functional.avg_pool2d(picture, _AROUND, 1, _AROUND // 2, count_include_pad=False)
        weight = 1 + self._recipe.light_weight * (picture - around).clamp_min(0)
        return (weight * error.square()).mean() + self._recipe.gradient_weight * gradients

    def _on_device(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(t.to(self._recipe.device, memory_format=torch.channels_last) for t in tensors)


def pictures(code8: NDArray[np.uint8]) -> Tensor:
    """Return 8-bit codes ``(N, H, W, 3)`` as what a VAE is given: ``(N, 3, H, W)``, -1 to 1."""
    return torch.from_numpy(code8).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def _batches(code8: NDArray[np.uint8], size: int = 64) -> Sequence[Tensor]:
    return torch.split(pictures(code8), size)


def _cached(path: Path, flux: Klein, crops: Sequence[SceneCrop], code8: NDArray[np.uint8]) -> CachedSamples:
    """Encode crops as they are shown, in the order they have."""
    digest = digest_of(
        weights_digest(flux.pipeline.vae),
        hashlib.sha256(code8.tobytes()).hexdigest(),
        [(crop.frame, crop.prompts) for crop in crops],
    )
    samples = (
        Sample(code.astype(np.float32) / 127.5 - 1, crop.frame, crop.prompts)
        for code, crop in zip(code8, crops, strict=True)
    )
    return cache_samples(path, samples, len(crops), flux.tokens, digest)


def _from_step(first: int, steps: int, on_progress: OnProgress | None) -> OnProgress | None:
    """Return what reports one training as a part of several."""
    return None if on_progress is None else lambda done, _: on_progress(first + done, steps)
