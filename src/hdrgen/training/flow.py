"""Rectified flow: a transformer learns the velocity from pictures to noise (Liu et al. 2022).

Times are logit-normal, as in Stable Diffusion 3 (Esser et al. 2024). The base model, the LoRA and the full
fine-tuning all learn this task; they differ in the tokens, the prompts, and in which weights move.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hdrgen.flux.family import Flux
from hdrgen.training.fit import Batch, Recipe, autocast
from hdrgen.training.token_cache import CachedSamples, PromptTable


class FlowRecipe(Recipe):
    """How the transformer learns."""

    prompt_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of samples that are learned without their prompt, for guidance."""


class FlowTask:
    """Velocity from cached tokens to noise, in Klein or FLUX.1.

    Weights are kept by the error on pictures that are learned, with noise that is always the same: scenes held out
    are of kinds the model cannot know, so the error on them says little about what it has learned.

    Parameters
    ----------
    flux
        Says how its family's transformer is asked; its parts are not used.
    train, val
        What is learned from, and what is only looked at.
    prompts
        Embeddings of all their prompts.
    recipe
        How it learns.
    save
        Writes the weights as they are released.
    """

    curves = ("train_fixed_noise", "val_fixed_noise")

    def __init__(
        self,
        flux: Flux,
        train: CachedSamples,
        val: CachedSamples,
        prompts: PromptTable,
        recipe: FlowRecipe,
        save: Callable[[Path, nn.Module], None],
    ) -> None:
        self._flux, self._train, self._prompts, self._recipe = flux, train, prompts, recipe
        self.save = save
        rng = np.random.default_rng(recipe.seed)
        self._fixed = [self._drawn(samples, recipe.validation_crops, rng) for samples in (train, val)]

    def batch(self, rng: np.random.Generator) -> Batch:
        """Return tokens, noise, times and embedded prompts of samples drawn at random."""
        return self._drawn(self._train, self._recipe.batch_crops, rng)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the mean squared error of the velocity."""
        x0, noise, time, *told = (tensor.to(self._recipe.device) for tensor in batch.tensors)
        mixed = torch.lerp(x0, noise, time[:, None, None])
        with autocast(self._recipe):
            velocity = self._flux.velocity(
                net, mixed, time, dict(zip(self._prompts.names, told, strict=True)), self._train.grid
            )
        return functional.mse_loss(velocity.float(), noise - x0)

    def validation(self, net: nn.Module) -> Mapping[str, float]:
        """Return the loss on samples of both splits, each with its own noise and time."""
        return {
            name: self._mean_loss(net, fixed) for name, fixed in zip(self.curves, self._fixed, strict=True)
        }

    def score(self, figures: Mapping[str, float]) -> float:
        """Return the error on what is learned."""
        return figures["train_fixed_noise"]

    def _mean_loss(self, net: nn.Module, fixed: Batch) -> float:
        size = self._recipe.batch_crops
        pieces = zip(*(torch.split(tensor, size) for tensor in fixed.tensors), strict=True)
        losses = [(self.loss(net, Batch(piece, [])).item(), len(piece[0])) for piece in pieces]
        return sum(loss * count for loss, count in losses) / sum(count for _, count in losses)

    def _drawn(self, samples: CachedSamples, count: int, rng: np.random.Generator) -> Batch:
        places = rng.integers(len(samples.names), size=count).tolist()
        x0 = torch.from_numpy(samples.tokens[places]).float()
        noise = torch.from_numpy(rng.standard_normal(x0.shape, np.float32))
        time = torch.from_numpy(rng.standard_normal(count, np.float32)).sigmoid()
        dropped = rng.random(count) < self._recipe.prompt_dropout
        fitting = [samples.prompts[place] for place in places]
        choices = [several[int(rng.integers(len(several)))] for several in fitting]
        asked = [
            samples.unprompted[place] if drop else choice
            for place, drop, choice in zip(places, dropped, choices, strict=True)
        ]
        told = self._prompts(asked)
        tensors = (x0, noise, time, *(told[name] for name in self._prompts.names))
        return Batch(tensors, [samples.names[place] for place in places])
