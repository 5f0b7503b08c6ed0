"""What a stack of exposures says about the light without a network, pixel by pixel, in torch.

Light is that at EV 0, in its log2 encoding (`hdrgen.exposure.log2_encoding`). Stacks are ``(N, K, H, W, 3)``, their
exposures darkest first.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple, Self

import torch
from torch import Tensor

from hdrgen.exposure.bracket_tables import BracketTables
from hdrgen.models.consistency import local_consistency

MOST_SD_LOG2 = 8.0
"""Standard deviation of an average that says nothing."""

STATIC_DIFFERENCE_LOG2 = 1.0
"""Differences between two brackets above this are motion, not exposure."""


class StackEstimates(NamedTuple):
    """The entries of the tables (`bracket_tables`) for every code of a stack, ``(N, K, H, W, 3)`` each.

    Weight 0 is where there is nothing: a missing bracket, or an occluded place of a moved one.
    """

    log2: Tensor
    weight: Tensor
    lower: Tensor
    upper: Tensor
    clipped: Tensor

    def without(self, hidden: Tensor) -> Self:
        """Return the stack with nothing where ``hidden`` is True; ``(N, K, H, W, 1)`` or what broadcasts to it."""
        return self._replace(
            weight=self.weight.masked_fill(hidden, 0),
            lower=self.lower.masked_fill(hidden, -torch.inf),
            upper=self.upper.masked_fill(hidden, torch.inf),
            clipped=self.clipped | hidden,
        )

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the intersection of all brackets' intervals, ``(N, H, W, 3)`` each; crossed where they do not meet."""
        return _over_brackets(torch.maximum, self.lower), _over_brackets(torch.minimum, self.upper)

    def consistency(self) -> Tensor:
        """Return how consistent the brackets are around each pixel, 0 to 1, ``(N, H, W, 1)``."""
        return local_consistency(consistent_pixels(*self.bounds()))

    def corrected(self, log2_errors: Tensor) -> Self:
        """Return the stack with these errors, ``(N, K, 3)``, taken off its light."""
        return self._replace(log2=self.log2 - log2_errors[:, :, None, None])

    def log2_errors(self) -> Tensor:
        """Return each bracket's error of exposure and tint, ``(N, K, 3)``; 0 where the stack is consistent."""
        consistent = self.consistency().mean((1, 2, 3)) > 0.5
        if consistent.all():
            return self.log2.new_zeros(len(consistent), *self.log2.shape[1::3])
        errors = exposure_errors(self.log2, self.weight, self.clipped)
        return errors.masked_fill(consistent[:, None, None], 0)

    def averaged(self, groups: Sequence[Sequence[int]]) -> "StackEstimates":
        """Return the stack with one bracket for each group of neighbouring ones.

        Light is averaged by weight, and bounded by all of the group; clipped is what all of it clip.
        """
        brackets = []
        for group in groups:
            some = StackEstimates(*(table[:, group[0] : group[-1] + 1] for table in self))
            log2, _ = weighted_average(some.log2, some.weight)
            brackets.append((log2, some.weight.sum(1), *some.bounds(), some.clipped.all(1)))
        return StackEstimates(*(torch.stack(tables, 1) for tables in zip(*brackets, strict=True)))

    def padded(self, brackets: int) -> "StackEstimates":
        """Return the stack with empty brackets behind its own, so many in all."""
        own = self.log2.shape[1]
        empty = self.log2.new_zeros(self.log2.shape[0], brackets - own, *self.log2.shape[2:])
        filled = StackEstimates(*(torch.cat([table, empty.to(table.dtype)], 1) for table in self))
        return filled.without(torch.arange(brackets, device=empty.device)[None, :, None, None, None] >= own)


def estimates_of(codes: Sequence[Tensor], tables: Sequence[BracketTables]) -> StackEstimates:
    """Return what the tables say of each bracket's integer codes ``(H, W, 3)``, as a stack of one picture.

    In memory the components are planes: what is done to pixels then runs along rows.
    """
    height, width, components = codes[0].shape
    shape = (1, len(codes), components, height, width)
    entries = [
        torch.empty(shape, dtype=torch.bool if name == "clipped" else torch.float32)
        for name in StackEstimates._fields
    ]
    for bracket, (code, of_code) in enumerate(zip(codes, tables, strict=True)):
        index = code.movedim(-1, 0).int().reshape(-1)
        for name, out in zip(StackEstimates._fields, entries, strict=True):
            table = torch.from_numpy(getattr(of_code, name))
            torch.index_select(table, 0, index, out=out[0, bracket].reshape(-1))
    return StackEstimates(*(table.movedim(2, -1) for table in entries))


def weighted_average(log2: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean over exposures and its standard deviation, ``(N, H, W, 3)`` each."""
    total = _over_brackets(torch.add, weight)
    # A highlight that only a long exposure is left to tell of weighs next to nothing, and still more than nothing.
    average = _over_brackets(torch.add, log2 * weight) / total.clamp_min(torch.finfo(torch.float32).tiny)
    return average, total.clamp_min(MOST_SD_LOG2**-2).rsqrt()


def consistent_pixels(lower: Tensor, upper: Tensor) -> Tensor:
    """Return where all brackets' intervals meet, in all three components, ``(N, H, W)``."""
    red, green, blue = (lower <= upper).unbind(-1)
    return red & green & blue


def exposure_errors(log2: Tensor, weight: Tensor, clipped: Tensor) -> Tensor:
    """Return how far each bracket's exposure and tint are from those of all, ``(N, K, 3)`` in log2 encoding.

    Least squares over the mean differences of all pairs, each over the pixels where both are well exposed and do
    not move. That all of them err together nobody can tell: the errors of a stack add up to zero.
    """
    n, brackets, _, _, components = log2.shape
    usable = (weight > 0) & ~clipped
    variance = 1 / weight.clamp_min(1e-12)
    difference = log2.new_zeros(n, brackets, brackets, components)
    count = torch.zeros_like(difference)
    for i in range(brackets):
        for j in range(i):
            d = log2[:, i] - log2[:, j]
            # Differences are of unequal worth: a code in the shadows says little about exposure.
            w = (usable[:, i] & usable[:, j] & (d.abs() < STATIC_DIFFERENCE_LOG2)) / (
                variance[:, i] + variance[:, j]
            )
            total = w.sum((1, 2))
            difference[:, i, j] = (w * d).sum((1, 2)) / total.clamp_min(1e-9)
            difference[:, j, i] = -difference[:, i, j]
            count[:, i, j] = count[:, j, i] = total
    # Normal equations of sum count_ij (e_i - e_j - d_ij)^2 with a weak pull to zero.
    matrix = -count.permute(0, 3, 1, 2)
    right = (count * difference).sum(2).permute(0, 2, 1)
    diagonal = count.sum(2).permute(0, 2, 1)
    pull = 1e-3 * diagonal.amax(-1, keepdim=True).clamp_min(1e-6)
    matrix = matrix + torch.diag_embed(diagonal + pull)
    return torch.linalg.solve(matrix, right[..., None])[..., 0].permute(0, 2, 1)


def _over_brackets(operation: Callable[[Tensor, Tensor], Tensor], stack: Tensor) -> Tensor:
    """Reduce a stack over its brackets, bracket by bracket: several times as fast as along so short an axis."""
    return reduce(operation, stack.unbind(1))
