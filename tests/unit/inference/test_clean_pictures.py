"""Clean pictures of smooth light, as the commands fuse and merge them."""

import numpy as np
import pytest

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.exposure.bracket_tables import bracket_tables, encode_log2_code16
from hdrgen.exposure.log2_encoding import log2_encode
from hdrgen.inference import exposure_fusion, tone_fusion
from hdrgen.metrics.latitude import exposure_latitude
from hdrgen.models import flat_areas

CURVES = (Reinhard(), Log())
LOGC4 = ENCODINGS["logc4_awg4"]


@pytest.fixture(scope="module")
def linear_awg4():
    """Smooth light of sides that are no multiples of a network's stride."""
    y, x = np.mgrid[:150, :205] / 200
    light = 0.05 + 0.4 * x + 3 * np.exp(-4 * ((x - 0.7) ** 2 + (y - 0.2) ** 2))
    return (light[..., None] * [1, 0.8, 0.6]).astype(np.float32)


def banded_share(light):
    return max(exposure_latitude(light)["banded_share"].drop_nulls())


def error_levels(light, linear_awg4):
    return (log2_encode(light) - log2_encode(linear_awg4))[16:-16, 16:-16].std()


def without_smoothing(monkeypatch):
    monkeypatch.setattr(flat_areas, "MOSTLY_CONSISTENT", 2)


def test_a_fused_gradient_has_no_stairs_and_every_code_comes_back(monkeypatch, linear_awg4):
    pair = [quantise8(curve.encode(linear_awg4)) for curve in CURVES]
    fuser = tone_fusion.Fuser.load()
    smooth = fuser.fuse(*pair)
    np.testing.assert_array_equal(fuser.fuse(*pair, threads=1), smooth)
    for curve, code8 in zip(CURVES, pair, strict=True):
        np.testing.assert_array_equal(quantise8(curve.encode(smooth)), code8)
    without_smoothing(monkeypatch)
    stairs = fuser.fuse(*pair)
    assert banded_share(smooth) < 0.2
    assert banded_share(stairs) > 0.6
    assert error_levels(smooth, linear_awg4) < 0.4 * error_levels(stairs, linear_awg4)


@pytest.mark.parametrize("evs", [(0.0, 2.0), (-2.0, 0.0, 2.0, 4.0), (-4.0, -2.0, 0.0, 1.0, 2.0, 3.0)])
def test_a_merged_gradient_has_no_stairs(monkeypatch, linear_awg4, evs):
    codes = [quantise8(LOGC4.encode(linear_awg4 * 2.0**ev)) for ev in evs]
    tables = [bracket_tables("logc4_awg4", 8, ev, evs=evs) for ev in evs]
    merger = exposure_fusion.StackMerger.load()
    smooth = merger.merge(codes, tables, evs, reference=0).linear
    assert smooth.shape == linear_awg4.shape
    assert banded_share(smooth) < 0.15
    without_smoothing(monkeypatch)
    stairs = merger.merge(codes, tables, evs, reference=0).linear
    assert error_levels(smooth, linear_awg4) < 0.5 * error_levels(stairs, linear_awg4)


def test_places_that_are_hidden_in_all_brackets_but_one_are_smoothed_in_its_cells(monkeypatch, linear_awg4):
    evs = (0.0, 2.0)
    codes = [quantise8(LOGC4.encode(linear_awg4 * 2.0**ev)) for ev in evs]
    codes[1][40:90, 40:90] = 200  # something that moved
    occluded = [np.zeros(linear_awg4.shape[:2], bool) for _ in evs]
    occluded[1][40:90, 40:90] = True
    tables = [bracket_tables("logc4_awg4", 8, ev, evs=evs) for ev in evs]

    def errors_and_codes():
        merged = (
            exposure_fusion.StackMerger.load()
            .merge(codes, tables, evs, reference=0, occluded=occluded)
            .linear
        )
        inside = np.s_[60:70, 60:70]
        errors = log2_encode(merged[inside]) - log2_encode(linear_awg4[inside])
        return errors.std(), LOGC4.encode(merged[inside]) * 255 - codes[0][inside]

    smooth, within = errors_and_codes()
    assert np.abs(within).max() < 0.51
    without_smoothing(monkeypatch)
    assert smooth < 0.5 * errors_and_codes()[0]


def test_what_half_floats_cannot_hold_stays_out():
    evs = (-2.0, -1.0)
    codes = [encode_log2_code16(np.full((64, 64, 3), 120000.0) * 2.0**ev) for ev in evs]
    tables = [bracket_tables("log2_code16", 16, ev, evs=evs) for ev in evs]
    assert exposure_fusion.StackMerger.load().merge(codes, tables, evs, reference=0).linear.max() < 65504


@pytest.mark.parametrize("noise_codes", [2.0, 4.0])
def test_generated_pictures_are_not_touched(monkeypatch, linear_awg4, noise_codes):
    rng = np.random.default_rng(0)
    pair = [
        quantise8(curve.encode(linear_awg4) + rng.normal(0, noise_codes / 255, linear_awg4.shape))
        for curve in CURVES
    ]
    fuser = tone_fusion.Fuser.load()
    fused = fuser.fuse(*pair)
    without_smoothing(monkeypatch)
    np.testing.assert_array_equal(fused, fuser.fuse(*pair))
