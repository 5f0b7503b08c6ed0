"""Exposure brackets of any number and size to scene-linear light: what ``hdrgen merge`` runs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.inference.tiles import Tile, fastest_dtype, padded, tiles
from hdrgen.models.bracket_cells import BracketCells
from hdrgen.models.classical_merge import seen_share
from hdrgen.models.exposure_fusion import (
    MODEL,
    STRIDE,
    LuminanceStackProcessor,
    Stack,
    load_exposure_fusion,
    merge_levels,
    stack_of,
)
from hdrgen.models.tone_cells import level_decode
from hdrgen.runtime.errors import HdrgenError
from hdrgen.training.weights import released_weights

TILE = 2048
"""Side of what one pass of the network keeps, in pixels."""

REACH = 256
"""Pixels around a tile that can move a pixel inside by the convolutions alone; a test holds it to the network."""

MOST_FOR_EXPOSURE = 1 << 18
"""Pixels, evenly chosen, from which the brackets' errors of exposure and tint are found."""

Codes = NDArray[Any]


@dataclass(frozen=True)
class Merged:
    """The light of a stack at EV 0.

    ``linear`` is float32 ``(H, W, 3)`` from 0, in the primaries of the pictures; ``confidence`` is `seen_share`.
    """

    linear: NDArray[np.float32]
    confidence: NDArray[np.float32]


class StackMerger:
    """The luminance stack processor with its weights.

    Parameters
    ----------
    net
        The network; its convolutions are run in ``dtype``.
    digest
        Of the weights, for provenance: the first twelve hexadecimal digits of their SHA-256.
    dtype
        bf16 where the processor has it in hardware, else fp32.
    """

    def __init__(self, net: LuminanceStackProcessor, digest: str, dtype: torch.dtype | None = None) -> None:
        self.digest = digest
        self._dtype = dtype or fastest_dtype()
        self._halo = REACH + STRIDE * (net.settings.attention_window // 2)
        self._net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def merge(
        self,
        codes: Sequence[Codes],
        cells: Sequence[BracketCells],
        evs: Sequence[float],
        *,
        reference: int,
        occluded: Sequence[NDArray[np.bool_]] | None = None,
        threads: int = 2,
    ) -> Merged:
        """Return the light of a stack.

        Parameters
        ----------
        codes
            Brackets, uint8 or uint16 ``(H, W, 3)``, in any order.
        cells, evs
            The tables of each bracket's codes, and its exposure value.
        reference
            Which bracket shows moving things where they are to be.
        occluded
            ``(H, W)`` for each bracket: where it does not show what the reference shows (`align_stack`).
        threads
            Threads to work with.

        Raises
        ------
        HdrgenError
            There are fewer than two brackets, or they differ in size.
        """
        if len(codes) < 2 or not len(codes) == len(cells) == len(evs):
            raise HdrgenError(f"a stack is two exposures or more with their EVs, not {len(codes)}")
        if len({code.shape for code in codes}) > 1:
            sizes = ", ".join(f"{code.shape[1]}x{code.shape[0]}" for code in codes)
            raise HdrgenError(f"the exposures differ in size: {sizes}")
        torch.set_num_threads(threads)
        order = sorted(range(len(codes)), key=lambda i: evs[i])
        brackets = _Brackets(
            [codes[i] for i in order],
            [cells[i] for i in order],
            None if occluded is None else [occluded[i] for i in order],
            order.index(reference),
        )
        height, width, _ = codes[0].shape
        linear = np.empty((height, width, 3), np.float32)
        with torch.inference_mode():
            errors = brackets.exposure_errors()
            for tile in tiles(height, width, size=TILE, halo=self._halo):
                linear[tile.kept] = self._merge_tile(brackets, errors, tile)
        return Merged(linear, seen_share(codes, cells, occluded, threads=threads))

    def _merge_tile(self, brackets: "_Brackets", errors: Tensor, tile: Tile) -> NDArray[np.float32]:
        stack = brackets.stack(tile.seen)
        stack = stack._replace(level=stack.level - errors[:, :, None, None])
        stack, reference = stack.in_slots(brackets.reference)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            trust, correction = self._net(stack.level, stack.weight, torch.tensor([reference]))
        linear = level_decode(merge_levels(stack, trust, correction))[0]
        kept: NDArray[np.float32] = linear[tile.kept_of_seen].numpy()
        return kept


@dataclass(frozen=True)
class _Brackets:
    """A stack's brackets, darkest first."""

    codes: list[Codes]
    cells: list[BracketCells]
    occluded: list[NDArray[np.bool_]] | None
    reference: int

    def stack(self, place: tuple[slice, slice]) -> Stack:
        """Return what is known of a part of the picture, its sides padded to the network's stride."""
        stack = stack_of([padded(code[place], STRIDE)[0] for code in self.codes], self.cells)
        if self.occluded is None:
            return stack
        hidden = [padded(mask[place][..., None], STRIDE)[0] for mask in self.occluded]
        return stack.without(torch.stack(hidden)[None])

    def exposure_errors(self) -> Tensor:
        """Return each bracket's errors of exposure and tint, ``(1, K, 3)`` in levels; zero for a clean stack."""
        height, width, _ = self.codes[0].shape
        step = max(1, round((height * width / MOST_FOR_EXPOSURE) ** 0.5))
        stack = self.stack((slice(None, None, step), slice(None, None, step)))
        return stack.level_errors()


def load_merger(weights: Path | None = None) -> StackMerger:
    """Load the merger with these weights, or with the released ones.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """
    path = weights or released_weights(MODEL)
    return StackMerger(load_exposure_fusion(path), hashlib.sha256(path.read_bytes()).hexdigest()[:12])
