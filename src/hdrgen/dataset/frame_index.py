"""The index that every stage on frames keeps beside its pictures: one parquet row for each frame."""

import hashlib
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

INDEX_NAME = "index.parquet"
_STEM_MAX = 80


def read_index(folder: Path) -> pl.DataFrame:
    """Read a stage's index.

    Raises
    ------
    HdrgenError
        It is missing or no parquet file.
    """
    path = folder / INDEX_NAME
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise HdrgenError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None


def previous_index(folder: Path, schema: pl.Schema) -> pl.DataFrame:
    """Read the index of an earlier run, empty when there is none or it was written by another version."""
    path = folder / INDEX_NAME
    if not path.is_file():
        return schema.to_frame()
    try:
        index = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError):
        return schema.to_frame()
    return index if index.schema == schema else schema.to_frame()


def write_index(folder: Path, index: pl.DataFrame) -> None:
    """Write a stage's index; the same rows make the same bytes."""
    encoded = io.BytesIO()  # polars speaks of a full disk as of a damaged file
    index.write_parquet(encoded, compression="zstd", statistics=True)
    with replacing(folder / INDEX_NAME) as temporary:
        temporary.write_bytes(encoded.getbuffer())
    for left in folder.glob(
        f".{Path(INDEX_NAME).stem}.*{Path(INDEX_NAME).suffix}"
    ):  # of a run that was killed while it wrote one
        left.unlink()


def short_digest(*parts: Any) -> str:
    """Return twelve hexadecimal digits that stand for these JSON-able values."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_stem(name: str) -> str:
    """Return a name that is safe in any file system; what it loses, the digest beside it tells apart."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:_STEM_MAX].strip("_") or "frame"


def is_whole(path: Path, size: int | None) -> bool:
    """Tell whether an output is there as it was written; they appear whole, so its size says enough."""
    return size is not None and path.is_file() and path.stat().st_size == size


def remove_stale(folder: Path, keep: Iterable[str]) -> int:
    """Remove the files of a folder whose names are not to be kept; returns how many. Folders stay."""
    kept = set(keep)
    inside = folder.iterdir() if folder.is_dir() else ()
    stale = [path for path in inside if path.name not in kept and (path.is_symlink() or not path.is_dir())]
    for path in stale:
        path.unlink()
    return len(stale)
