"""Do prompts matter? What a text-to-image model makes of each kind of scene, told apart by their thumbnails."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from hdrgen.colour.tone_maps import quantise8
from hdrgen.dataset.pairs.scene_crops import SceneCrop
from hdrgen.flux.checkpoint import Checkpoint
from hdrgen.flux.family import Flux, load_flux
from hdrgen.images.code_image import write_png8
from hdrgen.training.base_model import PromptSamples
from hdrgen.training.tiny_klein import TinyKlein, display_code8, split_crops

_THUMBNAIL_SIDE = 8


@dataclass(frozen=True)
class NearestPicture:
    """Tells kinds of scene apart: a picture is of the kind of the picture whose thumbnail of 8x8 colours is nearest."""

    thumbnails: NDArray[np.float32]
    kinds: NDArray[np.str_]

    @classmethod
    def learned(cls, code8: NDArray[np.uint8], kinds: NDArray[np.str_]) -> "NearestPicture":
        """Learn from pictures ``(N, H, W, 3)`` and the kind of each."""
        return cls(_thumbnails(code8), kinds)

    def __call__(self, code8: NDArray[np.uint8]) -> NDArray[np.str_]:
        """Return the kind of each picture ``(N, H, W, 3)``."""
        return self.kinds[cdist(_thumbnails(code8), self.thumbnails).argmin(1)]


def evaluate_tiny_klein(
    checkpoint: Checkpoint,
    frames_dir: Path,
    index: pl.DataFrame,
    tiny: TinyKlein,
    settings: PromptSamples,
    sheet: Path,
) -> dict[str, float]:
    """Ask the tiny model for every kind of scene that it was trained on, see `evaluate_prompts`.

    Parameters
    ----------
    checkpoint
        The trained model.
    frames_dir, index, tiny
        What it was trained on, as `make_base_model` has them.
    settings, sheet
        As `evaluate_prompts`.
    """
    crops = split_crops(frames_dir, index, tiny.crops, "train")
    return evaluate_prompts(load_flux(checkpoint), crops, display_code8(crops), settings, sheet)


def evaluate_prompts(
    flux: Flux,
    crops: Sequence[SceneCrop],
    code8: NDArray[np.uint8],
    settings: PromptSamples,
    sheet: Path,
) -> dict[str, float]:
    """Sample every kind of scene that was trained on, and ask the classifier what came out.

    Parameters
    ----------
    flux
        The model, whose pictures are 8-bit sRGB.
    crops, code8
        The pictures of the kinds, and how they are shown, ``(N, size, size, 3)``; each kind's name is its prompt.
    settings
        Seeds and sampler.
    sheet
        Gets the samples as PNG: a row for each kind, a column for each seed.

    Returns
    -------
    dict
        ``prompt_accuracy``: part of the samples that are recognised as their prompt. ``classifier_accuracy``: the
        same for the real crops of each frame when it has learned from the other frames. ``chance``: one over the
        number of kinds. ``seed_spread_code``: standard deviation over seeds in 8-bit codes. Empty where no frame
        says what it shows.
    """
    kinds, frames = np.array([crop.kind for crop in crops]), np.array([crop.frame for crop in crops])
    named = kinds != ""
    code8, kinds, frames = code8[named], kinds[named], frames[named]
    names = np.unique(kinds)
    if not len(names):
        return {}
    size = code8.shape[1]
    prompts = [str(name) for name in names for _ in settings.seeds]
    samples = sample_code8(
        flux,
        prompts,
        [*settings.seeds] * len(names),
        height=size,
        width=size,
        steps=settings.steps,
        guidance=settings.guidance,
    )
    grid = samples.reshape(len(names), len(settings.seeds), size, size, 3)
    write_png8(sheet, np.concatenate([np.concatenate(list(row), axis=1) for row in grid]))
    recognised = NearestPicture.learned(code8, kinds)(samples)
    return {
        "prompt_accuracy": float(np.mean(recognised == np.array(prompts))),
        "classifier_accuracy": _held_out_accuracy(code8, kinds, frames),
        "chance": 1 / len(names),
        "seed_spread_code": float(grid.astype(np.float32).std(1).mean()),
    }


@torch.no_grad()
def sample_code8(
    flux: Flux,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    height: int,
    width: int,
    steps: int,
    guidance: float,
) -> NDArray[np.uint8]:
    """Return one picture for each prompt and seed, 8-bit codes ``(N, height, width, 3)``; see `Flux.sample`."""
    tokens = flux.sample(prompts, seeds, height=height, width=width, steps=steps, guidance=guidance)
    pictures = flux.picture(tokens, height, width).permute(0, 2, 3, 1).float().cpu().numpy()
    return quantise8(np.clip(pictures * 0.5 + 0.5, 0, 1))


def _held_out_accuracy(code8: NDArray[np.uint8], kinds: NDArray[np.str_], frames: NDArray[np.str_]) -> float:
    right = []
    for frame in np.unique(frames):
        own = frames == frame
        right += list(NearestPicture.learned(code8[~own], kinds[~own])(code8[own]) == kinds[own])
    return float(np.mean(right))


def _thumbnails(code8: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = [
        cv2.resize(one, (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA) for one in code8
    ]
    return np.stack(small).reshape(len(code8), -1).astype(np.float32)
