import numpy as np
import pytest
import torch

from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.colour.primaries import AWG4, REC709, convert_primaries
from hdrgen.dataset.pairs.bit_depth_pairs import clean_code8, logc4_code16
from hdrgen.images.exr import read_exr
from hdrgen.inference import bit_depth
from hdrgen.models.bit_depth import BitDepth, BitDepthUNet, load_bit_depth, save_bit_depth
from hdrgen.models.weights import save_weights
from hdrgen.routes.write_exr import ACESCG
from hdrgen.runtime.errors import HdrgenError

SMALL = BitDepth(widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1))
SHALLOW = BitDepth(widths=(8, 8, 8), blocks=(1, 1, 2))


def loud_expander(settings=SMALL, dtype=torch.float32, loudness=5.0):
    """Make an expander whose network says nonsense, as loudly as is wanted."""
    torch.manual_seed(0)
    net = BitDepthUNet(settings)
    torch.nn.init.normal_(net.unet.leave.weight, std=loudness)
    return bit_depth.Expander(net, "0" * 12, dtype)


@pytest.fixture
def noise8():
    return np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)


def delivered_code8(code, path):
    """Return the 8-bit codes of LogC4 code values that have been an ACEScg half-float EXR."""
    ACESCG.write(path, logc4_decode(code), AWG4, {})
    picture = read_exr(path)
    linear = convert_primaries(picture.rgb.astype(np.float32), picture.chromaticities, AWG4)
    return np.rint(np.clip(logc4_encode(linear), 0, 1) * 255)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_at_strength_zero_every_code_comes_back_whatever_the_network_says(noise8, dtype):
    assert len(np.unique(noise8)) == 256
    code = loud_expander(dtype=dtype).expand(noise8, threads=1)
    assert code.dtype == np.float32
    np.testing.assert_array_equal(np.rint(code * 255), noise8)
    assert (code >= 0).all()
    assert (code <= 1).all()


@pytest.mark.parametrize("most_apart", [0, 6, 24])
def test_codes_come_back_out_of_a_delivered_exr(tmp_path, most_apart):
    """From black to the ceiling, with components up to 1.3 stops apart."""
    rng = np.random.default_rng(1)
    neutral = np.arange(256).reshape(1, -1, 1).repeat(64, 0)
    code8 = np.clip(neutral + rng.integers(0, most_apart + 1, (64, 256, 3)), 0, 255).astype(np.uint8)
    code = loud_expander().expand(code8, threads=1)
    np.testing.assert_array_equal(delivered_code8(code, tmp_path / "x.exr"), code8)


@pytest.mark.parametrize("name", ["CandleGlass", "Cannon", "MtTamWest"])
def test_codes_of_a_real_frame_come_back_out_of_a_delivered_exr(shared_hdr, tmp_path, name):
    linear = read_exr(shared_hdr / f"scenes/{name}.exr").rgb[:512, :768].astype(np.float32)
    code8 = clean_code8(logc4_code16(convert_primaries(linear, REC709, AWG4)))
    assert np.ptp(code8) > 60
    code = loud_expander().expand(code8, threads=1)
    np.testing.assert_array_equal(np.rint(code * 255), code8)
    np.testing.assert_array_equal(delivered_code8(code, tmp_path / "x.exr"), code8)


def test_what_half_floats_and_primaries_lose_of_saturated_colours_is_one_code(shared_hdr, tmp_path):
    """A component four stops below another is a small difference of large numbers in the primaries of the delivery."""
    picture = read_exr(shared_hdr / "scenes/A002_C029_06025K_RED_AP0.exr")
    linear = convert_primaries(picture.rgb.astype(np.float32), picture.chromaticities, AWG4)
    code8 = clean_code8(logc4_code16(linear[284:796, 576:1344]))
    code = loud_expander().expand(code8, threads=1)
    np.testing.assert_array_equal(np.rint(code * 255), code8)
    off = np.abs(delivered_code8(code, tmp_path / "x.exr") - code8)
    assert off.max() <= 1
    apart = np.ptp(code8, axis=-1, keepdims=True)
    assert off[np.broadcast_to(apart, off.shape) < 24].max() == 0


def test_strength_goes_from_the_clean_to_the_generated_answer(noise8):
    expander = loud_expander(loudness=0.3)
    clean, half, generated = (expander.expand(noise8, strength=s, threads=1) for s in (0, 0.5, 1))
    np.testing.assert_allclose(half, (clean + generated) / 2, atol=1e-6)
    assert (np.rint(generated * 255) != noise8).mean() > 0.1
    with torch.inference_mode():
        smooth = torch.from_numpy(bit_depth.smooth_in_cells(noise8))[None, :64, :128]
        expected = expander._net(torch.from_numpy(noise8)[None, :64, :128], smooth)
    whole = bit_depth.Expander(expander._net, "", torch.float32)
    top_left = noise8[:64, :128]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bit_depth, "smooth_in_cells", lambda *_, **__: smooth[0].numpy())
        for strength, answer in zip((0, 1), expected, strict=True):
            found = whole.expand(top_left, strength=strength, threads=1)
            np.testing.assert_allclose(found * 255, answer[0].numpy(), atol=1e-4)


@pytest.mark.parametrize("settings", [SMALL, SHALLOW])
@pytest.mark.parametrize("size", [(1, 1), (7, 33), (64, 64), (65, 129), (48, 301)])
def test_any_size(settings, size):
    code8 = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    for strength in (0, 1):
        code = loud_expander(settings).expand(code8, strength=strength, threads=1)
        assert code.shape == code8.shape
        assert np.isfinite(code).all()


@pytest.mark.parametrize(("settings", "tall"), [(SMALL, False), (SHALLOW, True)])
def test_tiles_leave_no_seam(monkeypatch, settings, tall):
    y, x = np.mgrid[:150, :1500]
    ramp = 40 + x[..., None] / [19.0, 17.0, 15.0] + y[..., None] / 11
    ramp[40:90, 300:700] = 255 - ramp[40:90, 300:700]
    ramp = ramp.swapaxes(0, 1) if tall else ramp
    code8 = np.rint(ramp + np.random.default_rng(0).normal(0, 0.3, ramp.shape)).astype(np.uint8)
    expander = loud_expander(settings, loudness=0.3)
    whole = expander.expand(code8, strength=0.5, threads=1)
    assert np.abs(whole * 255 - code8).std() > 0.3, "the network must be heard"
    monkeypatch.setattr(bit_depth, "TILE", 576)
    np.testing.assert_allclose(expander.expand(code8, strength=0.5, threads=1), whole, rtol=0, atol=1e-6)


def test_threads_change_nothing(noise8):
    expander = loud_expander(loudness=0.3)
    once = expander.expand(noise8, strength=1, threads=1)
    np.testing.assert_allclose(expander.expand(noise8, strength=1, threads=2), once, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
    ],
)
def test_what_is_no_8_bit_rgb_picture_is_refused(picture):
    with pytest.raises(TypeError, match=r"uint8 of shape \(H, W, 3\)"):
        loud_expander().expand(picture, threads=1)


@pytest.mark.parametrize("strength", [-0.1, 1.01, float("nan")])
def test_a_strength_outside_its_range_is_refused(noise8, strength):
    with pytest.raises(ValueError, match="strength must be from 0 to 1"):
        loud_expander().expand(noise8, strength=strength, threads=1)


@pytest.mark.filterwarnings("error")
def test_a_picture_that_must_not_be_written_is_taken_and_left_as_it_is():
    code8 = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    before = code8.copy()
    code8.flags.writeable = False
    loud_expander().expand(code8, strength=1, threads=1)
    np.testing.assert_array_equal(code8, before)


def test_weights_come_back_as_half_floats_with_their_digest(tmp_path, noise8):
    expander = loud_expander(loudness=0.3)
    save_bit_depth(tmp_path / "w.safetensors", expander._net)
    assert len(bit_depth.Expander.load(tmp_path / "w.safetensors").digest) == 12
    again = bit_depth.Expander(load_bit_depth(tmp_path / "w.safetensors"), "", torch.float32)
    expander._net.half().float()
    expected = expander.expand(noise8, strength=1, threads=1)
    np.testing.assert_array_equal(again.expand(noise8, strength=1, threads=1), expected)


@pytest.mark.parametrize("content", [None, b"", b"not weights at all"])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HdrgenError, match=r"w\.safetensors: no readable safetensors"):
        bit_depth.Expander.load(path)


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, torch.nn.Linear(1, 1), model="exposure_fusion", settings={})
    with pytest.raises(HdrgenError, match="holds weights of 'exposure_fusion', not of 'bit_depth'"):
        bit_depth.Expander.load(path)
