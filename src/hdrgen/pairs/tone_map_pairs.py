"""Pairs for tone fusion: the Reinhard and the log picture of a frame, clean and generated-like, and its light.

For training, each frame becomes one ``.npy`` file of records, a record being one crop with everything that
belongs to it (`crop_record`): a crop is one contiguous read, out of the page cache from the second time on, and
neither memory nor open files grow with the number of frames. For judging, each frame becomes four PNGs that a person can look at, or hand to
``hdrgen fuse``.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.frames.frame_index import is_whole, previous_index, remove_stale, short_digest, write_index
from hdrgen.images.code_image import write_png8
from hdrgen.images.exr import read_exr
from hdrgen.pairs.generated_like import GeneratedLike, damage
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.scheduling import Workers, map_frames

_PAIRS_VERSION = 1
KINDS = ("clean", "generated")
SMALLEST_JUDGED = 11
"""Side of the smallest picture that SSIM's window fits into."""

PAIR_SCHEMA = pl.Schema(
    {
        "frame": pl.String,
        "source": pl.String,
        "scene": pl.String,
        "split": pl.String,
        "file": pl.String,
        "file_bytes": pl.Int64,
        "crops": pl.Int64,
    }
)


class MakePairs(Section):
    """What is cut out of each frame, and how the generated-like half is damaged."""

    seed: int
    crop_size: int = Field(128, ge=32, multiple_of=16)
    """Side of a training crop, in pixels; smaller frames make no crops."""
    crops_per_frame: int = Field(24, ge=1)
    exposure_spread_stops: float = Field(1.0, ge=0)
    """Standard deviation of the exposure a crop is shown at, over its frame's own."""
    judged_size: int = Field(768, ge=64)
    """Largest side of the centre crop of a test frame that is judged."""
    log_ceiling_linear: float = Field(10000.0, gt=1)
    """Scene-linear value of code 255 in the log picture."""
    generated_like: GeneratedLike
    workers: Workers = "auto"


def crop_record(size: int) -> np.dtype[np.void]:
    """Return the type of one crop: scene-linear half floats and the 8-bit pictures, ``(size, size, 3)`` each."""
    shape = (size, size, 3)
    codes = [(f"{kind}_{curve}_code8", np.uint8, shape) for kind in KINDS for curve in ("reinhard", "log")]
    return np.dtype([("linear_awg4", np.float16, shape), *codes])


def frame_rng(seed: int, frame: str) -> np.random.Generator:
    """Return the generator for one frame: the same whatever other frames there are."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(frame.encode()).digest()[:8], "big")])


def tone_map_pair(
    linear_awg4: NDArray[np.floating], kind: str, settings: MakePairs, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the Reinhard and the log picture, 8-bit ``(H, W, 3)``, of scene-linear light.

    Parameters
    ----------
    linear_awg4
        Shape ``(H, W, 3)``; negatives are shown as black.
    kind
        ``clean`` or ``generated``.
    settings
        The log picture's ceiling and the strength of the damage.
    rng
        For the damage.
    """
    reinhard, log = Reinhard(), Log(settings.log_ceiling_linear)
    linear = linear_awg4.astype(np.float32)
    codes = [(curve.encode(linear), curve) for curve in (reinhard, log)]
    if kind == "clean":
        first, second = (quantise8(code) for code, _ in codes)
    else:
        first, second = (damage(code, curve, settings.generated_like, rng) for code, curve in codes)
    return first, second


def make_tone_map_pairs(
    frames: pl.DataFrame,
    frames_dir: Path,
    settings: MakePairs,
    out_dir: Path,
    on_progress: OnProgress | None = None,
) -> pl.DataFrame:
    """Make the pairs of all frames: ``train/`` and ``val/`` records, ``test/`` pictures, and an index.

    Files are named by their frame's content and these settings, so those of an earlier run are kept, and
    those that no frame claims are removed.

    Parameters
    ----------
    frames
        The index with its ``split`` column.
    frames_dir
        What the index's ``file`` is relative to.
    settings
        This section of the parameters.
    out_dir
        Where the pairs go.
    on_progress
        Called with (frames done, frames in all).

    Returns
    -------
    DataFrame
        A row per frame (`PAIR_SCHEMA`); ``file`` is the record file, or for test frames the prefix of the four
        pictures; null where the frame is smaller than a crop.

    Raises
    ------
    HdrgenError
        A frame cannot be read any more, or no training frame is large enough for a crop.
    """
    usable = frames.filter(pl.col("file").is_not_null()).sort("frame")
    before = {row["frame"]: row for row in previous_index(out_dir, PAIR_SCHEMA).iter_rows(named=True)}
    tasks = [
        _Task(frames_dir, out_dir, row, settings, before.get(row["frame"]))
        for row in usable.iter_rows(named=True)
    ]
    rows = []
    outcomes = map_frames(
        _pairs_of_frame,
        tasks,
        workers=settings.workers,
        timeout_s=600,
        memory_bytes=8 << 30,
        on_progress=on_progress,
    )
    for task, outcome in zip(tasks, outcomes, strict=True):
        if outcome.failure is not None or outcome.value is None:
            raise HdrgenError(f"{frames_dir / task.row['file']}: {outcome.failure}")
        rows.append(outcome.value)
    index = pl.DataFrame(rows, schema=PAIR_SCHEMA)
    if not index.filter(pl.col("split") == "train")["crops"].sum():
        raise HdrgenError(
            f"{frames_dir}: no training frame is {settings.crop_size} pixels on both sides; "
            "add frames or lower make_pairs.crop_size"
        )
    for split in ("train", "val", "test"):
        files = index.filter(pl.col("split") == split)["file"].drop_nulls()
        names = (
            f"{Path(f).name}{s}" for f in files for s in (_PICTURE_SUFFIXES if split == "test" else ("",))
        )
        remove_stale(out_dir / split, names)
    write_index(out_dir, index)
    return index


def counts_by_split(index: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return frames and crops of each split."""
    return {
        split: {"frames": len(rows), "crops": int(rows["crops"].sum())}
        for split in ("train", "val", "test")
        for rows in (index.filter(pl.col("split") == split),)
    }


_PICTURE_SUFFIXES = tuple(f"_{kind}_{curve}.png" for kind in KINDS for curve in ("reinhard", "log"))


@dataclass(frozen=True)
class _Task:
    frames_dir: Path
    out_dir: Path
    row: dict[str, Any]
    settings: MakePairs
    before: dict[str, Any] | None


def _pairs_of_frame(task: _Task) -> dict[str, Any]:
    row, settings = task.row, task.settings
    digest = short_digest(_PAIRS_VERSION, row["file"], settings.model_dump(mode="json", exclude={"workers"}))
    stem = f"{row['split']}/{row['frame']}_{digest}"
    made = {key: row[key] for key in ("frame", "source", "scene", "split")}
    named = stem if row["split"] == "test" else f"{stem}.npy"
    if task.before and task.before["file"] == named:
        first = task.out_dir / (f"{stem}{_PICTURE_SUFFIXES[-1]}" if row["split"] == "test" else named)
        if is_whole(first, task.before["file_bytes"]):
            return task.before
    linear_awg4 = read_exr(task.frames_dir / row["file"]).rgb
    rng = frame_rng(settings.seed, row["frame"])
    if row["split"] == "test":
        return made | _write_pictures(linear_awg4, settings, rng, task.out_dir, stem)
    return made | _write_records(linear_awg4, settings, rng, task.out_dir, stem)


def _write_pictures(
    linear_awg4: NDArray[np.floating], settings: MakePairs, rng: np.random.Generator, out_dir: Path, stem: str
) -> dict[str, Any]:
    """Write the four pictures of a test frame; the last one written vouches for the others."""
    judged = judged_crop(linear_awg4, settings.judged_size)
    if min(judged.shape[:2]) < SMALLEST_JUDGED:
        return {"file": None, "file_bytes": None, "crops": 0}
    for kind in KINDS:
        pair = tone_map_pair(judged, kind, settings, rng)
        for curve, code8 in zip(("reinhard", "log"), pair, strict=True):
            path = out_dir / f"{stem}_{kind}_{curve}.png"
            write_png8(path, code8)
    return {"file": stem, "file_bytes": path.stat().st_size, "crops": 1}


def _write_records(
    linear_awg4: NDArray[np.floating], settings: MakePairs, rng: np.random.Generator, out_dir: Path, stem: str
) -> dict[str, Any]:
    size = settings.crop_size
    if min(linear_awg4.shape[:2]) < size:
        return {"file": None, "file_bytes": None, "crops": 0}
    records = np.zeros(settings.crops_per_frame, crop_record(size))
    for record in records:
        crop = _crop(linear_awg4, size, rng).astype(np.float32)
        crop = crop * 2 ** rng.normal(0, settings.exposure_spread_stops)
        record["linear_awg4"] = np.clip(crop, 0, 65504)
        for kind in KINDS:
            pair = tone_map_pair(record["linear_awg4"], kind, settings, rng)
            record[f"{kind}_reinhard_code8"], record[f"{kind}_log_code8"] = pair
    path = out_dir / f"{stem}.npy"
    with replacing(path) as temporary:
        np.save(temporary, records, allow_pickle=False)
    return {"file": f"{stem}.npy", "file_bytes": path.stat().st_size, "crops": len(records)}


def judged_crop(linear: NDArray[np.floating], largest_side: int) -> NDArray[np.floating]:
    """Return the centre of a picture, no side longer than this."""
    height, width, _ = linear.shape
    top, left = max(0, height - largest_side) // 2, max(0, width - largest_side) // 2
    return linear[top : top + largest_side, left : left + largest_side]


def _crop(linear: NDArray[np.floating], size: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """Cut a random crop; of two, the one with the wider range, because most of a frame is plain."""
    crops = []
    for _ in range(2):
        top = int(rng.integers(linear.shape[0] - size, endpoint=True))
        left = int(rng.integers(linear.shape[1] - size, endpoint=True))
        crops.append(linear[top : top + size, left : left + size])
    return max(crops, key=_range_stops)


def _range_stops(crop: NDArray[np.floating]) -> float:
    low, high = np.percentile(crop[::4, ::4].astype(np.float32), (5, 99))
    return float(np.log2((high + 1e-3) / (max(low, 0) + 1e-3)))


class TonePairRecords:
    """The crops of one split as one sequence; each is one contiguous read, and no file is kept open.

    Parameters
    ----------
    folder
        Where `make_tone_map_pairs` wrote.
    split
        ``train`` or ``val``.

    Raises
    ------
    HdrgenError
        There are none, or a file is damaged.
    """

    def __init__(self, folder: Path, split: str) -> None:
        paths = sorted((folder / split).glob("*.npy"))
        if not paths:
            raise HdrgenError(
                f"{folder / split}: no pairs; run make_pairs, and see that the split has frames"
            )
        self._files = [_record_file(path) for path in paths]
        self._ends = np.cumsum([file.rows for file in self._files])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def locate(self, index: int) -> tuple[str, int]:
        """Return the file and the row of a crop, for messages."""
        file, row = self._place(index)
        return file.path.stem, row

    def __getitem__(self, index: int) -> np.void:
        file, row = self._place(index)
        offset = file.offset + row * file.record.itemsize
        crops = np.fromfile(file.path, file.record, count=1, offset=offset)
        if not len(crops):
            raise HdrgenError(
                f"{file.path}: shorter than its header says; delete it and run make_pairs again"
            )
        crop: np.void = crops[0]
        return crop

    def batch(self, indices: NDArray[np.integer]) -> NDArray[np.void]:
        """Return the crops of these indices as one array of records."""
        return np.stack([self[int(index)] for index in indices])

    def _place(self, index: int) -> tuple["_RecordFile", int]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self._files[number], int(index - (self._ends[number - 1] if number else 0))


class _RecordFile(NamedTuple):
    path: Path
    record: np.dtype[np.void]
    rows: int
    offset: int


def _record_file(path: Path) -> _RecordFile:
    try:
        with path.open("rb") as stream:
            np.lib.format.read_magic(stream)
            shape, _, record = np.lib.format.read_array_header_1_0(stream)
            return _RecordFile(path, record, shape[0], stream.tell())
    except (OSError, ValueError, IndexError) as error:
        raise HdrgenError(f"{path}: {error}; delete it and run make_pairs again") from None
