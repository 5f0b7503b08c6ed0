"""What this machine can do at best: the ceilings that timings are fractions of."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from hdrgen.inference.network import fastest_dtype, torch_threads

MATRIX_SIDE = 2048
MEMORY_BYTES = 1 << 28
REPEATS = 10


@dataclass(frozen=True)
class Ceilings:
    """Best rates of matrix products and of memory, measured; the best of ten counts.

    ``matrix_flops`` is of square products of 2048 in ``dtype``, operations per second; ``memory_bytes_per_s`` of copying
    256 MiB, each byte read and written.
    """

    threads: int
    dtype: str
    matrix_flops: float
    memory_bytes_per_s: float


def measure_ceilings(threads: int) -> Ceilings:
    """Measure with so many threads."""
    dtype = fastest_dtype()
    with torch_threads(threads):
        a, b = (torch.randn(MATRIX_SIDE, MATRIX_SIDE).to(dtype) for _ in range(2))
        source, target = (
            torch.zeros(MEMORY_BYTES, dtype=torch.uint8),
            torch.ones(MEMORY_BYTES, dtype=torch.uint8),
        )
        matrix = 2 * MATRIX_SIDE**3 / _fastest(lambda: a @ b)
        memory = 2 * MEMORY_BYTES / _fastest(lambda: target.copy_(source))
    return Ceilings(threads, str(dtype).removeprefix("torch."), matrix, memory)


def _fastest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
