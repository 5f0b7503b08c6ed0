"""``hdrgen check``: is this EXR fit for delivery, and why not."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hdrgen.cli.batch import EXR_SUFFIXES, Job, Report, pictures, run_jobs
from hdrgen.cli.options import JsonOption, ScenePictures, examples, threads

if TYPE_CHECKING:
    from hdrgen.delivery import Delivery

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def check(
    inputs: ScenePictures,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only what does not pass.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether EXRs are fit for delivery, and why not.

    Each rule passes, warns or fails, and says what to do. The exit code is 1 when a file fails a rule. Warnings are for a person to decide and do not fail it.
    """
    from hdrgen.delivery import check_delivery

    threads()

    def work(job: Job) -> Report:
        delivery = check_delivery(job.inputs[0])
        findings = [asdict(finding) for finding in delivery.findings]
        return Report(
            {"fit": delivery.fit, "findings": findings}, _table(delivery, quiet=quiet), good=delivery.fit
        )

    jobs = [Job((file,)) for file in pictures(inputs, EXR_SUFFIXES)]
    run_jobs("check", jobs, work, as_json=as_json)


def _table(delivery: "Delivery", *, quiet: bool) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    counts = {verdict: sum(f.verdict == verdict for f in delivery.findings) for verdict in ("fail", "warn")}
    said = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
    verdict = Text("fit for delivery" if delivery.fit else "NOT fit for delivery")
    verdict.stylize("bold green" if delivery.fit else "bold red")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in delivery.findings:
        if quiet and finding.verdict == "pass":
            continue
        why = Text(finding.why)
        if finding.way_out:
            why.append(f"  -> {finding.way_out}", style="dim")
        table.add_row(
            Text(f"  {finding.verdict.upper()}", style=_STYLES[finding.verdict]), Text(finding.rule), why
        )
    heading = Text.assemble((str(delivery.path), "bold"), ": ", verdict, f" ({said})" if said else "")
    return Group(heading, table) if table.row_count else heading


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen check shot.exr",
            "hdrgen check delivery/ --quiet",
            "hdrgen check delivery/ --json > report.json",
        )
    )(check)
