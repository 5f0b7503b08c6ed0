"""Typed sections of ``params.yaml``: the only reader of that file.

Each stage owns one section, and the section's class stands beside the code it steers. A section may be partial: a key
that it lacks has the default of its class, which is a line of that code. A key nobody knows is an error, so a misspelt
setting is never silently ignored.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hdrgen.runtime.documents import read_yaml
from hdrgen.runtime.errors import HdrgenError


class Section(BaseModel):
    """Base of every section: immutable, and refusing keys it does not know.

    `hdrgen params` shows the docstring under each setting, see `params_reference`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


SectionT = TypeVar("SectionT", bound=Section)


def read_section(path: Path, name: str, section: type[SectionT]) -> SectionT:
    """Read one section of a parameter file; what it does not set, at any depth, is as its class has it.

    Parameters
    ----------
    path
        The ``params.yaml``.
    name
        The section, named like its stage, or a part of one: ``make_pairs.tone_map``.
    section
        Its class.

    Raises
    ------
    HdrgenError
        The file is missing, is not YAML, lacks the section, or holds a key nobody knows or a value out of range.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise HdrgenError(f"{path}: must hold one section per stage")
    values = document
    for key in name.split("."):
        if not isinstance(values, dict) or key not in values:
            raise HdrgenError(
                f"{path}: section {name!r} is missing; there are {', '.join(map(str, document))}"
            )
        values = values[key]
    try:
        return section.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *map(str, first["loc"])])
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise HdrgenError(f"{path}: {key}: {reason} (is {first['input']!r})") from None
