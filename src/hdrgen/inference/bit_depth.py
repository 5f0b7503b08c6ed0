"""8-bit pictures of any size to float code values: what ``hdrgen expand`` runs."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hdrgen.inference.tiles import Tile, fastest_dtype, padded, tiles
from hdrgen.models.bit_depth import (
    MODEL,
    WIDEST,
    BitDepthUNet,
    clean_code,
    generated_code,
    load_bit_depth,
)
from hdrgen.models.cell_smoother import smooth_in_cells
from hdrgen.models.folded_unet import fold, reach, stride, unfold
from hdrgen.training.weights import released_weights

TILE = 4096
"""Side of what one pass of the network keeps, in pixels: it sees far, so small tiles would be mostly halo."""

WIDER_REACH = 2 * WIDEST
"""Pixels that the means a block is compared with reach beyond the network."""


class Expander:
    """The bit-depth U-Net with its weights.

    Parameters
    ----------
    net
        The network; its convolutions are run in ``dtype``.
    digest
        Of the weights, for provenance: the first twelve hexadecimal digits of their SHA-256.
    dtype
        bf16 where the processor has it in hardware, else fp32.
    """

    def __init__(self, net: BitDepthUNet, digest: str, dtype: torch.dtype | None = None) -> None:
        self.digest = digest
        self._dtype = dtype or fastest_dtype()
        widths, blocks = net.settings.widths, net.settings.blocks
        self._stride = max(stride(widths), WIDEST)  # powers of two, both
        self._halo = -(-(reach(widths, blocks) + WIDER_REACH) // self._stride) * self._stride
        self._net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def expand(
        self, code8: NDArray[np.uint8], *, strength: float = 0.0, threads: int = 2
    ) -> NDArray[np.float32]:
        """Return float code values 0 to 1, ``(H, W, 3)``.

        Parameters
        ----------
        code8
            8-bit codes ``(H, W, 3)``.
        strength
            0 for clean pictures: quantising again gives the same codes. Up to 1 for generated ones, whose noise is
            taken away with it.
        threads
            Threads to work with.

        Raises
        ------
        TypeError
            It is no 8-bit RGB picture.
        ValueError
            The strength is not from 0 to 1.
        """
        if code8.dtype != np.uint8 or code8.ndim != 3 or code8.shape[2] != 3:
            raise TypeError("a picture must be uint8 of shape (H, W, 3)")
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, not {strength:g}")
        torch.set_num_threads(threads)
        smooth = smooth_in_cells(code8, threads=threads)
        expanded = np.empty(code8.shape, np.float32)
        for tile in tiles(*code8.shape[:2], size=TILE, halo=self._halo):
            expanded[tile.kept] = self._expand_tile(code8, smooth, tile, strength)
        return expanded

    @torch.inference_mode()
    def _expand_tile(
        self, code8: NDArray[np.uint8], smooth: NDArray[np.float32], tile: Tile, strength: float
    ) -> NDArray[np.float32]:
        folded8, offset = (fold(padded(p[tile.seen], self._stride)) for p in (code8, smooth))
        with torch.autocast("cpu", torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            answers = self._net.unet(self._net.features(folded8, offset).to(self._dtype))
        code = clean_code(folded8, offset, answers)
        if strength:
            code = torch.lerp(code, generated_code(folded8, offset, answers), strength)
        expanded: NDArray[np.float32] = unfold(code.div_(255))[0][tile.kept_of_seen].numpy()
        return expanded


def load_expander(weights: Path | None = None) -> Expander:
    """Load the expander with these weights, or with the released ones.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """
    path = weights or released_weights(MODEL)
    return Expander(load_bit_depth(path), hashlib.sha256(path.read_bytes()).hexdigest()[:12])
