"""What holds of each of the three models that commands use, however they differ."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from hdrgen.exposure.bracket_tables import bracket_tables
from hdrgen.inference.bit_depth import Expander
from hdrgen.inference.exposure_fusion import StackMerger
from hdrgen.inference.tone_fusion import Fuser
from hdrgen.models.bit_depth import BitDepth, BitDepthUNet, load_bit_depth, save_bit_depth
from hdrgen.models.exposure_fusion import (
    ExposureFusion,
    LuminanceStackProcessor,
    load_exposure_fusion,
    save_exposure_fusion,
)
from hdrgen.models.tone_fusion import ToneFuser, ToneFusion, load_tone_fuser, save_tone_fuser
from hdrgen.models.weights import released_weights, save_model
from hdrgen.runtime.errors import HdrgenError

EVS = (-2.0, 0.0, 2.0, 4.0)
CELLS = [bracket_tables("logc4_awg4", 8, ev, evs=EVS) for ev in EVS]


@dataclass(frozen=True)
class Model:
    """A model of the smallest size, whose network is loud enough to be heard.

    Parameters
    ----------
    name
        As weights' files have it.
    network
        Makes the network, without what it says.
    loudness
        Of the last layer, which `head` finds.
    wrapped
        What takes whole pictures.
    load, save, read
        The wrapped model from a file, the network to it and from it.
    pictures
        How many it takes.
    run
        Calls it: its answers.
    """

    name: str
    network: Callable[[], Any]
    head: Callable[[Any], torch.nn.Conv2d]
    loudness: float
    wrapped: type
    load: Callable[..., Any]
    save: Callable[..., None]
    read: Callable[..., Any]
    pictures: int
    run: Callable[[Any, list[np.ndarray]], list[np.ndarray]]

    def net(self) -> Any:
        torch.manual_seed(0)
        net = self.network()
        torch.nn.init.normal_(self.head(net).weight, std=self.loudness)
        return net

    def codes(self, height: int, width: int) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return list(rng.integers(0, 256, (self.pictures, height, width, 3), dtype=np.uint8))


def merged(model, codes):
    found = model.merge(codes, CELLS, EVS, reference=1, threads=1)
    return [found.linear, found.confidence]


def expander(widths, blocks):
    return Model(
        name="bit_depth",
        network=lambda: BitDepthUNet(BitDepth(widths=widths, blocks=blocks)),
        head=lambda net: net.unet.head,
        loudness=0.3,
        wrapped=Expander,
        load=Expander.load,
        save=save_bit_depth,
        read=load_bit_depth,
        pictures=1,
        run=lambda model, codes: [model.expand(*codes, strength=s, threads=1) for s in (0, 1)],
    )


MODELS = {
    "tone_fusion": Model(
        name="tone_fusion",
        network=lambda: ToneFuser(ToneFusion(widths=(8, 8, 8), blocks=(1, 1, 1))),
        head=lambda net: net.unet.head,
        loudness=0.1,
        wrapped=Fuser,
        load=Fuser.load,
        save=save_tone_fuser,
        read=load_tone_fuser,
        pictures=2,
        run=lambda model, codes: [model.fuse(*codes)],
    ),
    "bit_depth": expander((8, 8, 8, 8, 8), (1, 1, 1, 1, 1)),
    "shallow bit_depth": expander((8, 8, 8), (1, 1, 2)),
    "exposure_fusion": Model(
        name="exposure_fusion",
        network=lambda: LuminanceStackProcessor(
            ExposureFusion(exposure_width=4, widths=(8, 8, 8, 8, 8), heads=2, attention_window=5)
        ),
        head=lambda net: net.head,
        loudness=0.5,
        wrapped=StackMerger,
        load=StackMerger.load,
        save=save_exposure_fusion,
        read=load_exposure_fusion,
        pictures=4,
        run=merged,
    ),
}
THREE = [name for name, model in MODELS.items() if name == model.name]


@pytest.fixture(params=THREE)
def model(request):
    return MODELS[request.param]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [(1, 1), (7, 33), (64, 64), (65, 129), (130, 97), (48, 301)])
def test_any_size(name, size):
    model = MODELS[name]
    for answer in model.run(model.wrapped(model.net(), "0" * 12, torch.float32), model.codes(*size)):
        assert answer.shape[:2] == size
        assert answer.shape[2:] in {(3,), ()}
        assert answer.dtype == np.float32
        assert np.isfinite(answer).all()
        assert (answer >= 0).all()
        assert (answer <= 65504).all()


@pytest.mark.filterwarnings("error")
def test_pictures_that_must_not_be_written_are_taken_and_left_as_they_are(model):
    wrapped, codes = model.wrapped(model.net(), "0" * 12, torch.float32), model.codes(48, 64)
    before = [code.copy() for code in codes]
    expected = model.run(wrapped, [code.copy() for code in codes])
    for code in codes:
        code.flags.writeable = False
    for one, other in zip(model.run(wrapped, codes), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(codes, before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_come_back_as_half_floats_with_their_settings_and_their_digest(model, tmp_path):
    net = model.net()
    model.save(tmp_path / "w.safetensors", net)
    again = model.read(tmp_path / "w.safetensors")
    assert again.settings == net.settings
    assert not again.training
    assert len(model.load(tmp_path / "w.safetensors").digest) == 12
    for parameter in net.parameters():
        parameter.data = parameter.data.half().float()
    kept, rounded = (
        model.run(model.wrapped(one.eval(), "", torch.float32), model.codes(48, 64)) for one in (again, net)
    )
    for one, other in zip(kept, rounded, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("content", [None, b"", b"not weights at all", b"\x80\x04\x95"])
def test_what_is_no_safetensors_file_is_refused(model, tmp_path, content):
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HdrgenError, match=r"w\.safetensors: no readable safetensors"):
        model.load(path)


def test_weights_of_another_model_are_refused(model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_model(path, torch.nn.Linear(1, 1), model="another", settings={})
    for load in (model.load, model.read):
        with pytest.raises(HdrgenError, match=f"holds weights of 'another', not of '{model.name}'"):
            load(path)


def test_the_released_weights_load_and_are_known_by_their_digest(model):
    released = model.load()
    assert len(released.digest) == 12
    assert released.digest == model.load(released_weights(model.name)).digest
