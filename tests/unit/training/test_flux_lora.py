import os
import subprocess
import sys

import pytest
import torch
from diffusers import Flux2KleinPipeline
from safetensors import safe_open
from safetensors.torch import load_file

from hdrgen.colour.hdr_normalisation import HdrNormalisation
from hdrgen.flux.family import load_flux
from hdrgen.flux.hdr_vae import HdrVae
from hdrgen.runtime.errors import HdrgenError
from hdrgen.training.flow_data import load_parts
from hdrgen.training.flux_lora import TARGETS, WEIGHTS_NAME, TrainFluxLora, add_lora, train_flux_lora

SETTINGS = TrainFluxLora.model_validate(
    {
        "crops": {"seed": 1, "size": 32, "crops_per_frame": 2},
        "rank": 2,
        "alpha": 4,
        "flow": {
            "seed": 5,
            "steps": 6,
            "batch_crops": 2,
            "steps_per_validation": 2,
            "validation_crops": 2,
            "ema_decay": 0.9,
            "learning_rate": 1e-2,
        },
        "samples": {"prompts": ["night street", "sea"], "seed": 1, "steps": 2},
    }
)
SAMPLED = {
    "height": 32,
    "width": 32,
    "num_inference_steps": 3,
    "max_sequence_length": 24,
    "output_type": "latent",
}
FRESH = """
import sys, torch
from diffusers import Flux2KleinPipeline
from safetensors.torch import save_file
checkpoint, lora, out = sys.argv[1:]
pipeline = Flux2KleinPipeline.from_pretrained(checkpoint, local_files_only=True)
pipeline.load_lora_weights(lora)
latents = pipeline(prompt="night street", generator=torch.Generator().manual_seed(1), **SAMPLED).images
save_file({"latents": latents.contiguous()}, out)
""".replace("SAMPLED", repr(SAMPLED))


@pytest.fixture(scope="module")
def trained_base(checkpoint, tmp_path_factory):
    """Return a base model whose gates are open: before any training, nothing that is added could be seen."""
    torch.manual_seed(0)
    flux = load_flux(checkpoint)
    for weight in flux.pipeline.transformer.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.05)
    folder = tmp_path_factory.mktemp("trained") / "tiny"
    flux.pipeline.save_pretrained(folder)
    return type(checkpoint)(**{**vars(checkpoint), "path": folder, "source": str(folder)})


@pytest.fixture(scope="module")
def hdr_vae(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train_flux_vae")
    HdrVae(load_flux(checkpoint).pipeline.vae, HdrNormalisation(1000.0)).save(folder)
    return folder


@pytest.fixture(scope="module")
def made(trained_base, hdr_vae, frames, tmp_path_factory):
    out = tmp_path_factory.mktemp("lora")
    return out, train_flux_lora(trained_base, hdr_vae, *frames, SETTINGS, out, out / "loss.tsv")


def test_it_leaves_weights_a_card_and_samples(made):
    out, figures = made
    assert sorted(p.name for p in out.iterdir()) == ["README.md", "loss.tsv", WEIGHTS_NAME, "samples"]
    assert len(list((out / "samples").iterdir())) == 3
    tensors = load_file(out / WEIGHTS_NAME)
    assert figures["parameters"] == sum(value.numel() for value in tensors.values())
    assert all(name.startswith("transformer.") for name in tensors)
    assert all(2 in value.shape for value in tensors.values())  # the rank
    assert all(value.any() for value in tensors.values())
    with safe_open(out / WEIGHTS_NAME, framework="pt") as file:
        assert "lora_adapter_metadata" in file.metadata()
    card = (out / "README.md").read_text()
    assert card.startswith("---\nbase_model: ")
    assert "Rank 2, alpha 4" in card


def test_it_loads_in_a_plain_pipeline_in_a_fresh_process_and_gives_the_same_latents(
    made, trained_base, tmp_path
):
    out, latents = made[0], tmp_path / "latents.safetensors"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", FRESH, trained_base.path, out, latents],
        env=environment,
        check=True,
        capture_output=True,
    )
    asked = {"prompt": "night street", **SAMPLED}
    pipeline = Flux2KleinPipeline.from_pretrained(trained_base.path, local_files_only=True)
    base = pipeline(**asked, generator=torch.Generator().manual_seed(1)).images
    add_lora(pipeline.transformer, "klein", SETTINGS)
    learned = {
        name.removeprefix("transformer."): value for name, value in load_file(out / WEIGHTS_NAME).items()
    }
    for name, weight in pipeline.transformer.named_parameters():
        if "lora" in name:
            weight.data.copy_(learned.pop(name.replace(".default", "")))
    assert not learned
    expected = pipeline(**asked, generator=torch.Generator().manual_seed(1)).images
    torch.testing.assert_close(load_file(latents)["latents"], expected, rtol=0, atol=1e-5)
    assert (expected - base).abs().max() > 1e-3


@pytest.mark.parametrize("stop_at", [3, 4])
def test_an_interrupted_training_ends_with_the_same_weights(
    made, trained_base, hdr_vae, frames, tmp_path, interrupt_after, stop_at
):
    asked = trained_base, hdr_vae, *frames, SETTINGS, tmp_path, tmp_path / "loss.tsv"
    with pytest.raises(KeyboardInterrupt):
        train_flux_lora(*asked, interrupt_after(stop_at))
    kept = load_file(tmp_path / "pytorch_lora_weights.checkpoint.safetensors")
    assert all("lora" in name for name in kept if name.startswith("net."))  # the base is where it came from
    train_flux_lora(*asked)
    expected, continued = (load_file(out / WEIGHTS_NAME) for out in (made[0], tmp_path))
    assert all(torch.equal(value, continued[name]) for name, value in expected.items())


def test_additions_stand_where_the_family_has_its_attention(checkpoint, flux1_checkpoint):
    for known, single in ((checkpoint, "to_qkv_mlp_proj"), (flux1_checkpoint, "proj_mlp")):
        flux = load_parts(known, "transformer", device="cpu")
        transformer = flux.pipeline.transformer
        add_lora(transformer, known.family, SETTINGS)
        learning = [name for name, weight in transformer.named_parameters() if weight.requires_grad]
        assert all("lora" in name for name in learning)
        assert any(
            f"single_transformer_blocks.0.{part}" in name
            for name in learning
            for part in (f"attn.{single}", single)
        )
        assert any(name.startswith("transformer_blocks.0.attn.to_out.0") for name in learning)
    assert set(TARGETS) == {"klein", "flux1"}


def test_without_an_hdr_vae_there_is_one_line(trained_base, frames, tmp_path):
    with pytest.raises(HdrgenError, match="run train_flux_vae"):
        train_flux_lora(trained_base, tmp_path, *frames, SETTINGS, tmp_path, tmp_path / "loss.tsv")
