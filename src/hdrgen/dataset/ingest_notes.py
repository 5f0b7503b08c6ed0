"""What a person should know of footage that was taken in: what frames lack of their files, counted over all of them."""

from collections import Counter
from collections.abc import Mapping

import polars as pl

from hdrgen.images.choices import Compression
from hdrgen.images.exr import LOSES_NONFINITE

_SHOWN = 8
"""Notes of files, those on most files first."""


def ingest_notes(index: pl.DataFrame, note_counts: Mapping[str, int], compression: Compression) -> list[str]:
    """Return what frames leave behind and what was done to them, a line for each kind.

    Parameters
    ----------
    index
        As `ingest` returns it.
    note_counts
        How many files each note of a file stands for.
    compression
        Of the frames.

    Returns
    -------
    list
        Each line ends in how many files or frames it speaks of.
    """
    frames = index.filter(pl.col("quarantine_reason").is_null())
    files = frames["path"].n_unique()
    of_each = Counter(note_counts).most_common()
    notes = [f"{note} ({count} of {files} files)" for note, count in of_each[:_SHOWN]]
    if len(of_each) > _SHOWN:
        notes.append(f"{len(of_each) - _SHOWN} more notes on files; `hdrgen inspect` tells those of each")
    of_frames: Counter[str] = Counter()
    for decided in frames["encoding_decided_by"]:
        # How an encoding was decided ends in what of its file was taken, where that is not all of it.
        how, _, taken = decided.partition("; ")
        colour = how if "codes decoded" in how or "is not known" in how else ""
        of_frames.update(filter(None, (taken, colour)))
    clamped = frames.filter(pl.col("clamped_values") > 0)
    of_frames[f"{clamped['clamped_values'].sum()} values beyond half floats clamped"] = clamped.height
    if compression in LOSES_NONFINITE:
        broken = frames.filter((pl.col("nan_values") > 0) | (pl.col("inf_values") > 0))
        of_frames[f"NaN or Inf, which {compression} does not keep, so written with zip,"] = broken.height
    return notes + [
        f"{note} in {count} of {frames.height} frames" for note, count in of_frames.items() if count
    ]
