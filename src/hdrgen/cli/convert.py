"""``hdrgen convert``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hdrgen.cli.batch import CODE_SUFFIXES, SCENE_SUFFIXES, Job, Report, jobs_for, run_jobs
from hdrgen.cli.options import (
    ClampOption,
    CompressionOption,
    DryRunOption,
    JsonOption,
    LayerOption,
    PartOption,
    SkipExistingOption,
    examples,
    threads,
)

if TYPE_CHECKING:
    from hdrgen.runtime.overlap import ReadComputeWrite


def convert(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IN...", help="OpenEXR, Radiance, PNG, TIFF, JPEG or WebP files, or folders."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The output file; a folder for many inputs.")
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="SPACE", help="Colour space of the output.")
    ] = "acescg",
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="SPACE", help="Colour space of the input; what a file states is taken without."
        ),
    ] = None,
    suffix: Annotated[
        Literal[".exr", ".png", ".tif"], typer.Option(help="What files in an output folder become.")
    ] = ".exr",
    bits: Annotated[Literal["8", "16"], typer.Option(help="Bits of a PNG or TIFF.")] = "16",
    layer: LayerOption = None,
    part: PartOption = None,
    compression: CompressionOption = "zip",
    clamp: ClampOption = False,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Convert pictures between colour spaces.

    Through OpenColorIO. An .exr output is scene-linear half float; a .png or .tif holds an encoding such as logc4 or srgb. Spaces
    are acescg, aces2065-1, linear_awg4, linear_awg3, linear_rec709, linear_rec2020, linear_p3d65, logc4,
    logc3, srgb, or any name of the OpenColorIO configuration ($OCIO, or the built-in studio configuration).
    Existing outputs are overwritten.
    """
    from hdrgen.colour import ocio
    from hdrgen.images.convert_file import convert_file

    for space in (target, source or target):
        ocio.space_name(space)  # a misspelt space is no matter of any one file
    count = threads()

    def work(job: Job) -> "ReadComputeWrite[Report]":
        done = yield from convert_file.task(
            job.inputs[0],
            job.outputs[0],
            source_space=source,
            target_space=target,
            layer=layer,
            part=part,
            compression=compression,
            bits=8 if bits == "8" else 16,
            overflow="clamp" if clamp else "raise",
            threads=count,
        )
        words = f"{job.outputs[0]}: {done.width}x{done.height}, {done.source_space} -> {done.target_space}"
        return Report(asdict(done), words, done.notes)

    jobs = jobs_for(inputs, output, suffixes=SCENE_SUFFIXES + CODE_SUFFIXES, suffix=suffix)
    run_jobs("convert", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen convert shot.exr -o shot_acescg.exr",
            "hdrgen convert plate.png -o plate.exr --from logc4",
            "hdrgen convert shot.exr -o shot.png --to logc4 --bits 16",
            "hdrgen convert render.exr -o albedo.exr --layer ViewLayer.DiffCol",
            "hdrgen convert plates/ -o acescg/ --from linear_awg4 --compression dwaa",
        )
    )(convert)
