"""What ``auto`` stands for."""

import json

import pytest

from hdrgen.inference import backends
from hdrgen.inference.backends import Fastest, chosen, remember_fastest


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
    file.parent.mkdir()
    file.write_text(kept.replace("MACHINE", backends._machine()))
    assert chosen("tone_fusion", "auto") == "torch"
    remember_fastest({"tone_fusion": Fastest("onnx", 1)})
    assert chosen("tone_fusion", "auto") == "onnx"
