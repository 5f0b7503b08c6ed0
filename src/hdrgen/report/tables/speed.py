"""Tables of speed, from what `hdrgen bench` wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdrgen.report.speed import read_speed
from hdrgen.report.tables.markdown import Table, decimals, markdown, percent
from hdrgen.runtime.documents import read_json_object

BENCH = "docs/bench.json"
COMMANDS = {
    "fuse": "torch",
    "expand": "torch",
    "recover": "torch",
    "merge": "torch",
    "convert": "hdrgen",
    "preview": "hdrgen",
}
"""Commands that are shown, and the row of the benchmark that is theirs without a backend being chosen."""
SMALL, LARGE = (1024, 1024), (4096, 2304)
"""Width and height of the pictures that the aims speak of."""
Timing = Mapping[str, Any]


@dataclass(frozen=True)
class Aim:
    """A figure and what was aimed at: at most ``most``, or at least ``least``; None where it was not measured."""

    label: str
    value: float | None
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def cells(self) -> list[str]:
        """Return label, figure, aim, and whether it is reached."""
        aim = f"at most {self.most:g}" if self.most is not None else f"at least {self.least:g}"
        if self.value is None:
            return [self.label, "not measured", aim, ""]
        reached = self.value <= self.most if self.most is not None else self.value >= (self.least or 0)
        verdict = "reached" if reached else "**not reached**"
        return [self.label, f"{decimals(self.value, 2)} {self.unit}", aim, verdict]


def _timings(root: Path) -> dict[tuple[str, str, tuple[int, int]], Timing]:
    """Return the rows by operation, way of doing it, and size."""
    timings = read_json_object(root / BENCH)["timings"]
    return {(row["operation"], row["by"], (row["width"], row["height"])): row for row in timings}


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:#.3g}".rstrip(".")


def _machine(root: Path) -> str:
    speed = read_speed(root / BENCH)
    return f"*{speed.machine}; {speed.day}, medians of {speed.runs} runs.*" if speed else ""


def _speed(root: Path) -> str:
    timings = _timings(root)
    rows = []
    for command, by in COMMANDS.items():
        for size in (size for operation, way, size in timings if (operation, way) == (command, by)):
            memory = timings.get((command, f"{by} in memory", size), {})
            seconds = (
                timings[command, by, size]["median_s"],
                memory.get("first_call_s"),
                memory.get("median_s"),
            )
            rows.append([f"`hdrgen {command}`", f"{size[0]} x {size[1]}", *map(_seconds, seconds)])
    return markdown(["seconds", "pixels", "command", "in memory, first call", "later calls"], rows)


def _speed_aims(root: Path) -> str:
    return markdown(["", "measured", "aim", ""], [aim.cells for aim in _aims(_timings(root))])


def _aims(timings: Mapping[tuple[str, str, tuple[int, int]], Timing]) -> Iterator[Aim]:
    def time(operation: str, by: str, size: tuple[int, int], of: str = "median_s") -> float | None:
        return timings.get((operation, by, size), {}).get(of)

    def ratio(one: float | None, other: float | None) -> float | None:
        return one / other if one and other else None

    alone = time("fuse", "torch", SMALL)
    yield Aim(f"`fuse`, {_size(SMALL)}", alone, "s", most=0.4)
    together = ratio(alone, time("fuse_batch", "hdrgen", SMALL))
    yield Aim(f"`fuse` in a batch, {_size(SMALL)}, rate beside one alone", together, "times", least=1.6)
    files = ratio(time("convert", "hdrgen", LARGE), time("convert", "OpenEXR read + write", LARGE))
    yield Aim(f"`convert`, {_size(LARGE)}, beside OpenEXR alone", files, "times", most=1.3)
    for command in ("expand", "merge"):
        for size in (SMALL, LARGE):
            for call, of in (("first", "first_call_s"), ("later", "median_s")):
                beside = ratio(time(command, "torch", size), time(command, "torch in memory", size, of))
                label = f"`{command}`, {_size(size)}, beside a {call} call in memory"
                yield Aim(label, beside, "times", most=1.25)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _perceptron(root: Path) -> str:
    timings = _timings(root)
    rows = [
        [_size(size), percent(row.get("matrix_share"))]
        for (operation, by, size), row in timings.items()
        if (operation, by) == ("tone_mlp", "torch in memory")
    ]
    return markdown(["pixels", "of the matrix products that the machine can do"], rows)


TABLES = {
    name: Table((BENCH,), write)
    for name, write in (
        ("machine", _machine),
        ("speed", _speed),
        ("speed_aims", _speed_aims),
        ("perceptron", _perceptron),
    )
}
