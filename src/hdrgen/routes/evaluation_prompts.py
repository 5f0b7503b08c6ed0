"""Evaluation prompts through each route: EXRs, sheets for eyes, and figures that need no reference."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.images.code_image import write_png8
from hdrgen.images.exr import read_exr
from hdrgen.images.stored_image import SceneImage
from hdrgen.qc.preview import STRIP_STOPS, linear_ap1, preview_code8
from hdrgen.qc.statistics import statistics
from hdrgen.routes.load_generator import load_generator
from hdrgen.routes.requests import GenerationRequest, Sampling, file_name
from hdrgen.routes.write_exr import ExrWriter
from hdrgen.routes.write_generated import Batches, write_generated
from hdrgen.runtime.choices import ROUTES, Device, Route
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

_SHEET_PIXELS = 192
"""Pictures smaller than this are shown larger."""


class GenerateSettings(Section):
    """Prompts and seeds of the evaluation, and how they are sampled."""

    prompts: tuple[str, ...] = Field(min_length=1)
    """What is painted by each route; file names begin with the prompts' numbers."""
    seeds: tuple[int, ...] = Field((1, 2), min_length=1)
    """Seeds of each prompt."""
    size: int = Field(64, ge=8)
    """Side of the pictures in pixels, a multiple of the model's token."""
    steps: int = Field(20, ge=1)
    """Denoising steps."""
    guidance: float = Field(2.0, ge=1)
    """Scale of guidance; 1 is none."""
    negative_prompt: str = ""
    """What guidance leads away from."""
    strength: float = Field(1.0, ge=0, le=1)
    """How noisy the route `brackets` takes its 8-bit pictures to be: 0 trusts them to half a code."""
    device: Device = "cpu"
    """Where pictures are made."""


def generate_evaluation(
    models: Path,
    settings: GenerateSettings,
    out_dir: Path,
    on_progress: OnProgress | None = None,
    *,
    threads: int = 2,
) -> dict[str, Any]:
    """Generate the prompts by each route, and measure what came out.

    Parameters
    ----------
    models
        Folder of what was trained, see `find_trained`.
    settings
        Prompts, seeds, and how pictures are sampled.
    out_dir
        Gets a folder for each route: EXRs with their 8-bit pictures; ``sheet.png``, a row for each prompt and a column
        for each seed; and ``strip.png``, the first picture from -4 to +4 stops.
    on_progress
        Called with (denoising steps done, denoising steps in all) of a route.
    threads
        Threads to work with.

    Returns
    -------
    dict
        For each route: ``finite_share`` of values, ``negative_share`` and ``peak_linear`` of all pictures, and under each
        prompt its ``peak_linear`` and the median ``stops`` of range over its seeds.

    Raises
    ------
    HdrgenError
        A part is missing, or a picture cannot be made.
    """
    return {
        route: _generate(models, route, settings, out_dir / route, on_progress, threads) for route in ROUTES
    }


def _generate(
    models: Path,
    route: Route,
    settings: GenerateSettings,
    folder: Path,
    on_progress: OnProgress | None,
    threads: int,
) -> dict[str, Any]:
    generator = load_generator(
        models, route, device=settings.device, backend="torch", strength=settings.strength
    )
    requests = [GenerationRequest(prompt, seed) for prompt in settings.prompts for seed in settings.seeds]
    sampling = Sampling(
        settings.size, settings.size, settings.steps, settings.guidance, settings.negative_prompt
    )
    batches = Batches(lambda: generator, requests, sampling, threads=threads)
    images = []
    for place, request in enumerate(requests):
        number = place // len(settings.seeds) + 1
        target = folder / file_name(number, request.prompt, request.seed)
        write_generated(
            batches.take(place, on_progress),
            target,
            route,
            keep_intermediates=bool(generator.renditions),
            # One spark of an untrained decoder is to be counted, not to end the stage.
            writer=ExrWriter(overflow="clamp"),
            threads=threads,
        )
        images.append(read_exr(target))
    rows = [
        images[first : first + len(settings.seeds)] for first in range(0, len(images), len(settings.seeds))
    ]
    write_png8(folder / "sheet.png", np.concatenate([_row([_displayed(i) for i in row]) for row in rows]))
    write_png8(folder / "strip.png", _row([_displayed(images[0], stops) for stops in STRIP_STOPS]))
    by_prompt = {prompt: _light(row) for prompt, row in zip(settings.prompts, rows, strict=True)}
    return _figures(images) | by_prompt


def _figures(images: Sequence[SceneImage]) -> dict[str, float]:
    values = np.stack([image.rgb for image in images])
    return {
        "finite_share": float(np.isfinite(values).mean()),
        "negative_share": float((values < 0).mean()),
        "peak_linear": float(values.max()),
    }


def _light(images: Sequence[SceneImage]) -> dict[str, float]:
    light = [statistics(image) for image in images]
    return {
        "peak_linear": max(one.maximum_linear for one in light),
        "stops": float(np.median([one.stops for one in light])),
    }


def _row(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate(pictures, axis=1)


def _displayed(image: SceneImage, stops: float = 0.0) -> NDArray[np.uint8]:
    """Return a picture through the default display view, this many stops brighter, enlarged where it is small."""
    code8 = preview_code8(linear_ap1(image), exposure_stops=stops)
    larger = max(1, -(-_SHEET_PIXELS // max(code8.shape)))
    return np.asarray(cv2.resize(code8, None, fx=larger, fy=larger, interpolation=cv2.INTER_CUBIC), np.uint8)
