"""Training of the product's fuser: `hdrgen.models.tone_fusion`."""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hdrgen.colour.tone_maps import Log
from hdrgen.models.tone_fusion import ToneFuser, ToneFusion, save_tone_fuser, tone_fusion_loss
from hdrgen.pairs.records import KINDS, CropRecords
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.curves import Curve
from hdrgen.training.guards import clip_gradients, finite


class TrainToneFuser(Section):
    """The network's size and how it learns."""

    seed: int
    steps: int = Field(ge=1)
    batch_crops: int = Field(16, ge=1)
    generated_share: float = Field(0.8, ge=0, le=1)
    """Share of generated-like crops; the rest are clean."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak of a one-cycle schedule: up over the first tenth of the steps, then down by a cosine."""
    weight_decay: float = Field(1e-4, ge=0)
    gradient_norm: float = Field(1.0, gt=0)
    steps_per_validation: int = Field(100, ge=1)
    validation_crops: int = Field(64, ge=1)
    precision: Literal["fp32", "bf16"] = "bf16"
    """Of the convolutions; bf16 is twice as fast where the processor has it, and slower where it has not."""
    device: Literal["cpu", "cuda"] = "cpu"
    network: ToneFusion = ToneFusion()


def train_tone_fuser(
    pairs: Path,
    settings: TrainToneFuser,
    weights: Path,
    curve: Path,
    on_progress: OnProgress | None = None,
    *,
    log_ceiling_linear: float = Log.ceiling_linear,
) -> dict[str, Any]:
    """Train with AdamW on clean and generated-like crops; keep the weights of the best validation.

    Parameters and errors as in `hdrgen.training.tone_mlp.train_tone_mlp`, with steps for epochs;
    ``log_ceiling_linear`` is that of the pairs.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    train, val = CropRecords(pairs, "train"), CropRecords(pairs, "val")
    held_out = np.random.default_rng(settings.seed).integers(len(val), size=settings.validation_crops)
    net = ToneFuser(settings.network, log_ceiling_linear).to(settings.device)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps, pct_start=0.1
    )
    losses = Curve(("step", "train", "val_clean", "val_generated"))
    best: dict[str, Any] = {"val_loss": math.inf}
    recent: list[float] = []
    for step in range(1, settings.steps + 1):
        indices = rng.integers(len(train), size=settings.batch_crops)
        kinds = (rng.random(len(indices)) < settings.generated_share).astype(int)
        reinhard, log, target = _turned(_tensors(train, indices, kinds, settings.device), rng)
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.precision == "bf16"):
            level = net(reinhard, log)
        loss = tone_fusion_loss(level, target)
        crops = [f"{name} crop {row}" for name, row in map(train.locate, map(int, indices))]
        recent.append(finite(loss, step=step, samples=crops))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(net, settings.gradient_norm, step=step, samples=crops)
        optimizer.step()
        schedule.step()
        if on_progress:
            on_progress(step, settings.steps)
        if step % settings.steps_per_validation and step != settings.steps:
            continue
        by_kind = [_validate(net, val, held_out, kind, settings, step) for kind in range(len(KINDS))]
        losses.add(step, float(np.mean(recent)), *by_kind)
        val_loss = float(
            np.average(by_kind, weights=[1 - settings.generated_share, settings.generated_share])
        )
        if val_loss < best["val_loss"]:
            best = {"best_step": step, "train_loss": float(np.mean(recent)), "val_loss": val_loss}
            save_tone_fuser(weights, net)
        recent.clear()
    losses.write(curve)
    return {"parameters": sum(p.numel() for p in net.parameters()), "steps": settings.steps, **best}


Tensors = tuple[Tensor, Tensor, Tensor]


def _tensors(records: CropRecords, indices: NDArray[Any], kinds: NDArray[Any], device: str) -> Tensors:
    """Return Reinhard and log codes (uint8) and scene-linear light (float), ``(N, S, S, 3)`` each."""
    batch = records.batch(indices)
    names = [KINDS[kind] for kind in kinds]
    pictures = [
        np.stack([crop[f"{name}_{curve}_code8"] for crop, name in zip(batch, names, strict=True)])
        for curve in ("reinhard", "log")
    ]
    reinhard, log, linear = (torch.from_numpy(p).to(device) for p in (*pictures, batch["linear_awg4"].copy()))
    return reinhard, log, linear.float()


def _turned(tensors: Tensors, rng: np.random.Generator) -> Tensors:
    """Turn and mirror a batch into one of the eight positions of a square."""
    quarter_turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    first, second, third = (torch.rot90(t.flip(2) if mirrored else t, quarter_turns, (1, 2)) for t in tensors)
    return first, second, third


@torch.no_grad()
def _validate(
    net: ToneFuser,
    val: CropRecords,
    held_out: NDArray[Any],
    kind: int,
    settings: TrainToneFuser,
    step: int,
) -> float:
    losses = []
    for start in range(0, len(held_out), settings.batch_crops):
        indices = held_out[start : start + settings.batch_crops]
        reinhard, log, target = _tensors(val, indices, np.full(len(indices), kind), settings.device)
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.precision == "bf16"):
            level = net(reinhard, log)
        for i, crop in enumerate(indices):
            name, row = val.locate(int(crop))
            loss = tone_fusion_loss(level[i : i + 1], target[i : i + 1])
            losses.append(finite(loss, step=step, samples=[f"{name} crop {row}"]))
    return float(np.mean(losses))
