"""What the OpenEXR library prints and raises about a file, as reasons for a person.

Damaged pixels raise nothing: they leave a file without parts, and a sentence that the binding prints on Python's stdout.
Only sentences tell damage from a lack of memory, and from channels of several types that it cannot put together.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, TextIO, cast

_lock = Lock()
_printed: dict[int, list[str]] = {}
"""What each thread that reads has printed so far."""


class _Stdout:
    """A stdout that keeps what reading threads print and lets all others through."""

    def __init__(self, stdout: TextIO) -> None:
        self.stdout = stdout

    def write(self, text: str) -> int:
        printed = _printed.get(get_ident())
        if printed is None:
            return self.stdout.write(text)
        printed.append(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stdout, name)


@contextmanager
def printed_output() -> Iterator[list[str]]:
    """Give what is printed in this thread meanwhile, instead of printing it; many threads may read at once."""
    thread = get_ident()
    with _lock:
        if not isinstance(sys.stdout, _Stdout):
            sys.stdout = cast("TextIO", _Stdout(sys.stdout))
        printed = _printed[thread] = []
    try:
        yield printed
    finally:
        with _lock:
            del _printed[thread]
            if not _printed and isinstance(sys.stdout, _Stdout):
                sys.stdout = sys.stdout.stdout


def reason_printed(printed: list[str], path: Path) -> str:
    """Return why nothing was decoded: the last sentence that was printed, without where it happened."""
    lines = "".join(printed).strip().splitlines() or ["nothing could be decoded"]
    return lines[-1].rsplit(" - ", 1)[-1].replace(str(path), path.name)


def reason_raised(error: Exception, path: Path) -> str:
    """Return the library's reason without its words on the path."""
    text = str(error)
    for ending in (" when attempting", f" '{path}'", f" {path}", " '<python_buffer>'"):
        text = text.split(ending, maxsplit=1)[0]
    return text.replace(str(path), path.name)


def is_lack_of_memory(reason: str) -> bool:
    """Tell whether a reason that was printed is that memory ran out."""
    return "MemoryError" in reason


def is_of_several_types(error: Exception) -> bool:
    """Tell whether R, G, B and A could not be put together because their types differ."""
    return "coalesce" in str(error)
