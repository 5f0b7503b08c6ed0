"""Pictures that do not belong in a stack: those that carry nothing, and those of another scene.

Each exposure is looked at as a small picture of stops, known where it is well exposed. Those of one scene go up and down
together wherever both are known, whatever their exposures are, and even if the camera moved a little.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.exposure.bracket_tables import BracketTables
from hdrgen.exposure.estimation import FLAT_STOPS, MOST_SD_STOPS, SmallPicture, places, spread_stops
from hdrgen.exposure.log2_encoding import log2_encode

FEWEST_PLACES = 20
"""Places known in both of two pictures for a correlation."""

FEWEST_SHARED = 0.2
"""Share of the picture that two exposures both show, for anything to be said of the two."""

SHARED_OF_PLACE = 0.25
"""Share of a place's pixels that both show, for the place to be known in both."""

MAD_TO_SD = 1.4826
LEAST_SPREAD_STOPS = 0.3
"""Least spread of the stops of a picture that is not flat."""

LEAST_SCATTER_STOPS = 0.5
"""Spread of the ratio of light below which two pictures agree, however little is in them."""

SAME, SAME_SHIFTED, OTHER = 0.5, 0.55, 0.3
"""Correlation from which two pictures show one scene, as they are or best shifted, and below which they do not."""

MOST_SHIFT = 0.1
"""Part of a side by which the camera may have moved."""

SHIFTED_SIDE = 64
"""Longer side, in places, of pictures that are shifted."""

NEXT_TO_NOTHING, LEAST_MISSING, MOSTLY_KNOWN = 0.02, 0.1, 0.5
"""Shares of a picture's places that are known."""

MARGIN_STOPS = 1.5
"""Inside the range that an exposure shows well for a place to be one that it should not have as dark, or as clipped."""

MOST_BEYOND_SHARE = 2 / 3
MOST_DISAGREEMENT = 1 / 3
"""Shares of a picture that are beyond sense: things that move are less."""

CONTRADICTED_STOPS = 1.0
LEAST_SHOWN_SHARE = 0.01
LOOKED_AT = 1 << 18
"""Pixels, evenly chosen, of which it is told what is beyond, and a disagreement."""

NOTHING = "carries nothing"
FLAT = "is one flat tone, which carries nothing"
ANOTHER = "shows another scene than the others, or is turned"


class DifferentScenesError(ValueError):
    """Pictures are of different scenes, and there is no majority to tell which."""


def find_faults(pictures: Sequence[SmallPicture], evs: Sequence[float] | None) -> Mapping[int, str]:
    """Find what does not belong in a stack.

    Parameters
    ----------
    pictures
        What each exposure shows.
    evs
        Their EVs, None where nobody says them.

    Returns
    -------
    mapping
        What is wrong, in words, by the number of the picture.

    Raises
    ------
    DifferentScenesError
        No more than half of the pictures show one scene; the message says so in words.
    """
    everything = dict(enumerate(pictures))
    if evs is None:  # nobody can say what such a picture should show, nor what its exposure is
        faults = {n: NOTHING for n, picture in everything.items() if not picture.shows_anything}
    else:
        faults = {n: NOTHING for n in everything if _lacks(n, everything, evs)}
    faults |= {n: FLAT for n in everything if n not in faults and _is_flat(n, everything)}
    left = {n: picture for n, picture in everything.items() if n not in faults}
    return faults | dict.fromkeys(_of_other_scenes(left), ANOTHER)


def disagreement(
    codes: Sequence[NDArray[Any]], tables: Sequence[BracketTables], linear: NDArray[np.float32]
) -> float:
    """Return how much of what an exposure shows well the merged light contradicts, of the exposure that agrees least.

    Parameters
    ----------
    codes, tables
        The exposures ``(H, W, 3)``, as they were merged, and their tables.
    linear
        The light at EV 0 that came of them, of the same size.
    """
    step = _step_to_look(linear.shape)
    log2 = log2_encode(np.ascontiguousarray(linear[::step, ::step]))
    most = 0.0
    for code, table in zip(codes, tables, strict=True):
        entries = code[::step, ::step]
        well = ~table.clipped & (table.sd_log2 < MOST_SD_STOPS)
        shown = well[entries]
        if shown.mean() > LEAST_SHOWN_SHARE:
            off = np.abs(table.log2[entries] - log2) > CONTRADICTED_STOPS
            most = max(most, float((off & shown).sum() / shown.sum()))
    return most


def beyond_share(codes: Sequence[NDArray[Any]], tables: Sequence[BracketTables]) -> float:
    """Return the share of pixels of which a component is clipped in every exposure: only "at least" is known of it.

    Parameters as of `disagreement`. What is black in the brightest exposure is known: it is dark.
    """
    step = _step_to_look(codes[0].shape)
    beyond = np.ones(codes[0][::step, ::step].shape, bool)
    for code, table in zip(codes, tables, strict=True):
        beyond &= np.isinf(table.upper)[code[::step, ::step]]
    return float(beyond.any(axis=-1).mean())


def failures(beyond_share: float, disagreement: float) -> tuple[str, ...]:
    """Return what is beyond sense in a merged picture, in words."""
    messages = []
    if beyond_share > MOST_BEYOND_SHARE:
        messages.append(
            f"{beyond_share:.0%} of the pixels are clipped in every exposure: the light there is a guess"
        )
    if disagreement > MOST_DISAGREEMENT:
        messages.append(
            f"an exposure contradicts the result in {disagreement:.0%} of what it shows: do the exposures belong together?"
        )
    return tuple(messages)


def _step_to_look(shape: tuple[int, ...]) -> int:
    return max(1, round((shape[0] * shape[1] / LOOKED_AT) ** 0.5))


def _is_flat(number: int, pictures: Mapping[int, SmallPicture]) -> bool:
    """Tell whether a picture is of one tone where another shows more."""
    own = pictures[number]
    known = np.isfinite(own.stops)
    if not (own.spread_stops < FLAT_STOPS and known.mean() > MOSTLY_KNOWN):
        return False
    spreads = [spread_stops(p.stops[known]) for other, p in pictures.items() if other != number]
    return any(spread > LEAST_SPREAD_STOPS for spread in spreads)


def _of_other_scenes(pictures: Mapping[int, SmallPicture]) -> list[int]:
    """Return the pictures that do not show what most show."""
    group = {number: {number} for number in pictures}
    contradicted: set[int] = set()
    for a, b in combinations(pictures, 2):
        alike = _alike(pictures[a], pictures[b])
        if alike:
            group[a] |= group[b]
            for number in group[a]:
                group[number] = group[a]
        elif alike is not None:
            contradicted |= {a, b}
    if not contradicted:
        return []
    largest = max(group.values(), key=len)
    others = sorted(contradicted - largest)
    # Two against two, or one against one: nobody can say which is the scene.
    if others and len(largest) <= len(others):
        raise DifferentScenesError("show different scenes, or some are turned")
    return others


def _alike(one: SmallPicture, other: SmallPicture) -> bool | None:
    """Tell whether two pictures show one scene, None where they do not tell."""
    both = np.isfinite(one.pixel_stops) & np.isfinite(other.pixel_stops)
    # Of each place the same pixels: a dark exposure shows its bright ones, a bright one its dark ones.
    a, b = (places(picture.pixel_stops, both, SHARED_OF_PLACE) for picture in (one, other))
    if np.isfinite(a).mean() < FEWEST_SHARED:
        return None
    correlation = _correlation(a, b)
    if correlation is None or OTHER <= correlation < SAME:
        return None
    if correlation >= SAME:
        return True
    off = (a - b)[np.isfinite(a)]
    scatter = float(np.median(np.abs(off - np.median(off)))) * MAD_TO_SD
    if scatter < LEAST_SCATTER_STOPS or _best_shifted(one, other) >= SAME_SHIFTED:
        return None
    return False


def _correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float | None:
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < FEWEST_PLACES:
        return None
    a, b = a[both] - a[both].mean(), b[both] - b[both].mean()
    if min(a.std(), b.std()) < LEAST_SPREAD_STOPS / 2:
        return None
    return float((a * b).mean() / (a.std() * b.std()))


def _best_shifted(one: SmallPicture, other: SmallPicture) -> float:
    """Return the highest correlation of two pictures, one of them shifted; 1 where too little is left to tell."""
    a, b = (places(p.pixel_stops, np.isfinite(p.pixel_stops), 1.0, SHIFTED_SIDE) for p in (one, other))
    height, width = a.shape
    best = -1.0
    for dy in range(-int(height * MOST_SHIFT), int(height * MOST_SHIFT) + 1):
        for dx in range(-int(width * MOST_SHIFT), int(width * MOST_SHIFT) + 1):
            part = a[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
            shifted = b[max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
            correlation = _correlation(part, shifted)
            best = max(best, 1.0 if correlation is None else correlation)
    return best


def _lacks(number: int, pictures: Mapping[int, SmallPicture], evs: Sequence[float]) -> bool:
    """Tell whether an exposure shows next to nothing where, by the others, it shows much well.

    Only next to nothing: one that shows a scene at another exposure than was said is a question, not a fault. One that
    is as dark or as clipped as its exposure has it is none either.
    """
    own = pictures[number]
    others = {other: p for other, p in pictures.items() if other != number}
    if not others or np.isfinite(own.stops).mean() > NEXT_TO_NOTHING:
        return False
    by_others = [p.stops - evs[other] for other, p in others.items()]
    known = np.isfinite(by_others)
    expected = np.where(known, by_others, 0).sum(0) / np.maximum(known.sum(0), 1) + evs[number]
    low, high = own.range_stops
    off = known.any(0) & (expected > low + MARGIN_STOPS if own.dark else expected < high - MARGIN_STOPS)
    if own.dark:
        for other, p in others.items():
            at_least = p.range_stops[1] - evs[other] + evs[number]
            if at_least > low:  # no margin: what is clipped is brighter still
                off |= p.clipped
    return bool(off.mean() > LEAST_MISSING)
