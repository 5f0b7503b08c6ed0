"""The rows of finished frames that no index holds yet, so that a run that was stopped goes on where it was.

One line for each row, appended as soon as its files are there. The index takes the rows over, and the journal goes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from hdrgen.dataset.frame_index import previous_index, write_index
from hdrgen.runtime.errors import MachineError

JOURNAL_NAME = "unfinished.jsonl"

Row = dict[str, Any]


class Journal:
    """The rows of earlier runs, finished or not, and those of this one.

    Parameters
    ----------
    folder
        Of the stage's output.
    schema
        Of its index.
    about
        What the folder is made of, see `journal_is_about`.

    Raises
    ------
    MachineError
        It cannot be written, when it is entered, added to or left.
    """

    def __init__(self, folder: Path, schema: pl.Schema, about: Mapping[str, str] | None = None) -> None:
        self._folder, self._schema, self._about = folder, schema, dict(about or {})
        self._path = folder / JOURNAL_NAME
        # The later row of a file is the one that holds.
        self.rows: list[Row] = [*previous_index(folder, schema).iter_rows(named=True), *self._unfinished()]
        self._known = {tuple(row.values()) for row in self.rows}

    def __enter__(self) -> Self:
        with self._named():
            self._stream = self._path.open("ab")
            # A run that was killed may have left half a line, which is one of its own then.
            self._stream.write(b"\n" if self._stream.tell() else (json.dumps(self._about) + "\n").encode())
            self._stream.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What could not be written is tried again at closing, and fails again.
        with suppress(MachineError) if error else nullcontext(), self._named():
            self._stream.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows whose files are written."""
        for row in rows:
            whole = dict.fromkeys(self._schema) | row
            if tuple(whole.values()) not in self._known:
                with self._named():
                    self._stream.write(json.dumps(whole, default=_as_text).encode() + b"\n")
                    self._stream.flush()

    def finish(self, index: pl.DataFrame) -> None:
        """Write the index, which takes over all rows, and remove the journal."""
        write_index(self._folder, index)
        with self._named():
            self._stream.close()
            self._path.unlink()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MachineError(
                f"{self._path}: {error.strerror}; mend it and run it again, what was made is kept"
            ) from None

    def _unfinished(self) -> list[Row]:
        rows = []
        for row in _lines(self._path)[1:]:
            if set(row) == set(self._schema):
                binary = {
                    name: bytes.fromhex(row[name])
                    for name, kind in self._schema.items()
                    if kind == pl.Binary and row[name] is not None
                }
                rows.append({name: binary.get(name, row[name]) for name in self._schema})
        return rows


def journal_is_about(folder: Path) -> dict[str, str] | None:
    """Return what source the folder of an unfinished run is of; None where there is no such run."""
    lines = _lines(folder / JOURNAL_NAME)
    return lines[0] if lines else None


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return a journal's lines, but for what a run that was killed had half written."""
    if not path.is_file():
        return []
    documents = []
    for line in path.read_bytes().split(b"\n"):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            documents.append(document)
    return documents


def _as_text(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value.item()
