"""``hdrgen expand``: an 8-bit picture becomes an EXR without banding."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hdrgen.cli.batch import CODE_SUFFIXES, Job, Report, check_present, jobs_for, run_jobs
from hdrgen.cli.options import (
    BackendOption,
    ClampOption,
    CompressionOption,
    DryRunOption,
    JsonOption,
    SkipExistingOption,
    SpaceOption,
    WeightsOption,
    examples,
    exr_writer,
    network,
    threads,
)
from hdrgen.images.choices import CodeEncoding

if TYPE_CHECKING:
    from hdrgen.runtime.overlap import ReadComputeWrite


def expand(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="PNG, TIFF, JPEG or WebP files, or folders of them.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The EXR; a folder for many inputs.")],
    encoding: Annotated[
        CodeEncoding | None,
        typer.Option(
            help="Encoding of the codes. [default: what the picture says or its codes show, a JPEG or WebP srgb]"
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="0 trusts every code to half a step, 1 takes the codes for noisy, as generated pictures are.",
        ),
    ] = 0.0,
    space: SpaceOption = "acescg",
    weights: WeightsOption = None,
    backend: BackendOption = "auto",
    compression: CompressionOption = "zip",
    clamp: ClampOption = False,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn 8-bit pictures into EXRs without banding.

    The EXR is scene-linear half float. The network finds what lies between the codes. It was trained on LogC4
    and works on codes, so any smooth curve will do. An ordinary sRGB picture ends at display white here; `hdrgen
    recover` finds its light. Pictures of 16 bits are decoded as they are. Alpha goes
    along, multiplied in. Existing outputs are overwritten.
    """
    from hdrgen.routes.expand import expand_file

    writer = exr_writer(space, compression, clamp=clamp)
    jobs = jobs_for(inputs, output, suffixes=CODE_SUFFIXES, suffix=".exr")
    check_present(jobs, weights)
    expander, count = network("bit_depth", weights, backend), threads()

    def work(job: Job) -> "ReadComputeWrite[Report]":
        done = yield from expand_file.task(
            job.inputs[0],
            job.outputs[0],
            expander,
            encoding=encoding,
            strength=strength,
            writer=writer,
            threads=count,
        )
        shown = f"{done.width}x{done.height}, {done.encoding}, brightest {done.maximum_linear:.4g}"
        return Report(asdict(done), f"{job.outputs[0]}: {shown}", done.notes)

    run_jobs("expand", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen expand plate.png -o plate.exr",
            "hdrgen expand photo.jpg -o photo.exr --encoding srgb",
            "hdrgen expand generated/ -o expanded/ --strength 0.5 --skip-existing",
        )
    )(expand)
