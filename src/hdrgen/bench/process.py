"""What a run of the benchmark in a process of its own takes, together with those that it started."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Protocol

import psutil

Kind = Literal["hdrgen", "memory", "peer"]
"""A command, a model alone, or someone else's way: see `bench.in_memory` and `bench.peers`."""

SAMPLED_EVERY_S = 0.1
"""How often the memory of all processes of a run is looked at."""


@dataclass(frozen=True)
class Run:
    """A process: the seconds of each of its calls, and what its command wrote to stdout."""

    seconds: list[float]
    cpu_seconds: list[float]
    process_seconds: float
    peak_mib: float
    stdout: str


class RunProcess(Protocol):
    """How calls are timed: each time in a process of its own, which imports these modules first."""

    def __call__(
        self, kind: Kind, modules: Sequence[str], arguments: Sequence[str], *, calls: int = 1
    ) -> Run:
        """Time so many calls in one process.

        Raises
        ------
        HdrgenError
            It failed.
        """
        ...


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
