"""JSON files that a program wrote and another may have damaged."""

import json
from pathlib import Path
from typing import Any

from hdrgen.runtime.errors import HdrgenError


def read_json_object(path: Path, way_out: str) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Parameters
    ----------
    path
        The file, in UTF-8.
    way_out
        What to do where it cannot be read, for the message.

    Raises
    ------
    HdrgenError
        It is missing, is no JSON, or holds no object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HdrgenError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); {way_out}"
        ) from None
    if not isinstance(document, dict):
        raise HdrgenError(f"{path}: not an object of JSON; {way_out}")
    return document
