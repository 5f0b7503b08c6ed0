"""The pack as a whole: schemas, example workflows, and that a copy of it loads."""

import asyncio
import importlib.util
import json
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

import hdrgen

PACK = Path(hdrgen.__file__).parent / "comfyui"
WORKFLOWS = sorted((PACK / "example_workflows").glob("*.json"))


def _schemas(nodes):
    return {schema.node_id: schema for schema in (node.define_schema() for node in vars(nodes).values())}


def test_every_input_and_output_says_what_it_is(nodes):
    schemas = _schemas(nodes)
    assert len(schemas) == 15
    for schema in schemas.values():
        assert schema.node_id.startswith("Hdrgen")
        assert schema.description.endswith(".")
        for entry in schema.inputs:
            assert entry.said.get("tooltip"), f"{schema.node_id}.{entry.id}"
        assert all(out.tooltip for out in schema.outputs), schema.node_id
        assert [out.display_name for out in schema.outputs] == [out.id for out in schema.outputs]
        ids = [entry.id for entry in schema.inputs]
        assert len(ids) == len(set(ids)), schema.node_id


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_fit_the_nodes(nodes, path):
    """A widget more or less would shift all values after it, which ComfyUI's page does not notice."""
    schemas, workflow = _schemas(nodes), json.loads(path.read_text())
    ours = [node for node in workflow["nodes"] if node["type"].startswith("Hdrgen")]
    assert any(node["type"] == "HdrgenExrExporter" for node in ours)
    by_id = {node["id"]: node for node in workflow["nodes"]}
    for node in ours:
        schema = schemas[node["type"]]
        inputs = sorted(
            schema.inputs, key=lambda known: known.said.get("optional", False)
        )  # as the page has them
        assert [entry["name"] for entry in node["inputs"]] == [known.id for known in inputs]
        assert [out["name"] for out in node["outputs"]] == [out.id for out in schema.outputs]
        values = iter(node["widgets_values"])
        for entry, known in zip(node["inputs"], inputs, strict=True):
            if "widget" in entry:
                value = next(values)
                if known.said.get("control_after_generate"):
                    assert next(values) == "fixed"
                if known.type == "Combo" and known.id not in ("models", "lora"):
                    assert value in known.said["options"], f"{node['type']}.{known.id}"
        assert not list(values)
    for _, source, out, target, entry, kind in workflow["links"]:
        assert by_id[source]["outputs"][out]["type"] == kind
        assert by_id[target]["inputs"][entry]["type"] == kind


def test_there_is_a_workflow_for_each_route():
    assert {"brackets", "dual", "latent"} <= {path.stem for path in WORKFLOWS}


def test_a_copy_in_custom_nodes_loads_under_a_name_of_its_own(comfyui, tmp_path, monkeypatch):
    copy = tmp_path / "custom_nodes" / "hdrgen"
    shutil.copytree(PACK, copy, ignore=shutil.ignore_patterns("__pycache__"))
    name = str(copy)  # as ComfyUI names it
    spec = importlib.util.spec_from_file_location(name, copy / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    extension = asyncio.run(module.comfy_entrypoint())
    asyncio.run(extension.on_load())
    assert len(asyncio.run(extension.get_node_list())) == 15
    assert comfyui.model_folders == {"hdrgen": [str(comfyui.folder / "models" / "hdrgen")]}
    for left in [left for left in sys.modules if left.startswith(f"{name}.")]:
        del sys.modules[left]


def test_registry_file_is_of_this_version():
    said = tomllib.loads((PACK / "pyproject.toml").read_text())
    assert said["project"]["version"] == hdrgen.__version__
    assert said["tool"]["comfy"]["PublisherId"]
    assert (PACK / "requirements.txt").read_text().split() == said["project"]["dependencies"]
