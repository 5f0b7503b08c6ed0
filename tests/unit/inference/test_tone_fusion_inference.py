import numpy as np
import pytest
import torch

from hdrgen.inference import tone_fusion as fusion
from hdrgen.models.int8_unet import int8_supported
from hdrgen.models.tone_fusion import ToneFuser, ToneFusion, load_tone_fuser, save_tone_fuser
from hdrgen.models.weights import released_weights, save_weights
from hdrgen.runtime.errors import HdrgenError

SMALL = ToneFusion(widths=(8, 8, 8), blocks=(1, 1, 1))


@pytest.fixture
def fuser():
    torch.manual_seed(0)
    net = ToneFuser(SMALL)
    torch.nn.init.normal_(net.unet.leave.weight, std=0.1)
    return fusion.Fuser(net, "0" * 12, torch.float32)


@pytest.mark.filterwarnings("error")
def test_pictures_that_must_not_be_written_are_taken_and_left_as_they_are(fuser):
    pair = [np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8) for _ in range(2)]
    expected = fuser.fuse(*(picture.copy() for picture in pair))
    for picture in pair:
        picture.flags.writeable = False
    np.testing.assert_array_equal(fuser.fuse(*pair), expected)


@pytest.mark.parametrize("size", [(1, 1), (7, 33), (64, 64), (130, 97), (48, 301)])
def test_any_size(fuser, size):
    rng = np.random.default_rng(0)
    pair = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2)]
    linear = fuser.fuse(*pair)
    assert linear.shape == (*size, 3)
    assert linear.dtype == np.float32
    assert np.isfinite(linear).all()
    assert (linear >= 0).all()


@pytest.mark.parametrize("size", [(128, 128), (64, 512), (512, 64)])
@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        pytest.param(
            torch.uint8, marks=pytest.mark.skipif(not int8_supported(), reason="no 8-bit products here")
        ),
    ],
)
def test_tiles_of_the_released_network_leave_no_seam_at_all(monkeypatch, size, dtype):
    rng = np.random.default_rng(0)
    fuser = fusion.Fuser(load_tone_fuser(released_weights("tone_fusion")), "", dtype)
    pair = [rng.integers(60, 200, (336, 464, 3), dtype=np.uint8) for _ in range(2)]
    whole = fuser.fuse(*pair)
    monkeypatch.setattr(fusion, "TILE", size)
    np.testing.assert_array_equal(fuser.fuse(*pair), whole)


def test_pictures_of_different_size_get_one_clear_line(fuser):
    with pytest.raises(HdrgenError, match="differ in size: 8x4 against 8x5"):
        fuser.fuse(np.zeros((4, 8, 3), np.uint8), np.zeros((5, 8, 3), np.uint8))


def test_weights_come_back_with_their_settings(tmp_path, fuser):
    path = tmp_path / "w.safetensors"
    for parameter in fuser._net.parameters():
        parameter.data = parameter.data.half().float()  # as they are stored
    save_tone_fuser(path, fuser._net)
    again = fusion.Fuser(load_tone_fuser(path), "", torch.float32)
    pair = [np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(2)]
    np.testing.assert_array_equal(again.fuse(*pair), fuser.fuse(*pair))


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x04\x95"])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(HdrgenError, match="no readable safetensors"):
        fusion.Fuser.load(path)


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, torch.nn.Linear(1, 1), model="tone_mlp", settings={})
    with pytest.raises(HdrgenError, match="holds weights of 'tone_mlp', not of 'tone_fusion'"):
        fusion.Fuser.load(path)


def test_the_released_weights_load():
    assert len(fusion.Fuser.load().digest) == 12
