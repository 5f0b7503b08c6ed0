"""A small stand-in for ComfyUI: what the nodes ask of it, and nothing else. It is strict about what a schema may say."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

_ANY = {"display_name", "optional", "tooltip", "lazy"}
_KNOWN = {
    "Int": {"default", "min", "max", "step", "control_after_generate"},
    "Float": {"default", "min", "max", "step", "round"},
    "Boolean": {"default"},
    "String": {"default", "multiline", "placeholder", "dynamic_prompts"},
    "Combo": {"default", "options"},
}


class Interrupted(Exception):  # noqa: N818 - a person's wish
    """ComfyUI's own, raised where a person has cancelled."""


def _wire(name):
    known = _ANY | _KNOWN.get(name, set())

    class Input:
        def __init__(self, id, **said):  # noqa: A002 - ComfyUI's name
            assert not said.keys() - known, f"{name}.Input knows no {said.keys() - known}"
            self.id, self.type, self.said = id, name, said

    class Output:
        def __init__(self, id, *, display_name, tooltip):  # noqa: A002
            # Without a name to display, ComfyUI's page shows the type.
            self.id, self.type, self.display_name, self.tooltip = id, name, display_name, tooltip

    return SimpleNamespace(Input=Input, Output=Output)


class Schema(SimpleNamespace):
    def __init__(
        self,
        *,
        node_id,
        display_name,
        category,
        description,
        inputs,
        outputs,
        hidden=(),
        is_output_node=False,
    ):
        super().__init__(
            node_id=node_id,
            display_name=display_name,
            category=category,
            description=description,
            inputs=inputs,
            outputs=outputs,
            hidden=hidden,
            is_output_node=is_output_node,
        )


class NodeOutput:
    def __init__(self, *args, ui=None):
        self.args, self.ui = args, ui

    def __getitem__(self, place):
        return self.args[place]


class ExecutionBlocker:
    def __init__(self, message):
        self.message = message


class ComfyUI:
    """What tests look at and change: folders, bars, whether a person has cancelled."""

    def __init__(self, folder):
        self.bars, self.cancelled, self.folder = [], False, folder
        self.model_folders, self.args = {}, SimpleNamespace(disable_metadata=False)
        for name in ("input", "output", "temp", "models/hdrgen", "models/loras"):
            (folder / name).mkdir(parents=True)

    def check(self):
        if self.cancelled:
            raise Interrupted

    def progress_bar(self, total):
        bar = SimpleNamespace(total=total, done=[])
        bar.update_absolute = lambda value, _total=None: bar.done.append(value)
        self.bars.append(bar)
        return bar

    def save_path(self, prefix, folder, _width, _height):
        sub, name = os.path.split(prefix)
        full = os.path.join(folder, sub)  # noqa: PTH118 - as ComfyUI does
        os.makedirs(full, exist_ok=True)  # noqa: PTH103
        count = sum(file.name.startswith(f"{name}_") for file in Path(full).iterdir())
        return full, name, count + 1, sub, prefix

    def annotated(self, name):
        folder = "output" if name.endswith(" [output]") else "input"
        return str(self.folder / folder / name.removesuffix(" [output]"))


def _modules(comfyui):
    io = SimpleNamespace(
        **{name: _wire(name) for name in ("Image", "Mask", "Latent", "Model", "Clip", "Vae", *_KNOWN)},
        Custom=_wire,
        Schema=Schema,
        NodeOutput=NodeOutput,
        Hidden=SimpleNamespace(prompt="PROMPT", extra_pnginfo="EXTRA_PNGINFO"),
        ComfyNode=type("ComfyNode", (), {"hidden": SimpleNamespace(prompt=None, extra_pnginfo=None)}),
    )
    folder = comfyui.folder
    return {
        "comfy": {},
        "comfy_api": {},
        "comfy_api.latest": {"io": io, "ComfyExtension": type("ComfyExtension", (), {})},
        "comfy_execution": {},
        "comfy_execution.graph_utils": {"ExecutionBlocker": ExecutionBlocker},
        "comfy_extras": {},
        "comfy_extras.nodes_flux": {"get_schedule": lambda steps, tokens: ("flux2", steps, tokens)},
        "comfy.cli_args": {"args": comfyui.args},
        "comfy.lora": {},
        "comfy.model_base": {"Flux": (flux := type("Flux", (), {})), "Flux2": type("Flux2", (flux,), {})},
        "comfy.model_management": {
            "throw_exception_if_processing_interrupted": comfyui.check,
            "get_torch_device": lambda: torch.device("cpu"),
            "unload_all_models": lambda: None,
            "soft_empty_cache": lambda: None,
        },
        "comfy.sample": {},
        "comfy.samplers": {"sampler_object": lambda name: name},
        "comfy.sd": {},
        "comfy.utils": {"ProgressBar": comfyui.progress_bar},
        "folder_paths": {
            "models_dir": str(folder / "models"),
            "add_model_folder_path": lambda name, path: comfyui.model_folders.setdefault(name, [path]),
            "get_folder_paths": lambda name: comfyui.model_folders.get(name, []),
            "get_filename_list": lambda name: [file.name for file in (folder / "models" / name).iterdir()],
            "get_full_path_or_raise": lambda name, file: str(folder / "models" / name / file),
            "get_input_directory": lambda: str(folder / "input"),
            "get_output_directory": lambda: str(folder / "output"),
            "get_temp_directory": lambda: str(folder / "temp"),
            "get_annotated_filepath": comfyui.annotated,
            "get_save_image_path": comfyui.save_path,
        },
        "node_helpers": {
            "conditioning_set_values": lambda conditioning, values: [(text, values) for text in conditioning]
        },
    }


@pytest.fixture
def comfyui(tmp_path, monkeypatch):
    """Stand in for ComfyUI."""
    monkeypatch.delenv("HDRGEN_MODELS", raising=False)
    comfyui = ComfyUI(tmp_path / "comfyui")
    for name, members in _modules(comfyui).items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    return comfyui


@pytest.fixture
def nodes(comfyui, monkeypatch):  # noqa: ARG001 - it has to stand there
    """Return the nodes by the names of their classes, imported anew beside the stand-in."""
    for name in [name for name in sys.modules if name.startswith("hdrgen.comfyui")]:
        monkeypatch.delitem(sys.modules, name)
    pack = importlib.import_module("hdrgen.comfyui")
    sys.modules["hdrgen.comfyui.models"].register()
    yield SimpleNamespace(**{node.__name__: node for node in pack.NODES})
    for name in [name for name in sys.modules if name.startswith("hdrgen.comfyui")]:
        monkeypatch.delitem(sys.modules, name)
