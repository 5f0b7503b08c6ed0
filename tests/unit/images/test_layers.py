"""Which layer of a file is its picture: by what names mean, never by where the alphabet puts them."""

import pytest

from hdrgen.images.layers import NoPicture, PartNames, choose_layer, layer_notes, layers_of, left_behind


def part(*channels, index=0, name="", views=()):
    return PartNames(index, name, views, tuple(sorted(channels)))


def rgb(layer, *more):
    return [f"{layer}.{c}" if layer else c for c in ("R", "G", "B", *more)]


def chosen(*parts, **asked):
    return choose_layer(layers_of(parts), **asked)


@pytest.mark.parametrize(
    ("channels", "taken"),
    [
        ([*rgb("ViewLayer.AO"), *rgb("ViewLayer.Combined", "A"), "ViewLayer.Depth.Z"], "ViewLayer.Combined"),
        ([*rgb("ViewLayer.Combined"), *rgb("Composite.Combined")], "Composite.Combined"),
        (["N.X", "N.Y", "N.Z", *rgb("beauty")], "beauty"),
        ([*rgb("N"), *rgb("zzz")], "zzz"),
        ([*rgb("wpos"), *rgb("unheard_of")], "unheard_of"),
        ([*rgb("hitN"), *rgb("direct_diffuse")], "direct_diffuse"),
        ([*rgb("VRayWireColor"), *rgb("effectsResult"), *rgb("reflect")], "effectsResult"),
        ([*rgb("wire_color"), *rgb("color")], "color"),
        ([*rgb("motion_blurred"), "Z"], "motion_blurred"),
        ([*rgb("motion_blurred"), *rgb("render")], "render"),
        ([*rgb("ID_Tech.beautyPass"), "ID_Tech.depth.Z"], "ID_Tech.beautyPass"),
        (["Z", *rgb("Normal.DiffCol"), "Normal.Normal.X"], "Normal.DiffCol"),
        ([*rgb("CryptoObject00"), *rgb("Normal.Result")], "Normal.Result"),
        ([*rgb("beauty"), *rgb("a_layer")], "beauty"),
        ([*rgb("beauty_denoised"), *rgb("aaa")], "beauty_denoised"),
        ([*rgb("beauty"), *rgb("rgba")], "rgba"),
        ([*rgb("aaa"), "R", "G", "B"], ""),
        (["Y", *rgb("beauty")], "beauty"),
        (["aaa.Y", "zzz.RY", "zzz.BY", "zzz.Y"], "zzz"),
        (["P.Y", "beauty.Y"], "beauty"),
        ([*rgb("CryptoObject00"), *rgb("crypto_material01"), *rgb("Image")], "Image"),
        ([*rgb("WorldPosition"), *rgb("VRayZDepth"), *rgb("Cf")], "Cf"),
    ],
)
def test_the_picture_is_the_layer_whose_name_says_so(channels, taken):
    assert chosen(part(*channels)).name == taken


@pytest.mark.parametrize(
    ("channels", "picture", "alpha"),
    [
        ([".R", ".G", ".B"], (".R", ".G", ".B"), None),
        (["r", "g", "b", "a"], ("r", "g", "b"), "a"),
        (["red", "green", "blue", "alpha"], ("red", "green", "blue"), "alpha"),
        (["beauty.red", "beauty.green", "beauty.blue"], ("beauty.red", "beauty.green", "beauty.blue"), None),
        (["V"], ("V",), None),
        (["Y", "A", "Z"], ("Y",), "A"),
        (["R", "G", "B", "r", "g", "b"], ("R", "G", "B"), None),
    ],
)
def test_channels_are_known_by_the_names_that_renderers_give_them(channels, picture, alpha):
    taken = chosen(part(*channels))
    assert (taken.channels, taken.alpha) == (picture, alpha)


@pytest.mark.parametrize(
    "channels",
    [
        ["N.X", "N.Y", "N.Z"],
        rgb("normals"),
        ["ViewLayer.Depth.V"],
        ["uv.U", "uv.V"],
        ["motion.X", "motion.Y"],
        ["Z"],
        ["A"],
        rgb("uCryptoAsset00", "A"),
        ["R", "G"],
    ],
)
def test_data_is_no_picture(channels):
    with pytest.raises(NoPicture, match="holds no picture"):
        chosen(part(*channels))


@pytest.mark.parametrize(
    "name",
    ["Pz", "Pcam", "P_world", "N_world", "Nw", "hitN", "hitP", "hitPz", "wpos", "Wpp", "PWorld", "camN", "camP", "Nref",
     "__Pref", "distance", "uvw", "VRayWireColor", "VRayBumpNormals", "VRayMtlID", "VRayRenderID", "VRayVelocity",
     "worldnormals", "Denoising Normal", "CGeometry_UVWCoords", "CMasking_ID", "CMasking_WireColor", "motionFore",
     "sampleCount", "cpuTime", "dPdu", "Ngn", "UV coordinates", "Z-depth", "Tangent normals", "material_id", "normals_v2",
     "FinalImageMotionVectors", "FinalImageWorldNormal", "FinalImageActorHitProxyMask00", "ObjectSpacePositions",
     "primid", "incidence", "MultiMatte1", "Roughness", "alpha", "raycount", "ViewLayer.Normal", "shot.P_object", "CryptoAsset.00"],
)  # fmt: skip
def test_what_renderers_call_their_data_is_no_picture(name):
    assert chosen(part(*rgb(name), *rgb("foo"))).name == "foo"
    for channels in (rgb(name), [f"{name}.Y"], [f"{name}.X", f"{name}.Y", f"{name}.Z"]):
        with pytest.raises(NoPicture, match="holds no picture"):
            chosen(part(*channels))


@pytest.mark.parametrize(
    "name",
    [
        "motion_graphics",
        "sh010_deep_v2",
        "ID_Tech",
        "index_card",
        "1080p",
        "1st",
        "N010",
        "N010_sky",
        "composition",
        "Nuke",
        "Pass",
        "element",
        "Plate2",
    ],
)
def test_a_part_with_a_word_for_data_inside_its_name_is_a_picture(name):
    parts = [part("Z", index=0, name="depth"), part(*rgb("", "A"), index=1, name=name)]
    assert chosen(*parts).part == 1
    assert chosen(part(*rgb(f"{name}.beautyPass"), "Z")).name == f"{name}.beautyPass"


def test_a_layer_taken_in_spite_of_its_name_is_said():
    layers = layers_of([part(*rgb("motion_blurred"), "Z")])
    notes = layer_notes(layers, choose_layer(layers), chosen=False)
    assert notes[0].startswith("motion_blurred has a word for data in its name")
    with pytest.raises(NoPicture, match=r"several pictures.*id_a, id_b"):
        chosen(part(*rgb("id_a"), *rgb("id_b")))


@pytest.mark.parametrize(
    "names", [("albedo", "unheard_of"), ("diffuse", "specular"), ("VRayThing_color", "reflect")]
)
def test_passes_and_names_that_nobody_knows_are_a_question(names):
    with pytest.raises(NoPicture, match=r"several pictures.*name one by --layer"):
        chosen(part(*[c for name in names for c in rgb(name)]))
    with pytest.raises(NoPicture, match=r"several pictures.*name one by --layer"):
        chosen(*[part(*rgb(""), index=i, name=name) for i, name in enumerate(names)])
    views = [*rgb("diffuse"), *rgb("diffuse.right")]
    assert chosen(part(*views, views=("left", "right"))).view == "left"


def test_layers_that_are_as_likely_are_a_question():
    with pytest.raises(NoPicture, match=r"several pictures.*bar, foo; name one by --layer"):
        chosen(part(*rgb("foo"), *rgb("bar")))


def test_parts_are_judged_by_their_names_and_then_by_their_order():
    depth, picture = part("Z", "Y", index=0, name="depth"), part(*rgb(""), index=1, name="rgba")
    assert chosen(depth, picture).part == 1
    assert chosen(part(*rgb(""), index=0, name="foo"), part(*rgb(""), index=1, name="bar")).part == 0
    assert chosen(part(*rgb(""), index=0, name="N"), part(*rgb(""), index=1, name="bar")).part == 1


def test_the_default_view_is_the_one_that_the_header_names_first():
    stereo = part("R", "G", "B", *rgb("left"), views=("right", "left"))
    taken = chosen(stereo)
    assert (taken.view, taken.channels) == ("right", ("R", "G", "B"))
    assert chosen(stereo, layer="left").view == "left"
    assert chosen(part(*rgb("right"), *rgb("left"))).view == "left"
    layered = part(*rgb("beauty"), *rgb("beauty.left"), *rgb("N.left"), views=("right", "left"))
    assert (chosen(layered).name, chosen(layered).view) == ("beauty", "right")


def test_a_layer_asked_for_by_name_is_taken_whatever_it_is():
    parts = part(*rgb("beauty"), "N.X", "N.Y", "N.Z", "depth.Z", "uv.U", "uv.V", "Z")
    assert chosen(parts, layer="N").channels == ("N.X", "N.Y", "N.Z")
    assert chosen(parts, layer="depth").channels == ("depth.Z",)
    assert chosen(parts, layer="BEAUTY").name == "beauty"
    assert chosen(parts, layer="uv.U").channels == ("uv.U",)
    with pytest.raises(NoPicture, match="no picture; name one of them"):
        chosen(parts, layer="uv")
    with pytest.raises(NoPicture, match="has no layer 'spec'; there are"):
        chosen(parts, layer="spec")


def test_a_part_asked_for_is_looked_in_by_index_or_name():
    parts = [part(*rgb(""), index=0, name="a"), part(*rgb(""), index=1, name="b")]
    assert chosen(*parts, part=1).part == chosen(*parts, part="1").part == chosen(*parts, part="b").part == 1
    numbered = [part(*rgb(""), index=0, name="rgba"), part(*rgb(""), index=1, name="0")]
    assert (chosen(*numbered, part="0").part, chosen(*numbered, part=0).part) == (1, 0)
    assert chosen(*numbered, part="1").part == 1
    with pytest.raises(NoPicture, match="has no part 'c'; there are 0 a, 1 b"):
        chosen(*parts, part="c")


def test_what_is_left_behind_is_named():
    layers = layers_of([part(*rgb("", "A"), "Z", *rgb("AO"), "N.X", "N.Y", "N.Z")])
    taken = choose_layer(layers)
    assert left_behind(layers, taken) == ("Z", "AO", "N")
    (note,) = layer_notes(layers, taken, chosen=False)
    assert note == "the picture is channels R G B; left behind: Z, AO, N (--layer and --part choose)"
    of_data = choose_layer(layers, layer="Z")
    assert left_behind(layers, of_data) == ("R", "G", "B", "A", "AO", "N")
    alone = layers_of([part(*rgb("", "A"))])
    assert layer_notes(alone, alone[0], chosen=False) == ()
