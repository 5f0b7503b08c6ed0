"""Every example in a docstring of the library, and in the pages of docs/, says what really comes out."""

import doctest
import importlib
from pathlib import Path

import pytest

from hdrgen.metrics import delta_e_itp, full_reference, jod, mu_law, quality
from hdrgen.metrics.full_reference import METRICS

ROOT = Path(__file__).resolve().parents[1]
WITH_EXAMPLES = [p for p in sorted((ROOT / "src").rglob("*.py")) if ">>>" in p.read_text()]
PAGES = [p for p in sorted((ROOT / "docs").glob("*.md")) if ">>>" in p.read_text()]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda p: p.stem)
def test_examples_in_docstrings_hold(path):
    name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    tried = doctest.testmod(importlib.import_module(name))
    assert tried.attempted > 0
    assert tried.failed == 0


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_examples_in_pages_hold(path):
    assert doctest.testfile(str(path), module_relative=False).failed == 0


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: m.name)
def test_every_metric_has_an_example_and_a_place_in_the_page(metric):
    measured = next(
        vars(module)[metric.name]
        for module in (quality, delta_e_itp, mu_law, jod, full_reference)
        if metric.name in vars(module)
    )
    assert ">>>" in measured.__doc__
    assert f"`{metric.name}`" in (ROOT / "docs/metrics.md").read_text()
