"""``hdrgen compare``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, Job, Report, pictures, run_jobs, show
from hdrgen.cli.options import JsonOption, examples, threads
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.metrics.full_reference import Comparison

Scale = Literal["none", "median", "least_squares"]
"""As `metrics.correction.ScaleBy`; a test holds the two together."""


def compare(
    test: Annotated[Path, typer.Argument(metavar="TEST", help="The picture to judge, or a folder of them.")],
    reference: Annotated[Path, typer.Argument(metavar="REF", help="What it should be: file or folder.")],
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Only these. [default: all, jod where installed]")
    ] = None,
    scale: Annotated[
        Scale, typer.Option(help="Take out the exposure first, by luminance in stops or by linear light.")
    ] = "none",
    crf: Annotated[
        bool, typer.Option("--crf", help="Take out the camera's tone curve first (Hanji et al. 2022).")
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
    100 nit. Files of two folders belong together by name, whatever their suffix. What was taken out is said with
    every result.
    """
    from hdrgen.comparison import compare_files
    from hdrgen.metrics.full_reference import chosen

    threads()
    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    chosen(names)
    found: list[tuple[Job, Comparison]] = []

    def work(job: Job) -> Report:
        plot = plots / f"{job.name.stem}.png" if plots else None
        comparison = compare_files(*job.inputs, metrics=names, scale=scale, crf=crf, plot=plot)
        found.append((job, comparison))
        facts = {
            "reference": str(job.inputs[1]),
            "correction": asdict(comparison.correction),
            "metrics": comparison.figures,
        }
        return Report(facts, _table(job, comparison))

    jobs = [Job(pair) for pair in _pairs(test, reference)]
    try:
        run_jobs("compare", jobs, work, as_json=as_json)
    finally:
        if csv and found:
            _write_csv(csv, found)
        if len(found) > 1:
            _of_all([comparison.figures for _, comparison in found], plots, as_json=as_json)


def _pairs(test: Path, reference: Path) -> list[tuple[Path, Path]]:
    if not test.is_dir() and not reference.is_dir():
        return [(test, reference)]
    if not (test.is_dir() and reference.is_dir()):
        raise HdrgenError(f"{test} and {reference}: must be two files or two folders")
    references = {file.stem: file for file in pictures([reference], SCENE_SUFFIXES)}
    tests = pictures([test], SCENE_SUFFIXES)
    # One without a partner fails as a missing file would, and the rest is compared.
    return [(file, references.get(file.stem, reference / file.name)) for file in tests]


def _table(job: Job, comparison: "Comparison") -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from hdrgen.metrics.full_reference import metric_of

    table = Table.grid(padding=(0, 2))
    for name, value in comparison.figures.items():
        metric = metric_of(name)
        said = f"{metric.unit}{'' if metric.decides else ' (for comparison only)'}"
        table.add_row(Text(f"  {name}"), Text(f"{value:.4g}", justify="right"), Text(said, style="dim"))
    title = Text(f"{job.inputs[0]} against {job.inputs[1]}", style="bold")
    return Group(title, Text(f"  correction: {comparison.correction}", style="dim"), table)


def _of_all(rows: list[dict[str, float]], plots: Path | None, *, as_json: bool) -> None:
    if plots:
        from hdrgen.comparison_plots import write_summary_plot

        write_summary_plot(plots / "all.png", rows)
    if not as_json:
        show(_summary(rows))


def _summary(rows: list[dict[str, float]]) -> Any:
    from rich.table import Table

    from hdrgen.metrics.quality import summarise

    table = Table(title=f"{len(rows)} pictures", box=None, title_justify="left", title_style="bold")
    for column in ("", "mean", "sd", "min", "max", "count"):
        table.add_column(column, justify="right" if column else "left")
    for name, s in summarise(rows).items():
        table.add_row(name, *(f"{s[key]:.4g}" for key in ("mean", "sd", "min", "max")), f"{s['count']:.0f}")
    return table


def _write_csv(path: Path, found: "list[tuple[Job, Comparison]]") -> None:
    import polars as pl

    from hdrgen.runtime.atomic import replacing

    rows = [
        {
            "test": str(job.inputs[0]),
            "reference": str(job.inputs[1]),
            **asdict(comparison.correction),
            **comparison.figures,
        }
        for job, comparison in found
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
