"""Continuity of the histogram, stop by stop: whether all the levels occur that a picture of its kind can have.

A half float has 1024 levels in every stop. Codes that were stretched leave teeth and gaps; a picture with few pixels
in a stop has gaps by chance alone, which is counted out.
"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.half_floats import to_half
from hdrgen.metrics.coded_primaries import in_coded_primaries

LOWEST_STOP, HIGHEST_STOP = -12, 14
"""Stops of scene-linear light that are told apart: 2**-12 to 2**14. Half floats have all their precision from 2**-14."""
BINS_PER_STOP = 64
"""A bin is 1.1 % of light: about what an eye tells apart."""
HALVES_PER_STOP = 1024
_HALVES_PER_BIN = HALVES_PER_STOP // BINS_PER_STOP
FEWEST_SAMPLES = 8 * BINS_PER_STOP
"""Samples in a stop that its statistics need."""
_FIRST_HALF_OF_STOP = 15  # 2**0 has the exponent 15 in its bits
_SCHEMA: Any = {
    "stop": pl.Int64,
    "samples": pl.Int64,
    "levels": pl.Int64,
    "levels_half_float": pl.Float64,
    "gap_share": pl.Float64,
    "comb": pl.Float64,
}


def histogram_continuity(linear_awg4: NDArray[np.float32]) -> pl.DataFrame:
    """Measure the histogram of all three components in each stop that has `FEWEST_SAMPLES`.

    In each of `CODED_PRIMARIES`; a stop's row is of those in which it has the most gaps, its comb the worst of them.

    Parameters
    ----------
    linear_awg4
        Scene-linear AWG4 of shape ``(H, W, 3)``, finite.

    Returns
    -------
    DataFrame
        ``stop``: log2 of where it begins; ``samples`` in it; ``levels``, different half floats that occur, and
        ``levels_half_float``, as many as that number of samples of smooth light would have; ``gap_share``, the share of
        those that do not occur, 0 to 1; ``comb``, 0 for a histogram that is smooth but for chance and 1 for single teeth.
    """
    by_component = pl.concat([_by_stop(linear) for linear in in_coded_primaries(linear_awg4)])
    worst = (
        by_component.sort("gap_share", descending=True, maintain_order=True)
        .group_by("stop")
        .first()
        .drop("comb")
    )
    combs = by_component.group_by("stop").agg(pl.col("comb").max())
    return worst.join(combs, on="stop").sort("stop")


def _by_stop(linear: NDArray[np.float32]) -> pl.DataFrame:
    halves = to_half(np.ascontiguousarray(linear)).view(np.uint16).ravel()
    counts = np.bincount(halves[halves < 0x7C00], minlength=0x7C00)
    rows = []
    for stop in range(LOWEST_STOP, HIGHEST_STOP):
        first = (stop + _FIRST_HALF_OF_STOP) * HALVES_PER_STOP
        of_stop = counts[first : first + HALVES_PER_STOP]
        samples = int(of_stop.sum())
        if samples < FEWEST_SAMPLES:
            continue
        levels, expected = int(np.count_nonzero(of_stop)), _expected_levels(of_stop)
        rows.append(
            {
                "stop": stop,
                "samples": samples,
                "levels": levels,
                "levels_half_float": expected,
                "gap_share": max(1 - levels / expected, 0.0),
                "comb": comb(of_stop.reshape(BINS_PER_STOP, _HALVES_PER_BIN).sum(1)),
            }
        )
    return pl.DataFrame(rows, schema=_SCHEMA)


def _expected_levels(of_stop: NDArray[np.int64]) -> float:
    """Return how many levels so many samples would hit if light were even over each eighth of a stop."""
    samples = of_stop.reshape(8, -1).sum(1)
    each = HALVES_PER_STOP / 8
    return float((each * -np.expm1(-samples / each)).sum())


def comb(counts: NDArray[np.integer]) -> float:
    """Return how far neighbouring bins alternate: mean size of the second difference over four times the mean count.

    What chance makes of an even histogram with as many samples is subtracted.

    Examples
    --------
    >>> comb(np.array([40, 0, 40, 0, 40, 0, 40, 0])) > 0.8
    True
    >>> comb(np.full(64, 1000))
    0.0
    """
    mean = float(counts.mean())
    if mean == 0:
        return 0.0
    observed = float(np.abs(np.diff(counts.astype(np.int64), 2)).mean()) / (4 * mean)
    # The second difference of Poisson counts has variance 6 of their mean.
    by_chance = float(np.sqrt(2 / np.pi) * np.sqrt(6 * mean) / (4 * mean))
    return min(max(observed - by_chance, 0.0), 1.0)


def codes_per_stop(encoding: str, bits: int) -> pl.DataFrame:
    """Return how many codes an encoding has in each stop: what a picture out of it can have at most.

    Parameters
    ----------
    encoding
        A key of `ENCODINGS`.
    bits
        Bits of its codes.

    Returns
    -------
    DataFrame
        ``stop`` and ``levels``.

    Examples
    --------
    >>> dict(codes_per_stop("logc4_awg4", 8).iter_rows())[0]
    16
    """
    light = ENCODINGS[encoding].decode(np.arange(2**bits) / (2**bits - 1))
    stops = np.floor(np.log2(light[light > 0])).astype(int)
    return pl.DataFrame(
        [
            {"stop": stop, "levels": int(np.count_nonzero(stops == stop))}
            for stop in range(LOWEST_STOP, HIGHEST_STOP)
        ]
    )
