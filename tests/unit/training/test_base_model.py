import numpy as np
import polars as pl
import pytest
import torch
from diffusers import Flux2KleinPipeline
from safetensors.torch import load_file

from hdrgen.dataset.pairs.scene_crops import SceneCrop
from hdrgen.evaluation.base_model import evaluate_tiny_klein
from hdrgen.flux.checkpoint import read_reference
from hdrgen.flux.latents import encode_latents
from hdrgen.runtime.errors import HdrgenError
from hdrgen.training.base_model import BaseModelSettings, make_base_model
from hdrgen.training.tiny_klein import display_code8, pictures, split_crops

RECIPE = {"seed": 5, "steps": 6, "batch_crops": 2, "steps_per_validation": 2, "validation_crops": 2}
SETTINGS = BaseModelSettings.model_validate(
    {
        "tiny": {
            "seed": 1,
            "crops": {"seed": 1, "size": 32, "crops_per_frame": 2},
            "prompt_tokens": 32,
            "network": {
                "vae_widths": [8, 8, 8],
                "text_width": 32,
                "vocabulary": 400,
                "double_blocks": 1,
                "single_blocks": 1,
                "heads": 1,
            },
            "vae": RECIPE,
            "flow": RECIPE,
        },
        "samples": {"seeds": [1, 2], "steps": 2},
    }
)


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    return tmp_path_factory.mktemp("curves")


@pytest.fixture(scope="module")
def made(frames, curves, tmp_path_factory):
    out = tmp_path_factory.mktemp("base_model")
    return out, make_base_model(SETTINGS, *frames, out, curves)


def all_weights(out):
    return {str(p.relative_to(out)): load_file(p) for p in sorted((out / "tiny").rglob("*.safetensors"))}


def test_a_later_stage_finds_a_checkpoint_like_any_other(made, curves):
    out, (checkpoint, figures) = made
    reference = read_reference(out / "checkpoint.json")
    assert reference.figures() == checkpoint.figures() == {k: figures[k] for k in checkpoint.figures()}
    loaded = Flux2KleinPipeline.from_pretrained(reference.path, local_files_only=True)
    assert loaded.vae.bn.running_var.std() > 0
    # What training needed to go on is gone.
    assert sorted(p.name for p in out.iterdir()) == ["checkpoint.json", "tiny"]
    assert sorted(p.name for p in curves.iterdir()) == ["flow.tsv", "vae.tsv"]
    assert figures["vae"]["val_code_psnr"] > 5


def test_it_is_asked_for_every_kind_of_scene_that_it_was_trained_on(made, frames, tmp_path):
    _, (checkpoint, _) = made
    sheet = tmp_path / "samples.png"
    figures = evaluate_tiny_klein(checkpoint, *frames, SETTINGS.tiny, SETTINGS.samples, sheet)
    assert sheet.is_file()
    assert 0 <= figures["prompt_accuracy"] <= 1
    assert figures["classifier_accuracy"] == 0  # each kind has one frame, which is held out
    assert figures["chance"] == 0.5


def test_the_latents_of_what_was_trained_on_have_mean_0_and_variance_1(made, frames):
    _, (checkpoint, _) = made
    vae = Flux2KleinPipeline.from_pretrained(checkpoint.path, local_files_only=True).vae
    crops = split_crops(*frames, SETTINGS.tiny.crops, "train")
    with torch.no_grad():
        latents = encode_latents(vae, pictures(display_code8(crops)))
    assert abs(latents.mean((0, 2, 3))).max() < 1e-3
    assert latents.var().item() == pytest.approx(1, abs=0.05)


def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    made, curves, frames, tmp_path, interrupt_after
):
    out, again = tmp_path / "out", tmp_path / "curves"
    for stop_at in (4, 9):  # in the VAE's training, then in the transformer's
        with pytest.raises(KeyboardInterrupt):
            make_base_model(SETTINGS, *frames, out, tmp_path / "interrupted", interrupt_after(stop_at))
        assert not (out / "tiny").exists()
    make_base_model(SETTINGS, *frames, out, again)
    for name in ("vae.tsv", "flow.tsv"):  # whole, in a folder that was emptied meanwhile
        assert len((again / name).read_text().splitlines()) == len((curves / name).read_text().splitlines())
    expected = all_weights(made[0])
    continued = all_weights(out)
    assert expected.keys() == continued.keys()
    for name, tensors in expected.items():
        assert all(torch.equal(value, continued[name][key]) for key, value in tensors.items()), name


def test_training_moves_the_vae_and_the_transformer_and_leaves_the_text_encoder(made, frames, tmp_path):
    short = SETTINGS.model_copy(
        update={
            "tiny": SETTINGS.tiny.model_copy(
                update={
                    part: getattr(SETTINGS.tiny, part).model_copy(update={"steps": 1})
                    for part in ("vae", "flow")
                }
            )
        }
    )
    make_base_model(short, *frames, tmp_path / "out", tmp_path)
    longer, shorter = all_weights(made[0]), all_weights(tmp_path / "out")
    same = {
        name: all(torch.equal(value, shorter[name][key]) for key, value in tensors.items())
        for name, tensors in longer.items()
    }
    assert {name for name, is_same in same.items() if is_same} == {"tiny/text_encoder/model.safetensors"}


def test_a_checkpoint_that_is_given_is_only_pointed_at(made, frames, tmp_path):
    given = SETTINGS.model_copy(update={"checkpoint": str(made[0] / "tiny")})
    checkpoint, figures = make_base_model(given, *frames, tmp_path, tmp_path)
    assert figures == checkpoint.figures()
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.json"]
    assert read_reference(tmp_path / "checkpoint.json").path == made[0] / "tiny"


def test_no_frames_to_validate_on_is_one_line(frames, tmp_path):
    folder, index = frames
    with pytest.raises(HdrgenError, match="no frames"):
        make_base_model(SETTINGS, folder, index.filter(pl.col("split") == "train"), tmp_path, tmp_path)


def test_grey_is_shown_as_an_srgb_monitor_shows_it():
    grey, light = np.full((32, 32, 3), 0.18, np.float32), np.full((32, 32, 3), 300, np.float32)
    code8 = display_code8([SceneCrop(linear, "f", "", ("",)) for linear in (grey, light)])
    assert code8.shape == (2, 32, 32, 3)
    assert np.ptp(code8[0].astype(int)) <= 1  # neutral and flat
    assert 85 < code8[0].mean() < 130
    assert code8[1].min() > 240
