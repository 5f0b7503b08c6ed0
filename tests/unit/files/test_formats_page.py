"""The page of formats: every row names tests that there are, and nothing that is read or written is missing."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from hdrgen.cli.batch import CODE_SUFFIXES, SCENE_SUFFIXES
from hdrgen.images import layers
from hdrgen.images.choices import Compression
from hdrgen.qc.hdr_preview import HDR_SUFFIXES

TESTS = Path(__file__).resolve().parents[2]
PAGE = (TESTS.parent / "docs/formats.md").read_text(encoding="utf-8")
COLUMNS = ["format", "feature", "what happens", "test"]
FILES = {"OpenEXR", "Radiance", "PNG", "TIFF", "JPEG", "WebP", "AVIF", "JPEG XL", "Ultra HDR"}
FORMATS = FILES | {"ICC profile", "Exposures", "Folders", "OpenColorIO", "Weights"}


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    format: str
    feature: str
    outcome: str
    tests: tuple[str, ...]


def table(page: str) -> list[Row]:
    """Return the rows of the page's only table."""
    lines = [line.strip() for line in page.splitlines() if line.lstrip().startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert cells[0] == COLUMNS
    assert all(set(cell) == {"-"} for cell in cells[1])
    wrong = [line for line, row in zip(lines, cells, strict=True) if len(row) != len(COLUMNS)]
    assert not wrong, wrong
    return [Row(row[0], row[1], row[2], tuple(re.findall(r"`([^`]+)`", row[3]))) for row in cells[2:]]


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    """Return the names of a module's tests without running it."""
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


ROWS = table(PAGE)
OUTCOMES = set(re.findall(r"^- \*\*(.+?)\*\*:", PAGE, re.MULTILINE))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.format}: {row.feature}"[:60])
def test_a_row_names_tests_that_there_are(row):
    assert row.tests
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in names_of_tests(TESTS / path), f"there is no test {test}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.format}: {row.feature}"[:60])
def test_a_row_says_what_happens_in_the_pages_words(row):
    said = re.findall(r"\*\*(.+?)\*\*", row.outcome)
    assert said
    assert row.outcome.startswith(f"**{said[0]}**")
    assert set(said) <= OUTCOMES


def test_no_feature_is_said_twice():
    said = [(row.format, row.feature) for row in ROWS]
    assert len(said) == len(set(said))


def test_every_format_is_there():
    assert {row.format for row in ROWS} == FORMATS


@pytest.mark.parametrize("suffix", sorted({*SCENE_SUFFIXES, *CODE_SUFFIXES, *HDR_SUFFIXES}))
def test_every_suffix_is_named(suffix):
    assert f"`{suffix}`" in PAGE


@pytest.mark.parametrize(
    "word", [*get_args(Compression), *get_args(layers.Kind), "half", "float", "uint", "tiles", "deep"]
)
def test_every_kind_of_exr_is_in_a_row(word):
    features = " ".join(row.feature for row in ROWS if row.format == "OpenEXR")
    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", features)


@pytest.mark.parametrize(
    "path", sorted((TESTS / "unit/files").glob("test_files_*.py")), ids=lambda path: path.stem
)
def test_what_is_tested_of_files_is_in_the_page(path):
    """A topic that has a module of tests has a row."""
    named = {test.partition("::")[0] for row in ROWS for test in row.tests}
    assert path.relative_to(TESTS).as_posix() in named


def test_a_page_that_is_wrong_is_noticed():
    """The parser does not pass over what it cannot read."""
    head = "| format | feature | what happens | test |\n| --- | --- | --- | --- |\n"
    assert table(f"{head}| PNG | alpha | **read** | `unit/a.py::test_b` `unit/a.py::test_c` |") == [
        Row("PNG", "alpha", "**read**", ("unit/a.py::test_b", "unit/a.py::test_c"))
    ]
    with pytest.raises(AssertionError):
        table(f"{head}| PNG | alpha | **read** |")
    assert "test_no_such_thing" not in names_of_tests(Path(__file__))
    assert "test_every_format_is_there" in names_of_tests(Path(__file__))
    assert not names_of_tests(TESTS / "unit/test_no_such_file.py")
