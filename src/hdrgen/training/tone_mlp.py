"""Training of the published tone-fusion perceptron, as published: `hdrgen.models.tone_mlp`."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hdrgen.dataset.pairs.records import KINDS, CropRecords
from hdrgen.models.tone_mlp import MODEL, ToneMlp, ToneMlpLoss, tone_mlp_loss
from hdrgen.models.weights import save_model
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.curves import Curve
from hdrgen.training.guards import clip_gradients, finite


class TrainToneMlp(Section):
    """The published recipe; what the article leaves open has a comment that says so."""

    seed: int
    """Decides the weights at the start and the batches."""
    epochs: int = Field(300, ge=1)
    """Epochs at most."""
    patience_epochs: int = Field(30, ge=1)
    """Early stopping: epochs without a better validation loss. The article gives no number."""
    batch_pixels: int = Field(16_384, ge=1)
    """Pixels in a batch."""
    batches_per_epoch: int = Field(4, ge=1)
    """The article's epoch is a pass over its 560 frames; ours is this many batches."""
    crops_per_batch: int = Field(32, ge=1)
    """Crops that a batch's pixels are drawn from."""
    generated_share: float = Field(0.5, ge=0, le=1)
    """Share of generated-like crops. The article trains on clean pairs, which is 0."""
    learning_rate: float = Field(1e-3, gt=0)
    """Learning rate at the start of the cosine."""
    final_learning_rate: float = Field(1e-6, gt=0)
    """Learning rate at its end."""
    gradient_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to it."""
    loss: ToneMlpLoss = ToneMlpLoss()
    """Weights of the loss."""


def train_tone_mlp(
    pairs: Path, settings: TrainToneMlp, weights: Path, curve: Path, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Train in fp32 with Adam, cosine annealing and early stopping; keep the weights of the best epoch.

    Parameters
    ----------
    pairs
        The folder of `make_tone_map_pairs`.
    settings
        The recipe.
    weights, curve
        Where the safetensors and the loss curve (TSV) go.
    on_progress
        Called with (epochs done, epochs in all).

    Returns
    -------
    dict
        Parameters, epochs run, best epoch, its training and validation loss.

    Raises
    ------
    TrainingDiverged
        A loss is not finite; the message names the crops.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    train, val = CropRecords(pairs, "train"), CropRecords(pairs, "val")
    held_out = [_pixels(val, settings, np.random.default_rng([settings.seed, i])) for i in range(4)]
    net = ToneMlp()
    optimizer = torch.optim.Adam(net.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, settings.epochs, eta_min=settings.final_learning_rate
    )
    losses = Curve(("epoch", "train", "val"))
    best: dict[str, Any] = {"val_loss": math.inf}
    for epoch in range(1, settings.epochs + 1):
        total = 0.0
        for batch in range(settings.batches_per_epoch):
            codes, target, crops = _pixels(train, settings, rng)
            loss = tone_mlp_loss(net(codes), target, settings.loss)
            step = (epoch - 1) * settings.batches_per_epoch + batch
            total += finite(loss, step=step, samples=crops)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradients(net, settings.gradient_norm, step=step, samples=crops)
            optimizer.step()
        schedule.step()
        with torch.no_grad():
            val_loss = float(
                np.mean([float(tone_mlp_loss(net(c), t, settings.loss)) for c, t, _ in held_out])
            )
        losses.add(epoch, total / settings.batches_per_epoch, val_loss)
        if val_loss < best["val_loss"]:
            best = {
                "best_epoch": epoch,
                "train_loss": total / settings.batches_per_epoch,
                "val_loss": val_loss,
            }
            save_model(weights, net, model=MODEL, settings={})
        if on_progress:
            on_progress(epoch, settings.epochs)
        if epoch - best["best_epoch"] >= settings.patience_epochs:
            break
    losses.write(curve)
    return {"parameters": sum(p.numel() for p in net.parameters()), "epochs": epoch, **best}


def _pixels(
    records: CropRecords, settings: TrainToneMlp, rng: np.random.Generator
) -> tuple[Tensor, Tensor, list[str]]:
    """Draw one batch: codes ``(N, 6)``, scene-linear targets ``(N, 3)``, and the crops they are from."""
    indices = rng.integers(len(records), size=settings.crops_per_batch)
    crops = records.batch(indices)
    per_crop = settings.batch_pixels // len(indices)
    codes: list[NDArray[Any]] = []
    targets: list[NDArray[Any]] = []
    for crop in crops:
        kind = KINDS[int(rng.random() < settings.generated_share)]
        chosen = rng.integers(crop["linear_awg4"].size // 3, size=per_crop)
        pictures = (crop[f"{kind}_{curve}_code8"].reshape(-1, 3)[chosen] for curve in ("reinhard", "log"))
        codes.append(np.concatenate(list(pictures), axis=1))
        targets.append(crop["linear_awg4"].reshape(-1, 3)[chosen])
    names = [f"{name} crop {row}" for name, row in map(records.locate, map(int, indices))]
    return (
        torch.from_numpy(np.concatenate(codes)).float() / 255,
        torch.from_numpy(np.concatenate(targets)).float(),
        names,
    )
