"""Files as renderers write them: which layer becomes the picture, and that the rest is named.

Every channel holds a light of its own, so that a wrong choice cannot pass.
"""

import json

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import pytest

from hdrgen.cli import run
from hdrgen.cli.inspect import _parts_table
from hdrgen.images.stored_image import StoredChannel, StoredPart

RGB = dict(zip("RGBA", (0.25, 0.5, 0.75, 1.0), strict=True))
SHAPE = (16, 24)


def channels(layer="", names="RGB", light=None, pixel_type="f2"):
    """Return channels of one layer: the picture's light in order of colour, or some other."""
    values = RGB.values() if light is None else [light] * len(names)
    prefix = f"{layer}." if layer else ""
    return {
        f"{prefix}{name}": np.full(SHAPE, value, pixel_type)
        for name, value in zip(names, values, strict=False)
    }


def write(path, *parts, **attributes):
    """Write one part of channels, or many as (name, channels, attributes)."""
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    if isinstance(parts[0], dict):
        OpenEXR.File({**header, **attributes}, dict(parts[0])).write(path)  # it changes what it is given
        return
    made = [OpenEXR.Part({**header, "name": name, **said}, dict(planes)) for name, planes, said in parts]
    OpenEXR.File(made).write(path)


RENDERERS = {
    "blender, an AO pass": {
        **channels("ViewLayer.AO", light=9),
        **channels("ViewLayer.Combined", "RGBA"),
        **channels("ViewLayer.Depth", "Z", 9, "f4"),
        **channels("ViewLayer.Normal", "XYZ", 9),
        **channels("ViewLayer.CryptoObject00", "rgba", 9, "f4"),
        **channels("ViewLayer.IndexOB", "X", 9, "f4"),
        **channels("ViewLayer.UV", "UVA", 9),
    },
    "blender, lone V": {
        **channels("ViewLayer.Combined", "RGBA"),
        **channels("ViewLayer.Depth", "V", 9, "f4"),
        **channels("ViewLayer.Mist", "V", 9, "f4"),
    },
    "blender, composited": {
        **channels("Composite.Combined", "RGBA"),
        **channels("ViewLayer.Combined", "RGBA", 9),
        **channels("ViewLayer.Depth", "V", 9, "f4"),
    },
    "arnold": {
        **channels("", "RGBA"),
        **channels("N", "XYZ", 9, "f4"),
        **channels("diffuse", light=9),
        **channels("RGBA_sun", light=9),
        **channels("crypto_asset00", "RGBA", 9, "f4"),
        **channels("", "Z", 9, "f4"),
    },
    "houdini": {**channels("C", "rgba"), **channels("N", "xyz", 9), **channels("direct_diffuse", "rgb", 9)},
    "v-ray": {
        **channels("", "RGBA"),
        **channels("VRayNormals", light=9),
        **channels("VRayRawLighting", light=9),
        **channels("VRayZDepth", "Y", 9, "f4"),
    },
    "redshift": {
        **channels("beauty", "RGBA"),
        **channels("DiffuseLighting", light=9),
        **channels("BumpNormals", light=9),
        **channels("depth", "Z", 9, "f4"),
    },
    "renderman": {**channels("Ci", "rgb"), **channels("directDiffuse", "rgb", 9)},
    "octane": {
        **channels("Beauty", "RGBA"),
        **channels("Denoised beauty", light=9),
        **channels("Geometric normals", light=9),
    },
    "unreal": {**channels("FinalImage", "RGBA"), **channels("FinalImageWorldDepth", light=9)},
    "usd": {**channels("color", "rgb"), **channels("normal", "xyz", 9), **channels("", ("depth",), 9, "f4")},
    "normals before a beauty": {**channels("N", "XYZ", 9), **channels("beauty")},
    "v-ray, no root": {**channels("effectsResult"), **channels("reflect", light=9), **channels("diffuse", light=9)},
    "a view layer called depth": {**channels("Depth.Combined", "RGBA"), **channels("Depth.Mist", "V", 9, "f4")},
    "written together": {**channels("render"), **channels("worldnormals", light=9), **channels("zdepth", light=9)},
    "words": dict(zip(("red", "green", "blue"), channels().values(), strict=True)),
    "dots": {f".{name}": plane for name, plane in channels().items()},
}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys, *args, code=0):
    ended = run([*map(str, args), "--json"])
    said = capsys.readouterr()
    assert ended == code, said.err
    return json.loads(said.out)["files"][0]


def converted(capsys, path, *options):
    """Return the colour that `convert` delivers, by OpenImageIO, and the notes."""
    done = answer(capsys, "convert", path, "-o", "out.exr", "--to", "linear_rec709", *options)
    return oiio.ImageBuf("out.exr").getpixel(3, 3), done["notes"]


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_picture_of_a_renderers_file_is_delivered(capsys, renderer):
    planes = RENDERERS[renderer]
    write("a.exr", planes)
    colour, notes = converted(capsys, "a.exr")
    assert colour[:3] == (0.25, 0.5, 0.75)
    is_alone = len(planes) in (3, 4)
    assert any("left behind" in note for note in notes) != is_alone


PARTS = {
    "nuke, depth first": [
        ("depth", channels("", "Z", 9, "f4"), {}),
        ("rgba", channels("", "RGBA"), {}),
        ("diffuse", channels(light=9), {}),
    ],
    "layers named in channels": [
        ("diffuse", channels("diffuse", light=9), {}),
        ("N", channels("N", "XYZ", 9), {}),
        ("beauty", channels("beauty"), {}),
    ],
    "a grey depth first": [("depth", channels("", "Y", 9, "f4"), {}), ("rgb", channels(), {})],
    "blender 5": [
        ("ViewLayer.AO", channels("ViewLayer.AO", light=9), {}),
        ("ViewLayer.Depth", channels("ViewLayer.Depth", "V", 9, "f4"), {}),
        ("ViewLayer.Combined", channels("ViewLayer.Combined", "RGBA"), {}),
    ],
    "houdini": [("N", channels("", "rgb", 9), {}), ("C", channels("", "rgb"), {})],
    "views": [
        ("rgba.left", channels("", "RGBA"), {"view": "left"}),
        ("rgba.right", channels("", "RGBA", 9), {"view": "right"}),
    ],
}


@pytest.mark.parametrize("kind", PARTS)
def test_the_part_that_is_the_picture_is_delivered(capsys, kind):
    write("a.exr", *PARTS[kind])
    colour, notes = converted(capsys, "a.exr")
    assert colour[:3] == (0.25, 0.5, 0.75)
    assert any("left behind" in note for note in notes)


def test_the_other_view_is_named_and_can_be_had(capsys):
    write("a.exr", {**channels(), **channels("right", light=9)}, multiView=["left", "right"])
    colour, notes = converted(capsys, "a.exr")
    assert colour == (0.25, 0.5, 0.75)
    assert any("left behind: right" in note for note in notes)
    assert converted(capsys, "a.exr", "--layer", "right")[0] == (9, 9, 9)


LIT = {**channels("key"), **channels("fill", light=9), **channels("N", "XYZ", 2.0)}


def test_where_nothing_says_which_layer_is_meant_it_is_asked(capsys):
    write("a.exr", LIT)
    error = answer(capsys, "convert", "a.exr", "-o", "out.exr", code=2)["error"]
    assert error.startswith("a.exr: ")
    assert "fill, key; name one by --layer" in error


COMMANDS = {
    "convert": ("convert", "a.exr", "-o", "o.exr"),
    "tonemap": ("tonemap", "a.exr", "--reinhard", "r.png", "--log", "l.png"),
    "bracket": ("bracket", "a.exr", "--ev", "0", "-o", "b"),
    "merge": ("merge", "a_ev+0.exr", "b_ev+1.exr", "--method", "closed", "--no-align", "-o", "m.exr"),
    "compare": ("compare", "a.exr", "a.exr", "--metrics", "stops_rmse"),
    "preview": ("preview", "a.exr", "-o", "p.png"),
    "preview hdr": ("preview", "a.exr", "-o", "p.jpg"),
    "strip": ("preview", "a.exr", "-o", "p.png", "--strip"),
    "inspect": ("inspect", "a.exr"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_a_layer_and_says_what_is_left_behind(capsys, command):
    write("a.exr", LIT)
    write("a_ev+0.exr", LIT)
    write("b_ev+1.exr", {name: 2 * plane for name, plane in LIT.items()})
    args = COMMANDS[command]
    done = answer(capsys, *args, "--layer", "key")
    assert any("the picture is layer key; left behind: N, fill" in note for note in done["notes"])
    answer(capsys, *args, "--layer", "nothing", code=1 if command == "inspect" else 2)
    write("a.exr", ("one", channels(light=9), {}), ("two", channels(), {}))
    if command != "merge":
        done = answer(capsys, *args, "--part", "two")
        assert any("layer two; left behind: one" in note for note in done["notes"])
        answer(capsys, *args, "--part", "1")


def test_test_and_reference_may_be_other_layers(capsys):
    write("a.exr", channels())
    write("b.exr", LIT)
    figures = ("--metrics", "stops_rmse")
    done = answer(capsys, "compare", "a.exr", "b.exr", "--reference-layer", "key", *figures)
    assert done["metrics"]["stops_rmse"] == 0
    done = answer(capsys, "compare", "b.exr", "a.exr", "--layer", "key", "--reference-layer", "", *figures)
    assert done["metrics"]["stops_rmse"] == 0


def test_data_is_taken_where_it_is_asked_for(capsys):
    write("a.exr", RENDERERS["arnold"])
    colour, notes = converted(capsys, "a.exr", "--layer", "Z")
    assert colour[:3] == (9, 9, 9)
    assert any("the data is channels Z, taken as it is; left behind: " in note for note in notes)


NORMALS = {f"N.{c}": np.full(SHAPE, v, "f4") for c, v in zip("XYZ", (-0.1, 0.3, 0.70001), strict=True)}
AOVS = {**channels("", "RGBA"), **NORMALS, "id": np.full(SHAPE, 7, "u4"), "Z": np.full(SHAPE, np.inf, "f4")}


@pytest.mark.parametrize(
    ("layer", "value"),
    [("N", tuple(float(plane[0, 0]) for plane in NORMALS.values())), ("id", (7, 7, 7)), ("Z", (np.inf,) * 3)],
)
def test_data_goes_through_no_colour_conversion(capsys, layer, value):
    write("a.exr", AOVS)
    done = answer(capsys, "convert", "a.exr", "-o", "out.exr", "--layer", layer)
    out = oiio.ImageBuf("out.exr")
    assert out.getpixel(3, 3) == pytest.approx(value, abs=0)
    assert out.spec().getattribute("chromaticities") is None
    assert OpenEXR.File("out.exr").header()["colorInteropID"] == "data"
    assert any("data: no colour conversion" in note for note in done["notes"])


def test_data_that_cannot_be_kept_as_it_is_is_refused(capsys):
    write("a.exr", {**AOVS, "id": np.full(SHAPE, 2**24 + 1, "u4")})
    for args, why in [
        (("-o", "o.exr", "--layer", "id"), "beyond 2^24"),
        (("-o", "o.exr", "--layer", "N", "--compression", "dwaa"), "dwaa would change"),
        (("-o", "o.png", "--layer", "N", "--to", "srgb"), "only an .exr takes as it is"),
    ]:
        assert why in answer(capsys, "convert", "a.exr", *args, code=2)["error"]


def test_from_says_that_data_is_light(capsys):
    write("a.exr", {**channels(), **channels("normals", light=9)})
    done = answer(
        capsys, "convert", "a.exr", "-o", "o.exr", "--layer", "normals", "--from", "acescg", "--to", "acescg"
    )
    assert oiio.ImageBuf("o.exr").getpixel(3, 3) == (9, 9, 9)
    assert done["source_space"] == "ACEScg"


@pytest.mark.parametrize("command", ["tonemap", "bracket", "merge"])
def test_routes_of_light_refuse_data(capsys, command):
    write("a.exr", LIT)
    write("a_ev+0.exr", LIT)
    write("b_ev+1.exr", LIT)
    error = answer(capsys, *COMMANDS[command], "--layer", "N", code=2)["error"]
    assert "layer N is data, not light" in error


def test_data_is_shown_and_compared_as_it_is(capsys):
    write("a.exr", AOVS)
    write("n.exr", dict(zip("RGB", NORMALS.values(), strict=True)))
    done = answer(capsys, "preview", "a.exr", "-o", "p.png", "--layer", "N")
    assert done["source_space"] == "data"
    done = answer(capsys, "compare", "n.exr", "a.exr", "--reference-layer", "N", "--metrics", "stops_rmse")
    assert set(done["metrics"].values()) == {0}
    assert any("without colour conversion" in note for note in done["notes"])


def test_a_channel_that_is_taken_is_not_left_behind(capsys):
    write("a.exr", {**channels(), "Z": np.full(SHAPE, 9, "f4")})
    done = answer(capsys, "preview", "a.exr", "-o", "p.png", "--layer", "Z")
    assert "the data is channels Z, taken as it is; left behind: R, G, B" in done["notes"]


@pytest.mark.parametrize("name", ["motion_graphics", "sh010_deep_v2"])
def test_check_judges_the_light_of_a_picture_with_a_word_for_data_in_its_name(capsys, name):
    write("a.exr", ("depth", channels("", "Z", 9, "f4"), {}), (name, channels("", "RGBA"), {}))
    assert converted(capsys, "a.exr")[0][:3] == (0.25, 0.5, 0.75)
    run(["check", "a.exr", "--json"])
    rules = {finding["rule"] for finding in json.loads(capsys.readouterr().out)["files"][0]["findings"]}
    assert "clipping" in rules


@pytest.mark.parametrize("layer", ["ID_Tech.diffuse", "index_card.beautyPass"])
def test_check_finds_nan_beside_the_picture_under_a_shots_name(capsys, layer):
    write("a.exr", {**channels(), **channels(layer, light=np.nan)})
    run(["check", "a.exr", "--json"])
    assert f"{layer}.R" in capsys.readouterr().out


@pytest.mark.parametrize(
    "planes",
    [
        channels("Pz", "Y", 9) | channels("N", "XYZ", 9),
        channels("P_world", light=9),
        channels("", "Z", 9, "f4"),
        channels("N", "XYZ", 9),
        channels("normals", light=9),
        channels("uCryptoAsset00", "RGBA", 9, "f4"),
        channels("Depth", "V", 9),
    ],
)
def test_data_alone_is_no_picture_and_inspect_lists_it(capsys, planes):
    write("a.exr", planes)
    assert "holds no picture" in answer(capsys, "convert", "a.exr", "-o", "o.exr", code=2)["error"]
    listed = answer(capsys, "inspect", "a.exr", code=1)
    assert {c["name"] for c in listed["header"]["parts"][0]["channels"]} == set(planes)


def test_code_pictures_and_radiance_have_no_layers(capsys):
    oiio.ImageBuf(oiio.ImageSpec(4, 4, 3, "uint8")).write("a.png")
    error = answer(capsys, "convert", "a.png", "-o", "o.exr", "--from", "srgb", "--layer", "beauty", code=2)[
        "error"
    ]
    assert "neither layers nor parts" in error


def test_inspect_lists_parts_layers_and_channels_with_types_and_sampling(capsys):
    uint = {"id": np.full(SHAPE, 7, "u4")}
    write(
        "a.exr", ("rgba", {**channels("", "RGBA"), **uint}, {}), ("data", channels("N", "XYZ", 9, "f4"), {})
    )
    header = answer(capsys, "inspect", "a.exr")["header"]
    listed = {c["name"]: c["pixel_type"] for part in header["parts"] for c in part["channels"]}
    assert listed == {"R": "half", "G": "half", "B": "half", "A": "half", "id": "uint",
                      "N.X": "float", "N.Y": "float", "N.Z": "float"}  # fmt: skip
    assert [part["name"] for part in header["parts"]] == ["rgba", "data"]
    assert (header["part"], header["layer"]) == (0, "")
    assert run(["inspect", "a.exr"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "part 0 rgba - R G B A half, id uint the picture" in said
    assert "part 1 data N X Y Z float" in said


def test_inspect_says_how_channels_are_sampled():
    stored = [
        StoredChannel("BY", "half", (2, 2)),
        StoredChannel("RY", "half", (2, 2)),
        StoredChannel("Y", "half"),
    ]
    table = _parts_table([StoredPart(0, "", "", "scanline", tuple(stored))], (0, ""))
    assert next(iter(table.columns[2].cells)).plain == "RY BY half every 2x2, Y half"
