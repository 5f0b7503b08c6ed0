"""One process that does one job at a time: what crashes there, or takes all the memory, leaves the server serving."""

import asyncio
import logging
import multiprocessing
import signal
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import anyio.to_thread

from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.failures import failure
from hdrgen.web.jobs import Picture, Record

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""Time for a cancelled job to come to the end of its step; then its process is ended, and the model loaded anew."""


class Cancelled(Exception):  # noqa: N818 - reads as what it says
    """The job was cancelled."""


class Worker:
    """The process; started when first needed, and again after it ended.

    Parameters
    ----------
    models, device, backend, threads
        See `JobRunner`.
    """

    def __init__(
        self, models: Path, *, device: str = "auto", backend: str = "auto", threads: int = 2
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._settings = {"models": models, "device": device, "backend": backend, "threads": threads}
        self._cancelled: Event = self._context.Event()
        self._process: Any = None
        self._connection: Connection | None = None
        self._end: asyncio.TimerHandle | None = None

    async def make(self, record: Record, folder: Path, on_phase: Any) -> Picture:
        """Do a job, see `JobRunner.make`.

        Raises
        ------
        Cancelled
            By `cancel`.
        HdrgenError
            The job failed, or crashed its process.
        """
        self._cancelled.clear()
        connection = await anyio.to_thread.run_sync(self._started)
        try:
            connection.send((record, folder))
            while True:
                match await anyio.to_thread.run_sync(connection.recv, abandon_on_cancel=True):
                    case "phase", *phase:
                        on_phase(*phase)
                    case "made", picture:
                        return picture
                    case "failed", message:
                        raise HdrgenError(message)
                    case _:
                        raise Cancelled
        except (EOFError, OSError):
            cancelled = self._cancelled.is_set()
            code = self._stopped()
            if cancelled:
                raise Cancelled from None
            raise HdrgenError(
                f"the work crashed its process (exit code {code}); is there enough memory?"
            ) from None
        finally:
            if self._end:
                self._end.cancel()
                self._end = None

    def cancel(self) -> None:
        """End the running job after its step, or in the middle where it takes too long."""
        self._cancelled.set()
        if self._process is not None and self._end is None:
            self._end = asyncio.get_running_loop().call_later(PATIENCE_S, self._process.kill)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._stopped()

    def _started(self) -> Connection:
        if self._connection is None or not self._process.is_alive():
            self._stopped()
            self._connection, theirs = self._context.Pipe()
            self._process = self._context.Process(
                target=_work,
                args=(theirs, self._cancelled, self._settings),
                name="hdrgen worker",
                daemon=True,
            )
            self._process.start()
            theirs.close()  # so that the end of the process is the end of the connection
        return self._connection

    def _stopped(self) -> int | None:
        process, connection, self._process, self._connection = self._process, self._connection, None, None
        if process is None or connection is None:
            return None
        process.kill()
        process.join()
        connection.close()
        return process.exitcode


def _work(connection: Connection, cancelled: Event, settings: dict[str, Any]) -> None:
    """Do jobs until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C is the server's to answer
    from hdrgen.images.exr import use_threads  # noqa: PLC0415 - heavy, and the server's process needs none of it
    from hdrgen.web.run_job import JobRunner  # noqa: PLC0415

    use_threads(settings["threads"])
    make = JobRunner(**settings).make

    def on_phase(*phase: Any) -> None:
        if cancelled.is_set():
            raise Cancelled
        connection.send(("phase", *phase))

    while True:
        try:
            record, folder = connection.recv()
        except (EOFError, OSError):
            return
        try:
            reply: tuple[Any, ...] = ("made", make(record, folder, on_phase))
        except Cancelled:
            reply = ("cancelled",)
        except Exception as error:  # noqa: BLE001 - a bug is raised again where it is looked for
            reply = ("failed", failure(error)[0])
        try:
            connection.send(reply)
        except OSError:
            return
