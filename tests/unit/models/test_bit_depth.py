import numpy as np
import pytest
import torch

from hdrgen.exposure.smoothest_in_cells import smooth_in_cells
from hdrgen.models.bit_depth import (
    CELL,
    BitDepth,
    BitDepthUNet,
    clean_code,
    code_loss,
    features,
    generated_code,
    load_bit_depth,
    overview,
    save_bit_depth,
)
from hdrgen.models.folded_unet import FOLDED, fold
from hdrgen.models.weights import save_weights
from hdrgen.runtime.errors import HdrgenError

SMALL = BitDepth(widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1))


def picture_of(code8):
    return torch.from_numpy(code8[None]), torch.from_numpy(smooth_in_cells(code8)[None])


@pytest.fixture
def all_codes():
    code8 = np.random.default_rng(0).permutation(np.arange(64 * 64 * 3) % 256)
    return code8.astype(np.uint8).reshape(64, 64, 3)


@pytest.mark.parametrize("loudness", [0.1, 10, 1e6])
def test_the_clean_answer_quantises_to_the_same_codes_whatever_the_network_says(all_codes, loudness):
    torch.manual_seed(0)
    answers = torch.randn(1, 16, 16, 4 * FOLDED) * loudness
    folded8, smooth = (fold(t) for t in picture_of(all_codes))
    code = clean_code(folded8, smooth, answers)
    assert np.array_equal(np.rint(code.numpy()), folded8.numpy())
    # And so in the code values 0 to 1 that are handed on.
    assert np.array_equal(np.rint(code.div(255).numpy() * 255), folded8.numpy())
    assert float((code - folded8).abs().max()) <= CELL + 1e-5
    assert 0 <= float(code.min()) <= float(code.max()) <= 255


def test_untrained_both_answers_believe_the_closed_form_by_half(all_codes):
    code8, smooth = picture_of(all_codes)
    with torch.no_grad():
        answers = BitDepthUNet(SMALL)(code8, smooth)
    for code in answers:
        torch.testing.assert_close(code, (code8 + smooth / 2).clamp(0, 255))


def test_the_generated_answer_may_leave_the_cell_but_not_the_codes(all_codes):
    folded8, smooth = (fold(t) for t in picture_of(all_codes))
    answers = torch.full((1, 16, 16, 4 * FOLDED), 3.0)
    code = generated_code(folded8, smooth, answers)
    away = (code - folded8)[folded8 < 240]
    assert float(away.min()) > 5
    assert float(generated_code(folded8, smooth, answers * 1e6).max()) == 255
    assert float(generated_code(folded8, smooth, answers * -1e6).min()) == 0


def test_the_two_answers_are_of_different_channels(all_codes):
    code8, smooth = picture_of(all_codes)
    folded8, offset = fold(code8), fold(smooth)
    answers = torch.zeros(1, 16, 16, 4 * FOLDED)
    clean, generated = clean_code(folded8, offset, answers), generated_code(folded8, offset, answers)
    answers[..., 2 * FOLDED :] = 5
    assert torch.equal(clean_code(folded8, offset, answers), clean)
    assert not torch.equal(generated_code(folded8, offset, answers), generated)


def test_the_network_sees_a_gradient_of_one_code_over_many_pixels():
    """The wider means tell a slow step from a flat picture, which the block's own mean and deviations cannot."""
    step = np.full((128, 128, 3), 100, np.uint8)
    step[:, 64:] = 101
    folded8, smooth = (fold(t) for t in picture_of(step))
    seen = features(folded8, smooth, overview(folded8))[0, 16]
    wider = seen[:, 3:15].reshape(32, 4, 3)[..., 0].abs()
    assert (wider[12:20].amax(1) > 0.1).all(), "some scale shows the step 16 pixels away"
    assert float(seen[:, 15:63].abs().max()) == 0, "in no block does a pixel differ from the mean"


def test_the_loss_is_the_mean_of_decibels():
    target = torch.full((2, 16, 16, 3), 100.0)
    code = target + torch.tensor([0.1, 4.0])[:, None, None, None]
    expected = torch.tensor([-20 * np.log10(255 / 0.1), -20 * np.log10(255 / 4)], dtype=torch.float32)
    torch.testing.assert_close(code_loss(code, target), expected, rtol=0, atol=0.05)
    assert torch.isfinite(code_loss(target, target)).all()


def test_weights_come_back_as_half_floats_with_their_settings(tmp_path, all_codes):
    torch.manual_seed(0)
    net = BitDepthUNet(SMALL)
    torch.nn.init.normal_(net.unet.leave.weight)
    save_bit_depth(tmp_path / "w.safetensors", net)
    again = load_bit_depth(tmp_path / "w.safetensors")
    assert again.settings == SMALL
    assert not again.training
    net.half().float()
    with torch.no_grad():
        for one, other in zip(net.eval()(*picture_of(all_codes)), again(*picture_of(all_codes)), strict=True):
            assert torch.equal(one, other)


def test_weights_of_another_model_are_refused(tmp_path):
    save_weights(tmp_path / "w.safetensors", torch.nn.Linear(1, 1), model="tone_fusion", settings={})
    with pytest.raises(HdrgenError, match="holds weights of 'tone_fusion', not of 'bit_depth'"):
        load_bit_depth(tmp_path / "w.safetensors")
