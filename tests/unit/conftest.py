"""A folder as the pipeline leaves it, with models that were never trained: random weights, real classes."""
# ruff: noqa: PLC0415 - only tests that ask for models pay for torch and diffusers

import json

import pytest


@pytest.fixture(scope="session")
def models_network():
    """Return the sizes of what is in `models`."""
    from hdrgen.flux.tiny import TinyNetwork

    return TinyNetwork(
        vae_widths=(8, 8, 8),
        text_width=32,
        vocabulary=400,
        double_blocks=1,
        single_blocks=1,
        heads=1,
        head_width=16,
    )


@pytest.fixture(scope="session")
def models(models_network, tmp_path_factory):
    """Return the folder."""
    import torch
    from diffusers import Flux2KleinPipeline
    from diffusers.training_utils import _collate_lora_metadata
    from peft import LoraConfig, get_peft_model_state_dict

    from hdrgen.colour.hdr_normalisation import HdrNormalisation
    from hdrgen.flux.checkpoint import verify_checkpoint, write_reference
    from hdrgen.flux.hdr_vae import HdrVae
    from hdrgen.flux.tiny import tiny_klein

    folder = tmp_path_factory.mktemp("models")
    klein = tiny_klein(models_network, ["night street", "sea at sunset"], 32, seed=3)
    # Untrained, a picture hardly depends on its prompt or noise: the transformer's gates start closed, and what comes
    # out of the VAE is small.
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in klein.transformer.parameters():
            weights.add_(torch.randn(weights.shape, generator=random), alpha=0.1)
    torch.nn.init.normal_(klein.vae.decoder.conv_out.weight, std=0.5, generator=random)
    klein.save_pretrained(folder / "base_model" / "tiny")
    write_reference(
        folder / "base_model" / "checkpoint.json", verify_checkpoint(folder / "base_model" / "tiny")
    )
    klein.transformer.save_pretrained(folder / "train_flux_full" / "transformer")
    about = {"evs": [-2, 0, 2, 4], "dual": True, "size": 32}
    (folder / "train_flux_full" / "about.json").write_text(json.dumps(about))
    torch.nn.init.normal_(klein.vae.decoder.conv_out.weight, std=0.01, generator=random)
    HdrVae(klein.vae, HdrNormalisation()).save(folder / "train_flux_vae")
    klein.transformer.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    Flux2KleinPipeline.save_lora_weights(
        folder / "train_flux_lora",
        transformer_lora_layers=get_peft_model_state_dict(klein.transformer),
        **_collate_lora_metadata({"transformer": klein.transformer}),
    )
    return folder
