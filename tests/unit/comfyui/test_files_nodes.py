"""EXR Exporter, EXR Loader and HDR Preview, called as ComfyUI calls them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hdrgen.colour import ocio
from hdrgen.colour.primaries import AP1, REC709
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.runtime.errors import HdrgenError


@pytest.fixture
def light():
    """Return two pictures of halves with a peak, which no rounding changes."""
    values = np.random.default_rng(0).uniform(0, 4, (2, 24, 40, 3)).astype(np.float16).astype(np.float32)
    values[:, 3, 5] = 1879.0, 65504.0, -0.5
    return torch.from_numpy(values)


@pytest.fixture
def export(nodes):
    def call(light, **changed):
        asked = {
            "filename_prefix": "shots/light",
            "light_space": "acescg",
            "file_space": "acescg",
            "pixel_type": "half",
            "compression": "zip",
            "overflow": "raise",
            "numbering": "counter",
            "first_frame": 1001,
            "overwrite": False,
            "workflow": True,
            "attributes": "",
        }
        return nodes.ExrExporter.execute(light=light, **asked | changed)

    return call


@pytest.mark.parametrize("pixel_type", ["half", "float"])
def test_exporter_writes_every_value_bit_for_bit(light, export, comfyui, pixel_type):
    before = light.clone()
    out = export(light, pixel_type=pixel_type, compression="piz")
    paths = sorted((comfyui.folder / "output" / "shots").iterdir())
    assert out[0].splitlines() == [str(path) for path in paths]
    assert [path.name for path in paths] == ["light_00001_.exr", "light_00002_.exr"]
    for path, picture in zip(paths, light.numpy(), strict=True):
        image = read_exr(path)
        assert np.array_equal(image.rgb.astype(np.float32), picture)
        assert (image.pixel_type, image.compression, image.chromaticities) == (pixel_type, "piz", AP1)
    assert torch.equal(light, before), "other nodes share the tensor"
    assert comfyui.bars[-1].done == [1, 2]
    assert [file["filename"] for file in out.ui["exr"]] == [path.name for path in paths]
    for shown in out.ui["images"]:
        assert (comfyui.folder / "temp" / shown["subfolder"] / shown["filename"]).is_file()


def test_exporter_converts_only_where_the_file_is_to_be_in_another_space(light, export, comfyui):
    export(light[:1], file_space="linear_rec709", pixel_type="float")
    image = read_exr(comfyui.folder / "output" / "shots" / "light_00001_.exr")
    assert image.chromaticities == REC709
    assert np.array_equal(image.rgb, ocio.convert(light[0].numpy(), "acescg", "linear_rec709"))


def test_exporter_numbers_frames_and_never_overwrites_unasked(light, export, comfyui):
    export(light, numbering="frames")
    folder = comfyui.folder / "output" / "shots"
    assert sorted(path.name for path in folder.iterdir()) == ["light.1001.exr", "light.1002.exr"]
    stamp = (folder / "light.1001.exr").read_bytes()
    with pytest.raises(HdrgenError, match=r"light\.1002\.exr: is there already"):
        export(light * 2, numbering="frames", first_frame=1002)
    assert not (folder / "light.1003.exr").exists()
    export(torch.ones_like(light), numbering="frames", overwrite=True)
    assert (folder / "light.1001.exr").read_bytes() != stamp


def test_exporter_puts_graph_and_metadata_into_the_header(light, export, comfyui, nodes):
    graph = {"1": {"class_type": "HdrgenExrExporter"}}
    nodes.ExrExporter.hidden = SimpleNamespace(
        prompt=graph, extra_pnginfo={"workflow": {"nodes": []}, "of another pack, of a name too long": 1}
    )
    export(
        light[:1],
        attributes="shot = sh010\n\nartist = A = B",
        metadata={"hdrgenRoute": "dual", "hdrgenSeed": 7},
    )
    attributes = read_exr(comfyui.folder / "output" / "shots" / "light_00001_.exr").attributes
    assert json.loads(attributes["prompt"]) == graph
    assert json.loads(attributes["workflow"]) == {"nodes": []}
    assert (attributes["shot"], attributes["artist"]) == ("sh010", "A = B")
    assert (attributes["hdrgenRoute"], attributes["hdrgenSeed"]) == ("dual", 7)
    comfyui.args.disable_metadata = True
    export(light[:1])
    assert "prompt" not in read_exr(comfyui.folder / "output" / "shots" / "light_00002_.exr").attributes


def test_exporter_takes_alpha(light, export, comfyui):
    alpha = torch.linspace(0, 1, 24 * 40).reshape(1, 24, 40)
    export(light[:1], alpha=alpha, pixel_type="float")
    image = read_exr(comfyui.folder / "output" / "shots" / "light_00001_.exr")
    assert np.array_equal(image.alpha, alpha[0].numpy())
    with pytest.raises(HdrgenError, match="must have one size"):
        export(light, alpha=alpha)


def test_exporter_writes_where_the_light_was_seen(light, export, nodes):
    observed = torch.from_numpy((np.arange(2 * 24 * 40) % 5 / 4).reshape(2, 24, 40).astype(np.float32))
    out = export(light, observed=observed, filename_prefix="seen")
    for number, path in enumerate(out[0].splitlines()):
        assert np.array_equal(read_exr(path, layer="observed").rgb[..., 0], observed[number].numpy())
        assert np.array_equal(read_exr(path).rgb.astype(np.float32), light[number].numpy())
    back = nodes.ExrLoader.execute(
        file="seen_00001_.exr [output]", frames="", space="acescg", layer="observed"
    )
    assert torch.equal(back[0][0, ..., 0], observed[0])
    with pytest.raises(HdrgenError, match=r"observed is .* must have one size"):
        export(light, observed=observed[:1])


@pytest.mark.parametrize(
    ("value", "changed", "said"),
    [
        (float("nan"), {}, "holds NaN or Inf"),
        (7e4, {}, "beyond the half range"),
        (1.0, {"attributes": "no equals"}, "an attribute is a line"),
        (1.0, {"attributes": "x" * 32 + " = 1"}, "longer than 31"),
        (1.0, {"file_space": "logc4"}, "scene-linear"),
    ],
)
def test_exporter_fails_aloud_and_writes_nothing(light, export, comfyui, value, changed, said):
    bad = light.clone()
    bad[0, 0, 0, 0] = value
    with pytest.raises(HdrgenError, match=said):
        export(bad, **changed)
    assert not list(comfyui.folder.rglob("*.exr"))


def test_exporter_says_what_it_clamped(light, export):
    out = export(light[:1] * 2, overflow="clamp")
    assert "1 values clamped" in out[1]


def test_loader_reads_a_sequence_and_names_the_frame_that_lacks(light, comfyui, nodes):
    folder = comfyui.folder / "input"
    for frame in (8, 9, 10, 12):
        write_exr(
            folder / f"a.{frame:04d}.exr",
            light[0].numpy() * 2.0 ** (frame - 12),
            chromaticities=AP1,
            attributes={"owner": "me"},
        )
    load = nodes.ExrLoader.execute
    out = load(file="a.0009.exr", frames="8-10", space="acescg")
    assert out[0].shape == (3, 24, 40, 3)
    assert out[0].amax((1, 2, 3)).tolist() == [4094.0, 8188.0, 16376.0]
    assert torch.equal(out[1], torch.ones(3, 24, 40))
    assert out[2]["owner"] == "me"
    assert len(load(file="a.0012.exr", frames="", space="acescg")[0]) == 1
    for frames, said in (
        ("all", "lacks frame 11"),
        ("12-11", "must not come after"),
        ("x", "such as 1001-1024"),
    ):
        with pytest.raises(HdrgenError, match=said):
            load(file="a.0009.exr", frames=frames, space="acescg")
        assert said.split()[0] in nodes.ExrLoader.validate_inputs(file="a.0009.exr", frames=frames)


def test_loader_converts_from_what_the_file_states_or_convention(comfyui, nodes):
    rgb = np.full((4, 4, 3), 2.0, np.float32)
    rgb[..., 0] = 9.0
    write_exr(comfyui.folder / "input" / "r.exr", rgb, chromaticities=REC709, pixel_type="float")
    out = nodes.ExrLoader.execute(file="r.exr", frames="", space="acescg")
    assert np.array_equal(out[0][0].numpy(), ocio.convert(rgb, "linear_rec709", "acescg"))
    assert "Rec.709" in out[3]


def test_loader_runs_again_when_the_file_has_changed(light, comfyui, nodes):
    path = comfyui.folder / "input" / "a.exr"
    write_exr(path, light[0].numpy(), chromaticities=AP1)
    first = nodes.ExrLoader.fingerprint_inputs(file="a.exr", frames="", space="acescg")
    write_exr(path, light[0].numpy()[:8], chromaticities=AP1)
    assert nodes.ExrLoader.fingerprint_inputs(file="a.exr", frames="", space="acescg") != first


@pytest.mark.parametrize("file", ["../secret.exr", "/etc/passwd", "no.exr"])
def test_loader_stays_in_comfyuis_folders(light, comfyui, nodes, file):
    write_exr(comfyui.folder / "secret.exr", light[0].numpy(), chromaticities=AP1)
    with pytest.raises(HdrgenError, match=r"outside of ComfyUI|no such file"):
        nodes.ExrLoader.execute(file=file, frames="", space="acescg")


def test_preview_reads_out_range_pinned_pixels_and_nan(comfyui, nodes):
    values = torch.full((1, 100, 100, 3), 0.18)
    values[0, :5] = 469.8  # 5 % at the ceiling
    values[0, 99, 0, 0] = float("nan")
    out = nodes.HdrPreview.execute(light=values, space="acescg", exposure=0.0, view="false colour")
    assert "469.8" in out[1]
    assert "pinned at the ceiling: 5.00%" in out[1]
    assert "NaN 1" in out[1]
    assert out[0].shape == (1, 100, 100, 3)
    assert torch.allclose(out[0][0, 50, 50], torch.full((3,), 119 / 255))
    (shown,) = out.ui["images"]
    assert (comfyui.folder / "temp" / shown["filename"]).is_file()


def test_preview_shows_highlights_stops_down(nodes):
    view = next(
        entry.said["default"] for entry in nodes.HdrPreview.define_schema().inputs if entry.id == "view"
    )
    light = torch.tensor([64.0, 128.0]).reshape(1, 1, 2, 1).repeat(1, 8, 8, 3)

    def shown(exposure):
        return nodes.HdrPreview.execute(light=light, space="acescg", exposure=exposure, view=view)[0]

    assert torch.unique(shown(4.0)).numel() == 1, "both are white"
    assert torch.unique(shown(-8.0)).numel() > 1
