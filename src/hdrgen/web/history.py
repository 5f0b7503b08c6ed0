"""The folder of jobs and pictures: one folder each, so that it is all there after a restart and without the page."""

import contextlib
import logging
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.jobs import ACTIVE, Job, Record, Source

log = logging.getLogger(__name__)

RECORD, PICTURE, PIXELS, BEFORE, THUMBNAIL = (
    "record.json",
    "picture.exr",
    "pixels.rgb16f",
    "before.rgb16f",
    "thumbnail.png",
)
WITHOUT_PICTURE_KEPT = 50
"""Most jobs kept that failed or were cancelled; older ones are forgotten."""

_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")


class History:
    """Jobs by their ids, newest last, on disk and in memory.

    Parameters
    ----------
    folder
        Made where it is missing. Jobs that a server left unfinished there are marked as interrupted.

    Raises
    ------
    HdrgenError
        The folder cannot be written, or another server works in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._folder / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise HdrgenError(
                f"{folder}: another hdrgen serve works there; give another folder with --output"
            ) from None
        except OSError as error:
            raise HdrgenError(f"{folder}: cannot be written ({error.strerror})") from None
        self._records = {record.id: record for record in self._read()}
        for record in [*self._records.values()]:
            if record.state in ACTIVE:
                self.save(
                    record.model_copy(update={"state": "interrupted", "message": "the server was stopped"})
                )

    def close(self) -> None:
        """Let another server work in the folder."""
        self._lock.release()

    def incoming(self) -> Path:
        """Return an empty folder for uploads that are under way."""
        folder = self._folder / ".incoming"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def new_id(self) -> str:
        """Return a new id; its folder is there."""
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
        (self._folder / name).mkdir()
        return name

    def add(self, name: str, job: Job, sources: Sequence[Source] = ()) -> Record:
        """Keep a new job under an id of `new_id`."""
        record = Record(id=name, job=job, sources=tuple(sources), created=time.time())
        self.save(record)
        return record

    def save(self, record: Record) -> None:
        """Keep what became of a job: for this server, even where it cannot be written."""
        self._records[record.id] = record
        with replacing(self.folder(record.id) / RECORD) as temporary:
            temporary.write_text(record.model_dump_json(), encoding="utf-8")
        without = [r.id for r in self._records.values() if r.picture is None and r.state not in ACTIVE]
        for name in without[:-WITHOUT_PICTURE_KEPT]:
            self.remove(name)

    def find(self, name: str) -> Record | None:
        """Return a job; an id that is none names nothing on the disk, whatever it looks like."""
        return self._records.get(name)

    def newest(self, count: int, before: str | None = None) -> list[Record]:
        """Return jobs that are over, newest first, older than the one named `before`."""
        names = [*self._records]
        if before is not None and before not in self._records:  # removed meanwhile
            return []
        end = len(names) if before is None else names.index(before)
        over = (r for r in map(self._records.__getitem__, names[:end][::-1]) if r.state not in ACTIVE)
        return [record for record, _ in zip(over, range(count), strict=False)]

    def remove(self, name: str) -> None:
        """Forget a job, or an id that none came of, and delete its files."""
        self._records.pop(name, None)
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def folder(self, name: str) -> Path:
        """Return the folder of an id."""
        assert _ID.fullmatch(name), name
        return self._folder / name

    def free_bytes(self) -> int:
        """Return how much the disk still holds."""
        return shutil.disk_usage(self._folder).free

    def _read(self) -> list[Record]:
        records = []
        for folder in sorted(path for path in self._folder.iterdir() if _ID.fullmatch(path.name)):
            file = folder / RECORD
            if not file.is_file():  # an upload that did not arrive whole
                with contextlib.suppress(OSError):
                    shutil.rmtree(folder)
                continue
            try:
                record = Record.model_validate_json(file.read_bytes())
            except (OSError, ValidationError) as error:
                log.warning("%s: left out of the history (%s)", file, str(error).splitlines()[0])
                continue
            if record.id == folder.name:
                records.append(record)
        return sorted(records, key=lambda record: record.created)
