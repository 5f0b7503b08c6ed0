import numpy as np
import pytest
import torch

from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.exposure.log2_encoding import log2_decode, log2_encode
from hdrgen.exposure.tone_map_tables import tone_map_tables
from hdrgen.metrics.quality import pu21_psnr
from hdrgen.models.consistency import local_consistency
from hdrgen.models.pixel_unshuffled_unet import pixel_shuffle, pixel_unshuffle
from hdrgen.models.tone_fusion import (
    WINDOW_BLOCKS,
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
    torch.nn.init.normal_(net.unet.head.weight, std=10)
    return net.eval()


def test_untrained_it_is_the_inverse_variance_average_where_the_pair_disagrees():
    rng = np.random.default_rng(1)
    reinhard8, log8 = (rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(2))
    log2 = ToneFuser(SMALL)(batch_of(reinhard8), batch_of(log8))[0].detach().numpy()
    np.testing.assert_allclose(log2, tone_map_tables(Reinhard(), Log()).average[reinhard8, log8], atol=1e-5)


def test_on_a_clean_pair_even_a_nonsense_network_stays_inside_the_intervals(clean_pair):
    _, reinhard8, log8 = clean_pair
    with torch.no_grad():
        linear = log2_decode(wild_fuser()(batch_of(reinhard8), batch_of(log8)))[0].numpy()
    tables = tone_map_tables(Reinhard(), Log())
    log2 = log2_encode(linear)
    assert (log2 >= tables.lower[reinhard8, log8] - 1e-4).all()
    assert (log2 <= tables.upper[reinhard8, log8] + 1e-4).all()


def test_a_generated_pair_is_not_clamped(clean_pair):
    _, reinhard8, log8 = clean_pair
    noisy = np.clip(log8 + np.random.default_rng(2).normal(0, 3, log8.shape), 0, 255).astype(np.uint8)
    net = ToneFuser(SMALL)
    index = [pixel_unshuffle(pair_index(batch_of(reinhard8), batch_of(other))) for other in (log8, noisy)]
    assert local_consistency(net.consistent_share(index[0]), WINDOW_BLOCKS).min() == 1
    assert local_consistency(net.consistent_share(index[1]), WINDOW_BLOCKS).max() == 0


def test_the_loss_is_minus_the_psnr_that_judges():
    light = torch.rand(1, 16, 16, 3) * 50
    other = light * 1.1
    loss = float(tone_fusion_loss(log2_encode(other), light))
    log2_error = float((log2_encode(other) - log2_encode(light)).abs().mean())
    psnr = pu21_psnr(other[0].numpy(), light[0].numpy())
    assert loss == pytest.approx(-psnr + 4 * log2_error, abs=0.01)


def test_pixel_shuffling_undoes_unshuffling():
    picture = torch.arange(2 * 8 * 12 * 3).reshape(2, 8, 12, 3)
    assert pixel_unshuffle(picture).shape == (2, 2, 3, 48)
    assert torch.equal(pixel_shuffle(pixel_unshuffle(picture)), picture)
    assert torch.equal(pixel_unshuffle(picture)[0, 1, 2, :3], picture[0, 4, 8])
