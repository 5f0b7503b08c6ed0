"""The loop that trains a network on crops, and goes on where it was when it is interrupted.

Each step draws its batch from a generator of its own, seeded by the recipe and the number of the step, so a run that
was stopped and continued takes the very steps of one that was not.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hdrgen.frames.frame_index import INDEX_NAME
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.curves import Curve
from hdrgen.training.guards import clip_gradients, finite

NetT = TypeVar("NetT", bound=nn.Module)
NetT_contra = TypeVar("NetT_contra", bound=nn.Module, contravariant=True)


class Recipe(Section):
    """How a network learns: AdamW on a one-cycle schedule, the weights of the best validation kept."""

    seed: int
    steps: int = Field(ge=1)
    batch_crops: int = Field(16, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    """Peak of the schedule (`one_cycle`)."""
    weight_decay: float = Field(1e-4, ge=0)
    gradient_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to it."""
    steps_per_validation: int = Field(100, ge=1)
    validation_crops: int = Field(64, ge=1)
    precision: Literal["fp32", "bf16"] = "bf16"
    """Of the convolutions; bf16 is twice as fast where the processor has it, and slower where it has not."""
    device: Literal["cpu", "cuda"] = "cpu"


@dataclass(frozen=True)
class Batch:
    """Tensors of one step, and the names of the samples in it for when something goes wrong."""

    tensors: tuple[Tensor, ...]
    samples: list[str]


class Task(Protocol, Generic[NetT_contra]):
    """What is learned: where batches come from, what is wrong with an answer, and how good the network is."""

    @property
    def curves(self) -> Sequence[str]:
        """Names of the validation figures, each smaller when better."""

    def batch(self, rng: np.random.Generator) -> Batch:
        """Return what one step learns from."""

    def loss(self, net: NetT_contra, batch: Batch) -> Tensor:
        """Return what is wrong with the network's answer, a scalar."""

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
) -> dict[str, Any]:
    """Train a network; what it is at the best validation is in ``weights`` afterwards.

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
        Stands for the samples; a checkpoint of other samples is not continued.

    Returns
    -------
    dict
        Parameters, steps, best step, its training and validation loss.

    Raises
    ------
    TrainingDiverged
        A loss or gradient is not finite; the message names the samples. No step was taken with it.
    """
    net = net.to(recipe.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    losses = Curve(("step", "train", *task.curves))
    checkpoint = _Checkpoint(weights, net, recipe, data_digest)
    first, best = checkpoint.restore(net, optimizer, losses)
    recent: list[float] = []
    for step in range(first + 1, recipe.steps + 1):
        batch = task.batch(np.random.default_rng([recipe.seed, step]))
        loss = task.loss(net, batch)
        recent.append(finite(loss, step=step, samples=batch.samples))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(net, recipe.gradient_norm, step=step, samples=batch.samples)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * one_cycle(step, recipe.steps)
        optimizer.step()
        if on_progress:
            on_progress(step, recipe.steps)
        if step % recipe.steps_per_validation and step != recipe.steps:
            continue
        with torch.no_grad():
            figures = task.validation(net.eval())
        net.train()
        losses.add(step, float(np.mean(recent)), *(figures[name] for name in task.curves))
        score = task.score(figures)
        if not math.isfinite(score):
            raise HdrgenError(f"validation at step {step} is {score}; lower the learning rate")
        if score < best["val_loss"]:
            best = {"best_step": step, "train_loss": float(np.mean(recent)), "val_loss": score}
            task.save(weights, net)
        recent.clear()
        if step != recipe.steps:
            checkpoint.save(step, best, net, optimizer, losses)
    losses.write(curve)
    checkpoint.remove()
    return {"parameters": sum(p.numel() for p in net.parameters()), "steps": recipe.steps, **best}


def pairs_digest(pairs: Path) -> str:
    """Return what stands for the samples in a folder of `make_pairs`: the SHA-256 of its index, hexadecimal.

    Raises
    ------
    HdrgenError
        There is no index.
    """
    index = pairs / INDEX_NAME
    try:
        return hashlib.sha256(index.read_bytes()).hexdigest()
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
        # The recipe does not say what the code makes of it: a network may have changed since.
        shapes = [(name, list(value.shape)) for name, value in net.state_dict().items()]
        made_of = json.dumps([recipe.model_dump(mode="json"), data_digest, shapes], sort_keys=True)
        self._digest = hashlib.sha256(made_of.encode()).hexdigest()

    def save(
        self, step: int, best: dict[str, Any], net: nn.Module, optimizer: torch.optim.Optimizer, losses: Curve
    ) -> None:
        moments = optimizer.state_dict()["state"]
        tensors = {f"net.{name}": value.contiguous() for name, value in net.state_dict().items()} | {
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
        net.load_state_dict({n.removeprefix("net."): t for n, t in tensors.items() if n.startswith("net.")})
        state = optimizer.state_dict()
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, number, moment = name.split(".")
                state["state"].setdefault(int(number), {})[moment] = value
        optimizer.load_state_dict(state)
        for row in about["curve"]:
            losses.add(*row)
        return about["step"], about["best"]

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
