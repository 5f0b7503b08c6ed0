"""A picture worked on in bands of rows, which stay in the cache and share nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

ROWS_PER_BAND = 32
"""Few enough that a band of floats four thousand pixels wide stays in the second cache."""


def each_band(height: int, work: Callable[[slice], None], *, threads: int) -> None:
    """Call `work` with the rows of each band, several at once; what numpy computes leaves the lock free."""
    bands = [slice(top, min(top + ROWS_PER_BAND, height)) for top in range(0, height, ROWS_PER_BAND)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bands))
