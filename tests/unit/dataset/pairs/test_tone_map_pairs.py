from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.primaries import AWG4
from hdrgen.colour.tone_maps import Reinhard, quantise8
from hdrgen.dataset.pairs.generated_like import GeneratedLike
from hdrgen.dataset.pairs.records import CropRecords
from hdrgen.dataset.pairs.tone_map_pairs import MakeToneMapPairs, make_tone_map_pairs
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import write_exr
from hdrgen.runtime.errors import HdrgenError

SETTINGS = MakeToneMapPairs(
    seed=1, crop_size=32, crops_per_frame=3, judged_size=64, generated_like=GeneratedLike(), workers=1
)


def frames(folder, splits):
    rows = []
    for name, split in splits.items():
        rng = np.random.default_rng(len(rows))
        light = rng.lognormal(-1, 1, (48, 80, 3)).astype(np.float16)
        write_exr(folder / f"{name}.exr", light, chromaticities=AWG4)
        rows.append({"frame": name, "source": "s", "scene": name, "split": split, "file": f"{name}.exr"})
    return pl.DataFrame(rows)


@pytest.fixture
def made(tmp_path):
    index = frames(tmp_path, {"a": "train", "b": "train", "c": "val", "d": "test"})
    pairs = make_tone_map_pairs(index, tmp_path, SETTINGS, tmp_path / "pairs")
    return tmp_path, index, pairs


def test_a_record_holds_the_light_and_the_clean_pictures_that_come_from_it(made):
    folder, _, _ = made
    records = CropRecords(folder / "pairs", "train")
    assert len(records) == 6
    for i in range(len(records)):
        record = records[i]
        expected = quantise8(Reinhard().encode(record["linear_awg4"].astype(np.float32)))
        np.testing.assert_array_equal(record["clean_reinhard_code8"], expected)
        assert (record["generated_reinhard_code8"] != expected).mean() > 0.3
    assert records.locate(5)[1] == 2


def test_test_frames_are_pictures_a_person_can_look_at(made):
    folder, _, pairs = made
    prefix = pairs.filter(pl.col("split") == "test")["file"][0]
    clean = read_code8(folder / "pairs" / f"{prefix}_clean_reinhard.png").code
    noisy = read_code8(folder / "pairs" / f"{prefix}_generated_reinhard.png").code
    assert clean.shape == noisy.shape == (48, 64, 3)


def test_a_second_run_writes_nothing_and_a_new_frame_leaves_the_old_ones_alone(made):
    folder, index, pairs = made
    before = {p: p.stat().st_mtime_ns for p in (folder / "pairs").glob("*/*")}
    again = make_tone_map_pairs(index, folder, SETTINGS, folder / "pairs")
    assert again.equals(pairs)
    more = frames(folder, {"e": "train"})
    make_tone_map_pairs(pl.concat([index, more]), folder, SETTINGS, folder / "pairs")
    after = {p: p.stat().st_mtime_ns for p in (folder / "pairs").glob("*/*")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1


def test_pairs_do_not_depend_on_the_number_of_workers(made, tmp_path):
    folder, index, _ = made
    make_tone_map_pairs(index, folder, SETTINGS.model_copy(update={"workers": 2}), tmp_path / "two")
    for one in (folder / "pairs").glob("*/*"):
        assert one.read_bytes() == (tmp_path / "two" / one.relative_to(folder / "pairs")).read_bytes()


def test_frames_that_are_all_too_small_get_a_clear_line(tmp_path):
    index = frames(tmp_path, {"a": "train"})
    with pytest.raises(HdrgenError, match="no training frame is 64 pixels"):
        make_tone_map_pairs(
            index, tmp_path, SETTINGS.model_copy(update={"crop_size": 64}), tmp_path / "pairs"
        )


def test_missing_pairs_get_a_clear_line(tmp_path):
    with pytest.raises(HdrgenError, match="run make_pairs"):
        CropRecords(tmp_path, "val")


def test_training_keeps_no_file_open(tmp_path):
    index = frames(tmp_path, {f"f{i}": "train" for i in range(8)})
    make_tone_map_pairs(index, tmp_path, SETTINGS, tmp_path / "pairs")
    before = len(list(Path("/proc/self/fd").iterdir()))
    records = CropRecords(tmp_path / "pairs", "train")
    records.batch(np.arange(len(records)))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_truncated_record_file_is_named(made):
    folder, _, _ = made
    path = next((folder / "pairs" / "train").glob("*.npy"))
    path.write_bytes(path.read_bytes()[:-5000])
    records = CropRecords(folder / "pairs", "train")
    with pytest.raises(HdrgenError, match=r"\.npy: shorter than its header says"):
        records.batch(np.arange(len(records)))


def test_a_test_frame_too_small_to_judge_is_left_out(tmp_path):
    index = frames(tmp_path, {"a": "train", "b": "test"})
    tiny = SETTINGS.model_copy(update={"judged_size": 8})
    pairs = make_tone_map_pairs(index, tmp_path, tiny, tmp_path / "pairs")
    assert pairs.filter(pl.col("split") == "test")["file"].to_list() == [None]
