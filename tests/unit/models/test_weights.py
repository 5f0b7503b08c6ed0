import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hdrgen.models.bit_depth import BitDepth, BitDepthUNet, load_bit_depth, save_bit_depth
from hdrgen.models.exposure_fusion import (
    ExposureFusion,
    LuminanceStackProcessor,
    load_exposure_fusion,
    save_exposure_fusion,
)
from hdrgen.models.weights import FORMER_NAMES
from hdrgen.runtime.errors import HdrgenError

FORMER = {current: former for former, current in FORMER_NAMES.items()}
MODELS = [
    (BitDepthUNet(BitDepth(widths=(8, 8), blocks=(1, 1))), save_bit_depth, load_bit_depth),
    (
        LuminanceStackProcessor(ExposureFusion(exposure_width=4, widths=(8,) * 5)),
        save_exposure_fusion,
        load_exposure_fusion,
    ),
]


def rename(path, new_name):
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = {new_name(name): value for name, value in load_file(path).items()}
    save_file(tensors, path, metadata=metadata)
    return tensors


def former_name(name):
    return re.sub(rf"\b({'|'.join(FORMER)})\b", lambda current: FORMER[current[0]], name)


@pytest.mark.parametrize(("net", "save", "load"), MODELS)
def test_weights_under_the_former_names_of_layers_are_read(tmp_path, net, save, load):
    path = tmp_path / "w.safetensors"
    save(path, net)
    expected = load(path).state_dict()
    renamed = rename(path, former_name)
    assert any("leave" in name for name in renamed)
    assert not renamed.keys() & {name for name in expected if "head" in name.split(".")}
    again = load(path).state_dict()
    assert again.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(again[name], value, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("net", "save", "load"), MODELS)
def test_weights_with_other_layers_are_one_clear_line(tmp_path, net, save, load):
    path = tmp_path / "w.safetensors"
    save(path, net)
    rename(path, lambda name: name.replace("down", "descend"))
    with pytest.raises(HdrgenError, match=r"w\.safetensors: does not fit the model; of another version"):
        load(path)
