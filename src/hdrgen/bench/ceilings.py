"""What this machine can do at best: the ceilings that timings are fractions of."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from hdrgen.models.int8_unet import int8_supported
from hdrgen.models.runtime_network import fastest_dtype, torch_threads

MATRIX_SIDE = 2048
MEMORY_BYTES = 1 << 28
REPEATS = 10


@dataclass(frozen=True)
class Ceilings:
    """Best rates of matrix products and of memory, measured; the best of ten counts.

    ``processor`` is its name. ``matrix_flops`` is of square products of 2048 in ``dtype``, operations per second;
    ``int8_ops`` of the same in 8-bit integers, None where the processor has none; ``memory_bytes_per_s`` of copying 256 MiB,
    each byte read and written.
    """

    processor: str
    threads: int
    dtype: str
    matrix_flops: float
    int8_ops: float | None
    memory_bytes_per_s: float


def measure_ceilings(threads: int) -> Ceilings:
    """Measure with ``threads`` threads."""
    dtype = fastest_dtype()
    with torch_threads(threads):
        a, b = (torch.randn(MATRIX_SIDE, MATRIX_SIDE).mul_(40) for _ in range(2))
        source, target = (
            torch.zeros(MEMORY_BYTES, dtype=torch.uint8),
            torch.ones(MEMORY_BYTES, dtype=torch.uint8),
        )
        float_a, float_b, int8_a, int8_b = a.to(dtype), b.to(dtype), a.to(torch.int8), b.to(torch.int8)
        matrix = 2 * MATRIX_SIDE**3 / _fastest(lambda: float_a @ float_b)
        int8_seconds = _fastest(lambda: torch._int_mm(int8_a, int8_b)) if int8_supported() else None  # noqa: SLF001 - no public name
        memory = 2 * MEMORY_BYTES / _fastest(lambda: target.copy_(source))
    return Ceilings(
        _processor(),
        threads,
        str(dtype).removeprefix("torch."),
        matrix,
        2 * MATRIX_SIDE**3 / int8_seconds if int8_seconds else None,
        memory,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _fastest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
