"""What ``auto`` stands for."""

import json
from unittest.mock import Mock

import pytest

from hdrgen.dataset.pairs.bracket_pairs import MakeBracketPairs
from hdrgen.evaluation import bit_depth, exposure_fusion, tone_fusion, trained_routes
from hdrgen.evaluation.production_pictures import Models
from hdrgen.evaluation.text_to_exr import EvaluateFlux
from hdrgen.inference import backends
from hdrgen.inference.backends import Fastest, chosen, remember_fastest
from hdrgen.models.weights import released_weights
from hdrgen.routes import evaluation_prompts


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "hdrgen" / backends.FASTEST


def test_auto_is_torch_until_something_was_measured_to_be_faster(monkeypatch):
    assert chosen("tone_fusion", "auto") == "torch"
    remember_fastest({"tone_fusion": Fastest("onnx", 100), "bit_depth": Fastest("torch", 100)})
    remember_fastest({"exposure_fusion": Fastest("onnx", 100)})
    assert [chosen(name, "auto") for name in ("tone_fusion", "bit_depth", "exposure_fusion")] == [
        "onnx",
        "torch",
        "onnx",
    ]
    assert chosen("tone_fusion", "torch") == "torch"
    monkeypatch.setattr("platform.node", lambda: "another")
    assert chosen("tone_fusion", "auto") == "torch"


def test_smaller_pictures_do_not_decide_again(file):
    remember_fastest({"tone_fusion": Fastest("onnx", 100)})
    remember_fastest({"tone_fusion": Fastest("torch", 99)})
    assert chosen("tone_fusion", "auto") == "onnx"
    remember_fastest({"tone_fusion": Fastest("torch", 100)})
    assert chosen("tone_fusion", "auto") == "torch"
    (machine,) = json.loads(file.read_text()).values()
    assert machine == {"tone_fusion": {"backend": "torch", "pixels": 100}}


@pytest.mark.parametrize(
    "kept", ["", "[1]", "{}", '{"MACHINE": "onnx"}', '{"MACHINE": {"tone_fusion": "onnx"}}',
             '{"MACHINE": {"tone_fusion": {"backend": "a newer one", "pixels": "many"}}}'],
)  # fmt: skip
def test_a_file_that_says_something_else_is_torch_and_written_anew(file, kept):
    remember_fastest({"tone_fusion": Fastest("onnx", 1)})
    (machine,) = json.loads(file.read_text())
    file.write_text(kept.replace("MACHINE", machine))
    assert chosen("tone_fusion", "auto") == "torch"
    remember_fastest({"tone_fusion": Fastest("onnx", 1)})
    assert chosen("tone_fusion", "auto") == "onnx"


@pytest.fixture
def asked(monkeypatch):
    """Return a list of the models that are loaded, each with the backend that is asked for."""
    models = []
    monkeypatch.setattr(backends, "chosen", lambda model, backend: models.append((model, backend)) or "torch")
    return models


def test_networks_are_judged_in_torch_whatever_was_remembered(asked, monkeypatch):
    paths = {model: released_weights(model) for model in ("bit_depth", "exposure_fusion", "tone_fusion")}
    monkeypatch.setattr(tone_fusion, "load_mlp_fuser", lambda *_: Mock())
    bit_depth.expanders({"net": paths["bit_depth"]}, bit_depth.EvaluateBitDepth())
    settings = exposure_fusion.EvaluateExposureFusion()
    exposure_fusion.mergers({"net": paths["exposure_fusion"]}, MakeBracketPairs(seed=0), settings)
    tone_fusion.estimators(paths["tone_fusion"], {"net": paths["tone_fusion"]}, 10000.0, 3.0)
    validated = Models()
    networks = (validated.expander, validated.merger, validated.fuser, validated.recoverer)
    assert len({network.digest for network in networks}) == 4
    assert asked == []
    backends.load_network("bit_depth")  # which people use
    assert asked == [("bit_depth", "auto")]


def test_routes_are_judged_in_torch_whatever_was_remembered(tmp_path, monkeypatch):
    backends_asked = []

    def load(*_arguments, backend, **_options):
        backends_asked.append(backend)
        raise LookupError

    for module in (trained_routes, evaluation_prompts):
        monkeypatch.setattr(module, "load_generator", load)
    with pytest.raises(LookupError):
        trained_routes.TrainedRoutes(tmp_path, EvaluateFlux())("dual", ["sea"], [1])
    with pytest.raises(LookupError):
        evaluation_prompts.generate_evaluation(
            tmp_path, evaluation_prompts.GenerateSettings(prompts=("sea",)), tmp_path
        )
    assert backends_asked == ["torch", "torch"]
