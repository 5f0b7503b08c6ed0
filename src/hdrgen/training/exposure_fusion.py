"""Training of the luminance stack processor: `hdrgen.models.exposure_fusion`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hdrgen.dataset.pairs.bracket_pairs import ENCODING_NAMES, KINDS
from hdrgen.dataset.pairs.records import CropRecords
from hdrgen.exposure.bracket_tables import bracket_tables
from hdrgen.models.exposure_fusion import (
    ExposureFusion,
    ExposureFusionLoss,
    LuminanceStackProcessor,
    exposure_fusion_loss,
    in_slots,
    save_exposure_fusion,
    slot_of,
)
from hdrgen.models.stack_estimates import StackEstimates
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import Batch, Recipe, autocast, fit, pairs_digest, turned


class TrainExposureFusion(Recipe):
    """The network's size and how it learns."""

    shares: dict[str, float] = Field(default={"clean": 0.2, "generated": 0.4, "motion": 0.4})
    """Share of each kind of stack."""
    missing_share: float = Field(0.2, ge=0, le=1)
    """Share of stacks that lose one bracket, never the reference: the network is used with fewer as well."""
    noise_codes: float = Field(3.0, gt=0)
    """Noise the tables expect, standard deviation in 8-bit codes."""
    loss: ExposureFusionLoss = ExposureFusionLoss()
    """Weights of the loss, beside minus PU21-PSNR in dB."""
    network: ExposureFusion = ExposureFusion()
    """Size of the network."""


def train_exposure_fusion(
    pairs: Path,
    settings: TrainExposureFusion,
    weights: Path,
    curve: Path,
    on_progress: OnProgress | None = None,
    *,
    evs: tuple[float, ...],
) -> dict[str, Any]:
    """Train on clean, generated-like and moving stacks of four.

    Parameters
    ----------
    pairs
        The folder of `make_bracket_pairs`.
    settings
        The recipe.
    weights, curve, on_progress
        As `fit` has them; figures and errors as well.
    evs
        Exposure values of the pairs' brackets, darkest first, 0 among them.
    """
    torch.manual_seed(settings.seed)
    net, task = LuminanceStackProcessor(settings.network), _ExposureFusionTask(pairs, settings, evs)
    return fit(net, task, settings, weights, curve, on_progress, data_digest=pairs_digest(pairs))


class _ExposureFusionTask:
    curves = tuple(f"val_{kind}" for kind in KINDS)

    def __init__(self, pairs: Path, settings: TrainExposureFusion, evs: tuple[float, ...]) -> None:
        self._settings = settings
        self._train, self._val = CropRecords(pairs, "train"), CropRecords(pairs, "val")
        held_out = np.random.default_rng(settings.seed)
        self._held_out = held_out.integers(len(self._val), size=settings.validation_crops)
        self._reference = evs.index(0.0)
        self._slot = slot_of(self._reference, len(evs))
        self._missing = [i for i in range(len(evs)) if i != self._reference]
        tables = [
            [bracket_tables(name, 8, ev, evs=evs, noise_codes=settings.noise_codes) for ev in evs]
            for name in ENCODING_NAMES
        ]
        # (encodings, brackets, codes) in one row, so that one index finds any code of any bracket of any encoding.
        self._tables = [
            torch.from_numpy(
                np.stack([[getattr(table, name) for table in row] for row in tables]).reshape(-1)
            )
            for name in StackEstimates._fields
        ]

    def batch(self, rng: np.random.Generator) -> Batch:
        indices = rng.integers(len(self._train), size=self._settings.batch_crops)
        shares = np.array([self._settings.shares[kind] for kind in KINDS])
        kinds = rng.choice(len(KINDS), size=len(indices), p=shares / shares.sum())
        entries, hidden, linear = self._pictures(self._train, indices, kinds)
        missing = rng.choice(self._missing, size=len(indices))
        lost = rng.random(len(indices)) < self._settings.missing_share
        without = (np.arange(hidden.shape[1]) == missing[:, None]) & lost[:, None]
        hidden = hidden | torch.from_numpy(without).to(hidden.device)[..., None, None, None]
        quarter_turns, mirrored = int(rng.integers(4)), int(rng.integers(2))
        entries, hidden = turned((entries, hidden), quarter_turns, mirrored, axes=(2, 3))
        (linear,) = turned((linear,), quarter_turns, mirrored)
        names = [f"{name} crop {row}" for name, row in map(self._train.locate, map(int, indices))]
        return Batch((*self._stack(entries, hidden), linear), names)

    def loss(self, net: LuminanceStackProcessor, batch: Batch) -> Tensor:
        *stack, linear = batch.tensors
        return self._losses(net, StackEstimates(*stack), linear).mean()

    def validation(self, net: LuminanceStackProcessor) -> Mapping[str, float]:
        losses: dict[str, list[Tensor]] = {name: [] for name in self.curves}
        for kind, name in enumerate(self.curves):
            for start in range(0, len(self._held_out), self._settings.batch_crops):
                indices = self._held_out[start : start + self._settings.batch_crops]
                entries, hidden, linear = self._pictures(self._val, indices, np.full(len(indices), kind))
                losses[name].append(self._losses(net, self._stack(entries, hidden), linear))
        return {name: float(torch.cat(several).mean()) for name, several in losses.items()}

    def score(self, figures: Mapping[str, float]) -> float:
        weights = [self._settings.shares[kind] for kind in KINDS]
        return float(np.average([figures[name] for name in self.curves], weights=weights))

    def save(self, path: Path, net: LuminanceStackProcessor) -> None:
        save_exposure_fusion(path, net)

    def _losses(self, net: LuminanceStackProcessor, stack: StackEstimates, linear: Tensor) -> Tensor:
        reference = torch.full((len(linear),), self._slot, device=linear.device)
        with autocast(self._settings):
            log2 = net.merged(stack, reference)
        return exposure_fusion_loss(log2, linear, self._settings.loss)

    def _pictures(
        self, records: CropRecords, indices: NDArray[Any], kinds: NDArray[Any]
    ) -> tuple[Tensor, ...]:
        """Return where the codes stand in the tables, what is occluded, and the light; ``(N, K, S, S, 3 or 1)``."""
        batch = records.batch(indices)
        code8 = np.stack([crop[f"{KINDS[kind]}_code8"] for crop, kind in zip(batch, kinds, strict=True)])
        brackets = code8.shape[1]
        first = (batch["encoding"].astype(np.int32)[:, None] * brackets + np.arange(brackets)) * 256
        entries = first[:, :, None, None, None] + code8
        moving = np.array([KINDS[kind] == "motion" for kind in kinds])
        hidden = (batch["motion_occluded"] & moving[:, None, None, None])[..., None]
        arrays = (entries.astype(np.int32), hidden, batch["linear_awg4"].astype(np.float32))
        entries_, hidden_, linear = (torch.from_numpy(a).to(self._settings.device) for a in arrays)
        return entries_, hidden_, linear

    def _stack(self, entries: Tensor, hidden: Tensor) -> StackEstimates:
        tables = (
            torch.index_select(table.to(entries.device), 0, entries.reshape(-1)).reshape(entries.shape)
            for table in self._tables
        )
        return in_slots(StackEstimates(*tables).without(hidden), self._reference)[0]
