"""Which kind of scene is in a picture? A small network that learns from renders no generator has seen.

It looks at pictures as a monitor shows them, so what was made as light and what was made as 8-bit codes are classified
alike. It learns every picture at several exposures, since a prompt says what is seen and not how bright.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hdrgen.colour import ocio
from hdrgen.colour.tone_maps import quantise8
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import one_cycle

THUMBNAIL = 32
"""Side in pixels of what the network sees, whatever the picture's size."""
_WIDTHS = (24, 48, 72)
_GROUP = 8
_GRID = 4


class ClassifierRecipe(Section):
    """How the classifier learns."""

    seed: int = 10
    """Decides its weights at the start, batches and folds."""
    steps: int = Field(300, ge=1)
    """Steps of the optimizer."""
    batch: int = Field(64, ge=1)
    """Pictures in a step."""
    learning_rate: float = Field(3e-3, gt=0)
    """Peak of a one-cycle schedule."""
    weight_decay: float = Field(0.05, ge=0)
    """Decay of the weights, decoupled from their gradients."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Share of the last layer's inputs that a step leaves out."""
    exposures_stops: tuple[float, ...] = Field((-1.0, 0.0, 1.0), min_length=1)
    """Exposures that each picture is learned at, so that brightness decides nothing."""
    folds: int = Field(4, ge=2)
    """Parts of the frames; each is classified by a network that learned from the others."""


@dataclass(frozen=True)
class NamedPictures:
    """Pictures whose kind is known: scene-linear AWG4 ``(N, H, W, 3)``, the kind of each, and the frame it is from."""

    linear_awg4: NDArray[np.float32]
    kinds: NDArray[np.str_]
    frames: NDArray[np.str_]

    @property
    def names(self) -> list[str]:
        """The kinds, each once, in alphabetical order."""
        return [str(kind) for kind in np.unique(self.kinds)]

    def where(self, chosen: NDArray[np.bool_]) -> "NamedPictures":
        """Return some of them."""
        return NamedPictures(self.linear_awg4[chosen], self.kinds[chosen], self.frames[chosen])


def srgb_display_code8(linear_awg4: NDArray[np.float32], exposure_stops: float = 0.0) -> NDArray[np.uint8]:
    """Return what an sRGB monitor gets, 8-bit codes ``(N, H, W, 3)``, of pictures of that shape; NaN is black."""
    usable = np.nan_to_num(linear_awg4, nan=0.0, posinf=65504.0, neginf=0.0).astype(np.float32, copy=False)
    # One call for all of them, as a tall picture.
    tall = ocio.display(usable.reshape(-1, *usable.shape[2:]), "linear_awg4", exposure_stops=exposure_stops)
    return quantise8(tall).reshape(linear_awg4.shape)


class SceneClassifier:
    """Tells kinds of scene apart by three strided convolutions and a linear layer.

    Parameters
    ----------
    network, names
        Its output has a score for each of the names.
    """

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        self._network = network.eval()
        self.names = tuple(names)

    @classmethod
    def learned(
        cls, pictures: NamedPictures, recipe: ClassifierRecipe, on_progress: OnProgress | None = None
    ) -> "SceneClassifier":
        """Learn from pictures; `on_progress` is called with (steps done, steps in all)."""
        names, kind_indices = np.unique(pictures.kinds, return_inverse=True)
        # Exposure, picture: thumbnails are small enough to make all of them at once.
        inputs = torch.stack(
            [_network_input(srgb_display_code8(pictures.linear_awg4, e)) for e in recipe.exposures_stops]
        )
        wanted = torch.from_numpy(kind_indices)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            network = _network(len(names), recipe.dropout)
            optimizer = torch.optim.AdamW(
                network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
            )
            for step in range(1, recipe.steps + 1):
                exposure = torch.randint(len(inputs), (recipe.batch,))
                picture = torch.randint(len(wanted), (recipe.batch,))
                mirrored = torch.rand(recipe.batch, 1, 1, 1) < 0.5
                batch = inputs[exposure, picture]
                batch = torch.where(mirrored, batch.flip(-1), batch)
                loss = functional.cross_entropy(network(batch), wanted[picture])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                for group in optimizer.param_groups:
                    group["lr"] = recipe.learning_rate * one_cycle(step, recipe.steps)
                optimizer.step()
                if on_progress:
                    on_progress(step, recipe.steps)
        return cls(network, [str(name) for name in names])

    @torch.no_grad()
    def __call__(self, code8: NDArray[np.uint8]) -> NDArray[np.str_]:
        """Return the kind of each picture ``(N, H, W, 3)``, 8-bit codes of an sRGB monitor."""
        return np.array(self.names)[self._network(_network_input(code8)).argmax(1).numpy()]


def held_out_kinds(
    pictures: NamedPictures, recipe: ClassifierRecipe, on_progress: OnProgress | None = None
) -> NDArray[np.str_]:
    """Return what each picture is taken for by a classifier that learned from other frames only.

    Parameters
    ----------
    pictures
        At least two frames of each kind.
    recipe
        Its folds are made of whole frames, every kind dealt out evenly.
    on_progress
        Called with (folds done, folds in all).
    """
    fold_of: dict[str, int] = {}
    for kind in np.unique(pictures.kinds):
        frames = np.unique(pictures.frames[pictures.kinds == kind])
        fold_of |= {str(frame): number % recipe.folds for number, frame in enumerate(frames)}
    folds = np.array([fold_of[str(frame)] for frame in pictures.frames])
    taken_for = np.empty_like(pictures.kinds)
    for fold in range(recipe.folds):
        held_out = folds == fold
        if held_out.any():
            classifier = SceneClassifier.learned(pictures.where(~held_out), recipe)
            taken_for[held_out] = classifier(srgb_display_code8(pictures.linear_awg4[held_out]))
        if on_progress:
            on_progress(fold + 1, recipe.folds)
    return taken_for


def confusion(kinds: NDArray[np.str_], taken_for: NDArray[np.str_]) -> dict[str, dict[str, int]]:
    """Return for each kind how many of its pictures were taken for which."""
    return {
        str(kind): {
            str(name): int(count)
            for name, count in zip(*np.unique(taken_for[kinds == kind], return_counts=True), strict=True)
        }
        for kind in np.unique(kinds)
    }


def _network(names: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((3, *_WIDTHS), _WIDTHS, strict=False):
        # Group normalisation, because a picture's kind must not depend on the pictures beside it.
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(after // _GROUP, after), nn.ReLU()]
    head = nn.Linear(_WIDTHS[-1] * _GRID**2, names)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_GRID), nn.Flatten(), nn.Dropout(dropout), head)


def _network_input(code8: NDArray[np.uint8]) -> Tensor:
    """Return thumbnails ``(N, 3, 32, 32)`` of codes from -0.5 to 0.5."""
    side = (THUMBNAIL, THUMBNAIL)
    small = np.stack(
        [cv2.resize(one.astype(np.float32) / 255, side, interpolation=cv2.INTER_AREA) for one in code8]
    )
    return torch.from_numpy(small).permute(0, 3, 1, 2).contiguous() - 0.5
