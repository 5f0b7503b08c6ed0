import json

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2

from hdrgen.colour.hdr_normalisation import HdrNormalisation
from hdrgen.evaluation.hdr_vae import Logc4Range
from hdrgen.flux.hdr_vae import HdrVae, load_hdr_vae, load_vae
from hdrgen.runtime.errors import HdrgenError

SIZES = {
    "block_out_channels": (8, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "norm_num_groups": 4,
}


@pytest.fixture(scope="module", params=["flux1", "klein"])
def vae(request):
    """Return a VAE of either family with attention in the middle, as the published ones have."""
    torch.manual_seed(1)
    if request.param == "klein":
        made = AutoencoderKLFlux2(latent_channels=32, layers_per_block=2, **SIZES)
        made.bn.running_mean.uniform_(-1, 1)
        made.bn.running_var.uniform_(0.5, 2)
        return made.eval()
    return AutoencoderKL(
        latent_channels=16,
        layers_per_block=2,
        shift_factor=0.1159,
        scaling_factor=0.3611,
        use_quant_conv=False,
        use_post_quant_conv=False,
        **SIZES,
    ).eval()


def light(height=48, width=64):
    exposure = torch.linspace(-6, 9, width).exp2()
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(2)) * exposure


def test_tokens_are_the_vaes_latents_of_the_codes_and_come_back_as_its_picture(vae):
    around = HdrVae(vae, HdrNormalisation())
    assert around.pixels_per_token == 8
    tokens = around.tokens(light())
    assert tokens.shape == (2, 6 * 8, 4 * vae.config.latent_channels)
    with torch.no_grad():
        latents = vae.encode(HdrNormalisation().encode(light())).latent_dist.mode()
        expected = vae.decode(latents).sample
    if isinstance(vae, AutoencoderKL):
        patch = (latents[:, :, :2, :2] - 0.1159) * 0.3611
        assert torch.allclose(tokens[:, 0], patch.flatten(1), atol=1e-6)
    shown = HdrNormalisation().encode(around.linear_awg4(tokens, 48, 64))
    assert torch.allclose(shown, expected, atol=1e-4)


def test_a_large_picture_in_tiles_is_that_in_one_piece_though_tiles_alone_are_not(vae):
    curve = HdrNormalisation()
    whole, tiled = HdrVae(vae, curve), HdrVae(vae, curve, tile=32)
    tokens = whole.tokens(light())
    expected = curve.encode(whole.linear_awg4(tokens, 48, 64))
    assert torch.allclose(curve.encode(tiled.linear_awg4(tokens, 48, 64)), expected, atol=1e-4)
    left = curve.encode(whole.linear_awg4(tokens.unflatten(1, (6, 8))[:, :, :4].flatten(1, 2), 48, 32))
    assert (left - expected[..., :32]).abs().max() > 0.05


def test_decoding_is_in_single_precision_whatever_is_around_it(vae):
    around = HdrVae(vae, HdrNormalisation())
    tokens = around.tokens(light())
    expected = around.linear_awg4(tokens, 48, 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(around.linear_awg4(tokens, 48, 64), expected)
    assert around.linear_awg4(tokens.bfloat16(), 48, 64).dtype == torch.float32


def test_what_is_saved_is_loaded(vae, tmp_path):
    around = HdrVae(vae, HdrNormalisation(300.0))
    around.save(tmp_path)
    around.save(tmp_path)  # over an older one
    again = load_hdr_vae(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"vae", "normalisation.json"}
    assert type(again.vae) is type(vae)
    assert again.normalisation == HdrNormalisation(300.0)
    assert torch.equal(again.tokens(light()), around.tokens(light()))


def test_a_curve_for_comparisons_is_not_saved(vae, tmp_path):
    with pytest.raises(TypeError, match="Logc4Range"):
        HdrVae(vae, Logc4Range()).save(tmp_path)


@pytest.mark.parametrize("text", ["{}", "no json", '{"peak_linear": -1}', '{"peak_linear": "a"}'])
def test_a_damaged_normalisation_is_one_line(tmp_path, text):
    (tmp_path / "normalisation.json").write_text(text)
    with pytest.raises(HdrgenError, match=r"normalisation\.json.*run train_flux_vae"):
        load_hdr_vae(tmp_path)


def test_a_folder_that_holds_another_model_is_one_line(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel"}))
    with pytest.raises(HdrgenError, match="no VAE of FLUX"):
        load_vae(tmp_path)
    with pytest.raises(HdrgenError, match="no VAE of FLUX"):
        load_vae(tmp_path / "absent")
