"""``hdrgen fuse``: the dual route's two pictures become one EXR."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hdrgen.cli.batch import CODE_SUFFIXES, Job, Report, check_present, outputs_in, pictures, run_jobs
from hdrgen.cli.options import (
    BackendOption,
    ClampOption,
    CompressionOption,
    DryRunOption,
    JsonOption,
    Primaries,
    SkipExistingOption,
    SpaceOption,
    WeightsOption,
    examples,
    exr_writer,
    network,
    threads,
)
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.runtime.overlap import ReadComputeWrite


def fuse(
    reinhard: Annotated[Path, typer.Option(help="The Reinhard picture, or a folder of them.")],
    log: Annotated[Path, typer.Option(help="The log picture, or a folder with the same names.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The EXR; a folder when the inputs are folders.")
    ],
    primaries: Annotated[
        Primaries | None, typer.Option(help="Primaries of the pictures. [default: what they say, else awg4]")
    ] = None,
    space: SpaceOption = "acescg",
    weights: WeightsOption = None,
    backend: BackendOption = "auto",
    compression: CompressionOption = "zip",
    clamp: ClampOption = False,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fuse a Reinhard and a log picture into an EXR.

    The EXR is scene-linear half float. The two 8-bit pictures are of one scene and one size, as `tonemap` writes them or a diffusion model paints them.
    Files of two folders belong together by name. Existing outputs are overwritten.
    """
    from hdrgen.routes.dual import fuse_files

    writer = exr_writer(space, compression, clamp=clamp)
    jobs = _jobs(reinhard, log, output)
    check_present(jobs, weights)
    fuser, count = network("tone_fusion", weights, backend), threads()

    def work(job: Job) -> "ReadComputeWrite[Report]":
        reinhard_file, log_file = job.inputs
        done = yield from fuse_files.task(
            reinhard_file,
            log_file,
            job.outputs[0],
            fuser(),
            primaries=primaries,
            writer=writer,
            threads=count,
        )
        words = f"{job.outputs[0]}: {done.width}x{done.height}, brightest {done.maximum_linear:.4g}"
        return Report(asdict(done), words, done.notes)

    run_jobs("fuse", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def _jobs(reinhard: Path, log: Path, output: Path) -> list[Job]:
    if not reinhard.is_dir() and not log.is_dir():
        single = output / f"{reinhard.stem}.exr" if output.is_dir() else output
        return [Job((reinhard, log), (single,))]
    if not (reinhard.is_dir() and log.is_dir()):
        raise HdrgenError(f"{reinhard} and {log}: must be two files or two folders")
    logs = {file.stem: file for file in pictures([log], CODE_SUFFIXES)}
    files = pictures([reinhard], CODE_SUFFIXES)
    outputs = outputs_in(output, files, ".exr")
    # One without a partner fails as a missing file would, and the rest is fused.
    pairs = [(file, logs.get(file.stem, log / file.name)) for file in files]
    return [Job(pair, (target,)) for pair, target in zip(pairs, outputs, strict=True)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen fuse --reinhard shot_reinhard.png --log shot_log.png -o shot.exr",
            "hdrgen fuse --reinhard reinhard/ --log log/ -o fused/ --skip-existing",
            "hdrgen fuse --reinhard r.png --log l.png -o shot.exr --primaries rec709 --space aces2065-1",
        )
    )(fuse)
