import json

import numpy as np
import polars as pl
import pytest
import torch

from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.pairs.bit_depth_pairs import Gradients, MakeBitDepthPairs, make_bit_depth_pairs
from hdrgen.dataset.pairs.bracket_pairs import MakeBracketPairs, make_bracket_pairs
from hdrgen.dataset.pairs.generated_like import GeneratedLike
from hdrgen.dataset.pairs.tone_map_pairs import MakeToneMapPairs, make_tone_map_pairs
from hdrgen.evaluation import bit_depth, exposure_fusion, tone_fusion
from hdrgen.evaluation.tables import (
    PictureFigures,
    decisive,
    plots,
    summary,
    write_evaluation,
)
from hdrgen.images.exr import write_exr
from hdrgen.metrics.quality import LUMINANCE_BANDS
from hdrgen.models.bit_depth import BitDepth, BitDepthUNet, save_bit_depth
from hdrgen.models.exposure_fusion import ExposureFusion, LuminanceStackProcessor, save_exposure_fusion
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import read_figures

BIT_DEPTH = MakeBitDepthPairs(
    seed=1,
    crop_size=32,
    crops_per_frame=1,
    judged_size=64,
    gradients=Gradients(train=0, val=0, test=1, size=64),
    workers=1,
)
TONE_MAP = MakeToneMapPairs(
    seed=1, crop_size=32, crops_per_frame=1, judged_size=96, generated_like=GeneratedLike(), workers=1
)
BRACKETS = MakeBracketPairs(seed=1, crop_size=32, crops_per_frame=1, judged_size=96, workers=1)


def figures(model, value, kind="clean", source="a", frame="f", **more):
    return PictureFigures(source, frame, kind, model, {"psnr": value, "stops_rmse_above_16": 0.1, **more})


def margins(models):
    return {
        (model, name): value
        for model, of in models.items()
        for name, value in of.items()
        if name.endswith("_margin")
    }


def test_a_margin_is_over_the_best_closed_form_that_is_there():
    rows = [figures("low", 30.0), figures("high", 40.0), figures("net", 43.0)]
    rows += [figures("low", 20.0, frame="g"), figures("high", 36.0, frame="g")]
    rows += [figures("net", 41.0, frame="g")]
    rows += [figures("low", 25.0, "noisy"), figures("net", 24.0, "noisy")]
    figures_of = summary(rows, ("low", "high", "never_run"), ("psnr", "psnr_moving"))["a"]
    assert margins(figures_of["clean"]) == {("net", "psnr_margin"): pytest.approx(42 - 38)}
    assert margins(figures_of["noisy"]) == {("net", "psnr_margin"): pytest.approx(-1)}
    assert figures_of["clean"]["low"]["psnr"]["mean"] == 25
    assert figures_of["clean"]["low"]["psnr"]["count"] == 2
    assert set(figures_of["clean"]) == {"low", "high", "net"}


def test_sources_stand_apart():
    rows = [
        figures(m, v, source=s) for s, m, v in [("a", "base", 1.0), ("b", "base", 9.0), ("b", "net", 9.5)]
    ]
    figures_of = summary(rows, ("base",), ("psnr",))
    assert list(figures_of) == ["a", "b"]
    assert margins(figures_of["b"]["clean"]) == {("net", "psnr_margin"): 0.5}
    assert margins(figures_of["a"]["clean"]) == {}


def test_without_any_closed_form_there_is_no_margin():
    assert margins(summary([figures("net", 1.0)], (), ("psnr",))["a"]["clean"]) == {}


def test_what_decides_has_the_same_names_for_every_model():
    rows = [
        PictureFigures("a", "f", kind, model, {"pu21_psnr": psnr, "peak_ratio": 0.9, "stops_rmse": 0.1})
        for kind in ("clean", "noisy")
        for model, psnr in (("base", 40.0), ("net", 42.0), ("released_net", 45.0))
    ]
    figures_of = decisive(summary(rows, ("base",), ("pu21_psnr",)), "net", "released_net")
    expected = {"pu21_psnr": 42.0, "margin": 2.0, "peak_ratio": 0.9, "released_margin": 5.0}
    assert figures_of == {"a": {"clean": expected, "noisy": expected}}
    without = decisive(summary(rows, (), ("pu21_psnr",)), "net", "never_released")
    assert without["a"]["clean"] == {"pu21_psnr": 42.0, "peak_ratio": 0.9}


def test_tables_have_a_row_for_each_frame_of_a_kind_and_a_column_for_each_model():
    rows = [
        figures(model, value, kind, frame=frame)
        for kind in ("clean", "noisy")
        for frame in ("f", "g")
        for model, value in (("base", 1.0 + (frame == "g")), ("net", 3.0 + (kind == "noisy")))
    ]
    tables = plots(rows, "psnr", spread=pl.DataFrame({"kind": ["noisy"], "stops": [3]}))
    assert list(tables) == [
        "psnr_by_frame_clean",
        "psnr_by_frame_noisy",
        "stops_rmse_by_band_clean",
        "stops_rmse_by_band_noisy",
        "spread_noisy",
    ]
    clean = tables["psnr_by_frame_clean"]
    assert clean.columns == ["frame", "base", "net"]
    assert clean.rows() == [("a/f", 1.0, 3.0), ("a/g", 2.0, 3.0)]
    assert tables["psnr_by_frame_noisy"]["net"].to_list() == [4.0, 4.0]
    assert tables["spread_noisy"].rows(named=True) == [{"stops": 3}]


def test_errors_by_band_are_means_over_the_frames_that_have_it():
    band = next(iter(LUMINANCE_BANDS))
    rows = [
        PictureFigures("a", frame, "clean", "net", {"pu21_psnr": 40.0, **figures})
        for frame, figures in [
            ("f", {f"stops_rmse_{band}": 0.2}),
            ("g", {f"stops_rmse_{band}": 0.4}),
            ("h", {}),
        ]
    ]
    assert plots(rows)["stops_rmse_by_band_clean"].rows() == [(band, pytest.approx(0.3))]


def test_dequantised_8_bits_have_the_psnr_that_the_design_states():
    code = np.random.default_rng(0).random((256, 256, 3)).astype(np.float32)
    assert bit_depth.code_psnr(np.rint(code * 255) / 255, code) == pytest.approx(58.9, abs=0.1)
    ramp = np.linspace(0.1, 0.9, 512 * 512, dtype=np.float32).reshape(512, 512)
    dequantised = np.rint(ramp * 255).astype(np.uint8) / np.float32(255)
    assert bit_depth.code_psnr(dequantised, ramp) == pytest.approx(58.9, abs=0.1)
    assert bit_depth.code_psnr(ramp, ramp) == 100


def frames(folder, splits):
    rows = []
    for name, split in splits.items():
        y, x = np.mgrid[:96, :128] / 40
        phases = np.random.default_rng(len(rows)).uniform(0, 6, (3, 2))
        stops = np.stack([np.sin(x + a) + np.sin(y + b) for a, b in phases], -1) * 4
        stops[40:50, 40:50] = 9.8  # 892: above one LogC4 picture's ceiling
        write_exr(folder / f"{name}.exr", np.exp2(stops).astype(np.float16), chromaticities=AWG4)
        rows.append({"frame": name, "source": "s", "scene": name, "split": split, "file": f"{name}.exr"})
    return pl.DataFrame(rows)


def test_bit_depth_is_judged_on_frames_and_gradients(tmp_path):
    index = frames(tmp_path, {"a": "train", "b": "test"})
    pairs = make_bit_depth_pairs(index, tmp_path, BIT_DEPTH, tmp_path / "pairs")
    net = BitDepthUNet(BitDepth(widths=(4, 4, 4, 4, 4), blocks=(1, 1, 1, 1, 1)))
    torch.nn.init.constant_(net.unet.head.bias, 1)  # both outputs go up, as far as they may
    save_bit_depth(tmp_path / "w.safetensors", net)
    models = bit_depth.expanders({"net": tmp_path / "w.safetensors"}, bit_depth.EvaluateBitDepth())
    progress = []
    rows = bit_depth.evaluate_bit_depth(
        tmp_path / "pairs", pairs, index, tmp_path, BIT_DEPTH, models, lambda *done: progress.append(done)
    )
    assert progress == [(1, 2), (2, 2)]
    figures_of = summary(rows, bit_depth.CLOSED_FORMS, bit_depth.MARGIN_METRICS)
    assert set(figures_of) == {"s", "gradients"}
    for source in figures_of.values():
        clean = source["clean"]
        assert clean["dequantised"]["same_code8_share"]["mean"] == 1
        assert clean["net"]["same_code8_share"]["mean"] == 1
        assert clean["dequantised"]["code_psnr"]["mean"] == pytest.approx(58.9, abs=1.5)
        assert source["generated"]["net"]["same_code8_share"]["mean"] < 1
        assert margins(clean).keys() == {("net", "code_psnr_margin"), ("net", "pu21_psnr_margin")}
    gradients = figures_of["gradients"]["clean"]
    assert (
        gradients["smooth_in_intervals"]["code_psnr"]["mean"] > gradients["dequantised"]["code_psnr"]["mean"]
    )
    generated = figures_of["s"]["generated"]
    assert generated["bilateral"]["code_psnr"]["mean"] > generated["dequantised"]["code_psnr"]["mean"]
    tables = plots(rows, "code_psnr")
    write_evaluation(tmp_path / "plots", figures_of, decisive(figures_of, "net"), tables)
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == sorted(
        ["figures.tsv"]
        + [
            f"{name}_{kind}.tsv"
            for name in ("code_psnr_by_frame", "stops_rmse_by_band")
            for kind in ("clean", "generated")
        ]
    )
    assert read_figures(tmp_path / "plots") == figures_of
    assert json.loads((tmp_path / "plots.json").read_text()).keys() == figures_of.keys()
    table = pl.read_csv(tmp_path / "plots/code_psnr_by_frame_clean.tsv", separator="\t")
    assert table.columns == ["frame", *bit_depth.CLOSED_FORMS, "net"]
    assert len(table) == 2


def test_exposure_fusion_is_judged_with_its_peaks_and_its_ghosts(tmp_path):
    index = frames(tmp_path, {"a": "train", "b": "test"})
    pairs = make_bracket_pairs(index, tmp_path, BRACKETS, tmp_path / "pairs")
    torch.manual_seed(0)
    net = LuminanceStackProcessor(ExposureFusion(exposure_width=4, widths=(8, 8, 8, 8, 8), heads=2))
    save_exposure_fusion(tmp_path / "w.safetensors", net)
    rows = exposure_fusion.evaluate_exposure_fusion(
        tmp_path / "pairs",
        pairs,
        index,
        tmp_path,
        BRACKETS,
        {"net": tmp_path / "w.safetensors"},
        exposure_fusion.EvaluateExposureFusion(),
    )
    figures_of = summary(rows, exposure_fusion.CLOSED_FORMS, exposure_fusion.MARGIN_METRICS)["s"]
    assert set(figures_of) == {"clean", "generated", "motion"}
    clean = figures_of["clean"]
    assert set(clean) == {*exposure_fusion.CLOSED_FORMS, "net"}
    assert clean["net"]["pu21_psnr"]["mean"] > clean["interval_intersection"]["pu21_psnr"]["mean"] - 0.1
    assert clean["net"]["peak_ratio_500_to_1800"]["mean"] == pytest.approx(1, abs=0.1)
    assert "pu21_psnr_moving" not in clean["net"]
    metrics = ("pu21_psnr", "pu21_ssim", "pu21_psnr_moving")
    assert margins(figures_of["motion"]).keys() == {("net", f"{metric}_margin") for metric in metrics}
    assert len(plots(rows)) == 6


def test_tone_fusion_is_judged_with_how_its_estimates_spread(tmp_path):
    index = frames(tmp_path, {"a": "train", "b": "test"})
    pairs = make_tone_map_pairs(index, tmp_path, TONE_MAP, tmp_path / "pairs")
    models = tone_fusion.closed_forms(TONE_MAP.log_ceiling_linear, noise_codes=3.0)
    rows, reliability = tone_fusion.evaluate_tone_fusion(
        tmp_path / "pairs", pairs, index, tmp_path, TONE_MAP, models
    )
    tables = plots(rows, reliability=reliability)
    assert {name.removesuffix("_clean") for name in tables if name.endswith("_clean")} == {
        "pu21_psnr_by_frame",
        "stops_rmse_by_band",
        "reliability",
    }
    table = tables["reliability_clean"]
    assert table["reference_stops"].is_sorted()
    estimates = [f"estimate_p{q}_interval_intersection" for q in (10, 50, 90)]
    assert {"reference_stops", *estimates} <= set(table.columns)
    low, middle, high = (table[name].to_numpy() for name in estimates)
    assert (low <= middle).all()
    assert (middle <= high).all()
    np.testing.assert_allclose(middle, table["reference_stops"], atol=0.5)


def test_the_noise_that_is_set_is_expected_of_moved_brackets_too(monkeypatch):
    noise = []
    bracket_tables = exposure_fusion.bracket_tables

    def spying(encoding, bits, ev, *, evs, noise_codes=3.0):
        noise.append((bits, noise_codes))
        return bracket_tables(encoding, bits, ev, evs=evs, noise_codes=noise_codes)

    monkeypatch.setattr(exposure_fusion, "bracket_tables", spying)
    settings = exposure_fusion.EvaluateExposureFusion(noise_codes=1.5)
    models = exposure_fusion.mergers({}, BRACKETS, settings)
    codes = list(np.random.default_rng(0).integers(60, 200, (4, 16, 16, 3), dtype=np.uint8))
    codes[3] = codes[3].astype(np.uint16) * 257
    occluded = tuple(np.zeros((16, 16), bool) for _ in codes)
    models["inverse_variance_aligned"](codes, exposure_fusion.Aligned(tuple(codes), occluded))
    assert set(noise) == {(8, 1.5), (16, 1.5)}


@pytest.mark.parametrize("evaluate", [bit_depth.evaluate_bit_depth, exposure_fusion.evaluate_exposure_fusion])
def test_without_test_frames_there_is_one_clear_line(tmp_path, evaluate):
    index = pl.DataFrame({"split": ["train"], "file": ["train/a"], "source": ["s"], "frame": ["a"]})
    more = (
        {"settings": None, "weights": {}}
        if evaluate is exposure_fusion.evaluate_exposure_fusion
        else {"models": {}}
    )
    with pytest.raises(HdrgenError, match="no test frames to judge"):
        evaluate(tmp_path, index, index, tmp_path, pairs=None, **more)
