import numpy as np
import pytest

from hdrgen.colour import ocio
from hdrgen.colour.logc import logc4_decode
from hdrgen.colour.primaries import AP1, AWG4, convert_primaries
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture(autouse=True)
def _builtin_config(monkeypatch):
    monkeypatch.delenv("OCIO", raising=False)


def test_logc4_to_acescg_agrees_with_our_own_curve_and_matrix():
    code = np.random.default_rng(0).uniform(0.05, 1, (130, 70, 3)).astype(np.float32)
    delivered = ocio.convert(code, "logc4", "acescg")
    ours = convert_primaries(logc4_decode(code.astype(np.float64)), AWG4, AP1)
    # Relative to the pixel: a component that cancels to nearly zero has no relative precision of its own.
    assert (np.abs(delivered - ours).max(-1) / np.abs(ours).max(-1)).max() <= 1e-5


def test_the_input_is_left_as_it_was():
    code = np.full((4, 4, 3), 0.5, np.float32)
    ocio.convert(code, "logc4", "acescg")
    assert (code == 0.5).all()


@pytest.mark.parametrize("target", ["acescg", "linear_awg4"])
def test_halves_are_converted_as_the_singles_they_stand_for(target):
    half = np.random.default_rng(1).normal(0, 4, (130, 70, 3)).astype(np.float16)
    delivered = ocio.convert(half, "linear_awg4", target)
    np.testing.assert_array_equal(delivered, ocio.convert(half.astype(np.float32), "linear_awg4", target))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_conversion_to_the_same_space_is_a_copy(dtype):
    light = np.full((4, 4, 3), 0.5, dtype)
    same = ocio.convert(light, "acescg", "acescg")
    assert same.dtype == np.float32
    assert (same == 0.5).all()
    assert not np.shares_memory(same, light)


def test_an_unknown_space_gets_the_nearest_names():
    with pytest.raises(HdrgenError, match="unknown colour space 'ACESgc'; did you mean 'ACEScg'"):
        ocio.space_name("ACESgc")


@pytest.mark.parametrize("alias", ocio.ALIASES)
def test_every_alias_names_a_space_of_the_built_in_configuration(alias):
    assert ocio.space_name(alias) == ocio.ALIASES[alias]
