"""``hdrgen preview``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, Job, Report, jobs_for, run_jobs
from hdrgen.cli.options import DryRunOption, JsonOption, ScenePictures, SkipExistingOption, examples, threads


def preview(
    inputs: ScenePictures,
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG; a folder for many inputs.")],
    exposure_stops: Annotated[
        float, typer.Option("--exposure", "-e", help="Stops added before the view.")
    ] = 0.0,
    display: Annotated[str | None, typer.Option(help="Display of the OpenColorIO configuration.")] = None,
    view: Annotated[str | None, typer.Option(help="View of that display.")] = None,
    longest_side: Annotated[
        int | None,
        typer.Option("--size", min=16, help="Longest side in pixels; larger pictures are made smaller."),
    ] = None,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show pictures as a display does, as 8-bit PNG.

    By default an sRGB monitor through the ACES 2.0 SDR view of the built-in OpenColorIO configuration; with
    $OCIO set, that configuration's own default. Existing outputs are overwritten.
    """
    from hdrgen.colour import ocio
    from hdrgen.preview import write_preview

    ocio.display_view(display, view)
    count = threads()

    def work(job: Job) -> Report:
        done = write_preview(
            job.inputs[0],
            job.outputs[0],
            exposure_stops=exposure_stops,
            display=display,
            view=view,
            longest_side=longest_side,
            threads=count,
        )
        shown = f"{done.width}x{done.height}, {done.source_space} at {exposure_stops:+g} stops"
        return Report(asdict(done), f"{job.outputs[0]}: {shown}, {done.view}")

    jobs = jobs_for(inputs, output, suffixes=SCENE_SUFFIXES, suffix=".png")
    run_jobs("preview", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen preview shot.exr -o shot.png",
            "hdrgen preview shot.exr -o highlights.png --exposure -4",
            "hdrgen preview renders/ -o previews/ --size 1280",
            'hdrgen preview shot.exr -o raw.png --view "Un-tone-mapped"',
        )
    )(preview)
