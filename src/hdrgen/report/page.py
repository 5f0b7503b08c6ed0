"""The page: all that a run left, in one HTML file that needs nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from hdrgen import __version__
from hdrgen.dataset.captions.captioning import read_captions
from hdrgen.dataset.frame_index import read_index
from hdrgen.evaluation.captions import caption_examples, contradicted
from hdrgen.images.exr import read_header
from hdrgen.report import evaluations, pictures, speed
from hdrgen.report.cells import Table
from hdrgen.report.changes import changes_since, measured
from hdrgen.report.curves import Plot, plot_svg, read_plots
from hdrgen.report.figures import tables
from hdrgen.report.pictures import EmbeddedPicture, SideBySide
from hdrgen.report.pipeline import Stage, Tree, pipeline, read_revision, read_stages
from hdrgen.report.settings import ReportSettings
from hdrgen.report.text import frame_name, rounded, signed, verdict_on, words
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.progress import OnProgress

OWN_NAME = "report"
_SHEET_COLUMNS = 8
Item = TypeVar("Item")


@dataclass(frozen=True)
class StageSection:
    """What the page shows of one stage."""

    stage: Stage
    tables: Sequence[Table]
    curves: Sequence[EmbeddedPicture]
    sheets: Sequence[EmbeddedPicture]


@dataclass(frozen=True)
class CaptionRow:
    """A frame and its caption; ``against`` is what contradicts its measured light."""

    picture: EmbeddedPicture
    frame: str
    caption: str
    source: str
    against: str


def write_report(
    path: Path,
    root: Path,
    data: Path,
    timings: Path,
    settings: ReportSettings,
    on_progress: OnProgress | None = None,
) -> None:
    """Write the page about what is there; a stage that was not run is named as such.

    Equal inputs make equal bytes: no time of day, no path of this machine.

    Parameters
    ----------
    path
        The HTML file.
    root
        Folder of ``dvc.yaml``, ``dvc.lock``, ``stages`` and ``metrics``.
    data
        What the stages wrote, a folder for each.
    timings
        What `hdrgen bench` wrote; there need be none.
    settings
        How much is shown.
    on_progress
        Called with (parts done, parts in all).

    Raises
    ------
    HdrgenError
        Something that was written cannot be read.
    """
    stages = [
        replace(
            stage,
            metrics={name: measured(tree, stage.parameters) for name, tree in stage.metrics.items()},
            figures={name: measured(tree, stage.parameters) for name, tree in stage.figures.items()},
        )
        for stage in read_stages(root, OWN_NAME)
    ]
    parts, done = len(stages) + 3, 0

    def part(value: Any) -> Any:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, parts)
        return value

    plots = read_plots(pipeline(root)["plots"])
    now = {name: tree for stage in stages for name, tree in stage.metrics.items()}
    figures = [(stage.name, tree) for stage in stages for tree in stage.figures.values()]
    validated = part([*_validated(data / "validate", dict(figures).get("validate", {}), settings)])
    generated = part([*_generated(data / "generate", settings)])
    captions = part([*_captions(data, settings)])
    sections = [
        part(
            StageSection(
                stage, [*_tables(stage)], [*_curves(stage, plots, root)], [*_sheets(stage, data, settings)]
            )
        )
        for stage in stages
    ]
    page = _environment().get_template("page.html.j2")
    html = page.render(
        version=__version__,
        revision=read_revision(root),
        standings=[one for name, tree in figures for one in evaluations.standings(name, tree)],
        shortfalls=[one for stage in stages for one in evaluations.shortfalls(stage.verdicts)],
        text_to_exr=[
            evaluations.routes_table(tree["routes"], name, whole=False)
            for name, tree in figures
            if evaluations.is_of_routes(tree.get("routes"))
        ],
        recovered=[
            table for stage in stages for tree in stage.metrics.values() for table in _recovered(stage, tree)
        ],
        speed=speed.read_speed(timings),
        speed_columns=speed.COLUMNS,
        changes=changes_since(
            root, now, {stage.name: stage.parameters for stage in stages}, settings.changes
        ),
        validated=validated,
        generated=generated,
        scale=pictures.false_colour_scale(),
        captions=captions,
        sections=sections,
        left_out=[stage.name for stage in stages if not stage.was_run],
    )
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8", errors="replace")  # a header may hold half a character


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hdrgen.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "rounded": rounded,
        "signed": signed,
        "verdict": verdict_on,
        "words": words,
        "frame_name": frame_name,
        "yaml": lambda tree: yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=72),
    }
    return environment


def _tables(stage: Stage) -> Iterator[Table]:
    for name, tree in stage.figures.items():
        if stage.verdicts:
            for source, kinds in tree.items():
                verdicts = [row for row in stage.verdicts if row["source"] == source]
                yield evaluations.production_table(kinds, verdicts, words(source))
        else:
            yield from tables(tree, name.removeprefix(stage.name).strip("_"))


def _recovered(stage: Stage, decides: Tree) -> Iterator[Table]:
    """Yield what recovered light is worth beside the untouched picture, and the pictures that it made worse."""
    if evaluations.is_of_gains(decides):
        yield evaluations.gains_table(decides, stage.name)
        if stage.harmed:
            yield evaluations.harmed_table(stage.harmed, "Pictures made worse than they were")


def _curves(stage: Stage, plots: Sequence[Plot], root: Path) -> Iterator[EmbeddedPicture]:
    for plot in plots:
        if Path(plot.table).parent.name == stage.name:
            drawing = plot_svg(plot, root)
            if drawing is not None:
                yield pictures.svg(drawing, plot.title)


def _sheets(stage: Stage, data: Path, settings: ReportSettings) -> Iterator[EmbeddedPicture]:
    """Yield the contact sheets of a stage: frames, or the last pictures that a training drew."""
    folder, size = data / stage.name, 8 * settings.exposure_side
    if stage.name == "sanitize" and (folder / "index.parquet").is_file():
        index = read_index(folder)
        files = sorted(folder / file for file in index["file"].drop_nulls())
        if files:
            yield pictures.contact_sheet(
                _evenly(files, settings.sheet_frames),
                f"{min(len(files), settings.sheet_frames)} of {len(files)} frames, ACES 2.0",
                columns=_SHEET_COLUMNS,
                longest_side=settings.exposure_side,
                quality=settings.quality,
            )
    drawn = [folder / "samples.png", folder / "sheet.png", *sorted((folder / "samples").glob("*.png"))[-1:]]
    for file in drawn:
        if file.is_file():
            text = f"{words(stage.name)}: {words(file.stem)}"
            yield pictures.display_picture(file, text, longest_side=size, quality=settings.quality)


def _validated(folder: Path, figures: Tree, settings: ReportSettings) -> Iterator[SideBySide]:
    """Yield frames as footage, 8-bit input and each command's result, kinds in the order of the figures."""
    present = {path.name for path in folder.glob("*/") if path.is_dir()}
    ordered = [kind for kinds in figures.values() for kind in kinds if kind in present]
    kinds = list(dict.fromkeys([*ordered, *sorted(present)]))
    yield from _compared({kind: _exrs(folder / kind) for kind in kinds}, settings.frames, settings)


def _generated(folder: Path, settings: ReportSettings) -> Iterator[SideBySide]:
    """Yield generated pictures, the same prompt and seed by each route."""
    routes = sorted(path.name for path in folder.glob("*/") if path.is_dir())
    yield from _compared({route: _exrs(folder / route) for route in routes}, settings.generated, settings)


def _compared(
    files: Mapping[str, Mapping[str, Path]], count: int, settings: ReportSettings
) -> Iterator[SideBySide]:
    names = sorted({name for of_kind in files.values() for name in of_kind})
    for name in _evenly(names, count):
        paths = {words(kind): of_kind[name] for kind, of_kind in files.items() if name in of_kind}
        yield pictures.side_by_side(
            _title(name, next(iter(paths.values()))),
            paths,
            longest_side=settings.exposure_side,
            quality=settings.quality,
        )


def _title(name: str, path: Path) -> str:
    """Return the prompt and seed of a generated picture, or a frame's name."""
    attributes = read_header(path).attributes
    prompt, seed = attributes.get("hdrgenPrompt"), attributes.get("hdrgenSeed")
    return f"{prompt}, seed {seed}" if prompt is not None and seed is not None else frame_name(name)


def _captions(data: Path, settings: ReportSettings) -> Iterator[CaptionRow]:
    file, frames = data / "caption" / "captions.jsonl", data / "sanitize"
    if not (file.is_file() and (frames / "index.parquet").is_file()):
        return
    index = read_index(frames).filter(pl.col("file").is_not_null())
    files = dict(index.select("frame", "file").iter_rows())
    captions = [caption for name, caption in read_captions(file).items() if name in files]
    for caption in caption_examples(captions, settings.captions):
        picture = pictures.thumbnail(
            frames / files[caption.frame],
            caption.caption,
            longest_side=settings.exposure_side,
            quality=settings.quality,
        )
        against = "; ".join(contradicted(caption))
        yield CaptionRow(picture, caption.frame, caption.caption, caption.source, against)


def _exrs(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.exr"))}


def _evenly(items: Sequence[Item], count: int) -> list[Item]:
    """Return at most ``count`` of the items, evenly among all."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]
