import pytest
import torch

from hdrgen.models.tone_mlp import ToneMlp, ToneMlpLoss, tone_mlp_loss


def test_the_network_is_the_published_one():
    net = ToneMlp()
    assert sum(p.numel() for p in net.parameters()) == 67_203
    shapes = [tuple(layer.weight.shape) for layer in net.layers if hasattr(layer, "weight")]
    assert shapes == [(128, 6), (256, 128), (128, 256), (3, 128)]
    assert (net(torch.randn(100, 6)) > 0).all()


def test_the_loss_is_zero_for_the_right_answer_and_finite_for_black_and_negative_ones():
    light = torch.tensor([[0.0, 0.0, 0.0], [-0.01, 0.2, 900.0], [1.0, 2.0, 3.0]])
    assert float(tone_mlp_loss(light, light, ToneMlpLoss())) == pytest.approx(0, abs=1e-6)
    wrong = torch.zeros_like(light, requires_grad=True)
    loss = tone_mlp_loss(wrong + 1e-9, light, ToneMlpLoss())
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(wrong.grad).all()


def test_a_lost_highlight_costs_more_than_a_lost_shadow():
    light = torch.tensor([[0.2, 0.2, 0.2], [50.0, 50.0, 50.0]])
    no_shadow, no_highlight = light.clone(), light.clone()
    no_shadow[0] /= 10
    no_highlight[1] /= 10
    settings = ToneMlpLoss()
    assert tone_mlp_loss(no_highlight, light, settings) > 1.2 * tone_mlp_loss(no_shadow, light, settings)
