import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLFlux2
from scipy.ndimage import gaussian_filter

from hdrgen.flux.latents import decode_latents, encode_latents, patchify, set_statistics
from hdrgen.flux.linear_codec import start_as_linear_codec


@pytest.fixture(scope="module")
def picture():
    """Return pictures of soft shapes in colour, ``(48, 3, 64, 64)``, -1 to 1."""
    noise = np.random.default_rng(3).standard_normal((48, 3, 64, 64))
    soft = gaussian_filter(noise, (0, 0, 2.5, 2.5), mode="wrap") + 0.5 * gaussian_filter(
        noise.mean(1, keepdims=True), (0, 0, 1, 1), mode="wrap"
    )
    return torch.from_numpy(np.clip(3 * soft, -1, 1)).float()


def vae(widths=(32, 64, 64, 64)):
    torch.manual_seed(0)
    return AutoencoderKLFlux2(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=1,
        latent_channels=32,
        norm_num_groups=8,
        mid_block_add_attention=False,
    ).eval()


def psnr(net, picture):
    with torch.no_grad():
        set_statistics(net, patchify(net.encode(picture).latent_dist.mode()))
        error = decode_latents(net, encode_latents(net, picture)) - picture
    return float(10 * torch.log10(4 / error.square().mean()))


def test_latents_are_the_principal_components_of_patches(picture):
    net = vae()
    start_as_linear_codec(net, picture[:32], seed=1)
    with torch.no_grad():
        latents = net.encode(picture).latent_dist.mode()
    patches = torch.nn.functional.pixel_unshuffle(picture, 8)
    rows, patches = (t.movedim(1, -1).flatten(0, -2).double().numpy() for t in (latents, patches))
    # What 32 numbers can say of an 8x8 patch, and what these 32 do.
    centred = patches - patches.mean(0)
    energy = np.linalg.svd(centred, compute_uv=False) ** 2
    unsaid = centred - rows @ np.linalg.lstsq(rows, centred, rcond=None)[0]
    assert (unsaid**2).sum() < 1.1 * energy[32:].sum()
    # All of the same size, so that none is made louder than it is by being brought to variance 1.
    assert rows.std(0).max() < 1.2 * rows.std(0).min()
    assert rows.std(0).mean() == pytest.approx(1, abs=0.1)


def test_pictures_come_back_without_a_step_of_training(picture):
    net = vae()
    untrained = psnr(net, picture[32:])
    start_as_linear_codec(net, picture[:32], seed=1)
    assert psnr(net, picture[32:]) > untrained + 8
    again = vae()
    start_as_linear_codec(again, picture[:32], seed=1)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("widths", [(32, 64, 64), (64, 32), (32, 8, 32), (32, 64, 32)])
def test_other_widths_start_as_well_as_they_can(picture, widths):
    net = vae(widths)
    untrained = psnr(net, picture[32:])
    start_as_linear_codec(net, picture[:32], seed=1)
    assert psnr(net, picture[32:]) > untrained + 1


def test_narrow_ones_start_too(picture):
    """Norms that cannot be let through divide by the picture's contrast: what is left is better than nothing learned."""
    net = vae((8, 8, 8))
    start_as_linear_codec(net, picture[:32], seed=1)
    with torch.no_grad():
        latents = net.encode(picture).latent_dist.mode().movedim(1, -1).flatten(0, -2).double().numpy()
    tones = torch.nn.functional.avg_pool2d(picture, 4).movedim(1, -1).flatten(0, -2).double().numpy()
    tones -= tones.mean(0)
    unsaid = tones - latents @ np.linalg.lstsq(latents, tones, rcond=None)[0]
    assert (unsaid**2).sum() < 0.5 * (tones**2).sum()
