import numpy as np
import pytest
import torch

from hdrgen.exposure.smoothest_in_intervals import smooth_in_intervals
from hdrgen.models.bit_depth import (
    HALF_INTERVAL,
    BitDepth,
    BitDepthUNet,
    clean_code,
    code_loss,
    features,
    generated_code,
    overview,
)
from hdrgen.models.pixel_unshuffled_unet import UNSHUFFLED_CHANNELS, pixel_unshuffle

SMALL = BitDepth(widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1))


def picture_of(code8):
    return torch.from_numpy(code8[None]), torch.from_numpy(smooth_in_intervals(code8)[None])


@pytest.fixture
def all_codes():
    code8 = np.random.default_rng(0).permutation(np.arange(64 * 64 * 3) % 256)
    return code8.astype(np.uint8).reshape(64, 64, 3)


@pytest.mark.parametrize("loudness", [0.1, 10, 1e6])
def test_the_clean_output_quantises_to_the_same_codes_whatever_the_network_says(all_codes, loudness):
    torch.manual_seed(0)
    output = torch.randn(1, 16, 16, 4 * UNSHUFFLED_CHANNELS) * loudness
    unshuffled8, smooth = (pixel_unshuffle(t) for t in picture_of(all_codes))
    code = clean_code(unshuffled8, smooth, output)
    assert np.array_equal(np.rint(code.numpy()), unshuffled8.numpy())
    # And so in the code values 0 to 1 that are handed on.
    assert np.array_equal(np.rint(code.div(255).numpy() * 255), unshuffled8.numpy())
    assert float((code - unshuffled8).abs().max()) <= HALF_INTERVAL + 1e-5
    assert 0 <= float(code.min()) <= float(code.max()) <= 255


def test_untrained_both_outputs_believe_the_closed_form_by_half(all_codes):
    code8, smooth = picture_of(all_codes)
    with torch.no_grad():
        codes = BitDepthUNet(SMALL)(code8, smooth)
    for code in codes:
        torch.testing.assert_close(code, (code8 + smooth / 2).clamp(0, 255))


def test_the_generated_output_may_leave_the_interval_but_not_the_codes(all_codes):
    unshuffled8, smooth = (pixel_unshuffle(t) for t in picture_of(all_codes))
    output = torch.full((1, 16, 16, 4 * UNSHUFFLED_CHANNELS), 3.0)
    code = generated_code(unshuffled8, smooth, output)
    away = (code - unshuffled8)[unshuffled8 < 240]
    assert float(away.min()) > 5
    assert float(generated_code(unshuffled8, smooth, output * 1e6).max()) == 255
    assert float(generated_code(unshuffled8, smooth, output * -1e6).min()) == 0


def test_the_two_outputs_are_of_different_channels(all_codes):
    code8, smooth = picture_of(all_codes)
    unshuffled8, offset = pixel_unshuffle(code8), pixel_unshuffle(smooth)
    output = torch.zeros(1, 16, 16, 4 * UNSHUFFLED_CHANNELS)
    clean, generated = clean_code(unshuffled8, offset, output), generated_code(unshuffled8, offset, output)
    output[..., 2 * UNSHUFFLED_CHANNELS :] = 5
    assert torch.equal(clean_code(unshuffled8, offset, output), clean)
    assert not torch.equal(generated_code(unshuffled8, offset, output), generated)


def test_the_features_show_a_gradient_of_one_code_over_many_pixels():
    """The wider means tell a slow step from a flat picture, which the block's own mean and deviations cannot."""
    step = np.full((128, 128, 3), 100, np.uint8)
    step[:, 64:] = 101
    unshuffled8, smooth = (pixel_unshuffle(t) for t in picture_of(step))
    of_row = features(unshuffled8, smooth, overview(unshuffled8))[0, 16]
    wider = of_row[:, 3:15].reshape(32, 4, 3)[..., 0].abs()
    assert (wider[12:20].amax(1) > 0.1).all(), "some scale shows the step 16 pixels away"
    assert float(of_row[:, 15:63].abs().max()) == 0, "in no block does a pixel differ from the mean"


def test_the_loss_is_the_mean_of_decibels():
    target = torch.full((2, 16, 16, 3), 100.0)
    code = target + torch.tensor([0.1, 4.0])[:, None, None, None]
    expected = torch.tensor([-20 * np.log10(255 / 0.1), -20 * np.log10(255 / 4)], dtype=torch.float32)
    torch.testing.assert_close(code_loss(code, target), expected, rtol=0, atol=0.05)
    assert torch.isfinite(code_loss(target, target)).all()
