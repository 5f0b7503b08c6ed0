import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import Flux2Transformer2DModel, FluxTransformer2DModel
from PIL import Image

from hdrgen.dataset.pairs.scene_crops import scene_crops
from hdrgen.flux.family import load_flux
from hdrgen.flux.renditions import Rendition
from hdrgen.runtime.errors import HdrgenError
from hdrgen.training import flux_full
from hdrgen.training.flow import FlowTask
from hdrgen.training.flux_full import TrainFluxFull, train_flux_full

SETTINGS = TrainFluxFull.model_validate(
    {
        "crops": {"seed": 1, "size": 32, "crops_per_frame": 2},
        "evs": [-2, 2],
        "flow": {
            "seed": 5,
            "steps": 6,
            "batch_crops": 2,
            "steps_per_validation": 2,
            "validation_crops": 2,
            "ema_decay": 0.9,
            "learning_rate": 1e-3,
        },
        "samples": {"prompts": ["night street"], "seed": 1, "steps": 2},
    }
)


def with_flow(**changed):
    return SETTINGS.model_copy(update={"flow": SETTINGS.flow.model_copy(update=changed)})


@pytest.fixture(scope="module")
def made(checkpoint, frames, tmp_path_factory):
    out = tmp_path_factory.mktemp("full")
    return out, train_flux_full(checkpoint, *frames, SETTINGS, out, out / "loss.tsv")


def weights(folder, kind=Flux2Transformer2DModel):
    return kind.from_pretrained(folder, local_files_only=True).state_dict()


def test_it_leaves_a_transformer_that_learned_and_says_what(made, checkpoint):
    out, figures = made
    assert sorted(p.name for p in out.iterdir()) == ["about.json", "loss.tsv", "samples", "transformer"]
    assert json.loads((out / "about.json").read_text()) == {
        "evs": [-2, 2],
        "dual": True,
        "size": 32,
        "steps": 6,
        "checkpoint": checkpoint.source,
        "revision": None,
    }
    before, after = weights(checkpoint.path / "transformer"), weights(out / "transformer")
    assert before.keys() == after.keys()
    assert all(
        not torch.equal(before[name], after[name]) for name in ("proj_out.weight", "norm_out.linear.weight")
    )
    assert figures["samples"] == 2 * 2 * 4  # frames, crops, renditions
    assert figures["parameters"] == sum(value.numel() for value in after.values())
    tuned = load_flux(checkpoint, transformer=Flux2Transformer2DModel.from_pretrained(out / "transformer"))
    assert tuned.sample(["a"], [1], height=32, width=32, steps=1, guidance=1).isfinite().all()


def test_a_sheet_is_drawn_at_every_validation(made):
    sheets = sorted((made[0] / "samples").iterdir())
    assert [p.name for p in sheets] == ["step_000002.png", "step_000004.png", "step_000006.png"]
    assert Image.open(sheets[0]).size == (4 * 32, 32)  # a column for each rendition


@pytest.mark.parametrize("stop_at", [3, 4])
def test_an_interrupted_training_ends_with_the_same_weights(
    made, checkpoint, frames, tmp_path, interrupt_after, stop_at
):
    files = tmp_path, tmp_path / "loss.tsv"
    with pytest.raises(KeyboardInterrupt):
        train_flux_full(checkpoint, *frames, SETTINGS, *files, interrupt_after(stop_at))
    assert not (tmp_path / "transformer").exists()
    train_flux_full(checkpoint, *frames, SETTINGS, *files)
    expected, continued = weights(made[0] / "transformer"), weights(tmp_path / "transformer")
    assert all(torch.equal(value, continued[name]) for name, value in expected.items())
    assert (tmp_path / "loss.tsv").read_text() == (made[0] / "loss.tsv").read_text()


def test_gradient_checkpointing_changes_rounding_alone(made, checkpoint, frames, tmp_path):
    thrifty = SETTINGS.model_copy(update={"gradient_checkpointing": True})
    figures = train_flux_full(checkpoint, *frames, thrifty, tmp_path, tmp_path / "loss.tsv")
    assert figures["train_loss"] == pytest.approx(made[1]["train_loss"], rel=1e-3)


def test_each_rendition_is_learned_with_its_own_words(checkpoint, frames, tmp_path, monkeypatch):
    seen = {}

    class Watching(FlowTask):
        def __init__(self, flux, train, val, prompts, *rest):
            seen.update(
                train=train, names=set(train.names), prompts=set(train.asked), without=set(train.unprompted)
            )
            seen["tokens"] = np.array(train.tokens)
            super().__init__(flux, train, val, prompts, *rest)

    monkeypatch.setattr(flux_full, "FlowTask", Watching)
    train_flux_full(checkpoint, *frames, with_flow(steps=1), tmp_path, tmp_path / "loss.tsv")
    words = ["LogC4, EV -2", "LogC4, EV +2", "reinhard tone map", "log tone map"]
    assert seen["without"] == set(words)
    assert {f"{w}: red room" for w in words} <= seen["prompts"]
    assert {"red_room logc4_ev-2", "blue_sea reinhard"} <= seen["names"]
    # The tokens of a sample are those of its picture.
    flux = load_flux(checkpoint)
    crop = next(iter(scene_crops(frames[0], frames[1].head(1), SETTINGS.crops)))
    shown = Rendition("logc4", 2.0).encode(crop.linear_awg4) * 2 - 1
    with torch.no_grad():
        tokens = flux.tokens(torch.from_numpy(shown).permute(2, 0, 1)[None])[0]
    place = list(seen["train"].names).index("red_room logc4_ev+2")
    np.testing.assert_allclose(seen["tokens"][place], tokens, atol=1e-2)


def test_a_distilled_checkpoint_is_refused(checkpoint, frames, tmp_path):
    with pytest.raises(HdrgenError, match="is distilled and not for training; take its base checkpoint"):
        train_flux_full(
            replace(checkpoint, distilled=True), *frames, SETTINGS, tmp_path, tmp_path / "loss.tsv"
        )


def test_flux1_learns_by_the_same_code(flux1_checkpoint, frames, tmp_path):
    one_step = with_flow(steps=1, steps_per_validation=1)
    figures = train_flux_full(flux1_checkpoint, *frames, one_step, tmp_path, tmp_path / "loss.tsv")
    assert 0.5 < figures["val_loss"] < 10
    before = weights(flux1_checkpoint.path / "transformer", FluxTransformer2DModel)
    after = weights(tmp_path / "transformer", FluxTransformer2DModel)
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert {
        "transformer_blocks",
        "single_transformer_blocks",
        "time_text_embed",
        "context_embedder",
    } <= changed


def test_flux1_tokens_are_those_of_its_pipeline(flux1_checkpoint):
    flux = load_flux(flux1_checkpoint)
    asked = {"height": 32, "width": 48}
    own = flux.pipeline(
        prompt=["night"],
        **asked,
        num_inference_steps=2,
        guidance_scale=3.5,
        max_sequence_length=flux.prompt_tokens,
        generator=torch.Generator().manual_seed(1),
        output_type="pt",
    ).images
    with torch.no_grad():
        made = flux.picture(flux.sample(["night"], [1], **asked, steps=2, guidance=3.5), **asked)
        torch.testing.assert_close((made * 0.5 + 0.5).clamp(0, 1), own, rtol=0, atol=1e-5)
        picture = torch.rand(1, 3, 32, 48) * 2 - 1
        again = flux.picture(flux.tokens(picture), **asked)
        vae = flux.pipeline.vae
        expected = vae.decode(vae.encode(picture).latent_dist.mode()).sample
    torch.testing.assert_close(again, expected, rtol=1e-4, atol=1e-4)
