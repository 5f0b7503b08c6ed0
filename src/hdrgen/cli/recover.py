"""``hdrgen recover``: an ordinary picture becomes an EXR with its light."""

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
from hdrgen.runtime.choices import DisplayCurve

if TYPE_CHECKING:
    from hdrgen.runtime.overlap import ReadComputeWrite


def recover(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="PNG, TIFF, JPEG or WebP files, or folders of them.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The EXR; a folder for many inputs.")],
    curve: Annotated[
        DisplayCurve,
        typer.Option(
            help="How the picture was rendered: auto estimates it, srgb is none but sRGB's, film a filmic shoulder, "
            "aces13 and aces2 are ACES's SDR views."
        ),
    ] = "auto",
    exposure: Annotated[
        float, typer.Option(metavar="STOPS", help="Exposure of all light. At 0, 18 % grey stays 0.18.")
    ] = 0.0,
    anchor: Annotated[
        float | None,
        typer.Option(
            metavar="LIGHT", help="Where display white lands, in place of --exposure. [default: said]"
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(min=0.0, max=2.0, help="Share of the missing light that is added; 0 invents nothing."),
    ] = 1.0,
    peak: Annotated[
        float | None, typer.Option(metavar="LIGHT", help="Invented light goes no further. [default: no end]")
    ] = None,
    encoding: Annotated[
        CodeEncoding | None,
        typer.Option(help="Encoding of the codes. [default: what the picture says, else srgb]"),
    ] = None,
    matte: Annotated[
        bool,
        typer.Option(help="Write the channel observed: 1 where light was seen, 0 where it is invented."),
    ] = True,
    space: SpaceOption = "acescg",
    weights: WeightsOption = None,
    backend: BackendOption = "auto",
    compression: CompressionOption = "zip",
    clamp: ClampOption = False,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn ordinary pictures into EXRs with their light.

    For 8-bit and 16-bit sRGB pictures, painted by a model or photographed. What the picture shows is kept: its
    curve is undone, and what is not clipped comes back. What was clipped, lamps, windows, the sun, gets a
    plausible light, and the channel observed says where. Alpha goes along, multiplied in. Existing outputs are
    overwritten.
    """
    from hdrgen.routes.recover import Recovery, recover_file

    writer = exr_writer(space, compression, clamp=clamp)
    recovery = Recovery(curve, exposure, anchor, strength, peak)
    recovery.check()
    jobs = jobs_for(inputs, output, suffixes=CODE_SUFFIXES, suffix=".exr")
    check_present(jobs, weights)
    recoverer, expander = network("highlights", weights, backend), network("bit_depth", None, backend)
    count = threads()

    def work(job: Job) -> "ReadComputeWrite[Report]":
        done = yield from recover_file.task(
            job.inputs[0],
            job.outputs[0],
            recoverer,
            expander,
            recovery=recovery,
            encoding=encoding,
            matte=matte,
            writer=writer,
            threads=count,
        )
        shown = (
            f"{done.width}x{done.height}, {done.encoding}, curve {done.curve}, white at {done.white_linear:.3g}, "
            f"{100 * done.invented_fraction:.1f} % invented, brightest {done.maximum_linear:.4g}"
        )
        return Report(asdict(done), f"{job.outputs[0]}: {shown}", done.notes)

    run_jobs("recover", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen recover picture.png -o picture.exr",
            "hdrgen recover photo.jpg -o photo.exr --curve srgb --anchor 1",
            "hdrgen recover painted/ -o recovered/ --peak 100 --skip-existing",
        )
    )(recover)
