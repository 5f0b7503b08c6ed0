"""HDR Recover, called as ComfyUI calls it: the light of the command line."""

import json

import numpy as np
import pytest
import torch

from hdrgen.colour.display import srgb_decode
from hdrgen.images.code_image import write_code
from hdrgen.images.exr import read_exr
from hdrgen.inference.backends import load_network
from hdrgen.routes.recover import Recovery, recover_file
from hdrgen.routes.write_exr import ExrWriter
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture
def code8():
    """Return a dim wall, 48 x 64, with a lamp that is clipped."""
    y, x = np.mgrid[0:48, 0:64]
    wall = 20 + 180 * (x / 64) + 12 * np.sin(y / 5)
    wall[10:20, 30:44] = 255
    return np.repeat(wall[..., None], 3, axis=-1).astype(np.uint8)


@pytest.fixture
def recover(nodes):
    def call(pictures, **changed):
        asked = {
            "curve": "auto",
            "exposure": 0.0,
            "anchor": 0.0,
            "strength": 1.0,
            "peak": 0.0,
            "space": "acescg",
        }
        return nodes.HdrRecover.execute(pictures=pictures, **asked | changed)

    return call


def image_of(*code8):
    return torch.from_numpy(np.divide(code8, np.float32(255), dtype=np.float32))


@pytest.mark.parametrize(
    "asked",
    [{}, {"curve": "film", "exposure": 1.5}, {"curve": "srgb", "anchor": 4.0, "strength": 0.5, "peak": 6.0}],
    ids=["auto", "film", "srgb"],
)
def test_light_is_that_of_the_command(recover, code8, tmp_path, comfyui, asked):
    pictures = image_of(code8)
    before = pictures.clone()
    light, observed, made, report = recover(pictures, **asked).args
    write_code(tmp_path / "a.png", code8)
    recovery = Recovery(
        asked.get("curve", "auto"),
        asked.get("exposure", 0.0),
        asked.get("anchor"),
        asked.get("strength", 1.0),
        asked.get("peak"),
    )
    done = recover_file(
        tmp_path / "a.png",
        tmp_path / "a.exr",
        lambda: load_network("highlights"),
        lambda: load_network("bit_depth"),
        recovery=recovery,
        writer=ExrWriter(compression="none"),
    )
    image = read_exr(tmp_path / "a.exr")
    assert np.array_equal(light[0].numpy().astype(np.float16), image.rgb)
    assert observed.shape == (1, 48, 64)
    assert (observed < 1).float().mean() == pytest.approx(done.invented_fraction)
    for name in (
        "hdrgenCurve",
        "hdrgenCurveAsked",
        "hdrgenStrength",
        "hdrgenWeights",
        "hdrgenBitDepthWeights",
    ):
        assert made[name] == image.attributes[name]
    assert made["hdrgenWhiteLinear"] == pytest.approx(image.attributes["hdrgenWhiteLinear"])
    assert report.startswith(f"picture 1: curve {done.curve}, white at {done.white_linear:.3g}, ")
    assert torch.equal(pictures, before), "other nodes share the tensor"
    assert comfyui.bars[-1].done == [1]


def test_what_is_seen_stays_and_what_is_clipped_is_invented(recover, code8):
    light, observed, *_ = recover(image_of(code8), curve="srgb", space="linear_rec709")
    clipped = (code8 == 255).any(-1)
    assert np.array_equal(observed[0].numpy() == 1, ~clipped)
    assert (light[0].numpy()[clipped] >= 1).all()
    edges = srgb_decode((code8[~clipped][..., None] + np.array([-0.51, 0.51])) / 255)
    seen = light[0].numpy()[~clipped]
    assert ((edges[..., 0] <= seen) & (seen <= edges[..., 1])).all(), "each code stays in its interval"
    assert recover(image_of(code8), curve="srgb", strength=0.0)[1].min() == 1


def test_a_batch_is_its_pictures(recover, code8):
    dark = (code8 // 2).astype(np.uint8)
    light, observed, made, report = recover(image_of(code8, dark), metadata={"hdrgenSeed": 7}).args
    for number, picture in enumerate((code8, dark)):
        alone = recover(image_of(picture))
        assert torch.equal(light[number], alone[0][0])
        assert torch.equal(observed[number], alone[1][0])
    assert light.shape == (2, 48, 64, 3)
    assert len(report.splitlines()) == 2
    assert made["hdrgenSeed"] == 7
    assert len(str(made["hdrgenWhiteLinear"]).split()) in (1, 2)
    json.dumps(made)


def test_finer_codes_are_taken_as_they_are(recover, code8):
    fine = ((code8 + np.random.default_rng(0).uniform(0, 0.9, code8.shape)) / 256).astype(np.float32)
    light, observed, made, _ = recover(torch.from_numpy(fine)[None], curve="srgb", space="linear_rec709").args
    seen = observed[0].numpy() == 1
    np.testing.assert_allclose(light[0].numpy()[seen], srgb_decode(fine[seen]), rtol=1e-3, atol=1e-5)
    assert "hdrgenBitDepthWeights" not in made


def test_light_on_the_wrong_wire_is_said(recover, code8):
    assert "beyond" not in recover(image_of(code8))[3]
    bright = image_of(code8)
    bright[0, :24] = 3.0
    assert recover(bright)[3].endswith("; 50 % was beyond 0 to 1, and is clipped")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exposure": 1.0, "anchor": 2.0}, "give one of them"),
        ({"anchor": 2e4}, "up to 10000"),
        ({"strength": 3.0}, "from 0 to 2"),
    ],
)
def test_contradictions_are_said(recover, code8, changed, said):
    with pytest.raises(HdrgenError, match=said):
        recover(image_of(code8), **changed)
    with pytest.raises(HdrgenError, match="split alpha off"):
        recover(torch.zeros(1, 4, 4, 4))
