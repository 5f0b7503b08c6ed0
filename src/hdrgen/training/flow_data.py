"""What fine-tuning learns from: crops of the frames and their words, encoded one part of the checkpoint after the other.

First the VAE is loaded and encodes all crops, then the text encoder and embeds all prompts; both are freed before
the transformer comes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from hdrgen.dataset.pairs.prompts import PROMPTS
from hdrgen.dataset.pairs.scene_crops import CropSettings, SceneCrop, scene_crops, split_frames
from hdrgen.flux.checkpoint import Checkpoint
from hdrgen.flux.family import Flux, load_flux
from hdrgen.runtime.errors import HdrgenError
from hdrgen.training.token_cache import (
    CachedSamples,
    PromptTable,
    Sample,
    cache_prompts,
    cache_samples,
    digest_of,
    weights_digest,
)

AsSamples = Callable[[SceneCrop], Iterable[Sample]]


@dataclass(frozen=True)
class FlowData:
    """Samples of both splits, embeddings of all their prompts, and what stands for all of it."""

    train: CachedSamples
    val: CachedSamples
    prompts: PromptTable
    digest: str


@dataclass(frozen=True)
class FlowSource:
    """Where samples come from: frames, `split`'s index of them, crops, and what is made of a crop."""

    frames_dir: Path
    index: pl.DataFrame
    crops: CropSettings
    as_samples: AsSamples
    samples_per_crop: int

    def samples(self, split: str) -> Iterator[Sample]:
        """Return the samples of a split, one frame in memory at a time."""
        for crop in scene_crops(self.frames_dir, split_frames(self.index, split), self.crops):
            yield from self.as_samples(crop)

    def count(self, split: str) -> int:
        """Return how many samples a split has."""
        frames = len(split_frames(self.index, split))
        return frames * self.crops.crops_per_frame * self.samples_per_crop

    def digest(self, split: str) -> str:
        """Return what stands for a split's crops."""
        rows = split_frames(self.index, split).select("frame", "digest", PROMPTS).rows()
        return digest_of(rows, self.crops.model_dump(mode="json"))


def cache_flow_data(
    folder: Path,
    source: FlowSource,
    encode: Callable[[Tensor], Tensor],
    digest: str,
) -> tuple[CachedSamples, CachedSamples]:
    """Encode the samples of both splits, or find them in the folder.

    Parameters
    ----------
    folder
        Of the cache.
    source
        The samples.
    encode
        Pictures ``(B, 3, H, H)`` to tokens ``(B, N, C)``.
    digest
        Stands for the encoder and for what is made of a crop.

    Raises
    ------
    HdrgenError
        There are no frames to train or to validate on.
    """
    train, val = (
        cache_samples(
            folder / f"{split}.npy",
            source.samples(split),
            source.count(split),
            encode,
            digest_of(source.digest(split), digest),
        )
        for split in ("train", "val")
    )
    return train, val


def embed_prompts(folder: Path, checkpoint: Checkpoint, prompts: Iterable[str], device: str) -> PromptTable:
    """Load the text encoders alone, and embed prompts, or find them in the folder."""
    flux = load_parts(checkpoint, "text_encoder", "text_encoder_2", device=device)
    encoders = (getattr(flux.pipeline, name, None) for name in ("text_encoder", "text_encoder_2"))
    digest = digest_of([weights_digest(encoder) for encoder in encoders if encoder is not None])
    return cache_prompts(folder, prompts, flux.embedded, digest)


def load_parts(checkpoint: Checkpoint, *wanted: str, device: str) -> Flux:
    """Load some of a checkpoint's networks onto a device, and no others.

    Raises
    ------
    HdrgenError
        The checkpoint is distilled.
    """
    if checkpoint.distilled:
        raise HdrgenError(f"{checkpoint.source}: is distilled and not for training; take its base checkpoint")
    left_out = dict.fromkeys(c.name for c in checkpoint.components if c.name not in wanted)
    # Text encoders are published in bf16, and what they say is kept in it.
    dtype = torch.bfloat16 if device == "cuda" and "text_encoder" in wanted else torch.float32
    flux = load_flux(checkpoint, dtype=dtype, **left_out)
    flux.pipeline.to(device)
    return flux
