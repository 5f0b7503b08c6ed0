"""How this process's memory is handed out, and whether it ran out."""

import sys

KEPT_BYTES = (1 << 31) - 1
"""Free memory at the end of the heap from which it goes back to the system: the largest number that glibc takes."""

LARGEST_KEPT_BYTES = (1 << 30, 1 << 25)
"""Largest array, in bytes, that is taken from the heap; larger ones come from the system and go back to it as always. The
second is the most that glibc before
2.35 takes."""

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
    import ctypes  # noqa: PLC0415 - every command imports this module, and few ask for this

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    # The threshold for trimming alone would stop glibc from raising the other by itself.
    arrays = any(mallopt(_M_MMAP_THRESHOLD, largest) for largest in LARGEST_KEPT_BYTES)
    return bool(arrays and mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether Python, torch's allocator on a processor (a `RuntimeError`) or one on a GPU ran out of memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
