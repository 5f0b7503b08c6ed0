import copy

import torch
from diffusers import Flux2KleinPipeline

from hdrgen.flux.latents import (
    decode_latents,
    encode_latents,
    normalise,
    pack,
    patchify,
    picture_ids,
    prompt_ids,
    set_statistics,
)


def test_tokens_and_places_are_those_of_the_pipeline():
    latents = torch.rand(2, 32, 4, 6)
    patches = Flux2KleinPipeline._patchify_latents(latents)
    assert torch.equal(patchify(latents), patches)
    assert torch.equal(pack(patches), Flux2KleinPipeline._pack_latents(patches))
    assert torch.equal(picture_ids(2, 3), Flux2KleinPipeline._prepare_latent_ids(patches)[0])
    assert torch.equal(prompt_ids(7), Flux2KleinPipeline._prepare_text_ids(torch.rand(1, 7, 5))[0])


def test_the_statistics_make_latents_of_mean_0_and_variance_1(klein):
    patches = 3 + 2 * torch.randn(50, 128, 2, 2, generator=torch.Generator().manual_seed(1))
    vae = copy.deepcopy(klein.vae)
    set_statistics(vae, patches)
    normal = normalise(vae, patches)
    assert abs(normal.mean((0, 2, 3))).max() < 1e-5
    assert torch.allclose(normal.std((0, 2, 3), unbiased=False), torch.ones(128), atol=1e-3)


def test_decoding_is_what_the_pipeline_shows_and_is_not_clamped(klein):
    with torch.no_grad():
        picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(2)) * 2 - 1
        latents = encode_latents(klein.vae, picture)
        assert latents.shape == (1, 128, 2, 3)
        moments = klein.vae.encode(picture).latent_dist.mode()
        assert torch.allclose(decode_latents(klein.vae, latents), klein.vae.decode(moments).sample, atol=1e-4)
        assert abs(decode_latents(klein.vae, 1e3 * latents)).max() > 1
