"""Decoders with GroupNorm on large pictures, tile by tile and without seams.

A GroupNorm takes mean and variance of the whole picture, so a tile on its own comes out in tones of its own. Here the
statistics of each norm are summed up over all tiles before any tile goes beyond that norm, so that tiles come out as
the whole picture would, up to rounding. A part with k norms runs over the picture k times, each time one norm
further, and once more for the answer: some k/2 + 1 times the work, for memory that does not grow with what the part
would hold of the whole picture.
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hdrgen.models.tiles import Tile, tiles


def decode_in_tiles(part: nn.Module, features: Tensor, *, scale: int, halo: int, tile: int) -> Tensor:
    """Return what a part of a decoder makes of features, ``(B, C', scale * H, scale * W)``.

    Parameters
    ----------
    part
        Convolutions, and `nn.GroupNorm` in a fixed order; no attention. It is left as it is.
    features
        Its input, ``(B, C, H, W)``, the whole picture.
    scale
        By how much it enlarges.
    halo
        Places of its input that reach into an answer, on each side.
    tile
        Side of a tile in places of the answer.
    """
    part = copy.deepcopy(part).eval()
    norms = list(_take_over_norms(part))
    places = list(tiles(*features.shape[2:], size=max(1, tile // scale), halo=halo))
    for _ in norms:
        for place in places:
            _run(part, norms, features, place)
        for norm in norms:
            norm.settle()
    height, width = (scale * extent for extent in features.shape[2:])
    answer: Tensor | None = None
    for place in places:
        out = _run(part, norms, features, place)
        assert out is not None, "every norm is settled"
        if answer is None:
            answer = out.new_empty(*out.shape[:2], height, width)
        rows, columns = _scaled(place.kept, scale)
        answer[..., rows, columns] = _cut(out, place.kept_of_seen, scale)
    assert answer is not None, "a picture has a tile"
    return answer


class _Reached(Exception):  # noqa: N818 - no error: the rest of the part has to wait
    """A norm was reached whose statistics are not complete."""


class _WholeNorm(nn.Module):
    """A GroupNorm with the statistics of all tiles."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self._norm = norm
        self._count = 0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None
        self._settled = False
        self.place: Tile | None = None

    def forward(self, x: Tensor) -> Tensor:
        count, _, height, width = x.shape
        grouped = x.reshape(count, self._norm.num_groups, -1, height, width)
        if not self._settled:
            self._add(grouped)
            raise _Reached
        assert self._mean is not None
        assert self._squares is not None
        deviation = (self._squares / self._count + self._norm.eps).sqrt()
        normal = ((grouped - self._mean.to(x)) / deviation.to(x)).flatten(1, 2)
        return normal * self._norm.weight[:, None, None] + self._norm.bias[:, None, None]

    def _add(self, grouped: Tensor) -> None:
        """Take in a tile without its halo (Chan et al. 1983)."""
        assert self.place is not None
        scale = grouped.shape[3] // (self.place.seen_bottom - self.place.seen_top)
        kept = _cut(grouped, self.place.kept_of_seen, scale)
        variance, mean = torch.var_mean(kept, (2, 3, 4), correction=0, keepdim=True)
        count = kept[0, 0].numel()
        mean, squares = mean.double(), variance.double() * count
        if self._mean is None or self._squares is None:
            self._count, self._mean, self._squares = count, mean, squares
            return
        both, apart = self._count + count, mean - self._mean
        self._squares = self._squares + squares + apart.square() * (self._count * count / both)
        self._mean = self._mean + apart * (count / both)
        self._count = both

    def settle(self) -> None:
        """All tiles were seen, if any was."""
        self._settled = self._mean is not None


def _run(part: nn.Module, norms: list[_WholeNorm], features: Tensor, place: Tile) -> Tensor | None:
    """Return the answer for a tile and its halo, or None where a norm is not settled."""
    for norm in norms:
        norm.place = place
    try:
        answer: Tensor = part(_cut(features, place.seen, 1))
    except _Reached:
        return None
    return answer


def _take_over_norms(module: nn.Module) -> Iterator[_WholeNorm]:
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            norm = _WholeNorm(child)
            setattr(module, name, norm)
            yield norm
        else:
            yield from _take_over_norms(child)


def _cut(maps: Tensor, extents: tuple[slice, slice], scale: int) -> Tensor:
    rows, columns = _scaled(extents, scale)
    return maps[..., rows, columns]


def _scaled(extents: tuple[slice, slice], scale: int) -> tuple[slice, slice]:
    rows, columns = (slice(extent.start * scale, extent.stop * scale) for extent in extents)
    return rows, columns
