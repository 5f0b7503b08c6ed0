"""Training of the bit-depth U-Net: `hdrgen.models.bit_depth`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from hdrgen.dataset.pairs.bit_depth_pairs import clean_code8
from hdrgen.dataset.pairs.gradients import gradient_logc4
from hdrgen.dataset.pairs.records import KINDS, CropRecords
from hdrgen.exposure.smoothest_in_intervals import smooth_in_intervals
from hdrgen.models.bit_depth import BitDepth, BitDepthUNet, code_loss, save_bit_depth
from hdrgen.models.int8_unet import measured_ranges
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import Batch, Recipe, autocast, fit, pairs_digest, turned


class TrainBitDepth(Recipe):
    """The network's size and how it learns."""

    gradient_share: float = Field(0.3, ge=0, le=1)
    """Share of steps that learn from synthetic gradients, which are drawn afresh each time."""
    gradient_crops: int = Field(4, ge=1)
    """Gradients in such a step."""
    gradient_size: int = Field(256, ge=64, multiple_of=64)
    """Side of a gradient in pixels; a slow one needs room."""
    validation_gradients: int = Field(16, ge=1)
    """Held-out gradients that a validation looks at."""
    network: BitDepth = BitDepth()
    """Size of the network."""


def train_bit_depth(
    pairs: Path, settings: TrainBitDepth, weights: Path, curve: Path, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Train both outputs of the network, for clean and for generated codes, on the same crops.

    Parameters
    ----------
    pairs
        The folder of `make_bit_depth_pairs`.
    settings
        The recipe.
    weights, curve, on_progress
        As `fit` has them; figures and errors as well.
    """
    torch.manual_seed(settings.seed)
    net, task = BitDepthUNet(settings.network), _BitDepthTask(pairs, settings)
    return fit(net, task, settings, weights, curve, on_progress, data_digest=pairs_digest(pairs))


class _BitDepthTask:
    curves = ("val_clean", "val_generated", "val_gradients")

    def __init__(self, pairs: Path, settings: TrainBitDepth) -> None:
        self._settings = settings
        self._train, self._val = CropRecords(pairs, "train"), CropRecords(pairs, "val")
        held_out = np.random.default_rng(settings.seed)
        self._held_out = held_out.integers(len(self._val), size=settings.validation_crops)
        self._gradients = [self._gradient(held_out) for _ in range(settings.validation_gradients)]

    def batch(self, rng: np.random.Generator) -> Batch:
        if rng.random() < self._settings.gradient_share:
            gradients = [self._gradient(rng) for _ in range(self._settings.gradient_crops)]
            together = tuple(torch.cat(parts) for parts in zip(*gradients, strict=True))
            return Batch(together, ["synthetic gradients"])
        indices = rng.integers(len(self._train), size=self._settings.batch_crops)
        names = [f"{name} crop {row}" for name, row in map(self._train.locate, map(int, indices))]
        tensors = _tensors(self._train, indices, self._settings.device)
        return Batch(tuple(turned(tensors, int(rng.integers(4)), int(rng.integers(2)))), names)

    def loss(self, net: BitDepthUNet, batch: Batch) -> Tensor:
        target, *pictures = batch.tensors
        with autocast(self._settings):
            codes = [net(*pictures[i : i + 2])[i // 2] for i in range(0, len(pictures), 2)]
        return torch.stack([code_loss(code, target) for code in codes]).mean()

    def validation(self, net: BitDepthUNet) -> Mapping[str, float]:
        losses: dict[str, list[Tensor]] = {name: [] for name in self.curves}
        with autocast(self._settings), measured_ranges(net.unet):
            for start in range(0, len(self._held_out), self._settings.batch_crops):
                indices = self._held_out[start : start + self._settings.batch_crops]
                target, *pictures = _tensors(self._val, indices, self._settings.device)
                for i, name in enumerate(self.curves[:2]):
                    losses[name].append(code_loss(net(*pictures[2 * i : 2 * i + 2])[i], target))
            for target, *picture in self._gradients:
                losses["val_gradients"].append(code_loss(net(*picture)[0], target))
        return {name: float(torch.cat(several).mean()) for name, several in losses.items()}

    def score(self, figures: Mapping[str, float]) -> float:
        return float(np.mean(list(figures.values())))

    def save(self, path: Path, net: BitDepthUNet) -> None:
        save_bit_depth(path, net)

    def _gradient(self, rng: np.random.Generator) -> tuple[Tensor, ...]:
        size = self._settings.gradient_size
        code16 = np.rint(gradient_logc4(rng, size, size) * 65535).astype(np.uint16)[None]
        return _target_and_pictures(code16, [clean_code8(code16)], self._settings.device)


def _tensors(records: CropRecords, indices: NDArray[Any], device: str) -> tuple[Tensor, ...]:
    batch = records.batch(indices)
    code8 = [np.ascontiguousarray(batch[f"{kind}_code8"]) for kind in KINDS]
    return _target_and_pictures(batch["logc4_code16"], code8, device)


def _target_and_pictures(
    code16: NDArray[np.uint16], code8: list[NDArray[np.uint8]], device: str
) -> tuple[Tensor, ...]:
    """Return float codes 0 to 255, then for each picture its 8-bit codes and their closed form; all ``(N, S, S, 3)``."""
    target = code16.astype(np.float32) * np.float32(255 / 65535)
    smooth = [np.stack([smooth_in_intervals(one) for one in picture]) for picture in code8]
    pictures = (array for pair in zip(code8, smooth, strict=True) for array in pair)
    return tuple(torch.from_numpy(array).to(device) for array in (target, *pictures))
