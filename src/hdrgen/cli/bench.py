"""``hdrgen bench``: how fast it all is on this machine."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hdrgen.cli.batch import say, show
from hdrgen.cli.options import JsonOption, examples, threads
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.bench.ceilings import Ceilings
    from hdrgen.bench.measure import Missing, Timing

OPERATIONS = (
    "fuse", "fuse_batch", "tone_mlp", "expand", "recover", "merge", "convert", "preview", "ingest", "generate_step"
)  # fmt: skip
"""The keys of `bench.operations.OPERATIONS`, and a step of generation; a test holds them together."""
_HEADINGS = ("median s", "spread", "first", "MiB", "flops", "of ours")
_WIDTHS = (9, 15, 7, 7, 6, 8)
_BY_WIDTH = 23


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
    models alone, from codes in memory to light in memory, called again and again in one process after a first call that
    is a figure of its own; and other people's programs on the same files, as far as they are installed. Each network's
    operations are a share of the matrix products that this machine was measured to do at the start; the file has the
    share of its memory's speed as well. A row is shown as soon as it is measured. What fails is said, the rest goes on,
    and the exit code is 1; what was measured is written, even if interrupted. What is the fastest backend on the largest
    pictures is remembered for `--backend auto`.
    """
    wanted = operations or list(OPERATIONS)
    for name in wanted:
        if name not in OPERATIONS:
            raise HdrgenError(f"{name!r} is nothing that is measured; known are {', '.join(OPERATIONS)}")
    pixels = _sizes(sizes)
    from hdrgen.bench.ceilings import measure_ceilings
    from hdrgen.bench.measure import Missing, Timing, measure
    from hdrgen.cli.bench_worker import run_process

    timings: list[Timing] = []
    missing: list[Missing] = []
    with _status() as on_start:
        on_start("this machine's ceilings")
        ceilings = measure_ceilings(threads())
        if not as_json:
            _show_line(
                f"{ceilings.threads} threads; {ceilings.dtype} matrix products "
                f"{ceilings.matrix_flops / 1e9:.0f} GFLOP/s, "
                + (f"int8 {ceilings.int8_ops / 1e9:.0f} Gop/s, " if ceilings.int8_ops else "")
                + f"memory {ceilings.memory_bytes_per_s / 1e9:.1f} GB/s"
            )
        try:
            for one in measure(wanted, pixels, runs, ceilings, models, run_process, on_start):
                if isinstance(one, Missing):
                    missing.append(one)
                    say("failed" if one.failed else "note", str(one))
                    continue
                if not as_json:
                    _show_row(one, timings[-1] if timings else None)
                timings.append(one)
        finally:  # also what there is when it is interrupted
            _keep(timings, missing, ceilings, output, as_json=as_json)
    if any(one.failed for one in missing):
        raise typer.Exit(1)


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Show what is being measured while the block runs; a program that reads stderr sees the rows alone."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from hdrgen.runtime.console import stderr

    with stderr.status("") as status:
        yield lambda what: status.update(f"measuring {what}")


def _keep(
    timings: "list[Timing]",
    missing: "list[Missing]",
    ceilings: "Ceilings",
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    """Write the JSON, print it where it is the answer, and remember what was fastest."""
    from hdrgen.bench.measure import as_json as in_json
    from hdrgen.bench.measure import fastest_backends
    from hdrgen.inference.backends import remember_fastest
    from hdrgen.runtime.atomic import replacing

    figures = json.dumps(in_json(timings, ceilings, missing), indent=2, allow_nan=False)
    if output:
        with replacing(output) as temporary:
            temporary.write_text(figures + "\n", encoding="utf-8")
    if as_json:
        print(figures)  # noqa: T201 - what was asked for
    if fastest := fastest_backends(timings):
        try:
            remember_fastest(fastest)
        except (OSError, RuntimeError) as error:  # Runtime: there is no home
            say("note", f"the fastest backends are not remembered ({error})")


def _sizes(text: str) -> list[tuple[int, int]]:
    sizes = [re.fullmatch(r"(\d{2,5})x(\d{2,5})", part.strip().lower()) for part in text.split(",")]
    if not all(sizes):
        raise HdrgenError(f"--sizes {text!r}: must be width x height such as 1024x1024,4096x2304")
    return [(int(sides[1]), int(sides[2])) for sides in sizes if sides]


def _show_row(timing: "Timing", before: "Timing | None") -> None:
    """Show a row, under a heading where the operation or the size is another than before."""
    of = (timing.operation, timing.width, timing.height)
    if before is None or of != (before.operation, before.width, before.height):
        _show_line(_columns(f"{timing.operation} {timing.width}x{timing.height}", _HEADINGS))
    figures = (
        f"{timing.median_s:.3g}",
        f"{timing.fastest_s:.3g}-{timing.slowest_s:.3g}",
        "" if timing.first_call_s is None else f"{timing.first_call_s:.3g}",
        f"{timing.peak_mib:.0f}",
        "" if timing.matrix_share is None else f"{timing.matrix_share:.0%}",
        "" if timing.of_ours is None else f"{timing.of_ours:.2f}",
    )
    _show_line(_columns(f"  {timing.by}", figures))


def _columns(title: str, figures: Sequence[str]) -> str:
    cells = (f"{figure:>{width}}" for figure, width in zip(figures, _WIDTHS, strict=True))
    return f"{title:<{_BY_WIDTH}}{''.join(cells)}"


def _show_line(text: str) -> None:
    show(text, above_bar=sys.stderr.isatty() and sys.stdout.isatty())


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen bench",
            "hdrgen bench fuse expand merge --sizes 1024x1024,2048x2048,4096x4096 -o bench.json",
            "hdrgen bench convert --runs 9 --json",
        )
    )(bench)
