"""`hdrgen compare` as people use it: corrections that are named, tables and plots."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest

from hdrgen.cli import compare
from hdrgen.colour.primaries import AWG4
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import write_exr
from hdrgen.metrics import correction


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Two pictures and their references; the first test is a stop too dark, and only the second has highlights."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    dim = rng.uniform(0.1, 0.5, (24, 32, 3)).astype(np.float32)
    for name, reference, test in (("a", dim, dim / 2), ("b", dim * 60, dim * 60)):
        write_exr(Path(f"references/{name}.exr"), reference, chromaticities=AWG4)
        write_exr(Path(f"tests/{name}.exr"), test, chromaticities=AWG4)


def test_the_command_knows_every_scale():
    assert get_args(compare.Scale) == correction.SCALES


def test_a_correction_is_named_beside_the_figures(cli):
    plain = json.loads(cli("compare", "tests/a.exr", "references/a.exr", "--json").out)["files"][0]
    assert plain["correction"] == {"scale": "none", "exposure_stops": 0.0, "crf": False}
    assert plain["metrics"]["stops_rmse"] == pytest.approx(1, abs=0.01)
    said = cli("compare", "tests/a.exr", "references/a.exr", "--scale", "median", "--json")
    scaled = json.loads(said.out)["files"][0]
    assert scaled["correction"]["exposure_stops"] == pytest.approx(1, abs=1e-3)
    assert scaled["metrics"]["stops_rmse"] < 0.01
    text = cli("compare", "tests/a.exr", "references/a.exr", "--scale", "median", "--crf").out
    assert "exposure by median: +1.000 stops, CRF correction (Hanji et al. 2022)" in text


def test_a_table_has_a_row_for_each_picture_and_a_column_for_each_figure(cli):
    assert cli("compare", "tests", "references", "--csv", "out/figures.csv", "--scale", "median").code == 0
    table = pl.read_csv("out/figures.csv")
    assert [Path(test).name for test in table["test"]] == ["a.exr", "b.exr"]
    assert table["exposure_stops"].to_list() == pytest.approx([1, 0], abs=1e-3)
    assert table["scale"].to_list() == ["median", "median"]
    assert table["stops_rmse_above_16"].is_null().to_list() == [True, False]
    assert {"pu21_psnr", "delta_e_itp", "psnr_mu", "psnr_linear"} <= set(table.columns)


def test_only_the_metrics_asked_for(cli):
    said = cli("compare", "tests/a.exr", "references/a.exr", "--metrics", "peak_ratio, psnr_mu", "--json")
    assert set(json.loads(said.out)["files"][0]["metrics"]) == {"peak_ratio", "psnr_mu"}
    wrong = cli("compare", "tests/a.exr", "references/a.exr", "--metrics", "vmaf")
    assert wrong.code == 2
    assert "unknown metric 'vmaf'; known are pu21_psnr" in wrong.err


def test_plots_of_each_picture_and_of_all(cli):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'hdrgen[plots]'")
    assert cli("compare", "tests", "references", "--plots", "plots").code == 0
    assert {path.name for path in Path("plots").iterdir()} == {"a.png", "b.png", "all.png"}
    drawn = {name: read_code8(Path(f"plots/{name}.png")).code for name in ("a", "b")}
    assert all(picture.std() > 10 for picture in drawn.values())
    assert (drawn["a"] != drawn["b"]).any()


def test_without_matplotlib_a_plot_is_one_line_that_says_what_to_install(cli, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    said = cli("compare", "tests/a.exr", "references/a.exr", "--plots", "plots")
    assert said.code == 2
    assert "pip install 'hdrgen[plots]'" in said.err
    assert not list(Path().glob("plots/*"))
