import json

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.pairs.prompts import with_prompts
from hdrgen.dataset.pairs.scene_crops import CropSettings, scene_crops, split_frames
from hdrgen.images.exr import write_exr
from hdrgen.runtime.errors import HdrgenError

DESCRIPTION = json.dumps(
    {
        "kind": "night_street",
    }
)
SETTINGS = CropSettings(size=32, crops_per_frame=3, smallest_window=0.5, seed=1)


@pytest.fixture
def frames(tmp_path):
    """Return two frames, grey and a dark ramp with a light 300 times brighter than white, and their index."""
    ramp = np.linspace(0, 0.2, 64, dtype=np.float32)[None, :, None].repeat(48, 0).repeat(3, 2)
    ramp[20:24, 30:34] = 300
    for name, linear in (("b_ramp", ramp), ("a_grey", np.full((48, 64, 3), 0.18, np.float32))):
        write_exr(tmp_path / f"{name}.exr", linear, chromaticities=AWG4)
    rows = [
        {"frame": n, "file": f"{n}.exr", "digest": n, "description": d}
        for n, d in (("b_ramp", DESCRIPTION), ("a_grey", None))
    ]
    return tmp_path, pl.DataFrame(rows).sort("frame")


def test_crops_are_averaged_light_ordered_by_frame(frames):
    crops = list(scene_crops(*frames, SETTINGS))
    assert [crop.frame for crop in crops] == ["a_grey"] * 3 + ["b_ramp"] * 3
    for crop in crops:
        assert crop.linear_awg4.shape == (32, 32, 3)
        assert crop.linear_awg4.dtype == np.float32
    np.testing.assert_allclose(crops[0].linear_awg4, 0.18, rtol=1e-3)
    light = crops[3].linear_awg4
    assert light.mean() == pytest.approx(300 * 16 / 48**2, rel=0.1)  # the first crop is all of its height
    assert 100 < light.max() < 301


def test_windows_hang_on_the_seed_and_the_frame_alone(frames):
    folder, index = frames

    def cut(rows, settings=SETTINGS):
        return [crop.linear_awg4 for crop in scene_crops(folder, rows, settings)]

    crops = cut(index)
    assert np.array_equal(cut(index.filter(pl.col("frame") == "b_ramp")), crops[3:])
    other = cut(index, SETTINGS.model_copy(update={"seed": 2}))
    assert np.array_equal(other[3], crops[3])  # the first is the frame's whole height
    assert not np.array_equal(other[4], crops[4])


@pytest.mark.parametrize("corner", [(0, 0), (0, 63), (47, 0), (47, 63), (24, 60)])
def test_every_crop_has_the_brightest_place_in_it(frames, corner):
    folder, index = frames
    lamp = np.full((48, 64, 3), 0.01, np.float32)
    lamp[corner] = 900
    write_exr(folder / "a_grey.exr", lamp, chromaticities=AWG4)
    crops = list(scene_crops(folder, index, SETTINGS.model_copy(update={"crops_per_frame": 12})))[:12]
    assert all(crop.linear_awg4.max() > 100 for crop in crops)
    assert len({crop.linear_awg4.tobytes() for crop in crops}) > 6


def test_prompts_come_from_the_captions_and_are_empty_without_one(frames, tmp_path):
    folder, index = frames
    captions = tmp_path / "captions.jsonl"
    captions.write_text(
        json.dumps({"frame": "b_ramp", "prompts": ["night street", "cars at night"], "tags": ["wet"]})
    )
    prompted = with_prompts(index, captions)
    assert prompted.drop("prompts").equals(index)
    crops = list(scene_crops(folder, prompted, SETTINGS))
    assert [crop.kind for crop in crops] == [""] * 3 + ["night street"] * 3
    assert crops[0].prompts == ("",)
    assert crops[3].prompts == ("night street", "cars at night")
    assert {crop.prompts for crop in scene_crops(folder, index, SETTINGS)} == {("",)}


def test_without_captions_nothing_is_learned_unnoticed(frames, tmp_path):
    with pytest.raises(HdrgenError, match=r"captions\.jsonl: cannot be read .*; run the stage caption"):
        with_prompts(frames[1], tmp_path / "captions.jsonl")
    (tmp_path / "captions.jsonl").write_text("no JSON")
    with pytest.raises(HdrgenError, match="run the stage caption"):
        with_prompts(frames[1], tmp_path / "captions.jsonl")


def test_a_split_has_its_usable_frames_in_order():
    index = pl.DataFrame(
        {
            "frame": ["c", "a", "b", "d"],
            "split": ["train", "train", "val", "train"],
            "quarantine_reason": [None, None, None, "too dark"],
        }
    )
    assert split_frames(index, "train")["frame"].to_list() == ["a", "c"]


def test_no_frames_is_one_line(frames):
    folder, index = frames
    with pytest.raises(HdrgenError, match="no frames to make pictures of"):
        next(scene_crops(folder, index.clear(), SETTINGS))
