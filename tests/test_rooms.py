"""The rooms of the package: what imports what is written in `pyproject.toml`, under `tool.importlinter`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_no_import_runs_upward_or_in_a_circle_and_nothing_stands_loose():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout


def test_a_module_fits_a_reader():
    """Simulated scenes are data."""
    package = ROOT / "src/hdrgen"
    lines = {path.relative_to(package): len(path.read_text().splitlines()) for path in package.rglob("*.py")}
    scenes = Path("dataset/simulate/scenes")
    assert {path: n for path, n in lines.items() if n > 400 and scenes not in path.parents} == {}
