"""How `bench.measure` times calls: in a process of its own, which imports what it needs, then calls."""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hdrgen.bench.process import Kind, Run, cpu_seconds, resident_bytes, sampled_peak
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.memory import keep_freed_memory

WORKER = """
import json, sys
from hdrgen.cli.bench_worker import timed_calls
from hdrgen.runtime.errors import HdrgenError
kind, modules, calls, *arguments = sys.argv[1:]
try:
    code, figures = timed_calls(kind, modules.split(","), arguments, int(calls))
except HdrgenError as error:
    sys.exit(str(error))
print("\\n" + json.dumps(figures))
sys.exit(code)
"""


def run_process(kind: Kind, modules: Sequence[str], arguments: Sequence[str], *, calls: int = 1) -> Run:
    """Time calls in a process of its own, see `timed_calls`.

    Raises
    ------
    HdrgenError
        It failed; the last line of its stderr is the reason.
    """
    if hasattr(os, "sync"):
        os.sync()  # or what was written before is still being written while this runs
    start = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", WORKER, kind, ",".join(modules), str(calls), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            with sampled_peak(lambda: resident_bytes(process.pid)) as sampled_bytes:
                out, err = process.communicate()
        except BaseException:
            process.kill()
            raise
    process_seconds = time.perf_counter() - start
    if process.returncode:
        reason = (err.strip().splitlines() or [f"it ended with exit code {process.returncode}"])[-1]
        raise HdrgenError(f"hdrgen {' '.join(arguments) if kind == 'hdrgen' else arguments[0]}: {reason}")
    stdout, _, last = out.rstrip().rpartition("\n")
    figures = json.loads(last)
    return Run(
        figures["seconds"],
        figures["cpu_seconds"],
        process_seconds,
        max(figures["peak_mib"], sampled_bytes() / 2**20),
        stdout,
    )


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
