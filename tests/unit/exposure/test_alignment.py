import cv2
import numpy as np
import pytest

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.tone_maps import quantise8
from hdrgen.exposure import alignment
from hdrgen.exposure.alignment import align_stack
from hdrgen.exposure.bracket_tables import bracket_cells
from hdrgen.exposure.tone_map_tables import level_decode, level_encode
from hdrgen.images.scene_image import read_scene_image
from hdrgen.runtime.errors import HdrgenError

EVS = (-2.0, 0.0, 2.0, 4.0)
MARGIN = 32
SIX_STOPS = (-2.0, 4.0)


def texture(rng, size=256 + 2 * MARGIN):
    """Return light with detail of several sizes over some ten stops."""
    octaves = sum(
        sigma * cv2.GaussianBlur(rng.normal(0, 1, (size, size, 3)), (0, 0), sigma)
        for sigma in (1.5, 4, 12, 40)
    )
    return (0.18 * 2 ** (2 * octaves / octaves.std())).astype(np.float32)


def real(shared_hdr, name, size=384):
    rgb = np.clip(read_scene_image(shared_hdr / "scenes" / name).rgb.astype(np.float32), 0, None)
    top, left = ((side - size) // 2 for side in rgb.shape[:2])
    return np.ascontiguousarray(rgb[top : top + size, left : left + size])


def moved(linear, flow):
    """Return the light as a reference sees it whose pixel x is the bracket's pixel x + flow; margins cut off."""
    height, width, _ = flow.shape
    y, x = np.mgrid[:height, :width].astype(np.float32) + MARGIN
    level = cv2.remap(level_encode(linear), x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
    return level_decode(level)


def shift(dx, dy, size):
    return np.full((size, size, 2), (dx, dy), np.float32)


def warp(pixels, size, rng):
    coarse = cv2.resize(rng.normal(0, 1, (4, 4, 2)), (size, size), interpolation=cv2.INTER_CUBIC)
    return (pixels * coarse / np.abs(coarse).max()).astype(np.float32)


def bracket(linear, ev, rng, *, encoding="logc4_awg4", noise=3.0):
    code = np.clip(ENCODINGS[encoding].encode(linear * np.float32(2**ev)), 0, 1)
    return quantise8(code + rng.normal(0, noise / 255, code.shape))


def cells(*evs, encoding="logc4_awg4"):
    return [bracket_cells(encoding, 8, ev, evs=EVS) for ev in evs]


def stack(flow, evs, linear, rng, **made):
    """Return two brackets, the first displaced by ``flow``, and their tables."""
    size = len(flow)
    reference = bracket(moved(linear, flow), evs[0], rng, **made)
    other = bracket(linear[MARGIN : MARGIN + size, MARGIN : MARGIN + size], evs[1], rng, **made)
    return [reference, other], cells(*evs, encoding=made.get("encoding", "logc4_awg4"))


def end_point_error(flow, evs, linear, rng, **made):
    """Return the median end-point error in pixels, away from the border."""
    (reference, other), (reference_cells, other_cells) = stack(flow, evs, linear, rng, **made)
    pictures = alignment._comparable(reference, reference_cells, other, other_cells)
    found, _ = alignment._flow(*pictures)
    return float(np.median(np.linalg.norm(found - flow, axis=-1)[24:-24, 24:-24]))


FLOWS = {
    "1 px": lambda size, _: shift(1, 0, size),
    "2.5 px": lambda size, _: shift(2.5, -1.3, size),
    "7 px": lambda size, _: shift(-5, 5, size),
    "16 px": lambda size, _: shift(16, 0, size),
    "warp of 3 px": lambda size, rng: warp(3, size, rng),
    "warp of 8 px": lambda size, rng: warp(8, size, rng),
}


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
@pytest.mark.parametrize("evs", [SIX_STOPS, (0.0, -2.0), (0.0, 4.0)], ids=str)
@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_known_motion_of_a_texture_is_found(flow, evs, noise):
    rng = np.random.default_rng(3)
    light = texture(rng)
    assert end_point_error(flow(256, rng), evs, light, rng, noise=noise) < 0.75


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
@pytest.mark.parametrize("name", ["Cannon.exr", "hdr-rgb-arboretum.exr", "nancy_church.hdr", "Tree.exr"])
def test_known_motion_of_real_frames_is_found_across_six_stops(flow, name, shared_hdr):
    rng = np.random.default_rng(4)
    light = real(shared_hdr, name)
    size = len(light) - 2 * MARGIN
    assert end_point_error(flow(size, rng), SIX_STOPS, light, rng) < 1


def test_srgb_with_its_few_stops_in_common_is_aligned_too():
    rng = np.random.default_rng(5)
    error = end_point_error(warp(8, 256, rng), (0.0, 2.0), texture(rng), rng, encoding="srgb_rec709")
    assert error < 0.5


@pytest.mark.parametrize("encoding", ["logc4_awg4", "srgb_rec709"])
@pytest.mark.parametrize("noise", [0.0, 3.0])
@pytest.mark.parametrize("error_stops", [0.0, 0.1, -0.1])
def test_a_static_stack_is_the_very_arrays(encoding, noise, error_stops):
    rng = np.random.default_rng(6)
    light = texture(rng)
    made = [bracket(light, ev + error_stops * (ev > 0), rng, encoding=encoding, noise=noise) for ev in EVS]
    aligned = align_stack(made, cells(*EVS, encoding=encoding), reference=1)
    assert all(after is before for after, before in zip(aligned.codes, made, strict=True))
    assert max(occluded.mean() for occluded in aligned.occluded) < 1e-3


def test_static_real_frames_are_the_very_arrays(shared_hdr):
    rng = np.random.default_rng(7)
    # The last is nearly all darkness and noise, in which any flow could be found.
    for name in ("Cannon.exr", "Tree.exr", "openexr_test_office_comp_piz.exr", "CandleGlass.exr"):
        light = real(shared_hdr, name)
        for noise in (0.0, 3.0):
            made = [bracket(light, ev, rng, noise=noise) for ev in EVS]
            aligned = align_stack(made, cells(*EVS), reference=1)
            assert all(after is before for after, before in zip(aligned.codes, made, strict=True)), name
            assert max(occluded.mean() for occluded in aligned.occluded) < 1e-3, name


def test_what_was_moved_shows_what_the_reference_does():
    rng = np.random.default_rng(8)
    light, flow = texture(rng), warp(6, 256, rng)
    codes, tables = stack(flow, (0.0, 2.0), light, rng, noise=0)
    aligned = align_stack(codes, tables, reference=0)
    true = bracket(moved(light, flow), 2.0, rng, noise=0).astype(np.float64)
    assert aligned.codes[1].dtype == np.uint16
    inside = np.s_[24:-24, 24:-24]
    before, after = (np.abs(code - true)[inside].mean() for code in (codes[1], aligned.codes[1] / 257))
    assert after < before / 5
    assert aligned.occluded[1][inside].mean() < 0.01


def test_what_comes_from_beyond_the_picture_is_occluded():
    rng = np.random.default_rng(9)
    aligned = align_stack(*stack(shift(16, 0, 256), (0.0, 2.0), texture(rng), rng), reference=0)
    assert aligned.occluded[1][:, -14:].all()
    assert aligned.occluded[1][:, 24:-24].mean() < 0.01


@pytest.mark.parametrize("evs", [(0.0, -2.0), (0.0, 4.0), SIX_STOPS], ids=str)
def test_a_square_that_appears_is_occluded_and_little_else(evs):
    rng = np.random.default_rng(10)
    behind = texture(rng)
    in_front = behind.copy()
    square = np.zeros(behind.shape[:2], bool)
    square[120:180, 90:150] = True
    in_front[square] = behind[square][::-1] * 3
    made = [bracket(behind, evs[0], rng), bracket(in_front, evs[1], rng)]
    occluded = align_stack(made, cells(*evs), reference=0).occluded[1]
    assert occluded[square].mean() > 0.6
    assert occluded[~cv2.dilate(square.astype(np.uint8), np.ones((25, 25))).astype(bool)].mean() < 0.005


def test_a_moving_square_leaves_no_ghost():
    rng = np.random.default_rng(11)
    behind = texture(rng)
    patch = np.clip(4 * texture(rng, 48), 0.5, None)

    def scene(left):
        light = behind.copy()
        light[130:178, left : left + 48] = patch
        return light

    truth = bracket(scene(120), 2.0, rng, noise=0).astype(np.float64)
    made = [bracket(scene(120), 0.0, rng), bracket(scene(132), 2.0, rng)]
    aligned = align_stack(made, cells(0.0, 2.0), reference=0)
    ghost = np.abs(made[1] - truth).max(-1) > 25
    left = np.abs(aligned.codes[1] / (257 if aligned.codes[1].dtype == np.uint16 else 1) - truth).max(-1) > 25
    assert (left & ~aligned.occluded[1]).sum() < ghost.sum() / 3


def test_a_highlight_that_the_reference_clips_comes_from_its_surroundings():
    rng = np.random.default_rng(12)
    light = texture(rng)
    y, x = np.mgrid[:320, :320]
    light += 1500 * np.exp(-(((x - 160) ** 2 + (y - 160) ** 2) / 400))[..., None].astype(np.float32)
    aligned = align_stack(*stack(shift(9, -6, 256), (0.0, -2.0), light, rng), reference=0)
    true = bracket(moved(light, shift(9, -6, 256)), -2.0, rng, noise=0)
    peak = np.s_[112:140, 106:134]
    assert np.abs(aligned.codes[1][peak] / 257 - true[peak]).mean() < 4
    assert not aligned.occluded[1][peak].any()


def test_the_same_stack_is_aligned_the_same_way():
    light = texture(np.random.default_rng(13))

    def aligned():
        rng = np.random.default_rng(14)
        return align_stack(*stack(warp(5, 256, rng), (0.0, 2.0), light, rng), reference=0)

    first, second = aligned(), aligned()
    np.testing.assert_array_equal(first.codes[1], second.codes[1])
    np.testing.assert_array_equal(first.occluded[1], second.occluded[1])


def test_threads_change_nothing():
    rng = np.random.default_rng(1)
    light = texture(rng)
    flows = (shift(3, 1, 256), shift(0, 0, 256), shift(-2, 2, 256), shift(6, -4, 256))
    codes = [bracket(moved(light, flow), ev, rng) for flow, ev in zip(flows, EVS, strict=True)]
    one, three = (align_stack(codes, cells(*EVS), reference=1, threads=threads) for threads in (1, 3))
    for part in ("codes", "occluded"):
        for a, b in zip(getattr(one, part), getattr(three, part), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (33, 35), (12, 300)])
def test_small_pictures_pass(size):
    rng = np.random.default_rng(15)
    made = [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(2)]
    aligned = align_stack(made, cells(0.0, 2.0), reference=0)
    assert aligned.codes[1].shape == (*size, 3)
    assert aligned.occluded[1].shape == size


def test_sixteen_bit_brackets_are_aligned():
    rng = np.random.default_rng(16)
    light, flow = texture(rng), shift(11, 4, 256)
    codes = [
        (ENCODINGS["logc4_awg4"].encode(linear * np.float32(2**ev)).clip(0, 1) * 65535).astype(np.uint16)
        for linear, ev in ((moved(light, flow), 0.0), (light[MARGIN:-MARGIN, MARGIN:-MARGIN], 2.0))
    ]
    tables = [bracket_cells("logc4_awg4", 16, ev, evs=EVS) for ev in (0.0, 2.0)]
    aligned = align_stack(codes, tables, reference=0)
    true = ENCODINGS["logc4_awg4"].encode(moved(light, flow) * 4).clip(0, 1) * 65535
    inside = np.s_[24:-24, 24:-24]
    assert np.median(np.abs(aligned.codes[1] - true)[inside]) < 65535 * 0.002


def test_brackets_of_two_sizes_are_refused():
    made = [np.zeros((40, 50, 3), np.uint8), np.zeros((40, 60, 3), np.uint8)]
    with pytest.raises(HdrgenError, match="50x40 against 60x40"):
        align_stack(made, cells(0.0, 2.0), reference=0)
