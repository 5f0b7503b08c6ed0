"""Fast conversions are the exact ones."""

import numpy as np
import pytest

from hdrgen.colour.half_floats import all_finite, all_halves, any_nan, look_up, to_half, to_single


def test_every_half_becomes_its_single():
    halves = all_halves().reshape(64, 64, 16)
    assert np.array_equal(to_single(halves), halves.astype(np.float32), equal_nan=True)


@pytest.mark.filterwarnings("ignore:overflow")
def test_singles_round_as_numpy_rounds_them():
    rng = np.random.default_rng(0)
    single = rng.normal(0, 1, (300, 400, 3)) * np.exp2(rng.integers(-28, 18, (300, 400, 3)))
    single = single.astype(np.float32)
    single[0, :8, 0] = (np.nan, np.inf, -np.inf, 65519, 65520, -0.0, 1 + 2**-11, 1 + 3 * 2**-11)
    expected = single.astype(np.float16)
    assert np.array_equal(to_half(single), expected, equal_nan=True)
    assert np.array_equal(np.signbit(to_half(single)), np.signbit(expected))
    assert np.array_equal(to_half(single[::-1, 3:90]), expected[::-1, 3:90], equal_nan=True)
    assert to_half(single[:0]).shape == (0, 400, 3)


def test_looking_up_keeps_the_shape():
    half = np.arange(24, dtype=np.float16).reshape(2, 3, 4)
    table = np.arange(1 << 16, dtype=np.uint16)
    assert np.array_equal(look_up(table, half), half.view(np.uint16))
    assert np.array_equal(look_up(table.astype(np.uint8), half[:, ::2]), half[:, ::2].view(np.uint16) % 256)


def test_finite():
    assert all_finite(np.array([-65504, 0, 1], np.float16))
    assert not all_finite(np.array([0, -np.inf], np.float16))
    assert not all_finite(np.array([0, np.nan], np.float16))
    assert not all_finite(np.array([0, -np.nan], np.float16))
    assert any_nan(np.array([0, -np.nan], np.float16))
    assert not any_nan(np.array([np.inf, -np.inf, -65504], np.float16))
