import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.tone_maps import quantise8
from hdrgen.exposure.bracket_tables import bracket_tables
from hdrgen.exposure.classical_merge import interval_intersection_merge, inverse_variance_merge
from hdrgen.exposure.log2_encoding import log2_decode, log2_encode
from hdrgen.metrics.quality import pu21_psnr
from hdrgen.models.exposure_fusion import (
    SLOTS,
    ExposureFusion,
    ExposureFusionLoss,
    LuminanceStackProcessor,
    exposure_fusion_loss,
    in_slots,
    slot_of,
)
from hdrgen.models.neighbourhood_attention import NeighbourhoodAttention
from hdrgen.models.stack_estimates import estimates_of, exposure_errors, weighted_average

EVS = (-2.0, 0.0, 2.0, 4.0)
SMALL = ExposureFusion(exposure_width=4, widths=(8, 8, 8, 8, 8), heads=2, attention_window=3)


def smooth_light(size=96, median=0.18, stops=3.0, seed=0):
    """Return light ``(size, size, 3)`` that wanders over some stops."""
    y, x = np.mgrid[:size, :size] / size * 2 * np.pi
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, (3, 2))
    waves = [np.sin(2 * x + a) + np.sin(y + b) for a, b in phases]
    return (median * np.exp2(stops / 2 * np.stack(waves, -1))).astype(np.float32)


def encoded(light, ev, encoding="logc4_awg4"):
    return np.clip(ENCODINGS[encoding].encode(light * np.float32(2.0**ev)), 0, 1)


def clean_codes(light, evs=EVS, encoding="logc4_awg4"):
    return [quantise8(encoded(light, ev, encoding)) for ev in evs]


def noisy_codes(light, evs=EVS, encoding="logc4_awg4"):
    rng = np.random.default_rng(1)
    return [
        quantise8(np.clip(encoded(light, ev, encoding) + rng.normal(0, 3 / 255, light.shape), 0, 1))
        for ev in evs
    ]


def tables(evs=EVS, encoding="logc4_awg4"):
    return [bracket_tables(encoding, 8, ev, evs=tuple(evs)) for ev in evs]


def stack(codes, evs=EVS, encoding="logc4_awg4"):
    return estimates_of([torch.from_numpy(code) for code in codes], tables(evs, encoding))


def merged(net, stack_, reference=1):
    with torch.no_grad():
        return log2_decode(net.merged(stack_, torch.tensor([reference])))[0].numpy()


@pytest.fixture
def untrained():
    torch.manual_seed(0)
    return LuminanceStackProcessor(SMALL).eval()


def loud():
    torch.manual_seed(0)
    net = LuminanceStackProcessor(SMALL).eval()
    torch.nn.init.normal_(net.head.weight, std=1.0)
    torch.nn.init.normal_(net.attention.output.weight, std=0.3)
    return net


@pytest.mark.parametrize("encoding", ["logc4_awg4", "srgb_rec709"])
def test_untrained_a_clean_stack_is_as_good_as_the_intersection_of_its_intervals(untrained, encoding):
    light = smooth_light(stops=6.0)
    codes = clean_codes(light, encoding=encoding)
    psnr = pu21_psnr(merged(untrained, stack(codes, encoding=encoding)), light)
    closed = pu21_psnr(interval_intersection_merge(codes, tables(encoding=encoding)), light)
    assert psnr > closed - 0.1


def test_untrained_a_noisy_stack_is_the_inverse_variance_average_of_consistent_exposures(untrained):
    light = smooth_light()
    noisy = stack(noisy_codes(light))
    assert noisy.consistency().max() == 0
    errors = noisy.log2_errors()
    assert errors.abs().max() < 0.05, "noise is no error of exposure"
    average, _ = weighted_average(noisy.log2 - errors[:, :, None, None], noisy.weight)
    np.testing.assert_allclose(merged(untrained, noisy), log2_decode(average[0]).numpy(), rtol=1e-5)
    closed = inverse_variance_merge(noisy_codes(light), tables())
    assert pu21_psnr(merged(untrained, noisy), light) > pu21_psnr(closed, light) - 0.1


def test_errors_of_exposure_and_tint_are_estimated():
    light = smooth_light(median=1.0, stops=2.0)
    rng = np.random.default_rng(2)
    stops = rng.normal(0, 0.15, (4, 1)) + rng.normal(0, 0.03, (4, 3))
    stops -= stops.mean(0)
    codes = [quantise8(encoded(light * 2.0**e, ev)) for ev, e in zip(EVS, stops, strict=True)]
    wrong = stack(codes)
    errors = exposure_errors(wrong.log2, wrong.weight, wrong.clipped)[0].numpy()
    np.testing.assert_allclose(errors, stops, atol=0.01)
    np.testing.assert_allclose(errors.sum(0), 0, atol=1e-4)
    np.testing.assert_array_equal(wrong.log2_errors()[0].numpy(), errors)


def test_errors_of_exposure_are_estimated_beside_a_moving_object_and_clipping():
    light = smooth_light(median=4.0, stops=6.0)
    stops = np.array([0.1, -0.06, 0.05, -0.09])
    codes = [quantise8(encoded(light * 2.0**e, ev)) for ev, e in zip(EVS, stops, strict=True)]
    assert (codes[3] == 255).mean() > 0.01
    codes[2][20:50, 20:50] = 40
    wrong = stack(codes)
    errors = exposure_errors(wrong.log2, wrong.weight, wrong.clipped)[0].numpy()
    np.testing.assert_allclose(errors, np.repeat(stops[:, None], 3, 1), atol=0.02)


def test_a_clean_stack_has_no_errors_and_brackets_that_are_not_there_have_none():
    light = smooth_light()
    assert not stack(clean_codes(light)).log2_errors().any()
    two, _ = in_slots(stack(noisy_codes(light, EVS[:2]), EVS[:2]), 1)
    errors = two.log2_errors()[0]
    assert errors[:2].abs().min() > 0
    np.testing.assert_allclose(errors[2:], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("evs", "slots"),
    [
        ((-2.0, 2.0), [0, 1]),
        ((-2.0, 0.0, 2.0), [0, 1, 2]),
        (EVS, [0, 1, 2, 3]),
        ((-4.0, -2.0, 0.0, 2.0, 4.0), [0, 0, 1, 2, 3]),
        (tuple(float(ev) for ev in range(-4, 5)), [0, 0, 0, 1, 1, 2, 2, 3, 3]),
    ],
)
def test_any_number_of_brackets_goes_in_slots_with_the_reference(evs, slots):
    whole = stack(noisy_codes(smooth_light(32), evs), evs)
    for bracket, slot in enumerate(slots):
        four, reference = in_slots(whole, bracket)
        assert reference == slot == slot_of(bracket, len(evs))
        assert four.log2.shape[1] == SLOTS
    np.testing.assert_allclose(
        weighted_average(four.log2, four.weight)[0],
        weighted_average(whole.log2, whole.weight)[0],
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    torch.testing.assert_close(four.weight.sum(1), whole.weight.sum(1))
    for mine, theirs in zip(four.bounds(), whole.bounds(), strict=True):
        assert torch.equal(mine, theirs)
    empty = [slot for slot in range(SLOTS) if slot not in slots]
    assert not four.weight[:, empty].any()
    assert four.clipped[:, empty].all()


def test_a_hidden_bracket_says_nothing():
    light = smooth_light(64)
    hidden = torch.zeros(1, 4, 64, 64, 1, dtype=torch.bool)
    hidden[:, 2, 10:30, 20:50] = True
    codes = noisy_codes(light)
    one = stack(codes).without(hidden)
    codes[2][10:30, 20:50] = np.random.default_rng(3).integers(0, 256, (20, 30, 3))
    other = stack(codes).without(hidden)
    np.testing.assert_array_equal(merged(loud(), one), merged(loud(), other))


@pytest.mark.parametrize("code", [0, 255])
def test_on_a_clean_stack_even_a_loud_network_stays_inside_the_intervals(code):
    light = smooth_light(stops=8.0)
    codes = clean_codes(light)
    for bracket in codes:
        bracket[:40, :40] = code  # clipped in all
    clean = stack(codes)
    with torch.no_grad():
        log2 = loud().merged(clean, torch.tensor([1]))
    lower, upper = clean.bounds()
    assert (log2 >= lower.clamp(max=15.9) - 1e-4).all()
    assert (log2 <= upper + 1e-4).all()


@pytest.mark.parametrize("evs", [EVS, (-8.0, -4.0, 0.0, 4.0), (-4.0, 0.0, 4.0, 8.0)])
@pytest.mark.parametrize("code", [0, 40, 255])
def test_where_only_one_bracket_is_left_it_decides_however_little_it_knows(untrained, evs, code):
    """Occluded in all others: what is clipped in the reference is at least what the reference says."""
    reference = evs.index(0.0)
    light = smooth_light(64)
    codes = noisy_codes(light, evs)
    codes[reference][20:40, 20:40] = code
    hidden = torch.zeros(1, 4, 64, 64, 1, dtype=torch.bool)
    hidden[:, [i for i in range(4) if i != reference], 20:40, 20:40] = True
    left = stack(codes, evs).without(hidden)
    expected = log2_decode(tables(evs)[reference].log2[code])
    np.testing.assert_allclose(
        merged(untrained, left, reference)[24:36, 24:36], expected, rtol=0.15, atol=1e-3
    )


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (6, 2)])
def test_attention_is_that_of_each_place_over_its_neighbourhood(size):
    torch.manual_seed(0)
    attention = NeighbourhoodAttention(8, heads=2, window=3)
    torch.nn.init.normal_(attention.position)
    torch.nn.init.normal_(attention.output.weight)
    x = torch.randn(1, 8, *size)
    normal = torch.nn.functional.layer_norm(
        x[0].permute(1, 2, 0), (8,), attention.norm.weight, attention.norm.bias
    )
    rows, columns = size
    weight, bias = attention.project.weight[:, :, 0, 0], attention.project.bias
    query, key, value = (normal @ weight.T + bias).reshape(rows, columns, 3, 2, 4).unbind(2)
    expected = x[0].permute(1, 2, 0).clone()
    for y in range(rows):
        for z in range(columns):
            attended = []
            for head in range(2):
                scores, values = [], []
                for dy in (-1, 0, 1):
                    for dz in (-1, 0, 1):
                        if 0 <= y + dy < rows and 0 <= z + dz < columns:
                            there = y + dy, z + dz, head
                            position = attention.position[head, (dy + 1) * 3 + dz + 1]
                            scores.append(query[y, z, head] @ key[there] / 2 + position)
                            values.append(value[there])
                attended.append(torch.stack(scores).softmax(0) @ torch.stack(values))
            together = torch.cat(attended)
            expected[y, z] += attention.output.weight[:, :, 0, 0] @ together + attention.output.bias
    torch.testing.assert_close(attention(x)[0].permute(1, 2, 0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changed", [{"attention_window": 4}, {"heads": 3}])
def test_a_network_that_cannot_be_is_refused_with_its_settings(changed):
    with pytest.raises(ValidationError):
        ExposureFusion(**changed)


def test_the_loss_has_a_perceptual_a_logarithmic_and_a_linear_term():
    light = torch.rand(1, 16, 16, 3) * 50
    other = light * 1.1
    alone = ExposureFusionLoss(levels_weight=0, linear_weight=0)
    psnr = pu21_psnr(other[0].numpy(), light[0].numpy())
    decibels = float(exposure_fusion_loss(log2_encode(other), light, alone))
    assert decibels == pytest.approx(-psnr, abs=0.05)
    in_levels = float((log2_encode(other) - log2_encode(light)).abs().mean())
    relative = float((0.1 * light / (light + 1)).mean())
    loss = float(exposure_fusion_loss(log2_encode(other), light, ExposureFusionLoss()))
    assert loss == pytest.approx(decibels + 4 * in_levels + 2 * relative, abs=1e-3)


def test_gradients_are_finite_from_black_to_the_ceiling():
    net = LuminanceStackProcessor(SMALL)
    light = smooth_light(32, stops=20.0)
    light[:8], light[8:16] = 0, 5000
    for codes in (clean_codes(light), noisy_codes(light)):
        log2 = net.merged(stack(codes), torch.tensor([1]))
        exposure_fusion_loss(log2, torch.from_numpy(light)[None], ExposureFusionLoss()).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    assert net.head.weight.grad.abs().sum() > 0
