"""``hdrgen generate``: words become an EXR."""

import re
from contextlib import nullcontext
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hdrgen.cli.batch import Job, Report, outputs_in, progress, run_jobs
from hdrgen.cli.options import (
    BackendOption,
    ClampOption,
    CompressionOption,
    DeviceOption,
    DryRunOption,
    JsonOption,
    ModelsOption,
    SkipExistingOption,
    SpaceOption,
    examples,
    exr_writer,
    threads,
)
from hdrgen.routes.sampling_defaults import SEED_MAX, sampling_for
from hdrgen.runtime.choices import Route
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.routes.generator import Generator
    from hdrgen.routes.requests import GenerationRequest, Sampling
    from hdrgen.routes.trained_models import Trained


def generate(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The EXR; a folder for many prompts or seeds.")
    ],
    prompt: Annotated[str | None, typer.Argument(help="What is to be seen.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Text file of prompts, one a line, instead of one.")
    ] = None,
    route: Annotated[
        Route,
        typer.Option(help="Four LogC4 exposures, two tone maps, or HDR latents."),
    ] = "brackets",
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="Decides the noise.")] = 0,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Several seeds: a picture for each.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="In pixels. [default: what the model was trained at]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Denoising steps. [default: 28, 4 if distilled]")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(min=1.0, help="How closely to follow the prompt. [default: 4, 1 if distilled]"),
    ] = None,
    negative: Annotated[str, typer.Option(help="What is not to be seen.")] = "",
    models: ModelsOption = Path("data"),
    device: DeviceOption = "auto",
    backend: BackendOption = "auto",
    keep_intermediates: Annotated[
        bool, typer.Option("--keep-intermediates", help="Also write the 8-bit pictures it is made of.")
    ] = False,
    space: SpaceOption = "acescg",
    compression: CompressionOption = "zip",
    clamp: ClampOption = False,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make an EXR out of words.

    The EXR is scene-linear half float with 18 % grey at 0.18, and its header says all that made it. Route brackets
    paints four LogC4 exposures from one noise and merges them; dual paints two tone-mapped pictures and fuses them;
    latent decodes light straight from HDR latents. Existing outputs are overwritten.
    """
    writer = exr_writer(space, compression, clamp=clamp)
    jobs = _jobs(prompt, prompts, output, _seeds(seed, seeds))
    from hdrgen.routes.trained_models import find_trained

    # What is missing is said before torch is loaded, which takes seconds.
    trained = find_trained(models, route)
    from hdrgen.routes.write_generated import Batches, write_generated

    sampling = _sampling(trained, size, steps, guidance, negative)
    count = threads()

    @cache
    def generator() -> "Generator":
        from hdrgen.routes.load_generator import load_generator

        return load_generator(models, route, device=device, backend=backend)

    left = {job: request for job, request in jobs if not (skip_existing and job.outputs[0].is_file())}
    places = {job: place for place, job in enumerate(left)}
    batches = Batches(generator, [*left.values()], sampling, threads=count)

    def work(job: Job) -> Report:
        with progress("denoise (steps)") if batches.due(places[job]) else nullcontext() as on_progress:
            generated = batches.take(places[job], on_progress)
        done = write_generated(
            generated,
            job.outputs[0],
            route,
            keep_intermediates=keep_intermediates,
            writer=writer,
            threads=count,
        )
        shown = f"{done.width}x{done.height}, seed {done.seed}, brightest {done.maximum_linear:.4g}"
        return Report(asdict(done), f"{job.outputs[0]}: {shown}", done.notes)

    targets = [job for job, _ in jobs]
    run_jobs("generate", targets, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def _jobs(
    prompt: str | None, prompts: Path | None, output: Path, seeds: list[int]
) -> list[tuple[Job, "GenerationRequest"]]:
    """Return what to write, and what is asked for it."""
    from hdrgen.routes.requests import GenerationRequest, file_name, read_prompts

    if (prompt is None) == (prompts is None):
        raise HdrgenError(
            'give one prompt in quotes, or a file of them: --prompts FILE (see "hdrgen generate -h")'
        )
    texts = read_prompts(prompts) if prompts else [(1, (prompt or "").strip())]
    if not all(text for _, text in texts):
        raise HdrgenError("the prompt is empty; say what is to be seen")
    requests = [(number, GenerationRequest(text, seed)) for number, text in texts for seed in seeds]
    if prompts is None and len(requests) == 1 and not output.is_dir():
        targets = [output]
    else:
        names = [Path(file_name(number, request.prompt, request.seed)) for number, request in requests]
        targets = outputs_in(output, names, ".exr")
    for target in targets:
        if target.suffix.lower() != ".exr":
            raise HdrgenError(f"{target}: generated pictures are written as .exr")
    return [(Job(outputs=(target,)), request) for target, (_, request) in zip(targets, requests, strict=True)]


def _seeds(seed: int, seeds: str | None) -> list[int]:
    if seeds is None:
        return [seed]
    if not re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", seeds):
        raise HdrgenError(f"--seeds {seeds!r}: must be numbers such as --seeds 1,2,3")
    several = [int(number) for number in seeds.split(",")]
    if max(several) > SEED_MAX:
        raise HdrgenError(f"--seeds {seeds!r}: must not exceed {SEED_MAX}")
    if len(set(several)) < len(several):
        raise HdrgenError(f"--seeds {seeds!r}: must differ")
    return several


def _sampling(
    trained: "Trained", size: str | None, steps: int | None, guidance: float | None, negative: str
) -> "Sampling":
    width = height = None
    if size is not None:
        sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size.strip().lower())
        if sides is None:
            raise HdrgenError(f"--size {size!r}: must be width x height such as 1024x576")
        width, height = int(sides[1]), int(sides[2])
    return sampling_for(
        trained, width=width, height=height, steps=steps, guidance=guidance, negative=negative
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            'hdrgen generate "sunlit forest clearing with god rays" -o forest.exr',
            'hdrgen generate "night street" -o street.exr --route latent --seed 7 --size 1024x576',
            'hdrgen generate "fire at night" -o fires/ --seeds 1,2,3 --keep-intermediates',
            "hdrgen generate --prompts prompts.txt -o pictures/ --skip-existing --json",
        )
    )(generate)
