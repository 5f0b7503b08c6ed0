"""No scene is both learnt and judged on, today or when there are more of them."""

import shutil
import time

import numpy as np
import polars as pl
import pytest

from hdrgen.dataset.ingest import ingest
from hdrgen.dataset.ingest_settings import IngestParams, Source
from hdrgen.dataset.split import SPLITS, SplitParams, counts_by_split, find_twins, split
from hdrgen.runtime.errors import HdrgenError

PARAMS = SplitParams()


def _index(scenes, frames_each=2):
    rows = []
    for scene in scenes:
        picture = np.random.default_rng(abs(hash_of(scene))).integers(0, 255, 256, dtype=np.uint8)
        rows += [
            {
                "scene": scene,
                "frame": f"{scene}_{i}",
                "fingerprint": picture.tobytes(),
                "quarantine_reason": None,
            }
            for i in range(frames_each)
        ]
    schema = {
        "scene": pl.String,
        "frame": pl.String,
        "fingerprint": pl.Binary,
        "quarantine_reason": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def hash_of(text):
    return int.from_bytes(text.encode()[:12])


def _scenes(count):
    return [f"a/scene{i:04d}" for i in range(count)]


def _by_scene(index):
    return dict(index.select("scene", "split").unique().rows())


def test_fractions_are_about_what_is_asked_for(tmp_path):
    counts = counts_by_split(split(_index(_scenes(1000)), PARAMS, tmp_path))
    assert 70 < counts["val"]["scenes"] < 130
    assert 70 < counts["test"]["scenes"] < 130
    assert sum(counts[name]["frames"] for name in SPLITS) == 2000


def test_old_scenes_stay_when_scenes_are_added_or_withdrawn(tmp_path):
    first = _by_scene(split(_index(_scenes(30)), PARAMS, tmp_path))
    fewer = _by_scene(split(_index(_scenes(10)), PARAMS, tmp_path))
    more = _by_scene(split(_index(_scenes(200)), PARAMS, tmp_path))
    assert fewer == {scene: first[scene] for scene in fewer}
    assert {scene: more[scene] for scene in first} == first


def test_a_draw_depends_on_no_other_scene(tmp_path):
    few = _by_scene(split(_index(_scenes(100)), PARAMS, tmp_path / "few"))
    many = _by_scene(split(_index(_scenes(200)), PARAMS, tmp_path / "many"))
    assert {scene: many[scene] for scene in few} == few


@pytest.mark.parametrize("count", range(3, 12))
def test_few_scenes_still_fill_every_split(tmp_path, count):
    counts = counts_by_split(split(_index(_scenes(count)), PARAMS, tmp_path))
    assert all(counts[name]["scenes"] > 0 for name in SPLITS)


def test_growing_one_by_one_never_moves_a_scene(tmp_path):
    known = {}
    for count in range(1, 40):
        now = _by_scene(split(_index(_scenes(count)), PARAMS, tmp_path))
        assert {scene: now[scene] for scene in known} == known
        known = now
    assert set(known.values()) == set(SPLITS)


def test_twins_share_a_split_also_with_scenes_known_before(tmp_path):
    scenes = _scenes(40)
    first = _by_scene(split(_index(scenes), PARAMS, tmp_path))
    index = _index(scenes)
    for scene, drawn in first.items():
        picture = index.filter(pl.col("scene") == scene)["fingerprint"][0]
        shifted = (np.frombuffer(picture, np.uint8) // 2 + 20).astype(np.uint8)  # another exposure
        twin = _index([f"0/twin-of-{scene[2:]}"], 1).with_columns(
            pl.lit(shifted.tobytes()).alias("fingerprint")
        )
        divided = split(pl.concat([index, twin]), PARAMS, tmp_path)
        assert divided["split"][-1] == drawn


def test_many_frames_of_one_scene_cost_no_more_than_others():
    """Nine million pairs of one scene are none of two; two scenes of one picture are one."""
    index = _index(["a", "b", "c"], frames_each=1)
    alike = pl.concat([index.head(1)] * 3000)
    other = index.head(1).with_columns(pl.lit("z").alias("scene"))
    started = time.process_time()
    twins = find_twins(pl.concat([alike, index[1:], other]), 0.995)
    assert twins == {"a": "a", "b": "b", "c": "c", "z": "a"}
    assert time.process_time() - started < 5


def test_flat_pictures_are_nobodys_twins(tmp_path):
    index = _index(["a/black", "a/fog"], 1).with_columns(pl.lit(bytes([7] * 256)).alias("fingerprint"))
    assert split(index, PARAMS, tmp_path)["twin_of"].to_list() == [None, None]


def test_quarantined_frames_belong_to_no_split(tmp_path):
    index = _index(_scenes(5), 1)
    reasons = pl.Series(["damaged", None, None, None, None])
    divided = split(index.with_columns(quarantine_reason=reasons), PARAMS, tmp_path)
    assert divided["split"][0] is None
    assert divided["split"][1:].null_count() == 0


def test_another_seed_divides_anew_and_a_damaged_table_is_named(tmp_path):
    first = _by_scene(split(_index(_scenes(60)), PARAMS, tmp_path))
    other = _by_scene(split(_index(_scenes(60)), SplitParams(seed=1), tmp_path))
    assert first != other
    (tmp_path / "split.csv").write_text("scene,split\nx,sometimes\n")
    with pytest.raises(HdrgenError, match=r"split\.csv: is damaged"):
        split(_index(_scenes(6)), PARAMS, tmp_path)


def test_fractions_must_leave_something_to_train_on():
    with pytest.raises(ValueError, match="nothing to train on"):
        SplitParams(val_fraction=0.5, test_fraction=0.5)


def test_real_twins_are_found_and_nothing_else(shared_hdr, tmp_path):
    (tmp_path / "in").mkdir()
    for file in (shared_hdr / "scenes").iterdir():
        shutil.copy(file, tmp_path / "in" / file.name.replace("arboretum.hdr", "arboretum_other_name.hdr"))
    index = ingest("a", IngestParams(sources={"a": Source(path=tmp_path / "in")}), tmp_path / "out")
    divided = split(index, PARAMS, tmp_path / "split")
    twins = dict(divided.filter(pl.col("twin_of").is_not_null()).select("scene", "twin_of").unique().rows())
    assert twins == {
        "a/XYZ": "a/Rec709",
        "a/XYZ_YC": "a/Rec709",
        "a/Rec709_YC": "a/Rec709",
        "a/hdr-rgb-arboretum_other_name": "a/hdr-rgb-arboretum",
    }
    by_scene = _by_scene(divided)
    assert all(by_scene[scene] == by_scene[twin] for scene, twin in twins.items())
    assert divided.group_by("path").agg(pl.col("split").n_unique())["split"].max() == 1  # views stay together
