import numpy as np
import pytest

from hdrgen.colour.primaries import AWG4, REC2020, convert_primaries
from hdrgen.metrics.delta_e_itp import delta_e_itp, delta_e_itp_between, ictcp


@pytest.fixture(scope="module")
def colour():
    return pytest.importorskip("colour", reason="colour-science is not installed")


def test_ictcp_is_that_of_colour_science(colour):
    nits = np.random.default_rng(0).lognormal(3, 2, (200, 3))
    theirs = colour.RGB_to_ICtCp(np.minimum(nits, 9000), method="ITU-R BT.2100-2 PQ")
    np.testing.assert_allclose(ictcp(np.minimum(nits, 9000)), theirs, rtol=0, atol=1e-12)


def test_delta_e_itp_is_that_of_colour_science(colour):
    one, other = np.random.default_rng(1).uniform(-0.3, 0.6, (2, 50, 3))
    np.testing.assert_array_equal(delta_e_itp_between(one, other), colour.difference.delta_E_ITP(one, other))


def test_a_value_of_colour_science_by_hand():
    one = np.array([0.4885468072, -0.04739350675, 0.07475401302])
    other = np.array([0.4899203231, -0.04567508203, 0.07361341775])
    assert float(delta_e_itp_between(one, other)) == pytest.approx(1.42657228, abs=1e-8)


def test_pictures_are_taken_from_awg4_to_nits_in_rec2020(colour):
    rng = np.random.default_rng(2)
    reference, test = rng.uniform(0.01, 8, (2, 6, 5, 3))
    theirs = colour.difference.delta_E_ITP(
        *(
            colour.RGB_to_ICtCp(
                np.maximum(convert_primaries(light, AWG4, REC2020) * 100, 0), method="ITU-R BT.2100-2 PQ"
            )
            for light in (test, reference)
        )
    )
    difference = delta_e_itp(test, reference)
    assert difference.shape == (6, 5)
    inside = (convert_primaries(np.stack([test, reference]), AWG4, REC2020) > 0).all((0, -1))
    assert inside.sum() > 10
    assert difference[inside] == pytest.approx(theirs[inside], rel=1e-4)
