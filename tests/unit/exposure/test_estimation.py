import cv2
import numpy as np
import pytest

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.tone_maps import quantise8
from hdrgen.exposure.bracket_tables import encode_level16
from hdrgen.exposure.estimation import check_evs, estimate_evs
from hdrgen.images.scene_image import read_scene_image
from hdrgen.runtime.errors import HdrgenError

EVS = (-2.0, 0.0, 2.0, 4.0)


def scene(rng, size=200):
    octaves = cv2.GaussianBlur(rng.normal(0, 1, (size, size, 3)), (0, 0), 5)
    return 0.18 * 2 ** (2 * octaves / octaves.std())


def brackets(linear, evs, rng, encoding="logc4_awg4", noise=3.0):
    codes = (np.clip(ENCODINGS[encoding].encode(linear * 2**ev), 0, 1) for ev in evs)
    return [quantise8(code + rng.normal(0, noise / 255, code.shape)) for code in codes]


@pytest.mark.parametrize("encoding", ["logc4_awg4", "logc3_awg3", "srgb_rec709"])
@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_exposures_are_told_from_the_pictures(encoding, noise):
    rng = np.random.default_rng(1)
    codes = brackets(scene(rng), EVS, rng, encoding, noise)
    assert estimate_evs(codes, encoding) == pytest.approx(EVS, abs=0.1)


def test_the_order_of_the_pictures_does_not_matter():
    rng = np.random.default_rng(2)
    evs = (4.0, -2.0, 2.0, 0.0)
    assert estimate_evs(brackets(scene(rng), evs, rng), "logc4_awg4") == pytest.approx(evs, abs=0.1)


def test_the_middle_of_three_is_ev_zero():
    rng = np.random.default_rng(3)
    codes = brackets(scene(rng), (-1.0, 0.5, 2.0), rng)
    assert estimate_evs(codes, "logc4_awg4") == pytest.approx((-1.5, 0.0, 1.5), abs=0.1)


def test_sixteen_bits_and_floats():
    rng = np.random.default_rng(4)
    light = scene(rng)
    code16 = [(ENCODINGS["logc4_awg4"].encode(light * 2**ev) * 65535).astype(np.uint16) for ev in EVS]
    assert estimate_evs(code16, "logc4_awg4") == pytest.approx(EVS, abs=0.02)
    floats = [encode_level16(light * 2**ev) for ev in EVS]
    assert estimate_evs(floats, "level16") == pytest.approx(EVS, abs=0.02)


@pytest.mark.parametrize("name", ["MtTamWest.exr", "Tree.exr", "hdr-rgb-arboretum.exr", "nancy_church.hdr"])
def test_real_frames_with_noise(name, shared_hdr):
    rng = np.random.default_rng(5)
    light = np.clip(read_scene_image(shared_hdr / "scenes" / name).rgb.astype(np.float32), 0, None)
    codes = brackets(light, EVS, rng)
    assert estimate_evs(codes, "logc4_awg4") == pytest.approx(EVS, abs=0.1)
    check_evs(codes, "logc4_awg4", EVS)


def test_exposure_errors_and_motion_are_tolerated():
    rng = np.random.default_rng(6)
    light = scene(rng)
    codes = brackets(light, (-2.3, 0.3, 1.7, 4.0), rng)
    codes = [np.roll(code, 9 * step, (0, 1)) for step, code in enumerate(codes)]
    codes[2][50:100, 60:110] = rng.integers(0, 256, 3, np.uint8)
    check_evs(codes, "logc4_awg4", EVS)
    assert estimate_evs(codes, "logc4_awg4") == pytest.approx(np.array((-2.6, 0.0, 1.4, 3.7)), abs=0.2)


def test_a_reversed_order_is_named():
    rng = np.random.default_rng(7)
    codes = brackets(scene(rng), EVS, rng)
    with pytest.raises(
        HdrgenError, match="given are 4 2 0 -2, but the pictures say -2 0 2 4: the order is rev"
    ):
        check_evs(codes, "logc4_awg4", EVS[::-1])


@pytest.mark.parametrize("given", [(-1.0, 0.0, 1.0, 2.0), (0.0, -2.0, 2.0, 4.0), (-2.0, 0.0, 2.0, 6.0)])
def test_contradictions_are_refused_with_both_sides(given):
    rng = np.random.default_rng(8)
    codes = brackets(scene(rng), EVS, rng)
    with pytest.raises(HdrgenError, match=r"the EVs given are .*, but the pictures say -?\d.*correct --ev"):
        check_evs(codes, "logc4_awg4", given)


def test_one_picture_given_twice_is_refused():
    rng = np.random.default_rng(9)
    (code,) = brackets(scene(rng), (0.0,), rng)
    with pytest.raises(HdrgenError, match="but the pictures say"):
        check_evs([code, code], "logc4_awg4", (0.0, 2.0))


def test_a_wrong_encoding_is_refused():
    rng = np.random.default_rng(10)
    codes = brackets(scene(rng), EVS, rng, "srgb_rec709")
    with pytest.raises(HdrgenError, match="--encoding"):
        check_evs(codes, "logc4_awg4", EVS)


def test_pictures_without_anything_in_common():
    codes = [np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)]
    with pytest.raises(HdrgenError, match=r"pictures 1 and 2 .*; give --ev"):
        estimate_evs(codes, "srgb_rec709")
    check_evs(codes, "srgb_rec709", (0.0, 2.0))  # says nothing against it either
