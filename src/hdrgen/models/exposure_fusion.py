"""The luminance stack processor: exposure brackets to one picture of unbounded light.

A closed form gives the first answer: every bracket's level, weighted by its inverse variance (`bracket_cells`), after
the brackets' exposures and tints have been brought into agreement with each other. The published network then says, for
each pixel, which brackets to believe (a moving object is where it was in one of them only) and what to add, in standard
deviations of the average: five residual blocks down, multi-head self-attention at the bottom, five blocks up with skip
connections, features of each exposure by an encoder that all exposures share. Untrained it is the closed form.

Where all brackets' quantisation cells meet, the stack is a clean one, and the answer is held in their intersection,
as `hdrgen.models.tone_fusion` holds it for two tone maps.

Pictures are ``(N, H, W, 3)``; stacks have their exposures first of all, ``(N, K, H, W, 3)``, darkest first.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from hdrgen.colour.pu21 import PEAK, pu21_encode
from hdrgen.colour.units import NITS_PER_UNIT
from hdrgen.exposure.bracket_tables import BracketCells
from hdrgen.exposure.tone_map_tables import level_decode, level_encode
from hdrgen.models.clean_share import clean_share
from hdrgen.models.folded_unet import Residual
from hdrgen.models.weights import load_model, save_weights
from hdrgen.runtime.params import Section

MODEL = "exposure_fusion"
"""The name in the header of its weights."""

SLOTS = 4
"""Exposures that the network takes. Fewer leave slots empty; of more, neighbours are averaged first."""

FOLD = 2
"""The first halving of the picture's size: 2x2 pixels become channels."""

FEATURES_REACH = 2 * FOLD
"""Pixels around a pixel that its exposures' features are of: two 3x3 convolutions of 2x2 blocks."""

STRIDE = 32
"""Sides of what the network sees are multiples of this: five halvings."""

MOST_SD = 6.0
"""Standard deviations beyond which a disagreement is no larger to the network."""

MOST_SD_LEVELS = 8.0
"""Standard deviation of an average that says nothing."""

MOST_TRUST = 8.0
"""Natural logarithm of the factor by which the network may raise or lower a bracket's weight."""

MOST_CORRECTION_LEVELS = 0.25
"""A quarter of a stop is as far as the network may move the average. Where every bracket is clipped the average's standard
deviation is several stops, and what looked best while training painted lights several times too bright there."""

MAX_LEVEL = 15.9
"""Just below where half floats end."""

CLEAN_WINDOW = 33
"""Side of the window, in pixels, in which agreement is counted."""

TRUST_INSIDE_CELL = 0.25
"""How far a clean pixel goes from the middle of its cells' intersection to what the network says."""

AGREEMENT_LEVELS = 1.0
"""Differences between two brackets above this are motion, not exposure."""


class ExposureFusionLoss(Section):
    """What is wrong with an answer: three terms, in the perceptual, the logarithmic and the linear domain."""

    levels_weight: float = Field(4.0, ge=0)
    """Decibels that a mean error of one level (one stop) weighs."""
    linear_weight: float = Field(2.0, ge=0)
    """Decibels that a mean relative error of 1 in linear light weighs."""


class ExposureFusion(Section):
    """Size of the network."""

    exposure_width: int = 24
    """Channels of each exposure's own features."""
    widths: tuple[int, int, int, int, int] = (32, 64, 96, 128, 128)
    """Channels at half of the picture's size, a quarter, and so on."""
    heads: int = 4
    """Heads of the self-attention."""
    attention_window: int = Field(5, ge=1)
    """Side of the neighbourhood, in places of 32x32 pixels, that each place attends to. Bounded, so that tiles agree."""

    @model_validator(mode="after")
    def _attention_has_a_middle_and_whole_heads(self) -> Self:
        if not self.attention_window % 2:
            raise ValueError(f"attention_window must be odd, not {self.attention_window}")
        if self.widths[-1] % self.heads:
            raise ValueError(f"{self.heads} heads do not share {self.widths[-1]} channels evenly")
        return self


class Stack(NamedTuple):
    """What the tables (`bracket_cells`) say of every code of a stack, ``(N, K, H, W, 3)`` each.

    Weight 0 is where there is nothing: a missing bracket, or an occluded place of a moved one.
    """

    level: Tensor
    weight: Tensor
    lower: Tensor
    upper: Tensor
    clipped: Tensor

    def without(self, hidden: Tensor) -> "Stack":
        """Return the stack with nothing where ``hidden`` is True; ``(N, K, H, W, 1)`` or what broadcasts to it."""
        return Stack(
            self.level,
            self.weight.masked_fill(hidden, 0),
            self.lower.masked_fill(hidden, -torch.inf),
            self.upper.masked_fill(hidden, torch.inf),
            self.clipped | hidden,
        )

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the intersection of all brackets' cells, ``(N, H, W, 3)`` each; crossed where they do not meet."""
        return _over_brackets(torch.maximum, self.lower), _over_brackets(torch.minimum, self.upper)

    def clean(self) -> Tensor:
        """Return how clean the stack is around each pixel, 0 to 1, ``(N, H, W, 1)``."""
        return clean_share(cells_meet(*self.bounds()), CLEAN_WINDOW)

    def corrected(self, level_errors: Tensor) -> "Stack":
        """Return the stack with these errors, ``(N, K, 3)``, taken off its levels."""
        return self._replace(level=self.level - level_errors[:, :, None, None])

    def level_errors(self) -> Tensor:
        """Return what to take off each bracket's levels for exposures and tints to agree, ``(N, K, 3)``; 0 if clean."""
        clean = self.clean().mean((1, 2, 3)) > 0.5
        if clean.all():
            return self.level.new_zeros(len(clean), *self.level.shape[1::3])
        errors = exposure_errors(self.level, self.weight, self.clipped)
        return errors.masked_fill(clean[:, None, None], 0)

    def in_slots(self, reference: int) -> tuple["Stack", int]:
        """Return the stack as the network takes it, in `SLOTS` brackets, and where its reference is then.

        Fewer brackets leave empty slots at the end; of more, neighbours are averaged by their weights.
        """
        brackets = self.level.shape[1]
        if brackets == SLOTS:
            return self, reference
        if brackets < SLOTS:
            empty = self.level.new_zeros(self.level.shape[0], SLOTS - brackets, *self.level.shape[2:])
            filled = Stack(*(torch.cat([table, empty.to(table.dtype)], 1) for table in self))
            slot = torch.arange(SLOTS, device=empty.device)[None, :, None, None, None]
            return filled.without(slot >= brackets), reference
        groups = np.array_split(np.arange(brackets), SLOTS)
        together = [Stack(*(table[:, group[0] : group[-1] + 1] for table in self)) for group in groups]
        averaged = (
            Stack(
                weighted_average(group.level, group.weight)[0],
                group.weight.sum(1),
                *group.bounds(),
                group.clipped.all(1),
            )
            for group in together
        )
        stacked = Stack(*(torch.stack(tables, 1) for tables in zip(*averaged, strict=True)))
        return stacked, slot_of(reference, brackets)


def slot_of(bracket: int, brackets: int) -> int:
    """Return the slot that a bracket, counted from the darkest, goes to in `Stack.in_slots`."""
    groups = np.array_split(np.arange(brackets), SLOTS)
    return next(slot for slot, group in enumerate(groups) if bracket in group)


class NeighbourhoodAttention(nn.Module):
    """Multi-head self-attention of each place over the window around it (Vaswani et al. 2017; Hassani et al. 2023)."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(
            width
        )  # of each place by itself: statistics of a picture would differ by tile
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.position = nn.Parameter(torch.zeros(heads, window**2))
        self.leave = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        n, width, rows, columns = x.shape
        each, places = width // self.heads, rows * columns
        normal = self.norm(x.permute(0, 2, 3, 1).float()).permute(0, 3, 1, 2)
        query, key, value = self.project(normal).float().chunk(3, 1)
        around = [
            F.unfold(t, self.window, padding=self.window // 2).reshape(n, self.heads, each, -1, places)
            for t in (key, value)
        ]
        inside = F.unfold(
            x.new_ones((1, 1, rows, columns), dtype=torch.float32), self.window, padding=self.window // 2
        )
        query = query.reshape(n, self.heads, each, 1, places)
        scores = (query * around[0]).sum(2) * each**-0.5 + self.position[None, :, :, None]
        scores = scores.masked_fill(inside[:, None] == 0, -torch.inf)
        answer = (scores.softmax(2)[:, :, None] * around[1]).sum(3)
        return x + self.leave(answer.reshape(n, width, rows, columns).to(x.dtype))


class LuminanceStackProcessor(nn.Module):
    """Levels and weights of up to four exposures to levels of light."""

    def __init__(self, settings: ExposureFusion) -> None:
        super().__init__()
        self.settings = settings
        each, widths = settings.exposure_width, settings.widths
        folded = FOLD**2
        # Of each exposure: three deviations and its share of the weight; whether it is there, and the reference.
        self.exposure = nn.Sequential(
            nn.Conv2d(4 * folded + 2, each, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(each, each, 3, padding=1),
        )
        self.enter = nn.Conv2d(SLOTS * each + 3 * folded + 4, widths[0], 1)
        self.down = nn.ModuleList(Residual(width) for width in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.attention = NeighbourhoodAttention(widths[-1], settings.heads, settings.attention_window)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.fuse = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in widths[:-1])
        self.up = nn.ModuleList(Residual(width) for width in widths)
        self.leave = nn.Conv2d(widths[0], (SLOTS + 3) * folded, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, level: Tensor, weight: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network's answer: trust in each exposure, and what to add to their average.

        Parameters
        ----------
        level, weight
            ``(N, 4, H, W, 3)``; weight 0 where there is nothing.
        reference
            Which slot is the one that moving things are shown from, ``(N,)``.

        Returns
        -------
        Tensor, Tensor
            Natural logarithm of what each slot's weight is to be multiplied by, ``(N, 4, H, W, 1)``; and the
            correction in standard deviations, ``(N, H, W, 3)``.
        """
        return unfolded(self.answer(self.features(level, weight, shown(weight), reference)))

    def features(self, level: Tensor, weight: Tensor, shown: Tensor, reference: Tensor) -> Tensor:
        """Return what the network sees of the stack, ``(N, C, H/2, W/2)``; `FEATURES_REACH` is how far each looks.

        Parameters
        ----------
        level, weight, reference
            As of `forward`, or rows of them.
        shown
            Which slots show anything, anywhere in the picture, ``(N, 4)``.
        """
        level, weight = _planes(level), _planes(weight)
        average, sd = weighted_average(level, weight)
        share = weight / weight.sum(1, keepdim=True).clamp_min(1e-12)
        # In standard deviations of what the two are expected to differ by.
        deviation = (level - average[:, None]) * (weight / (1 + share)).sqrt()
        share = torch.unflatten(share, 2, (3, -1)).mean(2)
        about = torch.stack([shown, F.one_hot(reference, SLOTS)], -1)[..., None, None].to(share)
        about = about.expand(-1, -1, -1, *share.shape[3:])
        seen = torch.cat([deviation.clamp(-MOST_SD, MOST_SD) / 2, share, about], 2)
        own = self.exposure(seen.flatten(0, 1)).reshape(len(seen), -1, *share.shape[3:])
        pixels = torch.unflatten(average, 1, (3, -1))
        mean = pixels.mean(2)
        detail = (pixels - mean[:, :, None]).flatten(1, 2) / sd
        detail = detail.clamp(-MOST_SD, MOST_SD) / 2
        log_sd = sd.log2().mean(1, keepdim=True)
        together = torch.cat([own, *(t.to(own.dtype) for t in (detail, mean / 4, log_sd / 4))], 1)
        x: Tensor = self.enter(together.contiguous(memory_format=torch.channels_last))
        return x

    def answer(self, features: Tensor) -> Tensor:
        """Return what the network says of its `features`, for `unfolded`: ``(N, 28, H/2, W/2)``."""
        x = self.down[0](features)
        skips = []
        for shrink, down in zip(self.shrink, self.down[1:], strict=True):
            skips.append(x)
            x = down(shrink(x))
        x = self.up[-1](self.attention(x))
        for grow, fuse, up in zip(*map(reversed, (self.grow, self.fuse, self.up[:-1])), strict=True):
            x = up(fuse(torch.cat([skips.pop(), grow(x)], 1)))
        answer: Tensor = self.leave(x)
        return answer

    def merged(self, stack: Stack, reference: Tensor) -> Tensor:
        """Return the level of the light, ``(N, H, W, 3)``, of a stack in `SLOTS` brackets."""
        stack = stack.corrected(stack.level_errors())
        trust, correction = self(stack.level, stack.weight, reference)
        return merge_levels(stack, trust, correction, stack.clean())


def shown(weight: Tensor) -> Tensor:
    """Return which exposures show anything, ``(N, K)``, by their weights ``(N, K, H, W, 3)``."""
    return weight.amax((2, 3, 4)) > 0


def unfolded(answer: Tensor) -> tuple[Tensor, Tensor]:
    """Return trust and correction, as `LuminanceStackProcessor.forward` does, of the network's answer."""
    answer = answer.to(torch.float32, memory_format=torch.contiguous_format)
    trust, correction = torch.split(F.pixel_shuffle(answer, FOLD), [SLOTS, 3], 1)
    return trust.clamp(-MOST_TRUST, MOST_TRUST)[..., None], correction.movedim(1, -1)


def _planes(picture: Tensor) -> Tensor:
    """``(..., H, W, C)`` to ``(..., 4 C, H/2, W/2)``: the pixels of each block of 2x2 become planes."""
    return F.pixel_unshuffle(picture.movedim(-1, -3), FOLD)


def _over_brackets(operation: Callable[[Tensor, Tensor], Tensor], stack: Tensor) -> Tensor:
    """Reduce a stack over its brackets, bracket by bracket: several times as fast as along so short an axis."""
    return reduce(operation, stack.unbind(1))


def weighted_average(level: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean over exposures and its standard deviation, ``(N, H, W, 3)`` each."""
    total = _over_brackets(torch.add, weight)
    # A highlight that only a long exposure is left to tell of weighs next to nothing, and still more than nothing.
    average = _over_brackets(torch.add, level * weight) / total.clamp_min(torch.finfo(torch.float32).tiny)
    return average, total.clamp_min(MOST_SD_LEVELS**-2).rsqrt()


def merge_levels(stack: Stack, trust: Tensor, correction: Tensor, clean: Tensor) -> Tensor:
    """Return the level of the light, ``(N, H, W, 3)``; ``trust`` and ``correction`` as the network answers.

    Where all brackets' cells meet all around (``clean``, of `Stack.clean`), the answer is held in their intersection.
    """
    average, sd = weighted_average(stack.level, stack.weight * trust.exp())
    merged = average + MOST_CORRECTION_LEVELS * torch.tanh(sd * correction / MOST_CORRECTION_LEVELS)
    if clean.any():
        lower, upper = stack.bounds()
        middle = torch.where(upper.isinf(), lower, torch.where(lower.isinf(), upper, (lower + upper) / 2))
        inside = torch.minimum(torch.maximum(merged, lower), upper)
        # What no bracket bounds on either side has no middle; there the average stands.
        middle = torch.where(middle.isinf(), inside, middle)
        merged = torch.lerp(merged, torch.lerp(middle, inside, TRUST_INSIDE_CELL), clean)
    return merged.clamp(max=MAX_LEVEL)


def cells_meet(lower: Tensor, upper: Tensor) -> Tensor:
    """Return where all brackets' cells meet, in all three components, ``(N, H, W)``."""
    red, green, blue = (lower <= upper).unbind(-1)
    return red & green & blue


def exposure_errors(level: Tensor, weight: Tensor, clipped: Tensor) -> Tensor:
    """Return how far each bracket's exposure and tint are from what all agree on, ``(N, K, 3)`` in levels.

    Least squares over the mean differences of all pairs, each over the pixels where both are well exposed and do
    not move. That all of them err together nobody can see: the errors of a stack add up to zero.
    """
    n, brackets, _, _, components = level.shape
    usable = (weight > 0) & ~clipped
    variance = 1 / weight.clamp_min(1e-12)
    difference = level.new_zeros(n, brackets, brackets, components)
    count = torch.zeros_like(difference)
    for i in range(brackets):
        for j in range(i):
            d = level[:, i] - level[:, j]
            # Differences are of unequal worth: a code in the shadows says little about exposure.
            w = (usable[:, i] & usable[:, j] & (d.abs() < AGREEMENT_LEVELS)) / (
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


def exposure_fusion_loss(level: Tensor, target_linear: Tensor, settings: ExposureFusionLoss) -> Tensor:
    """Return minus each picture's PU21-PSNR in dB, plus its errors in levels and in relative linear light, ``(N,)``.

    PU21 is blind above 10,000 nit (100.0); the other two are not.
    """
    linear = level_decode(level.float())
    error = (pu21_encode(linear * NITS_PER_UNIT) - pu21_encode(target_linear * NITS_PER_UNIT)) / PEAK
    decibels = 10 * torch.log10(error.square().mean((1, 2, 3)) + 1e-7)
    in_levels = (level.float() - level_encode(target_linear)).abs().mean((1, 2, 3))
    relative = ((linear - target_linear).abs() / (target_linear + 1)).clamp_max(10).mean((1, 2, 3))
    return decibels + settings.levels_weight * in_levels + settings.linear_weight * relative


def stack_of(codes: Sequence[Tensor], cells: Sequence[BracketCells]) -> Stack:
    """Return what the tables say of each bracket's integer codes ``(H, W, 3)``, as a stack of one picture.

    In memory the components are planes: what is done to pixels then runs along rows.
    """
    height, width, components = codes[0].shape
    shape = (1, len(codes), components, height, width)
    tables = [
        torch.empty(shape, dtype=torch.bool if f == "clipped" else torch.float32) for f in Stack._fields
    ]
    for bracket, (code, cell) in enumerate(zip(codes, cells, strict=True)):
        entries = code.movedim(-1, 0).int().reshape(-1)
        for name, table in zip(Stack._fields, tables, strict=True):
            found = torch.from_numpy(getattr(cell, name))
            torch.index_select(found, 0, entries, out=table[0, bracket].reshape(-1))
    return Stack(*(table.movedim(2, -1) for table in tables))


def save_exposure_fusion(path: Path, net: LuminanceStackProcessor) -> None:
    """Write the weights with all that `load_exposure_fusion` needs to know."""
    settings = net.settings.model_dump(mode="json")
    save_weights(path, net, model=MODEL, settings=settings, dtype=torch.float16)


def load_exposure_fusion(path: Path) -> LuminanceStackProcessor:
    """Read what `save_exposure_fusion` wrote, ready for inference.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """
    return load_model(
        path, MODEL, lambda settings: LuminanceStackProcessor(ExposureFusion.model_validate(settings))
    )
