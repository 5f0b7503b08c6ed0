"""Whether an EXR that was written is on the disk as a whole.

The library tells of a full disk while it writes, in words, but not when it closes the file: what the last buffer held is
lost in silence then, which of a small picture is all of it.
"""

import errno
import os
import struct
from pathlib import Path
from typing import BinaryIO

_CHUNK_HEADER = 8  # of scan lines: the first row and the size, in four bytes each


def as_os_error(error: RuntimeError, path: Path) -> Exception:
    """Return what the library said as the system's error that it repeats, or as it was where it repeats none."""
    message = str(error)
    codes = [code for code in errno.errorcode if os.strerror(code) in message]
    return OSError(codes[0], os.strerror(codes[0]), str(path)) if codes else error


def check_whole(path: Path, target: Path) -> None:
    """Check that a file of one part of scan lines ends where its last chunk ends.

    Parameters
    ----------
    path
        The file.
    target
        What it is to be called in a message.

    Raises
    ------
    OSError
        It does not.
    """
    with path.open("rb") as stream:
        whole = _end(stream) == path.stat().st_size
    if not whole:
        raise OSError(errno.EIO, "was not written as a whole; is the disk full?", str(target))


def _end(stream: BinaryIO) -> int:
    """Return where the chunk that is last in the file ends; -1 where a part of the file is missing."""
    try:
        stream.seek(8)  # the magic number and the version
        while _word(stream):
            _word(stream)
            stream.seek(struct.unpack("<i", stream.read(4))[0], os.SEEK_CUR)
        table = stream.tell()
        (first,) = struct.unpack("<Q", stream.read(8))  # the first chunk in the file follows the table
        count = (first - table) // 8
        stream.seek(table)
        offsets = struct.unpack(f"<{count}Q", stream.read(8 * count))
        stream.seek(max(offsets) + _CHUNK_HEADER - 4)
        size: int = struct.unpack("<i", stream.read(4))[0]
    except (struct.error, ValueError):  # the file ends here
        return -1
    return max(offsets) + _CHUNK_HEADER + size if min(offsets) else -1


def _word(stream: BinaryIO) -> bytes:
    """Return the bytes before the next zero."""
    word = bytearray()
    while (byte := stream.read(1)) != b"\0":
        if not byte:
            raise ValueError("ends early")
        word += byte
    return bytes(word)
