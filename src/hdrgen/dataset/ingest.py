"""Camera footage and photographs, whatever their format and encoding, as scene-linear AWG4 frames.

Each file is decoded in a worker process with bounded time and memory. One that crashes, hangs or explodes
becomes a row of the index that says why; the others never notice. Frames are named by what they were made
from, so a second run makes only what is new.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from hdrgen.dataset.frame_index import INDEX_NAME, read_index, remove_stale
from hdrgen.dataset.ingest_file import FRAMES, IngestedFile, IngestTask, Row, ingest_file, quarantined
from hdrgen.dataset.ingest_settings import IngestParams, Source
from hdrgen.dataset.journal import Journal, journal_is_about
from hdrgen.dataset.source_files import SourceFiles, check_unchanged, find_pictures
from hdrgen.images.light_statistics import PERCENTILES
from hdrgen.runtime.errors import HdrgenError, MachineError
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.scheduling import MapFrames, map_frames

log = logging.getLogger(__name__)

INDEX_SCHEMA = pl.Schema(
    {
        "source": pl.String,
        "path": pl.String,
        "view": pl.Int32,
        "frame": pl.String,
        "file": pl.String,
        "file_bytes": pl.Int64,
        "digest": pl.String,
        "content_hash": pl.String,
        "scene": pl.String,
        "scene_in_file": pl.String,
        "description": pl.String,
        "encoding": pl.String,
        "encoding_decided_by": pl.String,
        "yaw_degrees": pl.Float64,
        "pitch_degrees": pl.Float64,
        "width": pl.Int32,
        "height": pl.Int32,
        "exposure_scale": pl.Float64,
        "exposure_decided_by": pl.String,
        **{f"luminance_{name}": pl.Float64 for name in PERCENTILES},
        "stops": pl.Float64,
        "nan_values": pl.Int64,
        "inf_values": pl.Int64,
        "negative_values": pl.Int64,
        "clamped_values": pl.Int64,
        "fingerprint": pl.Binary,
        "quarantine_reason": pl.String,
    }
)

OnNotes = Callable[[tuple[str, ...]], None]


def ingest(
    source_name: str,
    params: IngestParams,
    out_dir: Path,
    *,
    files: SourceFiles | None = None,
    on_progress: OnProgress | None = None,
    on_notes: OnNotes | None = None,
    schedule: MapFrames = map_frames,
) -> pl.DataFrame:
    """Bring a folder of frames in line with a source: convert what is new, remove what is gone.

    Parameters
    ----------
    source_name
        A key of ``params.sources``; scenes carry it, so that two sources may both have a ``shot_01``.
    params
        See `IngestParams`.
    out_dir
        Gets ``frames/*.exr`` and ``index.parquet``. Every file in ``frames`` belongs to this function.
    files
        The source's files, where `find_pictures` has just listed them; None lists them here.
    on_progress
        Called with (files done, files in all).
    on_notes
        Called for each file that was taken in, with what its frames leave behind of it; the index does not hold that.
    schedule
        Where the work is done.

    Returns
    -------
    polars.DataFrame
        The index: a row for each frame, each view of a panorama, and each file that could not be used, whose
        ``quarantine_reason`` says why. Sorted by path and view; the same input makes the same bytes.

    Raises
    ------
    HdrgenError
        The source's folder does not exist, holds no picture at all or holds `out_dir`, or `out_dir` holds
        the frames of another source.
    MachineError
        A file or folder cannot be read or written, or the source changed meanwhile. Nothing was removed, and the
        next run goes on.
    """
    source = params.sources[source_name]
    _check_folder(source, source_name, out_dir)
    files = files or find_pictures(source.path)
    if not files.stamps:
        raise HdrgenError(f"{source.path}: no OpenEXR or Radiance files found")
    frames_dir = out_dir / FRAMES
    frames_dir.mkdir(parents=True, exist_ok=True)
    about = {"source": source_name, "path": str(source.path.resolve())}
    with Journal(out_dir, INDEX_SCHEMA, about) as journal:
        earlier_rows: dict[str, dict[str, Row]] = {}
        for row in journal.rows:
            if row["quarantine_reason"] is None:
                earlier_rows.setdefault(row["path"], {})[row["frame"]] = row
        _check_out_of_reach(files, earlier_rows)
        tasks = [
            IngestTask(
                files.root,
                path,
                source_name,
                source,
                params,
                frames_dir,
                tuple(earlier_rows.get(path, {}).values()),
            )
            for path in files.stamps
        ]
        outcomes = params.outcomes(ingest_file, tasks, on_progress, schedule)
        rows: list[Row] = []
        hashes: dict[str, str] = {}
        for task, outcome in zip(tasks, outcomes, strict=True):
            reason = outcome.failure or "holds no picture"
            if outcome.timed_out:
                reason += (
                    "; raise ingest.timeout_s and run dvc repro --force ingest, or hdrgen ingest --timeout"
                )
            file = outcome.value or IngestedFile([quarantined(task, reason)])
            if file.content_hash:
                hashes[task.path] = file.content_hash
            rows.extend(file.rows)
            if file.rows[0].get("quarantine_reason") is None:
                journal.add(file.rows)
                if on_notes:
                    on_notes(file.notes)
        check_unchanged(files, hashes)
        index = pl.DataFrame(rows, schema=INDEX_SCHEMA).sort("path", "view")
        journal.finish(index)
    remove_stale(frames_dir, (Path(file).name for file in index["file"].drop_nulls()))
    return index


def _check_out_of_reach(files: SourceFiles, earlier_rows: Mapping[str, Any]) -> None:
    for path in sorted(earlier_rows.keys() - files.stamps.keys()):
        # What stands where a folder that it was in, from the outermost on, or the file itself had been.
        for place in (*(parent.as_posix() for parent in reversed(PurePosixPath(path).parents)), path):
            if why := files.why_out_of_reach(place):
                raise MachineError(
                    f"{files.root / place}: {why}, and frames of it were to be removed; bring back what it was, "
                    "or remove it"
                )
    for note in files.notes:
        log.warning("%s", note)


def _check_folder(source: Source, source_name: str, out_dir: Path) -> None:
    """Refuse an output whose frames would become the next run's footage, or would be removed for another's."""
    if source.path.is_dir() and out_dir.resolve().is_relative_to(source.path.resolve()):
        raise HdrgenError(f"{out_dir}: lies in its own source {source.path}; give a folder outside of it")
    unfinished = (journal_is_about(out_dir) or {}).get("source", source_name)
    if not (out_dir / INDEX_NAME).is_file() and unfinished == source_name:
        return
    try:
        indexed = read_index(out_dir)["source"].unique() if (out_dir / INDEX_NAME).is_file() else ()
        names = {*indexed, unfinished} - {source_name}
    except pl.exceptions.ColumnNotFoundError:
        raise HdrgenError(f"{out_dir}: holds an index that no ingest made; give another folder") from None
    if names:
        raise HdrgenError(
            f"{out_dir}: holds the frames of {', '.join(sorted(names))}, which would be removed; "
            "give another folder, or delete this one"
        )


def taken_in(index: pl.DataFrame) -> dict[str, int]:
    """Return what became of a source's files, for a metrics file."""
    good = index.filter(pl.col("quarantine_reason").is_null())
    return {
        "files": index["path"].n_unique(),
        "frames": good.height,
        "panoramas": good.filter(pl.col("view") == 1).height,
        "scenes": good["scene"].n_unique(),
        "quarantined": index.height - good.height,
        **{
            f"frames_with_{kind}": good.filter(pl.col(f"{kind}_values") > 0).height
            for kind in ("nan", "inf", "clamped")
        },
    }
