"""The three routes from a prompt to scene-linear light, in memory.

`brackets` samples four LogC4 exposures of one scene from the same noise, and goes through bit depth, alignment and
fusion. `dual` samples a Reinhard and a log picture and fuses them. `latent` decodes the latents of the LoRA with the
HDR VAE. In all of them light is at EV 0, where 18 % grey is 0.18: what the frames were exposed to that were learned.

A generator has no sensor, so light below 0 means nothing; it becomes 0.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.colour.primaries import AWG4
from hdrgen.colour.tone_maps import Log, quantise8
from hdrgen.exposure.ev_list import listed
from hdrgen.flux.family import Flux, OnStep
from hdrgen.flux.renditions import DUAL, Rendition, brackets
from hdrgen.routes.expand import keep_clipped
from hdrgen.routes.merge import merge_stack
from hdrgen.routes.requests import GenerationRequest, Sampling, check_size
from hdrgen.routes.stack import ExposureStack
from hdrgen.runtime.choices import Route
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:  # loaded with their weights
    from hdrgen.inference.bit_depth import Expander
    from hdrgen.inference.exposure_fusion import StackMerger
    from hdrgen.inference.tone_fusion import Fuser

Code8 = NDArray[np.uint8]
Facts = Mapping[str, str | float | None]
"""What goes into the header, by name, as `made_by` takes it."""

PIXELS_AT_ONCE = 4 * 1024 * 1024
"""Most pixels of all pictures that are denoised together; those of one request always are."""
LOG_CEILING_LINEAR = Log().ceiling_linear
"""Scene-linear value of code 255 of the generated log pictures, see `flux.renditions`."""
MOST_AT_ONCE = 16
"""Most requests that are denoised together, however small."""


@dataclass(frozen=True)
class Generated:
    """One picture.

    ``linear_awg4`` is scene-linear light at EV 0, float32 ``(H, W, 3)`` from 0. ``intermediates`` are the 8-bit pictures
    it was made of, ``(H, W, 3)``, by the name of their rendition; ``facts`` is what made it, ``notes``
    what a person should know of that.
    """

    request: GenerationRequest
    linear_awg4: NDArray[np.float32]
    intermediates: Mapping[Rendition, Code8]
    facts: Facts
    notes: tuple[str, ...] = ()


class HdrDecoder(Protocol):
    """What `flux.hdr_vae.load_hdr_vae` returns, as far as generation is concerned."""

    def linear_awg4(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Return light ``(B, 3, height, width)``, fp32, of tokens ``(B, N, C)``."""
        ...


class Generator(ABC):
    """One route with its models.

    Parameters
    ----------
    flux
        The checkpoint with the transformer, or the LoRA, that was trained for this route.
    facts
        What made the weights, for the header.
    """

    route: ClassVar[Route]
    renditions: tuple[Rendition, ...]
    """Pictures that are sampled for each request; empty where the prompt is sampled as it is."""

    def __init__(self, flux: Flux, facts: Facts = MappingProxyType({})) -> None:
        self.flux = flux
        self._made_with = dict(facts)

    @property
    def pixels_per_token(self) -> int:
        """Side of the square of pixels that one token stands for."""
        return self.flux.pixels_per_token

    def at_once(self, sampling: Sampling) -> int:
        """Return how many requests are made together, so that memory does not grow with their number."""
        pixels = sampling.width * sampling.height * max(1, len(self.renditions))
        return min(MOST_AT_ONCE, max(1, PIXELS_AT_ONCE // pixels))

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        sampling: Sampling,
        *,
        on_step: OnStep | None = None,
        threads: int = 2,
    ) -> list[Generated]:
        """Make pictures, all of them together: see `at_once`.

        Parameters
        ----------
        requests
            Prompts and seeds, a picture each.
        sampling
            Size, steps and guidance of all of them.
        on_step
            Called with (steps done, steps in all); what it raises ends the sampling.
        threads
            Threads that the fusion works with.

        Raises
        ------
        HdrgenError
            The size does not fit, or the model's output is not finite.
        """
        check_size(sampling.width, sampling.height, self.pixels_per_token)
        with torch.inference_mode():
            tokens = self._sampled(requests, sampling, on_step)
            return [
                self._generated(request, some, sampling, threads)
                for request, some in zip(requests, tokens.chunk(len(requests)), strict=True)
            ]

    def _sampled(
        self, requests: Sequence[GenerationRequest], sampling: Sampling, on_step: OnStep | None
    ) -> Tensor:
        """Return the tokens of each request's pictures, one request after the other."""
        pictures = [
            (prompt, negative, seed)
            for request in requests
            for (prompt, negative), seed in zip(
                self._prompts(request.prompt, sampling.negative_prompt),
                self._seeds(request.seed),
                strict=True,
            )
        ]
        prompts, negatives, seeds = zip(*pictures, strict=True)
        return self.flux.sample(
            prompts,
            seeds,
            height=sampling.height,
            width=sampling.width,
            steps=sampling.steps,
            guidance=sampling.guidance,
            negative_prompts=negatives,
            on_step=on_step,
        )

    def _prompts(self, prompt: str, negative: str) -> list[tuple[str, str]]:
        # Guidance is to sharpen the scene, not the exposure: what it leads away from is of the same rendition.
        words = negative or self.flux.classifier_free
        return [(r.prompt(prompt), r.prompt(negative) if words else "") for r in self.renditions]

    def _seeds(self, seed: int) -> list[int]:
        """Return each rendition's seed: one noise for all of them."""
        return [seed] * len(self.renditions)

    def _generated(
        self, request: GenerationRequest, tokens: Tensor, sampling: Sampling, threads: int
    ) -> Generated:
        linear, intermediates, own = self._light(tokens, sampling, threads)
        if not np.isfinite(linear).all():
            raise HdrgenError(f"{request.prompt!r}, seed {request.seed}: the model's light is not finite")
        read, notes = self._read(request.prompt, sampling)
        facts = {
            "prompt": request.prompt,
            "negative_prompt": sampling.negative_prompt or None,
            **read,
            "seed": request.seed,
            "steps": sampling.steps,
            "guidance": sampling.guidance,
            "size": f"{sampling.width}x{sampling.height}",
            "exposure": "EV 0: 18 % grey is 0.18",
            **own,
            **self._made_with,
        }
        return Generated(request, np.maximum(linear, 0), intermediates, facts, notes)

    def _read(self, prompt: str, sampling: Sampling) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return what was read of prompts that are too long, as facts and as notes; nothing of others."""
        facts, notes = {}, []
        given = {"prompt": prompt, "negative_prompt": sampling.negative_prompt}
        read = zip(given.items(), zip(*self._prompts(*given.values()), strict=True), strict=True)
        for (name, whole), texts in read:
            # The words of a rendition stand before it. What all of them read is what was used.
            left_out = max(len(text) - len(self.flux.read_part(text)) for text in texts)
            if left_out and whole:
                used = facts[f"{name}_used"] = whole[: max(0, len(whole) - left_out)]
                notes.append(
                    f"the {name.replace('_', ' ')} is longer than the {self.flux.prompt_tokens} tokens that the model "
                    f"reads; what follows {used[-40:]!r} was not used"
                )
        return facts, tuple(notes)

    @abstractmethod
    def _light(
        self, tokens: Tensor, sampling: Sampling, threads: int
    ) -> tuple[NDArray[np.float32], Mapping[Rendition, Code8], Facts]:
        """Return one request's light, the 8-bit pictures it is made of, and the route's own facts."""

    def _codes8(self, tokens: Tensor, sampling: Sampling) -> dict[Rendition, Code8]:
        """Return the renditions as 8-bit codes, decoded one by one to save memory."""
        codes = {}
        for rendition, one in zip(self.renditions, tokens, strict=True):
            picture = self.flux.picture(one[None], sampling.height, sampling.width)[0].permute(1, 2, 0)
            code = (picture.float().cpu().numpy() + 1) / 2
            if not np.isfinite(code).all():
                raise HdrgenError(f"the model's picture {rendition.name} is not finite; train it anew")
            codes[rendition] = quantise8(code)
        return codes


class BracketsGenerator(Generator):
    """Exposures in LogC4 from one noise, through bit depth, alignment and fusion.

    Parameters
    ----------
    flux, facts
        See `Generator`.
    expander, merger
        The models of `hdrgen expand` and `hdrgen merge`.
    evs
        Exposure values, two or more.
    strength
        How noisy the expander takes the codes to be, 0 to 1.
    align
        Align the exposures. From one noise they hardly move.
    shared_noise
        Whether a request's exposures start from one noise; else from one each.
    """

    route = "brackets"

    def __init__(
        self,
        flux: Flux,
        expander: "Expander",
        merger: "StackMerger",
        evs: Sequence[float],
        facts: Facts = MappingProxyType({}),
        *,
        strength: float = 1.0,
        align: bool = True,
        shared_noise: bool = True,
    ) -> None:
        super().__init__(flux, facts)
        self.renditions = brackets(evs)
        self._expander, self._merger = expander, merger
        self._strength, self._align, self._shared_noise = strength, align, shared_noise

    def _seeds(self, seed: int) -> list[int]:
        if self._shared_noise:
            return super()._seeds(seed)
        return [int(word) for word in np.random.SeedSequence(seed).generate_state(len(self.renditions))]

    def _light(
        self, tokens: Tensor, sampling: Sampling, threads: int
    ) -> tuple[NDArray[np.float32], Mapping[Rendition, Code8], Facts]:
        codes8 = self._codes8(tokens, sampling)
        evs = tuple(rendition.ev for rendition in codes8)
        codes16 = tuple(self._expanded16(code8, threads) for code8 in codes8.values())
        stack = ExposureStack((), codes16, evs, "given", "logc4", "logc4_awg4", AWG4, ())
        merged = merge_stack(stack, lambda: self._merger, align=self._align, threads=threads)
        own: Facts = {
            "evs": listed(evs),
            "shared_noise": str(self._shared_noise).lower(),
            "aligned": str(self._align).lower(),
            "strength": self._strength,
            "bit_depth_weights": self._expander.digest,
            "merge_weights": self._merger.digest,
        }
        return merged.linear, codes8, own

    def _expanded16(self, code8: Code8, threads: int) -> NDArray[np.uint16]:
        code = self._expander.expand(code8, strength=self._strength, threads=threads)
        return (keep_clipped(code, code8) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)


class DualGenerator(Generator):
    """A Reinhard and a log picture from one noise, fused.

    Raises
    ------
    HdrgenError
        The fuser was trained on log pictures with another ceiling.
    """

    route = "dual"
    renditions = DUAL

    def __init__(self, flux: Flux, fuser: "Fuser", facts: Facts = MappingProxyType({})) -> None:
        super().__init__(flux, facts)
        self._fuser = fuser
        if not math.isclose(fuser.log_ceiling_linear, LOG_CEILING_LINEAR):
            raise HdrgenError(
                f"the fuser takes log pictures with a ceiling of {fuser.log_ceiling_linear:g}, generated ones have "
                f"{LOG_CEILING_LINEAR:g}; train it with that one (make_pairs.tone_map.log_ceiling_linear)"
            )

    def _light(
        self, tokens: Tensor, sampling: Sampling, threads: int
    ) -> tuple[NDArray[np.float32], Mapping[Rendition, Code8], Facts]:
        codes8 = self._codes8(tokens, sampling)
        linear = self._fuser.fuse(*codes8.values(), threads=threads)
        own: Facts = {"log_ceiling": self._fuser.log_ceiling_linear, "fuse_weights": self._fuser.digest}
        return linear, codes8, own


class LatentGenerator(Generator):
    """The LoRA's latents, decoded to light by the HDR VAE."""

    route = "latent"
    renditions = ()

    def __init__(self, flux: Flux, decoder: HdrDecoder, facts: Facts = MappingProxyType({})) -> None:
        super().__init__(flux, facts)
        self._decoder = decoder

    def _prompts(self, prompt: str, negative: str) -> list[tuple[str, str]]:
        return [(prompt, negative)]

    def _seeds(self, seed: int) -> list[int]:
        return [seed]

    def _light(
        self,
        tokens: Tensor,
        sampling: Sampling,
        threads: int,  # noqa: ARG002 - torch's own
    ) -> tuple[NDArray[np.float32], Mapping[Rendition, Code8], Facts]:
        light = self._decoder.linear_awg4(tokens, sampling.height, sampling.width)[0]
        return light.permute(1, 2, 0).float().cpu().contiguous().numpy(), {}, {}
