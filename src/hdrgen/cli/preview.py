"""``hdrgen preview``."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, Job, Report, is_batch, jobs_for, run_jobs
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
from hdrgen.runtime.errors import HdrgenError

Format = Literal["png", "avif", "jxl", "jpg"]

_TAKES = {
    "png": ("--strip", "--display", "--view"),
    "avif": ("--peak-nits", "--paper-white", "--transfer", "--bits"),
    "jxl": ("--peak-nits", "--paper-white", "--transfer"),
    "jpg": ("--peak-nits", "--paper-white"),
}
"""The options that mean something to one format and nothing to another."""


def preview(
    inputs: ScenePictures,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A .png, .avif, .jxl or .jpg; a folder for many inputs."),
    ],
    exposure_stops: Annotated[
        float, typer.Option("--exposure", "-e", min=-24, max=24, help="Stops added before the view.")
    ] = 0.0,
    strip: Annotated[
        bool, typer.Option("--strip", help="PNG: nine exposures side by side, -4 to +4 stops.")
    ] = False,
    display: Annotated[
        str | None, typer.Option(help="PNG: display of the OpenColorIO configuration.")
    ] = None,
    view: Annotated[str | None, typer.Option(help="PNG: view of that display.")] = None,
    peak_nits: Annotated[
        float | None, typer.Option(help="HDR: peak luminance of the display. [default: 1000]")
    ] = None,
    paper_white: Annotated[
        float | None,
        typer.Option(
            help="HDR: nits of SDR white, ten times those of 18 % grey. [default: where ACES 2.0 has it, 145 at 1000]"
        ),
    ] = None,
    transfer: Annotated[
        Literal["pq", "hlg"] | None, typer.Option(help="AVIF and JPEG XL: what codes mean. [default: pq]")
    ] = None,
    bits: Annotated[
        Literal["10", "12"] | None, typer.Option(help="AVIF: bits of each code. [default: 10]")
    ] = None,
    longest_side: Annotated[
        int | None,
        typer.Option("--size", min=16, help="Longest side in pixels; larger pictures are made smaller."),
    ] = None,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="What is written into a folder. [default: png]")
    ] = None,
    layer: LayerOption = None,
    part: PartOption = None,
    skip_existing: SkipExistingOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show pictures as a display does.

    PNG: 8 bits for an SDR monitor, by default sRGB through the ACES 2.0 view of the built-in OpenColorIO
    configuration; with $OCIO set, that configuration's own default.

    AVIF and JPEG XL: PQ or HLG in Rec.2020 for an HDR display, through the ACES 2.0 output transform for its peak.

    JPEG: Ultra HDR, the SDR picture with a gain map; any viewer shows it, an HDR display brighter.

    What is shown is the display window, with square pixels.

    Existing outputs are overwritten. JPEG XL needs the extra: pip install 'hdrgen[preview]'.
    """
    written = _format(inputs, output, file_format)
    given = {
        "--strip": strip or None,
        "--display": display,
        "--view": view,
        "--peak-nits": peak_nits,
        "--paper-white": paper_white,
        "--transfer": transfer,
        "--bits": bits,
    }
    for option, value in given.items():
        if value is not None and option not in _TAKES[written]:
            raise HdrgenError(
                f"{option} does not go with .{written}, which takes {', '.join(_TAKES[written])}"
            )
    common = {"longest_side": longest_side, "layer": layer, "part": part, "threads": threads()}
    work = (
        _sdr(display, view, exposure_stops, common, strip=strip)
        if written == "png"
        else _hdr(peak_nits, paper_white, transfer, bits, exposure_stops, common)
    )
    jobs = jobs_for(inputs, output, suffixes=SCENE_SUFFIXES, suffix=f".{written}")
    run_jobs("preview", jobs, work, as_json=as_json, skip_existing=skip_existing, dry_run=dry_run)


def _format(inputs: list[Path], output: Path, chosen: Format | None) -> str:
    """Return the format: of one file it is its suffix, in a folder the one chosen."""
    if is_batch(inputs) or output.is_dir():
        return chosen or "png"
    suffix = output.suffix.lower().removeprefix(".").replace("jpeg", "jpg")
    if suffix not in _TAKES:
        raise HdrgenError(f"{output}: previews are written as {', '.join(f'.{name}' for name in _TAKES)}")
    if chosen and chosen != suffix:
        raise HdrgenError(f"{output}: is no .{chosen}; leave --format to folders")
    return suffix


def _sdr(
    display: str | None, view: str | None, exposure_stops: float, common: dict[str, Any], *, strip: bool
) -> Callable[[Job], Report]:
    from hdrgen.colour import ocio
    from hdrgen.qc.preview import write_preview, write_strip

    ocio.display_view(display, view)
    if strip and exposure_stops:
        raise HdrgenError("--strip shows -4 to +4 stops; leave --exposure out")

    def work(job: Job) -> Report:
        how = {name: value for name, value in common.items() if value is not None}
        if strip:
            done = write_strip(job.inputs[0], job.outputs[0], display=display, view=view, **how)
        else:
            how["exposure_stops"] = exposure_stops
            done = write_preview(job.inputs[0], job.outputs[0], display=display, view=view, **how)
        at = "-4 to +4" if strip else f"{exposure_stops:+g}"
        shown = f"{done.width}x{done.height}, {done.source_space} at {at} stops"
        return Report(asdict(done), f"{job.outputs[0]}: {shown}, {done.view}", done.notes)

    return work


def _hdr(
    peak_nits: float | None,
    paper_white: float | None,
    transfer: Literal["pq", "hlg"] | None,
    bits: Literal["10", "12"] | None,
    exposure_stops: float,
    common: dict[str, Any],
) -> Callable[[Job], Report]:
    from hdrgen.qc.hdr_preview import HdrDisplay, write_hdr_preview

    display = HdrDisplay(1000.0 if peak_nits is None else peak_nits, paper_white, transfer or "pq")

    def work(job: Job) -> Report:
        done = write_hdr_preview(
            job.inputs[0],
            job.outputs[0],
            display=display,
            bits=12 if bits == "12" else 10,
            exposure_stops=exposure_stops,
            **common,
        )
        shown = f"{done.width}x{done.height}, {done.source_space} at {exposure_stops:+g} stops"
        how = f"{done.transfer}, peak {done.peak_nits:g}, paper white {done.paper_white_nits:.3g} nit"
        words = f"{job.outputs[0]}: {shown}, {how}; brightest pixel {done.brightest_nits:.4g} nit"
        return Report(asdict(done), words, done.notes)

    return work


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen preview shot.exr -o shot.png",
            "hdrgen preview shot.exr -o highlights.png --exposure -4",
            "hdrgen preview shot.exr -o strip.png --strip",
            "hdrgen preview shot.exr -o shot.avif --peak-nits 600 --paper-white 203",
            "hdrgen preview shot.exr -o shot.jxl --transfer hlg",
            "hdrgen preview shot.exr -o shot.jpg",
            "hdrgen preview renders/ -o previews/ --format avif --size 1280",
            'hdrgen preview shot.exr -o raw.png --view "Un-tone-mapped"',
        )
    )(preview)
