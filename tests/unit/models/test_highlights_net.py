"""The curve that is estimated, what is invented, and the network of both."""

import numpy as np
import pytest
import torch

from hdrgen.colour.display import srgb_decode
from hdrgen.colour.renderings import SHOULDERS, Filmic
from hdrgen.dataset.pairs.display_pairs import code_stops
from hdrgen.models.highlights import (
    BINS,
    CURVE_COMPONENTS,
    FIRST_INVENTED_CODE,
    GREY_CODE,
    KNOTS,
    MAX_MISSING_STOPS,
    SRGB_STOPS,
    TOP_CODES,
    Highlights,
    HighlightsNet,
    curve_stops,
    histogram,
    invented_weight,
    load_highlights,
    log_slopes_of,
    save_highlights,
)
from hdrgen.models.pixel_unshuffled_unet import stride
from hdrgen.runtime.errors import HdrgenError

SMALL = Highlights(widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), curve_widths=(8, 8, 8))


@pytest.fixture
def net():
    """Return a network that says something of everything."""
    torch.manual_seed(0)
    net = HighlightsNet(SMALL).eval()
    for layer in (net.mixture, net.plain, net.unet.head):
        torch.nn.init.normal_(layer.weight, std=0.3)
    net.curve_mean.normal_(0, 0.2)
    net.curve_components.normal_(0, 0.2)
    return net


@pytest.fixture
def pictures():
    code8 = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    return torch.from_numpy(code8)


def test_nothing_is_invented_up_to_the_first_invented_code_and_all_at_the_end():
    weight = invented_weight(torch.arange(256.0))
    first = int(FIRST_INVENTED_CODE)
    assert not weight[: first + 1].any()
    assert (weight[first:].diff() > 0).all()
    assert weight[255] == 1


def test_codes_without_a_curve_are_srgb():
    stops = curve_stops(torch.zeros(1, KNOTS))[0].numpy()
    np.testing.assert_allclose(stops, SRGB_STOPS, atol=1e-5)
    np.testing.assert_allclose(np.exp2(stops[1:]), srgb_decode(np.arange(1, 256) / 255), rtol=2e-5)


def test_curves_rise_through_the_grey_whatever_their_slopes():
    slopes = torch.randn(50, KNOTS, generator=torch.Generator().manual_seed(0)) * 1.5
    stops = curve_stops(slopes)
    assert (stops.diff() > 0).all()
    torch.testing.assert_close(stops[:, GREY_CODE], torch.full((50,), float(SRGB_STOPS[GREY_CODE])))
    assert abs(2 ** float(SRGB_STOPS[GREY_CODE]) - 0.18) < 0.002


@pytest.mark.parametrize("shoulder", SHOULDERS)
def test_a_curve_of_the_pairs_is_held_by_its_slopes(shoulder):
    """But for the last codes, where the light runs away and what is missing says how far."""
    stops = code_stops(Filmic(shoulder, 8.0, 1.1))
    held = curve_stops(torch.from_numpy(log_slopes_of(stops))[None])[0].numpy()
    off = held - (stops - stops[GREY_CODE] + SRGB_STOPS[GREY_CODE])
    assert np.abs(off[16:235]).max() < 0.1
    assert np.sqrt(np.square(off[16:250]).mean()) < 0.05


def test_slopes_come_back_of_their_own_curve():
    """Between codes 16 and 240, where a knot has codes on both sides and none is of half a code."""
    smooth = 0.4 * torch.sin(torch.linspace(0, 3, KNOTS))
    again = log_slopes_of(curve_stops(smooth[None])[0].numpy())
    np.testing.assert_allclose(again[1:-1], smooth[1:-1], atol=0.02)


def test_histograms_are_shares_and_know_the_top_codes(pictures):
    counted = histogram(pictures)
    assert counted.shape == (2, 4 * BINS + TOP_CODES)
    shares = 10 ** (counted - 2) - 1e-4
    torch.testing.assert_close(shares[:, : 4 * BINS].reshape(2, 4, BINS).sum(-1), torch.ones(2, 4))
    clipped = (pictures.amax(-1) == 255).float().mean((1, 2))
    torch.testing.assert_close(shares[:, -1], clipped, rtol=1e-3, atol=1e-6)
    halves = torch.cat([pictures, pictures], 1)
    torch.testing.assert_close(histogram(halves), counted, msg="sizes make no difference")


def test_estimates_have_their_shapes_and_ranges(net, pictures):
    with torch.inference_mode():
        slopes, plain, missing = net(pictures.float(), histogram(pictures), torch.full((2,), -1.0))
    assert (slopes.shape, plain.shape, missing.shape) == ((2, KNOTS), (2,), (2, 64, 64, 3))
    assert missing.min() >= 0
    assert missing.max() <= MAX_MISSING_STOPS
    assert missing.std() > 0


def test_a_curve_is_no_further_out_than_three_deviations(net, pictures):
    torch.nn.init.constant_(net.mixture.bias, 1e6)
    with torch.inference_mode():
        slopes, _, _ = net(pictures.float(), histogram(pictures), torch.full((2,), -1.0))
    farthest = net.curve_mean + 3 * net.curve_components.sum(0)
    torch.testing.assert_close(slopes, farthest.expand(2, -1))
    assert net.curve_components.shape == (CURVE_COMPONENTS, KNOTS)


def test_what_is_missing_hears_whether_there_is_a_curve(net, pictures):
    """An estimate is a decision: it is the one or the other, and what the network says of itself is not changed by it."""
    counts = histogram(pictures)
    with torch.inference_mode():
        said = {given: net(pictures.float(), counts, torch.full((2,), given)) for given in (-1.0, 0.0, 1.0)}
    assert (said[0.0][2] - said[1.0][2]).abs().max() > 1e-3
    for given in (0.0, 1.0):
        for part in (0, 1):
            torch.testing.assert_close(said[given][part], said[-1.0][part])
    for picture, logit in enumerate(said[-1.0][1]):
        decided = said[float(logit > Highlights().plain_logit)][2][picture]
        torch.testing.assert_close(said[-1.0][2][picture], decided)


def test_weights_come_back_with_their_curves(net, pictures, tmp_path):
    save_highlights(tmp_path / "w.safetensors", net)
    again = load_highlights(tmp_path / "w.safetensors")
    assert again.settings == SMALL
    given = torch.zeros(2)
    with torch.inference_mode():
        for one, other in zip(
            net(pictures.float(), histogram(pictures), given),
            again.eval()(pictures.float(), histogram(pictures), given),
            strict=True,
        ):
            torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)
    assert again.curve_components.any()


def test_other_weights_are_refused(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"nonsense")
    with pytest.raises(HdrgenError, match=r"w\.safetensors"):
        load_highlights(tmp_path / "w.safetensors")


def test_the_default_sizes_are_small_enough_to_ship(tmp_path):
    net = HighlightsNet(Highlights())
    save_highlights(tmp_path / "w.safetensors", net)
    assert (tmp_path / "w.safetensors").stat().st_size <= 6e6
    assert 384 % stride(net.settings.widths) == 0, "a judged picture needs no padding along its longest side"
