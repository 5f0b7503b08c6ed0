"""Corrections that a person makes to captions; they win over every model."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from hdrgen.dataset.scene_description import TimeOfDay
from hdrgen.runtime.documents import read_yaml
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section


class Override(Section):
    """Corrections of one frame; what is not given stays as the model said."""

    caption: str | None = Field(None, min_length=1)
    subject: str | None = None
    place: str | None = None
    time_of_day: TimeOfDay | None = None
    light_sources: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None


Overrides = Mapping[str, Override]
"""Overrides by the frame's name."""


def read_overrides(path: Path) -> Overrides:
    """Read corrections from a YAML file, frame by frame.

    Raises
    ------
    HdrgenError
        The file is missing, is not YAML, or says something that no caption has.
    """
    overrides = read_yaml(path)
    try:
        return TypeAdapter(dict[str, Override]).validate_python(overrides or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise HdrgenError(
            f"{path}: {where}: {reason}; give each frame any of {', '.join(Override.model_fields)}"
        ) from None
