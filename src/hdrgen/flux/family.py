"""FLUX.2 Klein and FLUX.1-dev behind one interface: pictures to tokens and back, prompts, velocity, sampling.

Tokens are what the transformer denoises: latents of mean 0 and variance 1, 2x2 patches of which are one token, row
by row. Pictures go in and come out as they are, from -1 to 1 and beyond, without the display path of diffusers'
image processor.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from diffusers import DiffusionPipeline, Flux2KleinPipeline, ModelMixin
from torch import Tensor
from torch.nn import functional

from hdrgen.flux.checkpoint import Checkpoint
from hdrgen.flux.latents import (
    decode_latents,
    encode_latents,
    normalise,
    pack,
    patchify,
    picture_ids,
    pixels_per_token,
    prompt_ids,
    unpack,
)
from hdrgen.flux.weight_names import check_weights

PROMPT_TOKENS = 512
"""Tokens that prompts are padded to."""
OnStep = Callable[[int, int], None]
Embedded = dict[str, Tensor]
"""Conditioning of the transformer, by the names of its arguments; one row for each prompt."""


class Flux(ABC):
    """A loaded checkpoint; parts that were left out when it was loaded cannot be used.

    Parameters
    ----------
    pipeline
        Its parts are read, never changed.
    """

    classifier_free: ClassVar[bool]
    """Whether guidance always compares with a negative prompt; else it is an input of the transformer, at no cost."""

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        self.pipeline = pipeline
        pipeline.set_progress_bar_config(disable=True)

    @staticmethod
    @abstractmethod
    def pipeline_class() -> type[DiffusionPipeline]:
        """Return the class of diffusers that loads and saves such a checkpoint."""

    @property
    def pixels_per_token(self) -> int:
        """Side of the square of pixels that one token stands for; pictures are multiples of it."""
        return pixels_per_token(self.pipeline.vae)

    @property
    def prompt_tokens(self) -> int:
        """Length that prompts are padded to: 512, or less where the tokenizer says so."""
        return int(min(PROMPT_TOKENS, self.pipeline.tokenizer.model_max_length))

    @abstractmethod
    def read_part(self, prompt: str) -> str:
        """Return the part of a prompt that the model reads: all of it, unless it has more than `prompt_tokens`."""

    @abstractmethod
    def tokens(self, picture: Tensor) -> Tensor:
        """Return the tokens ``(B, N, C)`` of pictures ``(B, 3, H, W)``, codes from -1 to 1."""

    @abstractmethod
    def picture(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Return pictures ``(B, 3, height, width)`` of tokens; `tokens` mirrored. Nothing is clamped."""

    @abstractmethod
    def embedded(self, prompts: Sequence[str]) -> Embedded:
        """Return the transformer's conditioning on prompts."""

    @abstractmethod
    def velocity(
        self, transformer: ModelMixin, tokens: Tensor, time: Tensor, embedded: Embedded, grid: tuple[int, int]
    ) -> Tensor:
        """Return the velocity ``(B, N, C)`` from picture to noise.

        Parameters
        ----------
        transformer
            This family's.
        tokens, time
            Mixed with noise, and the share of the noise, ``(B,)`` from 0 to 1.
        embedded
            What `embedded` returned for the prompts.
        grid
            Rows and columns of tokens.
        """

    def sample(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        height: int,
        width: int,
        steps: int,
        guidance: float,
        negative_prompts: Sequence[str] | None = None,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Return the tokens ``(B, N, C)`` of one picture for each prompt and seed.

        Parameters
        ----------
        prompts, seeds
            As many of one as of the other. A seed decides its picture's noise, whatever else is in the batch, so
            one seed for several prompts is one noise for all of them.
        height, width
            Pixels, multiples of `pixels_per_token`.
        steps
            Steps of the Euler sampler.
        guidance
            Scale of guidance; 1 is none.
        negative_prompts
            What guidance moves each picture away from, one for each prompt; None is the empty prompt.
        on_step
            Called with (steps done, steps in all); what it raises ends the sampling.
        """

        def after(_: object, step: int, __: object, ___: object) -> dict[str, Any]:
            if on_step:
                on_step(step + 1, steps)
            return {}

        latents = self.pipeline(
            **self._guided(list(prompts), guidance, list(negative_prompts or ())),
            height=height,
            width=width,
            num_inference_steps=steps,
            # Noise is drawn on the CPU, so that a seed means one picture on every machine.
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            max_sequence_length=self.prompt_tokens,
            output_type="latent",
            callback_on_step_end=after,
        ).images
        return self._from_pipeline(latents).float()

    @abstractmethod
    def _guided(self, prompts: list[str], guidance: float, negative_prompts: list[str]) -> dict[str, Any]:
        """Return the pipeline's arguments for prompts and guidance."""

    @abstractmethod
    def _from_pipeline(self, latents: Tensor) -> Tensor:
        """Return the tokens of what the pipeline calls latents."""


class Klein(Flux):
    """FLUX.2 Klein: latents normalised by the VAE's ``bn``, prompts through Qwen3."""

    classifier_free = True

    @staticmethod
    def pipeline_class() -> type[DiffusionPipeline]:  # noqa: D102 - as its base
        return Flux2KleinPipeline

    def read_part(self, prompt: str) -> str:  # noqa: D102
        tokenizer = self.pipeline.tokenizer
        chat = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return _read_part(prompt, text, tokenizer, self.prompt_tokens)

    def tokens(self, picture: Tensor) -> Tensor:  # noqa: D102 - as its base
        return pack(encode_latents(self.pipeline.vae, picture))

    def picture(self, tokens: Tensor, height: int, width: int) -> Tensor:  # noqa: D102
        side = self.pixels_per_token
        return decode_latents(self.pipeline.vae, unpack(tokens, height // side, width // side))

    @torch.no_grad()
    def embedded(self, prompts: Sequence[str]) -> Embedded:  # noqa: D102
        states, _ = self.pipeline.encode_prompt(prompt=list(prompts), max_sequence_length=self.prompt_tokens)
        return {"encoder_hidden_states": states}

    def velocity(  # noqa: D102
        self, transformer: ModelMixin, tokens: Tensor, time: Tensor, embedded: Embedded, grid: tuple[int, int]
    ) -> Tensor:
        length = embedded["encoder_hidden_states"].shape[1]
        velocity: Tensor = transformer(
            hidden_states=tokens,
            timestep=time,
            img_ids=picture_ids(*grid).to(tokens.device),
            txt_ids=prompt_ids(length).to(tokens.device),
            guidance=None,
            **embedded,
        ).sample
        return velocity

    def _guided(self, prompts: list[str], guidance: float, negative_prompts: list[str]) -> dict[str, Any]:
        arguments: dict[str, Any] = {"prompt": prompts, "guidance_scale": guidance}
        if any(negative_prompts) and guidance > 1:
            arguments["negative_prompt_embeds"] = self.embedded(negative_prompts)["encoder_hidden_states"]
        return arguments

    def _from_pipeline(self, latents: Tensor) -> Tensor:
        return pack(normalise(self.pipeline.vae, patchify(latents)))


class Flux1(Flux):
    """FLUX.1-dev: latents shifted and scaled, prompts through T5 and CLIP, guidance distilled into the weights."""

    classifier_free = False
    TRAINING_GUIDANCE = 1.0
    """The transformer's guidance input while it is trained: guidance is left to the sampler."""

    @staticmethod
    def pipeline_class() -> type[DiffusionPipeline]:  # noqa: D102
        # Its import takes long and, without torchvision, says so: for those alone who have such a checkpoint.
        from diffusers import FluxPipeline  # noqa: PLC0415

        return FluxPipeline

    def read_part(self, prompt: str) -> str:  # noqa: D102
        return _read_part(prompt, prompt, self.pipeline.tokenizer_2, self.prompt_tokens)

    def tokens(self, picture: Tensor) -> Tensor:  # noqa: D102
        vae = self.pipeline.vae
        latents = vae.encode(picture).latent_dist.mode()
        return pack(patchify((latents - vae.config.shift_factor) * vae.config.scaling_factor))

    def picture(self, tokens: Tensor, height: int, width: int) -> Tensor:  # noqa: D102
        vae, side = self.pipeline.vae, self.pixels_per_token
        latents = functional.pixel_shuffle(unpack(tokens, height // side, width // side), 2)
        decoded: Tensor = vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample
        return decoded

    @torch.no_grad()
    def embedded(self, prompts: Sequence[str]) -> Embedded:  # noqa: D102
        states, pooled, _ = self.pipeline.encode_prompt(
            prompt=list(prompts), prompt_2=None, max_sequence_length=self.prompt_tokens
        )
        return {"encoder_hidden_states": states, "pooled_projections": pooled}

    def velocity(  # noqa: D102
        self, transformer: ModelMixin, tokens: Tensor, time: Tensor, embedded: Embedded, grid: tuple[int, int]
    ) -> Tensor:
        length = embedded["encoder_hidden_states"].shape[1]
        guided = transformer.config.guidance_embeds
        velocity: Tensor = transformer(
            hidden_states=tokens,
            timestep=time,
            img_ids=picture_ids(*grid)[:, :3].to(tokens),
            txt_ids=torch.zeros(length, 3).to(tokens),
            guidance=torch.full_like(time, self.TRAINING_GUIDANCE) if guided else None,
            **embedded,
        ).sample
        return velocity

    @property
    def prompt_tokens(self) -> int:  # noqa: D102
        return int(min(PROMPT_TOKENS, self.pipeline.tokenizer_2.model_max_length))

    def _guided(self, prompts: list[str], guidance: float, negative_prompts: list[str]) -> dict[str, Any]:
        if not any(negative_prompts):
            return {"prompt": prompts, "guidance_scale": guidance}
        return {
            "prompt": prompts,
            "negative_prompt": negative_prompts,
            "true_cfg_scale": guidance,
            "guidance_scale": 1.0,
        }

    def _from_pipeline(self, latents: Tensor) -> Tensor:
        return latents


def _read_part(prompt: str, text: str, tokenizer: Any, length: int) -> str:
    """Return what is left of a prompt that stands in a text whose first tokens alone are read."""
    begin = max(0, text.find(prompt.strip()))
    if tokenizer.is_fast:
        read = tokenizer(text, truncation=True, max_length=length, return_offsets_mapping=True)
        end = max((end for _, end in read["offset_mapping"]), default=0)
    else:  # it does not say where its tokens stand, but has the text's characters, or nearly
        words = tokenizer(text, add_special_tokens=False)["input_ids"]
        end = len(text) if len(words) < length else len(tokenizer.decode(words[: length - 1]))
    return prompt if end >= begin + len(prompt.strip()) else text[begin : max(begin, end)]


_FAMILIES: dict[str, type[Flux]] = {"klein": Klein, "flux1": Flux1}


def load_flux(checkpoint: Checkpoint, *, dtype: torch.dtype = torch.float32, **parts: Any) -> Flux:
    """Load a verified checkpoint.

    Parameters
    ----------
    checkpoint
        From `find_checkpoint` or `read_reference`.
    dtype
        Of the weights, but for the VAE's: they stay fp32, bf16 shows bands.
    **parts
        Components to take instead of the checkpoint's own, by name; None leaves one out and saves its memory.

    Raises
    ------
    HdrgenError
        Weights are stored under names that the model does not have.
    """
    family = _FAMILIES[checkpoint.family]
    pipeline = family.pipeline_class().from_pretrained(
        checkpoint.path, local_files_only=True, dtype={"default": dtype, "vae": torch.float32}, **parts
    )
    for component in checkpoint.components:
        if component.name not in parts:
            check_weights(getattr(pipeline, component.name), checkpoint.path / component.name)
    return family(pipeline)
