"""Tables of the documents: what is between their markers is what was measured, and what is wrong is said."""

import json
import shutil

import polars as pl
import pytest

from hdrgen.models.weights import released_weights
from hdrgen.report.tables.pages import TABLES, with_tables, write_tables
from hdrgen.report.tables.speed import Aim
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import write_figures


def page(name, between=""):
    return f"Before.\n\n<!-- table: {name} -->\n{between}<!-- end table -->\n\nAfter.\n"


def cells(text):
    """Return the cells of a page's table by the first of each row."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in [rows[0], *rows[2:]]}


def summary(mean):
    return {"mean": mean, "sd": 0.5, "min": mean - 1, "max": mean + 1, "count": 3}


@pytest.fixture
def root(tmp_path):
    """Make a folder of a run with figures of two stages."""
    vaes = {
        name: {"peak_ratio": summary(ratio), "stops_rmse_above_16": summary(ratio / 2)}
        for name, ratio in (
            ("frozen_vae_logc4", 0.5),
            ("frozen_vae_linear", 0.25),
            ("published_hdr_vae", 2.0),
            ("flux_hdr_vae", 1.0),
        )
    }
    write_figures(
        tmp_path / "metrics/evaluate_hdr_vae",
        {"plates": {"round_trip": vaes}},
        ["source", "kind", "model", "figure"],
    )
    kinds = {
        kind: {"banded_share": summary(banded), "comb": summary(0.125)}
        for kind, banded in (("footage", 0.01), ("logc4_8bit", 0.5), ("expand", 0.3), ("merge", 0.01))
    }
    kinds["merge"]["logc4_psnr"] = summary(66.25)
    write_figures(tmp_path / "metrics/validate", {"simulated": kinds}, ["source", "kind", "figure"])
    verdicts = [
        ("simulated", "expand", "banded_share", "falls_short"),
        ("simulated", "expand", "comb", "between"),
        ("simulated", "merge", "banded_share", "as_footage"),
        ("gradients", "expand", "comb", "falls_short"),
    ]
    pl.DataFrame(verdicts, ["source", "kind", "figure", "verdict"], orient="row").write_csv(
        tmp_path / "metrics/validate/verdicts.tsv", separator="\t"
    )
    return tmp_path


def test_what_is_between_the_markers_is_written_and_nothing_else(root):
    text = with_tables(page("hdr_vae", "| old |\n| --- |\n"), root)
    assert text.startswith("Before.\n\n<!-- table: hdr_vae -->\n|")
    assert text.endswith("|\n<!-- end table -->\n\nAfter.\n")
    assert "old" not in text
    assert with_tables(text, root) == text


def test_figures_are_means_at_their_places(root):
    rows = cells(with_tables(page("hdr_vae"), root))
    assert rows[""] == ["below 0.05", "0.05 to 1", "1 to 16", "above 16", "peak ratio"]
    assert rows["frozen VAE around LogC4, plates frames"] == ["", "", "", "0.25", "0.50"]
    assert rows["adapted FLUX VAE, plates frames"] == ["", "", "", "0.50", "1.00"]


def test_verdicts_are_marked_and_kinds_that_are_not_there_left_out(root):
    rows = cells(with_tables(page("production_simulated"), root))
    assert rows[""] == ["footage", "LogC4, 8 bits", "`expand`", "`merge`"]
    assert rows["banded at its worst exposure, % of flat areas"] == ["1.0", "50.0", "30.0 ✗", "**1.0**"]
    assert rows["comb (0 smooth, 1 teeth)"] == ["0.12"] * 4
    assert rows["PSNR over LogC4 in dB"] == ["", "", "", "66.2"]
    assert len(rows) == 4


def test_what_was_not_run_says_so(tmp_path):
    for name, table in TABLES.items():
        text = with_tables(page(name), tmp_path)
        assert f"\n*Not measured: there is no `{table.sources[0]}`.*\n" in text


def test_figures_that_are_none_are_an_error(root):
    (root / "metrics/validate/verdicts.tsv").write_text("another\ttable\n1\t2\n")
    with pytest.raises(HdrgenError, match="production_simulated"):
        with_tables(page("production_simulated"), root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (page("no_such_table"), "no table 'no_such_table'"),
        ("<!-- table: hdr_vae -->\n| a |\n", "no end"),
        (f"<!-- table: hdr_vae -->\n{page('hdr_vae')}", "no end"),
    ],
)
def test_a_wrong_marker_is_an_error(root, text, message):
    with pytest.raises(HdrgenError, match=message):
        with_tables(text, root)


def test_all_pages_are_written(root):
    (root / "docs").mkdir()
    (root / "README.md").write_text(page("hdr_vae"))
    (root / "docs/a.md").write_text(page("production_simulated"))
    (root / "docs/b.md").write_text("No table.\n")
    write_tables(root)
    assert "1.00" in (root / "README.md").read_text()
    assert "✗" in (root / "docs/a.md").read_text()
    assert (root / "docs/b.md").read_text() == "No table.\n"


def timing(operation, by, median, **others):
    return {"operation": operation, "by": by, "width": 1024, "height": 1024, "median_s": median} | others


@pytest.fixture
def recovered(root):
    """Add released figures of the other commands, and made-up ones of recovered light."""
    weights = root / "src/hdrgen/weights"
    weights.mkdir(parents=True)
    for file in released_weights("highlights").parent.glob("*.json"):
        shutil.copy(file, weights)

    def model(psnr, **others):
        return {
            "pu21_psnr": summary(psnr),
            "pu21_psnr_crf": summary(psnr + 2),
            "energy_error_stops": summary(1.5),
        } | others

    kinds = {
        "autoencoder": {
            "untouched": {"pu21_psnr": summary(30.0)},
            "boost_2": model(25.0),
            "boost_4": model(24.0),
            "released_highlights": model(28.0, energy_ratio_median=1.25, harmed_share=0.5),
        },
        "clip": {
            "untouched": model(20.0, energy_ratio_median=0.25),
            "boost_2": model(21.0, energy_ratio_median=0.5),
            "boost_4": model(19.0, energy_ratio_median=0.75),
            "lhdr": model(20.5),
            "released_highlights": model(24.5, energy_ratio_median=0.9375, pu21_psnr_margin=3.5),
        },
    }
    figures = {"simulated": {"clip": {"untouched": model(1.0)}}, "real": kinds}
    (weights / "highlights.json").write_text(json.dumps(figures))
    return root


def test_recovered_light_is_shown_by_kind_and_models_that_were_not_measured_are_left_out(recovered):
    rows = cells(with_tables(page("recover"), recovered))
    assert rows["real frames"] == ["clip, dB", "clip, energy", "autoencoder, dB", "autoencoder, energy"]
    assert rows["`untouched`: the picture as it is"] == [
        "20.00 / 22.00",
        "0.25 (1.50)",
        "30.00 / \N{EN DASH}",
        "",
    ]
    assert rows["`lhdr`: LHDR, as published"] == ["20.50 / 22.50", "\N{EN DASH} (1.50)", "", ""]
    assert rows["`released_highlights`: **the network, as released**"] == [
        "**24.50 / 26.50**",
        "**0.94 (1.50)**",
        "**28.00 / 30.00**",
        "**1.25 (1.50)**",
    ]
    assert [name.split("`")[1] for name in rows if "`" in name] == [
        "untouched",
        "boost_2",
        "boost_4",
        "lhdr",
        "released_highlights",
    ]


def test_recovered_light_is_among_the_results_where_it_was_measured(recovered):
    rows = cells(with_tables(page("results"), recovered))
    assert rows["`recover`, clip"] == ["21.00", "24.50", "+3.50", ""]
    assert rows["`recover`, autoencoder"] == ["30.00", "28.00", "-2.00", ""]
    (recovered / "src/hdrgen/weights/highlights.json").unlink()
    text = with_tables(page("results"), recovered)
    assert "`merge`, moving" in text
    assert "recover" not in text
    assert "Not measured" in with_tables(page("recover"), recovered)


def test_speed_is_that_of_the_commands_and_of_the_models_alone(tmp_path):
    (tmp_path / "docs").mkdir()
    timings = [
        timing("fuse", "torch", 0.3214),
        timing("fuse", "onnx", 9),
        timing("fuse", "torch in memory", 0.1, first_call_s=0.2),
        timing("convert", "hdrgen", 12.34),
        timing("fuse_batch", "hdrgen", 0.25),
    ]
    (tmp_path / "docs/bench.json").write_text(json.dumps({"timings": timings}))
    rows = cells(with_tables(page("speed"), tmp_path))
    assert rows["`hdrgen fuse`"] == ["1024 x 1024", "0.321", "0.200", "0.100"]
    assert rows["`hdrgen convert`"] == ["1024 x 1024", "12.3", "", ""]
    aims = cells(with_tables(page("speed_aims"), tmp_path))
    assert aims["`fuse`, 1024 x 1024"] == ["0.32 s", "at most 0.4", "reached"]
    assert aims["`fuse` in a batch, 1024 x 1024, rate beside one alone"] == [
        "1.29 times",
        "at least 1.6",
        "**not reached**",
    ]
    assert aims["`convert`, 4096 x 2304, beside OpenEXR alone"] == ["not measured", "at most 1.3", ""]


def test_an_aim_is_reached_from_its_own_side():
    assert Aim("", 1.25, "times", most=1.25).cells[-1] == "reached"
    assert Aim("", 1.26, "times", most=1.25).cells[-1] == "**not reached**"
    assert Aim("", 1.61, "times", least=1.6).cells[-1] == "reached"
