"""How fast `hdrgen fuse`, `expand` and `merge` are, against this machine's own matrix-multiplication peak.

    python benchmarks/bench_models.py [fuse expand merge] [--sizes 1024x1024 4096x2304] [--runs 3]

For each size a fresh process runs the command, pictures in and a half-float ZIP EXR out. Seconds are of the command
once its modules are imported, the median of the runs; `process` is the whole process as a shell sees it, from start
to exit, and `CPU s` the processor time of all threads after the imports, which other work on the machine disturbs
least. The peak is measured in the same run: square products of 2048, the best of ten. The fraction is the network's
operations over the seconds after import over the peak; the rest is files, tables, curves, smoothing and alignment.
`merge` is shown with the classical methods as well, and every row's ratio to the first.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.images.code_image import write_png8
from hdrgen.inference.network import fastest_dtype
from hdrgen.models.bit_depth import load_bit_depth
from hdrgen.models.exposure_fusion import SLOTS, load_exposure_fusion
from hdrgen.models.tone_fusion import load_tone_fuser
from hdrgen.training.weights import released_weights

EVS = (-2, 0, 2, 4)
SIDE = 256
"""Of the picture whose operations are counted."""

WORKER = """
import importlib, json, sys, time
from hdrgen import cli
for module in sys.argv[1].split(","):  # what the command imports when it runs
    importlib.import_module(module)
wall, cpu = time.perf_counter(), time.process_time()
code = cli.run(sys.argv[2:])
seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
# Not ru_maxrss: a child inherits that from the process that started it.
peak_kib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_kib / 1024}))
sys.exit(code)
"""


@dataclass(frozen=True)
class Command:
    """A command to measure: its arguments in a folder, what it imports, its pictures and its network's operations."""

    name: str
    arguments: tuple[str, ...]
    modules: tuple[str, ...]
    write_pictures: Callable[[NDArray[np.floating], Path], None]
    operations: Callable[[], int] | None = None


def noisy(code: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return 8-bit codes with a generator's noise."""
    return quantise8(code + np.random.default_rng(0).normal(0, 3 / 255, code.shape))


def write_pair(light: NDArray[np.floating], folder: Path) -> None:
    """Write a Reinhard and a log picture."""
    for name, curve in (("r", Reinhard()), ("l", Log())):
        write_png8(folder / f"{name}.png", noisy(curve.encode(light)))


def write_brackets(light: NDArray[np.floating], folder: Path) -> None:
    """Write LogC4 brackets; the one at EV 0 is what `expand` takes."""
    for ev in EVS:
        code = ENCODINGS["logc4_awg4"].encode(light * 2.0**ev)
        write_png8(folder / f"{ev}.png", noisy(code))


def operations(net: nn.Module, *inputs: torch.Tensor) -> int:
    """Return the operations of a network."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(*inputs)
    return counter.get_total_flops()


def fuse_operations() -> int:
    """Return the operations of the fuser on the counted picture."""
    blank = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    return operations(load_tone_fuser(released_weights("tone_fusion")), blank, blank)


def expand_operations() -> int:
    """Return the operations of the bit-depth U-Net on the counted picture."""
    blank = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    return operations(load_bit_depth(released_weights("bit_depth")), blank, blank.float())


def merge_operations() -> int:
    """Return the operations of the luminance stack processor on the counted picture."""
    stack = torch.ones(1, SLOTS, SIDE, SIDE, 3)
    net = load_exposure_fusion(released_weights("exposure_fusion"))
    return operations(net, stack, stack, torch.tensor([1]))


MERGE = ("merge", *(f"{{folder}}/{ev}.png" for ev in EVS), "--ev", *map(str, EVS), "-o", "{folder}/out.exr")
MERGE_MODULES = ("hdrgen.routes.merge", "hdrgen.inference.exposure_fusion")
COMMANDS = {
    "fuse": [
        Command(
            "fuse",
            ("fuse", "--reinhard", "{folder}/r.png", "--log", "{folder}/l.png", "-o", "{folder}/out.exr"),
            ("hdrgen.routes.dual", "hdrgen.inference.tone_fusion"),
            write_pair,
            fuse_operations,
        )
    ],
    "expand": [
        Command(
            "expand",
            ("expand", "{folder}/0.png", "-o", "{folder}/out.exr"),
            ("hdrgen.routes.expand", "hdrgen.inference.bit_depth"),
            write_brackets,
            expand_operations,
        )
    ],
    "merge": [
        Command("merge", MERGE, MERGE_MODULES, write_brackets, merge_operations),
        *(
            Command(f"merge {method}", (*MERGE, "--method", method), MERGE_MODULES, write_brackets)
            for method in ("closed", "debevec", "robertson")
        ),
    ],
}


def peak_flops(dtype: torch.dtype) -> float:
    """Return this machine's best rate over square products, operations per second."""
    a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    times = []
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def scene(width: int, height: int) -> NDArray[np.floating]:
    """Return light with a glow of 40 in it."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    light = 0.2 + x + 40 * np.exp(-200 * ((x - 0.5) ** 2 + (y - 0.3) ** 2))
    return light[..., None] * np.array([1, 0.9, 0.8])


def run_once(command: Command, folder: Path) -> dict[str, float]:
    """Return seconds, processor seconds and peak memory of one fresh process, and its seconds from start to exit."""
    arguments = [argument.format(folder=folder) for argument in command.arguments]
    line = [sys.executable, "-c", WORKER, ",".join(command.modules), *arguments]
    start = time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    process_seconds = time.perf_counter() - start
    return json.loads(done.stdout.splitlines()[-1]) | {"process_seconds": process_seconds}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commands", nargs="*", choices=[[], *COMMANDS], default=list(COMMANDS))
    parser.add_argument("--sizes", nargs="+", default=["1024x1024", "2048x2048", "4096x4096"])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    dtype = fastest_dtype()
    peak = peak_flops(dtype)
    print(f"{torch.get_num_threads()} threads, {dtype}: peak {peak / 1e9:.0f} GFLOP/s")
    columns = ("median s", "min", "max", "CPU s", "process", "MiB", "of peak", "ratio")
    print(f"{'command':<16}{'size':>10}", *(f"{column:>8}" for column in columns))
    for name in options.commands:
        for size in options.sizes:
            width, height = map(int, size.split("x"))
            first = 0.0
            for command in COMMANDS[name]:
                with tempfile.TemporaryDirectory() as folder:
                    command.write_pictures(scene(width, height), Path(folder))
                    runs = [run_once(command, Path(folder)) for _ in range(options.runs)]
                seconds = [run["seconds"] for run in runs]
                median = statistics.median(seconds)
                cpu, process = (
                    statistics.median(run[key] for run in runs) for key in ("cpu_seconds", "process_seconds")
                )
                first = first or median
                done = command.operations() * width * height / SIDE**2 if command.operations else 0
                figures = (median, min(seconds), max(seconds), cpu, process)
                print(
                    f"{command.name:<16}{size:>10}",
                    *(f"{figure:>8.2f}" for figure in figures),
                    f"{max(run['peak_mib'] for run in runs):>8.0f}",
                    f"{done / median / peak:>8.0%}" if done else f"{'':>8}",
                    f"{median / first:>8.2f}",
                )


if __name__ == "__main__":
    main()
