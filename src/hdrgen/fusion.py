"""Fusing a Reinhard and a log picture of any size into scene-linear light: what ``hdrgen fuse`` runs."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.models.tone_cells import level_decode
from hdrgen.models.tone_fusion import (
    FOLD,
    STRIDE,
    ToneFuser,
    clean_share,
    fold,
    load_tone_fuser,
    pair_index,
    unfold,
)
from hdrgen.runtime.errors import HdrgenError

ValueT = TypeVar("ValueT")

TILE = 2048
"""Side of what one pass of the network keeps, in pixels."""

BAND = 8
"""Rows of blocks in a band."""

HALO = 128
"""Pixels around a tile that the network sees as well: all that can move a pixel inside, so tiles leave no seam."""


class Fuser:
    """The product's fuser with its weights.

    Parameters
    ----------
    net
        The network; its convolutions are run in ``dtype``.
    digest
        Of the weights, for provenance: the first twelve hexadecimal digits of their SHA-256.
    dtype
        bf16 where the processor has it in hardware, else fp32.
    """

    def __init__(self, net: ToneFuser, digest: str, dtype: torch.dtype | None = None) -> None:
        self.digest = digest
        self.log_ceiling_linear = net.log_ceiling_linear
        self._dtype = dtype or fastest_dtype()
        self._net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fuse(
        self, reinhard_code8: NDArray[np.uint8], log_code8: NDArray[np.uint8], *, threads: int = 2
    ) -> NDArray[np.float32]:
        """Return scene-linear RGB ``(H, W, 3)`` in the pictures' primaries, from 0.

        Worked on in tiles, so that memory beyond the result does not grow with the picture.

        Raises
        ------
        HdrgenError
            The two pictures differ in size.
        TypeError
            They are no 8-bit RGB pictures.
        """
        if reinhard_code8.shape != log_code8.shape:
            sizes = (f"{p.shape[1]}x{p.shape[0]}" for p in (reinhard_code8, log_code8))
            raise HdrgenError(f"the Reinhard and the log picture differ in size: {' against '.join(sizes)}")
        if (
            reinhard_code8.dtype != np.uint8
            or log_code8.dtype != np.uint8
            or reinhard_code8.shape[2:] != (3,)
        ):
            raise TypeError("pictures must be uint8 of shape (H, W, 3)")
        height, width, _ = reinhard_code8.shape
        linear = np.empty((height, width, 3), np.float32)
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                self._fuse_tile(reinhard_code8, log_code8, linear, top, left, threads)
        return linear

    @torch.inference_mode()
    def _fuse_tile(
        self,
        reinhard_code8: NDArray[np.uint8],
        log_code8: NDArray[np.uint8],
        linear: NDArray[np.float32],
        top: int,
        left: int,
        threads: int,
    ) -> None:
        height, width, _ = linear.shape
        bottom, right = min(top + TILE, height), min(left + TILE, width)
        # Tiles begin on the network's grid, so that a pixel sees the same blocks in every tiling.
        y, x = max(0, top - HALO), max(0, left - HALO)
        window = np.s_[y : min(bottom + HALO, height), x : min(right + HALO, width)]
        reinhard, log = (_padded(p[window]) for p in (reinhard_code8, log_code8))
        bands = range(0, reinhard.shape[1] // FOLD, BAND)

        # What is done to each pixel is done a band at a time, which stays in the cache; the network sees all.
        def look(band: int) -> tuple[Tensor, Tensor]:
            index = _band_index(reinhard, log, band)
            return self._net.features(index).to(self._dtype), self._net.agreeing(index)

        features, agreeing = zip(*_in_threads(look, bands, threads), strict=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            correction = self._net.correction(torch.cat(features, 1))
        clean = clean_share(torch.cat(agreeing, 1))

        def light(band: int) -> None:
            first = y + band * FOLD
            rows = slice(max(first, top), min(first + BAND * FOLD, bottom))
            if rows.start >= rows.stop:  # a band of the halo
                return
            blocks = np.s_[:, band : band + BAND]
            level = self._net.level(_band_index(reinhard, log, band), correction[blocks], clean[blocks])
            kept = np.s_[rows.start - first : rows.stop - first, left - x : right - x]
            linear[rows, left:right] = unfold(level_decode(level))[0][kept].numpy()

        _in_threads(light, bands, threads)


def _in_threads(function: Callable[[int], ValueT], bands: Iterable[int], threads: int) -> list[ValueT]:
    """Work on bands in threads of one torch thread each: bands are too small to be shared among several."""

    @torch.inference_mode()
    def work(band: int) -> ValueT:
        return function(band)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work, bands))
    finally:
        # What a thread sets is what threads that start later begin with.
        torch.set_num_threads(threads)


def _band_index(reinhard: Tensor, log: Tensor, band: int) -> Tensor:
    rows = np.s_[:, band * FOLD : (band + BAND) * FOLD]
    return fold(pair_index(reinhard[rows], log[rows]))


def _padded(code8: NDArray[np.uint8]) -> Tensor:
    """``(H, W, 3)`` to ``(1, H', W', 3)`` on the network's stride, the edge repeated."""
    height, width, _ = code8.shape
    padding = ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0))
    return torch.from_numpy(np.pad(code8, padding, mode="edge"))[None]


def fastest_dtype() -> torch.dtype:
    """Return bf16 where this processor multiplies it in hardware, else fp32."""
    in_hardware = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001
    return torch.bfloat16 if in_hardware else torch.float32


def released_weights() -> Path:
    """Return the weights that come with the package."""
    return Path(str(resources.files("hdrgen") / "weights" / "tone_fusion.safetensors"))


def load_fuser(weights: Path | None = None) -> Fuser:
    """Load the fuser with these weights, or with the released ones.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """
    path = weights or released_weights()
    return Fuser(load_tone_fuser(path), hashlib.sha256(path.read_bytes()).hexdigest()[:12])
