import numpy as np
import pytest

from hdrgen.colour.primaries import AWG4, REC709, convert_primaries
from hdrgen.metrics.correction import crf_corrected, scale_stops


def test_a_lamp_moves_the_least_squares_and_not_the_median():
    reference = np.full((20, 20, 3), 0.18)
    reference[:2, :2] = 500
    test = reference.copy()
    test[:2, :2] = 250  # only the lamp is wrong
    assert scale_stops(test, reference, "median") == 0
    assert scale_stops(test, reference, "least_squares") == pytest.approx(1, abs=1e-3)
    assert scale_stops(test, reference, "none") == 0


def test_black_has_no_scale():
    black, grey = np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.18)
    assert scale_stops(black, grey, "median") == 0
    assert scale_stops(black, grey, "least_squares") == 0


def test_crf_correction_gives_the_figures_of_its_authors_algorithm():
    """Computed by gfxdisp/pu21's crf_correction.m, line by line in double precision, in Rec.709."""
    reference = np.array(
        [
            [[0.02, 0.03, 0.01], [0.18, 0.18, 0.18]],
            [[0.9, 0.5, 0.2], [6.0, 7.0, 9.0]],
            [[0.05, 0.4, 0.1], [40.0, 30.0, 8.0]],
            [[0.3, 0.1, 0.6], [2.0, 1.0, 0.5]],
        ]
    )
    theirs = np.array(
        [
            [[0.01976, 0.03072, 0.01038], [0.17281, 0.17465, 0.16486]],
            [[0.93777, 0.5085, 0.20728], [5.67297, 6.87182, 8.52408]],
            [[0.04098, 0.38551, 0.09969], [40.78293, 29.99717, 9.01984]],
            [[0.3067, 0.10023, 0.62009], [2.11306, 1.03291, 0.50157]],
        ]
    )
    test = reference**1.2 * np.array([1.3, 1, 0.8])
    ours = crf_corrected(*(convert_primaries(light, REC709, AWG4) for light in (test, reference)))
    assert convert_primaries(ours.astype(float), AWG4, REC709) == pytest.approx(theirs, rel=2e-3)


def test_a_plain_picture_can_be_corrected():
    plain = np.full((12, 12, 3), 0.18, np.float32)
    assert crf_corrected(plain * 2, plain) == pytest.approx(plain, rel=0.02)
