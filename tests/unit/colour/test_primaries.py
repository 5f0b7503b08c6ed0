import warnings

import numpy as np
import pytest

from hdrgen.colour import primaries as p

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import colour

THEIRS = {
    "awg3": "ARRI Wide Gamut 3",
    "awg4": "ARRI Wide Gamut 4",
    "ap0": "ACES2065-1",
    "ap1": "ACEScg",
    "rec709": "ITU-R BT.709",
    "rec2020": "ITU-R BT.2020",
    "p3d65": "P3-D65",
}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [*((p.SPACES[name], theirs) for name, theirs in THEIRS.items()), (p.ADOBE_RGB, "Adobe RGB (1998)")],
)
def test_primaries_and_whites_are_those_of_colour_science(ours, theirs):
    space = colour.RGB_COLOURSPACES[theirs]
    np.testing.assert_array_equal([*ours], [*space.primaries, space.whitepoint])


@pytest.mark.parametrize("source", THEIRS)
@pytest.mark.parametrize("target", THEIRS)
def test_matrices_agree_with_colour_science(source, target):
    ours = p.rgb_to_rgb(p.SPACES[source], p.SPACES[target])
    theirs = colour.matrix_RGB_to_RGB(derived(source), derived(target), "CAT02")
    assert np.abs(ours - theirs).max() < 1e-14


def derived(name):
    """Return its space with a matrix from the primaries; some documents round theirs."""
    space = colour.RGB_COLOURSPACES[THEIRS[name]].copy()
    space.use_derived_transformation_matrices(True)
    return space


@pytest.mark.parametrize("space", p.SPACES.values())
def test_white_stays_white_and_has_luminance_one(space):
    white = np.array([0.3127, 0.3290, 0.3583]) / 0.3290 if space is p.XYZ_E else np.ones(3)
    assert p.luminance(white, space) == pytest.approx(1)
    np.testing.assert_allclose(p.convert_primaries(white, space, p.AP1), np.ones(3), atol=1e-9)
    np.testing.assert_allclose(p.convert_primaries(np.ones(3), p.AP1, space), white, atol=1e-9)


def test_xyz_is_that_of_the_scene_also_as_files_round_it():
    rounded = p.Chromaticities((1, 0), (0, 1), (0, 0), (0.3333, 0.3333))
    for space in (p.REC709, p.AWG4):
        np.testing.assert_allclose(p.rgb_to_rgb(space, p.XYZ_E), p.rgb_to_xyz(space), atol=1e-12)
        np.testing.assert_allclose(p.rgb_to_rgb(space, rounded), p.rgb_to_xyz(space), atol=1e-3)


def test_there_and_back_is_the_same_light_far_above_one():
    rng = np.random.default_rng(0)
    light = rng.lognormal(0, 4, (100, 3))
    back = p.convert_primaries(p.convert_primaries(light, p.AWG4, p.AP1), p.AP1, p.AWG4)
    np.testing.assert_allclose(back, light, rtol=1e-9, atol=1e-9 * light.max())


def test_chromaticities_on_one_line_are_refused():
    with pytest.raises(ValueError, match="span no colour space"):
        p.rgb_to_xyz(p.Chromaticities((0, 0), (0, 0), (0, 0), (0, 0)))
