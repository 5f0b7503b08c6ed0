"""Renditions: the ways a fine-tuned model shows one scene, each asked for by a few words before the prompt.

The words come from here in training and in generation alike, so a prompt's own words never decide an exposure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.logc import logc4_encode
from hdrgen.colour.tone_maps import Log, Reinhard, ToneMap


@dataclass(frozen=True)
class Rendition:
    """One way to show scene-linear AWG4 as a picture of codes from 0 to 1.

    ``curve`` is ``logc4`` (of ``linear * 2**ev``), ``reinhard`` or ``log``; the last two have EV 0.
    """

    curve: str
    ev: float = 0.0

    @property
    def name(self) -> str:
        """Return a name for files and tables: `logc4_ev-2`, `reinhard`."""
        return f"{self.curve}_ev{self.ev:+g}" if self.curve == "logc4" else self.curve

    @property
    def words(self) -> str:
        """Return what the prompt begins with."""
        return f"LogC4, EV {self.ev:+g}" if self.curve == "logc4" else f"{self.curve} tone map"

    def prompt(self, scene: str) -> str:
        """Return the prompt for this rendition of a scene in words; an empty one asks for the rendition alone."""
        return f"{self.words}: {scene}" if scene else self.words

    def encode(self, linear_awg4: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return codes from 0 to 1, clipped as an 8-bit picture is."""
        if self.curve == "logc4":
            code = logc4_encode(linear_awg4 * np.float32(2.0**self.ev))
        else:
            code = _TONE_MAPS[self.curve].encode(np.maximum(linear_awg4, 0))
        return np.clip(code, 0, 1).astype(np.float32)


_TONE_MAPS: dict[str, ToneMap] = {"reinhard": Reinhard(), "log": Log()}
DUAL = (Rendition("reinhard"), Rendition("log"))
"""What the route `dual` fuses."""


def brackets(evs: Sequence[float]) -> tuple[Rendition, ...]:
    """Return the LogC4 renditions of some exposure values."""
    return tuple(Rendition("logc4", float(ev)) for ev in evs)
