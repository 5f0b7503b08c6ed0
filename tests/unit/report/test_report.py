"""The page about a run: its figures, what it says of a model that falls short, and that a browser needs nothing else."""

import base64
import json
import shutil
import subprocess

import numpy as np
import polars as pl
import pytest
import yaml

from hdrgen.colour.primaries import AP1
from hdrgen.frames.frame_index import write_index
from hdrgen.images.exr import write_exr
from hdrgen.report import figures
from hdrgen.report.curves import plot_svg, read_plots
from hdrgen.report.page import ReportSettings, write_report
from hdrgen.report.pipeline import read_stages
from hdrgen.runtime.errors import HdrgenError

FEW = ReportSettings(frames=1, generated=1, sheet_frames=4, exposure_side=32)


def summary(mean):
    return {"mean": mean, "sd": 0.5, "min": mean - 1, "max": mean + 1, "count": 3}


def judged(psnr):
    return {
        "simulated": {
            "clean": {
                "closed": {"pu21_psnr": summary(60.0), "stops_rmse": summary(0.02)},
                "other": {"pu21_psnr": summary(50.0), "stops_rmse": summary(0.09)},
                "network": {"pu21_psnr": summary(psnr), "stops_rmse": summary(0.01)},
                "margin_over_best_closed_form": {"network": {"pu21_psnr": psnr - 60.0}},
            }
        }
    }


VALIDATED = {
    "simulated": {
        "kinds": {
            kind: {"comb": summary(0.1), "logc4_psnr": summary(60.0)}
            for kind in ("footage", "srgb_8bit", "logc4_8bit", "expand", "merge")
        },
        "input_of": {"expand": "logc4_8bit", "merge": "logc4_8bit"},
        "way_to_footage": {"expand": {"comb": -0.4}, "merge": {"comb": 1.1, "logc4_psnr": 0.37}},
        "falls_short": {"expand": ["comb"], "merge": []},
        "as_footage": {"expand": [], "merge": ["comb"]},
    }
}


def exr(path, light):
    random = np.random.default_rng(3)
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = (light * 2.0 ** random.uniform(-6, 6, (24, 40, 3))).astype(np.float16)
    write_exr(path, rgb, chromaticities=AP1, attributes={"hdrgenPrompt": "night street", "hdrgenSeed": 1})


@pytest.fixture
def run(tmp_path):
    """Return a folder as `dvc repro` leaves it, in git, with one figure that changed since."""
    stages = {
        name: {"cmd": "true", "metrics": [{f"metrics/{name}.json": {"cache": False}}]}
        for name in ("sanitize", "train", "judge", "caption", "validate", "report")
    }
    curve = {"loss": {"x": "step", "y": {"metrics/train/loss.tsv": ["train", "val"]}, "y_label": "dB"}}
    lock = {"train": {"params": {"params.yaml": {"train": {"steps": 400}}}, "outs": [
        {"path": "data/train", "md5": "0123456789abcdef", "size": 5000, "nfiles": 2}]}}  # fmt: skip
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/judge.py").write_text('"""Judge <it> & others."""\n')
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages, "plots": [curve]}, sort_keys=False))
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": lock}))
    (tmp_path / "metrics/train").mkdir(parents=True)
    (tmp_path / "metrics/train/loss.tsv").write_text("step\ttrain\tval\n100\t2.5\t3\n200\t1.5\t2\n")
    metrics = {
        "sanitize": {"frames": 1},
        "train": {"parameters": 1276912},
        "judge": judged(61.0),
        "validate": VALIDATED,
    }
    for name, tree in metrics.items():
        (tmp_path / f"metrics/{name}.json").write_text(json.dumps(tree))
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        who = ["-c", "user.name=A", "-c", "user.email=a@localhost"]
        subprocess.run(["git", *who, *command], cwd=tmp_path, check=True)
    (tmp_path / "metrics/judge.json").write_text(json.dumps(judged(58.0)))
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": lock}).replace("400", "800"))
    for kind, light in (("footage", 1.0), ("srgb_8bit", 0.25), ("expand", 1.0)):
        exr(tmp_path / "data/validate" / kind / "frame.exr", light)
    for route in ("brackets", "latent"):
        exr(tmp_path / "data/generate" / route / "001_night-street_seed1.exr", 1.0)
    exr(tmp_path / "data/sanitize/frames/frame.exr", 1.0)
    write_index(tmp_path / "data/sanitize", pl.DataFrame({"frame": ["frame"], "file": ["frames/frame.exr"]}))
    return tmp_path


def written(run):
    path = run / "data/report/index.html"
    write_report(path, run, run / "data", FEW)
    return path


def test_equal_inputs_make_equal_bytes(run):
    assert written(run).read_bytes() == written(run).read_bytes()


def test_what_falls_short_is_marked_and_what_was_left_out_is_said(run):
    page = written(run).read_text()
    assert (
        page.count("\N{MINUS SIGN}2.00") == 3
    )  # where it stands, what changed is 3, and in its stage's table
    assert "Judge &lt;it&gt; &amp; others." in page
    assert "The stage caption was not run." in page
    assert "Left no figures: caption." in page
    assert "LogC4 PSNR 37 %" in page
    assert "1 of 1" in page
    assert "train.steps" in page
    assert str(run) not in page


def test_a_figure_that_changed_stands_beside_the_committed_one():
    old, new = ({"judge": judged(psnr)} for psnr in (61.0, 58.0))
    margin, psnr = figures.changes(old, new)
    assert (psnr.before, psnr.now, psnr.verdict) == (61.0, 58.0, "below")
    assert (margin.before, margin.now) == (1.0, -2.0)
    assert figures.changes(old, old) == []
    assert figures.changed_parameters({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2, "d": 3}}}) == [
        ("b.c", "1", "2"),
        ("b.d", "\N{EN DASH}", "3"),
    ]


def test_models_stand_beside_the_best_closed_form():
    (standing,) = figures.standings("judge", judged(58.0))
    assert (standing.baseline, standing.baseline_value, standing.unit) == ("closed", 60.0, "dB")
    assert standing.models == (("network", 58.0, -2.0),)
    table = next(iter(figures.tables(judged(58.0)["simulated"]["clean"])))
    assert table.marked == {"closed", "other"}
    psnr, margin, stops = table.rows
    assert [cell.verdict for cell in psnr.cells] == ["best", "", ""]
    assert [cell.verdict for cell in margin.cells] == ["", "", "below"]
    assert [cell.verdict for cell in stops.cells] == ["", "", "best"]


def test_kinds_that_are_no_better_than_their_8_bit_input_are_marked_and_those_like_footage_are_bold():
    (table,) = figures.tables(VALIDATED["simulated"])
    comb, psnr = table.rows
    assert [cell.verdict for cell in comb.cells] == ["", "", "", "below", "best"]
    assert [cell.verdict for cell in psnr.cells] == [""] * 5
    assert "lower is better" in comb.note
    assert table.marked == {"footage", "sRGB 8-bit", "LogC4 8-bit"}


def test_every_plot_of_the_pipeline_is_understood(request):
    document = yaml.safe_load((request.config.rootpath / "dvc.yaml").read_text())
    plots = read_plots(document["plots"])
    blocks = [stage.get("do", stage) for stage in document["stages"].values()]
    listed = {next(iter(plot)) for block in blocks for plot in block.get("plots", [])}
    # Its rows have different units, which no one axis has.
    assert listed - {plot.table for plot in plots} == {"metrics/validate/figures.tsv"}
    with pytest.raises(HdrgenError, match="must be a title with x and y"):
        read_plots([{"loss": {"x": "step"}}])


def test_a_curve_of_a_stage_that_was_not_run_is_left_out(run):
    (plot,) = read_plots(yaml.safe_load((run / "dvc.yaml").read_text())["plots"])
    drawn = plot_svg(plot, run)
    assert drawn is not None
    assert drawn == plot_svg(plot, run)
    assert "<date>" not in drawn
    (run / plot.table).unlink()
    assert plot_svg(plot, run) is None


def test_broken_figures_are_one_clear_line(run):
    (run / "metrics/judge.json").write_text("{")
    with pytest.raises(HdrgenError, match=r"judge\.json: is no metrics file"):
        read_stages(run, "report")


def test_without_git_or_figures_there_is_still_a_page(tmp_path):
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: 'true', metrics: [metrics/train.json]}}")
    page = written(tmp_path).read_text()
    for said in (
        "No git revision",
        "No model was judged",
        "no committed figures",
        "stage validate was not run",
    ):
        assert said in page


@pytest.fixture
def browser(tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("headless", "no-sandbox", "no-first-run", "disable-background-networking", "disable-sync"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.chrome.service.Service(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.execute_cdp_cmd("Network.enable", {})
    everything = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", everything)
    yield driver
    driver.quit()


@pytest.mark.parametrize("width", [1300, 390])
def test_a_browser_without_a_network_shows_all_of_it_and_prints_it(run, browser, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(written(run).as_uri())
    pictures = browser.execute_script(
        "return [...document.images].map(i => i.complete && i.naturalWidth > 0)"
    )
    # Three kinds and two routes, in light and in false colour; two histograms, a curve, a sheet.
    assert pictures == [True] * (2 * 5 + 2 + 1 + 1)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in asked if e["method"] == "Network.requestWillBeSent"]
    # `chrome` is the browser's own.
    assert {url.split(":")[0] for url in urls} - {"chrome"} == {"file", "data"}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type/Page\n") >= 2
