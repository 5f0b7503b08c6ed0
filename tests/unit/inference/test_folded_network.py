import numpy as np
import pytest
import torch

from hdrgen.inference import bit_depth, folded_network
from hdrgen.models import runtime_network
from hdrgen.models.bit_depth import MODEL, load_bit_depth
from hdrgen.models.int8_unet import int8_supported
from hdrgen.models.weights import released_weights


@pytest.fixture
def net():
    return load_bit_depth(released_weights(MODEL))


def grainy_gradient(height, width):
    y, x = np.mgrid[:height, :width] / 20
    code = (60 + x + y)[..., None] + [0, 5, 40] + np.random.default_rng(0).normal(0, 1, (height, width, 3))
    return np.rint(code).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("hardware", "ranges", "expected"),
    [(True, True, torch.uint8), (True, False, torch.float32), (False, True, torch.float32)],
)
def test_8_bit_integers_are_for_processors_and_weights_that_have_them(
    monkeypatch, net, hardware, ranges, expected
):
    if expected == torch.uint8 and not int8_supported():
        pytest.skip("no 8-bit products here")
    monkeypatch.setattr(folded_network, "int8_supported", lambda: hardware)
    monkeypatch.setattr(runtime_network, "fastest_dtype", lambda: torch.float32)
    if not ranges:
        net.unet.input_ranges.fill_(torch.nan)
    assert bit_depth.Expander(net, "")._dtype == expected


@pytest.mark.skipif(not int8_supported(), reason="no 8-bit products here")
@pytest.mark.parametrize("size", [(1, 1), (65, 129), (300, 257)])
def test_in_8_bit_integers_every_code_comes_back_as_near_as_in_single_precision(net, size):
    code8 = grainy_gradient(*size)
    fast, exact = (bit_depth.Expander(net, "", dtype) for dtype in (torch.uint8, torch.float32))
    code = fast.expand(code8)
    np.testing.assert_array_equal(np.rint(code * 255), code8)
    assert (code - exact.expand(code8)).std() * 255 < 0.03
    # With threads the overview is interpolated in other vectors, which moves a feature by one of its 256 codes here and there.
    np.testing.assert_allclose(255 * fast.expand(code8, threads=1), 255 * code, atol=0.05, rtol=0)


@pytest.mark.skipif(not int8_supported(), reason="no 8-bit products here")
def test_tiles_in_8_bit_integers_leave_no_seam_at_all(monkeypatch, net):
    code8 = grainy_gradient(320, 448)
    expander = bit_depth.Expander(net, "", torch.uint8)
    whole = expander.expand(code8, strength=1)
    monkeypatch.setattr(bit_depth, "TILE", 128)
    np.testing.assert_array_equal(expander.expand(code8, strength=1), whole)
