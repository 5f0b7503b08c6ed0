import numpy as np
import polars as pl
import pytest

from hdrgen.colour.logc import logc4_encode
from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.pairs.bit_depth_pairs import (
    GRADIENTS,
    Gradients,
    MakeBitDepthPairs,
    bit_depth_frames,
    bit_depth_pictures,
    clean_code8,
    crop_record,
    logc4_code16,
    make_bit_depth_pairs,
)
from hdrgen.dataset.pairs.generated_like import DecoderLike
from hdrgen.dataset.pairs.records import CropRecords, judged_crop
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import write_exr

NO_DAMAGE = DecoderLike(blur_pixels=(0, 0), noise_codes=(0, 0), jpeg_share=0)
SETTINGS = MakeBitDepthPairs(
    seed=1,
    crop_size=32,
    crops_per_frame=3,
    judged_size=64,
    gradients=Gradients(train=2, val=1, test=1, size=64),
    workers=1,
)


def frames(folder, splits):
    rows = []
    for name, split in splits.items():
        light = np.random.default_rng(len(rows)).lognormal(-1, 2, (48, 80, 3)).astype(np.float16)
        write_exr(folder / f"{name}.exr", light, chromaticities=AWG4)
        rows.append({"frame": name, "source": "s", "scene": name, "split": split, "file": f"{name}.exr"})
    return pl.DataFrame(rows)


@pytest.fixture
def made(tmp_path):
    index = frames(tmp_path, {"a": "train", "b": "val", "c": "test"})
    return tmp_path, index, make_bit_depth_pairs(index, tmp_path, SETTINGS, tmp_path / "pairs")


def test_clean_8_bit_codes_are_the_nearest_to_all_16_bit_codes():
    code16 = np.arange(65536, dtype=np.uint16)
    expected = np.rint(code16.astype(np.float64) * 255 / 65535)
    np.testing.assert_array_equal(clean_code8(code16), expected)


def test_codes_beyond_both_ends_of_the_curve_are_clipped():
    light = np.array([-1.0, -0.018057, 0.18, 469.8, 5000.0])
    code16 = logc4_code16(light)
    assert code16[[0, 3, 4]].tolist() == [0, 65535, 65535]
    assert code16[2] == round(float(logc4_encode(0.18)) * 65535)


def test_records_hold_the_truth_and_both_pictures(made):
    folder, _, _ = made
    records = CropRecords(folder / "pairs", "train")
    assert len(records) == 3 * 3  # a frame and two gradients
    batch = records.batch(np.arange(len(records)))
    assert batch.dtype == crop_record(32)
    np.testing.assert_array_equal(batch["clean_code8"], clean_code8(batch["logc4_code16"]))
    error = batch["generated_code8"].astype(float) - batch["logc4_code16"] / 257
    assert 1 < error.std() < 8
    # Another exposure would move all of a crop one way.
    plain = batch["logc4_code16"].max(axis=(1, 2, 3)) < 60000
    assert np.abs(error[plain].mean(axis=(1, 2, 3))).max() < 1


def test_without_damage_the_generated_picture_is_the_clean_one():
    code16 = np.random.default_rng(0).integers(0, 65536, (48, 48, 3)).astype(np.uint16)
    settings = SETTINGS.model_copy(update={"decoder_like": NO_DAMAGE})
    pictures = bit_depth_pictures(code16, settings, np.random.default_rng(0))
    np.testing.assert_array_equal(pictures["generated"], pictures["clean"])


def test_the_truth_of_a_test_picture_comes_from_its_frame_again(made):
    folder, index, pairs = made
    light = {frame.frame: frame.light for frame in bit_depth_frames(index, folder, SETTINGS)}
    tests = pairs.filter(pl.col("split") == "test")
    assert set(tests["source"]) == {"s", GRADIENTS}
    for row in tests.iter_rows(named=True):
        truth = logc4_code16(judged_crop(light[row["frame"]](), SETTINGS.judged_size))
        clean = read_code8(folder / "pairs" / f"{row['file']}_clean.png").code
        np.testing.assert_array_equal(clean, clean_code8(truth))
        assert read_code8(folder / "pairs" / f"{row['file']}_generated.png").code.shape == truth.shape


def test_a_second_run_writes_nothing_and_a_new_frame_leaves_the_old_ones_alone(made):
    folder, index, pairs = made
    before = {p: p.stat().st_mtime_ns for p in (folder / "pairs").glob("*/*")}
    assert make_bit_depth_pairs(index, folder, SETTINGS, folder / "pairs").equals(pairs)
    more = pl.concat([index, frames(folder, {"d": "train"})])
    make_bit_depth_pairs(more, folder, SETTINGS, folder / "pairs")
    after = {p: p.stat().st_mtime_ns for p in (folder / "pairs").glob("*/*")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1


def test_what_no_frame_claims_any_more_is_removed(made):
    folder, index, _ = made
    make_bit_depth_pairs(
        index.filter(pl.col("frame") == "a"),
        folder,
        SETTINGS.model_copy(update={"gradients": Gradients(train=0, val=0, test=0)}),
        folder / "pairs",
    )
    left = sorted(p.name for p in (folder / "pairs").glob("*/*"))
    assert len(left) == 1
    assert left[0].startswith("a_")


def test_a_frame_makes_the_same_file_whatever_other_frames_there_are(made, tmp_path):
    folder, index, _ = made
    alone = tmp_path / "alone"
    make_bit_depth_pairs(index.filter(pl.col("frame") == "a"), folder, SETTINGS, alone)
    for path in alone.glob("*/*"):
        assert path.read_bytes() == (folder / "pairs" / path.relative_to(alone)).read_bytes()
