"""`merge` of stacks with a picture that does not belong, and of several pictures of one exposure.

Inputs are written by Pillow and OpenImageIO, results read by OpenImageIO.
"""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image

EVS = (-4, -2, 0, 2)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def scene(seed=0, height=128, width=192):
    """Return gradients with grain from 0.01 to some hundreds."""
    rng = np.random.default_rng(seed)
    stops = cv2.resize(rng.uniform(-4, 5.5, (5, 7)), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 1.2)
    return (0.18 * 2.0 ** (stops + grain)[..., None]).repeat(3, -1).astype(np.float32)


@pytest.fixture(scope="module")
def light():
    return scene()


def save(name: str, linear: np.ndarray, noise=1.0, seed=0) -> str:
    """Write light as an 8-bit sRGB PNG with noise, in codes."""
    linear = np.clip(linear, 0, 1)
    code = 255 * np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, linear * 12.92)
    code += np.random.default_rng(seed).normal(0, noise, linear.shape) if noise else 0
    Image.fromarray(np.clip(code + 0.5, 0, 255).astype(np.uint8)).save(name)
    return name


def exposures(light, evs=EVS, **how) -> list[str]:
    return [save(f"shot_ev{ev:+g}.png", light * 2.0**ev, seed=n, **how) for n, ev in enumerate(evs)]


def merge(cli, names, *options, code=0, method="closed"):
    """Return the light as another library reads it, what the command says of it, and stderr."""
    common = ("--encoding", "srgb", "--space", "linear_rec709", "--method", method, "--json")
    said = cli("merge", *names, "-o", "out.exr", *common, *options)
    assert said.code == code, said.err
    if code == 2:
        return None, None, said.err
    return oiio.ImageBuf("out.exr").get_pixels(oiio.FLOAT), json.loads(said.out)["files"][0], said.err


def error_stops(got, light):
    lit = (light > 0.03) & (light < 14)
    return float(np.median(np.abs(np.log2(np.maximum(got, 1e-6) / light))[lit]))


BAD = {
    "black": (np.zeros_like, 0.0, "carries nothing"),
    "white": (lambda light: np.full_like(light, 9), 0.0, "carries nothing"),
    "grey": (lambda light: np.full_like(light, 0.2), 0.0, "is one flat tone, which carries nothing"),
    "black with noise": (np.zeros_like, 2.5, "carries nothing"),
    "another scene": (lambda _: scene(7), 1.0, "shows another scene than the others, or is turned"),
    "turned": (lambda light: light[::-1, ::-1], 1.0, "shows another scene than the others, or is turned"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("at", range(4))
def test_a_picture_that_does_not_belong_is_left_out_wherever_it_lies(cli, light, bad, at):
    """Where the reference lies, EV 0, a black one cost 25 stops."""
    names = exposures(light)
    without = [name for name in names if name != names[at]]
    expected, _, _ = merge(cli, without)
    picture, noise, why = BAD[bad]
    save(names[at], picture(light) * (2.0 ** EVS[at] if noise == 1 else 1), noise, seed=9)
    got, facts, err = merge(cli, names)
    if bad == "black with noise" and at == 0:  # there the scene itself is almost black
        assert error_stops(got, light) < 0.1
        return
    np.testing.assert_array_equal(got, expected)
    assert f"note: left out: {names[at]} {why}" in err
    assert [Path(source).name for source in facts["sources"]] == without
    assert facts["warnings"] == []


def test_the_network_never_sees_what_is_left_out(cli, light):
    names = exposures(light)
    save(names[2], np.zeros_like(light), 0)
    got, _, _ = merge(cli, names, method="learned")
    assert error_stops(got, light) < 0.06


def test_a_black_float_picture_is_left_out(cli, light):
    names = []
    for ev in EVS:
        names.append(f"float_ev{ev:+d}.exr")
        exposed = light * (2.0**ev if ev else 0)
        spec = oiio.ImageSpec(exposed.shape[1], exposed.shape[0], 3, oiio.HALF)
        out = oiio.ImageOutput.create(names[-1])
        out.open(names[-1], spec)
        out.write_image(exposed.astype(np.float32))
        out.close()
    said = cli("merge", *names, "-o", "out.exr", "--method", "closed", "--space", "linear_rec709")
    assert said.code == 0, said.err
    assert "left out: float_ev+0.exr carries nothing" in said.err
    assert error_stops(oiio.ImageBuf("out.exr").get_pixels(oiio.FLOAT), light) < 0.01


def test_evs_that_were_given_stay_with_their_pictures(cli, light):
    names = exposures(light)
    save(names[0], np.zeros_like(light), 0)
    got, facts, _ = merge(cli, names, "--ev", *map(str, EVS))
    assert facts["evs"] == [-2, 0, 2]
    assert error_stops(got, light) < 0.1


def test_without_a_majority_the_merge_is_refused(cli, light):
    names = exposures(light, (-2, 0))
    save(names[1], scene(7))
    _, _, err = merge(cli, names, code=2)
    assert "shot_ev-2.png, shot_ev+0.png: show different scenes, or some are turned; merge them apart" in err
    assert not Path("out.exr").exists()


def test_one_picture_is_too_few_to_be_left(cli, light):
    names = exposures(light, (-2, 0))
    save(names[1], np.full_like(light, 9), 0)
    _, _, err = merge(cli, names, code=2)
    assert "shot_ev+0.png carries nothing; only shot_ev-2.png is left to merge" in err


def test_a_camera_that_moved_is_no_other_scene(cli):
    big = scene(3, 160, 240)
    names = [
        save(f"hand_ev{ev:+d}.png", big[d : d + 128, 2 * d : 2 * d + 192] * 2.0**ev, seed=d)
        for ev, d in ((-2, 0), (0, 6), (2, 3))
    ]
    _, facts, _ = merge(cli, names)
    assert len(facts["evs"]) == 3


def test_what_is_rightly_black_or_white_stays_in_the_stack(cli, light):
    """A scene may be too dark for the short exposures: as before, and nothing is said."""
    dark = np.clip(light, 0.01, 0.05) / 16
    got, facts, err = merge(cli, exposures(dark, (-4, 0, 4, 5), noise=0))
    assert facts["evs"] == [-4, 0, 4, 5]
    assert "left out" not in err
    assert np.median(np.abs(np.log2(got / dark))) < 0.1


def test_dark_and_bright_ends_of_a_long_stack_stay_in_it(cli, light):
    """Little of the picture is in the darkest and the brightest, and what is there is in no other."""
    _, facts, _ = merge(cli, exposures(light, (-7, -4, 0, 4, 6)))
    assert facts["evs"] == [-7, -4, 0, 4, 6]


@pytest.mark.parametrize("bright", [2, 1])
def test_a_black_picture_is_left_out_where_the_others_are_only_clipped(cli, light, bright):
    """What is clipped is at least as bright as the code says; it was no word against a black picture."""
    shown = (
        np.where(light > 0.7, 40, 0.02).astype(np.float32)
        * np.linspace(0.8, 1.2, 192, dtype=np.float32)[:, None]
    )
    assert 0.2 < (light > 0.7).mean() < 0.7
    names = exposures(shown, (-4, bright - 1, bright), noise=0)
    save(names[0], np.zeros_like(light), 0)
    expected, _, _ = merge(cli, names[1:])
    got, _, err = merge(cli, names)
    assert f"note: left out: {names[0]} carries nothing" in err
    np.testing.assert_array_equal(got, expected)


def test_a_black_float_picture_is_left_out_where_the_others_are_only_clipped(cli):
    """It has the others' ceiling, which it does not reach, and so no code of its own is clipped."""
    rng = np.random.default_rng(0)
    linear = rng.uniform(0.01, 0.03, (128, 192, 3)).astype(np.float32)
    linear[:, :70] = rng.uniform(0.6, 30, (128, 70, 3))
    names = []
    for ev, exposed in ((-4, linear * 0), (1, linear * 2), (2, linear * 4)):
        names.append(f"shot_ev{ev:+d}.exr")
        out = oiio.ImageOutput.create(names[-1])
        out.open(names[-1], oiio.ImageSpec(192, 128, 3, oiio.HALF))
        out.write_image(np.minimum(exposed, 1))
        out.close()
    said = cli("merge", *names, "-o", "out.exr", "--method", "closed", "--ceiling", "1")
    assert f"left out: {names[0]} carries nothing" in said.err
    assert said.code == 0


def test_a_reference_that_was_left_out_is_said_to_be(cli, light):
    names = exposures(light)
    save(names[2], np.zeros_like(light), 0)
    _, _, err = merge(cli, names, "--reference", "0", code=2)
    assert "no exposure has EV 0 to be the reference; there are -4 -2 2" in err
    assert f"left out: {names[2]} carries nothing" in err


# Figures that show failure.


def test_a_picture_that_nobody_saw_is_a_warning_and_an_exit_code(cli, light):
    _, facts, err = merge(cli, exposures(light, (5, 7)), code=1)
    assert facts["unseen_share"] > 0.67
    assert "of the pixels are clipped in every exposure" in facts["warnings"][0]
    assert "warning: shot_ev+5.png: " in err


def test_an_object_on_black_ground_is_no_failure(cli, light):
    """What is black in the brightest exposure is known: it is dark."""
    ground = np.ones(light.shape[:2], bool)
    ground[40:80, 60:130] = False
    shown = np.where(ground[..., None], 0, light)
    got, facts, _ = merge(cli, exposures(shown, noise=0))
    assert facts["unseen_share"] > 0.67
    assert facts["warnings"] == []
    assert got[ground].max() < 1e-3
    assert error_stops(got[~ground], light[~ground]) < 0.1


def test_exposures_that_contradict_each_other_are_a_warning_and_an_exit_code(cli, light):
    names = exposures(light, (-2, 0))
    changed = light.copy()
    changed[:64, :140] = light[:64, :140] * 4
    changed[64:, :140] = light[64:, :140] / 4
    save(names[0], changed * 2.0**-2)
    _, facts, err = merge(cli, names, "--no-align", code=1)
    assert facts["disagreement"] > 0.33
    assert "contradicts the result" in facts["warnings"][0]
    assert "warning: " in err


def test_a_stack_that_goes_well_has_no_warnings(cli, light):
    _, facts, err = merge(cli, exposures(light))
    assert facts["warnings"] == []
    assert facts["disagreement"] < 0.1
    assert "warning" not in err


# Several pictures of one exposure, and many exposures.


@pytest.mark.parametrize("method", ["closed", "learned"])
def test_pictures_of_one_exposure_are_averaged(cli, light, method):
    """Four times as many, half the noise; more than nine pictures."""
    evs = (-4, -1, 2)
    names = [
        [save(f"{n}_{ev:+d}.png", light * 2.0**ev, 3, seed=10 * n + ev + 5) for ev in evs] for n in range(4)
    ]
    got, facts, err = merge(cli, names[0], "--ev", *map(str, evs), method=method)
    once = error_stops(got, light)
    every = [name for few in names for name in few]
    got, facts, err = merge(cli, every, "--ev", *map(str, evs * 4), method=method)
    assert error_stops(got, light) < 0.7 * once
    assert facts["evs"] == sorted(evs * 4)
    assert "12 pictures of 3 exposures; those of one are averaged" in err


def test_a_burst_of_one_exposure_is_its_mean(cli, light):
    lit = np.clip(light, 0.05, 0.9)
    names = [save(f"{n}.png", lit, 3, seed=n) for n in range(6)]
    got, facts, _ = merge(cli, names, "--ev", *["0"] * 6, "--no-align")
    linear = [np.asarray(Image.open(name), np.float64) / 255 for name in names]
    by_hand = np.mean([np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92) for c in linear], 0)
    seen = lit < 0.8
    assert np.abs(np.log2(got[seen] / by_hand[seen])).max() < 0.03
    assert "6 pictures of one exposure are averaged, which shows no more light" in " ".join(facts["notes"])


def test_clean_pictures_of_one_exposure_stay_clean(cli, light):
    """Each code bounds the light; averaging must not pretend to more than they say."""
    names = exposures(light, (-4, -2, 0, 2), noise=0)
    alone, _, _ = merge(cli, names, method="learned")
    shifted = [save(f"again_ev{ev:+g}.png", light * 1.001 * 2.0**ev, 0) for ev in (-4, -2, 0, 2)]
    got, _, _ = merge(cli, [*names, *shifted], method="learned")
    assert error_stops(got, light) <= error_stops(alone, light) * 1.05


def test_thirteen_exposures(cli, light):
    evs = tuple(float(ev) for ev in np.arange(-4, 2.5, 0.5))
    got, facts, _ = merge(cli, exposures(light, evs), method="learned")
    assert len(facts["evs"]) == 13
    few, _, _ = merge(cli, exposures(light, (-4.0, -2.0, 0.0, 2.0)), method="learned")
    assert error_stops(got, light) < error_stops(few, light)


def test_one_picture_under_two_names_is_refused(cli, light):
    names = exposures(light, (-2, 0))
    shutil.copy(names[1], "copy.png")
    _, _, err = merge(cli, [*names, "copy.png"], "--ev", "-2", "0", "0", code=2)
    assert "shot_ev+0.png and copy.png hold the same picture; leave one out" in err


# EVs that the pictures do not tell.


@pytest.mark.parametrize(
    ("values", "noise", "why"),
    [
        ((0.05, 0.2, 0.4), 0, "picture 1 is flat, which does not tell its exposure; give --ev"),
        ((0.05, 0.2, 0.4), 2, "picture 1 is flat, which does not tell its exposure; give --ev"),
        ((0.0005, 0.001, 0.0015), 1, "carries nothing"),
    ],
)
def test_auto_does_not_guess_from_flat_or_dark_pictures(cli, light, values, noise, why):
    names = [save(f"{n}.png", np.full_like(light, v), noise, seed=n) for n, v in enumerate(values)]
    _, _, err = merge(cli, names, "--ev", "auto", code=2)
    assert why in err


def test_a_reversed_order_is_still_refused(cli, light):
    names = exposures(light)
    _, _, err = merge(cli, names, "--ev", "2", "0", "-2", "-4", code=2)
    assert "the order is reversed" in err


def test_nan_is_still_refused(cli, light):
    bad = light.copy()
    bad[3, 4, 1] = np.nan
    for name, picture in (("a_ev-2.exr", light / 4), ("b_ev0.exr", bad)):
        out = oiio.ImageOutput.create(name)
        out.open(name, oiio.ImageSpec(192, 128, 3, oiio.HALF))
        out.write_image(picture)
        out.close()
    said = cli("merge", "a_ev-2.exr", "b_ev0.exr", "-o", "out.exr")
    assert said.code == 2
    assert "b_ev0.exr" in said.err
    assert "NaN" in said.err
