"""Exposure brackets of any number and size to scene-linear light: what ``hdrgen merge`` runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.exposure.bracket_tables import BracketCells
from hdrgen.exposure.classical_merge import cell_intersection, seen_share
from hdrgen.exposure.estimation import exposure_groups
from hdrgen.exposure.smoothest_in_cells import Plane
from hdrgen.exposure.tone_map_tables import level_decode
from hdrgen.models.clean_share import clean_share
from hdrgen.models.exposure_fusion import (
    CLEAN_WINDOW,
    FEATURES_REACH,
    FOLD,
    MAX_LEVEL,
    MODEL,
    STRIDE,
    LuminanceStackProcessor,
    Stack,
    cells_meet,
    load_exposure_fusion,
    merge_levels,
    shown,
    stack_of,
    unfolded,
    weighted_average,
)
from hdrgen.models.flat_areas import smooth_flat_areas
from hdrgen.models.runtime_network import Network, torch_threads
from hdrgen.models.tiles import Tile, in_threads, padded, tiles
from hdrgen.runtime.errors import HdrgenError

BAND = 64
"""Rows of pixels in a band."""

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


class StackMerger(Network[LuminanceStackProcessor]):
    """The luminance stack processor with its weights. See `Network`."""

    model = MODEL
    load_net = staticmethod(load_exposure_fusion)

    TILE: ClassVar[tuple[int, int]] = (2304, 4096)
    """Rows and columns of what one pass of the network keeps, in pixels."""

    def __init__(self, net: LuminanceStackProcessor, digest: str, dtype: torch.dtype | None = None) -> None:
        super().__init__(net, digest, dtype)
        self._halo = REACH + STRIDE * (net.settings.attention_window // 2)

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
        """Return the light of a stack; the flat areas of a clean one as smooth as its cells allow (`smooth_flat_areas`).

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
        height, width, _ = codes[0].shape
        order = sorted(range(len(codes)), key=lambda i: evs[i])
        brackets = Brackets(
            [padded(codes[i], STRIDE)[0] for i in order],
            [cells[i] for i in order],
            None if occluded is None else [padded(occluded[i][..., None], STRIDE)[0] for i in order],
            order.index(reference),
            exposure_groups([evs[i] for i in order]),
        )
        linear = np.empty(brackets.codes[0].shape, np.float32)

        def intersection(component: int, every: int) -> tuple[Plane, Plane]:
            some = np.s_[::every, ::every]
            hidden = None if occluded is None else [mask[some] for mask in occluded]
            return cell_intersection([code[(*some, component)] for code in codes], cells, hidden)

        with torch_threads(threads), torch.inference_mode():
            overview = brackets.overview(height, width)
            for tile in tiles(*linear.shape[:2], size=self.TILE, halo=self._halo):
                self._merge_tile(brackets, overview, linear, tile, threads)
            linear = np.ascontiguousarray(linear[:height, :width])
            smooth_flat_areas(linear, intersection, max_level=MAX_LEVEL, threads=threads)
        return Merged(linear, seen_share(codes, cells, occluded, threads=threads))

    def _merge_tile(
        self,
        brackets: "Brackets",
        overview: "Overview",
        linear: NDArray[np.float32],
        tile: Tile,
        threads: int,
    ) -> None:
        height, width, _ = linear[tile.seen].shape
        features = torch.empty(
            1, height // FOLD, width // FOLD, self._net.settings.widths[0], dtype=self._dtype
        )
        meet = torch.empty(1, height, width, dtype=torch.bool)
        reference = torch.tensor([overview.reference])
        bands = range(0, height, BAND)

        def stack(top: int, bottom: int) -> Stack:
            rows = slice(tile.seen_top + top, tile.seen_top + bottom)
            part = brackets.stack((rows, tile.seen[1])).corrected(overview.errors)
            return brackets.in_slots(part)[0]

        # What is done to each pixel is done a band at a time, which takes little memory; the network sees all.
        def look(top: int) -> None:
            bottom = min(top + BAND, height)
            first = max(0, top - FEATURES_REACH)
            part = stack(first, min(bottom + FEATURES_REACH, height))
            with self._autocast():
                encoded = self._net.features(part.level, part.weight, overview.shown, reference)
            blocks = slice((top - first) // FOLD, (bottom - first) // FOLD)
            features[:, top // FOLD : bottom // FOLD] = encoded.permute(0, 2, 3, 1)[:, blocks]
            meet[:, top:bottom] = cells_meet(*part.bounds())[:, top - first : bottom - first]

        in_threads(look, bands, threads)
        with self._autocast():
            output = self._net.answer(features.permute(0, 3, 1, 2))

        def clean(top: int, bottom: int) -> Tensor:
            first = max(0, top - CLEAN_WINDOW // 2)
            around = clean_share(meet[:, first : bottom + CLEAN_WINDOW // 2], CLEAN_WINDOW)
            return around[:, top - first : bottom - first]

        def light(first: int) -> None:
            last = min(first + BAND, height)
            top, bottom = max(first, tile.top - tile.seen_top), min(last, tile.bottom - tile.seen_top)
            if top >= bottom:  # a band of the halo
                return
            trust, correction = unfolded(output[:, :, first // FOLD : last // FOLD])
            level = merge_levels(stack(first, last), trust, correction, clean(first, last))
            kept = level[0, top - first : bottom - first, tile.kept_of_seen[1]]
            rows = slice(tile.seen_top + top, tile.seen_top + bottom)
            linear[rows, tile.kept[1]] = level_decode(kept).numpy()

        in_threads(light, bands, threads)


class Overview(NamedTuple):
    """What the whole picture says of a stack, so that all of its tiles agree.

    Each bracket's errors of exposure and tint ``(1, K, 3)`` in levels, zero for a clean stack; the slot of the
    reference, and which slots show anything, ``(1, 4)``.
    """

    errors: Tensor
    reference: int
    shown: Tensor


@dataclass(frozen=True)
class Brackets:
    """A stack's brackets, darkest first, their sides padded to the network's stride."""

    codes: list[Tensor]
    cells: list[BracketCells]
    occluded: list[Tensor] | None
    reference: int
    exposures: list[list[int]]
    """Which brackets are of one exposure."""

    def in_slots(self, stack: Stack) -> tuple[Stack, int]:
        """Return a stack as the network takes it, brackets of one exposure averaged, and where its reference is then."""
        if len(self.exposures) == len(self.codes):
            return stack.in_slots(self.reference)
        averaged = [_averaged(Stack(*(t[:, e[0] : e[-1] + 1] for t in stack))) for e in self.exposures]
        together = Stack(*(torch.stack(tables, 1) for tables in zip(*averaged, strict=True)))
        reference = next(n for n, exposure in enumerate(self.exposures) if self.reference in exposure)
        return together.in_slots(reference)

    def stack(self, place: tuple[slice, slice]) -> Stack:
        """Return what is known of a part of the picture."""
        stack = stack_of([code[place] for code in self.codes], self.cells)
        if self.occluded is None:
            return stack
        hidden = torch.stack([mask[place] for mask in self.occluded])[None]
        return stack.without(hidden) if hidden.any() else stack

    def overview(self, height: int, width: int) -> Overview:
        """Return what a picture of this size says, by an even choice of its pixels."""
        step = max(1, round((height * width / MOST_FOR_EXPOSURE) ** 0.5))
        stack = self.stack((slice(None, height, step), slice(None, width, step)))
        in_slots, reference = self.in_slots(stack)
        return Overview(stack.level_errors(), reference, shown(in_slots.weight))


def _averaged(stack: Stack) -> Stack:
    """Return brackets of one exposure as one, without their axis: what all of their cells allow, seen where any is."""
    level = weighted_average(stack.level, stack.weight)[0]
    return Stack(level, stack.weight.sum(1), *stack.bounds(), stack.clipped.all(1))
