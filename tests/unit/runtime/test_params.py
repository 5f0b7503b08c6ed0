from pathlib import Path

import pytest
from pydantic import Field

from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section, read_section

ROOT = Path(__file__).resolve().parents[3]


class Inner(Section):
    gain_stops: float = Field(1.0, ge=0)


class Outer(Section):
    seed: int
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split: {sed: 1}", r"split\.seed: Field required"),
        ("split: {seed: 1, sed: 1}", r"split\.sed: unknown key \(is 1\)"),
        (
            "split: {seed: 1, inner: {gain_stops: -1}}",
            r"split\.inner\.gain_stops: .*greater than or equal to 0 \(is -1",
        ),
        ("splitt: {seed: 1}", "section 'split' is missing; there are splitt"),
        ("make_pairs: {}", "section 'split' is missing"),
        ("split: [", "not valid YAML"),
        ("- 1", "must hold one section per stage"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_key(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(HdrgenError, match=f"params.yaml: {message}"):
        read_section(path, "split", Outer)


def test_a_part_of_a_section_is_read_by_its_path(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("make_pairs: {tone_map: {seed: 7}, brackets: 3}")
    assert read_section(path, "make_pairs.tone_map", Outer).seed == 7
    for name in ("make_pairs.bit_depth", "make_pairs.brackets.motion"):
        with pytest.raises(HdrgenError, match=f"params.yaml: section '{name}' is missing"):
            read_section(path, name, Outer)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(HdrgenError, match=r"params\.yaml: cannot be read"):
        read_section(tmp_path / "params.yaml", "split", Outer)


def test_sections_cannot_be_changed_after_reading(tmp_path):
    (tmp_path / "params.yaml").write_text("split: {seed: 1}")
    section = read_section(tmp_path / "params.yaml", "split", Outer)
    with pytest.raises(ValueError, match="frozen"):
        section.seed = 2
