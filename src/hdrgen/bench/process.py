"""One run of the benchmark in a process of its own, and what it takes, together with those that it started."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Protocol

import psutil

from hdrgen.runtime.errors import HdrgenError

Kind = Literal["hdrgen", "memory", "peer"]
"""A command, a model alone, or someone else's way, see `timed_calls`."""

SAMPLED_EVERY_S = 0.1
"""How often the memory of all processes of a run is looked at."""

WORKER = """
import json, sys
from hdrgen.cli.bench_worker import timed_calls
from hdrgen.runtime.errors import HdrgenError
kind, modules, calls, *arguments = sys.argv[1:]
try:
    code, figures = timed_calls(kind, modules.split(","), arguments, int(calls))
except HdrgenError as error:
    sys.exit(str(error))
print("\\n" + json.dumps(figures))
sys.exit(code)
"""


@dataclass(frozen=True)
class Run:
    """A process: the seconds of each of its calls, and what its command wrote to stdout."""

    seconds: list[float]
    cpu_seconds: list[float]
    process_seconds: float
    peak_mib: float
    stdout: str


def run_process(kind: Kind, modules: Sequence[str], arguments: Sequence[str], *, calls: int = 1) -> Run:
    """Time calls in a process of its own, see `hdrgen.cli.bench_worker.timed_calls`.

    Raises
    ------
    HdrgenError
        It failed; the last line of its stderr is the reason.
    """
    if hasattr(os, "sync"):
        os.sync()  # or what was written before is still being written while this runs
    start = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", WORKER, kind, ",".join(modules), str(calls), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            with sampled_peak(lambda: resident_bytes(process.pid)) as sampled_bytes:
                out, err = process.communicate()
        except BaseException:
            process.kill()
            raise
    process_seconds = time.perf_counter() - start
    if process.returncode:
        reason = (err.strip().splitlines() or [f"it ended with exit code {process.returncode}"])[-1]
        raise HdrgenError(f"hdrgen {' '.join(arguments) if kind == 'hdrgen' else arguments[0]}: {reason}")
    stdout, _, last = out.rstrip().rpartition("\n")
    figures = json.loads(last)
    return Run(
        figures["seconds"],
        figures["cpu_seconds"],
        process_seconds,
        max(figures["peak_mib"], sampled_bytes() / 2**20),
        stdout,
    )


class RunProcess(Protocol):
    """How calls are timed: `run_process`, or another way to the same."""

    def __call__(  # noqa: D102 - as `run_process`
        self, kind: Kind, modules: Sequence[str], arguments: Sequence[str], *, calls: int = 1
    ) -> Run: ...


def cpu_seconds() -> float:
    """Return what this process took so far, and those it started: of ended ones too where the system tells (Linux)."""
    process = psutil.Process()
    ended = process.cpu_times()
    total = time.process_time() + ended.children_user + ended.children_system
    for started in process.children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            total += sum(started.cpu_times()[:4])  # its own, and of what it has waited for
    return total


def resident_bytes(pid: int) -> int:
    """Return the memory of a process and those it started, 0 where it has ended; pages that they share count in each."""
    total = 0
    with suppress(psutil.Error):  # it has ended
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return total


@contextmanager
def sampled_peak(
    measured_bytes: Callable[[], int], every_s: float = SAMPLED_EVERY_S
) -> Iterator[Callable[[], int]]:
    """Call a function again and again while the block runs; yields what returns the most that it returned so far."""
    most, over = 0, threading.Event()

    def sample() -> None:
        nonlocal most
        while not over.wait(every_s):
            most = max(most, measured_bytes())

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield lambda: most
    finally:
        over.set()
        sampler.join()
