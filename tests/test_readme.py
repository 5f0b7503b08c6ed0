"""The README's commands do what it says, it stays short, and what it lists is all there is."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.code_image import write_code
from hdrgen.images.exr import write_exr

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DELIVERY = (ROOT / "docs/delivery.md").read_text()
RESULTS = (ROOT / "docs/results.md").read_text()
WEIGHTS = ROOT / "src/hdrgen/weights"
TABLES = {
    "tone_fusion": (
        "pu21_psnr",
        ("interval_intersection", "inverse_variance", "published_mlp", "released_fuser"),
        ("simulated clean", "real clean", "simulated generated", "real generated"),
    ),
    "bit_depth": (
        "code_psnr",
        ("dequantised", "smooth_in_intervals", "bilateral", "released_bit_depth"),
        ("gradients clean", "simulated clean", "real clean", "real generated"),
    ),
    "exposure_fusion": (
        "pu21_psnr",
        ("inverse_variance_aligned", "debevec", "robertson", "released_exposure_fusion"),
        ("real clean", "real generated", "real motion", "simulated clean", "simulated generated"),
    ),
}
NO_CLOSED_FORMS = ("margin_over_best_closed_form", "published_mlp", "expandnet", "lhdr")
RECOVERED = ("pu21_psnr", ("untouched", "boost_2", "boost_4", "released_highlights"), ())


def commands(page):
    """Return the arguments of the commands in a page's blocks."""
    lines = [
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
    ]
    return [shlex.split(line)[1:] for line in lines if line.startswith("hdrgen ")]


def rows(page, section):
    """Return the cells of the rows of a section's first table, without its head."""
    text = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    table = re.search(r"((?:^\|.*\n)+)", text, re.MULTILINE)[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_it_is_short():
    assert len(README.encode()) <= 7 * 1024


def test_the_commands_run_in_the_order_they_stand(cli, tmp_path, monkeypatch):
    """Those of the page of delivery begin with an EXR; the README's take what these made."""
    y, x = np.mgrid[:64, :96]
    light = 0.2 + 300 * np.exp(-((x - 40) ** 2 + (y - 30) ** 2) / 20)
    write_exr(
        tmp_path / "shot.exr", np.repeat(light[..., None], 3, -1).astype(np.float32), chromaticities=AP1
    )
    monkeypatch.chdir(tmp_path)
    assert len(commands(DELIVERY)) == 11
    for arguments in commands(DELIVERY):
        run(cli, arguments)
    (tmp_path / "plate.png").write_bytes((tmp_path / "brackets/shot_ev+0.png").read_bytes())
    write_code(
        tmp_path / "picture.png", (255 * np.random.default_rng(0).random((48, 64, 3))).astype(np.uint8)
    )
    assert len(commands(README)) == 6
    for arguments in commands(README):
        run(cli, arguments)


def run(cli, arguments):
    done = cli(*arguments)
    # `check` may find something; that is its business.
    assert done.code == 0 or arguments[0] == "check", f"{arguments}\n{done.err}"
    assert "Traceback" not in done.err


def test_every_extra_is_in_the_table():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for row in rows(README, "Six commands") for name in re.findall(r"`(\w+)`", row[0])}
    assert named == set(extras)


def test_the_map_of_the_rooms_is_the_one_that_imports_are_held_to():
    """Rooms floor by floor, from the top; the contract names every folder of the package."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    floors = [layer.split(" | ") for layer in contract["layers"]]
    shown = rows(README, "A map of the rooms")
    assert [sorted(re.findall(r"`(\w+)`", row[1])) for row in shown] == [sorted(floor) for floor in floors]
    assert [int(row[0]) for row in shown] == list(range(len(floors), 0, -1))


def row_of(text, model, columns):
    """Return the figures of a model's row; a model of one name may be in tables of other widths."""
    found = (
        [cell.strip().strip("*") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith(f"| `{model}`:")
    )
    return next(list(map(float, row[1:])) for row in found if len(row) == columns + 1)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("document", [RESULTS, None], ids=["results", "card"])
def test_the_tables_show_the_released_figures(name, document):
    metric, models, columns = TABLES[name]
    figures = json.loads((WEIGHTS / f"{name}.json").read_text())
    text = document or (WEIGHTS / f"{name}.md").read_text()
    for model in models:
        expected = [
            round(figures[source][kind][model][metric]["mean"], 2)
            for source, kind in (column.split() for column in columns)
        ]
        assert row_of(text, model, len(columns)) == expected, model


def test_the_summary_shows_the_released_figures():
    """Best closed form, released model, gain, and the aim where there is one, on real frames."""
    names = {
        "fuse": "tone_fusion",
        "expand": "bit_depth",
        "merge": "exposure_fusion",
        "recover": "highlights",
    }
    names = {command: name for command, name in names.items() if (WEIGHTS / f"{name}.json").is_file()}
    kinds = {"clean": "clean", "generated-like": "generated", "moving": "motion"}
    shown = rows(README, "How good it is")
    assert {row[0].split("`")[1] for row in shown} == set(names)
    for label, closed, released, gain, aim in shown:
        command, kind = label.split("`")[1], label.split(", ")[1]
        metric, models, _ = TABLES.get(names[command], RECOVERED)
        figures = json.loads((WEIGHTS / f"{names[command]}.json").read_text())["real"][kinds.get(kind, kind)]
        model = models[-1]
        others = [
            of[metric]["mean"]
            for name, of in figures.items()
            if name not in (*NO_CLOSED_FORMS, model, model.split("_", 1)[1])
        ]
        best = max(others)
        assert float(closed) == round(best, 2)
        assert float(released) == round(figures[model][metric]["mean"], 2)
        assert float(gain) == round(figures[model][metric]["mean"] - best, 2)
        assert ("not reached" in aim) == (bool(aim) and float(gain) < float(aim.split(",")[0]))
