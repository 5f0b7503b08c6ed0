import numpy as np
import pytest

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.tone_maps import quantise8
from hdrgen.exposure.bracket_tables import bracket_cells, encode_level16
from hdrgen.exposure.classical_merge import (
    cell_intersection_merge,
    debevec_merge,
    inverse_variance_merge,
    robertson_merge,
    seen_share,
)
from hdrgen.images.scene_image import read_scene_image
from hdrgen.metrics.quality import peak_ratio, pu21_psnr

EVS = (-2.0, 0.0, 2.0, 4.0)


def light(rng, size=96):
    return 0.18 * 2 ** rng.normal(0, 2, (size, size, 3)).astype(np.float32)


def brackets(linear, rng=None, *, encoding="logc4_awg4", noise=0.0):
    codes = [np.clip(ENCODINGS[encoding].encode(linear * np.float32(2**ev)), 0, 1) for ev in EVS]
    return [quantise8(c + rng.normal(0, noise / 255, c.shape) if noise else c) for c in codes]


def cells(encoding="logc4_awg4", bits=8, evs=EVS):
    return [bracket_cells(encoding, bits, ev, evs=evs) for ev in evs]


def merges(codes, encoding="logc4_awg4"):
    return {
        "intersection": cell_intersection_merge(codes, cells(encoding)),
        "inverse variance": inverse_variance_merge(codes, cells(encoding)),
        "debevec": debevec_merge(codes, encoding, EVS),
        "robertson": robertson_merge(codes, encoding, EVS),
    }


@pytest.mark.parametrize("encoding", ["logc4_awg4", "srgb_rec709", "linear_rec709"])
def test_all_give_scene_linear_light_at_ev_zero(encoding):
    linear = np.clip(light(np.random.default_rng(1)), 0.1, 3.9)
    for name, merged in merges(brackets(linear, encoding=encoding), encoding).items():
        assert merged.dtype == np.float32, name
        assert merged.shape == linear.shape, name
        assert np.median(merged / linear) == pytest.approx(1, abs=0.01), name


def test_inverse_variance_against_the_formula():
    codes = [np.full((1, 1, 3), code, np.uint8) for code in (60, 90, 120, 150)]
    tables = cells()
    weights = [t.weight[code[0, 0, 0]] for t, code in zip(tables, codes, strict=True)]
    levels = [t.level[code[0, 0, 0]] for t, code in zip(tables, codes, strict=True)]
    expected = 2 ** np.average(levels, weights=weights) - 0.01
    np.testing.assert_allclose(inverse_variance_merge(codes, tables), expected, rtol=1e-5)


def test_intersection_against_the_formula():
    linear = light(np.random.default_rng(2), 16)
    codes, tables = brackets(linear), cells()
    lower = np.max([t.lower[c] for t, c in zip(tables, codes, strict=True)], 0)
    upper = np.min([t.upper[c] for t, c in zip(tables, codes, strict=True)], 0)
    np.testing.assert_allclose(
        cell_intersection_merge(codes, tables), 2 ** ((lower + upper) / 2) - 0.01, rtol=1e-5
    )


def test_clean_stacks_rank_the_methods():
    linear = light(np.random.default_rng(3))
    quality = {name: pu21_psnr(merged, linear) for name, merged in merges(brackets(linear)).items()}
    assert quality["intersection"] > quality["inverse variance"] + 0.5
    assert quality["inverse variance"] > quality["debevec"]
    assert quality["inverse variance"] > quality["robertson"]


@pytest.mark.parametrize("name", ["MtTamWest.exr", "Tree.exr", "openexr_test_office_comp_piz.exr"])
def test_real_clean_stacks_rank_the_methods(name, shared_hdr):
    linear = np.clip(read_scene_image(shared_hdr / "scenes" / name).rgb.astype(np.float32), 0, None)
    made = merges(brackets(linear))
    quality = {method: pu21_psnr(merged, linear) for method, merged in made.items()}
    assert quality["intersection"] > quality["inverse variance"] > quality["debevec"]
    assert peak_ratio(made["intersection"], linear) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("encoding", ["logc4_awg4", "srgb_rec709"])
def test_noise_that_came_after_clipping_does_no_harm(encoding):
    rng = np.random.default_rng(4)
    linear = np.clip(light(rng), 0, 3.9)
    made = merges(brackets(linear, rng, encoding=encoding, noise=3), encoding)
    assert np.median((made["inverse variance"] / linear)[linear > 1]) == pytest.approx(1, abs=0.02)
    assert pu21_psnr(made["inverse variance"], linear) > pu21_psnr(made["debevec"], linear)


def test_a_peak_beyond_the_curve_comes_from_the_darkest_bracket():
    linear = np.geomspace(300, 1500, 48, dtype=np.float32).reshape(4, 4, 3)
    for merge in (inverse_variance_merge, cell_intersection_merge):
        np.testing.assert_allclose(merge(brackets(linear), cells()), linear, rtol=0.1)


def test_where_all_are_clipped_the_darkest_bracket_decides():
    codes = [np.full((2, 2, 3), 255, np.uint8)] * 4
    for merge in (inverse_variance_merge, cell_intersection_merge):
        np.testing.assert_allclose(merge(codes, cells()), 469.8 * 4, rtol=1e-3)
    black = [np.zeros((2, 2, 3), np.uint8)] * 4
    np.testing.assert_allclose(inverse_variance_merge(black, cells()), 0, atol=1e-5)


def test_occluded_pixels_have_no_weight():
    linear = light(np.random.default_rng(5), 32)
    codes = brackets(linear)
    codes[3] = codes[3].copy()
    codes[3][8:16, 8:16] = 0
    occluded = [np.zeros((32, 32), bool) for _ in EVS]
    occluded[3][8:16, 8:16] = True
    merged = inverse_variance_merge(codes, cells(), occluded)
    without = inverse_variance_merge(codes[:3], cells()[:3])
    np.testing.assert_allclose(merged[8:16, 8:16], without[8:16, 8:16], rtol=1e-5)
    np.testing.assert_array_equal(merged[:8], inverse_variance_merge(codes, cells())[:8])


def test_where_all_are_occluded_the_plain_average_stands():
    codes = brackets(light(np.random.default_rng(6), 8))
    everywhere = [np.ones((8, 8), bool)] * 4
    np.testing.assert_array_equal(
        inverse_variance_merge(codes, cells(), everywhere), inverse_variance_merge(codes, cells())
    )


def test_sixteen_bits_are_nearly_exact_and_mix_with_eight():
    linear = light(np.random.default_rng(7), 32)
    curve = ENCODINGS["logc4_awg4"]
    code16 = [(np.clip(curve.encode(linear * 2**ev), 0, 1) * 65535 + 0.5).astype(np.uint16) for ev in EVS]
    merged = cell_intersection_merge(code16, cells(bits=16))
    np.testing.assert_allclose(merged, linear, rtol=2e-3, atol=1e-5)
    mixed = [brackets(linear)[0], *code16[1:]]
    merged = inverse_variance_merge(mixed, [cells()[0], *cells(bits=16)[1:]])
    assert pu21_psnr(merged, linear) > 60
    # OpenCV takes 8 bits: 16 are rounded to them.
    np.testing.assert_array_equal(
        debevec_merge(code16, "logc4_awg4", EVS), debevec_merge(brackets(linear), "logc4_awg4", EVS)
    )


def test_float_brackets():
    linear = light(np.random.default_rng(8), 32)
    codes = [encode_level16(linear * 2**ev) for ev in EVS]
    tables = [bracket_cells("level16", 16, ev, evs=EVS) for ev in EVS]
    np.testing.assert_allclose(inverse_variance_merge(codes, tables), linear, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_seen_is_what_some_bracket_shows_neither_clipped_nor_occluded(threads):
    codes = [np.full((600, 4, 3), 255, np.uint8), np.full((600, 4, 3), 255, np.uint8)]
    codes[0][300:, :, 0] = 100
    codes[1][300:, 2:] = 100
    occluded = [np.zeros((600, 4), bool) for _ in codes]
    occluded[1][500:] = True
    tables = cells()[1:3]
    share = seen_share(codes, tables, threads=threads)
    assert share.dtype == np.float32
    assert not share[:300].any()
    np.testing.assert_allclose(share[300:, :2], 1 / 3)
    assert (share[300:, 2:] == 1).all()
    hidden = seen_share(codes, tables, occluded, threads=threads)
    np.testing.assert_array_equal(hidden[:500], share[:500])
    np.testing.assert_allclose(hidden[500:], 1 / 3)
