import pytest
import torch
from torch import nn

from hdrgen.models.group_norm_tiles import decode_in_tiles


@pytest.fixture(scope="module")
def part():
    """Return a decoder's last part: it enlarges by 2, has three norms, and an answer is reached from 3 places away."""
    torch.manual_seed(1)
    layers = nn.Sequential(
        nn.GroupNorm(2, 8),
        nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1),
        nn.Sequential(nn.GroupNorm(4, 8), nn.SiLU(), nn.Conv2d(8, 8, 3, padding=1)),
        nn.GroupNorm(2, 8),
        nn.Conv2d(8, 3, 3, padding=1),
    )
    for norm in (m for m in layers.modules() if isinstance(m, nn.GroupNorm)):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -1, 1)
    return layers.eval()


def features(height, width):
    # Not alike everywhere, as a picture with a sun is not.
    ramp = torch.linspace(0, 5, width).exp()
    return torch.randn(2, 8, height, width, generator=torch.Generator().manual_seed(2)) * ramp


@pytest.mark.parametrize("size", [(16, 16), (13, 29)])
@torch.no_grad()
def test_tiles_come_out_as_the_whole_picture(part, size):
    whole = part(features(*size))
    tiled = decode_in_tiles(part, features(*size), scale=2, halo=3, tile=10)
    assert tiled.shape == whole.shape
    assert torch.allclose(tiled, whole, atol=1e-4)


@torch.no_grad()
def test_tiles_on_their_own_or_with_too_little_around_them_do_not(part):
    picture = features(16, 16)
    whole = part(picture)
    alone = torch.cat([part(half) for half in picture.split(8, dim=3)], dim=3)
    assert (alone - whole).abs().max() > 0.1
    assert (decode_in_tiles(part, picture, scale=2, halo=0, tile=10) - whole).abs().max() > 0.01


@torch.no_grad()
def test_the_part_is_left_as_it_was(part):
    before = [type(module) for module in part.modules()]
    decode_in_tiles(part, features(16, 16), scale=2, halo=3, tile=16)
    assert [type(module) for module in part.modules()] == before
