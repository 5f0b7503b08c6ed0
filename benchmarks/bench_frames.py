# ruff: noqa: E402 - a script, and thread counts are read when libraries are loaded
"""How much the frame stages cost beside the reading and writing that they cannot avoid.

    python benchmarks/bench_frames.py [--frames 12] [--compression zip]

Camera-like frames of 2048x1152 half floats, in ACES AP1 so that every one must be converted, go through ingest,
sanitize and encode_logc4. Beside them OpenEXR alone reads and writes the EXR files that those stages read and
write: of each frame three are read (the source, the ingested and the sanitized one) and one is written (sanitize
links what it need not change).

    ratio = (ingest + sanitize + encode_logc4) / (OpenEXR reading three and writing one)

So hashing, deciding, converting, counting, looking for defects, fingerprinting and writing the two LogC4 pictures
are what the ratio is above 1. The strict ratio is to reading the library and writing it once.

Everything runs on one thread of this process, and processor time is what counts: the stages' worker processes
scale both sides alike, and starting them is no part of the figure. The fastest of the repeats counts.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ[_name] = "1"

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import OpenEXR
import typer

from hdrgen.colour.primaries import AP1
from hdrgen.frames.encode import EncodeParams, encode_logc4
from hdrgen.frames.ingest import IngestParams, Source, ingest
from hdrgen.frames.sanitize import SanitizeParams, sanitize
from hdrgen.frames.split import SplitParams, split
from hdrgen.images.exr import Compression, use_threads, write_exr
from hdrgen.runtime.scheduling import Outcome

WIDTH, HEIGHT = 2048, 1152


def make_frame(path: Path, seed: int, compression: Compression) -> None:
    """Write a frame of gradients, lights and the noise of a sensor."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) / HEIGHT
    rgb = np.empty((HEIGHT, WIDTH, 3), np.float32)
    for channel in range(3):
        a, b, c, d = rng.uniform(1, 9, 4)
        rgb[..., channel] = 0.18 * np.exp2(2 * np.sin(a * x + b) + 2 * np.cos(c * y + d))
    for _ in range(20):
        cx, cy, size = rng.uniform(0, 1.7), rng.uniform(0, 1), rng.uniform(0.002, 0.02)
        rgb += (rng.uniform(5, 200) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / size**2))[..., None]
    # Photon noise of a camera with 30 dB at grey, and read noise.
    rgb += rng.standard_normal(rgb.shape, np.float32) * np.sqrt(1e-6 + 2e-4 * rgb)
    write_exr(path, rgb, chromaticities=AP1, compression=compression)


def in_turn(function: Callable[[Any], Any], items: Sequence[Any], **_: object) -> Iterator[Outcome[Any]]:
    """Run the work here, one item after another: a scheduler of no processes."""
    for item in items:
        yield Outcome(function(item))


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of some work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def openexr_alone(paths: list[Path], folder: Path, compression: Compression, reads: int) -> None:
    """Read every frame, write it once, and read what was written until it was read so many times.

    By the library's own calls, nothing of hdrgen's: its checks and copies count on the other side.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = {"none": "NO", "htj2k": "HTJ2K256"}.get(compression, compression.upper())
    method = getattr(OpenEXR, f"{name}_COMPRESSION")
    for path in paths:
        written = str(folder / path.name)
        rgb = OpenEXR.File(str(path)).parts[0].channels["RGB"].pixels
        header = {"compression": method, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"RGB": rgb}).write(written)
        for _ in range(reads - 1):
            _ = OpenEXR.File(written).parts[0].channels["RGB"].pixels


def stages(library: Path, root: Path, compression: Compression) -> dict[str, float]:
    """Run the stages on empty outputs and return the processor time of each."""
    ingest_params = IngestParams(sources={"a": Source(path=library)}, compression=compression)
    sanitize_params = SanitizeParams(compression=compression)
    spent = {"ingest": seconds(lambda: ingest("a", ingest_params, root / "a", schedule=in_turn))}
    frames = root / "sanitize"
    spent["sanitize"] = seconds(lambda: sanitize([root / "a"], sanitize_params, frames, schedule=in_turn))
    index = split(
        sanitize([root / "a"], sanitize_params, frames, schedule=in_turn), SplitParams(), root / "split"
    )
    encoded = root / "encode"
    spent["encode_logc4"] = seconds(
        lambda: encode_logc4(index, frames, EncodeParams(), encoded, schedule=in_turn)
    )
    return spent


def main(
    frames: Annotated[int, typer.Option(help="Frames to make.")] = 12,
    compression: Annotated[str, typer.Option(help="OpenEXR compression of all frames.")] = "zip",
    repeats: Annotated[int, typer.Option(help="Runs, of which the fastest counts.")] = 3,
) -> None:
    """Time the frame stages and print their ratio to plain reading and writing."""
    method: Any = compression
    use_threads(0)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        paths = [root / "library" / f"shot{i:03d}.exr" for i in range(frames)]
        for seed, path in enumerate(paths):
            make_frame(path, seed, method)
        once, same, runs = [], [], []
        for repeat in range(repeats):
            once.append(seconds(lambda: openexr_alone(paths, root / "plain", method, reads=1)))
            same.append(seconds(lambda: openexr_alone(paths, root / "plain", method, reads=3)))
            runs.append(stages(root / "library", root / f"run{repeat}", method))
    fastest = {stage: min(run[stage] for run in runs) for stage in runs[0]}
    typer.echo(
        f"{frames} frames of {WIDTH}x{HEIGHT} half, {compression}, one thread, best of {repeats}; ms a frame"
    )
    for what, spent in {
        "OpenEXR: library read, written once": min(once),
        "OpenEXR: the same files": min(same),
        **fastest,
    }.items():
        typer.echo(f"{what:40}{spent / frames * 1000:8.1f}")
    ours = sum(fastest.values())
    typer.echo(f"{'ratio to the same files':40}{ours / min(same):8.2f}")
    typer.echo(f"{'strict ratio to the library once':40}{ours / min(once):8.2f}")


if __name__ == "__main__":
    typer.run(main)
