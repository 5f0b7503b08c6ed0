"""``hdrgen merge``: a set of exposures becomes one EXR."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hdrgen.cli.batch import (
    CODE_SUFFIXES,
    SCENE_SUFFIXES,
    Job,
    Report,
    check_present,
    outputs_in,
    pictures,
    run_jobs,
    say,
)
from hdrgen.cli.exposure_values import OPTION, WithExposureValues
from hdrgen.cli.options import (
    BackendOption,
    ClampOption,
    CompressionOption,
    DryRunOption,
    JsonOption,
    LayerOption,
    PartOption,
    SkipExistingOption,
    SpaceOption,
    WeightsOption,
    examples,
    exr_writer,
    network,
    threads,
)
from hdrgen.exposure.ev_list import parse_evs_or_auto
from hdrgen.images.choices import CodeEncoding
from hdrgen.runtime.choices import MergeMethod
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.runtime.overlap import ReadComputeWrite

SUFFIXES = CODE_SUFFIXES + SCENE_SUFFIXES


def merge(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IN...", help="PNG, TIFF, JPEG, WebP, OpenEXR or Radiance files, or folders."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The EXR; a folder for many sets.")],
    ev: Annotated[
        str | None,
        typer.Option(
            metavar="EV...",
            help="Exposure value of each picture, in stops; auto estimates them. "
            "[default: what PNG text, names or EXIF say, else auto]",
        ),
    ] = None,
    encoding: Annotated[
        Literal[CodeEncoding, "linear"] | None,
        typer.Option(
            help="Encoding of the codes. [default: what the pictures say or their codes show, JPEGs and WebPs srgb]"
        ),
    ] = None,
    ceiling: Annotated[
        str,
        typer.Option(
            metavar="LIGHT",
            help="Light, in the pictures' own values, at which they were cut; auto looks for it in linear ones, none is none.",
        ),
    ] = "auto",
    method: Annotated[
        MergeMethod,
        typer.Option(help="The network; or inverse variance, or one of OpenCV's."),
    ] = "learned",
    no_align: Annotated[bool, typer.Option("--no-align", help="Take the pictures as they are.")] = False,
    reference: Annotated[
        float | None,
        typer.Option(metavar="EV", help="Which exposure shows moving things in place. [default: nearest 0]"),
    ] = None,
    confidence: Annotated[
        Path | None,
        typer.Option(help="Write how much was seen, 0 where all was clipped: .exr or .png, or a folder."),
    ] = None,
    group: Annotated[
        int | None, typer.Option(min=2, max=64, help="So many files in a row, by name, are one set.")
    ] = None,
    layer: LayerOption = None,
    part: PartOption = None,
    space: SpaceOption = "acescg",
    weights: WeightsOption = None,
    backend: BackendOption = "auto",
    compression: CompressionOption = "zip",
    clamp: ClampOption = False,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Merge exposures into an EXR.

    The EXR is scene-linear half float, light at EV 0. The lowest EV is the darkest picture and holds the
    highlights. Pictures of one exposure are averaged. Exposures are aligned first. Where the output is an EXR, all files are one set. Where it is a
    folder, files named like shot_ev-2.png and shot_ev+2.png become shot.exr; with other names each folder is
    one set, unless --group says how many files are. Existing outputs are overwritten.
    """
    from hdrgen.routes.merge import merge_files
    from hdrgen.routes.stack_ceiling import parse_ceiling

    evs = None if ev is None else parse_evs_or_auto(ev, OPTION)
    end = parse_ceiling(ceiling, "--ceiling")
    writer = exr_writer(space, compression, clamp=clamp)
    jobs = _jobs(inputs, output, confidence, group)
    check_present(jobs, weights)
    merger, count = network("exposure_fusion", weights, backend), threads()

    def work(job: Job) -> "ReadComputeWrite[Report]":
        done = yield from merge_files.task(
            job.inputs,
            job.outputs[0],
            merger,
            evs=evs,
            encoding=encoding,
            ceiling=end,
            method=method,
            align=not no_align,
            reference_ev=reference,
            confidence_target=job.outputs[1] if confidence else None,
            layer=layer,
            part=part,
            writer=writer,
            threads=count,
        )
        shown = f"{done.width}x{done.height}, {len(done.evs)} exposures, brightest {done.maximum_linear:.4g}"
        for warning in done.warnings:
            say("warning", f"{job.name}: {warning}")
        return Report(asdict(done), f"{job.outputs[0]}: {shown}", done.notes, good=not done.warnings)

    run_jobs("merge", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def _jobs(inputs: list[Path], output: Path, confidence: Path | None, group: int | None) -> list[Job]:
    if _is_file(output) and not group:
        files = [file for path in inputs for file in _darkest_first(pictures([path], SUFFIXES))]
        sets = {output.stem: files}
    else:
        sets = _sets(inputs, group)
    targets = [_targets(output, sets)]
    if confidence:
        targets.append(_targets(confidence, sets))
    outputs = zip(*targets, strict=True)
    return [Job(tuple(files), paths) for files, paths in zip(sets.values(), outputs, strict=True)]


def _is_file(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _targets(output: Path, sets: dict[str, list[Path]]) -> list[Path]:
    if len(sets) == 1 and _is_file(output):
        return [output]
    return outputs_in(output, [Path(f"{name}.exr") for name in sets], ".exr")


def _sets(inputs: list[Path], group: int | None) -> dict[str, list[Path]]:
    """Return the files that belong together, by the name of what they become."""
    sets: dict[str, list[Path]] = {}
    single = [path for path in inputs if not path.is_dir()]
    for name, files in [
        *((folder.resolve().name, pictures([folder], SUFFIXES)) for folder in inputs if folder.is_dir()),
        *([(single[0].stem, single)] if single else []),
    ]:
        for key, exposures in _sets_among(name, files, group):
            if key in sets:
                raise HdrgenError(
                    f"{sets[key][0]} and {exposures[0]} would both become {key}.exr; merge them apart"
                )
            sets[key] = exposures
    return sets


def _sets_among(name: str, files: list[Path], group: int | None) -> list[tuple[str, list[Path]]]:
    from hdrgen.routes.bracket import name_and_ev

    if group:
        chunks = [files[first : first + group] for first in range(0, len(files), group)]
        return [(chunk[0].stem, chunk) for chunk in chunks]
    by_name: dict[str, list[Path]] = {}
    for file in files:
        stem, ev = name_and_ev(file)
        if ev is not None:
            by_name.setdefault(stem, []).append(file)
    if not by_name:
        return [(name, files)]
    left = len(files) - sum(map(len, by_name.values()))
    if left:
        say("note", f"{name}: {left} without an EV in the file name, left alone")
    return [(stem, _darkest_first(exposures)) for stem, exposures in by_name.items()]


def _darkest_first(files: list[Path]) -> list[Path]:
    """Return files by the EVs in their names where all have one: as text, +0 would come before -2."""
    from hdrgen.routes.bracket import name_and_ev

    evs = {file: ev for file in files if (ev := name_and_ev(file)[1]) is not None}
    return sorted(files, key=evs.__getitem__) if len(evs) == len(files) else files


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        cls=WithExposureValues,
        epilog=examples(
            "hdrgen merge a.png b.png c.png d.png --ev -2 0 2 4 -o shot.exr",
            "hdrgen merge IMG_01.jpg IMG_02.jpg IMG_03.jpg -o photo.exr --confidence seen.png",
            "hdrgen merge brackets/ -o merged/ --skip-existing",
            "hdrgen merge photos/ -o merged/ --group 3 --ev auto",
        ),
    )(merge)
