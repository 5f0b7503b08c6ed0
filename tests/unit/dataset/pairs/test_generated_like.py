import numpy as np
import pytest

from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.dataset.pairs.generated_like import GeneratedLike, damage

NOTHING = {
    "exposure_stops": 0,
    "tint_stops": 0,
    "gain_stops": 0,
    "shift_pixels": 0,
    "blur_pixels": (0, 0),
    "noise_codes": (0, 0),
    "jpeg_share": 0,
}


@pytest.fixture(scope="module")
def light():
    y, x = np.mgrid[:96, :128]
    return np.stack([0.05 + 0.01 * x, 0.2 + 0 * x, 0.5 + 0.4 * np.sin(y / 9)], -1).astype(np.float32)


@pytest.mark.parametrize("curve", [Reinhard(), Log()])
def test_no_damage_is_the_clean_picture(light, curve):
    code = curve.encode(light)
    damaged = damage(code, curve, GeneratedLike(**NOTHING), np.random.default_rng(0))
    assert np.abs(damaged.astype(int) - quantise8(code)).max() <= 1


def test_the_same_seed_makes_the_same_damage_and_another_does_not(light):
    code = Reinhard().encode(light)
    first, again, other = (
        damage(code, Reinhard(), GeneratedLike(), np.random.default_rng(s)) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_noise_has_the_strength_that_was_asked_for(light):
    code = np.full_like(light, 0.5)
    settings = GeneratedLike(**{**NOTHING, "noise_codes": (3.0, 3.0)})
    noise = damage(code, Log(), settings, np.random.default_rng(0)) - 127.5
    assert noise.std() == pytest.approx(3 * 0.75, rel=0.1)  # a plain picture gets the least of it


def test_an_exposure_error_is_a_gain_in_light(light):
    settings = GeneratedLike(**{**NOTHING, "exposure_stops": 1.0})
    code = Reinhard().encode(light)
    damaged = damage(code, Reinhard(), settings, np.random.default_rng(3))
    gain = np.log2(Reinhard().decode(damaged / 255.0) / light)
    assert gain.std() < 0.05
    assert abs(gain.mean()) > 0.1


def test_a_picture_is_clipped_before_it_is_damaged():
    sun = np.full((32, 32, 3), 5000.0, np.float32)
    damaged = damage(Reinhard().encode(sun), Reinhard(), GeneratedLike(**NOTHING), np.random.default_rng(0))
    assert damaged.max() <= 255
    assert np.isfinite(Reinhard().decode(np.minimum(damaged / 255, 254.5 / 255))).all()
