"""Whether a kind of picture is better than the 8-bit input it was made from, and whether it is as good as footage.

Said only where a figure can tell: where footage is better than that input by more than chance. Differences are taken
frame by frame where both were made of the same frames, because frames differ among themselves by far more than what is
made of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

CONFIDENCE = 0.95
"""Confidence of the two-sided interval outside which a difference is no chance: two standard errors,
more for few pictures."""

Values = Mapping[tuple[str, str], float]
"""One figure's goodness by source and name of the picture; larger is better."""


@dataclass(frozen=True)
class Verdict:
    """Where a kind of picture stands in one figure, not as footage and not falling short where it lies between.

    ``way`` is 0 for pictures as good as the 8-bit input and 1 for those as good as footage, beyond 1 for better ones.
    """

    way: float
    falls_short: bool
    """It is worse than footage, and not better than its 8-bit input."""
    as_footage: bool
    """It is better than its 8-bit input, and not worse than footage."""


def verdict(kind: Values, footage: Values, input_8bit: Values, *, least: float = 0.0) -> Verdict | None:
    """Return the verdict on a kind of picture by one figure.

    Parameters
    ----------
    kind
        Values of the evaluated pictures, by source and frame: of the same frames as the others, or of none of them.
    footage, input_8bit
        Values of the frames, and of the 8-bit pictures that the kind begins with.
    least
        Smallest difference of means that counts.

    Returns
    -------
    Verdict
        None where nothing can be said: footage is not better than 8 bits, or the kind neither better than 8 bits nor worse
        than footage, by more than chance; or there are fewer than two pictures.
    """
    frames = [frame for frame in footage if frame in input_8bit]
    paired = bool(kind.keys() & footage.keys())
    if paired:
        frames = [frame for frame in frames if frame in kind]
    values = _array(kind, frames if paired else list(kind))
    best, worst = _array(footage, frames), _array(input_8bit, frames)
    if min(len(frames), len(values)) < 2 or not better(best, worst, paired=True, least=least):
        return None
    gained = better(values, worst, paired=paired, least=least)
    lacking = better(best, values, paired=paired, least=least)
    if not (gained or lacking):
        return None
    way = float((values.mean() - worst.mean()) / (best.mean() - worst.mean()))
    return Verdict(way, falls_short=lacking and not gained, as_footage=gained and not lacking)


def better(one: NDArray[np.float64], other: NDArray[np.float64], *, paired: bool, least: float = 0.0) -> bool:
    """Return whether a mean is larger than another by more than `least`, and than chance: Student's t, Welch's unpaired.

    Without pairs the degrees of freedom are those of the smaller group, the fewest that Welch's can be.

    Examples
    --------
    >>> frames = np.array([10.0, 20, 30, 40])
    >>> better(frames + [1.0, 1.2, 0.9, 1.1], frames, paired=True)
    True
    >>> better(frames + [1.0, 1.2, 0.9, 1.1], frames, paired=False)
    False
    """
    if paired:
        difference = one - other
        mean, error, fewest = difference.mean(), np.sqrt(difference.var(ddof=1) / len(one)), len(one)
    else:
        mean, fewest = one.mean() - other.mean(), min(len(one), len(other))
        error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    return bool(mean > max(least, student.ppf((1 + CONFIDENCE) / 2, fewest - 1) * error))


def _array(values: Values, names: list[tuple[str, str]]) -> NDArray[np.float64]:
    return np.array([values[name] for name in names], np.float64)
