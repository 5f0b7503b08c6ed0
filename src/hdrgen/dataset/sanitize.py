"""The frames of all sources, repaired, and their indexes as one; see `repair` for what is repaired."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from hdrgen.colour.half_floats import to_half
from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.frame_index import (
    is_whole,
    read_index,
    remove_stale,
    short_digest,
)
from hdrgen.dataset.journal import Journal
from hdrgen.dataset.repair import REPAIRS, SanitizeParams, repair
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.images.light_statistics import awg4_luminance, fingerprint, luminance_percentiles
from hdrgen.images.stored_image import UnreadableImage
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError, MachineError
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.scheduling import MapFrames, map_frames

FRAMES = "frames"
REPAIR_VERSION = 1
"""Raised when a change in `repair` changes the pixels made from the same frame and settings."""

REPAIR_SCHEMA: dict[str, type[pl.DataType]] = {f"repaired_{kind}_pixels": pl.Int64 for kind in REPAIRS} | {
    "repair_digest": pl.String
}

Row = dict[str, Any]


def sanitize(
    ingest_dirs: Sequence[Path],
    params: SanitizeParams,
    out_dir: Path,
    *,
    on_progress: OnProgress | None = None,
    schedule: MapFrames = map_frames,
) -> pl.DataFrame:
    """Repair the frames of all sources and merge their indexes.

    A frame with nothing to repair is linked, not written again, so its bytes are the ones ingested.

    Parameters
    ----------
    ingest_dirs
        The outputs of `ingest`, one for each source.
    params
        See `SanitizeParams`.
    out_dir
        Gets ``frames/*.exr`` and ``index.parquet``: the rows of `ingest`, ``file`` now being relative to this
        folder, how many pixels were repaired and why, and the light of the repaired frame.
    on_progress
        Called with (frames done, frames in all).
    schedule
        Where the work is done.

    Returns
    -------
    polars.DataFrame
        The index, sorted by source, path and view.

    Raises
    ------
    HdrgenError
        An index is missing, or no frame is left.
    MachineError
        A frame cannot be read any more, or not be written. Nothing was removed, and the next run goes on.
    """
    frames_dir = out_dir / FRAMES
    frames_dir.mkdir(parents=True, exist_ok=True)
    indexes = [(folder, read_index(folder)) for folder in ingest_dirs]
    schema = pl.Schema([*indexes[0][1].schema.items(), *REPAIR_SCHEMA.items()])
    ingested = [(folder, row) for folder, index in indexes for row in index.iter_rows(named=True)]
    with Journal(out_dir, schema) as journal:
        before = {row["frame"]: row for row in journal.rows if row["frame"]}
        tasks = [
            _Task(folder, frames_dir, row, params, before.get(row["frame"]))
            for folder, row in ingested
            if row["quarantine_reason"] is None
        ]
        rows: list[Row] = [row for _, row in ingested if row["quarantine_reason"] is not None]
        outcomes = params.outcomes(_sanitize_frame, tasks, on_progress, schedule)
        for task, outcome in zip(tasks, outcomes, strict=True):
            reason = outcome.failure
            if outcome.timed_out:
                reason = f"{reason}; raise sanitize.timeout_s and run dvc repro --force sanitize"
            unusable = {**task.row, "file": None, "file_bytes": None, "quarantine_reason": reason}
            journal.add([outcome.value] if outcome.value else ())
            rows.append(outcome.value or unusable)
        index = pl.DataFrame(rows, schema=schema).sort("source", "path", "view")
        if index["file"].null_count() == len(index):
            first = min(rows, key=lambda row: (row["source"], row["path"]))
            raise HdrgenError(
                f"{out_dir}: no frame is usable, first {first['path']}: {first['quarantine_reason']}"
            )
        journal.finish(index)
    remove_stale(frames_dir, (Path(file).name for file in index["file"].drop_nulls()))
    return index


def repairs_in_all(index: pl.DataFrame) -> dict[str, int]:
    """Return what was repaired and quarantined over all frames, for a metrics file."""
    changed = pl.sum_horizontal(f"repaired_{kind}_pixels" for kind in REPAIRS) > 0
    return {
        "frames": len(index) - index["file"].null_count(),
        "frames_repaired": index.filter(changed).height,
        **{f"{kind}_pixels": int(index[f"repaired_{kind}_pixels"].sum()) for kind in REPAIRS},
        "quarantined": len(index) - index["quarantine_reason"].null_count(),
    }


@dataclass(frozen=True)
class _Task:
    ingest_dir: Path
    frames_dir: Path
    row: Row
    params: SanitizeParams
    before: Row | None


def _sanitize_frame(task: _Task) -> Row:
    row, params = task.row, task.params
    digest = short_digest(REPAIR_VERSION, row["frame"], params.what_matters())
    if task.before and task.before["repair_digest"] == digest and task.before["file"]:
        file = task.frames_dir / Path(task.before["file"]).name
        if is_whole(file, task.before["file_bytes"]):
            # What is no pixel may have changed: the scene is decided anew at every run.
            return {**task.before, "scene": row["scene"]}
    source = task.ingest_dir / row["file"]
    try:
        image = read_exr(source)
    except UnreadableImage as error:  # ingest wrote it whole
        raise MachineError(f"{source}: {error.reason}; delete it and run ingest again") from None
    try:
        repaired = repair(to_half(image.rgb), params)
    except HdrgenError as error:
        raise UnreadableImage(source, str(error)) from None
    counts = {f"repaired_{kind}_pixels": getattr(repaired, kind) for kind in REPAIRS}
    if repaired.pixels == 0:
        target = task.frames_dir / source.name
        _link(source, target)
        return {**row, **counts, "repair_digest": digest, "file": f"{FRAMES}/{target.name}"}

    target = task.frames_dir / f"{row['frame']}_r{digest}.exr"
    kept = {k: v for k, v in image.attributes.items() if k.startswith("hdrgen") or k == "exposureScale"}
    write_exr(
        target,
        repaired.linear_awg4,
        chromaticities=AWG4,
        attributes=kept,
        geometry=image.geometry,
        compression=params.compression,
    )
    luminance = awg4_luminance(repaired.linear_awg4)
    return {
        **row,
        **counts,
        **luminance_percentiles(luminance),
        "fingerprint": fingerprint(luminance),
        "repair_digest": digest,
        "file": f"{FRAMES}/{target.name}",
        "file_bytes": target.stat().st_size,
    }


def _link(source: Path, target: Path) -> None:
    """Give a file a second name where the file system can, else copy its bytes."""
    with replacing(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:  # a file system without links, or another one; what else it is, the copy meets too
            shutil.copyfile(source, temporary)
