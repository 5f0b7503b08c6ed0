"""Training of the published HDR VAE decoder and its encoder: `hdrgen.models.hdr_vae`."""

from pathlib import Path
from typing import Any

import polars as pl
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from pydantic import Field
from torch import Tensor

from hdrgen.models.hdr_vae import (
    GROUPS,
    LATENT_CHANNELS,
    PIXELS_PER_LATENT,
    PublishedHdrVae,
    PublishedHdrVaeNetwork,
    save_published_hdr_vae,
)
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import fit
from hdrgen.training.token_cache import digest_of, weights_digest
from hdrgen.training.vae_task import HdrVaeRecipe, HdrVaeTask, code_crops


class TrainHdrVae(HdrVaeRecipe):
    """The network's size and how it learns."""

    base_channels: int = Field(128, ge=GROUPS, multiple_of=GROUPS)
    """Channels at the picture's full size; the published size is 128."""


def train_hdr_vae(
    frames_dir: Path,
    index: pl.DataFrame,
    settings: TrainHdrVae,
    weights: Path,
    curve: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Train encoder and decoder together on crops of the train split.

    Parameters
    ----------
    frames_dir, index
        Frames in scene-linear AWG4 and `split`'s index of them.
    settings
        The size and the recipe.
    weights, curve, on_progress
        As `fit` has them; figures and errors as well.
    """
    torch.manual_seed(settings.seed)
    network = PublishedHdrVaeNetwork(base_channels=settings.base_channels, peak_linear=settings.peak_linear)
    net = PublishedHdrVae(network)
    train, val = (
        code_crops(frames_dir, index, split, settings.crops, net.normalisation) for split in ("train", "val")
    )
    task = _PublishedTask(train, val, settings, (LATENT_CHANNELS, PIXELS_PER_LATENT))
    digest = digest_of(train.digest, val.digest, weights_digest(net))
    return fit(net, task, settings, weights, curve, on_progress, data_digest=digest)


class _PublishedTask(HdrVaeTask):
    def posterior(self, net: PublishedHdrVae, code: Tensor) -> DiagonalGaussianDistribution:
        return net.posterior(code)

    def decode(self, net: PublishedHdrVae, latents: Tensor) -> Tensor:
        return net.code(latents)

    def save(self, path: Path, net: PublishedHdrVae) -> None:
        save_published_hdr_vae(path, net)
