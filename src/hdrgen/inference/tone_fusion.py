"""Fusing a Reinhard and a log picture of any size into scene-linear light: what ``hdrgen fuse`` runs."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.exposure.log2_encoding import log2_decode
from hdrgen.exposure.smoothest_in_intervals import Plane
from hdrgen.inference.pixel_unshuffled_network import PixelUnshuffledNetwork
from hdrgen.models.consistency import local_consistency
from hdrgen.models.flat_areas import smooth_flat_areas
from hdrgen.models.pixel_unshuffled_unet import (
    DOWNSCALE,
    pixel_shuffle,
    pixel_unshuffle,
    receptive_radius,
    stride,
)
from hdrgen.models.runtime_network import torch_threads
from hdrgen.models.tiles import Tile, in_threads, padded, tiles
from hdrgen.models.tone_fusion import (
    FEATURES,
    MODEL,
    WINDOW_BLOCKS,
    ToneFuser,
    load_tone_fuser,
    pair_index,
)
from hdrgen.runtime.errors import HdrgenError

TILE = (2048, 4096)
"""Rows and columns of what one pass of the network keeps, in pixels: half a gigabyte of features."""

BAND = 8
"""Rows of blocks in a band."""


class Fuser(PixelUnshuffledNetwork[ToneFuser]):
    """The product's fuser with its weights. See `PixelUnshuffledNetwork`."""

    model = MODEL
    load_net = staticmethod(load_tone_fuser)

    def __init__(self, net: ToneFuser, digest: str, dtype: torch.dtype | None = None) -> None:
        super().__init__(net, digest, dtype)
        self.log_ceiling_linear = net.log_ceiling_linear
        widths, blocks = net.settings.widths, net.settings.blocks
        self._stride, self._halo = stride(widths), receptive_radius(widths, blocks)

    def fuse(
        self, reinhard_code8: NDArray[np.uint8], log_code8: NDArray[np.uint8], *, threads: int = 2
    ) -> NDArray[np.float32]:
        """Return scene-linear RGB ``(H, W, 3)`` in the pictures' primaries, from 0.

        Worked on in tiles, so that memory beyond the result does not grow with the picture, unless it is clean: its flat
        areas are smoothed as a whole (`smooth_flat_areas`).

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

        def intervals(component: int, every: int) -> tuple[Plane, Plane]:
            place = np.s_[::every, ::every, component]
            index = pair_index(
                *(torch.from_numpy(code8[place].copy()) for code8 in (reinhard_code8, log_code8))
            )
            flat = index.reshape(-1)
            lower, upper = (
                bound.index_select(0, flat).reshape(index.shape).numpy() for bound in self._net.bounds
            )
            return lower, upper

        with torch_threads(threads), torch.inference_mode():
            for tile in tiles(height, width, size=TILE, halo=self._halo):
                self._fuse_tile(reinhard_code8, log_code8, linear, tile, threads)
            smooth_flat_areas(linear, intervals, threads=threads)
        return linear

    def _fuse_tile(
        self,
        reinhard_code8: NDArray[np.uint8],
        log_code8: NDArray[np.uint8],
        linear: NDArray[np.float32],
        tile: Tile,
        threads: int,
    ) -> None:
        reinhard, log = (padded(p[tile.input], self._stride) for p in (reinhard_code8, log_code8))
        rows, columns = (side // DOWNSCALE for side in reinhard.shape[1:3])
        unet_input = torch.empty(1, rows, columns, FEATURES, dtype=self._dtype)
        consistent_share = torch.empty(1, rows, columns)
        bands = range(0, rows, BAND)

        # What is done to each pixel is done a band at a time, which stays in the cache; the network is given all.
        def extract(band: int) -> None:
            index = _band_index(reinhard, log, band)
            unet_input[:, band : band + BAND] = self._unet_input(self._net.features(index))
            consistent_share[:, band : band + BAND] = self._net.consistent_share(index)

        in_threads(extract, bands, threads)
        correction = self._unet_output(unet_input)
        consistency = local_consistency(consistent_share, WINDOW_BLOCKS)

        def light(band: int) -> None:
            first = tile.input_top + band * DOWNSCALE
            top, bottom = max(first, tile.top), min(first + BAND * DOWNSCALE, tile.bottom)
            if top >= bottom:  # a band of the halo
                return
            blocks = np.s_[:, band : band + BAND]
            index = _band_index(reinhard, log, band)
            log2 = self._net.corrected(index, correction[blocks], consistency[blocks])
            kept = np.s_[top - first : bottom - first, tile.kept_of_input[1]]
            linear[top:bottom, tile.left : tile.right] = pixel_shuffle(log2_decode(log2))[0][kept].numpy()

        in_threads(light, bands, threads)


def _band_index(reinhard: Tensor, log: Tensor, band: int) -> Tensor:
    rows = np.s_[:, band * DOWNSCALE : (band + BAND) * DOWNSCALE]
    return pixel_unshuffle(pair_index(reinhard[rows], log[rows]))
