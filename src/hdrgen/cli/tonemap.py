"""``hdrgen tonemap``: what ``hdrgen fuse`` undoes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, Job, Report, is_batch, outputs_in, pictures, run_jobs
from hdrgen.cli.options import (
    DryRunOption,
    JsonOption,
    LayerOption,
    PartOption,
    Primaries,
    ScenePictures,
    SkipExistingOption,
    examples,
    threads,
)


def tonemap(
    inputs: ScenePictures,
    reinhard: Annotated[Path, typer.Option(help="The Reinhard PNG; a folder for many inputs.")],
    log: Annotated[Path, typer.Option(help="The log PNG; a folder for many inputs.")],
    primaries: Annotated[Primaries, typer.Option(help="Primaries that the tone maps work in.")] = "awg4",
    ceiling: Annotated[float, typer.Option(help="Scene-linear value of the log picture's white.")] = 10000.0,
    layer: LayerOption = None,
    part: PartOption = None,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the two 8-bit pictures that `fuse` undoes.

    Scene-linear pictures are tone-mapped twice, Reinhard and log, to 8-bit PNG. The PNGs say which curve, primaries and ceiling made them, and `fuse` reads that. Existing outputs are
    overwritten.
    """
    from hdrgen.routes.dual import tone_map_file

    count = threads()
    files = pictures(inputs, SCENE_SUFFIXES)
    many = is_batch(inputs) or (reinhard.is_dir() and log.is_dir())
    outputs = [outputs_in(folder, files, ".png") if many else [folder] for folder in (reinhard, log)]

    def work(job: Job) -> Report:
        done = tone_map_file(
            job.inputs[0],
            *job.outputs,
            primaries=primaries,
            log_ceiling_linear=ceiling,
            layer=layer,
            part=part,
            threads=count,
        )
        words = f"{job.outputs[0]} and {job.outputs[1]}: {done.width}x{done.height}, {primaries}"
        return Report({**asdict(done), "outputs": [str(path) for path in job.outputs]}, words, done.notes)

    jobs = [Job((file,), pair) for file, pair in zip(files, zip(*outputs, strict=True), strict=True)]
    run_jobs("tonemap", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen tonemap shot.exr --reinhard shot_reinhard.png --log shot_log.png",
            "hdrgen tonemap frames/ --reinhard reinhard/ --log log/ --primaries rec709",
        )
    )(tonemap)
