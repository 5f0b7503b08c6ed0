"""Light of pictures: what is seen comes back exactly, whatever the network says, and only what is clipped is invented."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from hdrgen.colour import ocio
from hdrgen.colour.display import srgb_decode, srgb_encode
from hdrgen.inference import highlights
from hdrgen.inference.highlights import Recoverer
from hdrgen.models.highlights import (
    FIRST_INVENTED_CODE,
    GREY_CODE,
    KNOTS,
    Highlights,
    HighlightsNet,
    curve_stops,
)

SMALL = Highlights(widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), curve_widths=(8, 8, 8))
CURVES = ("auto", "srgb", "film", "aces13", "aces2")


def loud_recoverer(dtype=torch.float32):
    """Return an untrained network that says nonsense, loudly."""
    torch.manual_seed(0)
    net = HighlightsNet(SMALL)
    for layer in (net.mixture, net.plain, net.unet.head):
        nn.init.normal_(layer.weight, std=0.5)
    net.curve_mean.normal_(0, 0.3)
    net.curve_components.normal_(0, 0.3)
    return Recoverer(net, "0" * 12, dtype)


class Says(nn.Module):
    """A network that says what it is told to: one curve, one decision, the same stops everywhere."""

    settings = SMALL

    def __init__(self, *, slope=1.0, plain=-5.0, stops=3.0):
        super().__init__()
        self.slopes = torch.full((1, KNOTS), float(np.log(slope)))
        self.logit, self.stops, self.look = torch.tensor([plain]), stops, nn.ModuleList()

    def forward(self, code, _counts, given):
        self.given = float(given)
        return self.slopes, self.logit, torch.full(code.shape, float(self.stops))


def told(**said):
    return Recoverer(Says(**said), "0" * 12, torch.float32)


def greys(codes, height=2):
    return np.repeat(np.float32(codes)[None, :, None], 3, axis=-1).repeat(height, 0)


def noise(height=40, width=56, seed=0):
    code8 = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    code8[:4] = 255
    return code8.astype(np.float32)


def codes_of(linear):
    return np.rint(srgb_encode(np.clip(linear, 0, 1)) * 255)


# What is seen.


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_plain_srgb_every_code_comes_back(dtype):
    code = greys(np.arange(255))
    light = loud_recoverer(dtype).recover(code.copy(), curve="srgb", threads=1)
    np.testing.assert_array_equal(codes_of(light.linear), code)
    np.testing.assert_allclose(light.linear, srgb_decode(code / 255), rtol=2e-6, atol=1e-9)
    assert (light.observed == 1).all()
    coloured = noise()
    linear = loud_recoverer(dtype).recover(coloured.copy(), curve="srgb", threads=1).linear
    seen = coloured < 255
    np.testing.assert_array_equal(codes_of(linear)[seen], coloured[seen])
    # After half floats too.
    np.testing.assert_array_equal(
        codes_of(linear.astype(np.float16).astype(np.float32))[seen], coloured[seen]
    )


def test_codes_between_codes_are_between_their_light():
    fine = greys(np.linspace(0, 254, 5000))
    linear = loud_recoverer().recover(fine.copy(), curve="srgb", threads=1).linear
    np.testing.assert_allclose(linear, srgb_decode(fine / 255), rtol=1e-3, atol=2e-6)
    assert (np.diff(linear[0, :, 1]) > 0).all()


@pytest.mark.parametrize("curve", CURVES)
def test_light_rises_with_the_code(curve):
    linear = loud_recoverer().recover(greys(np.arange(236)), curve=curve, threads=1).linear[0, :, 1]
    assert (linear >= 0).all()
    assert (np.diff(linear[1:]) > 0).all()
    assert np.isfinite(linear).all()


def test_grey_stays_grey():
    for curve in ("auto", "srgb", "film"):
        linear = loud_recoverer().recover(greys([GREY_CODE]), curve=curve, threads=1).linear
        np.testing.assert_allclose(linear, srgb_decode(np.float32(GREY_CODE / 255)), rtol=1e-5)


def test_the_curve_is_the_networks_where_it_says_that_there_is_one():
    code = greys(np.arange(235))
    stops = curve_stops(torch.full((1, KNOTS), float(np.log(1.5))))[0].numpy()
    for curve, logit, name in (
        ("auto", -5.0, "film"),
        ("film", 5.0, "film"),
        ("auto", 5.0, "srgb"),
        ("srgb", -5.0, "srgb"),
    ):
        light = told(slope=1.5, plain=logit).recover(code.copy(), curve=curve, threads=1)
        assert light.curve == name
        assert light.is_plain == pytest.approx(1 / (1 + np.exp(-logit)))
        expected = np.exp2(stops[:235]) if name == "film" else srgb_decode(np.arange(235) / 255)
        np.testing.assert_allclose(light.linear[0, 1:, 0], expected[1:], rtol=1e-5)


def test_what_is_known_of_the_curve_is_given_to_the_network():
    for curve, given in (("auto", -1), ("srgb", 1), ("film", 0), ("aces13", 0), ("aces2", 0)):
        net = Says()
        Recoverer(net, "0" * 12, torch.float32).recover(noise(), curve=curve, threads=1)
        assert net.given == given


@pytest.mark.parametrize("curve", ["aces13", "aces2"])
def test_aces_curves_undo_the_views(curve):
    light = np.exp2(np.random.default_rng(0).uniform(-5, -0.5, (24, 24, 1))) * np.random.default_rng(
        1
    ).uniform(0.5, 1, (24, 24, 3))
    shown = ocio.aces_sdr(light.astype(np.float32), {"aces13": "1.3", "aces2": "2.0"}[curve])
    code = srgb_encode(shown) * np.float32(255)
    assert code.max() < FIRST_INVENTED_CODE
    found = loud_recoverer().recover(code, curve=curve, threads=1)
    np.testing.assert_allclose(found.linear, light, rtol=1e-2, atol=5e-4)
    assert (found.curve, found.observed.min()) == (curve, 1)


# What is invented.


@pytest.mark.parametrize("curve", CURVES)
def test_nothing_gets_darker_and_only_the_end_of_the_codes_gets_brighter(curve):
    code = noise(seed=3)
    for recoverer in (loud_recoverer(), told(stops=0.0), told(stops=14.0)):
        plain = recoverer.recover(code.copy(), curve=curve, strength=0, threads=1)
        assert (plain.observed == 1).all()
        found = recoverer.recover(code.copy(), curve=curve, threads=1)
        assert (found.linear >= plain.linear).all()
        first = 254 if curve == "srgb" else FIRST_INVENTED_CODE
        np.testing.assert_array_equal(found.linear[code <= first], plain.linear[code <= first])
        assert np.isfinite(found.linear).all()
        assert found.linear.max() <= 65504


@pytest.mark.parametrize("curve", CURVES)
def test_observed_is_one_exactly_where_light_is_the_curves(curve):
    code = noise(seed=4)
    plain = told().recover(code.copy(), curve=curve, strength=0, threads=1)
    found = told().recover(code.copy(), curve=curve, threads=1)
    np.testing.assert_array_equal(found.observed == 1, (found.linear == plain.linear).all(-1))
    assert found.observed.min() == 0, "of what is clipped nothing is seen"
    assert (found.observed[:4] == 0).all()


def test_missing_stops_are_added_by_their_share():
    code = greys([200, 255])
    for strength in (0.5, 1.0, 2.0):
        linear = told(stops=3.0).recover(code.copy(), curve="srgb", strength=strength, threads=1).linear
        assert linear[0, 1, 0] == pytest.approx(2 ** (3 * strength), rel=1e-4)


def test_an_aces_view_hears_of_light_that_is_beyond_its_end():
    """What the network says of the end of the codes stands: its curve's end and what is missing there."""
    light = told(slope=4.0, stops=2.0).recover(greys([GREY_CODE, 255]), curve="aces2", threads=1)
    stops = curve_stops(torch.full((1, KNOTS), float(np.log(4.0))))[0].numpy()
    grey, white = light.linear[0, :, 1]
    end = max(float(stops[-1] - stops[GREY_CODE]), float(np.log2(light.white_linear / grey)))
    assert np.log2(white / grey) == pytest.approx(end + 2, abs=0.02)


def test_the_peak_ends_what_is_invented_and_not_what_is_seen():
    code = greys([200, 240, 250, 255])
    seen = told().recover(code.copy(), curve="film", strength=0, exposure_stops=2, threads=1).linear
    for peak in (1.0, 5.0, 100.0):
        found = told(stops=6.0).recover(
            code.copy(), curve="film", exposure_stops=2, peak_linear=peak, threads=1
        )
        assert (found.linear >= seen).all()
        assert (found.linear <= np.maximum(seen, np.float32(peak))).all()
        np.testing.assert_array_equal(found.linear[:, 0], seen[:, 0])
    assert found.linear.max() == 100


@pytest.mark.parametrize("curve", CURVES)
def test_the_anchor_is_where_white_lands_before_anything_is_invented(curve):
    recoverer = told(slope=1.4, stops=2.0)
    found = recoverer.recover(greys([255]), curve=curve, anchor_linear=4.0, strength=0, threads=1)
    np.testing.assert_allclose(found.linear, 4, rtol=1e-5 if curve[:4] != "aces" else 2e-2)
    assert found.white_linear == pytest.approx(4, rel=1e-6)
    again = recoverer.recover(
        greys([100]), curve=curve, exposure_stops=found.exposure_stops, strength=0, threads=1
    )
    same = recoverer.recover(greys([100]), curve=curve, anchor_linear=4.0, strength=0, threads=1)
    np.testing.assert_array_equal(again.linear, same.linear)


def test_exposure_is_of_all_light():
    code = noise()
    once, twice = (
        loud_recoverer().recover(code.copy(), curve="film", exposure_stops=stops, threads=1)
        for stops in (0.0, 1.0)
    )
    some = twice.linear < 60000
    np.testing.assert_allclose(twice.linear[some], 2 * once.linear[some], rtol=1e-5)
    assert twice.white_linear == pytest.approx(2 * once.white_linear)


# Sizes and threads.


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (37, 1), (3, 5), (1, 900), (33, 65)])
@pytest.mark.parametrize("curve", ["auto", "srgb", "aces2"])
def test_odd_sizes_are_pictures_like_others(size, curve):
    code = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.float32)
    found = loud_recoverer().recover(code.copy(), curve=curve, threads=2)
    assert (found.linear.shape, found.observed.shape) == (code.shape, size)
    assert np.isfinite(found.linear).all()
    if curve == "srgb":
        seen = code < 255
        np.testing.assert_array_equal(codes_of(found.linear)[seen], code[seen])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrow_pictures_are_judged_by_what_is_in_them(dtype):
    """In the sizes that are released; where a side is narrow, bf16 once read what was in memory before."""
    torch.manual_seed(0)
    net = HighlightsNet(Highlights())
    for layer in (net.mixture, net.plain, net.unet.head):
        nn.init.normal_(layer.weight, std=0.05)
    net.curve_components.normal_(0, 0.1)
    exact = Recoverer(net, "0" * 12, torch.float32)
    recoverer = Recoverer(net, "0" * 12, dtype)
    for seed, size in enumerate([(384, 60), (320, 40), (60, 384), (384, 60)]):
        code = noise(*size, seed)
        expected = exact.estimate(code, threads=1)
        for threads in (1, 3):
            found = recoverer.estimate(code, threads=threads)
            np.testing.assert_allclose(found.stops, expected.stops, atol=0.05)
            np.testing.assert_allclose(found.is_plain, expected.is_plain, atol=0.05)
            assert np.abs(found.missing_stops - expected.missing_stops).mean() < 0.05


@pytest.mark.parametrize("curve", ["auto", "srgb", "film", "aces13"])
@pytest.mark.parametrize("what", ["flat 90", "flat 245", "flat 255", "patches"])
def test_a_picture_enlarged_is_its_light_enlarged(what, curve, monkeypatch):
    """The network sees the same; what it says is told at the middle of each enlarged pixel, and between them."""
    monkeypatch.setattr(highlights, "LONGEST_SIDE", 96)
    if what == "patches":
        code8 = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
        code8[3:6, 4:8] = 255
        code8 = cv2.resize(code8, (96, 72), interpolation=cv2.INTER_NEAREST)
    else:
        code8 = np.full((72, 96, 3), int(what.split()[1]), np.uint8)
    code = code8.astype(np.float32)
    recoverer = loud_recoverer()
    small = recoverer.recover(code.copy(), curve=curve, threads=1)
    large = recoverer.recover(code.repeat(3, 0).repeat(3, 1), curve=curve, threads=1)
    assert (small.is_plain, small.white_linear) == (large.is_plain, large.white_linear)
    np.testing.assert_array_equal(large.observed, small.observed.repeat(3, 0).repeat(3, 1))
    np.testing.assert_allclose(large.linear[1::3, 1::3], small.linear, rtol=1e-4)
    farthest = small.linear.max() * (1 + 1e-4)
    assert large.linear.max() <= farthest, "nothing is brighter between pixels"


@pytest.mark.parametrize("curve", CURVES)
def test_threads_do_not_change_a_bit(curve):
    """But for the rounding of the network's own sums, which is torch's."""
    code = noise(200, 150)
    one, four = (told().recover(code.copy(), curve=curve, threads=threads) for threads in (1, 4))
    np.testing.assert_array_equal(one.linear, four.linear)
    np.testing.assert_array_equal(one.observed, four.observed)
    one, three = (loud_recoverer().recover(code.copy(), curve=curve, threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(one.observed, three.observed)
    np.testing.assert_allclose(three.linear, one.linear, rtol=1e-4)
