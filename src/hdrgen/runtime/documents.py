"""Files read as a whole: text, YAML, JSON and digests. Whatever is wrong with one, the error names it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from hdrgen.runtime.errors import HdrgenError


def read_text(path: Path, way_out: str = "") -> str:
    """Read a UTF-8 text.

    Parameters
    ----------
    path
        The file.
    way_out
        What to do where it cannot be read, such as ``run the stage caption``.

    Raises
    ------
    HdrgenError
        It cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise HdrgenError(_with_way_out(f"{path}: cannot be read ({error.strerror})", way_out)) from None
    except UnicodeDecodeError:
        raise HdrgenError(_with_way_out(f"{path}: is no UTF-8 text", way_out)) from None


def read_yaml(path: Path, way_out: str = "") -> Any:
    """Read a YAML file; parameters and errors as of `read_text`, and where it is no YAML."""
    try:
        return yaml.safe_load(read_text(path, way_out))
    except yaml.YAMLError as error:
        raise HdrgenError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def read_json_object(path: Path, way_out: str = "") -> dict[str, Any]:
    """Read the object that a JSON file holds; parameters and errors as of `read_text`, and where it holds none."""
    try:
        document = json.loads(read_text(path, way_out))
    except ValueError as error:
        raise HdrgenError(_with_way_out(f"{path}: cannot be read ({error})", way_out)) from None
    if not isinstance(document, dict):
        raise HdrgenError(_with_way_out(f"{path}: not an object of JSON", way_out))
    return document


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in 64 hexadecimal digits.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _with_way_out(reason: str, way_out: str) -> str:
    return f"{reason}; {way_out}" if way_out else reason
