from pathlib import Path

import pytest
from pydantic import Field

from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section, read_section
from hdrgen.runtime.params_reference import settings_of

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


class Another(Outer):
    seed: int = 3
    """Decides all."""
    steps: int = 4


def test_what_a_section_does_not_set_is_as_its_class_has_it(tmp_path):
    (tmp_path / "params.yaml").write_text("train: {inner: {}, steps: 5}")
    section = read_section(tmp_path / "params.yaml", "train", Another)
    assert section == Another(seed=3, inner=Inner(gain_stops=1.0), steps=5)


def test_a_setting_is_described_by_the_docstring_under_it():
    seed, gain, steps = settings_of("train", Another, Another(seed=7))
    assert (seed.name, seed.about, seed.kind, seed.default, seed.value) == (
        "train.seed", "Decides all.", "integer", 3, 7)  # fmt: skip
    assert (gain.name, gain.kind, gain.value) == ("train.inner.gain_stops", "number >= 0", 1.0)
    assert (steps.about, steps.is_required) == ("", False)
