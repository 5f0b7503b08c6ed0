"""8-bit pictures of any size to float code values: what ``hdrgen expand`` runs."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.exposure.smoothest_in_intervals import smooth_in_intervals
from hdrgen.inference.pixel_unshuffled_network import PixelUnshuffledNetwork
from hdrgen.models.bit_depth import (
    FEATURES,
    MODEL,
    WIDEST,
    BitDepthUNet,
    clean_code,
    features,
    generated_code,
    load_bit_depth,
    overview,
)
from hdrgen.models.pixel_unshuffled_unet import (
    DOWNSCALE,
    pixel_shuffle,
    pixel_unshuffle,
    receptive_radius,
    stride,
)
from hdrgen.models.runtime_network import torch_threads
from hdrgen.models.tiles import Tile, in_threads, padded, tiles

TILE = 4096
"""Side of what one pass of the network keeps, in pixels: its receptive field is wide, so small tiles would be mostly halo."""

BAND = 8
"""Rows of blocks in a band."""

WIDER_RADIUS = 2 * WIDEST
"""Pixels that the means a block is compared with add to the network's receptive field."""


class Expander(PixelUnshuffledNetwork[BitDepthUNet]):
    """The bit-depth U-Net with its weights. See `PixelUnshuffledNetwork`."""

    model = MODEL
    load_net = staticmethod(load_bit_depth)

    def __init__(self, net: BitDepthUNet, digest: str, dtype: torch.dtype | None = None) -> None:
        super().__init__(net, digest, dtype)
        widths, blocks = net.settings.widths, net.settings.blocks
        self._stride = max(stride(widths), WIDEST)  # powers of two, both
        self._halo = -(-(receptive_radius(widths, blocks) + WIDER_RADIUS) // self._stride) * self._stride

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
        smooth = smooth_in_intervals(code8, threads=threads)
        expanded = np.empty(code8.shape, np.float32)
        with torch_threads(threads), torch.inference_mode():
            for tile in tiles(*code8.shape[:2], size=TILE, halo=self._halo):
                self._expand_tile(code8, smooth, expanded, tile, strength, threads)
        return expanded

    def _expand_tile(
        self,
        code8: NDArray[np.uint8],
        smooth: NDArray[np.float32],
        expanded: NDArray[np.float32],
        tile: Tile,
        strength: float,
        threads: int,
    ) -> None:
        input8, offset = (padded(p[tile.input], self._stride) for p in (code8, smooth))
        rows, columns = (side // DOWNSCALE for side in input8.shape[1:3])
        means = overview(pixel_unshuffle(input8))
        unet_input = torch.empty(1, rows, columns, FEATURES, dtype=self._dtype)
        bands = range(0, rows, BAND)

        # What is done to each pixel is done a band at a time, which stays in the cache; the network is given all.
        def extract(band: int) -> None:
            blocks = np.s_[:, band : band + BAND]
            unet_input[blocks] = self._unet_input(features(*_unshuffled(input8, offset, band), means[blocks]))

        in_threads(extract, bands, threads)
        output = self._unet_output(unet_input)

        def expand(band: int) -> None:
            first = tile.input_top + band * DOWNSCALE
            top, bottom = max(first, tile.top), min(first + BAND * DOWNSCALE, tile.bottom)
            if top >= bottom:  # a band of the halo
                return
            codes_and_output = (*_unshuffled(input8, offset, band), output[:, band : band + BAND])
            code = clean_code(*codes_and_output)
            if strength:
                code = torch.lerp(code, generated_code(*codes_and_output), strength)
            kept = np.s_[top - first : bottom - first, tile.kept_of_input[1]]
            expanded[top:bottom, tile.left : tile.right] = pixel_shuffle(code.div_(255))[0][kept].numpy()

        in_threads(expand, bands, threads)


def _unshuffled(code8: Tensor, smooth: Tensor, band: int) -> tuple[Tensor, Tensor]:
    rows = np.s_[:, band * DOWNSCALE : (band + BAND) * DOWNSCALE]
    return pixel_unshuffle(code8[rows]), pixel_unshuffle(smooth[rows])
