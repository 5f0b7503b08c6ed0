"""`hdrgen compare` as people use it: corrections that are named, tables and plots."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.primaries import AWG4
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import write_exr


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Two pictures and their references; the first test is a stop too dark, and only the second has highlights."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    dim = rng.uniform(0.1, 0.5, (24, 32, 3)).astype(np.float32)
    for name, reference, test in (("a", dim, dim / 2), ("b", dim * 60, dim * 60)):
        write_exr(Path(f"references/{name}.exr"), reference, chromaticities=AWG4)
        write_exr(Path(f"tests/{name}.exr"), test, chromaticities=AWG4)


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
    assert {path.name for path in Path("plots").iterdir()} == {"a.png", "b.png", "_all.png"}
    drawn = {name: read_code8(Path(f"plots/{name}.png")).code for name in ("a", "b")}
    assert all(picture.std() > 10 for picture in drawn.values())
    assert (drawn["a"] != drawn["b"]).any()
    Path("tests/a.exr").rename("tests/_all.exr")
    said = cli("compare", "tests", "references", "--plots", "plots")
    assert said.code == 2
    assert "a picture called _all has the name of the plot of all; rename it" in said.err


def test_without_matplotlib_a_plot_is_one_line_that_says_what_to_install(cli, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    said = cli("compare", "tests/a.exr", "references/a.exr", "--plots", "plots")
    assert said.code == 2
    assert "pip install 'hdrgen[plots]'" in said.err
    assert not list(Path().glob("plots/*"))


def test_references_without_a_test_are_named_and_the_rest_is_compared(cli):
    for number in range(7):
        Path("references/b.exr").with_stem(f"c{number}").write_bytes(Path("references/b.exr").read_bytes())
    said = cli("compare", "tests", "references", "--metrics", "peak_ratio", "--json")
    assert said.code == 0
    assert (
        "note: references: 7 of the references have no test in tests: c0.exr, c1.exr, c2.exr, c3.exr, c4.exr, ..."
        in said.err
    )
    answer = json.loads(said.out)
    assert answer["references_without_test"] == [f"references/c{number}.exr" for number in range(7)]
    assert len(answer["files"]) == 2


@pytest.mark.parametrize("folder", ["tests", "references"])
def test_two_files_of_one_name_are_refused(cli, folder):
    Path(folder, "a.hdr").write_bytes(b"")
    said = cli("compare", "tests", "references")
    assert said.code == 2
    assert f"{folder}/a.exr and {folder}/a.hdr: have one name; compare them apart" in said.err


def test_programs_are_told_the_means_and_what_each_figure_is(cli):
    answer = json.loads(cli("compare", "tests", "references", "--json").out)
    figures = [file["metrics"] for file in answer["files"]]
    assert answer["summary"]["stops_rmse"]["mean"] == pytest.approx(
        np.mean([f["stops_rmse"] for f in figures])
    )
    assert answer["summary"]["stops_rmse_above_16"]["count"] == 1
    assert answer["metrics"]["stops_rmse_above_16"] == {
        "unit": "stops",
        "better": "lower",
        "decides": True,
        "ceiling_linear": None,
        "source": "log2 of luminance",
    }
    assert answer["metrics"]["pu21_psnr"]["ceiling_linear"] == 100.0
    assert answer["metrics"].keys() == answer["summary"].keys() == figures[0].keys() | figures[1].keys()
    Path("references/a.exr").write_bytes(b"")
    answer = json.loads(cli("compare", "tests/a.exr", "references/a.exr", "--json").out)
    assert answer["summary"] == answer["metrics"] == {}


def test_where_all_fail_there_is_no_summary(cli):
    for path in Path("references").iterdir():
        path.write_bytes(b"")
    said = cli("compare", "tests", "references")
    assert said.code == 1
    assert said.out == ""


def test_light_beyond_the_ceiling_is_said_where_figures_cannot_see_it(cli):
    """A lamp of 1800 that came out as 120."""
    picture = np.full((24, 32, 3), 0.18, np.float32)
    for name, lamp in (("tests/lamp.exr", 120), ("references/lamp.exr", 1800)):
        picture[:6, :4] = lamp
        write_exr(Path(name), picture, chromaticities=AWG4)
    pair = ("compare", "tests/lamp.exr", "references/lamp.exr")
    file = json.loads(cli(*pair, "--json").out)["files"][0]
    assert file["metrics"]["pu21_psnr"] == 100
    assert file["metrics"]["delta_e_itp"] == pytest.approx(0, abs=1e-3)
    assert file["metrics"]["stops_rmse_above_16"] == pytest.approx(3.9, abs=0.01)
    assert file["reference_above_10000_nit_share"] == 24 / (24 * 32)
    assert "where PU21 and Delta E ITP end: 3.12% of the reference" in cli(*pair, "--csv", "t.csv").out
    assert pl.read_csv("t.csv")["reference_above_10000_nit_share"].to_list() == [24 / (24 * 32)]
