"""What the codes of an exposure bracket say about the light: closed forms, as tables over all codes.

A bracket at exposure value EV shows ``linear * 2**EV`` through a curve (LogC4, sRGB, ...), so the darkest one, the
lowest EV, holds the highlights. Each component is a code of 8 or 16 bits, and whatever one code says without its
neighbours or the other brackets is an entry of a table. Levels are those of `hdrgen.exposure.tone_map_tables`:
log2(linear + 0.01), of light at EV 0.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.encodings import ENCODINGS, Encoding
from hdrgen.exposure.tone_map_tables import CLIPPED_SD_LEVELS, LEVEL_OFFSET, level_decode, level_encode

Table = NDArray[np.float32]
Bits = Literal[8, 16]

LEVEL_FLOOR, LEVEL_SPAN = -7.0, 23.0
"""Levels that `level16` codes can say: -7 to 16, black to beyond the largest half float, in steps of 0.00035."""

READ_NOISE_LINEAR, SHOT_NOISE_LINEAR = 2e-3, 4e-4
"""Noise of linear brackets, which come out of a camera: variance = read**2 + shot * exposed light. 5 % at grey, 1 % two
stops above; an assumption, not a measurement of a camera. It makes the longest exposure that is not clipped count most."""

CLIPPED_STEP = 16.0
"""How many times less a clipped code is believed for each stop away from the bracket that clips last."""

MOST_STEPS = 14.0
"""Stops beyond which a clipped code is not believed still less: weights stay within single precision."""


@dataclass(frozen=True)
class BracketCells:
    """Tables over the codes of one bracket, shape ``(256,)`` or ``(65536,)``, of light at EV 0.

    ``level`` is the middle of each code's cell and ``sd_levels`` its standard deviation under noise and
    quantisation; ``lower`` and ``upper`` bound the cell, in levels; ``weight`` is the inverse variance.
    ``clipped`` tells the codes that only say "at least" or "at most".
    """

    level: Table
    sd_levels: Table
    lower: Table
    upper: Table
    clipped: NDArray[np.bool_]

    @cached_property
    def weight(self) -> Table:
        """Inverse variance of each code."""
        return (1 / self.sd_levels**2).astype(np.float32)


def encode_level16(linear: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Return scene-linear floats as codes of the encoding ``level16``: what a bracket that is an EXR becomes."""
    code = (level_encode(linear.astype(np.float32)) - LEVEL_FLOOR) / LEVEL_SPAN
    return (np.clip(code, 0, 1) * 65535 + 0.5).astype(np.uint16)


@lru_cache(maxsize=64)  # a few stacks of nine; a 16-bit entry is a megabyte
def bracket_cells(
    encoding: str, bits: Bits, ev: float, *, evs: tuple[float, ...], noise_codes: float = 3.0
) -> BracketCells:
    """Return the tables of one bracket.

    Parameters
    ----------
    encoding
        A key of `ENCODINGS`, or ``level16`` (`encode_level16`), which never clips.
    bits
        8 or 16; noise is the same either way.
    ev
        The bracket's exposure value.
    evs
        Those of all brackets: where every one is clipped, the one that clips last decides.
    noise_codes
        Standard deviation of the noise to expect, in 8-bit codes; of encoded pictures, linear ones have a camera's.
    """
    codes = 2**bits
    curve = _LEVEL16 if encoding == "level16" else ENCODINGS[encoding]
    edges = curve.decode((np.arange(codes + 1) - 0.5) / (codes - 1)) / 2.0**ev
    middle = curve.decode(np.arange(codes) / (codes - 1)) / 2.0**ev
    level = level_encode(middle)
    lower, upper = level_encode(edges[:-1]), level_encode(edges[1:])
    per_code = np.maximum(np.gradient(level), 1e-6)
    if encoding == "level16" or encoding.startswith("linear_"):
        exposed = middle * 2.0**ev
        noise_linear = np.sqrt(READ_NOISE_LINEAR**2 + SHOT_NOISE_LINEAR * exposed) / 2.0**ev
        variance = (noise_linear / ((middle + LEVEL_OFFSET) * np.log(2))) ** 2
    else:
        variance = (per_code * noise_codes * (codes - 1) / 255) ** 2
    variance = variance + per_code**2 / 12
    sd = np.sqrt(variance)
    clipped = np.zeros(codes, bool)
    if encoding != "level16":
        at_most, at_least = middle <= 0, np.zeros(codes, bool)
        at_least[-1] = True
        lower[at_most], upper[at_least] = -np.inf, np.inf
        sd_at_least, sd_at_most = (
            CLIPPED_SD_LEVELS * CLIPPED_STEP ** min(stops, MOST_STEPS)
            for stops in (ev - min(evs), max(evs) - ev)
        )
        # Light that was clipped before the noise came has codes below the highest, too.
        below_top = (codes - 1 - np.arange(codes)) * 255 / (codes - 1)
        share = np.exp(-0.5 * np.square(below_top / max(noise_codes, 1e-3)))
        sd = np.sqrt(variance + share * sd_at_least**2)
        sd[at_least], sd[at_most] = sd_at_least, sd_at_most
        clipped = at_least | at_most
    level, sd, lower, upper = (t.astype(np.float32) for t in (level, sd, lower, upper))
    return BracketCells(level, sd, lower, upper, clipped)


_LEVEL16 = Encoding(
    ENCODINGS["linear_awg4"].chromaticities,
    decode=lambda code: level_decode(code * LEVEL_SPAN + LEVEL_FLOOR),
)
