"""What a person says about a frame: it wins over every model."""

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from hdrgen.dataset.captions.answer import TimeOfDay
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
"""By the frame's name."""


def read_overrides(path: Path) -> Overrides:
    """Read corrections from a YAML file, frame by frame.

    Raises
    ------
    HdrgenError
        The file is missing, is not YAML, or says something that no caption has.
    """
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HdrgenError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise HdrgenError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return TypeAdapter(dict[str, Override]).validate_python(said or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise HdrgenError(
            f"{path}: {where}: {reason}; give each frame any of {', '.join(Override.model_fields)}"
        ) from None
