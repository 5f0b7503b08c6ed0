"""Training of the product's fuser, `hdrgen.models.tone_fusion`, and the section of the stage that trains it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hdrgen.colour.tone_maps import Log
from hdrgen.dataset.pairs.records import KINDS, CropRecords
from hdrgen.models.int8_unet import measured_ranges
from hdrgen.models.tone_fusion import ToneFuser, ToneFusion, save_tone_fuser, tone_fusion_loss
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import Batch, Recipe, autocast, fit, pairs_digest, turned
from hdrgen.training.tone_mlp import TrainToneMlp


class TrainToneFuser(Recipe):
    """The network's size and how it learns."""

    generated_share: float = Field(0.8, ge=0, le=1)
    """Share of generated-like crops; the rest are clean."""
    network: ToneFusion = ToneFusion()
    """Size of the network."""


class TrainToneFusion(Section):
    """Recipes of the published perceptron and of the product's fuser: two networks for one task."""

    mlp: TrainToneMlp
    """The published perceptron, by the published recipe."""
    fuser: TrainToneFuser
    """The product's own network."""


def train_tone_fuser(
    pairs: Path,
    settings: TrainToneFuser,
    weights: Path,
    curve: Path,
    on_progress: OnProgress | None = None,
    *,
    log_ceiling_linear: float = Log.ceiling_linear,
) -> dict[str, Any]:
    """Train on clean and generated-like crops.

    Parameters
    ----------
    pairs
        The folder of `make_tone_map_pairs`.
    settings
        The recipe.
    weights, curve, on_progress
        As `fit` has them; figures and errors as well.
    log_ceiling_linear
        That of the pairs.
    """
    torch.manual_seed(settings.seed)
    net, task = ToneFuser(settings.network, log_ceiling_linear), _ToneFuserTask(pairs, settings)
    return fit(net, task, settings, weights, curve, on_progress, data_digest=pairs_digest(pairs))


class _ToneFuserTask:
    curves = tuple(f"val_{kind}" for kind in KINDS)

    def __init__(self, pairs: Path, settings: TrainToneFuser) -> None:
        self._settings = settings
        self._train, self._val = CropRecords(pairs, "train"), CropRecords(pairs, "val")
        held_out = np.random.default_rng(settings.seed)
        self._held_out = held_out.integers(len(self._val), size=settings.validation_crops)

    def batch(self, rng: np.random.Generator) -> Batch:
        indices = rng.integers(len(self._train), size=self._settings.batch_crops)
        kinds = (rng.random(len(indices)) < self._settings.generated_share).astype(int)
        names = [f"{name} crop {row}" for name, row in map(self._train.locate, map(int, indices))]
        tensors = self._pictures(self._train, indices, kinds)
        return Batch(tuple(turned(tensors, int(rng.integers(4)), int(rng.integers(2)))), names)

    def loss(self, net: ToneFuser, batch: Batch) -> Tensor:
        return self._losses(net, *batch.tensors).mean()

    def validation(self, net: ToneFuser) -> Mapping[str, float]:
        losses: dict[str, list[Tensor]] = {name: [] for name in self.curves}
        with measured_ranges(net.unet):
            for kind, name in enumerate(self.curves):
                for start in range(0, len(self._held_out), self._settings.batch_crops):
                    indices = self._held_out[start : start + self._settings.batch_crops]
                    pictures = self._pictures(self._val, indices, np.full(len(indices), kind))
                    losses[name].append(self._losses(net, *pictures))
        return {name: float(torch.cat(several).mean()) for name, several in losses.items()}

    def score(self, figures: Mapping[str, float]) -> float:
        generated = self._settings.generated_share
        return float(np.average([figures[name] for name in self.curves], weights=[1 - generated, generated]))

    def save(self, path: Path, net: ToneFuser) -> None:
        save_tone_fuser(path, net)

    def _losses(self, net: ToneFuser, reinhard: Tensor, log: Tensor, linear: Tensor) -> Tensor:
        with autocast(self._settings):
            log2 = net(reinhard, log)
        return tone_fusion_loss(log2, linear)

    def _pictures(self, records: CropRecords, indices: NDArray[Any], kinds: NDArray[Any]) -> list[Tensor]:
        """Return Reinhard and log codes (uint8) and scene-linear light (float), ``(N, S, S, 3)`` each."""
        batch = records.batch(indices)
        names = [KINDS[kind] for kind in kinds]
        codes = (
            np.stack([crop[f"{name}_{curve}_code8"] for crop, name in zip(batch, names, strict=True)])
            for curve in ("reinhard", "log")
        )
        arrays = (*codes, batch["linear_awg4"].astype(np.float32))
        return [torch.from_numpy(array).to(self._settings.device) for array in arrays]
