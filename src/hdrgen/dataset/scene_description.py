"""What a simulated frame says that it shows: JSON in its header, written by `simulate` and read by all that come after."""

import json
from collections.abc import Mapping
from typing import (
    Any,
    Literal,
    NotRequired,  # pydantic reads no other before Python 3.12
)

from typing_extensions import TypedDict

SCENE_ATTRIBUTE = "hdrgenScene"
"""The header attribute that holds a `Description` as JSON."""

TimeOfDay = Literal["dawn", "day", "golden hour", "sunset", "dusk", "evening", "night", "indoors", "unknown"]
LightKind = Literal[
    "practical", "sky", "sun", "window", "softbox", "street lamp", "neon", "fire", "vehicle", "screen"
]


class LightSource(TypedDict):
    """A light in a description; `simulate` gives all but the colour temperature, which only some lights have.

    ``in_frame`` says that the lamp itself stands inside the picture's borders, possibly behind something. The sun's
    is checked in the rendered picture and says that it can be seen.
    """

    name: str
    kind: NotRequired[LightKind]
    in_frame: NotRequired[bool]
    colour_temperature_kelvin: NotRequired[int]


class Description(TypedDict):
    """What a frame shows: ground truth for captions and for evaluating prompts.

    The first six are what captions need, and what a file of any origin must have to be captioned by them. ``scene_id``
    and ``frame_id`` are filled in by the plan: frames of one ``scene_id`` share a composition, ``frame_id`` is the
    frame's own. ``exposure_note`` says in words where the exposure sits. ``turbidity`` (Preetham, 2 to 10) and
    ``sun_elevation_degrees`` are there under an open sky.
    """

    subject: str
    place: str
    time_of_day: TimeOfDay
    light_sources: list[LightSource]
    tags: list[str]
    caption: str
    scene_id: NotRequired[str]
    frame_id: NotRequired[str]
    kind: NotRequired[str]
    materials: NotRequired[list[str]]
    focal_length_mm: NotRequired[float]
    exposure_note: NotRequired[str]
    turbidity: NotRequired[float]
    sun_elevation_degrees: NotRequired[float]


def parse_description(text: object) -> dict[str, Any] | None:
    """Return the value of `SCENE_ATTRIBUTE` as a dictionary, None where it is no JSON object.

    Its values are as a file has them; a `Description` is what they should be.
    """
    try:
        description = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return description if isinstance(description, dict) else None


def scene_kind(description: Mapping[str, Any] | None) -> str:
    """Return the kind of scene in words, such as `night street`; empty where a frame does not say."""
    return str((description or {}).get("kind", "")).replace("_", " ")
