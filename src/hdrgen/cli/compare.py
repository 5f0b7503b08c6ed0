"""``hdrgen compare``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, Job, Report, pictures, run_jobs, say
from hdrgen.cli.options import JsonOption, LayerOption, PartOption, examples, threads
from hdrgen.runtime.choices import ScaleBy
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.metrics.compare_files import FileComparison

_SUMMARY_PLOT = Path("_all.png")
_MOST_NAMED = 5
"""Most references without a test that are named."""


def compare(
    test: Annotated[Path, typer.Argument(metavar="TEST", help="The picture to judge, or a folder of them.")],
    reference: Annotated[Path, typer.Argument(metavar="REF", help="What it should be: file or folder.")],
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Only these. [default: all, jod where installed]")
    ] = None,
    scale: Annotated[
        ScaleBy, typer.Option(help="Take out the exposure first, by luminance in stops or by linear light.")
    ] = "none",
    crf: Annotated[
        bool, typer.Option("--crf", help="Take out the camera's tone curve first (Hanji et al. 2022).")
    ] = False,
    layer: LayerOption = None,
    part: PartOption = None,
    reference_layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help='Of the reference, where it is another; "" takes its picture.'),
    ] = None,
    reference_part: Annotated[
        str | None,
        typer.Option(metavar="NAME", help='Of the reference, where it is another; "" looks in all.'),
    ] = None,
    ignore_windows: Annotated[
        bool,
        typer.Option("--ignore-windows", help="Compare from the first pixels on, wherever data windows lie."),
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a table, a row for each picture.")] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for a plot of each picture, and one of all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge pictures against their references.

    By PU21 PSNR and SSIM, errors in stops by luminance, peaks, Delta E ITP, JOD where ColorVideoVDP is installed, and
    what papers report beside them. Both are brought to linear ARRI Wide Gamut 4 by their own primaries; 1.0 counts as
    100 nit. PU21 and Delta E ITP end at 10,000 nit, and how much of a reference is above is said with every result, as
    is what was taken out. Where data windows differ, pixels that both have are compared. Files of two folders belong together by name, whatever their suffix. The JSON also has the
    means, and what each figure is.
    """
    from hdrgen.metrics.compare_files import compare_files
    from hdrgen.metrics.full_reference import chosen

    threads()
    layers = (layer, _either(reference_layer, layer))
    parts = (part, _either(reference_part, part))
    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    chosen(names)
    pairs, left = _pairs(test, reference)
    if plots and any(file.stem == _SUMMARY_PLOT.stem for file, _ in pairs):
        raise HdrgenError(
            f"{test}: a picture called {_SUMMARY_PLOT.stem} has the name of the plot of all; rename it"
        )
    if left:
        shown = ", ".join(file.name for file in left[:_MOST_NAMED]) + ", ..." * (len(left) > _MOST_NAMED)
        say("note", f"{reference}: {len(left)} of the references have no test in {test}: {shown}")
    comparisons: list[tuple[Job, FileComparison]] = []

    def work(job: Job) -> Report:
        plot = plots / f"{job.name.stem}.png" if plots else None
        comparison = compare_files(
            *job.inputs,
            metrics=names,
            scale=scale,
            crf=crf,
            plot=plot,
            layers=layers,
            parts=parts,
            ignore_windows=ignore_windows,
        )
        comparisons.append((job, comparison))
        facts = {
            "reference": str(job.inputs[1]),
            "correction": asdict(comparison.correction),
            "reference_above_10000_nit_share": comparison.reference_above_10000_nit_share,
            "metrics": comparison.figures,
            "window": comparison.window,
            "notes": comparison.notes,
        }
        return Report(facts, _table(job, comparison), comparison.notes)

    def rows() -> list[dict[str, float]]:
        return [comparison.figures for _, comparison in comparisons]

    try:
        run_jobs(
            "compare",
            [Job(pair) for pair in pairs],
            work,
            as_json=as_json,
            summary=lambda: _summary(rows()),
            summary_facts=lambda: _summary_facts(rows()) | {"references_without_test": [*map(str, left)]},
        )
    finally:
        if csv and comparisons:
            _write_csv(csv, comparisons)
        if plots and len(comparisons) > 1:
            from hdrgen.metrics.compare_plots import write_summary_plot

            write_summary_plot(plots / _SUMMARY_PLOT, rows())


def _either(of_reference: str | None, of_both: str | None) -> str | None:
    return of_both if of_reference is None else (of_reference or None)


def _pairs(test: Path, reference: Path) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Return what belongs together, and the references that have no test."""
    if not test.is_dir() and not reference.is_dir():
        return [(test, reference)], []
    if not (test.is_dir() and reference.is_dir()):
        raise HdrgenError(f"{test} and {reference}: must be two files or two folders")
    references, tests = _by_name(reference), _by_name(test)
    # One without a partner fails as a missing file would, and the rest is compared.
    pairs = [(file, references.get(name, reference / file.name)) for name, file in tests.items()]
    return pairs, [file for name, file in references.items() if name not in tests]


def _by_name(folder: Path) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for file in pictures([folder], SCENE_SUFFIXES):
        if file.stem in named:
            raise HdrgenError(f"{named[file.stem]} and {file}: have one name; compare them apart")
        named[file.stem] = file
    return named


def _table(job: Job, comparison: "FileComparison") -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from hdrgen.metrics.full_reference import CEILING_LINEAR, metric_of

    table = Table.grid(padding=(0, 2))
    for name, value in comparison.figures.items():
        metric = metric_of(name)
        unit = f"{metric.unit}{'' if metric.decides else ' (for comparison only)'}"
        table.add_row(Text(f"  {name}"), Text(f"{value:.4g}", justify="right"), Text(unit, style="dim"))
    title = Text(f"{job.inputs[0]} against {job.inputs[1]}", style="bold")
    about = (
        f"  correction: {comparison.correction}\n"
        f"  above {CEILING_LINEAR:g} (10,000 nit), where PU21 and Delta E ITP end: "
        f"{comparison.reference_above_10000_nit_share:.2%} of the reference"
    )
    return Group(title, Text(about, style="dim"), table)


def _summary(rows: list[dict[str, float]]) -> Any:
    from rich.table import Table

    from hdrgen.metrics.quality import summarise

    table = Table(title=f"{len(rows)} pictures", box=None, title_justify="left", title_style="bold")
    for column in ("", "mean", "sd", "min", "max", "count"):
        table.add_column(column, justify="right" if column else "left")
    for name, s in summarise(rows).items():
        table.add_row(name, *(f"{s[key]:.4g}" for key in ("mean", "sd", "min", "max")), f"{s['count']:.0f}")
    return table


def _summary_facts(rows: list[dict[str, float]]) -> dict[str, Any]:
    from hdrgen.metrics.full_reference import metric_of
    from hdrgen.metrics.quality import summarise

    summary = summarise(rows)
    fields = ("unit", "better", "decides", "ceiling_linear", "source")
    return {
        "summary": summary,
        "metrics": {name: {key: getattr(metric_of(name), key) for key in fields} for name in summary},
    }


def _write_csv(path: Path, comparisons: "list[tuple[Job, FileComparison]]") -> None:
    import polars as pl

    from hdrgen.runtime.atomic import replacing

    rows = [
        {
            "test": str(job.inputs[0]),
            "reference": str(job.inputs[1]),
            **asdict(comparison.correction),
            "reference_above_10000_nit_share": comparison.reference_above_10000_nit_share,
            **comparison.figures,
        }
        for job, comparison in comparisons
    ]
    # A band that the first pictures lack is a column all the same.
    with replacing(path) as temporary:
        pl.DataFrame(rows, infer_schema_length=None).write_csv(temporary)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen compare fused.exr original.exr",
            "hdrgen compare fused/ originals/ --json > metrics.json",
            "hdrgen compare theirs/ originals/ --scale median --csv theirs.csv --plots plots",
            "hdrgen compare theirs.exr original.exr --crf --metrics pu21_psnr,pu21_ssim",
        )
    )(compare)
