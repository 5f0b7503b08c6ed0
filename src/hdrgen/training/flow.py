"""Rectified flow: a transformer learns the velocity from pictures to noise (Liu et al. 2022).

Times are logit-normal, as in Stable Diffusion 3 (Esser et al. 2024). The base model, the LoRA and the full
fine-tuning all learn this task; they differ in the tokens, the prompts, and in which weights move.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline, ModelMixin
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from hdrgen.colour.tone_maps import quantise8
from hdrgen.flux.family import Flux
from hdrgen.images.code_image import write_png8
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.params import Section
from hdrgen.training.fit import Batch, Recipe, autocast
from hdrgen.training.token_cache import CachedSamples, PromptTable


class FlowRecipe(Recipe):
    """How the transformer learns."""

    prompt_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of samples that are learned without their prompt, for guidance."""


class LookedAt(Section):
    """Samples that are drawn at every validation."""

    prompts: tuple[str, ...] = Field(min_length=1)
    """Prompts to draw."""
    seed: int
    """Decides the noise, the same for all."""
    steps: int = Field(12, ge=1)
    """Steps of the sampler."""


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
        with autocast(self._recipe), self._attention(net):
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

    @torch.no_grad()
    def samples(self, net: nn.Module, prompts: Sequence[str], seeds: Sequence[int], steps: int) -> Tensor:
        """Return tokens ``(B, N, C)`` by equal steps of Euler's method: a look at what is learned, as it goes.

        Parameters
        ----------
        net
            The transformer.
        prompts, seeds
            As many of one as of the other; a seed decides the noise.
        steps
            From noise to picture.
        """
        shape = self._train.tokens.shape[1:]
        told = {name: value.to(self._recipe.device) for name, value in self._prompts(prompts).items()}
        noise = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in seeds]
        tokens = torch.from_numpy(np.stack(noise)).to(self._recipe.device)
        for time in np.linspace(1, 0, steps, endpoint=False):
            times = tokens.new_full((len(tokens),), float(time))
            with autocast(self._recipe):
                velocity = self._flux.velocity(net, tokens, times, told, self._train.grid)
            tokens = tokens - velocity.float() / steps
        return tokens

    def _attention(self, net: nn.Module) -> AbstractContextManager[None]:
        """Return the kernel of attention: on a processor, the fused one's way back takes a third of a step.

        Gradient checkpointing asks again on the way back, where the choice no longer holds.
        """
        asked_once = not getattr(net, "is_gradient_checkpointing", False)
        return sdpa_kernel(SDPBackend.MATH) if self._recipe.device == "cpu" and asked_once else nullcontext()

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


def save_weights(path: Path, net: nn.Module) -> None:
    """Write all weights of a network as safetensors."""
    with replacing(path) as temporary:
        save_file({name: value.contiguous() for name, value in net.state_dict().items()}, temporary)


def save_folder(model: ModelMixin | DiffusionPipeline, out: Path) -> None:
    """Write the folder of a model or a pipeline; a half-written one never stands there under its name."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def write_sheet(path: Path, codes: NDArray[np.float32], columns: int) -> None:
    """Write pictures ``(N, H, W, 3)``, codes from 0 to 1, as one PNG, row by row."""
    rows = [codes[i : i + columns] for i in range(0, len(codes), columns)]
    write_png8(path, quantise8(np.concatenate([np.concatenate(list(row), axis=1) for row in rows])))
