"""Large pictures in pieces: tiles for a network, bands for what is done to each pixel.

A network is shown a tile with as much picture around it as can reach into it (`folded_unet.reach`), so that the
tile comes out as the whole picture would, and memory does not grow with the picture.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.models.runtime_network import torch_threads

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Tile:
    """Where a tile is: rows and columns that come out of it, and those that are shown to the network."""

    top: int
    bottom: int
    left: int
    right: int
    seen_top: int
    seen_bottom: int
    seen_left: int
    seen_right: int

    @property
    def kept(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that come out of this tile."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def seen(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the network sees for it."""
        return slice(self.seen_top, self.seen_bottom), slice(self.seen_left, self.seen_right)

    @property
    def kept_of_seen(self) -> tuple[slice, slice]:
        """Rows and columns that are kept of what the network saw."""
        rows = slice(self.top - self.seen_top, self.bottom - self.seen_top)
        return rows, slice(self.left - self.seen_left, self.right - self.seen_left)


def tiles(height: int, width: int, *, size: int | tuple[int, int], halo: int) -> Iterator[Tile]:
    """Yield the tiles of a picture, row by row.

    Parameters
    ----------
    height, width
        Of the picture, in pixels.
    size
        Rows and columns of a tile, or its side. What lies near a border is worked on twice: tiles as wide as the
        picture cost least.
    halo
        Pixels shown on each side, where there are any. Like `size` a multiple of the network's stride.
    """
    rows, columns = (size, size) if isinstance(size, int) else size
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            bottom, right = min(top + rows, height), min(left + columns, width)
            yield Tile(
                top, bottom, left, right,
                max(0, top - halo), min(bottom + halo, height),
                max(0, left - halo), min(right + halo, width),
            )  # fmt: skip


def padded(picture: NDArray[Any], stride: int) -> Tensor:
    """``(H, W, C)`` to ``(1, H', W', C)`` with sides that are multiples of a stride, the edge repeated.

    Shares the picture's memory where nothing is missing and it is writeable, as torch wants it.
    """
    height, width, _ = picture.shape
    below, right = -height % stride, -width % stride
    if below or right:
        picture = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")
    return torch.from_numpy(np.require(picture, requirements="W"))[None]


def in_threads(function: Callable[[int], ValueT], bands: Iterable[int], threads: int) -> list[ValueT]:
    """Work on bands in threads of one torch thread each: bands are too small to be shared among several."""

    @torch.inference_mode()
    def work(band: int) -> ValueT:
        return function(band)

    # What a thread sets is what threads that start later begin with: so it is put back.
    with (
        torch_threads(torch.get_num_threads()),
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        return list(pool.map(work, bands))
