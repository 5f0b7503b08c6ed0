"""The checkpoint that everything generative starts from: a tiny one trained on the spot, or one that is given.

Later stages ask `hdrgen.flux.checkpoint.read_reference` where it is and load it with ``from_pretrained``.
"""

from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from hdrgen.flux.checkpoint import Checkpoint, find_checkpoint, verify_checkpoint, write_reference
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.tiny_klein import TinyKlein, train_tiny_klein

TINY = "tiny"
REFERENCE = "checkpoint.json"


class PromptSamples(Section):
    """Which pictures are sampled of each kind of scene, to see whether the prompt decides what comes out."""

    seeds: tuple[int, ...] = Field((1, 2, 3), min_length=1)
    """Seeds of the samples of each kind of scene."""
    steps: int = Field(20, ge=1)
    """Steps of the sampler."""
    guidance: float = Field(2.0, ge=1)
    """Scale of classifier-free guidance; 1 is none."""


class BaseModelSettings(Section):
    """Which checkpoint, and how the tiny one is made."""

    checkpoint: str = TINY
    """`tiny`, a diffusers folder, or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    tiny: TinyKlein
    """The tiny model: FLUX.2 Klein's own classes, small, learning 8-bit sRGB pictures of the frames."""
    samples: PromptSamples = PromptSamples()
    """Samples that tell whether the prompt decides what the tiny model paints."""


def make_base_model(
    settings: BaseModelSettings,
    frames_dir: Path,
    index: pl.DataFrame,
    out_dir: Path,
    curves: Path,
    on_progress: OnProgress | None = None,
) -> tuple[Checkpoint, dict[str, Any]]:
    """Train the tiny model, or find and verify the one that is named.

    Parameters
    ----------
    settings
        See `BaseModelSettings`.
    frames_dir, index
        Frames in scene-linear AWG4 and `split`'s index of them, which the tiny model learns from.
    out_dir
        Gets ``checkpoint.json``, which says where the checkpoint is; and of the tiny model the checkpoint itself
        (``tiny/``).
    curves
        Folder of the tiny model's learning curves, ``vae.tsv`` and ``flow.tsv``.
    on_progress
        Called with (steps done, steps in all).

    Returns
    -------
    Checkpoint, dict
        The verified checkpoint, and its figures for a metrics file.

    Raises
    ------
    HdrgenError
        As `find_checkpoint` or `train_tiny_klein`.
    """
    if settings.checkpoint != TINY:
        checkpoint = find_checkpoint(settings.checkpoint, settings.revision)
        write_reference(out_dir / REFERENCE, checkpoint)
        return checkpoint, checkpoint.figures()
    folder = out_dir / TINY
    trained = train_tiny_klein(frames_dir, index, settings.tiny, folder, curves, on_progress)
    checkpoint = verify_checkpoint(folder)
    write_reference(out_dir / REFERENCE, checkpoint)
    return checkpoint, checkpoint.figures() | trained
