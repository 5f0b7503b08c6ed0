"""How fast everything is, as `hdrgen bench` measured it: beside the machine's ceilings, and beside other programs."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hdrgen.report.cells import Cell, Row
from hdrgen.report.pipeline import last_commit_of
from hdrgen.report.text import rounded, words
from hdrgen.runtime.errors import HdrgenError

OURS = ("hdrgen", "torch", "onnx", "tensorrt")
"""First words of the ways that are this project's own: a command, or a backend of it, with or without files."""
COLUMNS = (
    "size in pixels",
    "median, s",
    "fastest to slowest, s",
    "memory, MiB",
    "of matrix ceiling",
    "of memory ceiling",
    "times ours",
)
"""What the cells of each row are, see `bench.measure.Timing`."""


@dataclass(frozen=True)
class Operation:
    """One thing to do, and a row for each size and each way of doing it."""

    name: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Speed:
    """A benchmark.

    ``machine`` is what is known of the machine, its ceilings among it, ``day`` when it was measured or, where the file
    does not say so, committed; empty where it is not known. ``runs`` are those of each row. ``absent`` says what could
    not be measured.
    """

    machine: str
    day: str
    runs: str
    operations: Sequence[Operation]
    absent: Sequence[str]


def read_speed(file: Path) -> Speed | None:
    """Return what a file of `hdrgen bench` says; None where there is none.

    A field that is missing, as an older file may lack some, leaves its cell empty.

    Raises
    ------
    HdrgenError
        It is no file of `hdrgen bench`.
    """
    if not file.is_file():
        return None
    try:
        benchmark = json.loads(file.read_text(encoding="utf-8"))
        timings: dict[str, list[Mapping[str, Any]]] = {}
        for timing in benchmark["timings"]:
            timings.setdefault(timing["operation"], []).append(timing)
        return Speed(
            _machine(benchmark),
            _day(benchmark, file),
            " or ".join(
                str(runs) for runs in sorted({t["runs"] for t in benchmark["timings"] if "runs" in t})
            ),
            [Operation(words(name), [_row(timing, of) for timing in of]) for name, of in timings.items()],
            [str(reason) for reason in (*benchmark.get("absent", ()), *benchmark.get("failed", ()))],
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise HdrgenError(f"{file}: is no file of hdrgen bench; measure again with make bench") from None


def _row(timing: Mapping[str, Any], of_operation: Sequence[Mapping[str, Any]]) -> Row:
    """Return a row; another program is marked where its slowest run beats the fastest of ours, the size's first row."""
    width, height, of_ours = (timing.get(name) for name in ("width", "height", "of_ours"))
    ours = next(one for one in of_operation if (one.get("width"), one.get("height")) == (width, height))
    theirs = timing.get("by", "").split(" ")[0] not in OURS
    faster = theirs and of_ours is not None and timing.get("slowest_s", math.inf) < ours.get("fastest_s", 0)
    cells = (
        Cell(f"{width} \N{MULTIPLICATION SIGN} {height}" if width and height else ""),
        Cell(_digits(timing.get("median_s"))),
        Cell(" to ".join(filter(None, (_digits(timing.get(name)) for name in ("fastest_s", "slowest_s"))))),
        Cell(rounded(round(timing["peak_mib"])) if timing.get("peak_mib") else ""),
        Cell(_digits(timing.get("matrix_share"), "%")),
        Cell(_digits(timing.get("memory_share"), "%")),
        Cell(_digits(of_ours), verdict="below" if faster else ""),
    )
    return Row(timing.get("by", ""), cells)


def _digits(value: float | None, unit: Literal["", "%"] = "") -> str:
    """Return three digits, of a share as per cent; empty where there is no value."""
    if value is None:
        return ""
    digits = f"{100 * value if unit else value:#.3g}".rstrip(".")
    return f"{digits}\N{NARROW NO-BREAK SPACE}{unit}" if unit else digits


def _machine(benchmark: Mapping[str, Any]) -> str:
    """Return what a file says of its machine, in a text or by name, and what the machine was measured to do at best."""
    ceilings = benchmark.get("ceilings", {})
    parts = [
        ceilings.get("processor", ""),
        f"{ceilings['threads']} threads" if "threads" in ceilings else "",
        f"{ceilings.get('dtype', '')} matrix products {ceilings['matrix_flops'] / 1e9:.0f} GFLOP/s".strip()
        if "matrix_flops" in ceilings
        else "",
        f"in 8-bit integers {ceilings['int8_ops'] / 1e9:.0f} Gop/s" if ceilings.get("int8_ops") else "",
        f"memory {ceilings['memory_bytes_per_s'] / 1e9:.1f} GB/s" if "memory_bytes_per_s" in ceilings else "",
    ]
    return "; ".join(filter(None, parts))


def _day(benchmark: Mapping[str, Any], file: Path) -> str:
    if benchmark.get("date"):
        return f"measured {benchmark['date']}"
    commit = last_commit_of(file)
    return f"committed {commit.day} in {commit.commit[:7]}" if commit else ""
