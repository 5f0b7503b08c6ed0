"""False colour tells stops apart."""

import numpy as np

from hdrgen.colour.false_colour import HIGHEST_STOP, LOWEST_STOP, false_colour


def test_each_stop_has_a_colour_of_its_own():
    stops = np.arange(LOWEST_STOP, HIGHEST_STOP + 1)
    colours = false_colour(0.18 * 2.0 ** stops[None].astype(np.float32))[0]
    assert len(np.unique(colours, axis=0)) == len(stops)
    assert colours[-LOWEST_STOP].tolist() == [119, 119, 119]
    assert colours[0, 2] > colours[0, 0], "dark is blue"
    assert colours[-1, 0] > colours[-1, 2], "bright is red"


def test_what_lies_beyond_is_black_or_white():
    luminance = np.array([[0.0, -1.0, np.nan, 1e-6, 6e4, np.inf]], np.float32)
    assert false_colour(luminance)[0, :, 0].tolist() == [0, 0, 0, 0, 255, 255]
