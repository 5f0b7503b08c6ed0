"""What an HDR VAE learns: to give pictures of light back, in codes of `HdrNormalisation`."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from pydantic import Field
from torch import Tensor, nn

from hdrgen.colour.hdr_normalisation import HdrNormalisation
from hdrgen.dataset.pairs.scene_crops import CropSettings, SceneCrop, scene_crops, split_frames
from hdrgen.training.fit import Batch, Recipe, autocast, turned

VaeT = TypeVar("VaeT", bound=nn.Module)

HIGHLIGHT_LINEAR = 16.0
"""Light from here on is rare in a picture, and what HDR is about."""


class HdrVaeRecipe(Recipe):
    """How an HDR VAE learns; errors are of codes from -1 to 1, equal in stops over all but the deepest shadows."""

    peak_linear: float = Field(1000.0, gt=0)
    """Scene-linear value of code 1."""
    gradient_weight: float = Field(1.0, ge=0)
    """Weight of the error of differences between neighbours, which keeps edges sharp."""
    highlight_weight: float = Field(8.0, ge=0)
    """How many times more an error counts where the light is above 16."""
    kl_weight: float = Field(1e-4, ge=0)
    """Weight of the divergence of the latents from a normal distribution, which keeps their range in bounds."""
    crops: CropSettings
    """The pictures it learns."""


@dataclass(frozen=True)
class CodeCrops:
    """Crops in code, ``(N, 3, S, S)``, and the frames they are of."""

    code: Tensor
    frames: list[str]

    @property
    def digest(self) -> str:
        """Return what stands for them: SHA-256, hexadecimal."""
        return hashlib.sha256(self.code.numpy().tobytes()).hexdigest()


def code_crops(
    frames_dir: Path, index: pl.DataFrame, split: str, crops: CropSettings, normalisation: HdrNormalisation
) -> CodeCrops:
    """Return the crops of one split in code.

    Raises
    ------
    HdrgenError
        As `scene_crops`.
    """
    scenes: list[SceneCrop] = list(scene_crops(frames_dir, split_frames(index, split), crops))
    code = np.stack([normalisation.encode(crop.linear_awg4) for crop in scenes]).transpose(0, 3, 1, 2)
    return CodeCrops(torch.from_numpy(np.ascontiguousarray(code)), [crop.frame for crop in scenes])


class HdrVaeTask:
    """To give codes back through a diffusers VAE.

    Parameters
    ----------
    train, val
        What is learned from, and what decides which weights are kept.
    recipe
        How.
    latent_shape
        Channels, and by how much the VAE divides sizes.
    """

    curves = ("val_error", "val_highlight_error")

    def __init__(
        self, train: CodeCrops, val: CodeCrops, recipe: HdrVaeRecipe, latent_shape: tuple[int, int]
    ) -> None:
        self._train, self._recipe, self._latent_shape = train, recipe, latent_shape
        self._highlight_code = float(HdrNormalisation(recipe.peak_linear).encode(np.array(HIGHLIGHT_LINEAR)))
        places = np.random.default_rng(recipe.seed).permutation(len(val.code))[: recipe.validation_crops]
        self._held_out = torch.split(val.code[np.sort(places)], recipe.batch_crops)

    def posterior(self, net: Any, code: Tensor) -> DiagonalGaussianDistribution:
        """Return mean and variance of the latents of codes."""
        return net.encode(code).latent_dist

    def decode(self, net: Any, latents: Tensor) -> Tensor:
        """Return the codes of latents."""
        code: Tensor = net.decode(latents).sample
        return code

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw crops, in one of eight positions, and the noise of their latents."""
        places = rng.integers(len(self._train.code), size=self._recipe.batch_crops)
        (code,) = turned([self._train.code[places]], int(rng.integers(4)), int(rng.integers(2)), axes=(2, 3))
        channels, divisor = self._latent_shape
        count, _, height, width = code.shape
        noise = rng.standard_normal((count, channels, height // divisor, width // divisor), np.float32)
        tensors = self._on_device(code, torch.from_numpy(noise))
        return Batch(tensors, [self._train.frames[place] for place in places])

    def loss(self, net: Any, batch: Batch) -> Tensor:
        """Return the error of a sample of the latents, and their divergence."""
        code, noise = batch.tensors
        with autocast(self._recipe):
            posterior = self.posterior(net, code)
            decoded = self.decode(net, posterior.mean + posterior.std * noise)
        divergence = posterior.kl().float().mean() / noise[0].numel()
        return self._error(decoded.float(), code) + self._recipe.kl_weight * divergence

    def validation(self, net: Any) -> Mapping[str, float]:
        """Return the error over crops held out, and the mean error of codes of their highlights."""
        errors, highlights = [], []
        for held_out in self._held_out:
            (code,) = self._on_device(held_out)
            with autocast(self._recipe):
                decoded = self.decode(net, self.posterior(net, code).mode()).float()
            errors.append(self._error(decoded, code).item())
            highlights.append((decoded - code).abs()[code > self._highlight_code])
        # A set without highlights has no error of them; a curve holds numbers only.
        highlight_errors = torch.cat(highlights)
        return {
            "val_error": float(np.mean(errors)),
            "val_highlight_error": float(highlight_errors.mean()) if highlight_errors.numel() else 0.0,
        }

    def score(self, figures: Mapping[str, float]) -> float:
        """Return the error over all."""
        return figures["val_error"]

    def _error(self, decoded: Tensor, code: Tensor) -> Tensor:
        error = decoded - code
        weight = 1 + self._recipe.highlight_weight * (code > self._highlight_code)
        gradients = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        return (weight * error.abs()).mean() + self._recipe.gradient_weight * gradients

    def _on_device(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(t.to(self._recipe.device, memory_format=torch.channels_last) for t in tensors)
