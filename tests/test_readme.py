"""The README's commands do what it says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.exr import write_exr

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
FIGURES = ROOT / "src/hdrgen/weights/tone_fusion.json"


def commands():
    lines = [
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
        for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith("hdrgen ")]


def test_the_commands_run_in_the_order_they_stand(tmp_path):
    y, x = np.mgrid[:64, :96]
    light = 0.2 + 300 * np.exp(-((x - 40) ** 2 + (y - 30) ** 2) / 20)
    write_exr(
        tmp_path / "shot.exr", np.repeat(light[..., None], 3, -1).astype(np.float32), chromaticities=AP1
    )
    assert len(commands()) == 7
    for command in commands():
        program, *arguments = shlex.split(command)
        assert program == "hdrgen"
        done = subprocess.run(
            [Path(sys.executable).parent / "hdrgen", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        # `check` may find something; that is its business.
        assert done.returncode == 0 or arguments[0] == "check", f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_every_stage_is_in_the_table_and_in_the_pipeline():
    stages = {p.stem for p in (ROOT / "stages").glob("*.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == stages


@pytest.mark.parametrize("source", ["simulated", "real"])
@pytest.mark.parametrize("kind", ["clean", "generated"])
@pytest.mark.parametrize(
    "model", ["cell_intersection", "inverse_variance", "published_mlp", "released_fuser"]
)
def test_the_table_shows_the_released_figures(source, kind, model):
    figures = json.loads(FIGURES.read_text())
    row = next(line for line in README.splitlines() if line.startswith("|") and f"`{model}`" in line)
    cells = [cell.strip().strip("*") for cell in row.strip("|").split("|")]
    column = 1 + ["simulated clean", "real clean", "simulated generated", "real generated"].index(
        f"{source} {kind}"
    )
    assert float(cells[column].split()[0]) == round(figures[source][kind][model]["pu21_psnr"]["mean"], 2)
