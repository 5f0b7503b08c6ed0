import pytest
import torch
from torch import nn

from hdrgen.models.hdr_vae import (
    PublishedHdrVae,
    PublishedHdrVaeNetwork,
    load_published_hdr_vae,
    save_published_hdr_vae,
)
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    return PublishedHdrVae(PublishedHdrVaeNetwork(base_channels=32)).eval()


def light(height=32, width=48):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(3)) * 100


def test_the_decoder_is_the_published_one():
    with torch.device("meta"):
        full = PublishedHdrVae(PublishedHdrVaeNetwork())
    layers = [*full.decoder, *full.last]
    up = [m for m in layers if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels, m.stride) for m in up] == [
        (1024, 512, (2, 2)),
        (512, 256, (2, 2)),
        (256, 128, (2, 2)),
    ]
    assert layers[0].in_channels == 4
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.ConvTranspose2d):
            assert layers[i + 1].num_groups == 32
            assert isinstance(layers[i + 2], nn.SiLU)
    assert isinstance(layers[-1], nn.Conv2d)
    assert (layers[-1].kernel_size, layers[-1].out_channels) == ((3, 3), 3)


def test_latents_have_4_channels_at_an_eighth_and_pictures_their_own_size(net):
    latents = net.latents(light())
    assert latents.shape == (1, 4, 4, 6)
    assert net.linear_awg4(latents).shape == (1, 3, 32, 48)


def test_light_is_not_clamped(net):
    linear = net.linear_awg4(net.latents(light()) * 1e3)
    bias = net.last[-1].bias.detach().clone()
    with torch.no_grad():
        net.last[-1].bias += 3
        brighter = net.linear_awg4(net.latents(light()) * 1e3)
        net.last[-1].bias.copy_(bias)
    assert linear.min() < 0
    assert brighter.max() > 1000


def test_a_large_picture_in_tiles_is_that_in_one_piece(net, monkeypatch):
    latents = net.latents(light(64, 80))
    whole = net.normalisation.encode(net.linear_awg4(latents))
    monkeypatch.setattr(PublishedHdrVae, "TILE", 32)
    tiled = net.normalisation.encode(net.linear_awg4(latents))
    assert torch.allclose(tiled, whole, atol=1e-4)


def test_weights_come_back_and_others_are_refused(net, tmp_path):
    path = tmp_path / "hdr_vae.safetensors"
    save_published_hdr_vae(path, net)
    again = load_published_hdr_vae(path)
    assert again.network == net.network
    assert torch.equal(again.latents(light()), net.latents(light()))
    path.write_bytes(b"no weights")
    with pytest.raises(HdrgenError, match=r"hdr_vae\.safetensors"):
        load_published_hdr_vae(path)
