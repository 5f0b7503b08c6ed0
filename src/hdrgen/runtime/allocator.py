"""How this process's memory is handed out: for commands, which work on pictures of one size and then end."""

import ctypes
import sys

KEPT_BYTES = (1 << 31) - 1
"""Most that is kept when it is free: the largest number that glibc takes."""

LARGEST_KEPT_BYTES = 1 << 30
"""Of one array; larger ones come from the system and go back to it as always."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> bool:
    """Have malloc keep memory that is freed for what is asked for next; tell whether it does (glibc alone can).

    By default arrays of many megabytes go back to the system each time, which then clears the same pages again: a fifth
    of the time that ``hdrgen fuse`` takes. Memory that is in use at once does not grow by it, but what is free is not
    for other processes until this one ends.

    References
    ----------
    mallopt(3), Linux man-pages.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    try:
        return all(
            [
                libc.mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES),
                libc.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES),
            ]
        )
    except AttributeError:  # another C library
        return False
