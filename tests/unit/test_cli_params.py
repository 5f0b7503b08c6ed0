"""``hdrgen params``: the whole reference, and that params.yaml is in it."""

import ast
import json
from pathlib import Path

import pytest
import yaml

from hdrgen.cli.params import sections
from hdrgen.dataset.pairs.bracket_pairs import MakeBracketPairs
from hdrgen.runtime.params import Section, read_section
from hdrgen.runtime.params_reference import settings_of

ROOT = Path(__file__).resolve().parents[2]
PARAMS = ROOT / "params.yaml"
DOCUMENT = yaml.safe_load(PARAMS.read_text())


def sections_that_stages_read():
    """Yield name and class of each section that a script in stages/ reads by its name."""
    for script in sorted((ROOT / "stages").glob("*.py")):
        for node in ast.walk(ast.parse(script.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "read_section":
                _, name, section = node.args
                if isinstance(name, ast.Constant):
                    yield name.value, ast.unparse(section)


def class_of(name):
    """Return the class that the reference has for a section, or for a section in a section."""
    above = name.rpartition(".")[0]
    return sections().get(name) or class_of(above).model_fields[name.removeprefix(f"{above}.")].annotation


def test_the_reference_has_every_section_with_the_class_that_its_stage_reads():
    whole = [
        f"{name}.{kind}" if name == "make_pairs" else name
        for name, section in DOCUMENT.items()
        for kind in (section if name == "make_pairs" else [""])
    ]
    assert list(sections()) == whole
    read = list(sections_that_stages_read())
    assert {name.split(".")[0] for name, _ in read} == set(DOCUMENT)
    assert [(name, class_of(name).__name__) for name, _ in read] == read


@pytest.mark.parametrize("name", sections())
def test_every_setting_has_a_sentence_and_params_yaml_names_no_other(name):
    section = sections()[name]
    settings = list(settings_of(name, section, read_section(PARAMS, name, section)))
    assert [s.name for s in settings if len(s.about.split()) < 2] == []
    assert len({s.name for s in settings}) == len(settings)


def defaults_in(section: type[Section]):
    """Yield the default of each section in a section."""
    for field in section.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from defaults_in(field.annotation)
            if not field.is_required():
                yield field.default


@pytest.mark.parametrize("name", sections())
def test_a_partial_section_in_a_section_is_filled_up_as_one_that_is_missing(name):
    """The default of a section in a section is its class's own: naming one key of it changes no other."""
    for default in defaults_in(sections()[name]):
        assert default == type(default)()


def test_a_setting_is_shown_with_its_range_default_and_value(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS.read_text().replace("exposure_stops: 0.1 ", "exposure_stops: 0.2 "))
    said = cli("params", "make_pairs.brackets.generated_like")
    assert said.code == 0
    assert (
        "make_pairs.brackets.generated_like.exposure_stops = 0.2  (number >= 0; default 0.1)\n"
        "    Standard deviation of the picture's exposure error.\n"
    ) in said.out
    answer = {entry["name"]: entry for entry in json.loads(cli("params", "make_pairs", "--json").out)}
    changed = answer["make_pairs.brackets.generated_like.exposure_stops"]
    assert (changed["type"], changed["default"], changed["value"]) == ("number >= 0", 0.1, 0.2)
    assert "value" not in answer["make_pairs.brackets.judged_size"]
    assert (
        answer["make_pairs.brackets.judged_size"]["default"]
        == MakeBracketPairs.model_fields["judged_size"].default
    )
    assert "default" not in answer["make_pairs.brackets.seed"]


def test_without_params_yaml_it_is_the_reference_alone(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = cli("params", "split")
    assert "split.val_fraction = 0.1  (number >= 0, < 1)\n" in said.out
    assert "(integer; required)" in cli("params", "train_bit_depth.seed").out


def test_wrong_names_are_one_clear_line(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = cli("params", "splitt")
    assert said.code == 2
    assert said.err.startswith("error: there is no section 'splitt'; there are simulate, ingest, ")
    Path("params.yaml").write_text(PARAMS.read_text().replace("val_fraction", "val_friction"))
    assert "params.yaml: split.val_friction: unknown key" in cli("params").err
