"""Timing commands as their users see them: each run is a process of its own, pictures in, pictures out."""

import importlib.util
import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hdrgen.bench.ceilings import Ceilings
from hdrgen.bench.operations import OPERATIONS, Operation, scene
from hdrgen.bench.peers import PEERS
from hdrgen.bench.process import Run, RunProcess
from hdrgen.inference.backends import Fastest
from hdrgen.inference.onnx_session import PROVIDERS, Runtime, why_absent
from hdrgen.routes.trained_models import find_trained
from hdrgen.runtime.errors import HdrgenError

GENERATE_STEP = "generate_step"
GENERATE_STEPS = (2, 52)
"""Two lengths of sampling: their difference is what steps cost without loading and decoding, whose time varies."""


@dataclass(frozen=True)
class Timing:
    """Time and memory of an operation, for one picture.

    Parameters
    ----------
    operation, by
        What was done; and which backend of ours did it (``hdrgen`` where there is no choice), with or without files,
        or whose program.
    width, height
        Size of the picture, in pixels.
    runs
        How many were timed: processes, or calls in one process where a model is in memory.
    median_s, fastest_s, slowest_s
        Seconds of the runs, without imports.
    cpu_s
        Median processor time of all threads, and of the processes it started.
    process_s
        Median from start to exit, imports and all; of a model in memory, with all of its calls.
    peak_mib
        Largest memory of the process and those it started together, looked at ten times a second; pages that they
        share count in each. Of the process alone it is the true peak where the system tells (Linux).
    matrix_share
        Operations of the network over the time, as a share of the measured ceiling of its kind of numbers: 8-bit integers
        where it runs in these; None where there is no network.
    memory_share
        Bytes of the pictures over the time, as a share of the measured ceiling.
    of_ours
        Times of the operation's first row that it takes; None where ours failed.
    first_call_s
        Seconds of the call of a model in memory before those that are timed, which loads graphs and prepares
        kernels; else None.
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
    of_ours: float | None
    first_call_s: float | None = None


@dataclass(frozen=True)
class Missing:
    """A timing that is missing, and why: it failed, or it cannot be run here."""

    what: str
    why: str
    failed: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def measure(
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    runs: int,
    ceilings: Ceilings,
    models: Path,
    worker: RunProcess,
    on_start: Callable[[str], None] = lambda _: None,
) -> Iterator[Timing | Missing]:
    """Yield a timing for each operation, size, and way, as soon as it is there, or why there is none.

    Parameters
    ----------
    names
        Keys of `OPERATIONS`, and `GENERATE_STEP`.
    sizes
        Width and height of the pictures, in pixels.
    runs
        Runs of each; the median counts.
    ceilings
        Best rates of this machine, with as many threads as the commands use.
    models
        Folder of what was trained, to generate with.
    worker
        What times calls.
    on_start
        Called with what is about to be measured.
    """
    for name in names:
        if name == GENERATE_STEP:
            on_start(name)
            yield _generate_step(models, runs, worker)
            continue
        ways, absent = _ways(OPERATIONS[name])
        yield from (Missing(name, why, failed=False) for why in absent)
        for width, height in sizes:
            with tempfile.TemporaryDirectory() as folder:
                pictures = Path(folder) / "pictures"
                pictures.mkdir()
                OPERATIONS[name].write_pictures(scene(width, height), pictures)
                ours: float | None = None
                for way in ways:
                    what = f"{name} by {way.name}, {width}x{height}"
                    on_start(what)
                    try:
                        timed_runs = _runs(name, way, pictures, runs, worker)
                    except HdrgenError as error:
                        yield Missing(what, str(error), failed=True)
                        continue
                    timing = _timing(name, way, (width, height), timed_runs, ceilings, ours)
                    ours = timing.median_s if ours is None and not way.peer else ours
                    yield timing


def fastest_backends(timings: Iterable[Timing]) -> dict[str, Fastest]:
    """Return the fastest backend of each model, at the largest size at which several were measured."""
    fastest: dict[str, Fastest] = {}
    by_size: dict[tuple[str, int], dict[str, float]] = {}
    for timing in timings:
        operation = OPERATIONS.get(timing.operation)
        if operation and timing.by in operation.backends:
            pixels = timing.width * timing.height
            by_size.setdefault((operation.model, pixels), {})[timing.by] = timing.median_s
    for (model, pixels), seconds in sorted(by_size.items()):
        if len(seconds) > 1:
            fastest[model] = Fastest(min(seconds, key=seconds.__getitem__), pixels)
    return fastest


def as_json(timings: Iterable[Timing], ceilings: Ceilings, missing: Sequence[Missing]) -> dict[str, Any]:
    """Return everything for a JSON file."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "ceilings": asdict(ceilings),
        "timings": [asdict(timing) for timing in timings],
        "absent": [str(one) for one in missing if not one.failed],
        "failed": [str(one) for one in missing if one.failed],
    }


@dataclass(frozen=True)
class _Way:
    name: str
    backend: Literal["", "torch"] | Runtime = ""
    peer: str = ""
    in_memory: bool = False

    @property
    def warm_ups(self) -> int:
        """An exported graph is made when it is first asked for."""
        return int(self.backend in PROVIDERS)


def _ways(operation: Operation) -> tuple[list[_Way], list[str]]:
    """Return who can do it here, ours first, and why others cannot."""
    ways = [_Way("hdrgen")] if not operation.backends else []
    absent = []
    for backend in operation.backends:
        why = None if backend == "torch" else _why_absent(backend)
        if why is None:
            ways.append(_Way(backend, backend=backend))
        else:
            absent.append(f"{backend} is absent, because {why}")
    in_memory = [
        _Way(f"{way.name} in memory", backend=way.backend, in_memory=True) for way in ways if way.backend
    ]
    ways = [*ways, *in_memory] if operation.arguments is not None else in_memory
    for name in operation.peers:
        missing = [module for module in PEERS[name].modules if importlib.util.find_spec(module) is None]
        if missing:
            absent.append(f"{name} needs {', '.join(missing)}, not installed; pip install 'hdrgen[bench]'")
        else:
            ways.append(_Way(name, peer=name))
    return ways, absent


def _why_absent(backend: Runtime) -> str | None:
    """Return why a backend cannot be measured here; its graphs have to be exported, too."""
    if importlib.util.find_spec("onnxscript") is None:
        return f"onnxscript is not installed; pip install 'hdrgen[{backend}]'"
    return why_absent(backend)


def _runs(name: str, way: _Way, pictures: Path, runs: int, worker: RunProcess) -> list[Run]:
    """Return ``runs`` runs of a way; in memory, one run with a first call and ``runs`` more."""
    operation = OPERATIONS[name]
    if way.in_memory:
        return [worker("memory", operation.modules, (name, way.backend, str(pictures)), calls=1 + runs)]
    return [_run_in_files(operation, way, pictures, worker) for _ in range(way.warm_ups + runs)][
        way.warm_ups :
    ]


def _run_in_files(operation: Operation, way: _Way, pictures: Path, worker: RunProcess) -> Run:
    if way.peer:
        return worker("peer", PEERS[way.peer].modules, (way.peer, str(pictures)))
    assert operation.arguments is not None, "what no command runs is measured in memory"
    with tempfile.TemporaryDirectory() as out:
        arguments = [argument.format(folder=pictures, out=f"{out}/new") for argument in operation.arguments]
        if way.backend:
            arguments += ["--backend", way.backend]
        return worker("hdrgen", operation.modules, arguments)


def _timing(
    name: str,
    way: _Way,
    size: tuple[int, int],
    timed_runs: Sequence[Run],
    ceilings: Ceilings,
    ours: float | None,
) -> Timing:
    operation, pixels = OPERATIONS[name], size[0] * size[1]
    first = int(way.in_memory)  # calls that are not counted
    seconds = [s / operation.pictures for run in timed_runs for s in run.seconds[first:]]
    cpu_seconds = [s / operation.pictures for run in timed_runs for s in run.cpu_seconds[first:]]
    median = statistics.median(seconds)
    flop = operation.flop_per_pixel() * pixels if operation.flop_per_pixel and not way.peer else None
    return Timing(
        operation=name,
        by=way.name,
        width=size[0],
        height=size[1],
        runs=len(seconds),
        median_s=median,
        fastest_s=min(seconds),
        slowest_s=max(seconds),
        cpu_s=statistics.median(cpu_seconds),
        process_s=statistics.median(run.process_seconds for run in timed_runs) / operation.pictures,
        peak_mib=max(run.peak_mib for run in timed_runs),
        matrix_share=flop / median / _peak(operation, way, ceilings) if flop else None,
        memory_share=operation.bytes_per_pixel * pixels / median / ceilings.memory_bytes_per_s,
        of_ours=median / ours if ours else None if way.peer else 1.0,
        first_call_s=timed_runs[0].seconds[0] if way.in_memory else None,
    )


def _peak(operation: Operation, way: _Way, ceilings: Ceilings) -> float:
    """Return the best rate of the products that a network is made of."""
    in_torch = way.backend in ("", "torch")
    return ceilings.int8_ops if operation.int8 and in_torch and ceilings.int8_ops else ceilings.matrix_flops


def _generate_step(models: Path, runs: int, worker: RunProcess) -> Timing | Missing:
    """Return what a denoising step takes at the size the model was trained at, the four pictures of a bracket together."""
    try:
        find_trained(models, "brackets")
    except HdrgenError as error:
        return Missing(GENERATE_STEP, str(error), failed=False)
    took: dict[int, list[Run]] = {steps: [] for steps in GENERATE_STEPS}
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / "out.exr")
        arguments = ("generate", "night street", "-o", target, "--models", str(models), "--json")
        for steps in GENERATE_STEPS * runs:
            try:
                took[steps].append(
                    worker("hdrgen", ("hdrgen.routes.load_generator",), (*arguments, "--steps", str(steps)))
                )
            except HdrgenError as error:
                return Missing(GENERATE_STEP, str(error), failed=True)
    few, many = took.values()
    between = GENERATE_STEPS[1] - GENERATE_STEPS[0]
    seconds, cpu_seconds = (
        [(b - a) / between for a, b in pairs]
        for pairs in (
            [(a.seconds[0], b.seconds[0]) for a, b in zip(few, many, strict=True)],
            [(a.cpu_seconds[0], b.cpu_seconds[0]) for a, b in zip(few, many, strict=True)],
        )
    )
    facts = json.loads(many[0].stdout)["files"][0]
    return Timing(
        operation=GENERATE_STEP,
        by="hdrgen",
        width=facts["width"],
        height=facts["height"],
        runs=runs,
        median_s=statistics.median(seconds),
        fastest_s=min(seconds),
        slowest_s=max(seconds),
        cpu_s=statistics.median(cpu_seconds),
        process_s=statistics.median(run.process_seconds for run in many),
        peak_mib=max(run.peak_mib for run in many),
        matrix_share=None,
        memory_share=None,
        of_ours=1.0,
    )
