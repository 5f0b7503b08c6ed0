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
"""Samples of a pile, and their share of the pixels looked at; one of the very highest samples may hold as little as it will."""

FEWEST_COMPARED = 64

HOLDS_MORE_STOPS = 0.1
"""By how much the light of a darker exposure exceeds a pile, in the median, to show that the pile is no light of its own."""

BELOW_END = 0.7
"""Part of where two exposures end up to which they are compared."""

DARKER_STOPS = 0.3
LEAST_SPREAD_STOPS = 0.25

MORE_PINNED = 1.1
"""How many times more pixels must be pinned in other primaries than the pictures' own for them to be cut there."""

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
    some = [thinned(light) for light in exposures]
    piles = [
        [_piles(light[..., c], few[..., c]) for c in range(3)]
        for light, few in zip(exposures, some, strict=True)
    ]
    ends = np.full((len(exposures), 3), np.inf)
    by_brightness = [int(i) for i in np.argsort([light.mean() for light in some], kind="stable")]
    for place, brighter in enumerate(by_brightness):
        lowest = [min(values, default=np.inf) for values in piles[brighter]]
        if np.isinf(lowest).all():
            continue
        nearest = by_brightness[:place][::-1] + by_brightness[place + 1 :]
        gains = {other: _gain(some[other], some[brighter], lowest) for other in nearest}
        for component, values in enumerate(piles[brighter]):
            light = [(exposures[other][..., component], gain) for other, gain in gains.items()]
            own = exposures[brighter][..., component]
            cuts = (pile for pile in values if _holds_more(own, pile, light))
            ends[brighter, component] = next(cuts, np.inf)
    most = np.array([[light[..., c].max() for c in range(3)] for light in exposures], np.float64)
    for of_exposure, most_of_exposure in zip(ends, most, strict=True):
        _share_equal_end(of_exposure, most_of_exposure)
    for component in range(3):
        _share_common_end(ends[:, component], most[:, component])
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
    some = [thinned(light)[::2, ::2] for light in exposures]
    best, pinned = own, _clipped_fraction(some, ends)
    # Where colours alone were cut, nothing is pinned in other primaries. Most of what is cut was so in Rec.709.
    for space in SPACES.values() if pinned else (REC709,):
        if space == own:
            continue
        there = [convert_primaries(light, own, space) for light in some]
        if np.mean([(light < -HAIR * light.max()).mean() for light in there]) > FEWEST_PINNED_SHARE:
            continue  # they hold light that these primaries do not, so nobody cut them there
        share = _clipped_fraction(there, find_ceilings(there))
        if share > MORE_PINNED * pinned:
            best, pinned = space, share
    if best != own:
        ends = find_ceilings([convert_primaries(light, own, best) for light in exposures])
    return best, ends


def as_float32(components: Sequence[float]) -> NDArray[np.float32]:
    """Return components as light is stored."""
    return np.array(components, np.float32)


def _clipped_fraction(exposures: Sequence[Light], ends: Sequence[Components | None]) -> float:
    """Return the fraction of all pixels of which a component lies at its exposure's ceiling."""
    pinned = [
        0.0 if end is None else float((np.abs(light / as_float32(end) - 1) <= HAIR).any(axis=-1).mean())
        for light, end in zip(exposures, ends, strict=True)
    ]
    return sum(pinned) / len(pinned)


def _piles(light: Light, some: Light) -> list[float]:
    """Return the values that may be the end of a component: the highest that many samples lie on comes first.

    Of a few lamps only a few pixels are clipped, so the very highest samples are counted in the full picture.
    """
    most = light.max()
    piles = _piles_of(some, max(FEWEST_PINNED, FEWEST_PINNED_SHARE * some.size))
    if most > 0 and np.count_nonzero(light >= most * np.float32(1 - HAIR)) >= FEWEST_PINNED:
        around = light[light > most * np.float32(2.0 ** -(2 * NEIGHBOURS / BINS_PER_STOP))]
        top = [pile for pile in _piles_of(around, FEWEST_PINNED) if pile >= most * (1 - HAIR)]
        piles += [pile for pile in top if not any(abs(pile / other - 1) <= HAIR for other in piles)]
    return piles


def _piles_of(light: Light, fewest: float) -> list[float]:
    """Return the values that at least so many samples lie on, no more than as many above them and few below."""
    lit = light[light > 0]
    if len(lit) < FEWEST_PINNED:
        return []
    bins = np.floor(np.log2(lit) * BINS_PER_STOP).astype(np.int32)
    first = int(bins.min())
    counts = np.bincount(bins - first)
    counts = np.concatenate([np.zeros(NEIGHBOURS + 2, np.int64), counts, [0]])
    two = counts[:-1] + counts[1:]  # a value may lie where two bins meet
    above = len(lit) - np.cumsum(counts)[1:]
    piles: list[float] = []
    last = len(two)
    for at in map(int, np.flatnonzero((above <= two) & (two >= fewest))[::-1]):
        if at >= last - 1 or two[at] < 2 * OUTSTANDING * np.median(counts[at - NEIGHBOURS : at - 1]):
            continue
        last = at - 1 if two[at - 1] >= two[at] else at
        index = last - NEIGHBOURS - 2 + first
        piles.append(float(np.median(lit[(bins == index) | (bins == index + 1)])))
    return piles


def _gain(darker: Light, brighter: Light, known: Sequence[float]) -> float | None:
    """Return by how many stops one exposure is brighter where neither ends, None where there is too little of that."""
    usable = (darker > 0) & (darker < darker.max(axis=(0, 1)) * np.float32(BELOW_END))
    usable &= (brighter > 0) & (brighter < as_float32(known) * np.float32(BELOW_END))
    if usable.sum() < FEWEST_COMPARED:
        return None
    bright = brighter[usable]
    best = bright >= np.median(bright)  # noise counts least there
    return float(np.median(np.log2(bright[best] / darker[usable][best])))


def _holds_more(brighter: Light, pile: float, others: Sequence[tuple[Light, float | None]]) -> bool:
    """Tell whether exposures show more light, or various light, where one component of another lies on its pile.

    Parameters
    ----------
    brighter, pile
        The component and the value that many of its samples lie on.
    others
        The same component of other exposures, the nearest first, and by how many stops they are darker where that is
        known. Brighter ones are passed over, and those as bright that hold no more light.
    """
    pinned = brighter >= np.float32(pile * (1 - HAIR))
    compared = 0
    for light, gain in others:
        if compared == MOST_COMPARED:
            break
        if gain is not None and gain <= DARKER_STOPS:
            reach = light.max() * 2.0**gain
            if gain < -DARKER_STOPS or reach <= pile * 2.0**HOLDS_MORE_STOPS:
                continue
        compared += 1
        there = light[pinned]
        there = there[there > 0]
        if len(there) < FEWEST_PINNED:
            continue
        stops = np.log2(there)
        if gain is None:
            return bool(np.ptp(np.percentile(stops, (5, 95))) > LEAST_SPREAD_STOPS)
        return bool(np.median(stops) + gain - np.log2(pile) > HOLDS_MORE_STOPS)
    return False


def _share_equal_end(ends: NDArray[np.float64], most: NDArray[np.float64]) -> None:
    """Give the end of a component of an exposure to those that reach just as far, in place."""
    for end in ends[np.isfinite(ends)]:
        ends[np.isinf(ends) & (np.abs(most / end - 1) <= HAIR)] = end


def _share_common_end(ends: NDArray[np.float64], most: NDArray[np.float64]) -> None:
    """Give an end that exposures have in common to those that hold no more, in place: nobody holds more than the darkest."""
    known = ends[np.isfinite(ends)]
    if not len(known):
        return
    consistent = known.max() <= known.min() * (1 + 2 * HAIR)
    for number in map(int, np.flatnonzero(np.isinf(ends))):
        reach = most[number]
        at = known[(reach <= known * (1 + 2 * HAIR)) & (consistent | (reach >= known * (1 - 2 * HAIR)))]
        if len(at):
            ends[number] = float(np.median(at))
