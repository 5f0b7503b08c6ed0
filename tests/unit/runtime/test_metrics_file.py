"""The figures that decide as JSON, and all figures as tables."""

import json

import polars as pl
import pytest

from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import (
    picked,
    read_figures,
    rounded,
    write_figures,
    write_measured,
    write_metrics,
)

SPREAD = {"mean": 0.1 + 0.2, "sd": 1e-17, "min": -1 / 3, "max": 2674.0, "count": 7}
FIGURES = {
    "klein": {"family": "klein\tbase", "steps": 400, "loss": -59.213364919026695},
    "frames": 48,
    "words": SPREAD,
}


def test_figures_are_read_as_they_were_written_to_the_last_bit(tmp_path):
    write_figures(tmp_path, FIGURES, ("part", "figure"))
    write_figures(tmp_path, {"night": {"day": 3}}, ("kind", "taken_for"), "confusion")
    (tmp_path / "loss.tsv").write_text("step\ttrain\n1\t2\n")
    assert read_figures(tmp_path) == FIGURES | {"confusion": {"night": {"day": 3}}}
    read = read_figures(tmp_path)
    assert isinstance(read["frames"], int)
    assert isinstance(read["words"]["max"], float)


def test_a_table_is_long_and_its_numbers_are_numbers(tmp_path):
    write_figures(tmp_path, {"a": {"net": {"psnr": SPREAD, "margin": 0.5}}}, ("source", "model", "figure"))
    table = pl.read_csv(tmp_path / "figures.tsv", separator="\t")
    assert table.columns == ["source", "model", "figure", "mean", "sd", "min", "max", "count"]
    assert table.rows() == [
        ("a", "net", "psnr", *SPREAD.values()),
        ("a", "net", "margin", 0.5, None, None, None, None),
    ]


def test_figures_deeper_than_their_keys_are_refused(tmp_path):
    with pytest.raises(ValueError, match="more than the keys"):
        write_figures(tmp_path, FIGURES, ("figure",))
    assert not list(tmp_path.iterdir())


def test_a_table_that_is_none_is_one_clear_line(tmp_path):
    for broken in (
        "figure\tmean\tsd\tmin\tmax\tcount\nloss\tbroken\t\t\t\t\n",
        "step\ttrain\n1\t2\n",
        "figure\tmean",
    ):
        (tmp_path / "figures.tsv").write_text(broken + "\nx\n")
        with pytest.raises(HdrgenError, match=r"figures\.tsv: is no table of figures"):
            read_figures(tmp_path)


def test_the_json_holds_what_is_picked_rounded_to_what_is_significant(tmp_path):
    tree = {"s": {"net": {"pu21_psnr": SPREAD | {"mean": 63.55574}, "loss": 0.662792366}}, "frames": 12345}
    write_metrics(
        tmp_path / "m.json", picked(tree, "*/net/pu21_psnr", "*/net/loss", "frames", "*/net/absent")
    )
    assert json.loads((tmp_path / "m.json").read_text()) == {
        "s": {"net": {"pu21_psnr": 63.56, "loss": 0.6628}},
        "frames": 12345,
    }
    assert str(rounded("margin", -0.001)) == "0.0"


def test_what_decides_lies_beside_the_folder_of_all_figures(tmp_path):
    folder = tmp_path / "ingest_plate.v2"  # a name with a dot, as a source may have
    write_measured(folder, {"frames": 48}, FIGURES, ("part", "figure"))
    assert json.loads((tmp_path / "ingest_plate.v2.json").read_text()) == {"frames": 48}
    assert read_figures(folder) == FIGURES
