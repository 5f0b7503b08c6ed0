"""Which attributes an EXR that is written here can have in its header."""

from collections.abc import Mapping
from pathlib import Path

from hdrgen.runtime.errors import HdrgenError

ATTRIBUTE_NAME_MAX = 31
"""Longer names, of attributes as of channels, need the long-names flag, which Nuke and older readers refuse."""

# Said by the picture itself, so not for a caller to set.
_STRUCTURE = frozenset(
    (
        "channels",
        "chromaticities",
        "compression",
        "dataWindow",
        "displayWindow",
        "lineOrder",
        "preview",
        "tiles",
        "type",
    )
)
# Which OpenEXR has of types of their own, so that it takes neither text nor a number.
_OF_OTHER_TYPES = frozenset(
    (
        "adoptedNeutral",
        "cameraColorBalance",
        "originalDataWindow",
        "screenWindowCenter",
        "sensorAcquisitionRectangle",
        "sensorCenterOffset",
        "sensorOverallDimensions",
    )
)


def why_not_stored(name: str, value: str | float) -> str | None:
    """Return why an EXR that is written here cannot have an attribute, None where it can."""
    if not name or "\0" in name:
        return f"attribute name {name!r} is none"
    if len(name.encode("utf-8", "surrogateescape")) > ATTRIBUTE_NAME_MAX:
        return f"attribute name {name!r} is longer than {ATTRIBUTE_NAME_MAX} characters"
    if name in _STRUCTURE:
        return f"attribute {name!r} is set by the picture itself"
    if name in _OF_OTHER_TYPES:
        return f"attribute {name!r} is neither text nor a number in OpenEXR"
    if isinstance(value, int) and not -(2**31) <= value < 2**31:
        return f"attribute {name!r} = {value} does not fit 32 bits; store it as text"
    return None


def stored_attributes(
    path: Path, attributes: Mapping[str, str | int | float]
) -> dict[str, str | int | float]:
    """Return attributes as they can be stored.

    Raises
    ------
    HdrgenError
        One cannot; `path` is the file that is named then.
    """
    for name, value in attributes.items():
        if reason := why_not_stored(name, value):
            raise HdrgenError(f"{path}: {reason}")
    return {
        _utf8(name): _utf8(value) if isinstance(value, str) else value for name, value in attributes.items()
    }


def _utf8(text: str) -> str:
    """Return text as it can be stored: names of files may be of bytes that are none."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
