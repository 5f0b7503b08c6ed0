"""The luminance stack processor: exposure brackets to one picture of unbounded light.

A closed form begins: every bracket's light, weighted by its inverse variance (`bracket_tables`), after the brackets'
exposures and tints have been brought into agreement with each other (`stack_estimates`). The published network then says,
for each pixel, which brackets to believe (a moving object is where it was in one of them only) and what to add, in standard
deviations of the average: five residual blocks down, multi-head self-attention at the bottom, five blocks up with skip
connections, features of each exposure by an encoder that all exposures share. Untrained it is the closed form.

Where all brackets' quantisation intervals meet, the stack is a clean one, and the output is clamped into their
intersection, as `hdrgen.models.tone_fusion` does for two tone maps.

Light is in its log2 encoding (`hdrgen.exposure.log2_encoding`). Pictures are ``(N, H, W, 3)``; stacks have their exposures
first of all, ``(N, K, H, W, 3)``, darkest first.
"""

from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from hdrgen.colour.pu21 import PEAK, pu21_encode
from hdrgen.colour.units import NITS_PER_UNIT
from hdrgen.exposure.log2_encoding import MAX_LOG2, log2_decode, log2_encode
from hdrgen.models.consistency import TRUST_INSIDE_INTERVAL
from hdrgen.models.neighbourhood_attention import NeighbourhoodAttention
from hdrgen.models.pixel_unshuffled_unet import Residual
from hdrgen.models.stack_estimates import StackEstimates, weighted_average
from hdrgen.models.weights import load_model, save_model
from hdrgen.runtime.params import Section

MODEL = "exposure_fusion"
"""The name in the header of its weights."""

SLOTS = 4
"""Exposures that the network takes. Fewer leave slots empty; of more, neighbours are averaged first."""

DOWNSCALE = 2
"""The first halving of the picture's size: 2x2 pixels become channels."""

FEATURES_RADIUS = 2 * DOWNSCALE
"""Pixels around a pixel that its exposures' features are of: two 3x3 convolutions of 2x2 blocks."""

STRIDE = 32
"""The sides of its pictures are multiples of this: five halvings."""

MOST_SD = 6.0
"""Standard deviations beyond which a disagreement is no larger to the network."""

MOST_TRUST = 8.0
"""Natural logarithm of the factor by which the network may raise or lower a bracket's weight."""

MOST_CORRECTION_LOG2 = 0.25
"""A quarter of a stop is as far as the network may move the average. Where every bracket is clipped the average's standard
deviation is several stops, and what looked best while training painted lights several times too bright there."""


class ExposureFusionLoss(Section):
    """What is wrong with an output: three terms, in the perceptual, the logarithmic and the linear domain."""

    levels_weight: float = Field(4.0, ge=0)
    """Decibels that a mean error of one stop, 1 in log2 of the light, weighs."""
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


class LuminanceStackProcessor(nn.Module):
    """Light and weights of up to four exposures, in log2 encoding, to the light of the scene."""

    def __init__(self, settings: ExposureFusion) -> None:
        super().__init__()
        self.settings = settings
        each, widths = settings.exposure_width, settings.widths
        block = DOWNSCALE**2
        # Of each exposure: three deviations and its share of the weight; whether it is there, and the reference.
        self.exposure = nn.Sequential(
            nn.Conv2d(4 * block + 2, each, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(each, each, 3, padding=1),
        )
        self.stem = nn.Conv2d(SLOTS * each + 3 * block + 4, widths[0], 1)
        self.down = nn.ModuleList(Residual(width) for width in widths)
        self.downsample = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.attention = NeighbourhoodAttention(widths[-1], settings.heads, settings.attention_window)
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.fuse = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in widths[:-1])
        self.up = nn.ModuleList(Residual(width) for width in widths)
        self.head = nn.Conv2d(widths[0], (SLOTS + 3) * block, 3, padding=1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, log2: Tensor, weight: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network's output: trust in each exposure, and what to add to their average.

        Parameters
        ----------
        log2, weight
            ``(N, 4, H, W, 3)``; weight 0 where there is nothing.
        reference
            Which slot is the one that moving things are shown from, ``(N,)``.

        Returns
        -------
        Tensor, Tensor
            Natural logarithm of what each slot's weight is to be multiplied by, ``(N, 4, H, W, 1)``; and the
            correction in standard deviations, ``(N, H, W, 3)``.
        """
        return trust_and_correction(self.output(self.features(log2, weight, shows_light(weight), reference)))

    def features(self, log2: Tensor, weight: Tensor, shown: Tensor, reference: Tensor) -> Tensor:
        """Return the features of the stack, ``(N, C, H/2, W/2)``; `FEATURES_RADIUS` is the radius of their receptive field.

        Parameters
        ----------
        log2, weight, reference
            As of `forward`, or rows of them.
        shown
            Which slots show anything, anywhere in the picture, ``(N, 4)``.
        """
        log2, weight = _planes(log2), _planes(weight)
        average, sd = weighted_average(log2, weight)
        share = weight / weight.sum(1, keepdim=True).clamp_min(1e-12)
        # In standard deviations of what the two are expected to differ by.
        deviation = (log2 - average[:, None]) * (weight / (1 + share)).sqrt()
        share = torch.unflatten(share, 2, (3, -1)).mean(2)
        about = torch.stack([shown, F.one_hot(reference, SLOTS)], -1)[..., None, None].to(share)
        about = about.expand(-1, -1, -1, *share.shape[3:])
        of_exposures = torch.cat([deviation.clamp(-MOST_SD, MOST_SD) / 2, share, about], 2)
        own = self.exposure(of_exposures.flatten(0, 1)).reshape(len(of_exposures), -1, *share.shape[3:])
        pixels = torch.unflatten(average, 1, (3, -1))
        mean = pixels.mean(2)
        detail = (pixels - mean[:, :, None]).flatten(1, 2) / sd
        detail = detail.clamp(-MOST_SD, MOST_SD) / 2
        log_sd = sd.log2().mean(1, keepdim=True)
        together = torch.cat([own, *(t.to(own.dtype) for t in (detail, mean / 4, log_sd / 4))], 1)
        x: Tensor = self.stem(together.contiguous(memory_format=torch.channels_last))
        return x

    def output(self, features: Tensor) -> Tensor:
        """Return the network's output for its `features`, ``(N, 28, H/2, W/2)``; see `trust_and_correction`."""
        x = self.down[0](features)
        skips = []
        for downsample, down in zip(self.downsample, self.down[1:], strict=True):
            skips.append(x)
            x = down(downsample(x))
        x = self.up[-1](self.attention(x))
        for upsample, fuse, up in zip(*map(reversed, (self.upsample, self.fuse, self.up[:-1])), strict=True):
            x = up(fuse(torch.cat([skips.pop(), upsample(x)], 1)))
        output: Tensor = self.head(x)
        return output

    def merged(self, stack: StackEstimates, reference: Tensor) -> Tensor:
        """Return the light, ``(N, H, W, 3)``, of a stack in `SLOTS` brackets."""
        stack = stack.corrected(stack.log2_errors())
        trust, correction = self(stack.log2, stack.weight, reference)
        return merge_log2(stack, trust, correction, stack.consistency())


def in_slots(stack: StackEstimates, reference: int) -> tuple[StackEstimates, int]:
    """Return a stack as the network takes it, in `SLOTS` brackets, and where its reference is then.

    Fewer brackets leave empty slots at the end; of more, neighbours are averaged by their weights.
    """
    brackets = stack.log2.shape[1]
    if brackets > SLOTS:
        return stack.averaged(_slots(brackets)), slot_of(reference, brackets)
    return stack if brackets == SLOTS else stack.padded(SLOTS), reference


def slot_of(bracket: int, brackets: int) -> int:
    """Return the slot that a bracket, counted from the darkest, goes to in `in_slots`."""
    return next(slot for slot, group in enumerate(_slots(brackets)) if bracket in group)


def _slots(brackets: int) -> list[list[int]]:
    return [group.tolist() for group in np.array_split(np.arange(brackets), SLOTS)]


def shows_light(weight: Tensor) -> Tensor:
    """Return which exposures show anything, ``(N, K)``, by their weights ``(N, K, H, W, 3)``."""
    return weight.amax((2, 3, 4)) > 0


def trust_and_correction(output: Tensor) -> tuple[Tensor, Tensor]:
    """Return trust and correction, as `LuminanceStackProcessor.forward` does, of the network's output."""
    output = output.to(torch.float32, memory_format=torch.contiguous_format)
    trust, correction = torch.split(F.pixel_shuffle(output, DOWNSCALE), [SLOTS, 3], 1)
    return trust.clamp(-MOST_TRUST, MOST_TRUST)[..., None], correction.movedim(1, -1)


def _planes(picture: Tensor) -> Tensor:
    """``(..., H, W, C)`` to ``(..., 4 C, H/2, W/2)``: the pixels of each block of 2x2 become planes."""
    return F.pixel_unshuffle(picture.movedim(-1, -3), DOWNSCALE)


def merge_log2(stack: StackEstimates, trust: Tensor, correction: Tensor, consistency: Tensor) -> Tensor:
    """Return the light, ``(N, H, W, 3)``; ``trust`` and ``correction`` as of `trust_and_correction`.

    Where the stack is consistent (`StackEstimates.consistency`), it is clamped into the intersection of all intervals.
    """
    average, sd = weighted_average(stack.log2, stack.weight * trust.exp())
    merged = average + MOST_CORRECTION_LOG2 * torch.tanh(sd * correction / MOST_CORRECTION_LOG2)
    if consistency.any():
        lower, upper = stack.bounds()
        middle = torch.where(upper.isinf(), lower, torch.where(lower.isinf(), upper, (lower + upper) / 2))
        inside = torch.minimum(torch.maximum(merged, lower), upper)
        # What no bracket bounds on either side has no middle; there the average stands.
        middle = torch.where(middle.isinf(), inside, middle)
        merged = torch.lerp(merged, torch.lerp(middle, inside, TRUST_INSIDE_INTERVAL), consistency)
    return merged.clamp(max=MAX_LOG2)


def exposure_fusion_loss(log2: Tensor, target_linear: Tensor, settings: ExposureFusionLoss) -> Tensor:
    """Return minus each picture's PU21-PSNR in dB, plus its errors in log2 encoding and in relative linear light, ``(N,)``.

    PU21 is blind above 10,000 nit (100.0); the other two are not.
    """
    linear = log2_decode(log2.float())
    error = (pu21_encode(linear * NITS_PER_UNIT) - pu21_encode(target_linear * NITS_PER_UNIT)) / PEAK
    decibels = 10 * torch.log10(error.square().mean((1, 2, 3)) + 1e-7)
    log2_error = (log2.float() - log2_encode(target_linear)).abs().mean((1, 2, 3))
    relative = ((linear - target_linear).abs() / (target_linear + 1)).clamp_max(10).mean((1, 2, 3))
    return decibels + settings.levels_weight * log2_error + settings.linear_weight * relative


def save_exposure_fusion(path: Path, net: LuminanceStackProcessor) -> None:
    """Write the weights with all that `load_exposure_fusion` needs to know."""
    settings = net.settings.model_dump(mode="json")
    save_model(path, net, model=MODEL, settings=settings, dtype=torch.float16)


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
