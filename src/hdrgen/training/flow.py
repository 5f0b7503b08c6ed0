"""Rectified flow: a transformer learns the velocity from pictures to noise (Liu et al. 2022).

Times are logit-normal, as in Stable Diffusion 3 (Esser et al. 2024). The base model, the LoRA and the full
fine-tuning all learn this task; they differ in the tokens, the prompts, and in which weights move.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, ModelMixin
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from hdrgen.colour.tone_maps import quantise8
from hdrgen.flux.family import Flux
from hdrgen.images.code_image import write_png8
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import Batch, Recipe, autocast, fit
from hdrgen.training.token_cache import CachedSamples, PromptTable, digest_of


class FlowRecipe(Recipe):
    """How the transformer learns."""

    prompt_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of samples that are learned without their prompt, for guidance."""


class SamplePreview(Section):
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
        Says how its family's transformer is called; its parts are not used.
    train, val
        What is learned from, and what is only validated on.
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
        self.train, self.val, self.recipe, self.save = train, val, recipe, save
        self._flux, self._prompts = flux, prompts
        rng = np.random.default_rng(recipe.seed)
        self._fixed = [self._drawn(samples, recipe.validation_crops, rng) for samples in (train, val)]

    def batch(self, rng: np.random.Generator) -> Batch:
        """Return tokens, noise, times and embedded prompts of samples drawn at random."""
        return self._drawn(self.train, self.recipe.batch_crops, rng)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the mean squared error of the velocity."""
        x0, noise, time, *embeddings = (tensor.to(self.recipe.device) for tensor in batch.tensors)
        mixed = torch.lerp(x0, noise, time[:, None, None])
        with autocast(self.recipe), self._attention(net):
            conditioning = dict(zip(self._prompts.names, embeddings, strict=True))
            velocity = self._flux.velocity(net, mixed, time, conditioning, self.train.grid)
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
        shape = self.train.tokens.shape[1:]
        conditioning = {name: value.to(self.recipe.device) for name, value in self._prompts(prompts).items()}
        noise = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in seeds]
        tokens = torch.from_numpy(np.stack(noise)).to(self.recipe.device)
        for time in np.linspace(1, 0, steps, endpoint=False):
            times = tokens.new_full((len(tokens),), float(time))
            with autocast(self.recipe):
                velocity = self._flux.velocity(net, tokens, times, conditioning, self.train.grid)
            tokens = tokens - velocity.float() / steps
        return tokens

    def _attention(self, net: nn.Module) -> AbstractContextManager[None]:
        """Return the kernel of attention: on a processor, the fused one's way back takes a third of a step.

        Gradient checkpointing runs attention again on the way back, where the choice no longer holds.
        """
        runs_once = not getattr(net, "is_gradient_checkpointing", False)
        return sdpa_kernel(SDPBackend.MATH) if self.recipe.device == "cpu" and runs_once else nullcontext()

    def _mean_loss(self, net: nn.Module, fixed: Batch) -> float:
        size = self.recipe.batch_crops
        pieces = zip(*(torch.split(tensor, size) for tensor in fixed.tensors), strict=True)
        losses = [(self.loss(net, Batch(piece, [])).item(), len(piece[0])) for piece in pieces]
        return sum(loss * count for loss, count in losses) / sum(count for _, count in losses)

    def _drawn(self, samples: CachedSamples, count: int, rng: np.random.Generator) -> Batch:
        places = rng.integers(len(samples.names), size=count).tolist()
        x0 = torch.from_numpy(samples.tokens[places]).float()
        noise = torch.from_numpy(rng.standard_normal(x0.shape, np.float32))
        time = torch.from_numpy(rng.standard_normal(count, np.float32)).sigmoid()
        dropped = rng.random(count) < self.recipe.prompt_dropout
        fitting = [samples.prompts[place] for place in places]
        choices = [several[int(rng.integers(len(several)))] for several in fitting]
        chosen = [
            samples.unprompted[place] if drop else choice
            for place, drop, choice in zip(places, dropped, choices, strict=True)
        ]
        conditioning = self._prompts(chosen)
        tensors = (x0, noise, time, *(conditioning[name] for name in self._prompts.names))
        return Batch(tensors, [samples.names[place] for place in places])


@dataclass(frozen=True)
class SampleSheets:
    """What is drawn at every validation: one PNG of samples, a prompt and a seed each.

    ``decode`` makes codes as a display shows them, 0 to 1 ``(B, H, W, 3)``, of tokens ``(B, N, C)``. A sheet has
    ``columns``, row by row, and is called ``step_000100.png`` in ``folder``.
    """

    folder: Path
    prompts: Sequence[str]
    settings: SamplePreview
    decode: Callable[[Tensor], NDArray[np.float32]]
    columns: int

    def draw(self, task: FlowTask, step: int, net: nn.Module) -> None:
        """Write the sheet of a step."""
        seeds = [self.settings.seed] * len(self.prompts)
        codes = self.decode(task.samples(net, self.prompts, seeds, self.settings.steps))
        rows = [codes[i : i + self.columns] for i in range(0, len(codes), self.columns)]
        sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
        write_png8(self.folder / f"step_{step:06}.png", quantise8(sheet))


def fine_tune(
    net: nn.Module,
    task: FlowTask,
    sheets: SampleSheets,
    weights: Path,
    curve: Path,
    on_progress: OnProgress | None,
    *,
    started_from: Sequence[object],
) -> dict[str, Any]:
    """Train a transformer that is loaded, and draw samples at every validation.

    Parameters
    ----------
    net, task, weights, curve, on_progress
        As `fit` has them; errors as well.
    sheets
        What is drawn.
    started_from
        Stands for the weights at the start, in values that JSON can hold.

    Returns
    -------
    dict
        What `fit` returns, and the number of samples.
    """
    digest = digest_of(task.train.digest, task.val.digest, *started_from)
    draw = partial(sheets.draw, task)
    figures = fit(net, task, task.recipe, weights, curve, on_progress, data_digest=digest, on_validated=draw)
    return figures | {"samples": len(task.train.names), "validation_samples": len(task.val.names)}


def save_folder(model: ModelMixin | DiffusionPipeline, out: Path) -> None:
    """Write the folder of a model or a pipeline; a half-written one never stands there under its name."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
