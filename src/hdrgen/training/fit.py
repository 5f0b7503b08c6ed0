"""The loop that trains a network on crops, and goes on where it was when it is interrupted.

Each step draws its batch from a generator of its own, seeded by the recipe and the number of the step, so a run that
was stopped and continued takes the very steps of one that was not.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.documents import file_sha256
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.curves import Curve
from hdrgen.training.guards import clip_gradients, finite
from hdrgen.training.muon import Muon

NetT = TypeVar("NetT", bound=nn.Module)
NetT_contra = TypeVar("NetT_contra", bound=nn.Module, contravariant=True)


class Recipe(Section):
    """How a network learns: on a one-cycle schedule, the weights of the best validation kept."""

    seed: int
    """Decides the weights at the start and the batches."""
    steps: int = Field(ge=1)
    """Steps of the optimizer."""
    batch_crops: int = Field(16, ge=1)
    """Crops in a batch."""
    accumulated_batches: int = Field(1, ge=1)
    """Batches whose gradients make one step; memory is that of one batch."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """Muon learns from nothing in fewer steps; AdamW is the one to adapt published weights with."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak of the schedule (`one_cycle`)."""
    weight_decay: float = Field(1e-4, ge=0)
    """Decay of the weights, decoupled from their gradients."""
    gradient_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to it."""
    ema_decay: float = Field(0.0, ge=0, lt=1)
    """Decay of the moving average of the weights, which is then what is validated and kept; 0 is none."""
    steps_per_validation: int = Field(100, ge=1)
    """Steps from one validation to the next."""
    validation_crops: int = Field(64, ge=1)
    """Held-out crops that a validation looks at."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """Precision of convolutions and matrix products (`autocast`); the weights stay fp32. bf16 is twice as fast where the processor has it, and slower where it has not."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the network is trained."""


@dataclass(frozen=True)
class Batch:
    """Tensors of one step, and the names of the samples in it for when something goes wrong."""

    tensors: tuple[Tensor, ...]
    samples: list[str]


class Task(Protocol, Generic[NetT_contra]):
    """What is learned: where batches come from, the loss, and how good the network is."""

    @property
    def curves(self) -> Sequence[str]:
        """Names of the validation figures, each smaller when better."""

    def batch(self, rng: np.random.Generator) -> Batch:
        """Return what one step learns from."""

    def loss(self, net: NetT_contra, batch: Batch) -> Tensor:
        """Return the loss of a batch, a scalar."""

    def validation(self, net: NetT_contra) -> Mapping[str, float]:
        """Return the figures of `curves` on crops that are never trained on, always the same ones."""

    def score(self, figures: Mapping[str, float]) -> float:
        """Return the one figure by which weights are kept; smaller is better."""

    def save(self, path: Path, net: NetT_contra) -> None:
        """Write the weights as they are released."""


def fit(
    net: NetT,
    task: Task[NetT],
    recipe: Recipe,
    weights: Path,
    curve: Path,
    on_progress: OnProgress | None = None,
    *,
    data_digest: str = "",
    on_validated: Callable[[int, NetT], None] | None = None,
) -> dict[str, Any]:
    """Train a network's weights that require gradients; what it is at the best validation is in ``weights`` afterwards.

    Parameters
    ----------
    net, task, recipe
        What learns, what is learned, and how.
    weights, curve
        Where the safetensors and the learning curve (TSV) go. Beside the weights lies a checkpoint
        (``.checkpoint.safetensors``) while training runs; when it is there and of the same network, recipe
        and data, training goes on from it. A damaged one is ignored.
    on_progress
        Called with (steps done, steps in all).
    data_digest
        Stands for the samples, and for weights that do not learn; a checkpoint of others is not continued.
    on_validated
        Called with (step, network) after every validation, the network as it was validated.

    Returns
    -------
    dict
        Parameters that learn, steps, best step, its training and validation loss.

    Raises
    ------
    TrainingDiverged
        A loss or gradient is not finite; the message names the samples. No step was taken with it.
    """
    accelerator = _accelerator(recipe)
    net = accelerator.prepare_model(net.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    learning = [p for p in net.parameters() if p.requires_grad]
    optimizer = _optimizer(learning, recipe)
    average = WeightAverage(learning, recipe.ema_decay)
    losses = Curve(("step", "train", *task.curves))
    checkpoint = _Checkpoint(weights, net, recipe, data_digest)
    first, best = checkpoint.restore(net, optimizer, average, losses)
    recent: list[float] = []
    for step in range(first + 1, recipe.steps + 1):
        rng = np.random.default_rng([recipe.seed, step])
        optimizer.zero_grad()
        samples: list[str] = []
        for _ in range(recipe.accumulated_batches):
            batch = task.batch(rng)
            loss = task.loss(net, batch)
            recent.append(finite(loss, step=step, samples=batch.samples))
            accelerator.backward(loss)
            samples += batch.samples
        clip_gradients(net, recipe.gradient_norm, step=step, samples=samples)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * one_cycle(step, recipe.steps)
        optimizer.step()
        average.update(step)
        if on_progress:
            on_progress(step, recipe.steps)
        if step % recipe.steps_per_validation and step != recipe.steps:
            continue
        with torch.no_grad(), average.in_place():
            figures = task.validation(net.eval())
            losses.add(step, float(np.mean(recent)), *(figures[name] for name in task.curves))
            score = task.score(figures)
            if not math.isfinite(score):
                raise HdrgenError(f"validation at step {step} is {score}; lower the learning rate")
            if score < best["val_loss"]:
                best = {"best_step": step, "train_loss": float(np.mean(recent)), "val_loss": score}
                task.save(weights, net)
            if on_validated:
                on_validated(step, net)
        net.train()
        recent.clear()
        if step != recipe.steps:
            checkpoint.save(step, best, net, optimizer, average, losses)
    losses.write(curve)
    checkpoint.remove()
    return {"parameters": sum(p.numel() for p in learning), "steps": recipe.steps, **best}


def _optimizer(weights: Sequence[Tensor], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    precision = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    return Muon(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, precision=precision)


def _accelerator(recipe: Recipe) -> Accelerator:
    """Return what places a network on its device and scales its gradients.

    Precision is left to `autocast`: accelerate's own wraps ``forward`` alone, which an autoencoder's ``encode`` and
    ``decode`` pass by, and keeps it for the whole process.
    """
    AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - each training says its own device
    return Accelerator(
        cpu=recipe.device == "cpu",
        mixed_precision="no",
        gradient_accumulation_steps=recipe.accumulated_batches,
    )


class WeightAverage:
    """Exponential moving average of weights.

    Not diffusers' `EMAModel`, which counts steps from one later, and subtracts where this one interpolates: the same
    training would end in other weights.

    Parameters
    ----------
    weights
        The ones that learn.
    decay
        Share of the average that a step keeps. The first steps keep less, ``(1 + step) / (10 + step)``, so that the
        average forgets where training began. At 0 there is no average, and all of this does nothing.
    """

    def __init__(self, weights: Sequence[Tensor], decay: float) -> None:
        self._weights, self._decay = weights, decay
        self.values = [weight.detach().clone() for weight in weights] if decay else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights of a step in, the first of which is 1."""
        kept = min(self._decay, (1 + step) / (10 + step))
        for value, weight in zip(self.values, self._weights, strict=False):
            value.lerp_(weight, 1 - kept)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network have the average instead of its weights, for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for i, weight in enumerate(self._weights if self.values else ()):
            weight.data, self.values[i] = self.values[i], weight.data


def pairs_digest(pairs: Path) -> str:
    """Return what stands for the samples in a folder of `make_pairs`: the SHA-256 of its index, hexadecimal.

    Raises
    ------
    HdrgenError
        There is no index.
    """
    index = pairs / INDEX_NAME
    try:
        return file_sha256(index)
    except OSError as error:
        raise HdrgenError(f"{index}: cannot be read ({error.strerror}); run make_pairs") from None


def one_cycle(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at a step from 1: up over a tenth, then down by a cosine to 0."""
    warm = max(1, steps // 10)
    if step <= warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def autocast(recipe: Recipe) -> torch.autocast:
    """Return the context in which a network's convolutions run."""
    return torch.autocast(recipe.device, torch.bfloat16, enabled=recipe.precision == "bf16")


def turned(
    tensors: Sequence[Tensor], quarter_turns: int, mirrored: int, axes: tuple[int, int] = (1, 2)
) -> list[Tensor]:
    """Return pictures in one of the eight positions of a square; ``axes`` are their rows and columns."""
    return [
        torch.rot90(t.flip(axes[1]) if mirrored else t, quarter_turns, axes).contiguous() for t in tensors
    ]


class _Checkpoint:
    """All that the next step depends on, in one safetensors file."""

    def __init__(self, weights: Path, net: nn.Module, recipe: Recipe, data_digest: str) -> None:
        self._weights = weights
        self._path = weights.with_suffix(".checkpoint.safetensors")
        # Weights that do not learn are where they came from.
        self._frozen = {name for name, weight in net.named_parameters() if not weight.requires_grad}
        # The recipe does not say what the code makes of it: a network may have changed since.
        shapes = [(name, list(value.shape)) for name, value in self._state(net).items()]
        made_of = json.dumps([recipe.model_dump(mode="json"), data_digest, shapes], sort_keys=True)
        self._digest = hashlib.sha256(made_of.encode()).hexdigest()

    def save(
        self,
        step: int,
        best: dict[str, Any],
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage,
        losses: Curve,
    ) -> None:
        moments = optimizer.state_dict()["state"]
        tensors = {f"net.{name}": value.contiguous() for name, value in self._state(net).items()}
        tensors |= {f"average.{i}": value.contiguous() for i, value in enumerate(average.values)}
        tensors |= {
            f"optimizer.{i}.{name}": value.contiguous()
            for i, state in moments.items()
            for name, value in state.items()
        }
        about = {"digest": self._digest, "step": step, "best": best, "curve": losses.rows}
        with replacing(self._path) as temporary:
            save_file(tensors, temporary, metadata={"hdrgen": json.dumps(about)})

    def restore(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage,
        losses: Curve,
    ) -> tuple[int, dict[str, Any]]:
        """Return the last step taken and the best so far; (0, nothing yet) where there is nothing to continue."""
        try:
            with safe_open(self._path, framework="pt") as file:
                about = json.loads((file.metadata() or {}).get("hdrgen", "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError, ValueError):
            about, tensors = {}, {}
        if about.get("digest") != self._digest or not self._weights.is_file():
            return 0, {"val_loss": math.inf}
        learned = {n.removeprefix("net."): t for n, t in tensors.items() if n.startswith("net.")}
        net.load_state_dict(learned, strict=not self._frozen)
        for i, value in enumerate(average.values):
            value.copy_(tensors[f"average.{i}"])
        state = optimizer.state_dict()
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, number, moment = name.split(".")
                state["state"].setdefault(int(number), {})[moment] = value
        optimizer.load_state_dict(state)
        for row in about["curve"]:
            losses.add(*row)
        return about["step"], about["best"]

    def _state(self, net: nn.Module) -> dict[str, Tensor]:
        return {name: value for name, value in net.state_dict().items() if name not in self._frozen}

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
