"""A LoRA of foreign names is read where diffusers reads it, else refused by name; a prompt that is cut is said to be."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from hdrgen.cli import run
from hdrgen.flux.checkpoint import read_reference
from hdrgen.flux.family import _read_part
from hdrgen.images.exr import read_exr
from hdrgen.routes.load_generator import load_generator
from hdrgen.routes.requests import GenerationRequest, Sampling
from hdrgen.runtime.errors import HdrgenError

SMALL = Sampling(32, 32, steps=1, guidance=1.0)
LORA = "train_flux_lora/pytorch_lora_weights.safetensors"


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr("hdrgen.cli.generate.threads", lambda: 1)


@pytest.fixture
def folder(models, tmp_path):
    """Return a folder of models whose LoRA may be written over."""
    for part in ("base_model", "train_flux_vae"):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / part).symlink_to(models / part)
    shutil.copytree(models / "train_flux_full", tmp_path / "models/train_flux_full")
    shutil.copytree(models / "train_flux_lora", tmp_path / "models/train_flux_lora")
    return tmp_path / "models"


def _renamed(prefix):
    return lambda weights: {prefix + name.removeprefix("transformer."): w for name, w in weights.items()}


def _kohya(weights):
    """Name weights as sd-scripts would, if it knew diffusers' layers."""
    return {
        f"lora_unet_{name.removeprefix('transformer.').rpartition('.lora_')[0].replace('.', '_')}"
        f".lora_{'down' if '.lora_A' in name else 'up'}.weight": w
        for name, w in weights.items()
    }


def _one_foreign(weights):
    name, weight = next(iter(weights.items()))
    return weights | {name.replace("transformer.", "text_encoder."): weight.clone()}


def _one_layer_that_is_not_there(weights):
    return weights | {name.replace("blocks.0", "blocks.7"): w.clone() for name, w in weights.items()}


def _half_a_layer(weights):
    return {name: w for place, (name, w) in enumerate(sorted(weights.items())) if place}


def _dora(weights):
    name = next(iter(weights)).replace("lora_A.weight", "dora_scale").replace("lora_B.weight", "dora_scale")
    return weights | {name: torch.ones(4)}


@pytest.mark.parametrize(
    ("rename", "named"),
    [
        (_renamed(""), "transformer_blocks.0"),
        (_renamed("model."), "model.transformer_blocks.0"),
        (_renamed("unet."), "unet.transformer_blocks.0"),
        (_renamed("diffusion_model.blocks."), "diffusion_model.blocks."),
        (_kohya, "lora_unet_"),
        (_one_foreign, "text_encoder."),
        (_one_layer_that_is_not_there, "blocks.7"),
        (_half_a_layer, "lora_"),
        (_dora, "dora_scale"),
    ],
    ids=[
        "bare",
        "model",
        "unet",
        "unknown blocks",
        "kohya",
        "text encoder",
        "no such layer",
        "half a layer",
        "DoRA",
    ],
)
def test_weights_without_a_place_are_refused_and_named(folder, capsys, rename, named):
    save_file(rename(load_file(folder / LORA)), folder / LORA)
    command = [
        "generate",
        "sea",
        "-o",
        "a.exr",
        "--models",
        str(folder),
        "--route",
        "latent",
        "--device",
        "cpu",
    ]
    assert run([*command, "--steps", "1"]) == 2
    said = capsys.readouterr().err
    assert f"{folder / LORA}: does not fit the checkpoint" in said
    assert named in said
    assert len(said.splitlines()) == 1


def _picture(folder):
    generator = load_generator(folder, "latent", device="cpu")
    return generator.generate([GenerationRequest("sea", 1)], SMALL, threads=1)[0].linear_awg4


@pytest.mark.parametrize("prefix", ["base_model.model.", "diffusion_model."], ids=["PEFT", "ComfyUI"])
def test_prefixes_that_diffusers_converts_make_the_same_picture(folder, prefix):
    expected = _picture(folder)
    weights = load_file(folder / LORA)
    save_file(_renamed(prefix)(weights), folder / LORA)
    found = _picture(folder)
    # Without the file's header its alpha is its rank, which are 8 and 2 for PEFT's own default.
    changed = {name: w * (4.0 if "lora_B" in name else 1.0) for name, w in weights.items()}
    save_file(_renamed(prefix)(changed), folder / LORA)
    np.testing.assert_allclose(_picture(folder), expected, rtol=1e-3, atol=1e-4)
    assert not np.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_kohyas_names_of_flux_make_the_picture_of_diffusers(folder):
    generator = load_generator(folder, "latent", device="cpu")
    width = generator.flux.pipeline.transformer.single_transformer_blocks[0].attn.to_qkv_mlp_proj.weight.shape
    random = torch.Generator().manual_seed(0)
    down, up = torch.randn(2, width[1], generator=random), torch.randn(width[0], 2, generator=random)
    save_file(
        {
            "lora_unet_single_blocks_0_linear1.lora_down.weight": down,
            "lora_unet_single_blocks_0_linear1.lora_up.weight": up,
            "lora_unet_single_blocks_0_linear1.alpha": torch.tensor(1.0),
        },
        folder / LORA,
    )
    found = _picture(folder)
    checkpoint = read_reference(folder / "base_model/checkpoint.json").path
    pipeline = Flux2KleinPipeline.from_pretrained(checkpoint, local_files_only=True)
    layer = pipeline.transformer.single_transformer_blocks[0].attn.to_qkv_mlp_proj
    with torch.no_grad():
        layer.weight += 0.5 * up @ down
    generator = load_generator(folder, "latent", device="cpu")
    generator.flux.pipeline.unload_lora_weights()
    generator.flux.pipeline.transformer.load_state_dict(pipeline.transformer.state_dict())
    expected = generator.generate([GenerationRequest("sea", 1)], SMALL, threads=1)[0].linear_awg4
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


LONG = "sea at sunset, night street " * 20
COMMAND = ("--steps", "1", "--guidance", "1", "--device", "cpu", "--size", "32x32")


@pytest.mark.parametrize("route", ["brackets", "latent"])
def test_a_prompt_that_is_too_long_is_said_to_be_cut_and_both_are_recorded(models, tmp_path, capsys, route):
    target = tmp_path / "a.exr"
    options = ["-o", str(target), "--models", str(models), "--route", route, *COMMAND, "--json"]
    assert run(["generate", LONG, *options]) == 0
    said = capsys.readouterr()
    (facts,) = json.loads(said.out)["files"]
    header = read_exr(target).attributes
    whole, used = header["hdrgenPrompt"], header["hdrgenPromptUsed"]
    assert whole == LONG.strip()
    assert whole.startswith(used)
    assert 0 < len(used) < len(whole)
    note = f"the prompt is longer than the 32 tokens that the model reads; what follows {used[-40:]!r} was not used"
    assert note in facts["notes"]
    assert (facts["prompt"], facts["prompt_used"]) == (whole, used)
    assert f"note: {note}" in said.err

    # What the model was given, in the tokenizer's own words.
    tokenizer = AutoTokenizer.from_pretrained(models / "base_model/tiny/tokenizer")
    words = "LogC4, EV +0: " if route == "brackets" else ""
    question = tokenizer.apply_chat_template(
        [{"role": "user", "content": words + whole}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,
    )
    read = tokenizer.decode(tokenizer(question)["input_ids"][:32])
    assert read.endswith(used)


class _Slow:
    """A tokenizer of characters that does not say where they stand."""

    is_fast = False

    def __call__(self, text, **_):
        return {"input_ids": [*text]}

    def decode(self, tokens):
        return "".join(tokens)


@pytest.mark.parametrize(("prompt", "read"), [("sea", "sea"), ("sea at sunset", "sea at"), ("", "")])
def test_a_tokenizer_without_places_tells_by_its_words(prompt, read):
    assert _read_part(prompt, f"<{prompt}>", _Slow(), 8) == read


def test_the_part_that_was_used_makes_the_same_picture(models):
    generator = load_generator(models, "latent", device="cpu")
    (made,) = generator.generate([GenerationRequest(LONG, 3)], SMALL, threads=1)
    (again,) = generator.generate([GenerationRequest(made.facts["prompt_used"], 3)], SMALL, threads=1)
    assert np.array_equal(made.linear_awg4, again.linear_awg4)
    assert "prompt_used" not in again.facts
    assert again.notes == ()


def test_a_negative_prompt_that_is_too_long_is_said_too(models):
    generator = load_generator(models, "brackets", device="cpu")
    sampling = Sampling(32, 32, steps=1, guidance=2.0, negative_prompt=LONG)
    (made,) = generator.generate([GenerationRequest("sea", 3)], sampling, threads=1)
    assert LONG.startswith(made.facts["negative_prompt_used"])
    assert "prompt_used" not in made.facts
    (note,) = made.notes
    assert note.startswith("the negative prompt is longer than the 32 tokens")


def test_a_file_that_is_no_safetensors_is_named(folder):
    (folder / LORA).write_bytes(b"x" * 100)
    with pytest.raises(HdrgenError, match=r"pytorch_lora_weights\.safetensors: does not fit"):
        load_generator(folder, "latent", device="cpu")


@pytest.mark.parametrize(
    ("route", "part", "file"),
    [
        ("brackets", "train_flux_full/transformer", "diffusion_pytorch_model"),
        ("latent", "base_model/tiny/transformer", "diffusion_pytorch_model"),
        ("latent", "base_model/tiny/vae", "diffusion_pytorch_model"),
        ("latent", "base_model/tiny/text_encoder", "model"),
        ("latent", "train_flux_vae/vae", "diffusion_pytorch_model"),
    ],
)
def test_weights_of_foreign_names_are_refused_and_not_drawn_at_random(models, tmp_path, route, part, file):
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    reference = folder / "base_model/checkpoint.json"
    reference.write_text(reference.read_text().replace(str(models), str(folder)))
    weights = folder / part / f"{file}.safetensors"
    save_file({f"foreign.{name}": w for name, w in load_file(weights).items()}, weights, {"format": "pt"})
    with pytest.raises(
        HdrgenError, match=rf"{part}: lacks \d+ of the model's weights, .* has foreign\..* instead"
    ):
        load_generator(folder, route, device="cpu")
