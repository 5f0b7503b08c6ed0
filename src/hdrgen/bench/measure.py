"""Timing commands as their users see them: each run is a process of its own, pictures in, pictures out."""

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hdrgen.bench.ceilings import Ceilings
from hdrgen.bench.operations import OPERATIONS, Operation, scene
from hdrgen.bench.peers import PEERS
from hdrgen.inference.onnx_graph import PROVIDERS, present_runtimes
from hdrgen.runtime.errors import HdrgenError

GENERATE_STEPS = (2, 52)
"""Two lengths of sampling: their difference is what steps cost without loading and decoding, whose time varies."""

WORKER = """
import importlib, json, sys, time
kind, modules, *rest = sys.argv[1:]
for module in modules.split(","):  # what it imports when it runs
    importlib.import_module(module)
if kind == "peer":
    from pathlib import Path
    from hdrgen.bench.peers import PEERS
    work = lambda: PEERS[rest[0]].work(Path(rest[1])) or 0
elif kind == "memory":
    from pathlib import Path
    from hdrgen.bench.in_memory import prepared
    alone = prepared(rest[0], rest[1], Path(rest[2]))
    work = lambda: alone() is None
else:
    from hdrgen import cli
    work = lambda: cli.run(rest)
wall, cpu = time.perf_counter(), time.process_time()
code = work()
seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
# Not ru_maxrss: a child inherits that from the process that started it.
peak_kib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("\\n" + json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_kib / 1024}))
sys.exit(code)
"""


@dataclass(frozen=True)
class Timing:
    """What an operation took, for one picture.

    Parameters
    ----------
    operation, by
        What was done; and which backend of ours did it (``hdrgen`` where there is no choice), with or without files,
        or whose program.
    width, height
        Of the picture.
    median_s, fastest_s, slowest_s
        Of the runs, after what is imported.
    cpu_s
        Median processor time of all threads of the process.
    process_s
        Median from start to exit, imports and all.
    peak_mib
        Largest memory of the process.
    matrix_share
        Operations of the network over the time, as a share of the measured ceiling; None where there is no network.
    memory_share
        Bytes of the pictures over the time, as a share of the measured ceiling.
    of_ours
        Times of the operation's first row that it takes.
    """

    operation: str
    by: str
    width: int
    height: int
    runs: int
    median_s: float
    fastest_s: float
    slowest_s: float
    cpu_s: float
    process_s: float
    peak_mib: float
    matrix_share: float | None
    memory_share: float | None
    of_ours: float


def measure(
    names: Sequence[str], sizes: Sequence[tuple[int, int]], runs: int, ceilings: Ceilings
) -> Iterator[Timing | str]:
    """Yield a timing for each operation, size, and way; text where a way is not installed.

    Raises
    ------
    HdrgenError
        A command fails.
    """
    for name in names:
        operation = OPERATIONS[name]
        ways, absent = _ways(operation)
        yield from (f"{name}: {reason}" for reason in absent)
        for width, height in sizes:
            with tempfile.TemporaryDirectory() as folder:
                pictures = Path(folder) / "pictures"
                pictures.mkdir()
                operation.write_pictures(scene(width, height), pictures)
                ours: float | None = None
                for way in ways:
                    found = [_run(name, way, pictures) for _ in range(runs + way.warm_ups)]
                    timing = _timing(name, way, (width, height), found[way.warm_ups :], ceilings, ours)
                    ours = ours or timing.median_s
                    yield timing


def measure_generate_step(models: Path, runs: int) -> Timing | str:
    """Return what a denoising step takes at the size the model was trained at, the four pictures of a bracket together."""
    took: dict[int, list[dict[str, float]]] = {steps: [] for steps in GENERATE_STEPS}
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.exr"
        for steps in GENERATE_STEPS * runs:
            arguments = ("generate", "night street", "-o", str(target), "--models", str(models), "--json")
            try:
                run = _process(
                    "hdrgen", ("hdrgen.routes.generation.load",), (*arguments, "--steps", str(steps))
                )
            except HdrgenError as error:
                return f"generate_step: {error}"
            took[steps].append(run)
            facts = run["said"]["files"][0]
    few, many = (statistics.median(run["seconds"] for run in took[steps]) for steps in GENERATE_STEPS)
    between = GENERATE_STEPS[1] - GENERATE_STEPS[0]
    each = [(b["seconds"] - a["seconds"]) / between for a, b in zip(*took.values(), strict=True)]
    longest = took[GENERATE_STEPS[1]]
    return Timing(
        "generate_step",
        "hdrgen",
        facts["width"],
        facts["height"],
        runs,
        (many - few) / between,
        min(each),
        max(each),
        statistics.median(
            (b["cpu_seconds"] - a["cpu_seconds"]) / between for a, b in zip(*took.values(), strict=True)
        ),
        statistics.median(run["process_seconds"] for run in longest),
        max(run["peak_mib"] for run in longest),
        None,
        None,
        1.0,
    )


def fastest_backends(timings: Iterable[Timing]) -> dict[str, str]:
    """Return the fastest backend of each model whose backends were compared, over all sizes together."""
    totals: dict[str, dict[str, float]] = {}
    for timing in timings:
        operation = OPERATIONS.get(timing.operation)
        if operation and timing.by in operation.backends:
            model = totals.setdefault(operation.model, {})
            model[timing.by] = model.get(timing.by, 0.0) + timing.median_s
    return {model: min(times, key=times.__getitem__) for model, times in totals.items() if len(times) > 1}


def as_json(timings: Iterable[Timing], ceilings: Ceilings, absent: Sequence[str]) -> dict[str, Any]:
    """Return everything for a JSON file."""
    return {
        "ceilings": asdict(ceilings),
        "timings": [asdict(timing) for timing in timings],
        "absent": list(absent),
    }


@dataclass(frozen=True)
class _Way:
    name: str
    backend: str = ""
    peer: str = ""
    in_memory: bool = False

    @property
    def warm_ups(self) -> int:
        """An exported graph is made when it is first asked for."""
        return int(self.backend in PROVIDERS and not self.in_memory)


def _ways(operation: Operation) -> tuple[list[_Way], list[str]]:
    """Return who can do it here, ours first, and why others cannot."""
    ways = [_Way("hdrgen")] if not operation.backends else []
    absent = []
    for backend in operation.backends:
        if backend == "torch" or _can_run(backend):
            ways.append(_Way(backend, backend=backend))
        else:
            absent.append(f"{backend} is not installed; pip install 'hdrgen[{backend}]'")
    ways += [
        _Way(f"{way.name} in memory", backend=way.backend, in_memory=True) for way in ways if way.backend
    ]
    for name in operation.peers:
        missing = [module for module in PEERS[name].modules if importlib.util.find_spec(module) is None]
        if missing:
            absent.append(f"{name} needs {', '.join(missing)}, not installed; pip install 'hdrgen[bench]'")
        else:
            ways.append(_Way(name, peer=name))
    return ways, absent


def _can_run(backend: str) -> bool:
    try:
        return importlib.util.find_spec("onnxscript") is not None and backend in present_runtimes()
    except HdrgenError:
        return False


def _run(name: str, way: _Way, pictures: Path) -> dict[str, Any]:
    operation = OPERATIONS[name]
    if way.in_memory:
        return _process("memory", operation.modules, (name, way.backend, str(pictures)))
    if way.peer:
        return _process("peer", PEERS[way.peer].modules, (way.peer, str(pictures)))
    with tempfile.TemporaryDirectory() as out:
        arguments = [argument.format(folder=pictures, out=f"{out}/new") for argument in operation.arguments]
        if way.backend:
            arguments += ["--backend", way.backend]
        return _process("hdrgen", operation.modules, arguments)


def _process(kind: str, modules: Sequence[str], arguments: Sequence[str]) -> dict[str, Any]:
    """Run a worker and return its figures, its seconds from start to exit, and the JSON it was asked for, if any."""
    start = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", WORKER, kind, ",".join(modules), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    process_seconds = time.perf_counter() - start
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise HdrgenError(f"hdrgen {' '.join(arguments) if kind == 'hdrgen' else arguments[0]}: {said}")
    said, _, figures = done.stdout.rstrip().rpartition("\n")
    answer: dict[str, Any] = json.loads(figures) | {"process_seconds": process_seconds}
    if "--json" in arguments:
        answer["said"] = json.loads(said)
    return answer


def _timing(
    name: str,
    way: _Way,
    size: tuple[int, int],
    runs: Sequence[dict[str, Any]],
    ceilings: Ceilings,
    ours: float | None,
) -> Timing:
    operation, pixels = OPERATIONS[name], size[0] * size[1]
    seconds = [run["seconds"] / operation.pictures for run in runs]
    median = statistics.median(seconds)
    flop = operation.flop_per_pixel() * pixels if operation.flop_per_pixel and not way.peer else None
    return Timing(
        name,
        way.name,
        *size,
        len(runs),
        median,
        min(seconds),
        max(seconds),
        statistics.median(run["cpu_seconds"] for run in runs) / operation.pictures,
        statistics.median(run["process_seconds"] for run in runs) / operation.pictures,
        max(run["peak_mib"] for run in runs),
        flop / median / ceilings.matrix_flops if flop else None,
        operation.bytes_per_pixel * pixels / median / ceilings.memory_bytes_per_s,
        median / (ours or median),
    )
