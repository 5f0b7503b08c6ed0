"""8-bit pictures of any size to float code values: what ``hdrgen expand`` runs."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hdrgen.inference.network import Network, net_and_digest, torch_threads
from hdrgen.inference.tiles import Tile, padded, tiles
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

TILE = 4096
"""Side of what one pass of the network keeps, in pixels: it sees far, so small tiles would be mostly halo."""

WIDER_REACH = 2 * WIDEST
"""Pixels that the means a block is compared with reach beyond the network."""


class Expander(Network[BitDepthUNet]):
    """The bit-depth U-Net with its weights. See `Network`."""

    def __init__(self, net: BitDepthUNet, digest: str, dtype: torch.dtype | None = None) -> None:
        super().__init__(net, digest, dtype)
        widths, blocks = net.settings.widths, net.settings.blocks
        self._stride = max(stride(widths), WIDEST)  # powers of two, both
        self._halo = -(-(reach(widths, blocks) + WIDER_REACH) // self._stride) * self._stride

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
        smooth = smooth_in_cells(code8, threads=threads)
        expanded = np.empty(code8.shape, np.float32)
        with torch_threads(threads), torch.inference_mode():
            for tile in tiles(*code8.shape[:2], size=TILE, halo=self._halo):
                expanded[tile.kept] = self._expand_tile(code8, smooth, tile, strength)
        return expanded

    def _expand_tile(
        self, code8: NDArray[np.uint8], smooth: NDArray[np.float32], tile: Tile, strength: float
    ) -> NDArray[np.float32]:
        folded8, offset = (fold(padded(p[tile.seen], self._stride)) for p in (code8, smooth))
        with self._autocast():
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
    return Expander(*net_and_digest(weights, MODEL, load_bit_depth))
