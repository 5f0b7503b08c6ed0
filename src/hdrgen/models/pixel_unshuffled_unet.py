"""A small U-Net on pixel-unshuffled pictures: blocks of 4x4 pixels become channels before anything else is done.

Most of the work is then done at a sixteenth of the size with enough channels to keep a processor's multipliers busy:
on a CPU, convolutions of three or sixteen channels run at a tenth of the speed of those with sixty-four.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DOWNSCALE = 4
"""Side of the blocks of pixels that become channels."""

UNSHUFFLED_CHANNELS = 3 * DOWNSCALE**2
"""Channels of a pixel-unshuffled RGB picture."""


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.second(F.relu(self.first(x), inplace=True)).add_(x)


class PixelUnshuffledUNet(nn.Module):
    """Pixel-unshuffled features in, corrections out, ``(N, H/4, W/4, C)``; begins as a network that corrects nothing.

    Parameters
    ----------
    channels_in, channels_out
        Of each block of 4x4 pixels.
    widths
        Channels at a quarter of the picture's size, an eighth, and so on.
    blocks
        Residual blocks at each of these sizes, going down; as many come back up at all but the last.
    """

    input_ranges: Tensor
    """Range of what goes into each of `convolutions`, ``(count, 2)``, for `int8_unet`; NaN until it is measured."""

    def __init__(
        self, channels_in: int, channels_out: int, widths: Sequence[int], blocks: Sequence[int]
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"{len(widths)} widths but {len(blocks)} numbers of blocks")
        steps = list(pairwise(widths))
        self.stem = nn.Conv2d(channels_in, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_residuals(w, b) for w, b in zip(widths, blocks, strict=True))
        self.downsample = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in steps)
        self.up = nn.ModuleList(_residuals(w, b) for w, b in zip(widths[:-1], blocks[:-1], strict=True))
        self.head = nn.Conv2d(widths[0], channels_out, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)
        self.register_buffer("input_ranges", torch.full((len(self.convolutions()), 2), torch.nan))
        self.register_load_state_dict_pre_hook(_without_ranges)  # type: ignore[no-untyped-call]

    def convolutions(self) -> list[nn.Conv2d | nn.ConvTranspose2d]:
        """Return all convolutions, always in the same order."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]

    def forward(self, features: Tensor) -> Tensor:  # noqa: D102
        # Channels come last in memory already: to the convolutions this is no copy.
        x = self.down[0](self.stem(features.permute(0, 3, 1, 2)))
        skips = []
        for downsample, down in zip(self.downsample, self.down[1:], strict=True):
            skips.append(x)
            x = down(downsample(x))
        for upsample, up, skip in zip(*map(reversed, (self.upsample, self.up)), reversed(skips), strict=True):
            x = up(upsample(x).add_(skip))
        correction: Tensor = self.head(x)
        return correction.permute(0, 2, 3, 1)


def _without_ranges(unet: PixelUnshuffledUNet, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Let weights be loaded whose ranges were never measured."""
    weights.setdefault(f"{prefix}input_ranges", torch.full_like(unet.input_ranges, torch.nan))


def stride(widths: Sequence[int]) -> int:
    """Return what a picture's sides must be multiples of for a network of these widths."""
    return DOWNSCALE * 2 ** (len(widths) - 1)


def receptive_radius(widths: Sequence[int], blocks: Sequence[int]) -> int:
    """Return how far outside a tile pixels can be that move one inside, rounded up to whole strides.

    A tile that begins on a multiple of `stride` and is shown with this much picture around it comes out as the whole
    picture would. Followed from the outputs in a tile's first or last stride back to the inputs.
    """
    whole, farthest = stride(widths), 0
    for pixel in range(whole):
        first = last = pixel // DOWNSCALE
        first, last = first - 1, last + 1  # head
        for count in blocks[:-1]:
            first, last = (first - 2 * count) // 2, (last + 2 * count) // 2
        first, last = first - 2 * blocks[-1], last + 2 * blocks[-1]
        for count in reversed(blocks[:-1]):
            first, last = 2 * first - 2 * count, 2 * last + 1 + 2 * count
        first, last = (first - 1) * DOWNSCALE, (last + 1) * DOWNSCALE + DOWNSCALE - 1  # stem
        farthest = max(farthest, -first, last - (whole - 1))
    return -(-farthest // whole) * whole


def _residuals(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(count)))


def pixel_unshuffle(picture: Tensor, side: int = DOWNSCALE) -> Tensor:
    """``(N, H, W, C)`` to ``(N, H/4, W/4, 16 C)``: each block of 4x4 pixels, row by row, becomes channels.

    Channels come last, and a pixel's own stay together: torch's `pixel_unshuffle` has them first, plane by plane.
    """
    n, height, width, channels = picture.shape
    blocks = picture.reshape(n, height // side, side, width // side, side, channels)
    return blocks.permute(0, 1, 3, 2, 4, 5).reshape(n, height // side, width // side, side**2 * channels)


def pixel_shuffle(unshuffled: Tensor, side: int = DOWNSCALE) -> Tensor:
    """Undo `pixel_unshuffle`."""
    n, rows, columns, channels = unshuffled.shape
    blocks = unshuffled.reshape(n, rows, columns, side, side, channels // side**2).permute(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, rows * side, columns * side, channels // side**2)


def block_means(unshuffled: Tensor) -> Tensor:
    """Return the mean of each component over its block: ``(N, H/4, W/4, 16 C)`` to ``(N, H/4, W/4, C)``."""
    # By halves: four times as fast as a mean along an axis inside another of three.
    total, pixels = unshuffled, DOWNSCALE**2
    while pixels > 1:
        half = total.shape[-1] // 2
        total, pixels = total[..., :half] + total[..., half:], pixels // 2
    return total / DOWNSCALE**2


def block_deviations(unshuffled: Tensor, mean: Tensor) -> Tensor:
    """Return how far each pixel is from the mean of its block: ``(N, H/4, W/4, 16 C)`` and `block_means` of it."""
    # Written out by doubling: three times as fast as a difference that is broadcast over an inner axis.
    while mean.shape[-1] < unshuffled.shape[-1]:
        mean = torch.cat([mean, mean], -1)
    return unshuffled - mean
