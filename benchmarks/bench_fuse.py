"""How fast `hdrgen fuse` is, against this machine's own matrix-multiplication peak.

    python benchmarks/bench_fuse.py [--sizes 1024 2048 4096] [--runs 3] [--weights FILE]

For each size a fresh process runs the command: two PNGs in, a half-float ZIP EXR out. Seconds are of the command
once its modules are imported, the median of the runs; `process` is the whole process as a shell sees it, from start
to exit, and `CPU s` the processor time of all threads after the imports, which other work on the machine disturbs
least. The peak is measured in the same run: square products of 2048, the best of ten. The fraction is the network's
operations over the seconds after import over the peak; the rest of the time is PNG, tables, curves and EXR.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.images.code_image import write_png8
from hdrgen.inference.tiles import fastest_dtype
from hdrgen.models.tone_fusion import load_tone_fuser
from hdrgen.training.weights import released_weights

WORKER = """
import json, sys, time
from hdrgen import cli
import hdrgen.inference.tone_fusion, hdrgen.routes.dual  # what the command imports when it runs
wall, cpu = time.perf_counter(), time.process_time()
code = cli.run(["fuse", *sys.argv[1:]])
seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
# Not ru_maxrss: a child inherits that from the process that started it.
peak_kib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_kib / 1024}))
sys.exit(code)
"""


def peak_flops(dtype: torch.dtype) -> float:
    """Return this machine's best rate over square products, operations per second."""
    a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    times = []
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def flops_per_pixel(weights: Path) -> float:
    """Return the network's operations for one pixel."""
    net = load_tone_fuser(weights)
    blank = torch.zeros(1, 256, 256, 3, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(blank, blank)
    return counter.get_total_flops() / 256**2


def picture_pair(size: int, folder: Path) -> None:
    """Write a noisy pair with lights in it, as a generator would."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    light = (0.2 + x + 40 * np.exp(-200 * ((x - 0.5) ** 2 + (y - 0.3) ** 2)))[..., None] * np.array(
        [1, 0.9, 0.8]
    )
    for name, curve in (("r", Reinhard()), ("l", Log())):
        code = curve.encode(light) + rng.normal(0, 3 / 255, light.shape)
        write_png8(folder / f"{name}.png", quantise8(code))


def fuse_once(folder: Path, weights: Path) -> dict[str, float]:
    """Return seconds, processor seconds and peak memory of one fresh process, and its seconds from start to exit."""
    files = ["--reinhard", folder / "r.png", "--log", folder / "l.png", "-o", folder / "out.exr"]
    command = [sys.executable, "-c", WORKER, *map(str, [*files, "--weights", weights])]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    process_seconds = time.perf_counter() - start
    return json.loads(done.stdout.splitlines()[-1]) | {"process_seconds": process_seconds}


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--weights", type=Path, default=released_weights("tone_fusion"))
    options = parser.parse_args()
    dtype = fastest_dtype()
    peak, per_pixel = peak_flops(dtype), flops_per_pixel(options.weights)
    print(
        f"{torch.get_num_threads()} threads, {dtype}: peak {peak / 1e9:.0f} GFLOP/s; network {per_pixel / 1e3:.1f} kFLOP a pixel"
    )
    print(
        f"{'size':>6} {'median s':>9} {'min':>6} {'max':>6} {'CPU s':>6} {'process':>8} {'MiB':>6} {'of peak':>8}"
    )
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as name:
            picture_pair(size, Path(name))
            runs = [fuse_once(Path(name), options.weights) for _ in range(options.runs)]
        seconds = [run["seconds"] for run in runs]
        median = statistics.median(seconds)
        cpu, process = (
            statistics.median(run[key] for run in runs) for key in ("cpu_seconds", "process_seconds")
        )
        share = per_pixel * size**2 / median / peak
        memory = max(run["peak_mib"] for run in runs)
        print(
            f"{size:>6} {median:>9.2f} {min(seconds):>6.2f} {max(seconds):>6.2f} {cpu:>6.2f} {process:>8.2f} "
            f"{memory:>6.0f} {share:>8.0%}"
        )


if __name__ == "__main__":
    main()
