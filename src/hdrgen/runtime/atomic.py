"""Files that appear whole or not at all."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

_WRITING_FAILED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""What only writing meets: where the system names no file with it, it is the one that is being written."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there when the block succeeds, remove it otherwise.

    The temporary file is there from the start, so a folder that cannot be written to is known before the work is
    done. Its name keeps the suffix, because writers choose the format by it. Missing parent folders are made. What the
    system says of the temporary file names ``path``: nobody has asked for the other.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{token_hex(6)}{path.suffix}")
    try:
        _touch(temporary)
        yield temporary
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # it may never have been there
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            _name(error, temporary, path)
        raise


def _touch(temporary: Path) -> None:
    try:
        temporary.touch(exist_ok=False)
    except FileNotFoundError:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)


def _name(error: OSError, temporary: Path, path: Path) -> None:
    if (
        type(error) is OSError and error.errno is None
    ):  # of a library that has the system's error in its words alone
        numbered = re.search(r"\(os error (\d+)\)", str(error))
        error.strerror = os.strerror(int(numbered[1])) if numbered else str(error)
        error.errno = int(numbered[1]) if numbered else errno.EIO
        error.filename = str(path)
    elif error.filename is None:
        error.filename = str(path) if error.errno in _WRITING_FAILED else None
    elif isinstance(error.filename, str | os.PathLike) and Path(error.filename) == temporary:
        error.filename, error.filename2 = str(path), None
