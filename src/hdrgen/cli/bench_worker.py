"""What a process of its own does for `bench.measure`: import what it needs, then call, timed."""

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hdrgen.bench.process import Kind, cpu_seconds
from hdrgen.runtime.memory import keep_freed_memory


def timed_calls(
    kind: Kind, modules: Sequence[str], arguments: Sequence[str], calls: int
) -> tuple[int, dict[str, Any]]:
    """Return an exit code, ``seconds`` and ``cpu_seconds`` of each call, and ``peak_mib`` of this process.

    Parameters
    ----------
    kind
        ``hdrgen``, a command with these arguments; ``memory``, a model alone (operation, backend, folder); or ``peer``,
        someone else's way (its name, folder).
    modules
        What it imports when it runs; not timed.
    calls
        How many; the first that fails is the last.
    """
    for module in modules:
        importlib.import_module(module)
    keep_freed_memory()  # as the commands do; for peers as well, so that their ratio is one of work
    work = _work(kind, arguments)
    seconds: list[float] = []
    cpu: list[float] = []
    code = 0
    while not code and len(seconds) < calls:
        cpu_before, wall = cpu_seconds(), time.perf_counter()
        code = work()
        seconds.append(time.perf_counter() - wall)
        cpu.append(cpu_seconds() - cpu_before)
    return code, {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": _peak_mib()}


def _work(kind: Kind, arguments: Sequence[str]) -> Callable[[], int]:
    if kind == "hdrgen":
        from hdrgen import cli

        return lambda: cli.run([*arguments])
    if kind == "memory":
        from hdrgen.bench.in_memory import prepared

        operation, backend, folder = arguments
        alone = prepared(operation, backend, Path(folder))  # type: ignore[arg-type]
        return lambda: int(alone() is None)
    from hdrgen.bench.peers import PEERS

    name, folder = arguments
    return lambda: int(bool(PEERS[name].work(Path(folder))))


def _peak_mib() -> float:
    """Return the high-water mark of this process alone, 0 where the system does not tell."""
    # Not ru_maxrss: a child inherits that from the process that started it.
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii", errors="replace").splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
