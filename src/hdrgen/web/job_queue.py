"""Jobs wait their turn, one is worked on, and whoever watches is told of every change."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.history import History
from hdrgen.web.jobs import Picture, Record
from hdrgen.web.worker import Cancelled

log = logging.getLogger(__name__)


class Maker(Protocol):
    """What `Worker` is, as far as the queue is concerned."""

    async def make(self, record: Record, folder: Path, on_phase: Callable[[str, int, int], None]) -> Picture:
        """Do a job."""
        ...

    def cancel(self) -> None:
        """End the running job."""
        ...


class QueueFullError(HdrgenError):
    """Too many jobs wait for another to be taken."""


@dataclass(frozen=True)
class Phase:
    """What is being done, for people, and how far it is; ``total`` is 0 where that is not known."""

    words: str
    done: int = 0
    total: int = 0


class JobQueue:
    """The jobs that are not over. To be used from the event loop alone.

    Parameters
    ----------
    history
        Where jobs and pictures are kept.
    worker
        Does them.
    longest
        Jobs that may wait.
    """

    def __init__(self, history: History, worker: Maker, longest: int) -> None:
        self._history, self._worker, self._longest = history, worker, longest
        self._active: dict[str, tuple[Record, Phase]] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        # The clock, so that a page that outlives the server never takes a new one's state for the old one's.
        self.revision = time.time_ns() // 1000
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def active(self) -> list[tuple[Record, Phase]]:
        """Jobs that wait or are worked on, oldest first."""
        return [*self._active.values()]

    def check_room(self) -> None:
        """Refuse before a body is read what would be refused after.

        Raises
        ------
        QueueFullError
            There is no room for another job.
        """
        if len(self._active) > self._longest:
            raise QueueFullError(f"{self._longest} jobs are waiting already; cancel one, or come back later")

    def submit(self, record: Record) -> None:
        """Let a job wait its turn.

        Raises
        ------
        QueueFullError
            There is no room for another job.
        """
        self.check_room()
        self._active[record.id] = record, Phase("Waiting")
        self._waiting.put_nowait(record.id)
        self.tell()

    def cancel(self, name: str) -> bool:
        """End a job that waits or is worked on; tell whether there was one."""
        if name not in self._active:
            return False
        record, phase = self._active[name]
        if record.state == "running":
            self._active[name] = record, Phase("Cancelling", phase.done, phase.total)
            self._worker.cancel()
            self.tell()
        else:
            self._over(record, state="cancelled")
        return True

    async def changed_after(self, revision: int, seconds: float) -> None:
        """Return when there is something new, or when the time is over."""
        if revision == self.revision and not self._closed:
            changed = self._changed
            try:
                await asyncio.wait_for(changed.wait(), seconds)
            except TimeoutError:
                return

    def tell(self) -> None:
        """Wake whoever watches."""
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Let nobody wait for news any longer: the server is about to end."""
        self._closed = True
        self.tell()

    async def work(self) -> None:
        """Do one job after the other, for ever."""
        while True:
            name = await self._waiting.get()
            if name in self._active:
                await self._do(self._active[name][0])

    async def _do(self, record: Record) -> None:
        record = record.model_copy(update={"state": "running"})
        self._active[record.id] = record, Phase("Starting")
        self.tell()

        def on_phase(words: str, done: int, total: int) -> None:
            if self._active[record.id][1].words != "Cancelling":
                self._active[record.id] = record, Phase(words, done, total)
                self.tell()

        started = time.monotonic()
        try:
            self._history.save(record)
            picture = await self._worker.make(record, self._history.folder(record.id), on_phase)
        except Cancelled:
            self._over(record, state="cancelled")
        except (HdrgenError, OSError) as error:
            self._over(record, state="failed", message=str(error))
        except Exception as error:  # the jobs after it do not wait for ever
            log.exception("%s: ended by a bug", record.id)
            self._over(record, state="failed", message=f"{type(error).__name__}: {error} (a bug in hdrgen)")
        else:
            seconds = time.monotonic() - started
            self._over(record, state="done", picture=picture, seconds=seconds)

    def _over(self, record: Record, **outcome: object) -> None:
        del self._active[record.id]
        try:
            self._history.save(record.model_copy(update=outcome))
        except OSError as error:  # a full disk ends this job, not all those after it
            log.warning("%s: what became of it is not kept (%s)", record.id, error)
        self.tell()
