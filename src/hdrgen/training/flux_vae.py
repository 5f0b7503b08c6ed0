"""Adapting a FLUX checkpoint's VAE to light: `hdrgen.flux.hdr_vae`."""

from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from diffusers import AutoencoderKLFlux2
from safetensors.torch import load_file

from hdrgen.colour.hdr_normalisation import HdrNormalisation
from hdrgen.flux.checkpoint import Checkpoint
from hdrgen.flux.hdr_vae import HdrVae, Vae, load_vae
from hdrgen.flux.latents import patchify, pixels_per_token, set_statistics
from hdrgen.models.weights import save_state_dict
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import fit
from hdrgen.training.token_cache import digest_of, weights_digest
from hdrgen.training.vae_task import CodeCrops, HdrVaeRecipe, HdrVaeTask, code_crops


class TrainFluxVae(HdrVaeRecipe):
    """Which part of the VAE learns, and how."""

    parts: Literal["both", "decoder"] = "both"
    """With `decoder` the encoder stays the base's, and so do latents of a picture of the same codes."""


def train_flux_vae(
    checkpoint: Checkpoint,
    frames_dir: Path,
    index: pl.DataFrame,
    settings: TrainFluxVae,
    out: Path,
    curve: Path,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Train the base checkpoint's VAE on light and save it with the statistics of its new latents.

    Parameters
    ----------
    checkpoint
        The base; its VAE is where training starts.
    frames_dir, index
        Frames in scene-linear AWG4 and `split`'s index of them.
    settings
        The recipe.
    out
        The folder of `HdrVae.save`. In it lies, while training runs, what it needs to go on.
    curve, on_progress
        As `fit` has them; figures and errors as well.
    """
    normalisation = HdrNormalisation(settings.peak_linear)
    vae = load_vae(checkpoint.path / "vae")
    train, val = (
        code_crops(frames_dir, index, split, settings.crops, normalisation) for split in ("train", "val")
    )
    digest = digest_of(train.digest, val.digest, weights_digest(vae))
    vae.encoder.requires_grad_(settings.parts == "both")
    if vae.quant_conv is not None:
        vae.quant_conv.requires_grad_(settings.parts == "both")
    weights = out / "vae.safetensors"
    task = _FluxVaeTask(train, val, settings, (vae.config.latent_channels, pixels_per_token(vae) // 2))
    figures = fit(vae, task, settings, weights, curve, on_progress, data_digest=digest)
    vae = vae.cpu().eval().requires_grad_(False)
    vae.load_state_dict(load_file(weights))
    if isinstance(vae, AutoencoderKLFlux2):
        set_statistics(vae, _patches(vae, train, settings.batch_crops))
    HdrVae(vae, normalisation).save(out)
    weights.unlink()
    return figures


class _FluxVaeTask(HdrVaeTask):
    def save(self, path: Path, net: Vae) -> None:
        save_state_dict(path, net)


@torch.no_grad()
def _patches(vae: AutoencoderKLFlux2, crops: CodeCrops, count: int) -> torch.Tensor:
    batches = torch.split(crops.code, count)
    return torch.cat([patchify(vae.encode(code).latent_dist.mode()) for code in batches])
