"""``hdrgen bench``: how fast it all is on this machine."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hdrgen.cli.batch import say, show
from hdrgen.cli.options import JsonOption, examples, threads
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.bench.measure import Timing

OPERATIONS = (
    "fuse", "fuse_batch", "expand", "merge", "convert", "preview", "ingest", "generate_step"
)  # fmt: skip
"""The keys of `bench.operations.OPERATIONS`, and a step of generation; a test holds them together."""
_BY_WIDTH = 15


def bench(
    operations: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPERATION...]", help=f"Some of {', '.join(OPERATIONS)}. [default: all]"),
    ] = None,
    sizes: Annotated[
        str, typer.Option(metavar="WxH,...", help="Sizes of the pictures, in pixels.")
    ] = "1024x1024,4096x2304",
    runs: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    models: Annotated[
        Path,
        typer.Option(envvar="HDRGEN_MODELS", help="Folder of what `make repro` trained, to generate with."),
    ] = Path("data"),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write all figures as JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast the commands are on this machine.

    Each run is a process of its own: pictures in, pictures out, its imports not counted. Beside the commands stand the
    models alone, from codes in memory to light in memory, and other people's programs on the same files, as far as they
    are installed. Each network's operations are a share of the matrix products that this machine was measured to do at
    the start; the file has the share of its memory's speed as well. What is the fastest backend is remembered for
    `--backend auto`.
    """
    wanted = operations or list(OPERATIONS)
    for name in wanted:
        if name not in OPERATIONS:
            raise HdrgenError(f"{name!r} is nothing that is measured; known are {', '.join(OPERATIONS)}")
    pixels = _sizes(sizes)
    from hdrgen.bench.ceilings import measure_ceilings
    from hdrgen.bench.measure import (
        Timing,
        fastest_backends,
        measure,
        measure_generate_step,
    )
    from hdrgen.bench.measure import as_json as in_json
    from hdrgen.inference.backends import remember_fastest
    from hdrgen.runtime.atomic import replacing

    ceilings = measure_ceilings(threads())
    timings: list[Timing] = []
    absent: list[str] = []
    found = measure([name for name in wanted if name != "generate_step"], pixels, runs, ceilings)
    steps = [measure_generate_step(models, runs)] if "generate_step" in wanted else []
    for one in (*found, *steps):
        if isinstance(one, Timing):
            timings.append(one)
        else:
            absent.append(one)
            say("note", one)
    figures = json.dumps(in_json(timings, ceilings, absent), indent=2, allow_nan=False)
    if output:
        with replacing(output) as temporary:
            temporary.write_text(figures + "\n", encoding="utf-8")
    if fastest := fastest_backends(timings):
        try:
            remember_fastest(fastest)
        except OSError as error:
            say("note", f"{error.filename}: the fastest backends are not remembered ({error.strerror})")
    if as_json:
        print(figures)  # noqa: T201 - what was asked for
        return
    show(
        f"{ceilings.threads} threads; {ceilings.dtype} matrix products {ceilings.matrix_flops / 1e9:.0f} GFLOP/s, "
        f"memory {ceilings.memory_bytes_per_s / 1e9:.1f} GB/s"
    )
    show(_table(timings))


def _sizes(text: str) -> list[tuple[int, int]]:
    found = [re.fullmatch(r"(\d{2,5})x(\d{2,5})", part.strip().lower()) for part in text.split(",")]
    if not all(found):
        raise HdrgenError(f"--sizes {text!r}: must be width x height such as 1024x1024,4096x2304")
    return [(int(sides[1]), int(sides[2])) for sides in found if sides]


def _table(timings: "list[Timing]") -> Any:
    from rich.table import Table

    # As wide as a terminal of 80 characters; the file has the rest.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("operation", "by", "size"):
        table.add_column(column, no_wrap=column != "by", min_width=_BY_WIDTH if column == "by" else None)
    for column in ("median s", "spread", "MiB", "flops", "of ours"):
        table.add_column(column, justify="right", no_wrap=True)
    for t in timings:
        table.add_row(
            t.operation,
            t.by,
            f"{t.width}x{t.height}",
            f"{t.median_s:.3g}",
            f"{t.fastest_s:.3g}-{t.slowest_s:.3g}",
            f"{t.peak_mib:.0f}",
            "" if t.matrix_share is None else f"{t.matrix_share:.0%}",
            f"{t.of_ours:.2f}",
        )
    return table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen bench",
            "hdrgen bench fuse expand merge --sizes 1024x1024,2048x2048,4096x4096 -o bench.json",
            "hdrgen bench convert --runs 9 --json",
        )
    )(bench)
