"""What is said of recovered light: the truth is perfect, exposure is free, and what got worse is listed."""

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.display import srgb_decode
from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.pairs.display_pairs import (
    MakeDisplayPairs,
    judged_kinds,
    judged_light,
    judged_picture,
    make_display_pairs,
)
from hdrgen.evaluation.highlights import (
    CLOSED_FORMS,
    UNTOUCHED,
    EvaluateHighlights,
    evaluate_highlights,
    harmed,
    recovered_figures,
    recoverers,
)
from hdrgen.evaluation.tables import PictureFigures
from hdrgen.images.exr import write_exr
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture(scope="module")
def light():
    """Return a dim room with a window and a lamp, 64 x 80, and where its picture is clipped."""
    rng = np.random.default_rng(0)
    light = np.exp2(rng.uniform(-4, -1, (64, 80, 1))) * rng.uniform(0.7, 1, (64, 80, 3))
    light[4:20, 8:24] = (6.0, 7.0, 8.0)
    light[40:44, 60:64] = (90.0, 70.0, 40.0)
    light = light.astype(np.float32)
    return light, (light > 1).any(-1)


def test_the_truth_is_perfect(light):
    light, clipped = light
    figures = recovered_figures(light.copy(), light, clipped)
    assert figures["pu21_psnr"] >= 100
    assert figures["pu21_psnr_crf"] >= 60
    assert figures["pu21_ssim"] == pytest.approx(1, abs=1e-4)
    for name in ("energy_stops", "energy_error_stops", "peak_error_stops", "seen_rmse_stops"):
        assert figures[name] == pytest.approx(0, abs=1e-5), name


@pytest.mark.parametrize("exposure", [-2.0, 1.0])
def test_exposure_is_aligned_away(light, exposure):
    light, clipped = light
    one = recovered_figures(light.copy(), light, clipped)
    other = recovered_figures(light * np.float32(2**exposure), light, clipped)
    assert one.keys() == other.keys()
    for name in ("energy_stops", "seen_rmse_stops", "peak_error_stops", "pu21_ssim"):
        assert other[name] == pytest.approx(one[name], abs=1e-3), name
    assert other["pu21_psnr"] > 80


def test_a_clipped_picture_lacks_energy_by_what_was_clipped(light):
    light, clipped = light
    figures = recovered_figures(np.minimum(light, 1), light, clipped)
    lost = np.log2(clipped.sum() / light[clipped].mean(-1).sum())
    assert figures["energy_stops"] < 0
    assert figures["energy_stops"] == pytest.approx(lost, abs=0.3)
    assert figures["energy_error_stops"] == -figures["energy_stops"]
    assert figures["peak_error_stops"] > 5
    assert figures["seen_rmse_stops"] == pytest.approx(0, abs=1e-3)
    doubled = np.where(clipped[..., None], 2 * light, light)
    too_much = recovered_figures(doubled, light, clipped)
    assert too_much["energy_stops"] == pytest.approx(1, abs=1e-3)
    assert too_much["energy_error_stops"] == pytest.approx(1, abs=1e-3)
    assert too_much["pu21_psnr"] > figures["pu21_psnr"]


def test_what_is_not_there_has_no_figures(light):
    light, clipped = light
    seen = recovered_figures(light, light, np.zeros_like(clipped))
    assert "energy_stops" not in seen
    assert "seen_rmse_stops" in seen
    assert "seen_rmse_stops" not in recovered_figures(light, light, np.ones_like(clipped))


# Every picture.


def figures_of(frame, model, psnr, kind="clip"):
    return PictureFigures("s", frame, kind, model, {"pu21_psnr": psnr})


def test_harmed_are_exactly_those_below_the_untouched_picture():
    rows = [
        figures_of("a", UNTOUCHED, 30.0),
        figures_of("b", UNTOUCHED, 30.0),
        figures_of("b", UNTOUCHED, 40.0, "film"),
        figures_of("a", "net", 29.0),
        figures_of("b", "net", 30.0),
        figures_of("b", "net", 38.0, "film"),
        figures_of("a", "boost_2", 10.0),
        figures_of("b", "other", 33.0),
    ]
    listed = harmed(rows, ["net", "other"])
    assert listed.rows() == [("s", "film", "b", "net", -2.0), ("s", "clip", "a", "net", -1.0)]
    none = harmed(rows, ["other"])
    assert none.is_empty()
    assert none.columns == listed.columns


def test_boosts_leave_what_is_seen_and_raise_white():
    code8 = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=-1)
    models = recoverers({}, EvaluateHighlights())
    assert tuple(models) == CLOSED_FORMS
    plain = models[UNTOUCHED](code8)
    np.testing.assert_allclose(plain, srgb_decode(code8 / 255), rtol=1e-5)
    for factor in (2, 4):
        boosted = models[f"boost_{factor}"](code8)
        np.testing.assert_array_equal(boosted[:, :231], plain[:, :231])
        assert boosted[0, 255, 0] == pytest.approx(factor)
        assert (np.diff(boosted[0, :, 0]) > 0).all()


@pytest.fixture
def pairs(tmp_path, light):
    """Return the arguments that say what is evaluated: pairs of a scene to train on and one to judge."""
    rows = []
    for name, split in (("a", "train"), ("b", "test")):
        write_exr(tmp_path / f"{name}.exr", light[0].astype(np.float16), chromaticities=AWG4)
        rows.append({"frame": name, "source": "s", "scene": name, "split": split, "file": f"{name}.exr"})
    frames = pl.DataFrame(rows)
    settings = MakeDisplayPairs(seed=0, crop_size=32, crops_per_frame=1, judged_size=64, workers=1)
    index = make_display_pairs(frames, tmp_path, settings, tmp_path / "pairs")
    return tmp_path / "pairs", index, frames, tmp_path, settings


def test_every_model_is_judged_on_every_picture(pairs, light):
    settings = pairs[-1]
    linear = judged_light(light[0].astype(np.float16), settings.judged_size)
    truths = {judged_picture(linear, kind).code8.tobytes(): kind for kind in ("clip", "film")}

    def oracle(code8):
        """Return the truth of pictures without JPEG, which tells them."""
        kind = truths.get(code8.tobytes())
        return judged_picture(linear, kind).linear_rec709 if kind else srgb_decode(code8 / np.float32(255))

    seen = []
    models = recoverers({}, EvaluateHighlights()) | {"oracle": oracle}
    rows = evaluate_highlights(*pairs, models, lambda *step: seen.append(step))
    assert seen == [(1, 1)]
    assert [(row.kind, row.model) for row in rows] == [
        (kind, model) for kind in judged_kinds(settings) for model in models
    ]
    of = {(row.kind, row.model): row.figures for row in rows}
    for kind in ("clip", "film"):
        assert of[kind, "oracle"]["pu21_psnr"] > 90
        assert of[kind, UNTOUCHED]["energy_stops"] < 0
    assert of["clip", UNTOUCHED]["energy_stops"] < of["clip", "boost_2"]["energy_stops"]
    assert harmed(rows, ["oracle"]).is_empty()


def test_nothing_to_judge_is_said(pairs):
    folder, index, *rest = pairs
    with pytest.raises(HdrgenError, match="no test frames to judge"):
        evaluate_highlights(folder, index.filter(pl.col("split") == "train"), *rest, {})
