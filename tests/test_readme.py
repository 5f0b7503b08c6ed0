"""The README's commands do what it says."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.exr import write_exr

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
WEIGHTS = ROOT / "src/hdrgen/weights"
TABLES = {
    "tone_fusion": (
        "pu21_psnr",
        ("cell_intersection", "inverse_variance", "published_mlp", "released_fuser"),
        ("simulated clean", "real clean", "simulated generated", "real generated"),
    ),
    "bit_depth": (
        "code_psnr",
        ("dequantised", "smooth_in_cells", "bilateral", "released_bit_depth"),
        ("gradients clean", "simulated clean", "real clean", "real generated"),
    ),
    "exposure_fusion": (
        "pu21_psnr",
        ("inverse_variance_aligned", "debevec", "robertson", "released_exposure_fusion"),
        ("real clean", "real generated", "real motion", "simulated clean", "simulated generated"),
    ),
}


def commands():
    lines = [
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
        for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith("hdrgen ")]


def test_the_commands_run_in_the_order_they_stand(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, x = np.mgrid[:64, :96]
    light = 0.2 + 300 * np.exp(-((x - 40) ** 2 + (y - 30) ** 2) / 20)
    write_exr(
        tmp_path / "shot.exr", np.repeat(light[..., None], 3, -1).astype(np.float32), chromaticities=AP1
    )
    assert len(commands()) == 11
    for command in commands():
        program, *arguments = shlex.split(command)
        assert program == "hdrgen"
        done = cli(*arguments)
        # `check` may find something; that is its business.
        assert done.code == 0 or arguments[0] == "check", f"{command}\n{done.err}"
        assert "Traceback" not in done.err


def test_every_stage_is_in_the_table_and_in_the_pipeline():
    stages = {p.stem for p in (ROOT / "stages").glob("*.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == stages


def row_of(text, model, columns):
    """Return the figures of a model's row; a model of one name may be in tables of other widths."""
    rows = (
        [cell.strip().strip("*") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith(f"| `{model}`:")
    )
    return next(list(map(float, row[1:])) for row in rows if len(row) == columns + 1)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("document", [README, None], ids=["readme", "card"])
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
