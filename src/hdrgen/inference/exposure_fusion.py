"""Exposure brackets of any number and size to scene-linear light: what ``hdrgen merge`` runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hdrgen.exposure.bracket_tables import BracketTables
from hdrgen.exposure.classical_merge import interval_intersection, observed_fraction
from hdrgen.exposure.estimation import exposure_groups
from hdrgen.exposure.log2_encoding import log2_decode
from hdrgen.exposure.smoothest_in_intervals import Plane
from hdrgen.models.consistency import WINDOW_PIXELS, local_consistency
from hdrgen.models.exposure_fusion import (
    DOWNSCALE,
    FEATURES_RADIUS,
    MODEL,
    STRIDE,
    LuminanceStackProcessor,
    in_slots,
    load_exposure_fusion,
    merge_log2,
    shows_light,
    trust_and_correction,
)
from hdrgen.models.flat_areas import smooth_flat_areas
from hdrgen.models.runtime_network import Network, torch_threads
from hdrgen.models.stack_estimates import StackEstimates, consistent_pixels, estimates_of
from hdrgen.models.tiles import Tile, in_threads, padded, tiles
from hdrgen.runtime.errors import HdrgenError

BAND = 64
"""Rows of pixels in a band."""

RECEPTIVE_RADIUS = 256
"""Pixels around a tile that the convolutions' receptive field takes in; a test holds it to the network."""

MOST_FOR_EXPOSURE = 1 << 18
"""Pixels, evenly chosen, from which the brackets' errors of exposure and tint are estimated."""

Codes = NDArray[Any]


@dataclass(frozen=True)
class Merged:
    """The light of a stack at EV 0.

    ``linear`` is float32 ``(H, W, 3)`` from 0, in the primaries of the pictures; ``confidence`` is `observed_fraction`.
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
        self._halo = RECEPTIVE_RADIUS + STRIDE * (net.settings.attention_window // 2)

    def merge(
        self,
        codes: Sequence[Codes],
        tables: Sequence[BracketTables],
        evs: Sequence[float],
        *,
        reference: int,
        occluded: Sequence[NDArray[np.bool_]] | None = None,
        threads: int = 2,
    ) -> Merged:
        """Return the light of a stack; its flat areas smooth where it is clean (`smooth_flat_areas`).

        Parameters
        ----------
        codes
            Brackets, uint8 or uint16 ``(H, W, 3)``, in any order.
        tables, evs
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
        if len(codes) < 2 or not len(codes) == len(tables) == len(evs):
            raise HdrgenError(f"a stack is two exposures or more with their EVs, not {len(codes)}")
        if len({code.shape for code in codes}) > 1:
            sizes = ", ".join(f"{code.shape[1]}x{code.shape[0]}" for code in codes)
            raise HdrgenError(f"the exposures differ in size: {sizes}")
        height, width, _ = codes[0].shape
        order = sorted(range(len(codes)), key=lambda i: evs[i])
        brackets = Brackets(
            [padded(codes[i], STRIDE)[0] for i in order],
            [tables[i] for i in order],
            None if occluded is None else [padded(occluded[i][..., None], STRIDE)[0] for i in order],
            order.index(reference),
            exposure_groups([evs[i] for i in order]),
        )
        linear = np.empty(brackets.codes[0].shape, np.float32)

        def intersection(component: int, every: int) -> tuple[Plane, Plane]:
            some = np.s_[::every, ::every]
            hidden = None if occluded is None else [mask[some] for mask in occluded]
            return interval_intersection([code[(*some, component)] for code in codes], tables, hidden)

        with torch_threads(threads), torch.inference_mode():
            overview = brackets.overview(height, width)
            for tile in tiles(*linear.shape[:2], size=self.TILE, halo=self._halo):
                self._merge_tile(brackets, overview, linear, tile, threads)
            linear = np.ascontiguousarray(linear[:height, :width])
            smooth_flat_areas(linear, intersection, threads=threads)
        return Merged(linear, observed_fraction(codes, tables, occluded, threads=threads))

    def _merge_tile(
        self,
        brackets: "Brackets",
        overview: "Overview",
        linear: NDArray[np.float32],
        tile: Tile,
        threads: int,
    ) -> None:
        height, width, _ = linear[tile.input].shape
        features = torch.empty(
            1, height // DOWNSCALE, width // DOWNSCALE, self._net.settings.widths[0], dtype=self._dtype
        )
        consistent = torch.empty(1, height, width, dtype=torch.bool)
        reference = torch.tensor([overview.reference])
        bands = range(0, height, BAND)

        def stack(top: int, bottom: int) -> StackEstimates:
            rows = slice(tile.input_top + top, tile.input_top + bottom)
            return brackets.in_slots(brackets.stack((rows, tile.input[1])).corrected(overview.errors))[0]

        # What is done to each pixel is done a band at a time, which takes little memory; the network is given all.
        def extract(top: int) -> None:
            bottom = min(top + BAND, height)
            first = max(0, top - FEATURES_RADIUS)
            around = stack(first, min(bottom + FEATURES_RADIUS, height))
            with self._autocast():
                band_features = self._net.features(around.log2, around.weight, overview.shown, reference)
            blocks = slice((top - first) // DOWNSCALE, (bottom - first) // DOWNSCALE)
            features[:, top // DOWNSCALE : bottom // DOWNSCALE] = band_features.permute(0, 2, 3, 1)[:, blocks]
            consistent[:, top:bottom] = consistent_pixels(*around.bounds())[:, top - first : bottom - first]

        in_threads(extract, bands, threads)
        with self._autocast():
            output = self._net.output(features.permute(0, 3, 1, 2))

        def consistency(top: int, bottom: int) -> Tensor:
            first = max(0, top - WINDOW_PIXELS // 2)
            around = local_consistency(consistent[:, first : bottom + WINDOW_PIXELS // 2])
            return around[:, top - first : bottom - first]

        def light(first: int) -> None:
            last = min(first + BAND, height)
            top, bottom = max(first, tile.top - tile.input_top), min(last, tile.bottom - tile.input_top)
            if top >= bottom:  # a band of the halo
                return
            trust, correction = trust_and_correction(output[:, :, first // DOWNSCALE : last // DOWNSCALE])
            log2 = merge_log2(stack(first, last), trust, correction, consistency(first, last))
            kept = log2[0, top - first : bottom - first, tile.kept_of_input[1]]
            rows = slice(tile.input_top + top, tile.input_top + bottom)
            linear[rows, tile.kept[1]] = log2_decode(kept).numpy()

        in_threads(light, bands, threads)


class Overview(NamedTuple):
    """What is known of a stack as a whole, so that all of its tiles agree.

    Each bracket's errors of exposure and tint ``(1, K, 3)`` in log2 encoding, zero for a clean stack; the slot of the
    reference, and which slots show anything, ``(1, 4)``.
    """

    errors: Tensor
    reference: int
    shown: Tensor


@dataclass(frozen=True)
class Brackets:
    """A stack's brackets, darkest first, their sides padded to the network's stride."""

    codes: list[Tensor]
    tables: list[BracketTables]
    occluded: list[Tensor] | None
    reference: int
    exposures: list[list[int]]
    """Which brackets are of one exposure."""

    def in_slots(self, stack: StackEstimates) -> tuple[StackEstimates, int]:
        """Return a stack as the network takes it, brackets of one exposure averaged, and where its reference is then."""
        if len(self.exposures) == len(self.codes):
            return in_slots(stack, self.reference)
        reference = next(n for n, exposure in enumerate(self.exposures) if self.reference in exposure)
        return in_slots(stack.averaged(self.exposures), reference)

    def stack(self, place: tuple[slice, slice]) -> StackEstimates:
        """Return the estimates of a part of the picture."""
        stack = estimates_of([code[place] for code in self.codes], self.tables)
        if self.occluded is None:
            return stack
        hidden = torch.stack([mask[place] for mask in self.occluded])[None]
        return stack.without(hidden) if hidden.any() else stack

    def overview(self, height: int, width: int) -> Overview:
        """Return what a picture of this size says, by an even choice of its pixels."""
        step = max(1, round((height * width / MOST_FOR_EXPOSURE) ** 0.5))
        stack = self.stack((slice(None, height, step), slice(None, width, step)))
        for_network, reference = self.in_slots(stack)
        return Overview(stack.log2_errors(), reference, shows_light(for_network.weight))
