import numpy as np
import pytest
import torch

from hdrgen.colour.hdr_normalisation import HdrNormalisation
from hdrgen.colour.logc import logc4_encode


@pytest.mark.parametrize("peak_linear", [1000.0, 300.0])
def test_black_is_minus_1_and_the_peak_1(peak_linear):
    curve = HdrNormalisation(peak_linear)
    assert curve.encode(np.array([0.0, peak_linear])) == pytest.approx([-1, 1], abs=1e-9)


def test_the_curve_is_logc4_stretched():
    linear = np.geomspace(1e-4, 1e4, 50)
    slope, offset = np.polyfit(logc4_encode(linear), HdrNormalisation().encode(linear), 1)
    assert slope * logc4_encode(linear) + offset == pytest.approx(HdrNormalisation().encode(linear), abs=1e-9)
    # log2(1 + x / toe) / log2(1 + peak / toe) from 0 to 1, with LogC4's toe.
    toe_linear = 64 * 117.45 / (2**18 - 16)
    expected = 2 * np.log2(1 + linear / toe_linear) / np.log2(1 + 1000 / toe_linear) - 1
    assert HdrNormalisation().encode(linear) == pytest.approx(expected, abs=1e-9)


def test_it_goes_on_below_black_and_above_the_peak():
    curve = HdrNormalisation()
    code = curve.encode(np.array([-1.0, -0.018, 0.0, 1000.0, 2000.0]))
    assert (np.diff(code) > 0).all()
    assert code[1] == pytest.approx(-1.189, abs=1e-3)
    assert code[4] == pytest.approx(1.1325, abs=1e-4)
    assert np.isfinite(curve.encode(np.float32([-1e4, 65504]))).all()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_every_half_value_up_to_the_peak_and_beyond_comes_back(kind):
    half = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    linear = half[np.isfinite(half) & (half > -0.018) & (half < 4000)].astype(np.float32)
    values = torch.from_numpy(linear) if kind == "torch" else linear
    curve = HdrNormalisation()
    code = curve.encode(values)
    assert code.dtype == values.dtype
    back = np.asarray(curve.decode(code))
    assert back.dtype == np.float32
    # A hundredth of the step between two halfs, and as little in the shadows.
    assert np.all(np.abs(back - linear) <= 5e-6 * linear.clip(0.05))


def test_light_that_is_not_float_is_refused():
    with pytest.raises(TypeError, match="expected floats"):
        HdrNormalisation().encode(np.array([1, 2]))
