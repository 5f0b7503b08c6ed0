"""The nodes inside a real ComfyUI: the example workflows, from their files to EXRs that are read back."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import hdrgen
from hdrgen.colour.primaries import AP1
from hdrgen.images.code_image import write_png8
from hdrgen.images.exr import read_exr, write_exr

PACK = Path(hdrgen.__file__).parent / "comfyui"
WORKFLOWS = PACK / "example_workflows"
SECONDS = 900
"""That anything may take: ComfyUI imports for minutes where others use the machine."""
VALUES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
SMALL = {"width": 32, "height": 32, "steps": 2, "check_evs": False}
"""Few pixels and steps; and a model that was never trained paints no exposures."""

pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif("COMFYUI_DIR" not in os.environ, reason="COMFYUI_DIR names no ComfyUI to start"),
]


class ComfyUI:
    """A running server, and the folders it works in."""

    def __init__(self, address, folder):
        self.address, self.folder = address, folder

    def get(self, path):
        with urllib.request.urlopen(f"{self.address}/{path}", timeout=30) as answer:
            return json.load(answer)

    def post(self, path, document):
        request = urllib.request.Request(f"{self.address}/{path}", json.dumps(document).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def queue(self, prompt, workflow=None):
        extra = {"extra_pnginfo": {"workflow": workflow}} if workflow else {}
        return self.post("prompt", {"prompt": prompt, "extra_data": extra})["prompt_id"]

    def wait(self, number):
        """Return a prompt's history once it has ended."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            history = self.get(f"history/{number}")
            if number in history:
                return history[number]
            time.sleep(0.2)
        pytest.fail(f"prompt {number} did not end")

    def run(self, prompt, workflow=None):
        done = self.wait(self.queue(prompt, workflow))
        assert done["status"]["status_str"] == "success", done["status"]["messages"]
        return done["outputs"]

    def exrs(self, outputs):
        """Return the paths of the EXRs of a run."""
        files = [file for output in outputs.values() for file in output.get("exr", [])]
        return [self.folder / "output" / file["subfolder"] / file["filename"] for file in files]


@pytest.fixture(scope="module")
def comfyui(models, tmp_path_factory):
    """Start ComfyUI on the CPU in folders of its own, with this pack linked into its custom nodes."""
    folder = tmp_path_factory.mktemp("comfyui")
    for name in ("custom_nodes", "models/hdrgen", "models/loras", "input", "output", "temp", "user"):
        (folder / name).mkdir(parents=True)
    (folder / "custom_nodes" / "hdrgen").symlink_to(PACK)
    (folder / "models" / "hdrgen" / "data").symlink_to(models)
    (folder / "models" / "loras" / "hdr.safetensors").symlink_to(
        models / "train_flux_lora" / "pytorch_lora_weights.safetensors"
    )
    ramp = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    write_png8(folder / "input" / "example.png", ramp)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = Path(os.environ["COMFYUI_DIR"])
    python = os.environ.get("COMFYUI_PYTHON", root / ".venv" / "bin" / "python")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PACK.parents[1])}
    log = folder / "log.txt"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [
                *(python, root / "main.py", "--cpu", "--base-directory", folder),
                *("--listen", "127.0.0.1", "--port", str(port)),
                *("--disable-api-nodes", "--disable-all-custom-nodes", "--whitelist-custom-nodes", "hdrgen"),
            ],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    running = ComfyUI(f"http://127.0.0.1:{port}", folder)
    try:
        end = time.monotonic() + SECONDS
        while True:
            try:
                running.get("system_stats")
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"ComfyUI did not start:\n{log.read_text()[-3000:]}")
                time.sleep(0.5)
        yield running
    finally:
        server.terminate()
        server.wait(30)


def prompt_of(workflow, info, **changes):
    """Return what ComfyUI's page makes of a workflow's file when it is queued.

    A node's values stand in the order of the inputs that have a widget; a seed and an uploaded file have one value more,
    which only the page knows.
    """
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        known = info[node["type"]]["input"]
        options = {
            name: spec[1] if len(spec) > 1 else {} for kind in known.values() for name, spec in kind.items()
        }
        values, inputs = iter(node["widgets_values"]), {}
        for entry in node["inputs"]:
            name = entry["name"]
            if "widget" in entry:
                value = next(values)
                inputs[name] = changes.get(name, value)
                if options[name].get("control_after_generate") or options[name].get("image_upload"):
                    next(values)
            if entry["link"] is not None:
                inputs[name] = sources[entry["link"]]
        assert not list(values), f"{node['type']} has more values than inputs"
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


@pytest.fixture(scope="module")
def info(comfyui):
    return comfyui.get("object_info")


def test_every_node_is_there_and_every_input_has_a_tooltip(info):
    ours = {name: node for name, node in info.items() if node["python_module"] == "custom_nodes.hdrgen"}
    assert len(ours) == 15
    for name, node in ours.items():
        for kind in ("required", "optional"):
            for entry, spec in node["input"].get(kind, {}).items():
                assert spec[1].get("tooltip"), f"{name}.{entry}"
        assert all(node["output_tooltips"]), name


@pytest.mark.parametrize("name", ["brackets", "dual", "latent", "picture_to_exr", "recover"])
def test_example_workflows_write_exrs_of_light_above_one(comfyui, info, name):
    workflow = json.loads((WORKFLOWS / f"{name}.json").read_text())
    outputs = comfyui.run(prompt_of(workflow, info, **SMALL), workflow)
    (path,) = comfyui.exrs(outputs)
    image = read_exr(path)
    assert image.chromaticities == AP1
    assert image.pixel_type == "half"
    assert np.isfinite(image.rgb).all()
    assert json.loads(image.attributes["workflow"]) == workflow
    if name not in ("picture_to_exr", "recover"):
        assert image.rgb.max() > 1
        assert image.attributes["hdrgenSeed"] == 7
        assert image.attributes["hdrgenPrompt"].startswith("A neon alley")


def test_the_peak_passes_from_file_through_nodes_to_file_bit_for_bit(comfyui):
    light = np.random.default_rng(0).uniform(0, 4, (48, 64, 3)).astype(np.float16)
    light[5, 7] = 1879.0, 65504.0, -0.25
    write_exr(comfyui.folder / "input" / "peak.exr", light, chromaticities=AP1)
    read = {"class_type": "HdrgenExrLoader", "inputs": {"file": "peak.exr", "frames": "", "space": "acescg"}}
    through = {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": 2}}
    for pixel_type in ("half", "float"):
        write = {
            "light": ["2", 0],
            "filename_prefix": f"peak_{pixel_type}",
            "light_space": "acescg",
            "file_space": "acescg",
            "pixel_type": pixel_type,
            "compression": "piz",
            "overflow": "raise",
            "numbering": "frames",
            "first_frame": 1001,
            "overwrite": False,
            "workflow": False,
            "attributes": "shot = sh010",
        }
        prompt = {"1": read, "2": through, "3": {"class_type": "HdrgenExrExporter", "inputs": write}}
        paths = comfyui.exrs(comfyui.run(prompt))
        assert [path.name for path in paths] == [f"peak_{pixel_type}.{frame}.exr" for frame in (1001, 1002)]
        for path in paths:
            image = read_exr(path)
            assert np.array_equal(image.rgb.astype(np.float32), light.astype(np.float32))
            assert image.compression == "piz"
            assert image.attributes["shot"] == "sh010"


def test_a_failure_is_said_and_nothing_is_written(comfyui):
    read = {
        "class_type": "HdrgenExrLoader",
        "inputs": {"file": "../../etc/passwd", "frames": "", "space": "acescg"},
    }
    look = {
        "class_type": "HdrgenHdrPreview",
        "inputs": {"light": ["1", 0], "space": "acescg", "exposure": 0, "view": "false colour"},
    }
    with pytest.raises(urllib.error.HTTPError) as refused:
        comfyui.queue({"1": read, "2": look})
    assert "Invalid file path" in refused.value.read().decode() or refused.value.code == 400


def test_a_picture_is_cancelled_while_it_is_sampled(comfyui, info):
    workflow = json.loads((WORKFLOWS / "latent.json").read_text())
    number = comfyui.queue(prompt_of(workflow, info, **SMALL | {"steps": 1000}))
    end = time.monotonic() + SECONDS
    while not comfyui.get("queue")["queue_running"] and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(1)
    comfyui.post("interrupt", {})
    status = comfyui.wait(number)["status"]
    assert any(name == "execution_interrupted" for name, _ in status["messages"]), status


def test_native_flux2_agrees_with_diffusers_with_and_without_the_lora():
    """Weights by their native names, and our LoRA on them, of alpha other than its rank, make the same velocity."""
    root = Path(os.environ["COMFYUI_DIR"])
    answer = subprocess.run(
        [
            os.environ.get("COMFYUI_PYTHON", root / ".venv" / "bin" / "python"),
            Path(__file__).with_name("native_flux2.py"),
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(PACK.parents[1]), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["plain"] < 1e-3 * found["size"]
    assert found["lora_moved"] > 0.01 * found["size"], "else the LoRA would prove nothing"
    assert found["lora"] < 1e-3 * found["size"]
