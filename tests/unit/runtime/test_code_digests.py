"""Digests of code: they change when a script's code does, and for nothing else."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from hdrgen.runtime.code_digests import write_code_digests
from hdrgen.runtime.errors import HdrgenError

FILES = {
    "stages/draw.py": "from pkg.report.page import write\n",
    "stages/train.py": "import pkg.model\n",
    "src/pkg/__init__.py": '"""A package."""\n__version__ = "1"\n',
    "src/pkg/model.py": (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from pkg.lonely import Lonely\n"
        "def load():\n    from pkg import tools\n    return tools\n"
    ),
    "src/pkg/tools.py": "SIZE = 3\n",
    "src/pkg/lonely.py": "class Lonely: ...\n",
    "src/pkg/report/__init__.py": "from .page import write\n",
    "src/pkg/report/page.py": "from .. import tools\nfrom . import curves\ndef write(): ...\n",
    "src/pkg/report/curves.py": "def curve(): ...\n",
    "src/pkg/report/templates/page.html": "<p>\n",
    "src/pkg/weights/model.safetensors": "0",
    "src/pkg/__pycache__/model.pyc": "0",
}
DRAWS = [
    "src/pkg/report/__init__.py",
    "src/pkg/report/curves.py",
    "src/pkg/report/page.py",
    "src/pkg/report/templates/page.html",
    "src/pkg/tools.py",
    "stages/draw.py",
]
TRAINS = ["src/pkg/model.py", "src/pkg/tools.py", "stages/train.py"]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Work in a project of two scripts and a package."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def digests():
    """Write all digests and return them by script."""
    write_code_digests(
        [*Path("stages").glob("*.py")], Path("src/pkg"), Path("code"), apart=[Path("src/pkg/weights")]
    )
    return {path.name: path.read_bytes() for path in sorted(Path("code").iterdir())}


def test_a_script_has_its_imports_and_their_data_each_with_its_sha256():
    written = digests()
    assert list(written) == ["draw", "train"]
    for name, files in (("draw", DRAWS), ("train", TRAINS)):
        lines = written[name].decode().splitlines()
        assert lines == [f"{hashlib.sha256(Path(f).read_bytes()).hexdigest()}  {f}" for f in files]


@pytest.mark.parametrize(
    ("edited", "reruns"),
    [
        (
            "src/pkg/tools.py",
            {"draw", "train"},
        ),  # of model.py inside a function, of page.py by `from .. import`
        ("src/pkg/model.py", {"train"}),
        ("src/pkg/report/curves.py", {"draw"}),
        ("src/pkg/report/templates/page.html", {"draw"}),
        ("stages/train.py", {"train"}),
        ("src/pkg/__init__.py", set()),  # a docstring and a version
        ("src/pkg/lonely.py", set()),  # for type checkers alone
        ("src/pkg/weights/model.safetensors", set()),
        ("src/pkg/__pycache__/model.pyc", set()),
    ],
)
def test_an_edit_changes_the_digests_of_the_scripts_that_run_it_and_no_others(edited, reruns):
    before = digests()
    with Path(edited).open("a") as file:
        file.write("\n")
    after = digests()
    assert {name for name in after if after[name] != before[name]} == reruns


def test_digests_depend_on_nothing_but_the_code(tmp_path_factory, monkeypatch):
    before = digests()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in reversed(FILES):
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, elsewhere / name)
    monkeypatch.chdir(elsewhere)
    assert digests() == before


def test_a_script_that_is_gone_leaves_no_digest():
    digests()
    Path("stages/draw.py").unlink()
    assert list(digests()) == ["train"]


def test_code_that_is_no_python_is_one_clear_line():
    Path("src/pkg/tools.py").write_text("def broken(:\n")
    with pytest.raises(HdrgenError, match=re.escape("src/pkg/tools.py: line 1: is not valid Python (")):
        digests()
