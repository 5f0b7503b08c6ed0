import numpy as np
import pytest
import torch

from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.exposure.tone_map_tables import level_decode, level_encode, tone_cells
from hdrgen.metrics.quality import pu21_psnr
from hdrgen.models.clean_share import clean_share
from hdrgen.models.folded_unet import fold, unfold
from hdrgen.models.tone_fusion import (
    CLEAN_WINDOW,
    ToneFuser,
    ToneFusion,
    pair_index,
    tone_fusion_loss,
)

SMALL = ToneFusion(widths=(8, 8, 8), blocks=(1, 1, 1))


def batch_of(code8):
    return torch.from_numpy(code8[None])


@pytest.fixture
def clean_pair():
    light = np.random.default_rng(0).lognormal(-1, 2, (64, 96, 3))
    return light, quantise8(Reinhard().encode(light)), quantise8(Log().encode(light))


def wild_fuser():
    """Make a fuser whose network says nonsense, as loudly as it can."""
    torch.manual_seed(0)
    net = ToneFuser(SMALL)
    torch.nn.init.normal_(net.unet.leave.weight, std=10)
    return net.eval()


def test_untrained_it_is_the_inverse_variance_average_where_the_pair_disagrees():
    rng = np.random.default_rng(1)
    reinhard8, log8 = (rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(2))
    level = ToneFuser(SMALL)(batch_of(reinhard8), batch_of(log8))[0].detach().numpy()
    np.testing.assert_allclose(level, tone_cells(Reinhard(), Log()).average[reinhard8, log8], atol=1e-5)


def test_on_a_clean_pair_even_a_nonsense_network_stays_inside_the_cells(clean_pair):
    _, reinhard8, log8 = clean_pair
    with torch.no_grad():
        linear = level_decode(wild_fuser()(batch_of(reinhard8), batch_of(log8)))[0].numpy()
    cells = tone_cells(Reinhard(), Log())
    level = level_encode(linear)
    assert (level >= cells.lower[reinhard8, log8] - 1e-4).all()
    assert (level <= cells.upper[reinhard8, log8] + 1e-4).all()


def test_a_generated_pair_is_not_clamped(clean_pair):
    _, reinhard8, log8 = clean_pair
    noisy = np.clip(log8 + np.random.default_rng(2).normal(0, 3, log8.shape), 0, 255).astype(np.uint8)
    net = ToneFuser(SMALL)
    index = [fold(pair_index(batch_of(reinhard8), batch_of(other))) for other in (log8, noisy)]
    assert clean_share(net.agreeing(index[0]), CLEAN_WINDOW).min() == 1
    assert clean_share(net.agreeing(index[1]), CLEAN_WINDOW).max() == 0


def test_the_loss_is_minus_the_psnr_that_judges():
    light = torch.rand(1, 16, 16, 3) * 50
    other = light * 1.1
    loss = float(tone_fusion_loss(level_encode(other), light))
    in_levels = float((level_encode(other) - level_encode(light)).abs().mean())
    psnr = pu21_psnr(other[0].numpy(), light[0].numpy())
    assert loss == pytest.approx(-psnr + 4 * in_levels, abs=0.01)


def test_folding_comes_back():
    picture = torch.arange(2 * 8 * 12 * 3).reshape(2, 8, 12, 3)
    assert fold(picture).shape == (2, 2, 3, 48)
    assert torch.equal(unfold(fold(picture)), picture)
    assert torch.equal(fold(picture)[0, 1, 2, :3], picture[0, 4, 8])
