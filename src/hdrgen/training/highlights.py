"""Training of the network that finds a picture's light: `hdrgen.models.highlights`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from hdrgen.colour.primaries import REC709, luminance_weights
from hdrgen.colour.pu21 import PEAK, pu21_encode
from hdrgen.colour.units import FLOOR_LINEAR, NITS_PER_UNIT
from hdrgen.dataset.pairs.display_pairs import (
    MakeDisplayPairs,
    Renderings,
    code_stops,
    random_curve,
    random_picture,
)
from hdrgen.dataset.pairs.records import CropRecords
from hdrgen.models.highlights import (
    CURVE_COMPONENTS,
    Highlights,
    HighlightsNet,
    curve_stops,
    histogram,
    invented_weight,
    log_slopes_of,
    save_highlights,
)
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.training.fit import Batch, Recipe, autocast, fit, pairs_digest, turned

ErrorT = TypeVar("ErrorT", float, Tensor)

_CEILING_LINEAR = 65504.0
_BEST_MSE = 1e-5
"""Mean square error, in PU21 over its peak, below which a picture is good enough: 50 dB."""
_FIRST_CLIPPED_CODE = 250
"""A JPEG or an autoencoder leaves clipped pixels a little below 255."""
_CURVES = 2000
_PLACES = (4, 16)
"""Sides in pixels of the places whose light is compared."""


class LossWeights(Section):
    """What a unit of each error weighs beside a decibel of PU21-PSNR."""

    harm: float = Field(0.5, ge=0)
    """A decibel below the untouched picture, on top of its own."""
    energy: float = Field(2.0, ge=0)
    """A stop of the light of all clipped pixels of a picture."""
    places: float = Field(0.5, ge=0)
    """A stop of the light of a place, 4 and 16 pixels wide, as far as it is clipped."""
    curve: float = Field(4.0, ge=0)
    """A stop, RMS, of the pixels that are not clipped."""
    plain: float = Field(2.0, ge=0)
    """A nat of the question whether codes are plain sRGB."""


class FreshRenderings(Renderings):
    """How often crops that are rendered while training are rendered in which way; half are plain, as half of the question is."""

    aces_share: float = Field(0.08, ge=0, le=1)
    filmic_share: float = Field(0.25, ge=0, le=1)
    camera_share: float = Field(0.15, ge=0, le=1)


class TrainHighlights(Recipe):
    """The network's size and how it learns."""

    rendered_share: float = Field(0.6, ge=0, le=1)
    """Share of crops that are exposed and rendered afresh each time they are learned from."""
    renderings: FreshRenderings = FreshRenderings()
    """How those are rendered."""
    network: Highlights = Highlights()
    """Size of the network."""
    losses: LossWeights = LossWeights()
    """What counts how much."""


def train_highlights(
    pairs: Path, settings: TrainHighlights, weights: Path, curve: Path, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Train the curve and the missing light together.

    Parameters
    ----------
    pairs
        The folder of `make_display_pairs`.
    settings
        The recipe.
    weights, curve, on_progress
        As `fit` has them; figures and errors as well.
    """
    torch.manual_seed(settings.seed)
    net, task = HighlightsNet(settings.network), _HighlightsTask(pairs, settings)
    mean, components = curve_family(np.random.default_rng(settings.seed))
    net.curve_mean.copy_(torch.from_numpy(mean))
    net.curve_components.copy_(torch.from_numpy(components))
    return fit(net, task, settings, weights, curve, on_progress, data_digest=pairs_digest(pairs))


def curve_family(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean of the curves that pairs are rendered with, and the ways in which they differ.

    Returns
    -------
    tuple
        What `curve_stops` takes: the mean ``(KNOTS,)``, and `CURVE_COMPONENTS` principal components of one standard
        deviation each.
    """
    curves = [
        log_slopes_of(code_stops(random_curve(rng, camera=bool(rng.integers(2))))) for _ in range(_CURVES)
    ]
    slopes = np.stack(curves)
    mean = slopes.mean(0)
    _, sizes, ways = np.linalg.svd(slopes - mean, full_matrices=False)
    scale = sizes[:CURVE_COMPONENTS, None] / np.sqrt(len(slopes))
    return mean.astype(np.float32), (ways[:CURVE_COMPONENTS] * scale).astype(np.float32)


@dataclass(frozen=True)
class _Errors:
    """Of each picture, ``(N,)``: dB of PU21-PSNR below 0, of the untouched picture, and errors in stops."""

    level: Tensor
    untouched: Tensor
    energy: Tensor
    places: Tensor
    curve: Tensor
    plain: Tensor


class _HighlightsTask:
    curves = ("val_psnr", "val_gain", "val_harm", "val_energy", "val_places", "val_curve", "val_plain")

    def __init__(self, pairs: Path, settings: TrainHighlights) -> None:
        self._settings = settings
        self._renderings = MakeDisplayPairs(seed=settings.seed, renderings=settings.renderings)
        self._train, self._val = CropRecords(pairs, "train"), CropRecords(pairs, "val")
        rng = np.random.default_rng(settings.seed)
        count = min(settings.validation_crops, len(self._val))
        self._held_out = rng.choice(len(self._val), size=count, replace=False)

    def batch(self, rng: np.random.Generator) -> Batch:
        indices = rng.integers(len(self._train), size=self._settings.batch_crops)
        names = [f"{name} crop {row}" for name, row in map(self._train.locate, map(int, indices))]
        records = self._train.batch(indices)
        for record in records:
            if rng.random() < self._settings.rendered_share:
                light = record["linear_rec709"].astype(np.float32)
                picture = random_picture(light, self._renderings, rng)
                record["linear_rec709"], record["code8"] = picture.linear_rec709, picture.code8
                record["is_plain"] = picture.is_plain
        light, code8, plain = _tensors(records, self._settings.device)
        # Up is up: skies and floors are told by it. Left may be right.
        light, code8 = turned((light, code8), 0, int(rng.integers(2)))
        return Batch((light, code8, plain), names)

    def loss(self, net: HighlightsNet, batch: Batch) -> Tensor:
        e = self._errors(net, *batch.tensors)
        harm = F.relu(e.level - e.untouched)
        return self._total(e.level, harm, e.energy, e.places, e.curve, e.plain).mean()

    def _total(
        self, level: ErrorT, harm: ErrorT, energy: ErrorT, places: ErrorT, curve: ErrorT, plain: ErrorT
    ) -> ErrorT:
        w = self._settings.losses
        return (
            level + w.harm * harm + w.energy * energy + w.places * places + w.curve * curve + w.plain * plain
        )

    def validation(self, net: HighlightsNet) -> Mapping[str, float]:
        found = []
        with autocast(self._settings):
            for start in range(0, len(self._held_out), self._settings.batch_crops):
                indices = self._held_out[start : start + self._settings.batch_crops]
                e = self._errors(net, *_tensors(self._val.batch(indices), self._settings.device))
                gain = e.level - e.untouched
                found.append(torch.stack([e.level, gain, F.relu(gain), e.energy, e.places, e.curve, e.plain]))
        means = torch.cat(found, 1).mean(1)
        return dict(zip(self.curves, means.tolist(), strict=True))

    def score(self, figures: Mapping[str, float]) -> float:
        psnr, _, *others = (figures[name] for name in self.curves)
        return self._total(psnr, *others)

    def save(self, path: Path, net: HighlightsNet) -> None:
        save_highlights(path, net)

    def _errors(self, net: HighlightsNet, light: Tensor, code8: Tensor, is_plain: Tensor) -> _Errors:
        code = code8.float()
        with autocast(self._settings):
            slopes, plain, missing = net(code, histogram(code8), is_plain.float())
        stops = curve_stops(slopes * ~is_plain[:, None])
        n = len(code)
        codes = code8.reshape(n, -1).long()
        seen = stops.gather(1, codes).reshape(code.shape)
        recovered = (seen + invented_weight(code) * missing).clamp(max=16).exp2()
        untouched = curve_stops(torch.zeros_like(slopes)).gather(1, codes).reshape(code.shape).exp2()

        weights = torch.from_numpy(luminance_weights(REC709).astype(np.float32)).to(code.device)
        y, recovered_y, untouched_y = (picture @ weights for picture in (light, recovered, untouched))
        is_seen = (code.amax(-1) < _FIRST_CLIPPED_CODE) & (y > FLOOR_LINEAR)
        error = _stops(recovered_y) - _stops(y)
        gain = _medians(error.detach(), is_seen)
        untouched_gain = _medians(_stops(untouched_y) - _stops(y), is_seen)
        error = error - gain[:, None, None]
        curve = _root_mean(error.square() * is_seen, is_seen)

        recovered = recovered * (-gain).exp2()[:, None, None, None]
        untouched = untouched * (-untouched_gain).exp2()[:, None, None, None]
        pu = _pu21(light)
        level, untouched_level = (_level(_pu21(picture), pu) for picture in (recovered, untouched))

        clipped = (code.amax(-1) >= _FIRST_CLIPPED_CODE).float()
        recovered_y = recovered @ weights
        energy, has = _energy_stops(recovered_y * clipped, y * clipped, clipped)
        places = torch.zeros_like(energy)
        for side in _PLACES:
            pooled = [F.avg_pool2d((t * clipped)[:, None], side)[:, 0] for t in (recovered_y, y)]
            share = F.avg_pool2d(clipped[:, None], side)[:, 0]
            ratio = _smooth(((pooled[0] + 1e-3) / (pooled[1] + 1e-3)).log2())
            places = places + (ratio * share).sum((1, 2)) / share.sum((1, 2)).clamp(min=1e-6)
        places = places * has / len(_PLACES)
        surely = F.binary_cross_entropy_with_logits(plain, is_plain.float(), reduction="none")
        return _Errors(level, untouched_level, energy, places, curve, surely)


def _energy_stops(test_y: Tensor, y: Tensor, clipped: Tensor) -> tuple[Tensor, Tensor]:
    has = (clipped.sum((1, 2)) > 0).float()
    ratio = ((test_y.sum((1, 2)) + 1e-3) / (y.sum((1, 2)) + 1e-3)).log2()
    return _smooth(ratio) * has, has


def _smooth(stops: Tensor) -> Tensor:
    """Return the size of an error, round at the bottom, so that its median and not its mean is drawn to 0."""
    return (stops.square() + 0.01).sqrt() - 0.1


def _stops(y: Tensor) -> Tensor:
    return y.clamp(min=FLOOR_LINEAR).log2()


def _medians(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the median of the chosen values of each picture, of every 4th pixel; 0 where there is none."""
    some, which = values[:, ::2, ::2].flatten(1), chosen[:, ::2, ::2].flatten(1)
    return torch.where(which, some, torch.nan).nanmedian(1).values.nan_to_num(0.0)


def _root_mean(squares: Tensor, chosen: Tensor) -> Tensor:
    return (squares.sum((1, 2)) / chosen.sum((1, 2)).clamp(min=1) + 1e-4).sqrt() - 0.01


def _pu21(linear: Tensor) -> Tensor:
    return pu21_encode(linear * NITS_PER_UNIT) / PEAK


def _level(test_pu: Tensor, pu: Tensor) -> Tensor:
    return 10 * torch.log10((test_pu - pu).square().mean((1, 2, 3)) + _BEST_MSE)


def _tensors(records: NDArray[np.void], device: str) -> tuple[Tensor, Tensor, Tensor]:
    light = torch.from_numpy(records["linear_rec709"].astype(np.float32).clip(0, _CEILING_LINEAR))
    code8 = torch.from_numpy(np.ascontiguousarray(records["code8"]))
    plain = torch.from_numpy(np.ascontiguousarray(records["is_plain"]))
    return light.to(device), code8.to(device), plain.to(device)
