"""What a bug leaves: a line for whoever met it, and its traceback in a file for whoever mends it."""

import os
import traceback

_logged: dict[str, str] = {}
"""The file of each traceback that was written, so that a bug that a thousand pictures meet is told once."""


def asked_to_raise() -> bool:
    """Tell whether a bug is to end the command with its traceback."""
    return "HDRGEN_TRACEBACK" in os.environ


def bug_in_words(error: BaseException) -> str:
    """Return a bug as one line that names the log with its traceback, which is written if it is a new one."""
    # In a worker it happened where its cause says; how it came from there may differ.
    happened = "".join(traceback.format_exception(error.__cause__ or error))
    where = _logged.get(happened)
    if where is None:
        try:
            where = _logged[happened] = _write("".join(traceback.format_exception(error)))
        except OSError:  # a full disk: the line is told all the same
            return f"{type(error).__name__}: {error} (a bug in hdrgen; HDRGEN_TRACEBACK=1 shows where)"
    return f"{type(error).__name__}: {error} (a bug in hdrgen; its traceback is in {where})"


def _write(text: str) -> str:
    import tempfile

    handle, path = tempfile.mkstemp(prefix="hdrgen-bug-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)
    return path
