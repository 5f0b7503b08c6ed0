import numpy as np
import pytest

from hdrgen.metrics import quality


@pytest.fixture(scope="module")
def sunset():
    rng = np.random.default_rng(0)
    light = rng.lognormal(-1.7, 1.5, (96, 96, 3)).astype(np.float32)
    light[40:50, 40:50] = 700.0
    return light


def test_a_perfect_picture_has_perfect_figures(sunset):
    figures = quality.evaluate(sunset, sunset)
    assert figures["pu21_psnr"] == 100
    assert figures["pu21_ssim"] == pytest.approx(1)
    assert figures["stops_rmse"] == 0
    assert figures["peak_ratio"] == 1


def test_one_stop_too_bright_is_one_stop_of_error_in_every_band(sunset):
    rmse = quality.stops_rmse(sunset * 2, sunset)
    assert set(rmse) == {"all", *quality.LUMINANCE_BANDS}
    assert all(value == pytest.approx(1, abs=0.02) for value in rmse.values())


def test_cutting_all_highlights_is_hidden_by_the_published_metric_but_not_by_ours(sunset):
    few = sunset.copy()
    few[41:, 41:] = np.minimum(few[41:, 41:], 2)  # one lamp's corner is left
    few[40:50, 40:50] = 1.5
    few[40, 40] = 700.0
    clipped = np.minimum(few, 1.0)
    assert quality.psnr_linear(clipped, few) > 33
    assert quality.peak_ratio(clipped, few) < 0.01
    assert quality.pu21_psnr(clipped, few) < quality.psnr_linear(clipped, few)


def test_pu21_psnr_is_what_the_formula_says():
    # 100 and 1000 nit are 256.384 and 420.097 in PU21.
    reference, test = np.full((16, 16, 3), 1.0), np.full((16, 16, 3), 10.0)
    assert quality.pu21_psnr(test, reference) == pytest.approx(
        20 * np.log10(595.3939 / (420.097 - 256.384)), abs=1e-3
    )


def test_an_empty_band_is_left_out_and_counts_for_no_mean(sunset):
    dim = np.full((16, 16, 3), 0.2, np.float32)
    assert set(quality.stops_rmse(dim, dim)) == {"all", "0.05_to_1"}
    summary = quality.summarise([quality.evaluate(dim, dim), quality.evaluate(sunset, sunset)])
    assert summary["stops_rmse_above_16"]["count"] == 1
    assert summary["stops_rmse"]["count"] == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_broken_picture_is_refused(sunset, bad):
    broken = sunset.copy()
    broken[0, 0, 0] = bad
    with pytest.raises(ValueError, match="NaN or Inf"):
        quality.evaluate(broken, sunset)


def test_pictures_of_different_size_are_refused(sunset):
    with pytest.raises(ValueError, match="differ in size"):
        quality.evaluate(sunset[:50], sunset)


def test_a_black_reference_has_figures_that_json_can_say():
    black, grey = np.zeros((16, 16, 3), np.float32), np.full((16, 16, 3), 0.18, np.float32)
    assert all(np.isfinite(value) for value in quality.evaluate(grey, black).values())
