from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.primaries import AWG4
from hdrgen.colour.tone_maps import quantise8
from hdrgen.dataset.pairs.bracket_pairs import (
    ENCODING_NAMES,
    KINDS,
    MASK_SUFFIX,
    BracketMotion,
    MakeBracketPairs,
    bracket_stacks,
    crop_record,
    judged_scene,
    make_bracket_pairs,
    moving_scene,
    picture_suffix,
)
from hdrgen.dataset.pairs.generated_like import GeneratedLike
from hdrgen.dataset.pairs.records import CropRecords
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import write_exr

NO_DAMAGE = GeneratedLike(
    exposure_stops=0,
    tint_stops=0,
    gain_stops=0,
    shift_pixels=0,
    blur_pixels=(0, 0),
    noise_codes=(0, 0),
    jpeg_share=0,
)
STILL = BracketMotion(shift_pixels=0, parallax_pixels=0, object_share=0, judged_objects=0)
SETTINGS = MakeBracketPairs(
    seed=1, crop_size=32, crops_per_frame=6, judged_size=96, srgb_share=0.5, workers=1
)


def smooth_light(seed, height=96, width=128):
    rng = np.random.default_rng(seed)
    stops = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 4) * 20
    return np.exp2(stops).astype(np.float32)


def frames(folder, splits):
    rows = []
    for name, split in splits.items():
        write_exr(folder / f"{name}.exr", smooth_light(len(rows)).astype(np.float16), chromaticities=AWG4)
        rows.append({"frame": name, "source": "s", "scene": name, "split": split, "file": f"{name}.exr"})
    return pl.DataFrame(rows)


@pytest.fixture
def made(tmp_path):
    index = frames(tmp_path, {"a": "train", "b": "val", "c": "test"})
    return tmp_path, index, make_bracket_pairs(index, tmp_path, SETTINGS, tmp_path / "pairs")


def clean(linear, encoding, ev):
    return quantise8(ENCODINGS[encoding].encode(linear.astype(np.float32) * np.float32(2**ev)))


def test_records_hold_the_light_and_its_clean_brackets_in_their_encoding(made):
    folder, _, _ = made
    records = CropRecords(folder / "pairs", "train")
    batch = records.batch(np.arange(len(records)))
    assert batch.dtype == crop_record(32, 4)
    assert set(batch["encoding"]) == {0, 1}
    for record in batch:
        for bracket, ev in enumerate(SETTINGS.evs):
            expected = clean(record["linear_awg4"], ENCODING_NAMES[record["encoding"]], ev)
            np.testing.assert_array_equal(record["clean_code8"][bracket], expected)
            assert (record["generated_code8"][bracket] != expected).mean() > 0.1


def test_the_darkest_bracket_holds_the_highlights(made):
    folder, _, _ = made
    batch = CropRecords(folder / "pairs", "train").batch(np.arange(6))
    clipped = [(batch["clean_code8"][:, bracket] == 255).mean() for bracket in range(4)]
    assert clipped == sorted(clipped)
    assert clipped[0] < clipped[-1]


def test_without_damage_and_motion_all_stacks_are_the_clean_one():
    settings = SETTINGS.model_copy(update={"generated_like": NO_DAMAGE, "motion": STILL})
    rng = np.random.default_rng(0)
    scene = moving_scene(smooth_light(1), settings, 0, rng)
    for encoding in ENCODING_NAMES:
        stacks = bracket_stacks(scene, encoding, settings, rng)
        for kind in ("generated", "motion"):
            for one, other in zip(stacks[kind], stacks["clean"], strict=True):
                assert np.abs(one.astype(int) - other).max() <= 1


def test_exposures_miss_what_was_asked_for_by_the_strength_that_is_set():
    settings = SETTINGS.model_copy(
        update={"generated_like": NO_DAMAGE.model_copy(update={"exposure_stops": 0.1})}
    )
    grey = np.full((32, 32, 3), 0.18, np.float32)
    rng = np.random.default_rng(0)
    decode = ENCODINGS["logc4_awg4"].decode
    errors = []
    for _ in range(40):
        stacks = bracket_stacks(moving_scene(grey, settings, 0, rng), "logc4_awg4", settings, rng)
        errors.append(
            [np.log2(decode(code.mean() / 255) / 0.18) for code in stacks["generated"]]
            - np.array(settings.evs)
        )
    assert np.std(errors) == pytest.approx(0.1, rel=0.25)
    assert abs(np.corrcoef(np.transpose(errors))[0, 1]) < 0.5, "each bracket errs on its own"


def test_outside_the_mask_undoing_the_flow_leaves_nothing():
    light = smooth_light(3, 160, 192)
    scene = moving_scene(light, SETTINGS, 2, np.random.default_rng(4))
    height, width, _ = light.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    assert 0.01 < scene.moved.mean() < 0.6
    inner = (slice(16, -16), slice(16, -16))
    for bracket, seen in enumerate(scene.seen):
        flow = scene.flow[bracket]
        at = (x + flow[..., 0], y + flow[..., 1])
        expected = cv2.remap(np.log2(scene.linear_awg4 + 0.01), *at, cv2.INTER_CUBIC)
        moved = cv2.remap(scene.moved.astype(np.float32), *at, cv2.INTER_LINEAR)
        moved = cv2.dilate(moved, np.ones((9, 9))) > 0
        difference = np.abs(np.log2(seen + 0.01) - expected).max(-1)
        assert difference[inner][~moved[inner]].max() < 0.1
        if bracket == SETTINGS.reference:
            assert not flow.any()
            np.testing.assert_array_equal(seen, scene.linear_awg4)
        else:
            assert np.abs(flow).mean() > 0.3
            assert difference[inner][moved[inner]].max() > 0.5, "the object is somewhere else"


def test_shifts_are_clipped():
    motion = BracketMotion(shift_pixels=50, most_shift_pixels=8, parallax_pixels=0)
    scene = moving_scene(
        smooth_light(0), SETTINGS.model_copy(update={"motion": motion}), 0, np.random.default_rng(0)
    )
    assert np.abs(scene.flow).max() == 8


def test_motion_records_are_aligned(tmp_path):
    """Without objects and damage, what alignment cannot undo is small beside the shift."""
    motion = BracketMotion(shift_pixels=3, parallax_pixels=0, object_share=0)
    settings = SETTINGS.model_copy(
        update={"generated_like": NO_DAMAGE, "motion": motion, "crop_size": 64, "srgb_share": 0.0}
    )
    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (160, 192, 3)).astype(np.float32), (0, 0), 2) * 8
    write_exr(tmp_path / "a.exr", (0.18 * np.exp2(texture)).astype(np.float16), chromaticities=AWG4)
    index = pl.DataFrame([{"frame": "a", "source": "s", "scene": "a", "split": "train", "file": "a.exr"}])
    make_bracket_pairs(index, tmp_path, settings, tmp_path / "pairs")
    batch = CropRecords(tmp_path / "pairs", "train").batch(np.arange(6))
    clean8, motion8 = (batch[f"{kind}_code8"].astype(int) for kind in ("clean", "motion"))
    moved = np.abs(np.roll(clean8, 2, axis=3) - clean8).mean()
    assert np.abs(motion8 - clean8).mean() < moved / 3


def test_the_pictures_of_a_test_frame_show_the_scene_that_can_be_had_again(made):
    folder, _, pairs = made
    row = pairs.filter(pl.col("split") == "test").row(0, named=True)
    stem = str(folder / "pairs" / row["file"])
    scene = judged_scene(row["frame"], smooth_light(2).astype(np.float16), SETTINGS)
    for ev in SETTINGS.evs:
        pictures = {kind: read_code8(Path(stem + picture_suffix(kind, ev))).code for kind in KINDS}
        np.testing.assert_array_equal(pictures["clean"], clean(scene.linear_awg4, "logc4_awg4", ev))
        assert pictures["motion"].shape == pictures["generated"].shape == (96, 96, 3)
    mask = read_code8(Path(stem + MASK_SUFFIX)).code
    np.testing.assert_array_equal(mask[..., 0] > 0, scene.moved)
    assert set(np.unique(mask)) == {0, 255}


def test_a_second_run_writes_nothing_a_new_frame_only_its_own_and_stale_files_go(made):
    folder, index, pairs = made
    out = folder / "pairs"
    before = {p: p.stat().st_mtime_ns for p in out.glob("*/*")}
    assert make_bracket_pairs(index, folder, SETTINGS, out).equals(pairs)
    more = pl.concat([index, frames(folder, {"d": "train"})])
    make_bracket_pairs(more, folder, SETTINGS, out)
    after = {p: p.stat().st_mtime_ns for p in out.glob("*/*")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    make_bracket_pairs(index.filter(pl.col("frame") != "c"), folder, SETTINGS, out)
    assert not list((out / "test").iterdir())


def test_a_frame_makes_the_same_file_whatever_other_frames_there_are(made, tmp_path):
    folder, index, _ = made
    make_bracket_pairs(index.filter(pl.col("frame") == "a"), folder, SETTINGS, tmp_path / "alone")
    for path in (tmp_path / "alone").glob("*/*"):
        assert path.read_bytes() == (folder / "pairs" / path.relative_to(tmp_path / "alone")).read_bytes()


@pytest.mark.parametrize("evs", [(0, -2), (0, 0), (-2, 2), (0,)])
def test_exposures_that_do_not_rise_through_zero_are_refused(evs):
    with pytest.raises(ValidationError):
        MakeBracketPairs(seed=0, evs=evs)
