"""Train, validation and test frames, divided by scene so that no scene is both learnt and evaluated on."""

import csv
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from hdrgen.dataset.frame_index import write_index
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section

log = logging.getLogger(__name__)

TABLE_NAME = "split.csv"
SPLITS = ("train", "val", "test")
_BLOCK = 2048
# A fingerprint with less contrast than a third of a stop is of fog or of a lens cap: it resembles every other.
_LEAST_CONTRAST_STEPS = 4.0


class SplitParams(Section):
    """How scenes are divided."""

    seed: int = 0
    """Another seed divides all scenes anew."""
    val_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Part of the scenes that validates while training."""
    test_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Part of the scenes that is evaluated on; never trained on."""
    twin_similarity: float = Field(default=0.995, gt=0, le=1)
    """Correlation of two fingerprints from which on two frames are the same picture."""

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> "SplitParams":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction and test_fraction leave nothing to train on")
        return self


def split(index: pl.DataFrame, params: SplitParams, out_dir: Path) -> pl.DataFrame:
    """Divide frames by scene, the same way today and when there are more of them.

    A scene's split is drawn from a hash of the seed and its name, so it depends on no other scene. Twins, the
    same picture in several files, are found by their fingerprints and share one draw. Scenes that
    ``split.csv`` in ``out_dir`` already knows stay where they are, whatever is added or withdrawn, until the
    seed changes.

    Parameters
    ----------
    index
        The index of `sanitize`; quarantined rows get no split.
    params
        See `SplitParams`.
    out_dir
        Gets ``index.parquet``, the index with the columns ``split`` and ``twin_of``, and ``split.csv`` with a
        line for each scene ever seen.

    Returns
    -------
    polars.DataFrame
        The index with its new columns.

    Raises
    ------
    HdrgenError
        An existing ``split.csv`` is damaged.
    """
    usable = index.filter(pl.col("quarantine_reason").is_null())
    scenes = sorted(set(usable["scene"].to_list()))
    twins = find_twins(usable, params.twin_similarity)
    known = _read_table(out_dir / TABLE_NAME, params.seed)
    assigned = assign(scenes, twins, known, params)
    _write_table(out_dir / TABLE_NAME, {**known, **assigned}, params.seed)
    usable_scene = pl.when(pl.col("quarantine_reason").is_null()).then(pl.col("scene"))
    divided = index.with_columns(
        usable_scene.replace_strict(assigned, default=None, return_dtype=pl.String).alias("split"),
        usable_scene.replace_strict(
            {scene: twin for scene, twin in twins.items() if scene != twin},
            default=None,
            return_dtype=pl.String,
        ).alias("twin_of"),
    )
    write_index(out_dir, divided)
    return divided


def find_twins(index: pl.DataFrame, least_similarity: float) -> dict[str, str]:
    """Return for each scene the first, by name, of the scenes that show the same picture; itself if alone.

    Two frames are twins when their 16x16 fingerprints of log luminance correlate at least this much, which
    neither exposure nor encoding changes. Twins of twins are twins.

    Parameters
    ----------
    index
        Rows with ``scene`` and ``fingerprint``.
    least_similarity
        Correlation, up to 1.
    """
    frames = index.sort("scene", "frame")
    scenes, scene_ids = np.unique(frames["scene"].to_numpy(), return_inverse=True)
    first = list(range(len(scenes)))
    pictures = np.array([np.frombuffer(picture, np.uint8) for picture in frames["fingerprint"]], np.float32)
    if not len(pictures):
        return {}
    pictures -= pictures.mean(axis=1, keepdims=True)
    tell_tale = pictures.std(axis=1) >= _LEAST_CONTRAST_STEPS
    pictures /= np.maximum(np.linalg.norm(pictures, axis=1, keepdims=True), 1e-6)
    pictures[~tell_tale] = 0

    def root(scene: int) -> int:
        while first[scene] != scene:
            first[scene] = scene = first[first[scene]]
        return scene

    # In blocks of both: memory stays bounded however many frames there are, and whatever they resemble.
    for i in range(0, len(pictures), _BLOCK):
        rows = scene_ids[i : i + _BLOCK]
        for j in range(i, len(pictures), _BLOCK):
            columns = scene_ids[j : j + _BLOCK]
            similar = pictures[i : i + _BLOCK] @ pictures[j : j + _BLOCK].T >= least_similarity
            similar &= rows[:, None] != columns
            y, x = np.nonzero(similar)
            for pair in np.unique(rows[y] * len(scenes) + columns[x]).tolist():
                a, b = root(pair // len(scenes)), root(pair % len(scenes))
                first[max(a, b)] = min(a, b)
    return {str(scene): str(scenes[root(number)]) for number, scene in enumerate(scenes)}


def assign(
    scenes: list[str], twins: Mapping[str, str], known: Mapping[str, str], params: SplitParams
) -> dict[str, str]:
    """Assign scenes to splits.

    What is known stays. A new scene joins its twins if one of them is known; the rest are drawn. Should
    validation or test come out empty though wanted, the new training scene whose draw came nearest moves
    there, as long as one is left to train on.

    Parameters
    ----------
    scenes
        All scenes present, sorted.
    twins
        From `find_twins`.
    known
        Earlier assignments.
    params
        Seed and fractions.
    """
    groups: dict[str, list[str]] = {}
    for scene in scenes:
        groups.setdefault(twins[scene], []).append(scene)
    of_group: dict[str, str] = {}
    draws: dict[str, float] = {}
    for name, members in groups.items():
        earlier = [known[scene] for scene in members if scene in known]
        if earlier:
            of_group[name] = earlier[0]
            continue
        draws[name] = _draw(params.seed, name)
        of_group[name] = _split_of_draw(draws[name], params)
    for wanted, fraction in (("test", params.test_fraction), ("val", params.val_fraction)):
        candidates = sorted((draws[name], name) for name in draws if of_group[name] == "train")
        alone = sum(drawn == "train" for drawn in of_group.values()) < 2
        if fraction > 0 and wanted not in of_group.values() and wanted not in known.values():
            if alone or not candidates:
                log.warning("too few scenes for a %s split: it is empty", wanted)
            else:
                of_group[candidates[0][1]] = wanted
    return {scene: known.get(scene, of_group[twins[scene]]) for scene in scenes}


def _draw(seed: int, name: str) -> float:
    """Return a number in [0, 1) that a seed and a name always give."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _split_of_draw(draw: float, params: SplitParams) -> str:
    if draw < params.test_fraction:
        return "test"
    return "val" if draw < params.test_fraction + params.val_fraction else "train"


def _read_table(path: Path, seed: int) -> dict[str, str]:
    """Read the scenes already divided with this seed; another seed asks for another division."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if any(set(row) != {"scene", "split", "seed"} or row["split"] not in SPLITS for row in rows):
        raise HdrgenError(f"{path}: is damaged: delete it to divide the scenes anew")
    return {row["scene"]: row["split"] for row in rows if row["seed"] == str(seed)}


def _write_table(path: Path, table: Mapping[str, str], seed: int) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("scene", "split", "seed"))
        writer.writerows((scene, table[scene], seed) for scene in sorted(table))


def counts_by_split(index: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return frames and scenes of each split, for a metrics file."""
    counted = index.group_by("split").agg(
        pl.len().alias("frames"), pl.col("scene").n_unique().alias("scenes")
    )
    by_split = {row["split"]: row for row in counted.iter_rows(named=True)}
    return {
        name: {what: int(by_split[name][what]) if name in by_split else 0 for what in ("frames", "scenes")}
        for name in SPLITS
    }
