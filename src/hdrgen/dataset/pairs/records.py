"""What every kind of pairs shares: the loop over frames, the choice of crops, and the reader of records.

For training, each frame becomes one ``.npy`` file of records, a record being one crop with everything that
belongs to it: a crop is one contiguous read, out of the page cache from the second time on, and neither memory nor
open files grow with the number of frames. For evaluation, each frame becomes PNGs that a person can look at.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.dataset.frame_index import is_whole, remove_stale, short_digest
from hdrgen.dataset.journal import Journal
from hdrgen.images.code_image import write_png8
from hdrgen.images.exr import read_exr
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.scheduling import FrameWork

KINDS = ("clean", "generated")
SMALLEST_EVALUATED = 11
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


class PairSettings(FrameWork):
    """What is cut out of each frame; each kind of pairs adds its own."""

    seed: int
    """Decides crops and damage, frame by frame."""
    crop_size: int = Field(128, ge=32, multiple_of=16)
    """Side of a training crop, in pixels; smaller frames make no crops."""
    crops_per_frame: int = Field(8, ge=1)
    """Training crops of each frame."""
    exposure_spread_stops: float = Field(1.0, ge=0)
    """Standard deviation of the exposure a crop is shown at, over its frame's own."""
    judged_size: int = Field(768, ge=64)
    """Largest side of the centre crop of a test frame that is evaluated."""
    timeout_s: float = Field(600.0, gt=0)
    memory_gib: float = Field(8.0, gt=0)


SettingsT = TypeVar("SettingsT", bound=PairSettings)


def evaluation_crop(linear: NDArray[np.floating], largest_side: int) -> NDArray[np.floating]:
    """Return the centre of a picture, no side longer than this."""
    height, width, _ = linear.shape
    top, left = max(0, height - largest_side) // 2, max(0, width - largest_side) // 2
    return linear[top : top + largest_side, left : left + largest_side]


@dataclass(frozen=True)
class PairFrame:
    """A frame that pairs are cut out of.

    ``content`` stands for its pixels in the names of files, ``where`` in messages; ``light`` gives scene-linear
    AWG4 of shape ``(H, W, 3)`` and can be sent to another process.
    """

    frame: str
    source: str
    scene: str
    split: str
    content: str
    where: str
    light: Callable[[], NDArray[np.floating]]


@dataclass(frozen=True)
class PairMaker(Generic[SettingsT]):
    """What one kind of pairs does with a frame. Functions of modules, because they are sent to other processes."""

    name: str
    """The kind's section of ``make_pairs``, for messages."""
    version: int
    """Raised when a change in the code changes what is made from the same frame."""
    record: Callable[[SettingsT], np.dtype[np.void]]
    """Returns the type of one crop."""
    fill: Callable[[np.void, NDArray[np.floating], SettingsT, np.random.Generator], None]
    """Fills a record with a crop of a frame's light ``(H, W, 3)``."""
    suffixes: Callable[[SettingsT], Sequence[str]]
    """Returns what the names of a test picture's files end in."""
    pictures: Callable[
        [NDArray[np.floating], SettingsT, np.random.Generator], Mapping[str, NDArray[np.uint8]]
    ]
    """Returns 8-bit pictures ``(H, W, 3)`` of a test frame's light, one for each suffix."""
    judged: Callable[[NDArray[np.floating], int], NDArray[np.floating]] = evaluation_crop
    """Returns what is judged of a test frame's light, no side longer than so many pixels."""
    resizes: bool = False
    """Whether crops are views at another size: then no frame is too small."""


def stored_frames(frames: pl.DataFrame, frames_dir: Path) -> list[PairFrame]:
    """Return the usable frames of an index with a ``split`` column; its ``file`` is relative to `frames_dir`."""
    usable = frames.filter(pl.col("file").is_not_null())
    return [
        PairFrame(
            frame=row["frame"],
            source=row["source"],
            scene=row["scene"],
            split=row["split"],
            content=row["file"],
            where=str(frames_dir / row["file"]),
            light=partial(_stored_light, frames_dir / row["file"]),
        )
        for row in usable.iter_rows(named=True)
    ]


def make_pairs(
    maker: PairMaker[SettingsT],
    frames: Sequence[PairFrame],
    settings: SettingsT,
    out_dir: Path,
    on_progress: OnProgress | None = None,
) -> pl.DataFrame:
    """Make one kind of pairs of all frames: ``train/`` and ``val/`` records, ``test/`` pictures, and an index.

    Files are named by their frame's content and these settings, so those of an earlier run are kept, and
    those that no frame claims are removed.

    Parameters
    ----------
    maker
        The kind.
    frames
        Of any order; what is made of one does not depend on the others.
    settings
        The kind's section of the parameters.
    out_dir
        Where the pairs go.
    on_progress
        Called with (frames done, frames in all).

    Returns
    -------
    DataFrame
        A row per frame (`PAIR_SCHEMA`), sorted; ``file`` is the record file, or for test frames what the names of
        its pictures begin with; null where the frame is too small.

    Raises
    ------
    HdrgenError
        A frame cannot be read any more, or no training frame is large enough for a crop.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with Journal(out_dir, PAIR_SCHEMA) as journal:
        before = {row["frame"]: row for row in journal.rows}
        tasks = [
            _Task(maker, frame, settings, out_dir, before.get(frame.frame))
            for frame in sorted(frames, key=lambda frame: frame.frame)
        ]
        rows = []
        outcomes = settings.outcomes(_pairs_of_frame, tasks, on_progress)
        for task, outcome in zip(tasks, outcomes, strict=True):
            if outcome.failure is not None or outcome.value is None:
                raise HdrgenError(f"{task.frame.where}: {outcome.failure}")
            journal.add([outcome.value])
            rows.append(outcome.value)
        index = pl.DataFrame(rows, schema=PAIR_SCHEMA)
        if not index.filter(pl.col("split") == "train")["crops"].sum():
            raise HdrgenError(
                f"{out_dir}: no training frame is {settings.crop_size} pixels on both sides; "
                f"add frames or lower make_pairs.{maker.name}.crop_size"
            )
        journal.finish(index)
    for split in ("train", "val", "test"):
        ends = maker.suffixes(settings) if split == "test" else ("",)
        files = index.filter(pl.col("split") == split)["file"].drop_nulls()
        remove_stale(out_dir / split, (f"{Path(file).name}{end}" for file in files for end in ends))
    return index


def counts_by_split(index: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return frames and crops of each split."""
    return {
        split: {"frames": len(rows), "crops": int(rows["crops"].sum())}
        for split in ("train", "val", "test")
        for rows in (index.filter(pl.col("split") == split),)
    }


def frame_rng(seed: int, frame: str) -> np.random.Generator:
    """Return the generator for one frame: the same whatever other frames there are."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(frame.encode()).digest()[:8], "big")])


def crop_corner(
    linear: NDArray[np.floating], size: int, rng: np.random.Generator, *, choices: int = 2
) -> tuple[int, int]:
    """Return top and left of a random crop; of several, the one with the widest range: most of a frame is plain."""
    corners = [
        (
            int(rng.integers(linear.shape[0] - size, endpoint=True)),
            int(rng.integers(linear.shape[1] - size, endpoint=True)),
        )
        for _ in range(choices)
    ]
    return max(corners, key=lambda corner: _range_stops(cut(linear, corner, size)))


def cut(picture: NDArray[Any], corner: tuple[int, int], size: int) -> NDArray[Any]:
    """Return the square of this size whose top left corner this is."""
    top, left = corner
    return picture[top : top + size, left : left + size]


def _range_stops(crop: NDArray[np.floating]) -> float:
    low, high = np.percentile(crop[::4, ::4].astype(np.float32), (5, 99))
    return float(np.log2((high + 1e-3) / (max(low, 0) + 1e-3)))


def random_exposure(settings: PairSettings, rng: np.random.Generator) -> float:
    """Return the factor on light that shows a crop at another exposure than its frame's."""
    return float(2 ** rng.normal(0, settings.exposure_spread_stops))


class CropRecords:
    """The crops of one split as one sequence; each is one contiguous read, and no file is kept open.

    Parameters
    ----------
    folder
        Where `make_pairs` wrote.
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


@dataclass(frozen=True)
class _Task(Generic[SettingsT]):
    maker: PairMaker[SettingsT]
    frame: PairFrame
    settings: SettingsT
    out_dir: Path
    before: dict[str, Any] | None

    @property
    def stem(self) -> str:
        """What the names of the frame's files begin with, below `out_dir`."""
        digest = short_digest(self.maker.version, self.frame.content, self.settings.what_matters())
        return f"{self.frame.split}/{self.frame.frame}_{digest}"


def _stored_light(path: Path) -> NDArray[np.floating]:
    return read_exr(path).rgb


def _pairs_of_frame(task: _Task[Any]) -> dict[str, Any]:
    evaluated = task.frame.split == "test"
    # The last file written vouches for the others.
    last = f"{task.stem}{task.maker.suffixes(task.settings)[-1] if evaluated else '.npy'}"
    named = task.stem if evaluated else last
    if (
        task.before
        and task.before["file"] == named
        and is_whole(task.out_dir / last, task.before["file_bytes"])
    ):
        return task.before
    row = {key: getattr(task.frame, key) for key in ("frame", "source", "scene", "split")}
    crops = (_write_pictures if evaluated else _write_records)(task, task.frame.light())
    if not crops:
        return row | {"file": None, "file_bytes": None, "crops": 0}
    return row | {"file": named, "file_bytes": (task.out_dir / last).stat().st_size, "crops": crops}


def _write_pictures(task: _Task[Any], linear_awg4: NDArray[np.floating]) -> int:
    settings = task.settings
    crop = task.maker.judged(linear_awg4, settings.judged_size)
    if min(crop.shape[:2]) < SMALLEST_EVALUATED:
        return 0
    pictures = task.maker.pictures(crop, settings, frame_rng(settings.seed, task.frame.frame))
    for suffix in task.maker.suffixes(settings):
        write_png8(task.out_dir / f"{task.stem}{suffix}", pictures[suffix])
    return 1


def _write_records(task: _Task[Any], linear_awg4: NDArray[np.floating]) -> int:
    settings = task.settings
    smallest = SMALLEST_EVALUATED if task.maker.resizes else settings.crop_size
    if min(linear_awg4.shape[:2]) < smallest:
        return 0
    rng = frame_rng(settings.seed, task.frame.frame)
    records = np.zeros(settings.crops_per_frame, task.maker.record(settings))
    for record in records:
        task.maker.fill(record, linear_awg4, settings, rng)
    with replacing(task.out_dir / f"{task.stem}.npy") as temporary:
        np.save(temporary, records, allow_pickle=False)
    return len(records)
