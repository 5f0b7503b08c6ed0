"""The light of a frame as a caption may speak of it: figures for a model, words, and what contradicts them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.images.light_statistics import (
    FINGERPRINT_SIDE,
    awg4_luminance,
    fingerprint,
    luminance_percentiles,
)

GREY = 0.18
_BLACK = 2.0**-12
"""Light below it counts as black where a logarithm is taken."""


@dataclass(frozen=True)
class MeasuredLight:
    """What was measured in a scene-linear frame, in stops.

    Parameters
    ----------
    stops
        Between the darkest and the brightest thousandth of the luminance.
    peak_stops
        Brightest luminance over 18 % grey.
    key_stops
        Median luminance over 18 % grey; a low key is negative.
    sky_stops
        The same of the upper third of the picture, where a sky would be.
    """

    stops: float
    peak_stops: float
    key_stops: float
    sky_stops: float

    @property
    def contrast(self) -> str:
        """Return the range in words."""
        below: dict[float, str] = {7: "low contrast", 10: "moderate contrast", 14: "high contrast"}
        return _word(self.stops, below, "very high contrast")

    @property
    def key(self) -> str:
        """Return the key in words; empty where it is a normal one, or a bright sky stands over dark ground."""
        brighter = max(self.key_stops, self.sky_stops)
        return "low key" if brighter < -1.2 else "high key" if self.key_stops > 1.2 else ""

    @property
    def words(self) -> str:
        """Return contrast, key and highlights as one sentence: `Low key, high contrast, intense highlights.`."""
        highlights = _word(self.peak_stops, {2: "", 6: "bright highlights"}, "intense highlights")
        return ", ".join(filter(None, (self.key, self.contrast, highlights))).capitalize() + "."

    @property
    def facts(self) -> str:
        """Return the figures for a model that sees only a tone-mapped picture."""
        return (
            f"Measured in the scene-linear frame: {self.stops:.1f} stops between the darkest and the brightest "
            f"thousandth; the brightest light is {self.peak_stops:.1f} stops over 18 % grey; the median is "
            f"{abs(self.key_stops):.1f} stops {'over' if self.key_stops >= 0 else 'under'} it."
        )


def light_in_picture(linear_awg4: NDArray[np.floating]) -> MeasuredLight:
    """Measure a picture ``(height, width, 3)`` of scene-linear AWG4."""
    luminance = awg4_luminance(linear_awg4)
    return light_in_index(luminance_percentiles(luminance) | {"fingerprint": fingerprint(luminance)})


def light_in_index(row: Mapping[str, Any]) -> MeasuredLight:
    """Return the light of a frame that the index of frames has measured already."""
    # A twelfth of a stop per step, from 2**-12 upwards.
    levels = np.frombuffer(row["fingerprint"], np.uint8).reshape(FINGERPRINT_SIDE, FINGERPRINT_SIDE) / 12 - 12
    sky = 2.0 ** float(np.median(levels[: FINGERPRINT_SIDE // 3]))
    return MeasuredLight(
        stops=round(row["stops"], 1),
        peak_stops=_over_grey(row["luminance_max"]),
        key_stops=_over_grey(row["luminance_p50"]),
        sky_stops=_over_grey(sky),
    )


def contradictions(text: str, light: MeasuredLight) -> tuple[str, ...]:
    """Return what a text says about the light that the measurement denies, by name.

    The limits are wide: a caption is suspect, not the eye of whoever exposed the frame.
    """
    return tuple(
        name for name, (said, denied) in _CONTRADICTIONS.items() if said.search(text) and denied(light)
    )


_CONTRADICTIONS: Mapping[str, tuple[re.Pattern[str], Callable[[MeasuredLight], bool]]] = {
    "night on a bright sky": (
        re.compile(r"\b(night|midnight|moonlit|moonlight)\b", re.IGNORECASE),
        lambda light: light.sky_stops > 0.5,
    ),
    "daylight in the dark": (
        re.compile(r"\b(daylight|sunlit|sunny|noon|midday|bright sky)\b", re.IGNORECASE),
        lambda light: light.key_stops < -4 and light.peak_stops < 1,
    ),
    "low contrast over a wide range": (
        re.compile(r"\b(low[- ]contrast|flat light(ing)?)\b", re.IGNORECASE),
        lambda light: light.stops > 14,
    ),
    "high contrast over a narrow range": (
        re.compile(r"\b(high[- ]contrast|deep shadows)\b", re.IGNORECASE),
        lambda light: light.stops < 5,
    ),
    "low key over a bright middle": (
        re.compile(r"\blow[- ]key\b", re.IGNORECASE),
        lambda light: light.key_stops > 1,
    ),
    "high key over a dark middle": (
        re.compile(r"\bhigh[- ]key\b", re.IGNORECASE),
        lambda light: light.key_stops < -1,
    ),
}
CONTRADICTIONS = tuple(_CONTRADICTIONS)


def _over_grey(luminance: float) -> float:
    return round(float(np.log2(max(luminance, _BLACK) / GREY)), 1)


def _word(value: float, below: Mapping[float, str], else_word: str) -> str:
    return next((word for limit, word in below.items() if value < limit), else_word)
