import numpy as np
import pytest

from hdrgen.metrics import jod as jod_module
from hdrgen.metrics.full_reference import METRICS, chosen, compare_pictures, metric_of
from hdrgen.metrics.mu_law import MU, psnr_mu
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture
def street():
    """Return light from 0.003 to 200 with some texture."""
    rng = np.random.default_rng(4)
    rows = np.geomspace(0.003, 200, 48)[:, None, None] * rng.uniform(0.8, 1.2, (48, 40, 3))
    return rows.astype(np.float32)


def noisy(light, sd=0.1):
    return light * np.exp(np.random.default_rng(5).normal(0, sd, light.shape)).astype(np.float32)


def without_jod():
    return [name for name in METRICS if name != "jod"]


def test_more_noise_is_worse_by_every_metric(street):
    little, much = (
        compare_pictures(noisy(street, sd), street, metrics=without_jod()).figures for sd in (0.02, 0.2)
    )
    for figure, value in little.items():
        match metric_of(figure).better:
            case "higher":
                assert value > much[figure], figure
            case "lower":
                assert value < much[figure], figure
            case _:
                assert abs(np.log(value)) < abs(np.log(much[figure])), figure


def test_the_scale_is_taken_out_and_named(street):
    plain = compare_pictures(street / 8, street, metrics=["stops_rmse"])
    assert plain.figures["stops_rmse"] > 2.5
    assert str(plain.correction) == "none"
    for scale in ("median", "least_squares"):
        comparison = compare_pictures(street / 8, street, metrics=["stops_rmse"], scale=scale)
        assert comparison.figures["stops_rmse"] < 1e-3
        assert comparison.correction.exposure_stops == pytest.approx(3, abs=1e-3)
        assert "+3.000 stops" in str(comparison.correction)
        assert scale in str(comparison.correction)


def test_a_camera_curve_is_taken_out_and_named_and_noise_is_not(street):
    curved = noisy(street**1.3, 0.05)
    plain = compare_pictures(curved, street, metrics=["stops_rmse"])
    comparison = compare_pictures(curved, street, metrics=["stops_rmse"], crf=True)
    assert "Hanji" in str(comparison.correction)
    assert 0.02 < comparison.figures["stops_rmse"] < plain.figures["stops_rmse"] / 4


def test_psnr_mu_is_psnr_of_the_compressed_picture(street):
    test = noisy(street)
    peak = float(street.max())
    compressed = [np.log(1 + MU * np.float64(x) / peak) / np.log(1 + MU) for x in (test, street)]
    expected = -10 * np.log10(np.mean((compressed[0] - compressed[1]) ** 2))
    assert psnr_mu(test, street) == pytest.approx(expected, abs=1e-3)


def test_only_what_was_asked_for_is_measured(street):
    assert set(compare_pictures(street, street, metrics=["psnr_mu", "peak_ratio"]).figures) == {
        "psnr_mu",
        "peak_ratio",
    }
    with pytest.raises(HdrgenError, match="unknown metric 'psnr'; known are pu21_psnr"):
        compare_pictures(street, street, metrics=["psnr"])
    with pytest.raises(HdrgenError, match="unknown scale 'mean'"):
        compare_pictures(street, street, scale="mean")


def test_jod_is_left_out_where_it_is_not_installed_and_an_error_by_name(street, monkeypatch):
    monkeypatch.setattr(jod_module, "find_spec", lambda _: None)
    monkeypatch.setitem(__import__("sys").modules, "pycvvdp", None)
    assert "jod" not in [metric.name for metric in chosen(None)]
    with pytest.raises(HdrgenError, match=r"pip install 'hdrgen\[jod\]'"):
        compare_pictures(street, street, metrics=["jod"])


def test_jod_falls_with_the_damage():
    pytest.importorskip("pycvvdp", reason="ColorVideoVDP is not installed: pip install 'hdrgen[jod]'")
    light = np.repeat(np.repeat(2.0 ** np.random.default_rng(0).uniform(-5, 5, (8, 8, 3)), 16, 0), 16, 1)
    same, clipped = (jod_module.jod(test, light) for test in (light, np.minimum(light, 1)))
    assert same == pytest.approx(10)
    assert clipped < 8


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_broken_picture_is_refused_before_it_is_corrected(street, bad):
    broken = street.copy()
    broken[0, 0, 0] = bad
    with pytest.raises(ValueError, match="NaN or Inf"):
        compare_pictures(broken, street, scale="median", crf=True)
    with pytest.raises(ValueError, match="differ in size"):
        compare_pictures(street[:20], street, scale="median")
