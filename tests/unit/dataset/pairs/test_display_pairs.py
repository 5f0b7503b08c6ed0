"""Ordinary pictures and their light: exposed as asked for, plain where they say so, and the same every time."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.display import srgb_encode
from hdrgen.colour.primaries import AWG4
from hdrgen.colour.renderings import SHOULDERS, Filmic
from hdrgen.colour.tone_maps import quantise8
from hdrgen.dataset.pairs.display_pairs import (
    MakeDisplayPairs,
    Renderings,
    code_stops,
    crop_record,
    exposed,
    judged_kinds,
    judged_light,
    judged_picture,
    make_display_pairs,
    random_curve,
    random_picture,
    to_rec709,
)
from hdrgen.dataset.pairs.records import CropRecords
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import write_exr
from hdrgen.runtime.errors import HdrgenError

NOTHING = Renderings(aces_share=0, filmic_share=0, camera_share=0, jpeg_share=0, autoencoder_share=0)
SETTINGS = MakeDisplayPairs(seed=1, crop_size=32, crops_per_frame=6, judged_size=64, workers=1)


class Darker:
    """An autoencoder that takes two codes off. Can be sent to another process."""

    def __call__(self, code):
        assert code.min() >= 0
        assert code.max() <= 1
        return np.maximum(code - np.float32(2 / 255), 0)


def some_light(seed=0, height=48, width=80):
    """Return light of many stops, none of it the same."""
    rng = np.random.default_rng(seed)
    return rng.lognormal(-1, 1.5, (height, width, 3)).astype(np.float32)


def only(**shares):
    return SETTINGS.model_copy(update={"renderings": NOTHING.model_copy(update=shares)})


def frames(folder, splits, size=(48, 80)):
    rows = []
    for number, (name, split) in enumerate(splits.items()):
        light = some_light(number + len(name), *size).astype(np.float16)
        write_exr(folder / f"{name}.exr", light, chromaticities=AWG4)
        rows.append({"frame": name, "source": "s", "scene": name, "split": split, "file": f"{name}.exr"})
    return pl.DataFrame(rows)


@pytest.fixture
def made(tmp_path):
    index = frames(tmp_path, {"a": "train", "b": "val", "c": "test"})
    return tmp_path, index, make_display_pairs(index, tmp_path, SETTINGS, tmp_path / "pairs")


# Exposure and curves.


@pytest.mark.parametrize("share", [0.0, 0.02, 0.15])
@pytest.mark.parametrize("white", [0.7, 1.0, 6.0])
def test_exposure_clips_the_share_that_was_asked_for(share, white):
    light = some_light()
    light = exposed(light, share, white_linear=white)
    assert (light.max(-1) > white * (1 + 1e-5)).mean() == pytest.approx(share, abs=1.5 / light[..., 0].size)


def test_black_and_endless_frames_are_exposed_without_a_fault():
    assert not exposed(np.zeros((8, 8, 3), np.float32), 0.05).any()
    sun = np.full((8, 8, 3), 1e-3, np.float32)
    sun[0, 0] = 6e4
    assert exposed(sun, 0.05).max() == 65504, "as half floats hold it"
    assert np.isfinite(exposed(sun, 0.0)).all()


@pytest.mark.parametrize("shoulder", SHOULDERS)
def test_the_light_of_codes_is_the_inverse_of_the_curve(shoulder):
    for curve in (Filmic(shoulder, 4.0, 1.2), Filmic(shoulder, 16.0, 0.9)):
        stops = code_stops(curve)
        assert stops.shape == (256,)
        assert (np.diff(stops) > 0).all()
        light = np.exp2(stops[8:]).astype(np.float32)[None, :, None].repeat(3, 2)
        code = 255 * srgb_encode(curve.display_linear(light))[0, :, 0]
        np.testing.assert_allclose(code, np.arange(8, 256), atol=0.05)


def test_only_a_cameras_curve_has_colour():
    rng = np.random.default_rng(0)
    plain, camera = ([random_curve(rng, camera=c) for _ in range(50)] for c in (False, True))
    assert {(c.saturation, c.white_balance) for c in plain} == {(1.0, (1.0, 1.0, 1.0))}
    assert all(c.white_balance[1] == 1 for c in camera)
    assert len({c.white_balance for c in camera}) == 50
    assert np.mean([c.contrast for c in camera]) > 1.1
    assert {c.shoulder for c in (*plain, *camera)} == set(SHOULDERS)


# Training crops.


def test_plain_pictures_are_srgb_of_their_light():
    rng = np.random.default_rng(0)
    for number in range(5):
        picture = random_picture(some_light(number), only(), rng)
        assert picture.is_plain
        clipped = picture.linear_rec709 >= 1
        expected = quantise8(srgb_encode(picture.linear_rec709))
        np.testing.assert_array_equal(picture.code8[~clipped], expected[~clipped])
        assert (picture.code8[clipped] == 255).all()
        assert clipped.any(-1).mean() <= 0.15 + 1e-3


@pytest.mark.parametrize("share", ["aces_share", "filmic_share", "camera_share"])
def test_rendered_pictures_are_not_plain(share):
    rng = np.random.default_rng(0)
    for number in range(4):
        picture = random_picture(some_light(number), only(**{share: 1.0}), rng)
        assert not picture.is_plain
        plain = quantise8(srgb_encode(np.clip(picture.linear_rec709, 0, 1)))
        assert np.abs(plain.astype(int) - picture.code8).mean() > 3
        assert (picture.linear_rec709 >= 0).all()


def test_renderings_have_their_shares():
    light = some_light(height=8, width=8)
    rng = np.random.default_rng(0)
    plain = np.mean([random_picture(light, SETTINGS, rng).is_plain for _ in range(800)])
    shares = SETTINGS.renderings
    expected = 1 - shares.aces_share - shares.filmic_share - shares.camera_share
    assert plain == pytest.approx(expected, abs=0.06)


def test_the_autoencoder_is_one_damage_and_leaves_the_light():
    settings = only(autoencoder_share=1.0)
    one, other = (
        random_picture(some_light(), settings, np.random.default_rng(3), trip) for trip in (None, Darker())
    )
    np.testing.assert_array_equal(one.linear_rec709, other.linear_rec709)
    np.testing.assert_array_equal(np.maximum(one.code8.astype(int) - 2, 0), other.code8)


# Judged pictures.


def test_judged_pictures_clip_their_share_and_leave_nothing_to_chance():
    light = some_light(5)
    clip = judged_picture(light, "clip")
    assert clip.is_plain
    assert (clip.linear_rec709.max(-1) > 1).mean() == pytest.approx(0.05, abs=1e-3)
    film = judged_picture(light, "film")
    assert not film.is_plain
    assert (film.linear_rec709.max(-1) > 1.5).mean() == pytest.approx(0.05, abs=1e-3)
    np.testing.assert_array_equal(film.code8, judged_picture(light, "autoencoder").code8)
    assert (film.code8 != judged_picture(light, "camera").code8).mean() > 0.5
    for kind in ("clip", "film", "camera"):
        np.testing.assert_array_equal(judged_picture(light, kind).code8, judged_picture(light, kind).code8)


def test_a_whole_frame_is_judged_and_never_a_larger_one():
    light = some_light(0, 40, 120)
    assert judged_light(light, 60).shape == (20, 60, 3)
    np.testing.assert_allclose(judged_light(light, 60).mean((0, 1)), light.mean((0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(judged_light(light, 200), light)
    assert judged_light(light[:1], 60).shape == (1, 60, 3)


def test_what_is_outside_of_rec709_is_not_below_black():
    assert (to_rec709(np.float32([[[0, 1, 0], [1, 0, 0]]])) >= 0).all()
    np.testing.assert_allclose(to_rec709(np.full((1, 1, 3), 0.18, np.float32)), 0.18, rtol=1e-4)


def test_the_autoencoder_is_judged_only_where_there_is_one():
    assert judged_kinds(SETTINGS) == ("clip", "film", "camera")
    with_one = SETTINGS.model_copy(update={"autoencoder": "somewhere"})
    assert judged_kinds(with_one) == ("clip", "film", "camera", "autoencoder")


# Files.


def test_records_hold_the_light_and_the_codes_that_come_from_it(made):
    folder, _, pairs = made
    assert pairs.sort("frame")["crops"].to_list() == [6, 6, 1]
    batch = CropRecords(folder / "pairs", "train").batch(np.arange(6))
    assert batch.dtype == crop_record(32)
    assert np.isfinite(batch["linear_rec709"]).all()
    assert (batch["linear_rec709"] >= 0).all()
    assert len({record["code8"].tobytes() for record in batch}) == 6
    plain = SETTINGS.model_copy(update={"renderings": NOTHING})
    make_display_pairs(made[1], folder, plain, folder / "plain")
    for record in CropRecords(folder / "plain", "val").batch(np.arange(6)):
        assert record["is_plain"]
        expected = quantise8(srgb_encode(np.clip(record["linear_rec709"].astype(np.float32), 0, 1)))
        assert np.abs(expected.astype(int) - record["code8"]).max() <= 1, "the light is of half floats"


def test_test_frames_are_pictures_whose_light_is_made_again_for_the_judge(made):
    folder, index, pairs = made
    name = pairs.filter(pl.col("split") == "test")["file"][0]
    # As read back: half floats.
    light = judged_light(some_light(3, 48, 80).astype(np.float16), SETTINGS.judged_size)
    assert index.filter(pl.col("frame") == "c").height == 1
    for kind in ("clip", "film"):
        stored = read_code8(folder / "pairs" / f"{name}_{kind}.png").code
        np.testing.assert_array_equal(stored, judged_picture(light, kind).code8)
    jpeg = read_code8(folder / "pairs" / f"{name}_camera.png").code
    off = np.abs(jpeg.astype(int) - judged_picture(light, "camera").code8)
    assert off.max() > 0
    assert not (folder / "pairs" / f"{name}_autoencoder.png").exists()


def test_judged_pictures_do_not_depend_on_seeds_and_other_frames(made, tmp_path):
    folder, index, pairs = made
    others = index.filter(pl.col("frame") != "b")
    settings = SETTINGS.model_copy(update={"seed": 9, "renderings": NOTHING})
    again = make_display_pairs(others, folder, settings, tmp_path / "again")
    for kind in judged_kinds(SETTINGS):
        one, other = (
            (
                tmp_path / where / f"{rows.filter(pl.col('split') == 'test')['file'][0]}_{kind}.png"
            ).read_bytes()
            for where, rows in (("pairs", pairs), ("again", again))
        )
        assert one == other


def test_the_autoencoders_picture_is_written_where_there_is_one(tmp_path):
    index = frames(tmp_path, {"a": "train", "c": "test"})
    settings = SETTINGS.model_copy(update={"autoencoder": "somewhere"})
    pairs = make_display_pairs(index, tmp_path, settings, tmp_path / "pairs", round_trip=Darker())
    name = pairs.filter(pl.col("split") == "test")["file"][0]
    film, through = (
        read_code8(tmp_path / "pairs" / f"{name}_{kind}.png").code.astype(int)
        for kind in ("film", "autoencoder")
    )
    np.testing.assert_array_equal(through, np.maximum(film - 2, 0))


def files(folder: Path):
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/*")}


def test_a_second_run_writes_nothing_and_a_new_frame_leaves_the_old_ones_alone(made):
    folder, index, pairs = made
    before = files(folder / "pairs")
    assert make_display_pairs(index, folder, SETTINGS, folder / "pairs").equals(pairs)
    assert files(folder / "pairs") == before
    more = frames(folder, {"another": "train"})
    make_display_pairs(pl.concat([index, more]), folder, SETTINGS, folder / "pairs")
    after = files(folder / "pairs")
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1


def test_pairs_do_not_depend_on_the_number_of_workers(made, tmp_path):
    folder, index, _ = made
    two = SETTINGS.model_copy(update={"workers": 2})
    make_display_pairs(index, folder, two, tmp_path / "two", round_trip=None)
    for one in (folder / "pairs").glob("*/*"):
        assert one.read_bytes() == (tmp_path / "two" / one.relative_to(folder / "pairs")).read_bytes()


def test_small_frames_make_crops_for_views_are_resized(tmp_path):
    """Down to what can be judged at all."""
    index = frames(tmp_path, {"a": "train"}, size=(12, 20))
    assert make_display_pairs(index, tmp_path, SETTINGS, tmp_path / "pairs")["crops"].sum() == 6
    tiny = frames(tmp_path, {"a": "train"}, size=(10, 20))
    with pytest.raises(HdrgenError, match=r"no training frame is .* pixels on both sides"):
        make_display_pairs(tiny, tmp_path, SETTINGS, tmp_path / "tiny")
