"""Nodes that make light, called as ComfyUI calls them."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.primaries import AP1, AWG4, convert_primaries
from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.flux.hdr_vae import load_hdr_vae
from hdrgen.inference.backends import load_network
from hdrgen.routes.load_generator import load_generator
from hdrgen.routes.requests import GenerationRequest, Sampling
from hdrgen.runtime.errors import HdrgenError

LOGC4 = ENCODINGS["logc4_awg4"]
EVS = (-2.0, 0.0, 2.0, 4.0)


@pytest.fixture(scope="module")
def linear_awg4():
    """Return light of eleven stops with a peak that only the darkest exposure holds."""
    y, x = np.mgrid[0:64, 0:96].astype(np.float32) / 64
    light = 0.02 * 2 ** (6 * x + 2 * np.sin(3 * y))
    light[20:30, 40:50] = 1200
    return np.stack([light, light * 0.9, light * 0.8], -1).astype(np.float32)


@pytest.fixture(scope="module")
def pictures(linear_awg4):
    codes = [quantise8(LOGC4.encode(linear_awg4 * 2**ev)) for ev in EVS]
    return torch.from_numpy(np.divide(codes, np.float32(255), dtype=np.float32))


@pytest.fixture
def merge(nodes):
    def call(pictures, **changed):
        asked = {
            "evs": "-2 0 2 4",
            "encoding": "logc4",
            "method": "learned",
            "align": False,
            "reference_ev": 0.0,
            "check_evs": True,
        }
        return nodes.LuminanceStackMerger.execute(pictures=pictures, space="acescg", **asked | changed)

    return call


def test_merger_brings_back_light_above_one_exposures_ceiling(merge, pictures, linear_awg4, comfyui):
    before = pictures.clone()
    light, confidence, made = merge(pictures, metadata={"hdrgenSeed": 7}).args
    expected = convert_primaries(linear_awg4, AWG4, AP1)
    error = np.abs(np.log2(light[0].numpy() / expected))
    assert np.median(error) < 0.02
    assert light.max() > 469.8 * 2, "more than a LogC4 picture at EV 0 can hold"
    assert confidence.shape == (1, 64, 96)
    assert confidence.max() == 1
    assert made["hdrgenSourceEvs"] == "-2 0 2 4"
    assert made["hdrgenSeed"] == 7
    assert torch.equal(pictures, before)
    assert comfyui.bars[-1].done == [1, 2]


def test_merger_takes_exposures_in_any_order_and_finds_evs(merge, pictures):
    given = merge(pictures)[0]
    turned = merge(pictures.flip(0), evs="4, 2, 0, -2")[0]
    assert torch.equal(given, turned)
    assert merge(pictures, evs="-3 0 2 4", check_evs=False)[0].max() > given.max(), (
        "they are the artist's to say"
    )
    found = merge(pictures, evs="auto")[2]["hdrgenSourceEvs"].split()
    np.testing.assert_allclose(np.diff([float(ev) for ev in found]), 2, atol=0.2)


def test_merger_takes_linear_brackets(merge, linear_awg4):
    light = torch.from_numpy(np.stack([np.minimum(linear_awg4 * 2**ev, 60000) for ev in (0.0, 2.0)]))
    merged = merge(light, evs="0 2", encoding="light (ACEScg)", method="closed")[0]
    np.testing.assert_allclose(merged[0].numpy(), light[0].numpy(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"evs": "0 2"}, "4 pictures, but 2 EVs"),
        ({"evs": "0 0 2 4"}, "the EVs given are 0 0 2 4, but"),
        ({"evs": "dark bright"}, "numbers such as"),
        ({"evs": "4 2 0 -2"}, "the EVs given are"),
        ({"method": "best"}, "unknown method"),
    ],
)
def test_merger_fails_aloud(merge, pictures, changed, said):
    with pytest.raises(HdrgenError, match=said):
        merge(pictures, **changed)
    with pytest.raises(HdrgenError, match="2 to 64 exposures"):
        merge(pictures[:1])


def test_merger_refuses_a_black_picture_and_finds_where_light_was_cut(merge, pictures, linear_awg4):
    bad = pictures.clone()
    bad[1] = 0
    with pytest.raises(HdrgenError, match="left out: picture 2 carries nothing; take it out of the batch"):
        merge(bad)
    lit = np.minimum(linear_awg4, 30)
    light = torch.from_numpy(np.stack([np.minimum(lit * 2**ev, 1) for ev in (-5.0, 0.0)]))
    given = {"evs": "-5 0", "encoding": "light (ACEScg)", "method": "closed"}
    seen = lit > 1.05
    merged = merge(light, **given)[0][0].numpy()
    np.testing.assert_allclose(merged[seen], lit[seen], rtol=0.03)
    assert merge(light, **given, ceiling="none", check_evs=False)[0][0].numpy()[seen].max() < 15


def test_expander_takes_the_steps_out_and_keeps_what_is_clipped(nodes, pictures):
    codes, light = nodes.BitDepthExpander.execute(
        pictures=pictures[:2], encoding="logc4", strength=0.0, space="linear_awg4"
    ).args
    assert len(np.unique(codes[0])) > 10 * len(np.unique(pictures[0]))
    assert np.array_equal(quantise8(codes.numpy()), quantise8(pictures[:2].numpy())), (
        "clean codes stay in their intervals"
    )
    assert (codes[1][pictures[1] == 1] == 1).all()
    assert (pictures[1] == 1).any()
    unclipped = pictures[0] < 1
    np.testing.assert_allclose(light[0][unclipped], LOGC4.decode(codes[0].numpy())[unclipped], rtol=1e-5)
    assert light.max() > 300


def test_tone_fusion_is_the_librarys(nodes, linear_awg4):
    codes = [quantise8(curve.encode(linear_awg4)) for curve in (Reinhard(), Log())]
    images = [torch.from_numpy(np.divide(code, np.float32(255), dtype=np.float32))[None] for code in codes]
    light, made = nodes.ToneFusion.execute(
        reinhard=images[0], log=images[1], primaries="awg4", space="linear_awg4"
    ).args
    assert np.array_equal(light[0].numpy(), load_network("tone_fusion").fuse(*codes))
    assert light.max() > 800
    assert made["hdrgenFuseWeights"] == load_network("tone_fusion").digest
    with pytest.raises(HdrgenError, match="1 Reinhard pictures against 2"):
        nodes.ToneFusion.execute(
            reinhard=images[0], log=images[1].repeat(2, 1, 1, 1), primaries="awg4", space="acescg"
        )


def test_ocio_keeps_light_and_shows_views(nodes, linear_awg4):
    schema = nodes.OcioColorTransform.define_schema()
    targets = next(entry.said["options"] for entry in schema.inputs if entry.id == "target")
    there = nodes.OcioColorTransform.execute
    image = torch.from_numpy(linear_awg4)[None]
    code = there(image=image, source="ACEScg", target="ARRI LogC4", exposure=0.0)[0]
    back = there(image=code, source="ARRI LogC4", target="ACEScg", exposure=0.0)[0]
    np.testing.assert_allclose(back, image, rtol=1e-3, atol=1e-4)
    view = next(target for target in targets if " | " in target)
    shown = there(image=image, source="ACEScg", target=view, exposure=-2.0)[0]
    assert 0 <= shown.min() < shown.max() < 1.001
    with pytest.raises(HdrgenError, match="unknown colour space"):
        there(image=image, source="ACEScg", target="ARRI LogC5", exposure=0.0)


@pytest.fixture
def data(comfyui, models):
    (comfyui.folder / "models" / "hdrgen" / "data").symlink_to(models)
    return "data"


ASKED = {
    "prompt": "night street",
    "negative": "",
    "seed": 2**40,
    "width": 32,
    "height": 16,
    "steps": 2,
    "guidance": 2.0,
}


@pytest.mark.parametrize("route", ["brackets", "dual", "latent"])
def test_folder_sampler_is_the_librarys_route(nodes, data, models, comfyui, route):
    loaded = nodes.LoadHdrFlux.execute(models=data, route=route, device="cpu", strength=1.0, align=True)[0]
    light, pictures, evs, made = nodes.HdrFluxFolderSampler.execute(
        flux=loaded, space="linear_awg4", **ASKED
    ).args
    generator = load_generator(models, route, device="cpu")
    (expected,) = generator.generate([GenerationRequest("night street", 2**40)], Sampling(32, 16, 2, 2.0))
    assert np.array_equal(light[0].numpy(), expected.linear_awg4)
    assert comfyui.bars[-1].done == [1, 2]
    assert made["hdrgenSeed"] == str(2**40), "an EXR has no integers of so many bits"
    if route == "latent":
        assert "no 8-bit pictures" in pictures.message
    else:
        codes = np.stack(list(expected.intermediates.values()))
        assert np.array_equal(quantise8(pictures.numpy()), codes)
        assert evs == ("-2 0 2 4" if route == "brackets" else "")


def test_a_cancelled_picture_ends_at_the_next_step(nodes, data, comfyui):
    loaded = nodes.LoadHdrFlux.execute(models=data, route="latent", device="cpu", strength=1.0, align=True)[0]
    comfyui.cancelled = True
    with pytest.raises(Exception) as raised:  # noqa: PT011 - ComfyUI's own
        nodes.HdrFluxFolderSampler.execute(flux=loaded, space="acescg", **ASKED)
    assert type(raised.value).__name__ == "Interrupted"
    assert comfyui.bars[-1].done == []


@pytest.mark.usefixtures("data")
def test_folders_come_from_the_menu_alone(nodes, models, monkeypatch):
    with pytest.raises(HdrgenError, match=r"no folder '\.\./data'"):
        nodes.LoadHdrVae.execute(models="../data")
    monkeypatch.setenv("HDRGEN_MODELS", str(models))
    menu = nodes.LoadHdrVae.define_schema().inputs[0].said["options"]
    assert menu == ["data", "$HDRGEN_MODELS"]


def test_vae_decodes_light_in_tiles_and_can_be_cancelled(nodes, data, models, comfyui):
    vae = nodes.LoadHdrVae.execute(models=data)[0]
    own = load_hdr_vae(models / "train_flux_vae")
    torch.nn.init.normal_(
        own.vae.decoder.conv_out.weight, std=0.5, generator=torch.Generator().manual_seed(1)
    )
    vae.vae.decoder.conv_out.weight.data.copy_(own.vae.decoder.conv_out.weight)
    channels = 4 * own.vae.config.latent_channels
    latent = torch.randn(1, channels, 40, 24, generator=torch.Generator().manual_seed(0))
    tokens = latent.flatten(2).transpose(1, 2)
    expected = own.linear_awg4(tokens, 320, 192)[0].permute(1, 2, 0).numpy()
    assert expected.max() > 100
    decode = nodes.HdrVaeDecode.execute
    for tile in (512, 128):
        light = decode(latent={"samples": latent}, hdr_vae=vae, tile=tile, space="linear_awg4")[0]
        np.testing.assert_allclose(light[0].numpy(), expected, rtol=2e-3, atol=1e-3)
    with pytest.raises(HdrgenError, match=f"of {channels} channels"):
        decode(latent={"samples": latent[:, :16]}, hdr_vae=vae, tile=512, space="acescg")
    comfyui.cancelled = True
    with pytest.raises(Exception) as raised:  # noqa: PT011
        decode(latent={"samples": latent}, hdr_vae=vae, tile=128, space="acescg")
    assert type(raised.value).__name__ == "Interrupted"


class _Vae:
    """ComfyUI's VAE, as far as decoding goes: it clamps in `process_output`, in place."""

    def __init__(self):
        self.process_output = lambda picture: picture.add_(1).div_(2).clamp_(0, 1)

    def decode(self, latent):
        picture = latent[:, :3].movedim(1, -1).clone()
        self.process_output(picture)
        return picture


@pytest.fixture
def sampler(nodes, monkeypatch):
    """Return a call of the native sampler, and what it sampled."""
    import comfy  # noqa: PLC0415 - the stand-in
    import comfy.model_base  # noqa: PLC0415

    sampled = []

    def sample(_model, noise, cfg, name, sigmas, positive, negative, latent, *, callback, **_):
        sampled.append(
            SimpleNamespace(
                noise=noise, cfg=cfg, sampler=name, sigmas=sigmas, positive=positive, negative=negative
            )
        )
        for step in range(2):
            callback(step, latent, latent, 2)
        return torch.full_like(latent, 5.0 + len(sampled))

    monkeypatch.setattr(comfy.sample, "sample_custom", sample, raising=False)
    monkeypatch.setattr(
        comfy.sample,
        "prepare_noise",
        lambda latent, seed: torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed)),
        raising=False,
    )
    monkeypatch.setattr(
        comfy.samplers, "calculate_sigmas", lambda _, name, steps: (name, steps), raising=False
    )
    parts = {
        "latent_format": SimpleNamespace(latent_channels=128, spacial_downscale_ratio=16),
        "model_sampling": None,
    }
    clip = SimpleNamespace(tokenize=str, encode_from_tokens_scheduled=lambda text: [text])

    def call(family="Flux2", vae=None, **changed):
        model = SimpleNamespace(model=getattr(comfy.model_base, family, object)(), get_model_object=parts.get)
        asked = ASKED | {"seed": 3, "route": "brackets", "evs": "-2 0 2 4"} | changed
        return nodes.HdrFluxSampler.execute(model=model, clip=clip, vae=vae, **asked)

    return SimpleNamespace(call=call, sampled=sampled)


def test_native_sampler_asks_for_exposures_from_one_noise_and_does_not_clamp(sampler, comfyui):
    vae = _Vae()
    pictures, latent, evs, made = sampler.call(vae=vae, negative="fog").args
    assert [one.positive for one in sampler.sampled] == [[f"LogC4, EV {ev:+g}: night street"] for ev in EVS]
    assert sampler.sampled[0].negative == ["LogC4, EV -2: fog"]
    assert all(torch.equal(one.noise, sampler.sampled[0].noise) for one in sampler.sampled)
    assert {(one.cfg, one.sampler, one.sigmas) for one in sampler.sampled} == {
        (2.0, "euler", ("flux2", 2, 2))
    }
    assert pictures[:, 0, 0, 0].tolist() == [3.5, 4.0, 4.5, 5.0]
    assert vae.decode(torch.full((1, 3, 1, 1), 9.0)).max() == 1, "the VAE on the wire is as it was"
    assert latent["samples"].shape == (4, 128, 1, 2)
    assert evs == "-2 0 2 4"
    assert made["hdrgenSampledBy"] == "ComfyUI"
    assert comfyui.bars[-1].done == list(range(1, 9))


def test_native_sampler_tells_flux1_its_guidance(sampler):
    sampler.call(family="Flux", vae=_Vae(), route="dual")
    one = sampler.sampled[0]
    assert (one.cfg, one.sigmas) == (1.0, ("simple", 2))
    assert one.positive == [("reinhard tone map: night street", {"guidance": 2.0})]


def test_native_sampler_is_honest_about_what_it_supports(sampler):
    out = sampler.call(route="latent")
    assert "HDR VAE Decode" in out[0].message
    assert sampler.sampled[-1].positive == ["night street"]
    for changed, said in (
        ({}, "needs a VAE"),
        ({"family": "Unet", "vae": _Vae()}, "is for FLUX"),
        ({"evs": "0", "vae": _Vae()}, "two or more"),
        ({"width": 40, "vae": _Vae()}, "multiples of 16"),
    ):
        with pytest.raises(HdrgenError, match=said):
            sampler.call(**changed)


@pytest.mark.usefixtures("nodes")
def test_lora_says_its_scale(models, tmp_path):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    read = sys.modules["hdrgen.comfyui.native"].read_lora
    path = models / "train_flux_lora" / "pytorch_lora_weights.safetensors"
    weights, scale = read(path)
    assert scale == 8 / 2, "peft's own alpha over the fixture's rank"
    assert all(name.startswith("transformer.") for name in weights)
    plain = tmp_path / "plain.safetensors"
    save_file(load_file(path), plain)
    assert read(plain)[1] == 1.0
    patterned = tmp_path / "patterned.safetensors"
    said = {"transformer.r": 2, "transformer.lora_alpha": 8, "transformer.rank_pattern": {"to_q": 4}}
    save_file(load_file(path), patterned, {"lora_adapter_metadata": json.dumps(said)})
    with pytest.raises(HdrgenError, match="of their own"):
        read(patterned)


def test_the_tiny_transformer_is_refused_where_comfyui_could_not_run_it(nodes, data):
    with pytest.raises(HdrgenError, match=r"Load HDR Flux \(folder\) alone"):
        nodes.LoadHdrFluxModel.execute(models=data)


def test_the_backend_loads_every_network_and_workflows_without_one_take_what_is_fastest(
    nodes, data, pictures, monkeypatch
):
    asked = []

    def load(*_arguments, backend, **_options):
        asked.append(backend)
        raise LookupError

    monkeypatch.setattr(f"{nodes.BitDepthExpander.__module__}.load_network", load)
    monkeypatch.setattr(f"{nodes.HdrRecover.__module__}.load_network", load)
    monkeypatch.setattr(f"{nodes.LoadHdrFlux.__module__}.load_generator", load)
    expand = {"pictures": pictures[:1], "encoding": "logc4", "strength": 0.0, "space": "acescg"}
    merge = {"pictures": pictures, "evs": "-2 0 2 4", "encoding": "logc4", "method": "learned", "align": False,
             "reference_ev": 0.0, "check_evs": False, "space": "acescg"}  # fmt: skip
    fuse = {"reinhard": pictures[:1], "log": pictures[:1], "primaries": "awg4", "space": "acescg"}
    recover = {"pictures": pictures[:1], "curve": "auto", "exposure": 0.0, "anchor": 0.0, "strength": 1.0, "peak": 0.0,
               "space": "acescg"}  # fmt: skip
    flux = {"models": data, "route": "dual", "device": "cpu", "strength": 1.0, "align": True}
    for node, inputs in ((nodes.BitDepthExpander, expand), (nodes.LuminanceStackMerger, merge),
                         (nodes.ToneFusion, fuse), (nodes.HdrRecover, recover), (nodes.LoadHdrFlux, flux)):  # fmt: skip
        for more in ({}, {"backend": "onnx"}):
            with pytest.raises(LookupError):
                node.execute(**inputs, **more)
    assert asked == ["auto", "onnx"] * 5
