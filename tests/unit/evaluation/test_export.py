"""Exported graphs: the same light as eager fp32 at any size, and a header that says what it is."""

import json
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch

from hdrgen.evaluation.export_decoders import hdr_vae_graph
from hdrgen.evaluation.export_parity import (
    Export,
    Exportable,
    ModelName,
    decisive_export,
    export_models,
    parity,
    trained_models,
)
from hdrgen.exposure.bracket_tables import bracket_tables
from hdrgen.inference import backends, onnx_export
from hdrgen.inference.bit_depth import Expander
from hdrgen.inference.exposure_fusion import StackMerger
from hdrgen.inference.highlights import Recoverer
from hdrgen.inference.onnx_export import write_onnx
from hdrgen.inference.onnx_graphs import GRAPHS, Contract, Graph, highlights_graph, tone_fusion_graph
from hdrgen.inference.onnx_session import OnnxGraph
from hdrgen.inference.tone_fusion import Fuser
from hdrgen.models.bit_depth import BitDepth, BitDepthUNet, load_bit_depth, save_bit_depth
from hdrgen.models.exposure_fusion import (
    ExposureFusion,
    LuminanceStackProcessor,
    load_exposure_fusion,
    save_exposure_fusion,
)
from hdrgen.models.hdr_vae import PublishedHdrVae, PublishedHdrVaeNetwork, save_published_hdr_vae
from hdrgen.models.highlights import (
    COUNTS,
    MAX_MISSING_STOPS,
    SRGB_STOPS,
    Highlights,
    HighlightsNet,
    load_highlights,
    save_highlights,
)
from hdrgen.models.tone_fusion import ToneFuser, ToneFusion, load_tone_fuser, save_tone_fuser
from hdrgen.runtime.errors import HdrgenError

pytest.importorskip("onnxruntime", reason="exports are tested with pip install 'hdrgen[onnx]'")
pytest.importorskip("onnxscript", reason="exports are tested with pip install 'hdrgen[onnx]'")

SETTINGS = Export(sizes=((1, 1), (2, 3), (65, 33), (64, 64), (97, 130)))


def scene(seed=0, height=90, width=120):
    rng = np.random.default_rng(seed)
    stops = rng.uniform(-6, 4, (1, 1, 3)) + np.linspace(-3, 6, width)[None, :, None]
    light = 0.18 * 2 ** np.broadcast_to(stops, (height, width, 3))
    return np.minimum(light + rng.uniform(0, 0.01, light.shape), 900).astype(np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Small networks that change what they are given."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    fuser = ToneFuser(ToneFusion(widths=(8, 8, 8), blocks=(1, 1, 1)))
    expander = BitDepthUNet(BitDepth(widths=(8,) * 5))
    merger = LuminanceStackProcessor(ExposureFusion(exposure_width=8, widths=(8,) * 5))
    recoverer = HighlightsNet(Highlights(widths=(8,) * 5, curve_widths=(8,) * 4))
    recoverer.curve_mean.normal_(0, 0.2)
    recoverer.curve_components.normal_(0, 0.2)
    for head in (fuser.unet.head, expander.unet.head, merger.head, recoverer.unet.head, recoverer.mixture):
        torch.nn.init.normal_(head.weight, std=0.1)
    save_tone_fuser(folder / "tone_fusion", fuser)
    save_bit_depth(folder / "bit_depth", expander)
    save_exposure_fusion(folder / "exposure_fusion", merger)
    save_highlights(folder / "highlights", recoverer)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pictures(count, height=70, width=150):
    rng = np.random.default_rng(1)
    codes = np.linspace(20, 230, width)[None, :, None] + rng.normal(0, 2, (height, width, 3))
    return [np.clip(codes + i, 0, 255).astype(np.uint8) for i in range(count)]


@pytest.mark.usefixtures("cache")
def test_the_fuser_by_its_graph_is_the_fuser(weights, monkeypatch):
    """Also in tiles, and clean and noisy pairs alike."""
    path = weights / "tone_fusion"
    eager = Fuser(load_tone_fuser(path), "", torch.float32)
    exported = backends.load_network("tone_fusion", path, "onnx")
    monkeypatch.setattr("hdrgen.inference.tone_fusion.TILE", (64, 64))
    dark, bright = pictures(2)
    for pair in ((dark, bright), (bright, bright[::-1])):
        np.testing.assert_allclose(exported.fuse(*pair), eager.fuse(*pair), rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_the_expander_by_its_graph_is_the_expander(weights, strength):
    path = weights / "bit_depth"
    eager = Expander(load_bit_depth(path), "", torch.float32)
    exported = backends.load_network("bit_depth", path, "onnx")
    (code8,) = pictures(1)
    expected = eager.expand(code8, strength=strength)
    np.testing.assert_allclose(exported.expand(code8, strength=strength), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    "evs",
    [(-2.0, 0.0, 2.0, 4.0), (-2.0, 2.0), (-4.0, -2.0, 0.0, 2.0, 4.0), (-2.0, 0.0, 0.0, 2.0), (0.0, 0.0, 2.0)],
)
def test_the_merger_by_its_graph_is_the_merger(weights, evs, monkeypatch):
    """With fewer brackets than the graph has places, with more, and with two of one exposure."""
    path = weights / "exposure_fusion"
    eager = StackMerger(load_exposure_fusion(path), "", torch.float32)
    exported = backends.load_network("exposure_fusion", path, "onnx")
    monkeypatch.setattr(backends.ExportedMerger, "TILE", (64, 64))
    codes = pictures(len(evs))
    tables = [bracket_tables("logc4_awg4", 8, ev, evs=evs) for ev in evs]
    merged = [m.merge(codes, tables, evs, reference=1).linear for m in (exported, eager)]
    np.testing.assert_allclose(*merged, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("size", [(70, 150), (64, 64), (500, 770), (1, 3)])
def test_the_recoverer_by_its_graph_is_the_recoverer(weights, size):
    """Of pictures larger than the one that the network sees, and smaller than its stride."""
    path = weights / "highlights"
    eager = Recoverer(load_highlights(path), "", torch.float32)
    exported = backends.load_network("highlights", path, "onnx")
    (code8,) = pictures(1, *size)
    code = np.minimum(1.15 * code8.astype(np.float32), 255)
    expected, estimate = (one.estimate(code, is_srgb=False) for one in (eager, exported))
    assert np.ptp(expected.missing_stops) > 0.01
    assert np.ptp(expected.stops - SRGB_STOPS) > 0.01
    assert estimate.is_plain == pytest.approx(expected.is_plain, rel=1e-4)
    for name in ("stops", "missing_stops"):
        np.testing.assert_allclose(getattr(estimate, name), getattr(expected, name), atol=1e-4)
    light, again = (one.recover(code.copy(), curve="film").linear for one in (eager, exported))
    np.testing.assert_allclose(again, light, rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("cache")
def test_the_highlights_say_what_each_of_their_outputs_is(weights):
    path = weights / "highlights"
    graph = GRAPHS["highlights"](load_highlights(path))
    file = backends.exported(graph, backends.load_network("highlights", path, "torch").digest)
    onnx = pytest.importorskip("onnx")
    model = onnx.load(file)
    metadata = {p.key: json.loads(p.value) for p in model.metadata_props if "put." in p.key}
    assert [value.name for value in model.graph.output] == ["log_slopes", "plain_logit", "missing_stops"]
    assert [name.rsplit(".")[-1] for name in metadata] == [
        "code", "counts", "given", "log_slopes", "plain_logit", "missing_stops"
    ]  # fmt: skip
    for signal in metadata.values():
        assert signal["encoding"]
        assert signal["unit"]
    assert metadata["hdrgen.output.missing_stops"]["axes"] == [1, "height", "width", 3]
    assert metadata["hdrgen.output.missing_stops"]["range"] == [0, MAX_MISSING_STOPS]


def test_what_goes_into_the_highlights_is_in_the_ranges_that_they_state(trained):
    (model,) = (one for one in trained if one.graph.model == "highlights")
    rng = np.random.default_rng(0)
    given = [model.inputs(light, 0.0, rng) for light in (scene(), np.ones((2, 3, 3), np.float32))]
    for inputs in given:
        for signal, value in zip(model.graph.contract.inputs.values(), inputs, strict=True):
            lowest, highest = signal.range
            assert lowest <= value.min()
            assert value.max() <= highest
    assert given[0][0].max() == 255  # there is light to be found


@pytest.fixture(scope="module")
def trained(weights, models, tmp_path_factory):
    """Return all that is exported, with the smallest VAEs."""
    path = tmp_path_factory.mktemp("hdr_vae") / "w.safetensors"
    save_published_hdr_vae(path, published())
    return trained_models(
        **{name: weights / name for name in ("tone_fusion", "bit_depth", "exposure_fusion", "highlights")},
        hdr_vae=path,
        flux_vae=models / "train_flux_vae",
    )


@pytest.mark.parametrize("name", get_args(ModelName))
def test_each_trained_model_is_held_against_itself_on_pictures_as_it_takes_them(trained, name):
    """Eager fp32 stands in for its graph, which other tests export."""
    (model,) = (one for one in trained if one.graph.model == name)
    given = []

    def eager(inputs):
        given.append({name: value.shape for name, value in inputs.items()})
        with torch.inference_mode():
            outputs = model.graph.module(*map(torch.from_numpy, inputs.values()))
        return [output.numpy() for output in ([outputs] if torch.is_tensor(outputs) else outputs)]

    small = Export(sizes=((33, 17), (16, 16)))
    errors = parity(model, SimpleNamespace(outputs=eager), [scene()], small)
    assert errors == {"33x17": 0, "16x16": 0}
    for shapes in given:
        for signal, shape in zip(model.graph.contract.inputs.values(), shapes.values(), strict=True):
            fixed = [n if isinstance(axis, str) else axis for axis, n in zip(signal.axes, shape, strict=True)]
            assert tuple(fixed) == shape


def published():
    torch.manual_seed(0)
    return PublishedHdrVae(PublishedHdrVaeNetwork(base_channels=32))


def latents(linear, _noise_codes, rng):
    """Return latents as large as the picture is, one for each pixel."""
    return (torch.from_numpy(rng.normal(0, 1, (1, 4, *linear.shape[:2])).astype(np.float32)),)


def test_a_decoder_is_itself_at_every_size_and_says_what_it_gives(tmp_path):
    model = Exportable(hdr_vae_graph(published()), "0123456789ab", latents)
    small = Export(sizes=((1, 1), (3, 2), (9, 7)))
    figures = export_models([model], [scene()], small, tmp_path)
    decoder = figures["models"]["hdr_vae_decoder"]["onnx"]
    assert 0 <= decoder["relative_error"] <= 1e-4
    by_size = figures["relative_error"]["onnx"]["hdr_vae_decoder"]
    assert list(by_size) == ["1x1", "3x2", "9x7"]
    assert max(by_size.values()) == decoder["relative_error"]
    assert decisive_export(figures) == {"hdr_vae_decoder": {"error_ppm": 1e6 * decoder["relative_error"]}}

    onnx = pytest.importorskip("onnx")
    metadata = {p.key: p.value for p in onnx.load(tmp_path / "hdr_vae_decoder.onnx").metadata_props}
    assert metadata["hdrgen.weights"] == "0123456789ab"
    light = json.loads(metadata["hdrgen.output.linear_awg4"])
    assert light["primaries"] == "ARRI Wide Gamut 4"
    assert light["encoding"].startswith("scene-linear")
    assert light["axes"] == [1, 3, "height", "width"]
    assert json.loads(metadata["hdrgen.input.latents"])["axes"] == [1, 4, "rows", "columns"]


def test_the_same_weights_make_the_same_bytes_without_a_path_in_them(tmp_path):
    files = [tmp_path / name for name in ("a.onnx", "b.onnx")]
    for file in files:
        write_onnx(file, hdr_vae_graph(published()), weights="0" * 12)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b".py" not in files[0].read_bytes()


def test_a_graph_that_differs_is_refused_and_removed(tmp_path):
    graph = hdr_vae_graph(published())

    class Drifting(torch.nn.Module):
        def forward(self, latents):
            return graph.module(latents) * (1.001 if torch.compiler.is_exporting() else 1.0)

    drifting = Graph(graph.model, Drifting(), graph.example, graph.contract, graph.floors)
    with pytest.raises(HdrgenError, match=r"differs from eager fp32 by 0\.001, more than export\.tolerance"):
        export_models([Exportable(drifting, "0" * 12, latents)], [scene()], Export(sizes=((3, 2),)), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("drifts", [0, 1, 2])
@pytest.mark.parametrize("by", [0.01, np.nan])
def test_each_output_counts_by_itself(weights, drifts, by):
    """Also where the others are as they should be, or are much larger."""
    graph = highlights_graph(load_highlights(weights / "highlights"))
    rng = np.random.default_rng(0)
    code = torch.from_numpy(rng.uniform(0, 255, (1, 3, 2, 3)).astype(np.float32))
    codes = [code, torch.zeros(1, COUNTS), torch.full((1,), -1.0)]
    with torch.inference_mode():
        outputs = [output.numpy() for output in graph.module(*codes)]
    expected = by / max(np.abs(outputs[drifts]).min(), graph.floors[drifts])
    outputs[drifts] = outputs[drifts] + np.float32(by)
    model = Exportable(graph, "0" * 12, lambda *_: tuple(codes))
    one_size = Export(sizes=((2, 3),))
    answers = SimpleNamespace(outputs=lambda _: outputs)
    assert parity(model, answers, [scene()], one_size)["2x3"] == pytest.approx(
        expected, rel=1e-3, nan_ok=True
    )


def test_what_is_not_installed_is_named():
    with pytest.raises(HdrgenError, match=r"no_such_package is not installed; pip install 'hdrgen\[onnx\]'"):
        onnx_export.optional("no_such_package", "onnx")


@pytest.mark.usefixtures("cache")
def test_tone_fusion_parity_counts_noisy_pairs_too(weights):
    fuser = load_tone_fuser(weights / "tone_fusion")
    rng = np.random.default_rng(0)
    noise = []

    def inputs(linear, noise_codes, _):
        noise.append(noise_codes)
        codes = rng.integers(0, 256, (2, 1, *linear.shape), dtype=np.uint8)
        return tuple(map(torch.from_numpy, codes))

    graph = tone_fusion_graph(fuser)
    model = Exportable(graph, "0" * 12, inputs)
    file = backends.exported(
        graph, backends.load_network("tone_fusion", weights / "tone_fusion", "torch").digest
    )
    largest_error = max(parity(model, OnnxGraph(file), [scene()], SETTINGS).values())
    assert largest_error <= 1e-4
    assert noise == [0, 3, 0, 3, 0]


def test_a_contract_is_text_in_order():
    graph = hdr_vae_graph(published())
    assert isinstance(graph.contract, Contract)
    assert list(graph.contract.metadata()) == ["hdrgen.input.latents", "hdrgen.output.linear_awg4"]


def test_missing_weights_are_one_line(tmp_path):
    names = ("tone_fusion", "bit_depth", "exposure_fusion", "highlights", "hdr_vae", "flux_vae")
    with pytest.raises(HdrgenError, match="no readable safetensors"):
        trained_models(**dict.fromkeys(names, tmp_path / "none"))
