"""The pictures that are evaluated: by each route that was trained, and by the base model that it started from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import torch

from hdrgen.colour.tone_maps import quantise8
from hdrgen.evaluation.text_to_exr import EvaluateFlux, RoutePicture, read_as_logc4
from hdrgen.evaluation.text_to_exr_tables import BASE
from hdrgen.flux.checkpoint import read_reference
from hdrgen.flux.family import load_flux
from hdrgen.metrics.generated import Code8
from hdrgen.routes.load_generator import load_generator
from hdrgen.routes.requests import GenerationRequest, Sampling
from hdrgen.runtime.choices import Route

_AT_ONCE = 16
"""Pictures of the base model that are denoised together."""


class TrainedRoutes:
    """Makes pictures with what the pipeline's stages trained.

    Parameters
    ----------
    models
        Folder that is laid out by the names of the stages.
    settings
        Size, sampler and device.
    """

    def __init__(self, models: Path, settings: EvaluateFlux) -> None:
        self._models, self._settings = models, settings

    def __call__(
        self, route: str, prompts: Sequence[str], seeds: Sequence[int], *, shared_noise: bool = True
    ) -> list[RoutePicture]:
        """Return one picture for each prompt and seed, see `text_to_exr.Render`.

        Raises
        ------
        HdrgenError
            Something was not trained, or does not fit.
        """
        if route == BASE:
            return [read_as_logc4(code8) for code8 in self._base_code8(prompts, seeds)]
        settings = self._settings
        generator = load_generator(
            self._models,
            cast("Route", route),
            device=settings.device,
            backend="torch",
            shared_noise=shared_noise,
        )
        requests = [GenerationRequest(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        sampling = Sampling(settings.size, settings.size, settings.steps, settings.guidance)
        return [
            RoutePicture(picture.linear_awg4, picture.intermediates)
            for some in _parts(len(requests), generator.at_once(sampling))
            for picture in generator.generate(requests[some], sampling)
        ]

    @torch.inference_mode()
    def _base_code8(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Code8]:
        settings = self._settings
        checkpoint = read_reference(self._models / "base_model" / "checkpoint.json")
        flux = load_flux(checkpoint, dtype=torch.bfloat16 if settings.device == "cuda" else torch.float32)
        flux.pipeline.to(settings.device)
        pictures: list[Code8] = []
        for some in _parts(len(prompts), _AT_ONCE):
            tokens = flux.sample(
                prompts[some],
                seeds[some],
                height=settings.size,
                width=settings.size,
                steps=settings.steps,
                guidance=settings.guidance,
            )
            picture = flux.picture(tokens, settings.size, settings.size).permute(0, 2, 3, 1)
            pictures += list(quantise8((picture.float().cpu().numpy() + 1) / 2))
        return pictures


def _parts(count: int, at_once: int) -> Iterator[slice]:
    return (slice(first, first + at_once) for first in range(0, count, at_once))
