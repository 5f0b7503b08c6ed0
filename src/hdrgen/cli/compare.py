"""``hdrgen compare``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, Job, Report, pictures, run_jobs, show
from hdrgen.cli.options import JsonOption, examples, threads
from hdrgen.runtime.errors import HdrgenError

_UNITS = {
    "pu21_psnr": "dB",
    "pu21_ssim": "",
    "stops_rmse": "stops",
    "peak_ratio": "",
    "psnr_linear": "dB, for comparison only",
    "ssim_linear": "for comparison only",
}


def compare(
    test: Annotated[Path, typer.Argument(metavar="TEST", help="The picture to judge, or a folder of them.")],
    reference: Annotated[Path, typer.Argument(metavar="REF", help="What it should be: file or folder.")],
    as_json: JsonOption = False,
) -> None:
    """Judge pictures against their references.

    By PU21 PSNR and SSIM, errors in stops by luminance, and peaks. Both are brought to linear ARRI Wide Gamut 4 by their own primaries; 1.0 counts as 100 nit. Files of two
    folders belong together by name, whatever their suffix.
    """
    from hdrgen.comparison import compare_files

    threads()
    rows: list[dict[str, float]] = []

    def work(job: Job) -> Report:
        metrics = compare_files(*job.inputs)
        rows.append(metrics)
        return Report({"reference": str(job.inputs[1]), "metrics": metrics}, _table(job, metrics))

    jobs = [Job(pair) for pair in _pairs(test, reference)]
    try:
        run_jobs("compare", jobs, work, as_json=as_json)
    finally:
        if len(rows) > 1 and not as_json:
            show(_summary(rows))


def _pairs(test: Path, reference: Path) -> list[tuple[Path, Path]]:
    if not test.is_dir() and not reference.is_dir():
        return [(test, reference)]
    if not (test.is_dir() and reference.is_dir()):
        raise HdrgenError(f"{test} and {reference}: must be two files or two folders")
    references = {file.stem: file for file in pictures([reference], SCENE_SUFFIXES)}
    tests = pictures([test], SCENE_SUFFIXES)
    # One without a partner fails as a missing file would, and the rest is compared.
    return [(file, references.get(file.stem, reference / file.name)) for file in tests]


def _table(job: Job, metrics: dict[str, float]) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name, value in metrics.items():
        unit = next(unit for start, unit in _UNITS.items() if name.startswith(start))
        table.add_row(Text(f"  {name}"), Text(f"{value:.4g}", justify="right"), Text(unit, style="dim"))
    return Group(Text(f"{job.inputs[0]} against {job.inputs[1]}", style="bold"), table)


def _summary(rows: list[dict[str, float]]) -> Any:
    from rich.table import Table

    from hdrgen.metrics.quality import summarise

    table = Table(title=f"{len(rows)} pictures", box=None, title_justify="left", title_style="bold")
    for column in ("", "mean", "sd", "min", "max", "count"):
        table.add_column(column, justify="right" if column else "left")
    for name, s in summarise(rows).items():
        table.add_row(name, *(f"{s[key]:.4g}" for key in ("mean", "sd", "min", "max")), f"{s['count']:.0f}")
    return table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen compare fused.exr original.exr",
            "hdrgen compare fused/ originals/ --json > metrics.json",
        )
    )(compare)
