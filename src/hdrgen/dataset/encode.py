"""LogC4 pictures of linear frames: 16 bits and 8 bits, full range, uncompressed TIFF.

TIFF without compression is what numpy can map into memory, so a training loader takes a crop out of a frame
without reading the rest; PNG would be a tenth smaller on camera noise and take fifty times as long to write.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tifffile
from numpy.typing import NDArray

from hdrgen.colour.half_floats import all_halves, any_nan, look_up
from hdrgen.colour.logc import LOGC4_CEILING, logc4_decode, logc4_encode
from hdrgen.dataset.frame_index import (
    is_whole,
    remove_stale,
    short_digest,
)
from hdrgen.dataset.journal import Journal
from hdrgen.images.exr import read_exr
from hdrgen.images.stored_image import UnreadableImage
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError, MachineError
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.scheduling import FrameWork, MapFrames, map_frames

CODE16, CODE8 = "code16", "code8"
ENCODE_VERSION = 1
"""Raised when a change in this module changes the codes made from the same frame."""
ENCODE_SCHEMA: dict[str, type[pl.DataType]] = {
    "logc4_code16_file": pl.String,
    "logc4_code8_file": pl.String,
    "logc4_code16_bytes": pl.Int64,
    "logc4_code8_bytes": pl.Int64,
    "above_ceiling_values": pl.Int64,
    "below_floor_values": pl.Int64,
    "encode_digest": pl.String,
}
Row = dict[str, Any]


class EncodeParams(FrameWork):
    """How many processes write LogC4 pictures, and what bounds them."""


@dataclass(frozen=True)
class LogC4Picture:
    """A frame's LogC4 code values, and how many linear values lay outside what codes can say.

    Code 0 is -0.018, code 65535 (or 255) is 469.8; values beyond are saturated.
    """

    code16: NDArray[np.uint16]
    code8: NDArray[np.uint8]
    above_ceiling: int
    below_floor: int


def encode_logc4_picture(linear_awg4: NDArray[np.float16]) -> LogC4Picture:
    """Encode a half-float frame as LogC4, by a table of all 65,536 halves: exact, and faster than a logarithm.

    Parameters
    ----------
    linear_awg4
        Scene-linear AWG4, any shape, half; no NaN.

    Raises
    ------
    HdrgenError
        A value is NaN; `sanitize` repairs those.
    """
    if linear_awg4.dtype != np.float16:
        raise TypeError(f"frames are half floats, not {linear_awg4.dtype}")
    half = np.ascontiguousarray(linear_awg4)
    if any_nan(half):
        raise HdrgenError("has NaN; run sanitize first")
    # Bits sort upwards from zero to Inf and then, from minus zero, downwards.
    bits = half.view(np.uint16)
    ceiling, floor = (
        int(np.float16(x).view(np.uint16)) for x in (LOGC4_CEILING, logc4_decode(np.zeros(1))[0])
    )
    above = below = 0
    if bits.view(np.int16).max(initial=0) > ceiling:
        above = int(np.count_nonzero(bits.view(np.int16) > ceiling))
    if bits.max(initial=0) > floor:
        below = int(np.count_nonzero(bits > floor))
    code16_of_half, code8_of_half = _tables()
    return LogC4Picture(look_up(code16_of_half, half), look_up(code8_of_half, half), above, below)


def encode_logc4(
    index: pl.DataFrame,
    frames_root: Path,
    params: EncodeParams,
    out_dir: Path,
    *,
    on_progress: OnProgress | None = None,
    schedule: MapFrames = map_frames,
) -> pl.DataFrame:
    """Write the LogC4 pictures of all usable frames.

    Parameters
    ----------
    index
        The index of `split` (or of `sanitize`).
    frames_root
        The folder that the index's ``file`` is relative to.
    params
        See `EncodeParams`.
    out_dir
        Gets ``code16/*.tif``, ``code8/*.tif`` and ``index.parquet``: the rows of usable frames, with the
        pictures' files relative to this folder and the counts of saturated values.
    on_progress
        Called with (frames done, frames in all).
    schedule
        Where the work is done.

    Returns
    -------
    polars.DataFrame
        The index, in the order of the one given.

    Raises
    ------
    HdrgenError
        A frame cannot be read: all of them could, once, so this is for a person to look at.
    """
    usable = index.filter(pl.col("quarantine_reason").is_null())
    schema = pl.Schema([*usable.schema.items(), *ENCODE_SCHEMA.items()])
    for folder in (CODE16, CODE8):
        (out_dir / folder).mkdir(parents=True, exist_ok=True)
    with Journal(out_dir, schema) as journal:
        before = {row["file"]: row for row in journal.rows}
        tasks = [
            _Task(frames_root, out_dir, row, before.get(row["file"])) for row in usable.iter_rows(named=True)
        ]
        outcomes = params.outcomes(_encode_frame, tasks, on_progress, schedule)
        rows: list[Row] = []
        for task, outcome in zip(tasks, outcomes, strict=True):
            if outcome.value is None:
                raise HdrgenError(
                    f"{frames_root / task.row['file']}: {outcome.failure}; delete it and run sanitize again"
                )
            journal.add([outcome.value])
            rows.append(outcome.value)
        encoded = pl.DataFrame(rows, schema=schema)
        journal.finish(encoded)
    for folder, column in ((CODE16, "logc4_code16_file"), (CODE8, "logc4_code8_file")):
        remove_stale(out_dir / folder, (Path(file).name for file in encoded[column]))
    return encoded


def saturation_in_all(index: pl.DataFrame) -> dict[str, int]:
    """Return how many values LogC4 could not hold over all frames, for a metrics file."""
    return {
        "frames": len(index),
        "frames_above_ceiling": index.filter(pl.col("above_ceiling_values") > 0).height,
        "above_ceiling_values": int(index["above_ceiling_values"].sum()),
        "below_floor_values": int(index["below_floor_values"].sum()),
    }


@dataclass(frozen=True)
class _Task:
    frames_root: Path
    out_dir: Path
    row: Row
    before: Row | None


def _encode_frame(task: _Task) -> Row:
    row, before = task.row, task.before
    digest = short_digest(ENCODE_VERSION, row["file"])
    if (
        before
        and before["encode_digest"] == digest
        and all(
            is_whole(task.out_dir / before[f"logc4_{code}_file"], before[f"logc4_{code}_bytes"])
            for code in (CODE16, CODE8)
        )
    ):
        return {**{name: before[name] for name in ENCODE_SCHEMA}, **row}
    source = task.frames_root / row["file"]
    try:
        picture = encode_logc4_picture(read_exr(source).rgb)
    except MachineError:
        raise
    except HdrgenError as error:
        raise UnreadableImage(source, getattr(error, "reason", str(error))) from None
    name = f"{Path(row['file']).stem}.tif"
    sizes = {}
    for folder, code in ((CODE16, picture.code16), (CODE8, picture.code8)):
        sizes[folder] = write_rgb_tiff(task.out_dir / folder / name, code)
    return {
        **row,
        "logc4_code16_file": f"{CODE16}/{name}",
        "logc4_code8_file": f"{CODE8}/{name}",
        "logc4_code16_bytes": sizes[CODE16],
        "logc4_code8_bytes": sizes[CODE8],
        "above_ceiling_values": picture.above_ceiling,
        "below_floor_values": picture.below_floor,
        "encode_digest": digest,
    }


def write_rgb_tiff(path: Path, code: NDArray[Any]) -> int:
    """Write 8- or 16-bit RGB ``(height, width, 3)`` as one uncompressed strip; returns the file's size.

    ``tifffile.memmap(path, mode="r")`` gives it back without reading it.
    """
    with replacing(path) as temporary:
        # No description and no date, so the same picture makes the same bytes.
        tifffile.imwrite(temporary, code, photometric="rgb", metadata=None, software=False)
    return path.stat().st_size


@cache
def _tables() -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    halves = all_halves().astype(np.float64)
    code = np.clip(logc4_encode(np.nan_to_num(halves, nan=0.0, posinf=1e9, neginf=-1e9)), 0, 1)
    return np.rint(code * 65535).astype(np.uint16), np.rint(code * 255).astype(np.uint8)
