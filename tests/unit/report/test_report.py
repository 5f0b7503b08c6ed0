"""The page about a run: its figures, what it says of a model that falls short, and that a browser needs nothing else."""

import base64
import json
import shutil
import subprocess
from typing import get_args

import numpy as np
import polars as pl
import pytest
import yaml

from hdrgen.colour.primaries import AP1
from hdrgen.dataset.frame_index import write_index
from hdrgen.evaluation import text_to_exr_tables
from hdrgen.images.exr import write_exr
from hdrgen.report import evaluations
from hdrgen.report.changes import changed_parameters, changes_since, figure_changes, measured
from hdrgen.report.curves import plot_svg, read_plots
from hdrgen.report.figures import tables
from hdrgen.report.page import write_report
from hdrgen.report.pipeline import read_stages
from hdrgen.report.settings import ReportSettings
from hdrgen.report.speed import OURS, read_speed
from hdrgen.runtime.choices import Backend
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import write_figures

FEW = ReportSettings(frames=1, generated=1, sheet_frames=4, exposure_side=32)


def summary(mean):
    return {"mean": mean, "sd": 0.5, "min": mean - 1, "max": mean + 1, "count": 3}


def evaluated(psnr):
    return {
        "simulated": {
            "clean": {
                "closed": {"pu21_psnr": summary(60.0), "stops_rmse": summary(0.02)},
                "other": {"pu21_psnr": summary(50.0), "stops_rmse": summary(0.09)},
                "network": {
                    "pu21_psnr": summary(psnr),
                    "stops_rmse": summary(0.01),
                    "pu21_psnr_margin": psnr - 60.0,
                },
            }
        }
    }


def decisive(psnr):
    return {"simulated": {"clean": {"pu21_psnr": psnr, "margin": psnr - 60.0}}}


VALIDATED = {
    "simulated": {
        kind: {"comb": summary(0.1), "logc4_psnr": summary(60.0)}
        for kind in ("footage", "srgb_8bit", "logc4_8bit", "expand", "merge")
    }
}
VERDICTS = [
    {
        "source": "simulated",
        "kind": kind,
        "input": "logc4_8bit",
        "figure": figure,
        "way_to_footage": way,
        "verdict": word,
    }
    for kind, figure, way, word in (
        ("expand", "comb", "-0.4", "falls_short"),
        ("expand", "logc4_psnr", "", "open"),
        ("merge", "comb", "1.1", "as_footage"),
        ("merge", "logc4_psnr", "0.37", "between"),
    )
]


RECOVERED = {
    "simulated": {
        "clip": {"gain_db": 1.25, "gain_crf_db": -0.5, "energy_error_stops": 0.75},
        "film": {"gain_db": 2.5, "gain_crf_db": 0.25, "energy_error_stops": 0.8, "released_gain_db": 3.5},
    }
}
HARMED = [
    {
        "source": "simulated",
        "kind": kind,
        "frame": f"night_street_000{place}_a94850d569f7_a69b7a31686e",
        "model": model,
        "gain_db": -gain,
    }
    for place, (kind, model, gain) in enumerate(
        [
            ("clip", "highlights", 4.5),
            ("film", "released_highlights", 0.75),
            *[("film", "highlights", 0.125)] * 20,
        ]
    )
]


def of_route(adherence, **figures):
    return {"adherence": summary(adherence), "stops": summary(14.0)} | figures


FLUX = {
    "adherence_by_kind": {
        route: dict(zip(("night street", "neon alley"), kinds, strict=True))
        for route, kinds in (
            ("base", (1.0, 0.0)),
            ("brackets", (0.5, 1.0)),
            ("latent", (1.0, 1.0)),
            ("frames", (0.75, 1.0)),
        )
    },
    "confusion": {"day": {"day": 5}, "dusk": {"dusk": 5}, "night": {"day": 1, "night": 4}},
    "routes": {
        "base": of_route(0.5, clipped_fraction=summary(0.025)),
        "brackets": of_route(
            0.75,
            clipped_fraction=summary(0.005),
            **{f"clipped_fraction_logc4_ev{ev}": summary(0.004) for ev in ("-2", "+2", "+4")},
        ),
        "latent": of_route(1.0),
        "frames": of_route(0.875, clipped_fraction=summary(0.0)),
    },
}


def timing(operation, by, seconds, **figures):
    row = {"operation": operation, "by": by, "width": 64, "height": 32, "median_s": seconds}
    return row | {"fastest_s": seconds * 0.9, "slowest_s": seconds * 1.1} | figures


BENCH = {
    "ceilings": {"threads": 2, "dtype": "bfloat16", "matrix_flops": 3.58e11, "memory_bytes_per_s": 31.9e9},
    "timings": [
        timing("fuse", "torch", 0.4, runs=3, matrix_share=0.29461, memory_share=0.0009, of_ours=1.0, new="?"),
        timing("fuse", "torch in memory", 0.2, runs=3, peak_mib=1234.5, of_ours=0.5),
        timing("fuse", "OpenCV", 0.38, runs=3, of_ours=0.95),
        timing("convert", "hdrgen", 0.4, runs=3, of_ours=1.0),
        timing("convert", "OpenEXR", 0.3, runs=3, of_ours=0.75),
        timing("preview", "OpenEXR", 0.3, runs=3),
        timing("preview", "OpenImageIO", 0.2, runs=3),
    ],
    "absent": ["fuse: tensorrt is not installed"],
    "failed": ["merge: torch ran out of memory"],
}


def commit(run, subject):
    who = ["-c", "user.name=A", "-c", "user.email=a@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", subject]):
        subprocess.run(["git", *who, *command], cwd=run, check=True)


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
        for name in ("sanitize", "train", "judge", "recovered", "caption", "flux", "validate", "report")
    }
    curve = {"metrics/train/loss.tsv": {"x": "step", "y": ["train", "val"], "y_label": "dB"}}
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
        "train": {"parameters": 1276912, "steps": 400},
        "judge": decisive(61.0),
        "recovered": RECOVERED,
        "flux": {},
        "validate": {},
    }
    for name, tree in metrics.items():
        (tmp_path / f"metrics/{name}.json").write_text(json.dumps(tree))
    write_figures(tmp_path / "metrics/train", {"parameters": 1276912, "steps": 800}, ("figure",))
    write_figures(tmp_path / "metrics/judge", evaluated(58.0), ("source", "kind", "model", "figure"))
    for section, tree in FLUX.items():
        write_figures(tmp_path / "metrics/flux", tree, text_to_exr_tables.KEYS[section], section)
    write_figures(tmp_path / "metrics/validate", VALIDATED, ("source", "kind", "figure"))
    pl.DataFrame(VERDICTS).write_csv(tmp_path / "metrics/validate/verdicts.tsv", separator="\t")
    (tmp_path / "metrics/recovered").mkdir()
    pl.DataFrame(HARMED).write_csv(tmp_path / "metrics/recovered/harmed.tsv", separator="\t")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/bench.json").write_text(json.dumps(BENCH))
    commit(tmp_path, "first <of> them")
    (tmp_path / "metrics/train.json").write_text(json.dumps({"parameters": 1276912, "steps": 800}))
    (tmp_path / "metrics/judge.json").write_text(json.dumps(decisive(58.0)))
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": lock}).replace("400", "800"))
    for kind, light in (("footage", 1.0), ("srgb_8bit", 0.25), ("expand", 1.0), ("recover", 1.0)):
        exr(tmp_path / "data/validate" / kind / "frame.exr", light)
    for route in ("brackets", "latent"):
        exr(tmp_path / "data/generate" / route / "001_night-street_seed1.exr", 1.0)
    exr(tmp_path / "data/sanitize/frames/frame.exr", 1.0)
    write_index(tmp_path / "data/sanitize", pl.DataFrame({"frame": ["frame"], "file": ["frames/frame.exr"]}))
    return tmp_path


def written(run):
    path = run / "data/report/index.html"
    write_report(path, run, run / "data", run / "docs/bench.json", FEW)
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
    old, new = ({"judge": decisive(psnr)} for psnr in (61.0, 58.0))
    margin, psnr = figure_changes(old, new)
    assert (psnr.before, psnr.now, psnr.verdict) == (61.0, 58.0, "below")
    assert (margin.before, margin.now, margin.difference) == (1.0, -2.0, "\N{MINUS SIGN}3.00")
    assert figure_changes(old, old) == []
    assert changed_parameters({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2, "d": 3}}}) == [
        ("b.c", "1", "2"),
        ("b.d", "\N{EN DASH}", "3"),
    ]


def test_what_became_better_or_worse_without_a_reference_is_told():
    old = {"clipped_fraction": 0.02, "stops": 13.0, "export": {"relative_error": 4e-7}}
    new = {"clipped_fraction": 0.01, "stops": 14.0, "export": {"relative_error": 6e-7}}
    change_of = {change.figure: change for change in figure_changes({"flux": old}, {"flux": new})}
    assert {name: change.verdict for name, change in change_of.items()} == {
        "clipped_fraction": "above",
        "stops": "",
        "export / relative_error": "below",
    }
    assert change_of["export / relative_error"].difference == "+2.0e\N{MINUS SIGN}7"


def test_figures_stand_beside_the_newest_commit_with_others(run):
    def since():
        now = {stage.name: stage.metrics[stage.name] for stage in read_stages(run, "report") if stage.metrics}
        return changes_since(run, now, {}, most=60)

    assert since().since.subject == "first <of> them"
    commit(run, "second")
    (run / "README.md").write_text("Not a figure.\n")
    commit(run, "third")
    changes = since()
    assert changes.since.subject == "first <of> them"
    assert {change.figure.rsplit(" / ", 1)[-1] for change in changes.figures} == {
        "pu21_psnr",
        "margin",
        "steps",
    }
    page = written(run).read_text()
    assert f"<code>{changes.since.commit[:7]}</code> of {changes.since.day}" in page
    assert "<q>first &lt;of&gt; them</q>" in page
    # What was there before is found again, whatever came between.
    subprocess.run(["git", "checkout", "-q", changes.since.commit, "--", "metrics"], cwd=run, check=True)
    assert since().since.subject == "second"


def test_without_other_figures_in_any_commit_there_is_nothing_to_compare(run):
    subprocess.run(["git", "checkout", "-q", "--", "metrics"], cwd=run, check=True)
    assert "There is no commit with other figures" in written(run).read_text()


def test_what_repeats_a_parameter_is_no_figure(run):
    figures = {"steps": 400, "best_step": 300, "vae": {"steps": 350, "loss": 0.5}, "frames": 1}
    parameters = {"train": {"steps": 400, "seed": 1}}
    assert measured(figures, parameters) == {
        "best_step": 300,
        "vae": {"steps": 350, "loss": 0.5},
        "frames": 1,
    }
    page = written(run).read_text()
    assert '<th scope="row">train.steps</th>' in page
    assert '<th scope="row">steps' not in page


def test_text_to_exr_is_one_table_with_the_base_as_baseline_and_the_frames_as_reference():
    by_kind, _, routes = tables(FLUX)
    assert routes.columns == ("base", "brackets", "latent", "frames")
    assert (routes.marked, routes.references) == ({"base"}, {"frames"})
    rows = {row.label: [cell.text for cell in row.cells] for row in routes.rows}
    assert rows["clipped fraction LogC4 ev-2"] == ["", "0.004", "", ""]
    labels = [row.label for row in routes.rows]
    adherence, pinned = (routes.rows[labels.index(name) + 1] for name in ("adherence", "clipped fraction"))
    assert [cell.text for cell in adherence.cells] == ["", "+0.25", "+0.50", ""]
    # Less is better there.
    assert [(cell.text, cell.verdict) for cell in pinned.cells] == [
        ("", ""),
        ("\N{MINUS SIGN}0.020", "above"),
        ("", ""),
        ("", ""),
    ]
    assert labels[labels.index("stops") + 1] != "against the base"
    # The frames are no competitor, and where no way is better there is no best.
    best = {row.label: [cell.verdict for cell in row.cells] for row in routes.rows}
    assert best["clipped fraction"] == ["", "best", "", ""]
    assert best["stops"] == [""] * 4
    night, against, *_ = by_kind.rows
    assert [cell.verdict for cell in night.cells] == ["best", "", "best", ""]
    assert [cell.verdict for cell in against.cells] == ["", "below", "", ""]


def test_a_confusion_is_one_matrix():
    _, confusion, _ = tables(FLUX)
    assert confusion.columns == ("day", "dusk", "night")
    assert [[cell.text for cell in row.cells] for row in confusion.rows] == [
        ["5", "", ""],
        ["", "5", ""],
        ["1", "", "4"],
    ]


def test_text_to_exr_is_in_how_it_stands(run):
    standing = written(run).read_text().split('id="standing"')[1].split("</section>")[0]
    for text in (
        "<caption>flux</caption>",
        "base <small>baseline</small>",
        "frames <small>reference</small>",
        "+0.50",
    ):
        assert text in standing
    assert "ev-2" not in standing


def test_recovered_light_is_in_how_it_stands_and_so_are_the_pictures_that_it_harmed(run):
    standing = written(run).read_text().split('id="standing"')[1].split("</section>")[0]
    for text in (
        "<caption>recovered</caption>",
        "gain with the curve fitted, dB",
        "+1.25",
        "night street 0000",
    ):
        assert text in standing
    assert "night street 0012" not in standing
    gains = evaluations.gains_table(RECOVERED, "")
    assert [row.label for row in gains.rows] == ["simulated, clip", "simulated, film"]
    clip, film = ([(one.text, one.verdict) for one in row.cells] for row in gains.rows)
    assert clip == [("+1.25", "above"), ("\N{MINUS SIGN}0.50", "below"), ("0.7500", ""), ("", "")]
    assert film[-1] == ("+3.50", "above")
    harmed = evaluations.harmed_table(
        [{name: str(v) for name, v in one.items()} for one in HARMED], "", most=2
    )
    assert [[one.text for one in row.cells] for row in harmed.rows] == [
        ["highlights", "\N{MINUS SIGN}4.50"],
        ["released highlights", "\N{MINUS SIGN}0.75"],
    ]
    assert harmed.note == "Of all pictures: highlights 21, released highlights 1."


def test_the_frames_stand_side_by_side_in_every_kind_that_was_delivered(run):
    frames = written(run).read_text().split("Frames, and what is left of them")[1].split("Text to EXR")[0]
    strips = frames.split('class="scroll strips"')[1].split('class="light"')[0]
    shown = [text.split("</figcaption>")[0] for text in strips.split("<figcaption>")[1:]]
    assert shown == ["footage", "sRGB 8-bit", "expand", "recover"]


def test_a_page_without_recovered_light_says_nothing_of_it(run):
    (run / "metrics/recovered.json").unlink()
    (run / "metrics/recovered/harmed.tsv").unlink()
    assert "The light of an ordinary picture" not in written(run).read_text()


def test_the_page_says_how_fast_it_is(run):
    speed = written(run).read_text().split('id="speed"')[1].split("</section>")[0]
    for text in (
        "2 threads; bfloat16 matrix products 358 GFLOP/s; memory 31.9 GB/s",
        "29.5\N{NARROW NO-BREAK SPACE}%",
        "0.0900\N{NARROW NO-BREAK SPACE}%",
        "0.360 to 0.440",
        "over 3 runs",
        "tensorrt is not installed",
        "torch ran out of memory",
    ):
        assert text in speed
    (run / "docs/bench.json").unlink()
    assert "It was not measured" in written(run).read_text()


def test_another_program_is_marked_where_it_is_faster_by_more_than_the_spread(run):
    fuse, convert, without_ours = read_speed(run / "docs/bench.json").operations
    assert [row.cells[-1].verdict for row in fuse.rows] == ["", "", ""]
    assert [row.cells[-1].verdict for row in convert.rows] == ["", "below"]
    assert [row.cells[-1].verdict for row in without_ours.rows] == ["", ""]


def test_a_benchmark_is_dated_by_itself_or_by_its_commit(run):
    file = run / "docs/bench.json"
    assert read_speed(file).day.startswith("committed 2")
    file.write_text(
        json.dumps(BENCH | {"date": "2026-01-02", "ceilings": BENCH["ceilings"] | {"processor": "EPYC"}})
    )
    assert read_speed(file).day == "measured 2026-01-02"
    assert read_speed(file).machine.startswith("EPYC; 2 threads")
    file.write_text(json.dumps(BENCH | {"absent": []}))
    assert read_speed(file).day == ""


def test_a_benchmark_may_lack_fields_but_not_timings(run):
    file = run / "docs/bench.json"
    file.write_text(json.dumps({"timings": [{"operation": "fuse"}]}))
    ((row,),) = (operation.rows for operation in read_speed(file).operations)
    assert {cell.text for cell in row.cells} == {""}
    for broken in ("{", "[]", "{}", '{"timings": [1]}', '{"timings": [{"by": "torch"}]}'):
        file.write_text(broken)
        with pytest.raises(HdrgenError, match=r"bench\.json: is no file of hdrgen bench"):
            read_speed(file)


def test_all_backends_are_ours():
    assert {*OURS} == {"hdrgen", *get_args(Backend)} - {"auto"}


def test_models_stand_beside_the_best_closed_form():
    (standing,) = evaluations.standings("judge", evaluated(58.0))
    assert (standing.baseline, standing.baseline_value, standing.unit) == ("closed", 60.0, "dB")
    assert standing.models == (("network", 58.0, -2.0),)
    (table,) = tables(evaluated(58.0)["simulated"]["clean"])
    assert table.marked == {"closed", "other"}
    psnr, margin, stops = table.rows
    assert [cell.verdict for cell in psnr.cells] == ["best", "", ""]
    assert [cell.verdict for cell in margin.cells] == ["", "", "below"]
    assert [cell.verdict for cell in stops.cells] == ["", "", "best"]


def test_kinds_that_are_no_better_than_their_8_bit_input_are_marked_and_those_like_footage_are_bold():
    table = evaluations.production_table(VALIDATED["simulated"], VERDICTS, "simulated")
    comb, psnr = table.rows
    assert [cell.verdict for cell in comb.cells] == ["", "", "", "below", "best"]
    assert [cell.verdict for cell in psnr.cells] == [""] * 5
    assert "lower is better" in comb.note
    assert table.marked == {"footage", "sRGB 8-bit", "LogC4 8-bit"}


def test_every_table_of_the_pipeline_is_of_figures_or_has_a_plot_of_columns_that_it_has(request):
    root = request.config.rootpath
    plots = {
        plot.table: plot for plot in read_plots(yaml.safe_load((root / "dvc.yaml").read_text())["plots"])
    }
    tables = {str(path.relative_to(root)) for path in (root / "metrics").glob("*/*.tsv")}
    figures = {table for table in tables if table.rsplit("/", 1)[-1].startswith("figures")}
    # Their columns are no figures of one unit, or words.
    others = {
        "metrics/evaluate_highlights/harmed.tsv",
        "metrics/validate/light_sources.tsv",
        "metrics/validate/verdicts.tsv",
    }
    # Curves of a base model that was trained; whoever names a checkpoint has none.
    trained = {"metrics/base_model/vae.tsv", "metrics/base_model/flow.tsv"}
    assert (tables - figures - others) | trained == set(plots)
    for table in tables & set(plots):
        plot, columns = plots[table], (root / table).read_text().splitlines()[0].split("\t")
        assert {plot.x, *plot.y} <= set(columns), table
    with pytest.raises(HdrgenError, match="must be a table with its columns x and y"):
        read_plots([{"metrics/train/loss.tsv": {"x": "step"}}])


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
    for text in (
        "No git revision",
        "No model was judged",
        "no commit with other figures",
        "It was not measured",
        "stage validate was not run",
    ):
        assert text in page


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
    # Four kinds and two routes, in light and in false colour; two histograms, a curve, a sheet.
    assert pictures == [True] * (2 * 6 + 2 + 1 + 1)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in messages if e["method"] == "Network.requestWillBeSent"]
    # `chrome` and `chrome-untrusted` are the browser's own.
    assert {url.split(":")[0] for url in urls} - {"chrome", "chrome-untrusted"} == {"file", "data"}
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type/Page\n") >= 2
