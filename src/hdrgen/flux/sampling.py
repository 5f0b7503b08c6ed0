"""Pictures out of a FLUX.2 Klein pipeline as it is, through the display path: what the base model makes."""

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from numpy.typing import NDArray

from hdrgen.colour.tone_maps import quantise8

PROMPT_TOKENS = 512
"""Tokens that Klein's prompts are padded to."""


def prompt_tokens(pipeline: Flux2KleinPipeline) -> int:
    """Return the length that a pipeline's prompts are padded to: 512, or less where its tokenizer says so."""
    return min(PROMPT_TOKENS, pipeline.tokenizer.model_max_length)


def sample_code8(
    pipeline: Flux2KleinPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    height: int,
    width: int,
    steps: int,
    guidance: float,
) -> NDArray[np.uint8]:
    """Return one picture for each prompt and seed, 8-bit sRGB codes ``(N, height, width, 3)``.

    Parameters
    ----------
    pipeline
        Any Klein.
    prompts, seeds
        As many of one as of the other; a seed decides its picture's noise, whatever else is in the batch.
    height, width
        Pixels, multiples of 16.
    steps
        Of the Euler sampler.
    guidance
        Scale of classifier-free guidance; 1 is none.
    """
    pipeline.set_progress_bar_config(disable=True)
    shown = pipeline(
        prompt=list(prompts),
        height=height,
        width=width,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        max_sequence_length=prompt_tokens(pipeline),
        output_type="np",
    ).images
    return quantise8(np.asarray(shown, np.float32))
