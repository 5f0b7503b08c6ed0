import numpy as np
import pytest
import torch

from hdrgen.inference import tone_fusion as fusion
from hdrgen.models.int8_unet import int8_supported
from hdrgen.models.tone_fusion import ToneFuser, ToneFusion, load_tone_fuser
from hdrgen.models.weights import released_weights
from hdrgen.runtime.errors import HdrgenError

SMALL = ToneFusion(widths=(8, 8, 8), blocks=(1, 1, 1))


@pytest.fixture
def fuser():
    torch.manual_seed(0)
    net = ToneFuser(SMALL)
    torch.nn.init.normal_(net.unet.head.weight, std=0.1)
    return fusion.Fuser(net, "0" * 12, torch.float32)


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        pytest.param(
            torch.uint8, marks=pytest.mark.skipif(not int8_supported(), reason="no 8-bit products here")
        ),
    ],
)
def test_tiles_of_the_released_network_leave_no_seam_at_all(monkeypatch, dtype):
    rng = np.random.default_rng(0)
    fuser = fusion.Fuser(load_tone_fuser(released_weights("tone_fusion")), "", dtype)
    pair = [rng.integers(60, 200, (336, 464, 3), dtype=np.uint8) for _ in range(2)]
    whole = fuser.fuse(*pair)
    for size in ((128, 128), (64, 512), (512, 64)):
        monkeypatch.setattr(fusion, "TILE", size)
        np.testing.assert_array_equal(fuser.fuse(*pair), whole)


def test_pictures_of_different_size_get_one_clear_line(fuser):
    with pytest.raises(HdrgenError, match="differ in size: 8x4 against 8x5"):
        fuser.fuse(np.zeros((4, 8, 3), np.uint8), np.zeros((5, 8, 3), np.uint8))
