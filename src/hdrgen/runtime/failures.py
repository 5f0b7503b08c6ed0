"""Why something failed, in one line. A bug also leaves its traceback in a file for whoever mends it."""

import os
import traceback
from pathlib import Path

from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.memory import is_out_of_memory

_logged: dict[str, str] = {}
"""The file of each traceback that was written, so that a bug that a thousand pictures meet is written once."""


def raises_bugs() -> bool:
    """Tell whether a bug is to end the command with its traceback."""
    return "HDRGEN_TRACEBACK" in os.environ


def one_line(text: str) -> str:
    """Return a text without its ends of lines."""
    return " ".join(text.split())


def failure(error: BaseException, name: Path | None = None) -> tuple[str, bool]:
    """Return why something failed, in one line, and whether that is a bug.

    Parameters
    ----------
    error
        What it failed with. A bug is raised again where `raises_bugs`.
    name
        The file that was worked on, for errors that name none; None is a command as a whole.
    """
    if is_out_of_memory(error):
        return f"{f'{name}:' if name else 'this'} needs more memory than there is", False
    if isinstance(error, OSError):
        file = error.filename or name
        return f"{file}: {error.strerror or error}" if file else str(error), False
    if isinstance(error, HdrgenError):
        return one_line(str(error)), False
    if raises_bugs():
        raise error
    bug = one_line(describe_bug(error))
    return f"{name}: {bug}" if name else bug, True


def describe_bug(error: BaseException) -> str:
    """Return a bug as one line that names the log with its traceback, which is written if it is a new one."""
    # In a worker it happened where its cause says; how it came from there may differ.
    happened = "".join(traceback.format_exception(error.__cause__ or error))
    where = _logged.get(happened)
    if where is None:
        try:
            where = _logged[happened] = _write("".join(traceback.format_exception(error)))
        except OSError:  # a full disk: the line alone has to do
            return f"{type(error).__name__}: {error} (a bug in hdrgen; HDRGEN_TRACEBACK=1 shows where)"
    return f"{type(error).__name__}: {error} (a bug in hdrgen; its traceback is in {where})"


def _write(trace: str) -> str:
    import tempfile  # noqa: PLC0415 - every command imports this module, and bugs are rare

    handle, path = tempfile.mkstemp(prefix="hdrgen-bug-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(trace)
    return path
