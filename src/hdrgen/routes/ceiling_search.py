"""Finding where exposures of linear light were cut: many samples lie on one value, and darker exposures hold more there.

Many samples within a hair of one value, with little above it, may as well be a lamp or a sky of one light. In a darker
exposure of the same scene such a thing is as much darker as all the rest; what was cut is not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import REC709, SPACES, Chromaticities, convert_primaries

HAIR = 2.0**-8
"""Part of a ceiling below it that is still at it: half floats, shared exponents and matrices round."""

BINS_PER_STOP = 128
NEIGHBOURS = 40
"""Bins below a pile that it stands out from: a third of a stop."""

OUTSTANDING = 8.0
"""How many times more samples a pile holds than its neighbours do."""

FEWEST_PINNED, FEWEST_PINNED_SHARE = 12, 2e-4
FEWEST_COMPARED = 64

HOLDS_MORE_STOPS = 0.1
"""By how much the light of a darker exposure exceeds a pile, in the median, to show that the pile is no light of its own."""

DARKER_STOPS = 0.3
LEAST_SPREAD_STOPS = 0.25

MORE_PINNED = 1.01
"""How many times more samples must be pinned in other primaries than the pictures' own for them to be cut there."""

MOST_COMPARED = 3
"""Darker exposures that are asked about a pile."""

SAMPLES = 1 << 16
"""Pixels, evenly chosen, in which ceilings are looked for."""

Light = NDArray[np.floating]
Components = tuple[float, float, float]


def thinned(picture: NDArray[Any]) -> NDArray[Any]:
    """Return some `SAMPLES` evenly chosen pixels of a picture ``(H, W, 3)``, as rows and columns of it."""
    step = max(1, int((picture.shape[0] * picture.shape[1] / SAMPLES) ** 0.5))
    return picture[::step, ::step]


def find_ceilings(exposures: Sequence[Light]) -> list[Components | None]:
    """Find where exposures of one scene end.

    Parameters
    ----------
    exposures
        Linear light as each picture holds it ``(H, W, 3)``, of one size and in one set of primaries, in any order.

    Returns
    -------
    list
        For each exposure the most that its components hold, infinite where no end is seen; None where none has one.
    """
    piles = [[_pile(light[..., component]) for component in range(3)] for light in exposures]
    ends = np.full((len(exposures), 3), np.inf)
    by_brightness = [int(i) for i in np.argsort([light.mean() for light in exposures], kind="stable")]
    for place, brighter in enumerate(by_brightness):
        known = [np.inf if pile is None else pile for pile in piles[brighter]]
        if np.isinf(known).all():
            continue
        darker = _darker(exposures, brighter, by_brightness[:place][::-1], known)
        for component in map(int, np.flatnonzero(np.isfinite(known))):
            if _holds_more(exposures[brighter][..., component], known[component], darker, component):
                ends[brighter, component] = known[component]
    for component in range(3):
        _share_common_end(ends[:, component], [light[..., component] for light in exposures])
    return [tuple(map(float, end)) if np.isfinite(end).any() else None for end in ends]  # type: ignore[misc]


def find_space_and_ceilings(
    exposures: Sequence[Light], own: Chromaticities
) -> tuple[Chromaticities, list[Components | None]]:
    """Find in which primaries exposures were cut, their own or others that they came from, and where they end there.

    Parameters
    ----------
    exposures
        As of `find_ceilings`, in the primaries ``own``.
    own
        These come back where others show nothing better.
    """
    ends = find_ceilings(exposures)
    some = [light[::2, ::2] for light in exposures]
    best, pinned = own, _pinned_share(some, ends)
    # Where colours alone were cut, nothing is pinned in other primaries. Most of what is cut was so in Rec.709.
    for space in SPACES.values() if pinned else (REC709,):
        if space == own:
            continue
        there = [convert_primaries(light, own, space) for light in some]
        if np.mean([(light < -HAIR * light.max()).mean() for light in there]) > FEWEST_PINNED_SHARE:
            continue  # they hold light that these primaries do not, so nobody cut them there
        share = _pinned_share(there, find_ceilings(there))
        if share > MORE_PINNED * pinned:
            best, pinned = space, share
    if best != own:
        ends = find_ceilings([convert_primaries(light, own, best) for light in exposures])
    return best, ends


def as_float32(components: Sequence[float]) -> NDArray[np.float32]:
    """Return components as light is stored."""
    return np.array(components, np.float32)


def _pinned_share(exposures: Sequence[Light], ends: Sequence[Components | None]) -> float:
    """Return the share of all samples that lie at their exposure's ceiling."""
    pinned = [
        0.0 if end is None else float((np.abs(light / as_float32(end) - 1) <= HAIR).mean())
        for light, end in zip(exposures, ends, strict=True)
    ]
    return sum(pinned) / len(pinned)


def _pile(light: Light) -> float | None:
    """Return the value that many samples of one component lie on, with no more than as many above it."""
    lit = light[light > 0]
    if len(lit) < FEWEST_PINNED:
        return None
    bins = np.floor(np.log2(lit) * BINS_PER_STOP).astype(np.int32)
    first = int(bins.min())
    counts = np.bincount(bins - first)
    counts = np.concatenate([np.zeros(NEIGHBOURS + 2, np.int64), counts, [0]])
    two = counts[:-1] + counts[1:]  # a value may lie where two bins meet
    above = len(lit) - np.cumsum(counts)[1:]
    at = int(np.argmax(np.where(above <= two, two, 0)))
    around = float(np.median(counts[at - NEIGHBOURS : at - 1]))
    if two[at] < max(FEWEST_PINNED, FEWEST_PINNED_SHARE * light.size, 2 * OUTSTANDING * around):
        return None
    index = at - NEIGHBOURS - 2 + first
    return float(np.median(lit[(bins == index) | (bins == index + 1)]))


def _gain(darker: Light, brighter: Light, known: Sequence[float]) -> float | None:
    """Return by how many stops one exposure is brighter where neither ends, None where there is too little of that."""
    usable = (darker > 0) & (brighter > 0) & (brighter < as_float32(known) * np.float32(0.7))
    if usable.sum() < FEWEST_COMPARED:
        return None
    bright = brighter[usable]
    best = bright >= np.median(bright)  # noise counts least there
    return float(np.median(np.log2(bright[best] / darker[usable][best])))


def _darker(
    exposures: Sequence[Light], brighter: int, candidates: Sequence[int], known: Sequence[float]
) -> list[tuple[Light, float | None]]:
    """Return some exposures that are darker, the nearest first, and by how many stops where that is known."""
    darker: list[tuple[Light, float | None]] = []
    for candidate in candidates:
        gain = _gain(exposures[candidate], exposures[brighter], known)
        if gain is None or gain > DARKER_STOPS:
            darker.append((exposures[candidate], gain))
        if len(darker) == MOST_COMPARED:
            break
    return darker


def _holds_more(
    brighter: Light, pile: float, darker: Sequence[tuple[Light, float | None]], component: int
) -> bool:
    """Tell whether darker exposures show more light, or various light, where one component lies on its pile."""
    pinned = brighter >= np.float32(pile * (1 - HAIR))
    for light, gain in darker:
        there = light[..., component][pinned]
        there = there[there > 0]
        if len(there) < FEWEST_PINNED:
            continue
        stops = np.log2(there)
        if gain is None:
            return bool(np.ptp(np.percentile(stops, (5, 95))) > LEAST_SPREAD_STOPS)
        return bool(np.median(stops) + gain - np.log2(pile) > HOLDS_MORE_STOPS)
    return False


def _share_common_end(ends: NDArray[np.float64], exposures: Sequence[Light]) -> None:
    """Give an end that exposures have in common to those that hold no more, in place: nobody holds more than the darkest."""
    found = ends[np.isfinite(ends)]
    if not len(found):
        return
    agree = found.max() <= found.min() * (1 + 2 * HAIR)
    for number in map(int, np.flatnonzero(np.isinf(ends))):
        most = float(exposures[number].max())
        at = found[(most <= found * (1 + 2 * HAIR)) & (agree | (most >= found * (1 - 2 * HAIR)))]
        if len(at):
            ends[number] = float(np.median(at))
