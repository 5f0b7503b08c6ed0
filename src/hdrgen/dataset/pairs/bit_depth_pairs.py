"""Pairs for bit depth: the LogC4 picture of a frame with 16 bits, and with 8 bits clean and generated-like.

Beside the frames there are smooth gradients (`hdrgen.dataset.pairs.gradients`), where the steps of 8 bits show.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.dataset.frame_index import short_digest
from hdrgen.dataset.pairs.generated_like import DecoderLike, redraw
from hdrgen.dataset.pairs.gradients import gradient_logc4
from hdrgen.dataset.pairs.records import (
    KINDS,
    PairFrame,
    PairMaker,
    PairSettings,
    crop_corner,
    cut,
    frame_rng,
    make_pairs,
    random_exposure,
    stored_frames,
)
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

GRADIENTS = "gradients"
"""Source and scene of the gradients."""
_GRADIENTS_VERSION = 1


class Gradients(Section):
    """How many gradients there are; each is a frame of its split."""

    train: int = Field(48, ge=0)
    """Gradients to train on."""
    val: int = Field(8, ge=0)
    """Gradients to validate with while training."""
    test: int = Field(12, ge=0)
    """Gradients to evaluate on."""
    size: int = Field(512, ge=64)
    """Side of a gradient, in pixels."""


class MakeBitDepthPairs(PairSettings):
    """What is cut out of each frame, how many gradients there are, and what a decoder does to a picture."""

    gradients: Gradients = Gradients()
    """Smooth gradients beside the frames."""
    decoder_like: DecoderLike = DecoderLike()
    """Damage of the generated-like half; strengths are assumptions, no real generator was measured."""


def crop_record(size: int) -> np.dtype[np.void]:
    """Return the type of one crop: LogC4 code values ``(size, size, 3)``, 16-bit the truth and 8-bit pictures."""
    shape = (size, size, 3)
    return np.dtype(
        [("logc4_code16", np.uint16, shape), *((f"{kind}_code8", np.uint8, shape) for kind in KINDS)]
    )


def logc4_code16(linear_awg4: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return the 16-bit LogC4 codes of scene-linear AWG4; -0.018 is code 0, 469.8 code 65535, clipped beyond."""
    code = logc4_encode(linear_awg4.astype(np.float32))
    return np.rint(np.clip(code, 0, 1) * 65535).astype(np.uint16)


def clean_code8(code16: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return the nearest 8-bit code, 255 / 65535 of the 16-bit one; there are no ties, because 257 is odd."""
    return ((code16.astype(np.uint32) + 128) // 257).astype(np.uint8)


def bit_depth_pictures(
    code16: NDArray[np.uint16], settings: MakeBitDepthPairs, rng: np.random.Generator
) -> dict[str, NDArray[np.uint8]]:
    """Return the 8-bit picture of each of `KINDS`.

    The generated-like one has a decoder's noise, blur and compression, and no error of exposure, tint or place:
    in a single picture nobody could tell it.
    """
    return {
        "clean": clean_code8(code16),
        "generated": redraw(code16.astype(np.float32) / np.float32(65535), settings.decoder_like, rng),
    }


def bit_depth_frames(frames: pl.DataFrame, frames_dir: Path, settings: MakeBitDepthPairs) -> list[PairFrame]:
    """Return what pairs are cut out of: the usable frames of an index, and the gradients.

    Of a test frame, ``evaluation_crop(frame.light(), settings.judged_size)`` is the truth that its pictures come from.
    """
    return [*stored_frames(frames, frames_dir), *_gradient_frames(settings)]


def make_bit_depth_pairs(
    frames: pl.DataFrame,
    frames_dir: Path,
    settings: MakeBitDepthPairs,
    out_dir: Path,
    on_progress: OnProgress | None = None,
) -> pl.DataFrame:
    """Make the bit-depth pairs of the usable frames of an index and of the gradients (`bit_depth_frames`), as `make_pairs` does.

    `out_dir` gets records of `crop_record`, and of a test frame ``_clean.png`` and ``_generated.png``.
    """
    return make_pairs(_MAKER, bit_depth_frames(frames, frames_dir, settings), settings, out_dir, on_progress)


@dataclass(frozen=True)
class _GradientLight:
    frame: str
    seed: int
    size: int

    def __call__(self) -> NDArray[np.floating]:
        linear: NDArray[np.float32] = logc4_decode(
            gradient_logc4(frame_rng(self.seed, self.frame), self.size, self.size)
        )
        return linear


def _gradient_frames(settings: MakeBitDepthPairs) -> list[PairFrame]:
    wanted, seed = settings.gradients, settings.seed
    return [
        PairFrame(
            frame=name,
            source=GRADIENTS,
            scene=GRADIENTS,
            split=split,
            content=short_digest(_GRADIENTS_VERSION, name, seed, wanted.size),
            where=name,
            light=_GradientLight(name, seed, wanted.size),
        )
        for split, count in (("train", wanted.train), ("val", wanted.val), ("test", wanted.test))
        for name in (f"gradient_{split}_{number:04d}" for number in range(count))
    ]


def _record(settings: MakeBitDepthPairs) -> np.dtype[np.void]:
    return crop_record(settings.crop_size)


def _fill(
    record: np.void, linear_awg4: NDArray[np.floating], settings: MakeBitDepthPairs, rng: np.random.Generator
) -> None:
    # Plain crops are as welcome as rich ones: steps show where little happens.
    corner = crop_corner(linear_awg4, settings.crop_size, rng, choices=1)
    crop = cut(linear_awg4, corner, settings.crop_size).astype(np.float32)
    record["logc4_code16"] = logc4_code16(crop * random_exposure(settings, rng))
    for kind, code8 in bit_depth_pictures(record["logc4_code16"], settings, rng).items():
        record[f"{kind}_code8"] = code8


def _suffixes(_: MakeBitDepthPairs) -> list[str]:
    return [f"_{kind}.png" for kind in KINDS]


def _pictures(
    linear_awg4: NDArray[np.floating], settings: MakeBitDepthPairs, rng: np.random.Generator
) -> Mapping[str, NDArray[np.uint8]]:
    pictures = bit_depth_pictures(logc4_code16(linear_awg4), settings, rng)
    return {f"_{kind}.png": code8 for kind, code8 in pictures.items()}


_MAKER = PairMaker("bit_depth", 1, _record, _fill, _suffixes, _pictures)
