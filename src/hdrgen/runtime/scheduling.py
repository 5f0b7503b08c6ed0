"""Work on many frames at once: the one interface, and its local implementation in worker processes.

A frame that crashes its process, hangs, or asks for all the memory costs only itself. What the machine does, a full
disk or a process killed from outside, is no property of a frame and ends the work. Outcomes come in the
order of the items whatever finished first, so nothing downstream depends on timing. A cluster is another
`MapFrames`; nothing else would change.
"""

import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from pebble import ProcessExpired, ProcessPool
from pydantic import Field

from hdrgen.runtime.errors import HdrgenError, MachineError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")
Workers = int | Literal["auto"]

# One thread in each worker: the frames are the parallelism, and pools inside pools only get in each other's way.
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "POLARS_MAX_THREADS",
)
# By somebody, or by a system whose memory ran out: what a frame asks for beyond its own bound is refused before.
_KILLED = {
    signal.SIGTERM,
    signal.SIGINT,
    *(getattr(signal, name) for name in ("SIGKILL", "SIGHUP") if hasattr(signal, name)),
}
# Enough that a slow frame leaves no worker idle, few enough that memory does not grow with the library.
_IN_FLIGHT_PER_WORKER = 4


@dataclass(frozen=True)
class Outcome(Generic[ValueT]):
    """What became of one item: a value, or a reason a person understands."""

    value: ValueT | None
    failure: str | None = None
    timed_out: bool = False


def cores() -> int:
    """Return how many cores this process may use, as far as the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class MapFrames(Protocol):
    """Run a function over items, somewhere, in bounded time and memory each."""

    def __call__(
        self,
        function: Callable[[ItemT], ValueT],
        items: Sequence[ItemT],
        *,
        workers: Workers,
        timeout_s: float,
        memory_bytes: int,
        on_progress: OnProgress | None = None,
    ) -> Iterator[Outcome[ValueT]]:
        """Yield one outcome for each item, in the order of the items."""
        ...


def map_frames(
    function: Callable[[ItemT], ValueT],
    items: Sequence[ItemT],
    *,
    workers: Workers,
    timeout_s: float,
    memory_bytes: int,
    on_progress: OnProgress | None = None,
) -> Iterator[Outcome[ValueT]]:
    """Run a function over items in local worker processes.

    Parameters
    ----------
    function
        A module-level function; items and values travel between processes, so they should be small.
    items
        What to work on.
    workers
        How many processes; ``auto`` is one for each core this process may use.
    timeout_s
        Time for one item, from when it starts.
    memory_bytes
        Memory that one item may add to a worker's own, where the system can limit it.
    on_progress
        Called with (items done, items in all).

    Yields
    ------
    Outcome
        In the order of the items.

    Raises
    ------
    MachineError
        The machine failed an item: a full disk, no permission, a file that vanished, a killed process.
    """
    count = cores() if workers == "auto" else workers
    count = max(1, min(count, len(items)))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    with _one_thread():
        pool = ProcessPool(
            max_workers=count, initializer=_start_worker, initargs=(memory_bytes,), context=context
        )
        finished = False
        try:
            pending: deque[Any] = deque()
            done = 0
            remaining = iter(items)
            while True:
                while len(pending) < count * _IN_FLIGHT_PER_WORKER:
                    try:
                        pending.append(pool.schedule(function, args=(next(remaining),), timeout=timeout_s))
                    except StopIteration:
                        break
                if not pending:
                    break
                outcome: Outcome[ValueT] = _outcome(pending.popleft(), timeout_s, memory_bytes)
                done += 1
                if on_progress:
                    on_progress(done, len(items))
                yield outcome
            pool.close()  # type: ignore[no-untyped-call]
            finished = True
        finally:
            # Reached early when the caller stops listening: what still runs is of no use then. A pool that
            # has done its work is not stopped, because that would cut down workers that are just starting.
            if not finished:
                pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


class FrameWork(Section):
    """How a stage works on its frames: how many at once, and what one frame may cost. Outputs do not depend on it."""

    workers: Workers = "auto"
    """Processes at the same time; `auto` is one for each core."""
    timeout_s: float = Field(default=120.0, gt=0)
    """Seconds after which a frame is given up."""
    memory_gib: float = Field(default=4.0, gt=0)
    """Memory that one frame may take, in GiB."""

    def outcomes(
        self,
        function: Callable[[ItemT], ValueT],
        items: Sequence[ItemT],
        on_progress: OnProgress | None = None,
        schedule: MapFrames = map_frames,
    ) -> Iterator[Outcome[ValueT]]:
        """Run a function over items within these limits, see `map_frames`."""
        return schedule(
            function,
            items,
            workers=self.workers,
            timeout_s=self.timeout_s,
            memory_bytes=int(self.memory_gib * 2**30),
            on_progress=on_progress,
        )

    def what_matters(self) -> dict[str, Any]:
        """Return the settings that outputs do depend on, JSON-able, for the names of files."""
        return self.model_dump(mode="json", exclude=set(FrameWork.model_fields))


def _outcome(future: Any, timeout_s: float, memory_bytes: int) -> Outcome[Any]:
    try:
        return Outcome(future.result())
    except FutureTimeoutError:
        return Outcome(None, f"took longer than {timeout_s:g} s", timed_out=True)
    except MemoryError:
        return Outcome(None, f"needed more than {memory_bytes / 2**30:g} GiB of memory")
    except ProcessExpired as error:
        if -error.exitcode in _KILLED:
            raise MachineError(
                f"a worker was killed ({_exit_in_words(error.exitcode)}); where memory ran out, take fewer workers "
                "or less memory for each (memory_gib), and run it again"
            ) from None
        return Outcome(None, f"crashed its process ({_exit_in_words(error.exitcode)})")
    except MachineError:
        raise
    except HdrgenError as error:
        return Outcome(None, str(getattr(error, "reason", error)))
    except OSError as error:  # readers of pictures raise none for what a file holds
        where = f"{error.filename}: " if error.filename else ""
        raise MachineError(
            f"{where}{error.strerror or error}; mend it and run again, what was made is kept"
        ) from None
    except Exception as error:
        log.warning("a frame failed unexpectedly", exc_info=error)
        return Outcome(None, f"failed ({type(error).__name__}: {error})".splitlines()[0])


def _exit_in_words(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


def _start_worker(memory_bytes: int) -> None:
    """Bound this process's memory, quieten it, and let it end as it is ended."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        with open("/proc/self/statm") as stream:  # noqa: PTH123
            own = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own + memory_bytes, own + memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        log.debug("this system cannot limit a worker's memory")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the pool's own answer looks like an exit of the frame's
    # Decoders speak of damaged files on stderr, line after line; the outcome says it once.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Set the thread counts that libraries read when they are loaded, for the processes started meanwhile."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
