"""Which scene a file belongs to, and whether a camera exposed it: what headers and paths say."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hdrgen.dataset.scene_description import SCENE_ATTRIBUTE, parse_description

# Where ARRI's and others' tools keep the clip a frame belongs to.
_CLIP_ATTRIBUTES = (
    "interim.clip.cameraClipName",
    "com.arri.camera.CameraClipName",
    "com.arri.camera.ClipName",
    "com.arri.camera.ReelName",
    "reelName",
)


def scene_name(path: str, scene_in_file: str, expression: str | None) -> str:
    """Return the name of a file's scene within its source.

    Parameters
    ----------
    path
        Of the file, relative to its source.
    scene_in_file
        What the file says, from `description_and_scene`; it comes first.
    expression
        The source's regular expression, searched in the path: the first group, else all it matches. Without one, or
        where it finds nothing, frames of a sequence are one scene, and every other file is its own.
    """
    if scene_in_file:
        return scene_in_file
    if expression and (match := re.search(expression, path)):
        return match.group(1) if match.groups() else match.group()
    name = Path(path)
    # shot.0001.exr, shot_00001.exr
    return (name.parent / re.sub(r"(?<=.)[._-]\d{4,}$", "", name.stem)).as_posix()


def description_and_scene(attributes: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return a simulated frame's description in JSON, and the scene or clip that a file says it belongs to.

    None and an empty text stand for what the file does not say.
    """
    description = attributes.get(SCENE_ATTRIBUTE)
    if isinstance(description, str):
        parsed = parse_description(description)
        if parsed is None:
            description = None
        elif scene := parsed.get("scene_id"):
            return description, str(scene)
    clips = (str(attributes.get(name) or "").strip() for name in _CLIP_ATTRIBUTES)
    return description, next((clip for clip in clips if clip), "")


def is_footage(attributes: Mapping[str, Any]) -> bool:
    """Tell whether a motion picture camera exposed this, by what its software leaves in the header."""
    make = str(attributes.get("cameraMake", "")).upper()
    return make.startswith(("ARRI", "RED", "SONY CINE")) or any(
        name in attributes for name in (*_CLIP_ATTRIBUTES, SCENE_ATTRIBUTE)
    )
