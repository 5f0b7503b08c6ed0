import numpy as np
import pytest
import torch

from hdrgen.inference.tone_mlp import PIECE, load_mlp_fuser
from hdrgen.models.tone_mlp import MODEL, ToneMlp
from hdrgen.models.weights import save_weights
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    net = ToneMlp()
    torch.nn.init.normal_(net.layers[-2].weight, std=0.5)
    save_weights(tmp_path / "mlp.safetensors", net, model=MODEL, settings={})
    return tmp_path / "mlp.safetensors", net


def pictures(height, width):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(2)]


@pytest.mark.parametrize("size", [(1, 1), (33, 70), (PIECE // 32, 32)])
def test_in_single_precision_it_is_the_network(weights, size):
    path, net = weights
    pair = pictures(*size)
    codes = torch.from_numpy(np.concatenate(pair, -1).reshape(-1, 6)).float() / 255
    expected = net(codes).detach().numpy().reshape(*size, 3)
    np.testing.assert_allclose(load_mlp_fuser(path, torch.float32).fuse(*pair), expected, rtol=1e-5)


@pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN products"
)
def test_in_bf16_it_is_the_network_to_the_rounding_of_bf16(weights):
    path, _ = weights
    pair = pictures(70, 61)
    exact, fused = (load_mlp_fuser(path, dtype).fuse(*pair) for dtype in (torch.float32, torch.bfloat16))
    assert np.abs(fused - exact).max() < 0.02 * exact.std() + 0.01 * exact.max()
    assert np.corrcoef(fused.ravel(), exact.ravel())[0, 1] > 0.9995


def test_weights_that_are_missing_are_named(tmp_path):
    with pytest.raises(HdrgenError, match=r"mlp\.safetensors: no readable safetensors"):
        load_mlp_fuser(tmp_path / "mlp.safetensors")
