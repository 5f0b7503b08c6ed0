"""What `ingest` is told: its section of params.yaml. Stages that only ask for its sources do not run its code."""

import math
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.images.choices import Compression
from hdrgen.runtime.params import Section
from hdrgen.runtime.scheduling import FrameWork

PanoramaChoice = Literal["auto", "always", "never"]


class Source(Section):
    """One folder of frames, and what its files do not say themselves."""

    path: Path
    """Folder, searched with all below it, or one file."""
    encoding: str = "auto"
    """What the values mean; `auto` believes the file, else a name from `colour.encodings`."""
    exposure: Literal["auto", "keep", "grey"] | float = "auto"
    """`keep` leaves values alone, `grey` brings every picture to grey, a number multiplies, `auto` decides."""
    panoramas: PanoramaChoice = "auto"
    """Whether files twice as wide as high are 360-degree panoramas; `auto` looks at their edges."""
    scene: str | None = None
    """Regular expression that finds a file's scene in its path: the first group, else all it matches."""
    layer: str | None = None
    """Layer of its EXRs, or one channel, where it is not the one that is likeliest their picture."""
    part: int | str | None = None
    """Part of its EXRs, by number or name, where it is not the one that holds their picture."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        if encoding not in ("auto", *ENCODINGS):
            raise ValueError(f"unknown encoding; known are auto, {', '.join(ENCODINGS)}")
        return encoding

    @field_validator("scene")
    @classmethod
    def _pattern(cls, scene: str | None) -> str | None:
        try:
            re.compile(scene or "")
        except re.error as error:
            raise ValueError(f"no regular expression ({error})") from None
        return scene

    @field_validator("exposure")
    @classmethod
    def _positive(cls, exposure: str | float) -> str | float:
        if isinstance(exposure, float) and not 0 < exposure < math.inf:
            raise ValueError("a factor must be positive")
        return exposure


class PanoramaParams(Section):
    """How a panorama is looked at."""

    views: int = Field(default=4, ge=1, le=64)
    """Views out of each panorama: the first looks at the brightest light, the rest around the horizon."""
    field_of_view_degrees: float = Field(default=75.0, gt=5.0, lt=150.0)
    """Horizontal field of view of the camera that looks; 75 is a 24 mm lens on 35 mm film."""
    aspect: float = Field(default=16 / 9, gt=0.2, lt=5.0)
    """Width over height of a view."""
    max_width: int = Field(default=2048, ge=16)
    """Widest view in pixels; below it, a view's middle has the panorama's own density."""
    pitch_limit_degrees: float = Field(default=45.0, ge=0.0, le=80.0)
    """How far up or down the first view may look for its light."""


class AnchorParams(Section):
    """When and how a picture in arbitrary units is brought to the exposure of a camera."""

    lowest_key: float = Field(default=0.0225, gt=0)
    """Geometric mean of luminance below which a picture is in arbitrary units; 0.0225 is 3 stops under grey."""
    highest_key: float = Field(default=1.44, gt=0)
    """Geometric mean of luminance above which it is, too; 1.44 is 3 stops over grey."""
    brightest: float = Field(default=100.0, gt=0)
    """What a picture's brightest thousandth may be raised to."""


class IngestParams(FrameWork):
    """Where frames come from and how they become ours."""

    sources: dict[str, Source] = Field(min_length=1)
    """Folders of frames by name."""
    anchor: AnchorParams = AnchorParams()
    """When and how exposure is changed."""
    panorama: PanoramaParams = PanoramaParams()
    """How 360-degree panoramas are looked at."""
    compression: Compression = "zip"
    """OpenEXR compression of the frames."""
    max_megapixels: float = Field(default=150.0, gt=0)
    """A file whose header promises more is quarantined undecoded."""

    @field_validator("sources")
    @classmethod
    def _plain_names(cls, sources: dict[str, Source]) -> dict[str, Source]:
        for name in sources:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise ValueError(f"source name {name!r} may hold letters, digits, - and _")
        return sources
