"""Exposures that end before their encoding does: codes that say it, and tables that read them.

A code of 255 says by itself that it is clipped. Linear light in floats, or codes with a white level below their highest,
do not: where they end is found (`ceiling_search`) or given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.primaries import Chromaticities, convert_primaries
from hdrgen.exposure.bracket_tables import (
    CLIPPED_STEP,
    MOST_STEPS,
    BracketTables,
    bracket_tables,
    encode_log2_code16,
)
from hdrgen.exposure.ev_list import as_number
from hdrgen.exposure.log2_encoding import log2_decode, log2_encode
from hdrgen.exposure.tone_map_tables import CLIPPED_SD_LOG2
from hdrgen.routes.ceiling_search import (
    HAIR,
    Components,
    Light,
    as_float32,
    find_ceilings,
    find_space_and_ceilings,
)
from hdrgen.runtime.errors import HdrgenError

ENDING_AT_255 = "srgb_rec709"
"""Encoding of `ending_at_255`."""

CeilingOption = float | Literal["auto", "none"]


@dataclass(frozen=True)
class Ceiling:
    """Where one exposure ends.

    ``linear`` is the most that red, green and blue hold, in the values of the picture itself, infinite where no end
    was found. Of ``codes`` codes those from ``first_code`` on only say "at least": this one of red, the next of green, then of blue.
    ``reached`` tells whether any does.
    """

    linear: Components
    first_code: int
    codes: int = 65536
    reached: bool = True

    @property
    def highest(self) -> float:
        """The highest of the components that end."""
        return max(value for value in self.linear if np.isfinite(value))

    @property
    def known(self) -> tuple[float | None, ...]:
        """What each component holds at most, None where that is not known."""
        return tuple(value if np.isfinite(value) else None for value in self.linear)

    def in_table_of(self, codes: int) -> "Ceiling":
        """Return the ceiling in a table of this many codes: an 8-bit exposure that alignment moved has 16-bit ones."""
        return (
            self
            if codes == self.codes
            else replace(self, first_code=self.first_code * 257 - 128, codes=codes)
        )

    def applied(self, tables: BracketTables, ev: float, stops_from_last: float) -> BracketTables:
        """Return an exposure's tables with nothing but "at least" from the ceiling on.

        Parameters
        ----------
        tables, ev
            The tables, and the exposure's EV.
        stops_from_last
            How many stops of light below the exposure that ends last this one ends.
        """
        linear = np.minimum(self.linear, self.highest) / 2.0**ev
        at_least = np.full(len(tables.log2) - self.first_code, log2_encode(linear.max()), np.float32)
        at_least[:3] = log2_encode(linear)[: len(at_least)]
        log2, sd, lower, upper = (t.copy() for t in (tables.log2, tables.sd_log2, tables.lower, tables.upper))
        clipped = tables.clipped.copy()
        log2[self.first_code :] = lower[self.first_code :] = at_least
        upper[self.first_code :], clipped[self.first_code :] = np.inf, True
        sd[self.first_code :] = CLIPPED_SD_LOG2 * CLIPPED_STEP ** min(stops_from_last, MOST_STEPS)
        return BracketTables(log2, sd, lower, upper, clipped)


def parse_ceiling(text: str, called: str) -> CeilingOption:
    """Return the ceiling that a person typed.

    Raises
    ------
    HdrgenError
        It is no number above 0, nor ``auto`` or ``none``.
    """
    if text == "auto":
        return "auto"
    if text == "none":
        return "none"
    value = as_number(text)
    if value is None or not 0 < value < float("inf"):
        raise HdrgenError(f"{called} {text}: must be auto, none, or light above 0 such as 1.0")
    return value


def ceilings_of_light(
    exposures: Sequence[Light], own: Chromaticities, option: CeilingOption
) -> tuple[list[NDArray[Any]], list[Ceiling | None], Chromaticities]:
    """Return exposures as codes of ``log2_code16`` that say where they end.

    Parameters
    ----------
    exposures
        Linear light ``(H, W, 3)`` in the primaries ``own``.
    own
        Primaries of the exposures.
    option
        See `read_stack`.

    Returns
    -------
    list, list, Chromaticities
        The codes, where each exposure ends, and their primaries: those in which the exposures were cut.
    """
    ends: list[Components | None] = [None] * len(exposures)
    cut_in = own
    if option == "auto":
        cut_in, ends = find_space_and_ceilings(exposures, own)
        if cut_in != own:
            exposures = [convert_primaries(light, own, cut_in) for light in exposures]
    elif option != "none":
        ends = [(option, option, option)] * len(exposures)
    codes = [encode_log2_code16(light) for light in exposures]
    return (*_clipped(codes, exposures, ends), cut_in)


def ceilings_of_codes(
    codes: list[NDArray[Any]], encoding: str, option: CeilingOption
) -> tuple[list[NDArray[Any]], list[Ceiling | None]]:
    """Return codes of an encoding that say where the exposures end, where they do before their highest code.

    It is looked for in linear codes of 16 bits only: other curves have a white level of their own.
    """
    nothing: list[Ceiling | None] = [None] * len(codes)
    if option == "none" or (option == "auto" and not encoding.startswith("linear_")):
        return codes, nothing
    if option != "auto":
        return codes, [_first_code_of(code, encoding, option) for code in codes]
    if any(code.dtype != np.uint16 for code in codes):
        return codes, nothing
    whole = np.float32(1 / 65535)
    linear = [code * whole for code in codes]
    before = [None if end is None or min(end) >= 1 - HAIR else end for end in find_ceilings(linear)]
    return _clipped(codes, linear, before) if any(before) else (codes, nothing)


def ceiling_notes(
    ceilings: Sequence[Ceiling | None], *, option: CeilingOption, cut_in: str | None = None
) -> tuple[str, ...]:
    """Return what to say of ceilings that were found, or of one that was given and that no picture reaches."""
    if option == "none" or not any(ceilings):
        return ()
    if option != "auto":
        reached = any(ceiling.reached for ceiling in ceilings if ceiling)
        return () if reached else (f"no picture holds light of {option:g}, the ceiling that was asked for",)
    values = [ceiling.linear for ceiling in ceilings if ceiling]
    component_values = [
        sorted({f"{v:.4g}" for v in component if np.isfinite(v)}, key=float)
        for component in zip(*values, strict=True)
    ]
    values_text = [" or ".join(component) or "none" for component in component_values]
    each = values_text[0] if len(set(values_text)) == 1 else " / ".join(values_text) + " (red / green / blue)"
    where = f" in {cut_in}" if cut_in else ""
    message = f"light is cut at {each}{where}: many samples lie there and darker exposures hold more"
    return (f"{message}; say --ceiling none if not",)


def end_stops(evs: Sequence[float], ceilings: Sequence[Ceiling | None]) -> list[float]:
    """Return log2 of the light at EV 0 where each exposure ends before its encoding does, infinite where it does not."""
    return [
        np.inf if ceiling is None else float(np.log2(ceiling.highest)) - ev
        for ceiling, ev in zip(ceilings, evs, strict=True)
    ]


def tables_with_ceilings(
    tables: Sequence[BracketTables], evs: Sequence[float], ceilings: Sequence[Ceiling | None]
) -> list[BracketTables]:
    """Return the tables of a stack's exposures with their ceilings in them."""
    ends = end_stops(evs, ceilings)
    last = max(end for end in ends if np.isfinite(end))
    return [
        table if ceiling is None else ceiling.in_table_of(len(table.log2)).applied(table, ev, last - end)
        for table, ceiling, ev, end in zip(tables, ceilings, evs, ends, strict=True)
    ]


def ending_at_255(
    codes: Sequence[NDArray[Any]], encoding: str, ceilings: Sequence[Ceiling | None]
) -> tuple[list[NDArray[np.uint8]], float]:
    """Return exposures as 8-bit codes of `ENDING_AT_255` whose highest is where they end, and the light of one unit of it.

    With several ceilings all exposures end at the lowest of them.
    """
    unit_linear = min(ceiling.highest for ceiling in ceilings if ceiling)
    codes8 = []
    for code, ceiling in zip(codes, ceilings, strict=True):
        table = bracket_tables(encoding, 8 if code.dtype == np.uint8 else 16, 0.0, evs=(0.0,)).log2
        linear = log2_decode(table) / unit_linear
        if ceiling is not None:
            linear[ceiling.in_table_of(len(table)).first_code :] = 1
        curve = np.clip(ENCODINGS[ENDING_AT_255].encode(linear), 0, 1)
        codes8.append((curve * 255 + 0.5).astype(np.uint8)[code])
    return codes8, unit_linear


def _clipped(
    codes: Sequence[NDArray[Any]], exposures: Sequence[Light], ends: Sequence[Components | None]
) -> tuple[list[NDArray[Any]], list[Ceiling | None]]:
    clipped = [
        (code, None) if end is None else _clipped_at(code, light, end)
        for code, light, end in zip(codes, exposures, ends, strict=True)
    ]
    return [code for code, _ in clipped], [ceiling for _, ceiling in clipped]


def _clipped_at(codes: NDArray[Any], linear: Light, ends: Components) -> tuple[NDArray[Any], Ceiling]:
    """Return 16-bit codes, rising with the light, that are at the ceiling where the light is."""
    at_end = linear >= as_float32(ends) * np.float32(1 - HAIR)
    if not at_end.any():
        return codes, Ceiling(ends, 65535 - 2, reached=False)
    highest = max(value for value in ends if np.isfinite(value))
    at_highest = codes[at_end & (linear <= np.float32(highest))]
    first = max(1, int(codes[~at_end].max(initial=0)) + 1, int(at_highest.max(initial=0)))
    first = min(first, 65535 - 2)  # of three components
    codes = np.minimum(codes, np.uint16(first))
    for component in range(3):
        codes[..., component][at_end[..., component]] = first + component
    return codes, Ceiling(ends, first)


def _first_code_of(code: NDArray[Any], encoding: str, linear: float) -> Ceiling:
    """Return the ceiling of codes at this light."""
    tables = bracket_tables(encoding, 8 if code.dtype == np.uint8 else 16, 0.0, evs=(0.0,))
    light, highest = log2_decode(tables.log2), len(tables.log2) - 1
    linear = min(linear, float(light[-1]))
    first = min(int(np.searchsorted(light, linear * (1 - HAIR))), highest)
    reached = linear < light[-1] and bool((code >= first).any())
    return Ceiling((linear, linear, linear), first, len(tables.log2), reached)
