"""``hdrgen bracket``: what ``hdrgen merge`` undoes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, Job, Report, outputs_in, pictures, run_jobs
from hdrgen.cli.exposure_values import OPTION, WithExposureValues
from hdrgen.cli.options import (
    DryRunOption,
    JsonOption,
    LayerOption,
    PartOption,
    ScenePictures,
    SkipExistingOption,
    examples,
    threads,
)
from hdrgen.exposure.ev_list import DEFAULT_EVS, listed, parse_evs


def bracket(
    inputs: ScenePictures,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the PNGs.")],
    ev: Annotated[str, typer.Option(metavar="EV...", help="Exposure values, in stops.")] = listed(
        DEFAULT_EVS
    ),
    encoding: Annotated[
        Literal["logc4", "srgb", "logc3"], typer.Option(help="Encoding of the PNGs.")
    ] = "logc4",
    bits: Annotated[Literal["8", "16"], typer.Option(help="Bits of the PNGs.")] = "8",
    layer: LayerOption = None,
    part: PartOption = None,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the exposures that `merge` undoes.

    Each PNG shows the light times 2 to the power of its EV, so the lowest EV is the darkest picture and holds
    the highlights. shot.exr becomes shot_ev-2.png, shot_ev+0.png and so on. The PNGs say their encoding and
    EV, and `merge` reads that. Existing outputs are overwritten.
    """
    from hdrgen.routes.bracket import bracket_file, bracket_suffix

    evs = parse_evs(ev, OPTION)
    files = pictures(inputs, SCENE_SUFFIXES)
    outputs = zip(*(outputs_in(output, files, bracket_suffix(value)) for value in evs), strict=True)
    count = threads()

    def work(job: Job) -> Report:
        done = bracket_file(
            job.inputs[0],
            job.outputs,
            evs,
            encoding=encoding,
            bits=8 if bits == "8" else 16,
            layer=layer,
            part=part,
            threads=count,
        )
        clipped = [
            f"EV {value:g}: {share:.2%} of pixels are above the ceiling and are cut off"
            for value, share in zip(done.evs, done.clipped_fractions, strict=True)
            if share
        ]
        words = f"{output}: {job.inputs[0].stem} at EV {listed(evs)}, {done.width}x{done.height}, {encoding}"
        facts = {**asdict(done), "outputs": [str(path) for path in job.outputs]}
        return Report(facts, words, (*done.notes, *clipped))

    jobs = [Job((file,), targets) for file, targets in zip(files, outputs, strict=True)]
    run_jobs("bracket", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        cls=WithExposureValues,
        epilog=examples(
            "hdrgen bracket shot.exr --ev -2 0 2 4 -o brackets/",
            "hdrgen bracket renders/ --ev -4,0,4 --encoding srgb --bits 16 -o brackets/",
        ),
    )(bracket)
