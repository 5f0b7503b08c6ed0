"""The commands that are measured, and the pictures that they are given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hdrgen.colour.display import srgb_encode
from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.primaries import AP0
from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.exposure.ev_list import DEFAULT_EVS
from hdrgen.images.code_image import write_png8
from hdrgen.images.exr import write_exr
from hdrgen.inference.onnx_session import Runtime
from hdrgen.models.bit_depth import load_bit_depth
from hdrgen.models.exposure_fusion import SLOTS, load_exposure_fusion
from hdrgen.models.tone_fusion import load_tone_fuser
from hdrgen.models.tone_mlp import ToneMlp
from hdrgen.models.weights import released_weights

Light = NDArray[np.floating]
EVS = tuple(map(int, DEFAULT_EVS))
BATCH = 8
COUNTED_SIDE = 256
"""Side of the picture whose operations are counted, in pixels."""
RGB8, RGB_HALF = 3, 6
"""Bytes of a pixel."""


@dataclass(frozen=True)
class Operation:
    """A command to measure.

    Parameters
    ----------
    arguments
        Arguments of `hdrgen`; ``{folder}`` is where its pictures are, ``{out}`` a folder that is new in each run.
        None for what no command runs, and is measured in memory alone.
    modules
        What the command imports when it runs; that is not part of its seconds.
    write_pictures
        Makes the pictures of some light.
    bytes_per_pixel
        Bytes of the pictures that it reads and writes, uncompressed: what has to go through memory once at least.
    backends
        What its network can run on.
    model
        The model that these are the backends of.
    flop_per_pixel
        Operations of its network.
    int8
        Whether torch runs it in 8-bit integers where the processor has them.
    peers
        Names in `peers.PEERS`.
    pictures
        Results of one run: seconds are of one of them.
    """

    arguments: tuple[str, ...] | None
    modules: tuple[str, ...]
    write_pictures: Callable[[Light, Path], None]
    bytes_per_pixel: int
    backends: tuple[Literal["torch"] | Runtime, ...] = ()
    model: str = ""
    flop_per_pixel: Callable[[], float] | None = None
    int8: bool = False
    peers: tuple[str, ...] = ()
    pictures: int = 1


def scene(width: int, height: int) -> Light:
    """Return scene-linear light ``(H, W, 3)`` with a glow of 40 in it."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    light = 0.2 + x + 40 * np.exp(-200 * ((x - 0.5) ** 2 + (y - 0.3) ** 2))
    return light[..., None] * np.array([1, 0.9, 0.8])


def _noisy(code: Light) -> NDArray[np.uint8]:
    """Return 8-bit codes with a generator's noise."""
    return quantise8(code + np.random.default_rng(0).normal(0, 3 / 255, code.shape))


def _write_pair(light: Light, folder: Path) -> None:
    for name, curve in (("reinhard", Reinhard()), ("log", Log())):
        write_png8(folder / f"{name}.png", _noisy(curve.encode(light)))


def _write_pairs(light: Light, folder: Path) -> None:
    _write_pair(light, folder)
    for name in ("reinhard", "log"):
        (folder / name).mkdir()
        for number in range(BATCH):
            (folder / name / f"{number}.png").hardlink_to(folder / f"{name}.png")


def _write_brackets(light: Light, folder: Path) -> None:
    for ev in EVS:
        codes = _noisy(ENCODINGS["logc4_awg4"].encode(light * 2.0**ev))
        write_png8(folder / f"{ev}.png", codes, text={"hdrgen:encoding": "logc4"})


def _write_display(light: Light, folder: Path) -> None:
    # At half its exposure a tenth of it is clipped; without a tag, as people have them.
    write_png8(folder / "srgb.png", _noisy(srgb_encode(np.minimum(light / 2, 1))))


def _write_exr(light: Light, folder: Path) -> None:
    grain = np.random.default_rng(0).normal(1, 0.02, light.shape)
    write_exr(folder / "in.exr", (light * grain).astype(np.float32), chromaticities=AP0)


def _write_exrs(light: Light, folder: Path) -> None:
    for number in range(BATCH):
        rng = np.random.default_rng(number)
        noisy = light * rng.normal(1, 0.02, light.shape)
        write_exr(folder / f"in{number}.exr", noisy.astype(np.float32), chromaticities=AP0)


def _flop_per_pixel(net: nn.Module, *inputs: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(*inputs)
    return counter.get_total_flops() / COUNTED_SIDE**2


def _blank8() -> torch.Tensor:
    return torch.zeros(1, COUNTED_SIDE, COUNTED_SIDE, 3, dtype=torch.uint8)


@cache
def _fuse_flop() -> float:
    return _flop_per_pixel(load_tone_fuser(released_weights("tone_fusion")), _blank8(), _blank8())


@cache
def _expand_flop() -> float:
    return _flop_per_pixel(load_bit_depth(released_weights("bit_depth")), _blank8(), _blank8().float())


@cache
def _merge_flop() -> float:
    stack = torch.ones(1, SLOTS, COUNTED_SIDE, COUNTED_SIDE, 3)
    net = load_exposure_fusion(released_weights("exposure_fusion"))
    return _flop_per_pixel(net, stack, stack, torch.tensor([1]))


@cache
def _mlp_flop() -> float:
    return _flop_per_pixel(ToneMlp(), torch.zeros(COUNTED_SIDE**2, 6))


BACKENDS: tuple[Literal["torch"] | Runtime, ...] = ("torch", "onnx", "tensorrt")
_FUSE_MODULES = ("hdrgen.routes.dual", "hdrgen.inference.backends")
OPERATIONS: Mapping[str, Operation] = {
    "fuse": Operation(
        (
            "fuse",
            "--reinhard",
            "{folder}/reinhard.png",
            "--log",
            "{folder}/log.png",
            "-o",
            "{folder}/out.exr",
        ),
        _FUSE_MODULES,
        _write_pair,
        2 * RGB8 + RGB_HALF,
        BACKENDS,
        "tone_fusion",
        _fuse_flop,
        int8=True,
        peers=("OpenCV Mertens",),
    ),
    "fuse_batch": Operation(
        ("fuse", "--reinhard", "{folder}/reinhard", "--log", "{folder}/log", "-o", "{folder}/out"),
        _FUSE_MODULES,
        _write_pairs,
        2 * RGB8 + RGB_HALF,
        flop_per_pixel=_fuse_flop,
        int8=True,
        pictures=BATCH,
    ),
    "tone_mlp": Operation(
        None,
        ("hdrgen.inference.tone_mlp",),
        _write_pair,
        2 * RGB8 + RGB_HALF,
        ("torch",),
        flop_per_pixel=_mlp_flop,
    ),
    "expand": Operation(
        ("expand", "{folder}/0.png", "-o", "{folder}/out.exr"),
        ("hdrgen.routes.expand", "hdrgen.inference.backends"),
        _write_brackets,
        RGB8 + RGB_HALF,
        BACKENDS,
        "bit_depth",
        _expand_flop,
        int8=True,
        peers=("OpenCV bilateral",),
    ),
    "recover": Operation(
        ("recover", "{folder}/srgb.png", "-o", "{folder}/out.exr"),
        ("hdrgen.routes.recover", "hdrgen.inference.backends"),
        _write_display,
        RGB8 + RGB_HALF,
        BACKENDS,
        "highlights",
        _expand_flop,  # before it; its own network sees a picture that is always small
        int8=True,
    ),
    "merge": Operation(
        ("merge", *(f"{{folder}}/{ev}.png" for ev in EVS), "--ev", *map(str, EVS), "-o", "{folder}/out.exr"),
        ("hdrgen.routes.merge", "hdrgen.inference.backends"),
        _write_brackets,
        len(EVS) * RGB8 + RGB_HALF,
        BACKENDS,
        "exposure_fusion",
        _merge_flop,
        peers=("OpenCV Debevec",),
    ),
    "convert": Operation(
        ("convert", "{folder}/in.exr", "-o", "{folder}/out.exr", "--to", "acescg"),
        ("hdrgen.images.convert_file",),
        _write_exr,
        2 * RGB_HALF,
        peers=("OpenEXR read + write", "OpenImageIO", "colour-science"),
    ),
    "preview": Operation(
        ("preview", "{folder}/in.exr", "-o", "{folder}/out.png"),
        ("hdrgen.qc.preview",),
        _write_exr,
        RGB_HALF + RGB8,
        peers=("OpenImageIO view",),
    ),
    "ingest": Operation(
        ("ingest", "{folder}", "-o", "{out}", "--json"),
        ("hdrgen.dataset.ingest",),
        _write_exrs,
        2 * RGB_HALF,
        peers=("OpenEXR read + write",),
        pictures=BATCH,
    ),
}
