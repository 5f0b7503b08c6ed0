"""``hdrgen check``: is this EXR fit for delivery, and why not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hdrgen.cli.batch import EXR_SUFFIXES, Job, Report, pictures, run_jobs
from hdrgen.cli.options import JsonOption, LayerOption, PartOption, examples, threads

if TYPE_CHECKING:
    from hdrgen.qc.check import CheckReport

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def _show_rules(value: bool) -> None:
    if not value:
        return
    from hdrgen.qc.rules import DeliveryRules, rules_as_yaml

    typer.echo(rules_as_yaml(DeliveryRules()), nl=False)
    raise typer.Exit


def check(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="OpenEXR files, or folders of them.")
    ],
    rules_file: Annotated[
        Path | None, typer.Option("--rules", help="YAML with the rules of a show, see --show-rules.")
    ] = None,
    layer: LayerOption = None,
    part: PartOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only what does not pass.")] = False,
    as_json: JsonOption = False,
    show_rules: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option(
            "--show-rules", callback=_show_rules, is_eager=True, help="Print the default rules as a file."
        ),
    ] = False,
) -> None:
    """Say whether EXRs are fit for delivery, and why not.

    Each rule passes, warns or fails, and says what to do. The exit code is 1 when a file fails a rule. Warnings are for a person to decide and do not fail it. Light is judged in the picture, NaN and Inf in every channel of every part. In a folder, frames missing from a sequence are found too.

    What the rules ask for, and which of them fail or warn, a show states in a file: start from hdrgen check --show-rules > show.yaml.
    """
    from hdrgen.qc.check import CheckReport, check_delivery, check_sequence
    from hdrgen.qc.rules import DeliveryRules, read_rules

    threads()
    rules = read_rules(rules_file) if rules_file else DeliveryRules()
    checked: list[CheckReport] = []

    def work(job: Job) -> Report:
        path = job.inputs[0]
        delivery = (
            check_sequence(path, pictures([path], EXR_SUFFIXES), rules)
            if path.is_dir()
            else check_delivery(path, rules, layer=layer, part=part)
        )
        checked.append(delivery)
        findings = [asdict(finding) for finding in delivery.findings]
        facts = {"fit": delivery.fit, "findings": findings, "notes": delivery.notes}
        return Report(facts, _table(delivery, quiet=quiet), delivery.notes, good=delivery.fit)

    folders = [path for path in inputs if path.is_dir()]
    jobs = [Job((path,)) for path in (*folders, *pictures(inputs, EXR_SUFFIXES))]
    run_jobs("check", jobs, work, as_json=as_json, summary=lambda: _summary(checked))


def _summary(checked: "Sequence[CheckReport]") -> str:
    """Return what a supervisor reads last: how many files are fit, and how often which rule is broken, by folders too."""
    files = [delivery for delivery in checked if not delivery.path.is_dir()]
    fit = sum(delivery.fit for delivery in files)
    broken = Counter(
        (finding.verdict, finding.rule)
        for delivery in checked
        for finding in delivery.findings
        if finding.verdict != "pass"
    )
    rules = [f"  {verdict.upper()}  {rule}: {n}" for (verdict, rule), n in sorted(broken.items())]
    return "\n".join([f"{fit} of {len(files)} files fit for delivery", *rules])


def _table(delivery: "CheckReport", *, quiet: bool) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    counts = {verdict: sum(f.verdict == verdict for f in delivery.findings) for verdict in ("fail", "warn")}
    count_text = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
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
    heading = Text.assemble(
        (str(delivery.path), "bold"), ": ", verdict, f" ({count_text})" if count_text else ""
    )
    return Group(heading, table) if table.row_count else heading


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen check shot.exr",
            "hdrgen check delivery/ --quiet",
            "hdrgen check delivery/ --json > report.json",
            "hdrgen check delivery/ --rules show.yaml",
        )
    )(check)
