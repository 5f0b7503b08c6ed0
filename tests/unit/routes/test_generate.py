"""From words to EXR by all three routes, with models that were never trained: random weights, real classes."""

import json
import shutil

import numpy as np
import pytest
import torch

from hdrgen.colour.tone_maps import quantise8
from hdrgen.flux.tiny import tiny_klein
from hdrgen.images.exr import ATTRIBUTE_NAME_MAX, read_exr
from hdrgen.routes.generator import Generated
from hdrgen.routes.load_generator import load_generator
from hdrgen.routes.requests import GenerationRequest, Sampling, file_name, read_prompts
from hdrgen.routes.trained_models import find_trained
from hdrgen.routes.write_generated import Batches, write_generated
from hdrgen.runtime.choices import ROUTES
from hdrgen.runtime.errors import HdrgenError

SMALL = Sampling(32, 32, steps=2, guidance=2.0, negative_prompt="fog")


@pytest.fixture(scope="module")
def generators(models):
    return {route: load_generator(models, route, device="cpu") for route in ROUTES}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Threads that wait for each other on a busy machine cost minutes."""
    monkeypatch.setattr("hdrgen.cli.generate.threads", lambda: 1)


def make(generator, requests, sampling, **more):
    return generator.generate(requests, sampling, threads=1, **more)


def generate(models, *more):
    return "generate", "night street", "--models", models, "--steps", 2, "--device", "cpu", *more


@pytest.mark.parametrize("route", ROUTES)
def test_light_is_finite_and_prompt_and_seed_alone_decide_it(generators, route):
    generator = generators[route]
    first, second, other = make(
        generator,
        [
            GenerationRequest("night street", 7),
            GenerationRequest("night street", 8),
            GenerationRequest("sea at sunset", 7),
        ],
        SMALL,
    )
    (alone,) = make(generator, [GenerationRequest("night street", 8)], SMALL)
    for made in (first, second):
        assert made.linear_awg4.dtype == np.float32
        assert made.linear_awg4.shape == (32, 32, 3)
        assert np.isfinite(made.linear_awg4).all()
        assert made.linear_awg4.min() >= 0
    # What is made beside it moves a picture by rounding only, which may be one code of an intermediate.
    for rendition, code8 in alone.intermediates.items():
        np.testing.assert_allclose(code8, second.intermediates[rendition], rtol=0, atol=1)
    if not alone.intermediates:
        np.testing.assert_allclose(alone.linear_awg4, second.linear_awg4, rtol=0.01, atol=1e-3)
    assert not np.allclose(first.linear_awg4, second.linear_awg4, rtol=0.05, atol=0.01)
    assert not np.allclose(first.linear_awg4, other.linear_awg4, rtol=1e-3, atol=1e-4)
    assert {r.name for r in first.intermediates} == {
        "brackets": {"logc4_ev-2", "logc4_ev+0", "logc4_ev+2", "logc4_ev+4"},
        "dual": {"reinhard", "log"},
        "latent": set(),
    }[route]


@pytest.mark.parametrize("route", ROUTES)
def test_steps_are_told_and_other_sides_are_refused(generators, route):
    told = []
    make(generators[route], [GenerationRequest("sea")], SMALL, on_step=lambda *step: told.append(step))
    assert told == [(1, 2), (2, 2)]
    assert generators[route].pixels_per_token == 8
    with pytest.raises(HdrgenError, match=r"30x32 does not fit .* multiples of 8, such as 32 for 30"):
        make(generators[route], [GenerationRequest("sea")], Sampling(30, 32))


@pytest.mark.parametrize("shared", [True, False])
def test_brackets_start_from_one_noise_or_from_one_each(models, monkeypatch, shared):
    generator = load_generator(models, "brackets", device="cpu", shared_noise=shared)
    noise = []
    prepare = generator.flux.pipeline.prepare_latents

    def spy(*arguments, **named):
        latents, ids = prepare(*arguments, **named)
        noise.append(latents)
        return latents, ids

    monkeypatch.setattr(generator.flux.pipeline, "prepare_latents", spy)
    make(generator, [GenerationRequest("sea", 5), GenerationRequest("sea", 6)], SMALL)
    (latents,) = noise
    assert len(latents) == 8
    assert len({one.numpy().tobytes() for one in latents}) == (2 if shared else 8)
    assert torch.equal(latents[0], latents[3]) == shared


def test_guidance_leads_away_from_the_same_rendition(generators, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        generators["dual"].flux, "sample", lambda *a, **k: asked.update(k, prompts=a[0]) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        make(generators["dual"], [GenerationRequest("sea")], SMALL)
    assert asked["prompts"] == ("reinhard tone map: sea", "log tone map: sea")
    assert asked["negative_prompts"] == ("reinhard tone map: fog", "log tone map: fog")


def test_brackets_are_merged_as_what_they_say(generators, monkeypatch):
    """Four renditions of a known light come back as that light, the part above one bracket's ceiling too."""
    generator = generators["brackets"]
    light = np.geomspace(0.02, 1200, 64 * 64, dtype=np.float32).reshape(64, 64, 1).repeat(3, -1)
    shown = iter(
        [torch.from_numpy(r.encode(light) * 2 - 1).permute(2, 0, 1)[None] for r in generator.renditions]
    )
    monkeypatch.setattr(generator.flux, "picture", lambda *_: next(shown))
    (made,) = make(generator, [GenerationRequest("ramp")], Sampling(64, 64, steps=1, guidance=1.0))
    stops = np.abs(np.log2((made.linear_awg4 + 0.01) / (light + 0.01)))
    assert np.median(stops) < 0.1
    assert made.linear_awg4.max() > 800


def test_the_latent_route_decodes_what_the_lora_samples(generators):
    generator = generators["latent"]
    tokens = generator.flux.sample(["sea"], [4], height=32, width=32, steps=2, guidance=1.0)
    light = generator._decoder.linear_awg4(tokens, 32, 32)[0].permute(1, 2, 0).numpy()
    (made,) = make(generator, [GenerationRequest("sea", 4)], Sampling(32, 32, steps=2, guidance=1.0))
    np.testing.assert_allclose(made.linear_awg4, np.maximum(light, 0), rtol=1e-4, atol=1e-5)
    generator.flux.pipeline.disable_lora()
    try:
        base = generator.flux.sample(["sea"], [4], height=32, width=32, steps=2, guidance=1.0)
    finally:
        generator.flux.pipeline.enable_lora()
    assert not torch.allclose(base, tokens, atol=1e-3)


def test_a_picture_that_is_not_finite_is_an_error(generators, monkeypatch):
    generator = generators["dual"]
    monkeypatch.setattr(generator.flux, "picture", lambda *_: torch.full((1, 3, 32, 32), torch.nan))
    with pytest.raises(HdrgenError, match="reinhard is not finite"):
        make(generator, [GenerationRequest("sea")], SMALL)


def test_many_wishes_are_made_in_groups_and_in_order(generators, monkeypatch):
    generator, groups, told = generators["dual"], [], []
    monkeypatch.setattr("hdrgen.routes.generator.PIXELS_AT_ONCE", 2 * 2 * 32 * 32)
    made = generator.generate
    monkeypatch.setattr(generator, "generate", lambda w, *a, **k: groups.append(len(w)) or made(w, *a, **k))
    requests = [GenerationRequest("sea", seed) for seed in range(5)]
    batches = Batches(lambda: generator, requests, SMALL, threads=1)
    # The second is left out, as one is whose file cannot be written.
    seeds = [batches.take(i, lambda *step: told.append(step)).request.seed for i in (0, 2, 3, 4)]
    assert seeds == [0, 2, 3, 4]
    assert groups == [2, 2, 1]
    assert told[-1] == (6, 6)


@pytest.mark.parametrize("route", ROUTES)
def test_the_command_writes_a_delivery_that_says_what_made_it(cli, models, tmp_path, route):
    said = cli(
        *generate(
            models, "-o", tmp_path / "a.exr", "--route", route, "--seed", 3, "--negative", "fog", "--clamp"
        )
    )
    assert said.code == 0, said.err
    image = read_exr(tmp_path / "a.exr")
    assert np.isfinite(image.rgb.astype(np.float32)).all()
    header = {name: value for name, value in image.attributes.items() if name.startswith("hdrgen")}
    assert all(len(name) <= ATTRIBUTE_NAME_MAX for name in header)
    expected = {"Prompt": "night street", "NegativePrompt": "fog", "Seed": 3, "Steps": 2, "Guidance": 4.0}
    expected |= {"Route": route, "Size": "32x32", "Checkpoint": "tiny", "Device": "cpu"}
    assert {name: header[f"hdrgen{name}"] for name in expected} == expected
    own = {
        "brackets": {
            "Evs",
            "SharedNoise",
            "Aligned",
            "Strength",
            "BitDepthWeights",
            "MergeWeights",
            "TransformerWeights",
        },
        "dual": {"LogCeiling", "FuseWeights", "TransformerWeights"},
        "latent": {"LoraWeights", "HdrVaeWeights"},
    }[route]
    always = {"Version", "Exposure", "CheckpointWeights", "DiffusersVersion", "TorchVersion"}
    assert {f"hdrgen{name}" for name in own | always | set(expected)} == set(header)
    # The same words make the same bytes.
    again = cli(
        *generate(
            models, "-o", tmp_path / "b.exr", "--route", route, "--seed", 3, "--negative", "fog", "--clamp"
        )
    )
    assert again.code == 0
    assert (tmp_path / "b.exr").read_bytes() == (tmp_path / "a.exr").read_bytes()


def test_kept_pictures_are_what_merge_takes(cli, generators, tmp_path):
    light = np.geomspace(0.02, 300, 64 * 64, dtype=np.float32).reshape(64, 64, 1).repeat(3, -1)
    codes8 = {r: quantise8(r.encode(light)) for r in generators["brackets"].renditions}
    made = Generated(GenerationRequest("ramp", 1), light.copy(), codes8, {"seed": 1})
    done = write_generated(made, tmp_path / "a.exr", "brackets", keep_intermediates=True)
    kept = [tmp_path / f"a_ev{ev}.png" for ev in ("-2", "+0", "+2", "+4")]
    assert done.kept == tuple(map(str, kept))
    said = cli("merge", *kept, "-o", tmp_path / "m.exr", "--method", "closed", "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)["files"][0]
    assert (facts["evs"], facts["evs_from"], facts["encoding"]) == ([-2, 0, 2, 4], "text", "logc4")
    delivered = (read_exr(tmp_path / f"{name}.exr").rgb.astype(np.float32) for name in "am")
    np.testing.assert_allclose(*delivered, rtol=0.08, atol=0.005)


def test_kept_pictures_are_what_fuse_takes(cli, models, tmp_path):
    done = cli(
        *generate(models, "-o", tmp_path / "d.exr", "--keep-intermediates", "--route", "dual", "--json")
    )
    assert (done.code, done.err) == (0, "")
    pair = ["--reinhard", tmp_path / "d_reinhard.png", "--log", tmp_path / "d_log.png"]
    assert json.loads(done.out)["files"][0]["kept"] == [str(pair[1]), str(pair[3])]
    fused = cli("fuse", *pair, "-o", tmp_path / "f.exr")
    assert (fused.code, fused.err) == (0, "")
    np.testing.assert_array_equal(read_exr(tmp_path / "f.exr").rgb, read_exr(tmp_path / "d.exr").rgb)


def test_the_route_latent_has_none(cli, models, tmp_path):
    said = cli(*generate(models, "-o", tmp_path / "l.exr", "--keep-intermediates", "--route", "latent"))
    assert (said.code, said.err) == (0, "note: the route latent has no intermediate pictures\n")


def test_a_file_of_prompts_resumes(cli, models, tmp_path):
    (tmp_path / "p.txt").write_text("night street\n\n  Café, sea at sunset \n", encoding="utf-8")
    arguments = (
        "generate",
        "--prompts",
        tmp_path / "p.txt",
        "--models",
        models,
        "--steps",
        1,
        "-o",
        tmp_path / "out",
    )
    arguments += ("--seeds", "1,2", "--route", "dual", "--device", "cpu")
    dry = cli(*arguments, "--dry-run")
    assert dry.code == 0, dry.err
    assert not (tmp_path / "out").exists()
    assert cli(*arguments).code == 0
    names = ["001_night-street_seed1.exr", "001_night-street_seed2.exr"]
    names += ["003_cafe-sea-at-sunset_seed1.exr", "003_cafe-sea-at-sunset_seed2.exr"]
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written] == names
    assert read_exr(written[2]).attributes["hdrgenPrompt"] == "Café, sea at sunset"
    assert read_exr(written[3]).attributes["hdrgenSeed"] == 2

    before = {path: path.read_bytes() for path in written}
    written[1].unlink()
    written[3].unlink()
    written[3].mkdir()  # what cannot be written does not shift the others
    said = cli(*arguments, "--skip-existing", "--json")
    assert said.code == 1
    assert [bool(f.get("skipped")) for f in json.loads(said.out)["files"]] == [True, False, True, False]
    assert written[1].read_bytes() == before[written[1]]


@pytest.mark.parametrize(
    ("route", "part", "stage"),
    [
        ("brackets", "base_model/checkpoint.json", "base_model"),
        ("brackets", "train_flux_full/transformer/config.json", "train_flux_full"),
        ("dual", "train_flux_full/transformer/config.json", "train_flux_full"),
        ("latent", "train_flux_lora/pytorch_lora_weights.safetensors", "train_flux_lora"),
        ("latent", "train_flux_vae/vae/config.json", "train_flux_vae"),
    ],
)
def test_a_missing_part_names_the_stage(cli, models, tmp_path, route, part, stage):
    copy = tmp_path / "models"
    shutil.copytree(models, copy)
    (copy / part).unlink()
    said = cli(*generate(copy, "-o", tmp_path / "a.exr", "--route", route))
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert str(copy / part) in said.err
    assert f"dvc repro {stage}" in said.err


def test_parts_of_another_checkpoint_are_refused(models, models_network, tmp_path):
    copy = tmp_path / "models"
    shutil.copytree(models, copy)
    other = tiny_klein(models_network.model_copy(update={"text_width": 64, "heads": 2}), ["sea"], 32, seed=3)
    other.transformer.save_pretrained(copy / "train_flux_full" / "transformer")
    with pytest.raises(HdrgenError, match=r"from another checkpoint .* `dvc repro train_flux_full`"):
        find_trained(copy, "brackets")
    other.save_pretrained(copy / "base_model" / "tiny")
    with pytest.raises(HdrgenError, match=r"does not fit the checkpoint .* `dvc repro train_flux_lora`"):
        load_generator(copy, "latent", device="cpu")
    about = copy / "train_flux_full" / "about.json"
    about.write_text('{"evs": [0, 3], "dual": false}')
    assert find_trained(copy, "brackets").evs == (0, 3)
    assert find_trained(copy, "brackets").size == 1024
    with pytest.raises(HdrgenError, match="was not trained on the tone-mapped pictures"):
        find_trained(copy, "dual")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--size", "30x32"], "multiples of 8"),
        (["--size", "large"], "must be width x height such as 1024x576"),
        (["--size", "0x0"], "does not fit"),
        (["--route", "magic"], "brackets"),
        (["--seeds", "1,x"], "such as --seeds 1,2,3"),
        (["--seeds", "1,1"], "must differ"),
        (["--seed", "-1"], "--seed"),
        (["--guidance", "0.5"], "--guidance"),
        (["--models", "/nowhere"], "no such folder of models"),
        (["--prompts", "p.txt"], "give one prompt in quotes, or a file"),
        (["--space", "srgb-ish"], "srgb-ish"),
        (["-o", "a.png"], "written as .exr"),
        (["-o", "a.exr", "--seeds", "1,2"], "must be a folder"),
    ],
)
def test_what_is_wrong_is_one_line(cli, models, tmp_path, monkeypatch, more, said):
    monkeypatch.chdir(tmp_path)
    done = cli(*generate(models, "-o", "a.exr", *more))
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_no_gpu_is_one_line(cli, models, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = cli(*generate(models, "-o", tmp_path / "a.exr", "--device", "cuda"))
    assert (done.code, done.err) == (2, "error: no GPU is at hand for --device cuda; take cpu or auto\n")


@pytest.mark.parametrize(("text", "said"), [(b"", "holds no prompt"), (b"\xff\xfe\x00", "no UTF-8 text")])
def test_a_bad_file_of_prompts_is_an_error(tmp_path, text, said):
    (tmp_path / "p.txt").write_bytes(text)
    with pytest.raises(HdrgenError, match=said):
        read_prompts(tmp_path / "p.txt")
    with pytest.raises(HdrgenError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")


def test_names_are_plain():
    assert file_name(12, "夜", 0) == "012_prompt_seed0.exr"
    assert len(file_name(1, "word " * 99, 2**31 - 1)) < 70


def test_light_beyond_half_floats_is_refused_or_clamped(generators, tmp_path):
    (made,) = make(generators["dual"], [GenerationRequest("sea")], SMALL)
    made.linear_awg4[0, 0] = 1e6
    with pytest.raises(HdrgenError):
        write_generated(made, tmp_path / "a.exr", "dual")
    assert not (tmp_path / "a.exr").exists()


@pytest.mark.parametrize(
    ("route", "networks"), [("brackets", {"bit_depth", "exposure_fusion"}), ("dual", {"tone_fusion"})]
)
def test_the_backend_runs_the_networks_of_a_route(models, tmp_path, monkeypatch, cli, route, networks):
    asked = {}
    monkeypatch.setattr(
        "hdrgen.inference.backends.chosen", lambda model, backend: asked.update({model: backend}) or "torch"
    )
    target = tmp_path / "a.exr"
    assert cli(*generate(models, "-o", target, "--route", route, "--backend", "onnx")).code == 0
    assert asked == dict.fromkeys(networks, "onnx")
