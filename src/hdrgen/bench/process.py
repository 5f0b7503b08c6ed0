"""One run of the benchmark in a process of its own, and the most memory that it held."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

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
    """A process: the seconds of each of its calls, and what its command said on stdout."""

    seconds: list[float]
    cpu_seconds: list[float]
    process_seconds: float
    peak_mib: float
    said: str


def run_process(kind: Kind, modules: Sequence[str], arguments: Sequence[str], *, calls: int = 1) -> Run:
    """Run a worker, see `hdrgen.cli.bench_worker.timed_calls`.

    Raises
    ------
    HdrgenError
        It failed; the last line that it said is the reason.
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
            with _sampled_peak(process.pid) as sampled_bytes:
                out, err = process.communicate()
        except BaseException:
            process.kill()
            raise
    process_seconds = time.perf_counter() - start
    if process.returncode:
        reason = (err.strip().splitlines() or [f"it ended with exit code {process.returncode}"])[-1]
        raise HdrgenError(f"hdrgen {' '.join(arguments) if kind == 'hdrgen' else arguments[0]}: {reason}")
    said, _, last = out.rstrip().rpartition("\n")
    figures = json.loads(last)
    return Run(
        figures["seconds"],
        figures["cpu_seconds"],
        process_seconds,
        max(figures["peak_mib"], sampled_bytes() / 2**20),
        said,
    )


@contextmanager
def _sampled_peak(pid: int) -> Iterator[Callable[[], int]]:
    """Look at the memory of a process and those it started while the block runs; yields what tells the most, in bytes."""
    most, over = 0, threading.Event()

    def sample() -> None:
        nonlocal most
        while not over.wait(SAMPLED_EVERY_S):
            most = max(most, _resident_bytes(pid))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield lambda: most
    finally:
        over.set()
        sampler.join()


def _resident_bytes(pid: int) -> int:
    total = 0
    with suppress(psutil.Error):  # it has ended
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.memory_info().rss
    return total
