import warnings

import numpy as np
import pytest
import torch

from hdrgen.colour import logc

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # colour-science misses plotting libraries and says so
    from colour import models as reference

LINEAR = np.concatenate([np.linspace(-0.018, 0.02, 1001), np.geomspace(1e-6, 469.8, 2001)])


def test_logc4_agrees_with_colour_science():
    assert np.abs(logc.logc4_encode(LINEAR) - reference.log_encoding_ARRILogC4(LINEAR)).max() <= 1e-6
    code = np.linspace(-0.1, 1.2, 4001)
    ours, theirs = logc.logc4_decode(code), reference.log_decoding_ARRILogC4(code)
    assert np.abs(ours / theirs - 1)[np.abs(theirs) > 1e-9].max() <= 1e-6


@pytest.mark.parametrize(("linear", "code"), [(0.0, 0.092864), (0.18, 0.278396), (469.8, 1.0)])
def test_logc4_has_the_values_of_the_specification(linear, code):
    assert float(logc.logc4_encode(linear)) == pytest.approx(code, abs=5e-7)
    assert float(logc.logc4_decode(code)) == pytest.approx(linear, abs=1e-4, rel=1e-5)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_every_half_value_that_logc4_covers_survives_in_single_precision(kind):
    half = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    half = half[np.isfinite(half)]
    linear = half.astype(np.float32)
    covered = linear[(linear >= logc.LOGC4_T) & (linear <= logc.LOGC4_CEILING)]
    assert len(covered) == 33784
    values = torch.from_numpy(covered) if kind == "torch" else covered
    back = np.asarray(logc.logc4_decode(logc.logc4_encode(values))).astype(np.float16)
    np.testing.assert_array_equal(back, covered.astype(np.float16))


@pytest.mark.parametrize("exposure_index", [160, 200, 250, 320, 400, 500, 640, 800, 1000, 1280, 1600])
def test_logc3_agrees_with_colour_science(exposure_index):
    ours = logc.logc3_encode(LINEAR, exposure_index)
    theirs = reference.log_encoding_ARRILogC3(LINEAR, EI=exposure_index)
    assert np.abs(ours - theirs).max() <= 1e-6
    assert np.abs(logc.logc3_decode(ours, exposure_index) - LINEAR).max() <= 1e-9


def test_an_exposure_index_without_a_curve_is_refused():
    with pytest.raises(ValueError, match="no LogC3 curve for EI 801"):
        logc.logc3_encode(LINEAR, 801)


def test_integers_are_refused_because_they_are_codes_of_unknown_depth():
    with pytest.raises(TypeError, match="divide code values"):
        logc.logc4_decode(np.arange(3, dtype=np.uint8))
