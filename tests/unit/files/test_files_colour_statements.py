"""What PNG, JPEG, TIFF and EXR files say of their colour, through the commands; right values are littleCMS's."""

import json
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import colour
import imagecodecs
import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from PIL import Image

from hdrgen.colour.primaries import ADOBE_RGB, AP1, AWG4, P3_D65, REC709, REC2020, convert_primaries
from hdrgen.images.code_image import read_code, write_code
from hdrgen.images.exr import read_exr

RAMP = np.linspace(0.12, 0.88, 24 * 32 * 3).reshape(24, 32, 3)
CODE16 = np.rint(np.random.default_rng(0).permutation(RAMP.ravel()).reshape(RAMP.shape) * 65535).astype(
    np.uint16
)
CODE8 = (CODE16 // 257).astype(np.uint8)
SRGB_TABLE = colour.models.eotf_sRGB(np.linspace(0, 1, 4096)).astype(np.float32)
D50 = (0.3457, 0.3585)
PROPHOTO = ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105), D50)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def profile(space, **curve) -> bytes:
    """Return a profile that littleCMS makes."""
    red, green, blue, white = (tuple(xy) for xy in space)
    return imagecodecs.cms_profile(
        "rgb", whitepoint=[*white, 1.0], primaries=[*red, 1.0, *green, 1.0, *blue, 1.0], **curve
    )


DISPLAY_P3 = profile(P3_D65, transferfunction=SRGB_TABLE)
LINEAR_REC709 = profile(REC709, gamma=1.0)


def by_littlecms(code, source: bytes) -> np.ndarray:
    """Return the light that littleCMS makes of codes, as linear Rec.709."""
    return imagecodecs.cms_transform(
        code, source, LINEAR_REC709, colorspace="rgb", outcolorspace="rgb", outdtype="float32", flags=0x0100
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def iccp(data: bytes) -> bytes:
    return chunk(b"iCCP", b"a profile\0\0" + zlib.compress(data))


def chrm(space) -> bytes:
    red, green, blue, white = space
    numbers = [round(v * 100000) for xy in (white, red, green, blue) for v in xy]
    return chunk(b"cHRM", struct.pack(">8I", *numbers))


def gama(exponent: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100000 / exponent)))


SRGB = chunk(b"sRGB", b"\0")


def cicp(*numbers: int) -> bytes:
    return chunk(b"cICP", bytes(numbers))


def png(name: str, *chunks: bytes, code=CODE16) -> Path:
    """Write a PNG with chunks of colour."""
    write_code(Path(name), code)
    data = Path(name).read_bytes()
    Path(name).write_bytes(data[:33] + b"".join(chunks) + data[33:])
    return Path(name)


def light_of(cli, *command: str) -> tuple[np.ndarray, dict]:
    """Run a command that writes out.exr; return its light as linear Rec.709 by another library, and what was said."""
    target = ["--to" if command[0] == "convert" else "--space", "linear_rec709"]
    said = cli(*command, *target, "-o", "out.exr", "--json")
    assert said.code == 0, said.err
    rgb = oiio.ImageBuf("out.exr").get_pixels(oiio.FLOAT)[..., :3]
    return rgb.astype(np.float64), json.loads(said.out)["files"][0]


def matches(light, expected) -> None:
    """Compare light; spaces that OpenColorIO adapts to ACES's white and back differ in the third digit."""
    np.testing.assert_allclose(light, expected, rtol=4e-3, atol=3.5e-3)


# Profiles.


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("command", ["expand", "convert"])
def test_a_display_p3_picture_is_display_p3(cli, suffix, command, monkeypatch):
    """In each format, and not by a sixth too little green."""
    without_network(monkeypatch)
    path = Path(f"a.{suffix}")
    Image.fromarray(CODE8).save(
        path, icc_profile=DISPLAY_P3, **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {})
    )
    light, facts = light_of(cli, command, str(path))
    stored = np.asarray(Image.open(path))
    matches(light, by_littlecms(stored, DISPLAY_P3))
    srgb = colour.models.eotf_sRGB(stored / 255)
    assert np.abs(light - srgb).max() > 0.05  # as it was
    assert any("display_p3, as the picture says" in note for note in facts["notes"])


def without_network(monkeypatch) -> None:
    """Let the expander be one that decodes as it is."""

    class Plain:
        digest = "0123456789ab"

        def expand(self, code8, **_):
            return (code8 / np.float32(255)).astype(np.float32)

    loaders = SimpleNamespace(load_network=lambda *_: Plain())
    monkeypatch.setitem(sys.modules, "hdrgen.inference.backends", loaders)


@pytest.mark.parametrize(
    ("space", "curve", "name"),
    [
        (P3_D65, {"transferfunction": SRGB_TABLE}, "display_p3"),
        (REC709, {"transferfunction": SRGB_TABLE}, "srgb"),
        (ADOBE_RGB, {"gamma": 563 / 256}, "adobe_rgb"),
        (REC709, {"gamma": 1.0}, "linear"),
        (REC2020, {"gamma": 1.0}, "linear Rec.2020"),
        (REC709, {"gamma": 2.4}, "g24_rec709"),
        (PROPHOTO, {"gamma": 1.8}, "profile 'RGB built-in'"),
        (P3_D65._replace(green=(0.22, 0.72)), {"gamma": 2.0}, "profile 'RGB built-in'"),
    ],
)
def test_a_profile_of_primaries_and_a_curve_is_taken_as_it_is(cli, space, curve, name):
    """Known spaces are recognised, others are taken as the profile has them; littleCMS finds the same light."""
    source = profile(space, **curve)
    png("a.png", iccp(source))
    light, facts = light_of(cli, "expand", "a.png")
    assert facts["encoding"] == name
    expected = by_littlecms(CODE16, source)
    # littleCMS adapts whites by Bradford, hdrgen by CAT02, as ARRI and the Academy do.
    tolerance = 0.03 if space[3] == D50 else 3e-3
    np.testing.assert_allclose(light, expected, rtol=tolerance, atol=tolerance)


def test_other_writers_profiles_of_the_same_space_are_recognised(cli):
    for data, name in [
        (imagecodecs.cms_profile("srgb"), "srgb"),
        (imagecodecs.cms_profile("adobergb"), "adobe_rgb"),
    ]:
        png("a.png", iccp(data))
        assert light_of(cli, "expand", "a.png")[1]["encoding"] == name


def test_version_2_profiles_without_chad_are_understood(cli):
    """Their primaries are adapted to D50, and only the white point says from where."""
    data = bytearray(profile(P3_D65, transferfunction=SRGB_TABLE))
    at = data.index(b"chad", 128)
    data[at : at + 4] = b"none"
    for white in ((0.95047, 1.0, 1.08883), (0.9642, 1.0, 0.8249)):
        where = struct.unpack_from(">I", data, data.index(b"wtpt", 128) + 4)[0]
        struct.pack_into(">3i", data, where + 8, *(round(v * 65536) for v in white))
        png("a.png", iccp(bytes(data)))
        light, facts = light_of(cli, "expand", "a.png")
        assert facts["encoding"] == "display_p3"
        matches(light, by_littlecms(CODE16, DISPLAY_P3))


@pytest.mark.parametrize(
    ("curve", "name"),
    [
        (lambda codes: colour.models.eotf_ST2084(codes) / 10000, "PQ"),
        (lambda codes: np.minimum(colour.models.eotf_ST2084(codes) / 1000, 1), "PQ"),
        (lambda codes: np.minimum(colour.models.eotf_ST2084(codes) / 203, 1), "PQ"),
        (colour.models.oetf_inverse_BT2100_HLG, "HLG"),
        (lambda codes: colour.models.oetf_inverse_BT2100_HLG(codes) ** 1.2, "HLG"),
        (lambda codes: codes**2.0, None),
        (lambda codes: codes**2.6, None),
        (lambda codes: codes**3.5, None),
    ],
)
@pytest.mark.parametrize("count", [256, 1024, 4096])
def test_a_profile_whose_curve_is_pq_or_hlg_is_no_display_light(cli, curve, name, count):
    table = curve(np.linspace(0, 1, count)).astype(np.float32)
    png("a.png", iccp(profile(REC2020, transferfunction=table)))
    said = cli("expand", "a.png", "-o", "out.exr")
    if name is None:
        assert said.code == 0
        return
    assert said.code == 2
    assert f"{name} (the curve of iCCP" in said.err


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [((9, 16, 0, 1), "PQ (iCCP)"), ((9, 18, 0, 1), "HLG (iCCP)"), ((12, 13, 0, 1), None)],
)
def test_numbers_inside_a_profile_come_before_its_primaries(cli, numbers, shown):
    """ICC 4.4 has them for HDR, whose curve no profile of primaries can say."""
    data = bytearray(profile(REC709, gamma=1.0))
    entry = data.index(b"chrm", 128)
    data[entry : entry + 4] = b"cicp"
    where = struct.unpack_from(">I", data, entry + 4)[0]
    data[where + 8 : where + 12] = bytes(numbers)
    png("a.png", iccp(bytes(data)))
    if shown is None:
        assert light_of(cli, "expand", "a.png")[1]["encoding"] == "display_p3"
        return
    said = cli("expand", "a.png", "-o", "out.exr")
    assert said.code == 2
    assert shown in said.err


def test_a_profile_with_a_table_beside_its_primaries_is_named_so(cli):
    data = profile(P3_D65, gamma=1.7)
    png("a.png", iccp(data.replace(b"chrm", b"A2B0", 1)))
    light, facts = light_of(cli, "expand", "a.png")
    assert facts["encoding"] == "profile 'RGB built-in' by its primaries, not its table"
    matches(light, by_littlecms(CODE16, data))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (DISPLAY_P3.replace(b"rXYZ", b"A2B0"), "is a table, not three primaries and a curve"),
        (DISPLAY_P3[:16] + b"CMYK" + DISPLAY_P3[20:], "is for CMYK, not for RGB"),
        (DISPLAY_P3[:16] + b"GRAY" + DISPLAY_P3[20:], "is for grey, not for RGB"),
        (DISPLAY_P3[:200], "the profile is damaged"),
        (b"nonsense", "the profile is damaged"),
        (DISPLAY_P3.replace(b"curv", b"what"), "has a curve of an unknown type"),
    ],
)
def test_a_profile_that_is_not_understood_is_said(cli, data, why):
    """And what is taken in its place: the next thing that the file says, else what is usual, else nothing."""
    png("next.png", iccp(data), SRGB)
    _, facts = light_of(cli, "expand", "next.png")
    assert facts["encoding"] == "srgb"
    assert any("is not understood" in note and why in note for note in facts["notes"]), facts["notes"]
    Image.fromarray(CODE8).save("a.jpg", icc_profile=data)
    said = cli("convert", "a.jpg", "-o", "b.exr", "--from", "srgb")
    assert said.code == 0
    assert why in said.err
    png("alone.png", iccp(data))
    said = cli("expand", "alone.png", "-o", "alone.exr")
    assert said.code == 2
    assert "give --encoding srgb or --encoding logc4" in said.err
    assert not Path("alone.exr").exists()


# Chunks of PNG.


def srgb_light(code) -> np.ndarray:
    return colour.models.eotf_sRGB(code / 65535)


def p3_light(code) -> np.ndarray:
    return colour.RGB_to_RGB(srgb_light(code), "Display P3", "sRGB")


def camera_light(code) -> np.ndarray:
    return colour.models.oetf_inverse_BT2020(code / 65535, is_12_bits_system=True)


@pytest.mark.parametrize(
    ("chunks", "name", "expected"),
    [
        ([SRGB], "srgb", srgb_light),
        ([iccp(DISPLAY_P3)], "display_p3", p3_light),
        ([cicp(12, 13, 0, 1)], "display_p3", p3_light),
        ([cicp(1, 13, 0, 1)], "srgb", srgb_light),
        ([cicp(1, 8, 0, 1)], "linear", lambda code: code / 65535),
        ([cicp(1, 4, 0, 1)], "g22_rec709", lambda code: (code / 65535) ** 2.2),
        ([cicp(1, 1, 0, 1)], "itu709_rec709", camera_light),
        (
            [cicp(9, 14, 0, 1)],
            "itu709_rec2020",
            lambda code: colour.RGB_to_RGB(camera_light(code), "ITU-R BT.2020", "sRGB"),
        ),
        ([gama(2.2)], "g22_rec709", lambda code: (code / 65535) ** 2.2),
        ([gama(1.0)], "linear", lambda code: code / 65535),
        ([gama(1.8)], "g18_rec709", lambda code: (code / 65535) ** 1.8),
        ([gama(1.5), chrm(REC709)], "gamma 1.5 and primaries of its own", lambda code: (code / 65535) ** 1.5),
        (
            [gama(2.2), chrm(ADOBE_RGB)],
            "adobe_rgb",
            lambda code: colour.RGB_to_RGB((code / 65535) ** (563 / 256), "Adobe RGB (1998)", "sRGB"),
        ),
        # Precedence: cICP, iCCP, sRGB, gAMA with cHRM, in whatever order they stand.
        ([SRGB, gama(1.0), chrm(ADOBE_RGB)], "srgb", srgb_light),
        ([gama(1.0), SRGB, iccp(DISPLAY_P3)], "display_p3", p3_light),
        ([gama(1.0), SRGB, iccp(DISPLAY_P3), cicp(1, 8, 0, 1)], "linear", lambda code: code / 65535),
        ([cicp(2, 2, 0, 1), SRGB], "srgb", srgb_light),
        ([cicp(1, 99, 0, 1), iccp(DISPLAY_P3)], "display_p3", p3_light),
    ],
)
def test_a_png_means_what_its_chunks_say(cli, chunks, name, expected):
    """The order of PNG's third edition; `expand` and `convert` read the same light."""
    png("a.png", *chunks)
    light, facts = light_of(cli, "expand", "a.png")
    assert facts["encoding"] == name
    matches(light, expected(CODE16))
    matches(light_of(cli, "convert", "a.png")[0], expected(CODE16))


@pytest.mark.parametrize(
    ("chunks", "what"),
    [
        ([cicp(9, 16, 0, 1)], "PQ (cICP)"),
        ([cicp(9, 18, 0, 1)], "HLG (cICP)"),
        ([cicp(9, 16, 0, 1), iccp(DISPLAY_P3), SRGB], "PQ (cICP)"),
        ([cicp(1, 13, 0, 0)], "codes of the narrow range"),
    ],
)
def test_codes_that_are_no_light_here_are_never_taken_for_srgb(cli, chunks, what):
    png("a.png", *chunks)
    for command, option in (("expand", "--encoding"), ("convert", "--from")):
        said = cli(command, "a.png", "-o", "out.exr")
        assert said.code == 2
        assert what in said.err
        assert f"give {option}" in said.err
        assert not Path("out.exr").exists()
    said = cli("expand", "a.png", "-o", "out.exr", "--encoding", "srgb")
    assert said.code == 0
    assert "the picture says " in said.err
    assert "srgb was asked for" in said.err


@pytest.mark.parametrize(
    ("chunks", "why"),
    [
        ([chrm(REC709)], "primaries (cHRM) without a curve (gAMA)"),
        ([chunk(b"gAMA", bytes(4))], "gamma 0 is no curve"),
        ([chunk(b"cICP", b"\1")], "the cICP chunk is damaged"),
        ([chunk(b"iCCP", b"name\0\0nonsense")], "the iCCP chunk is damaged"),
        ([gama(2.2), chrm(((0, 0), (0, 0), (0, 0), (0, 0)))], "span no colour space"),
    ],
)
def test_chunks_that_say_nothing_are_named_and_do_no_harm(cli, chunks, why):
    png("a.png", *chunks)
    said = cli("expand", "a.png", "-o", "out.exr", "--encoding", "srgb")
    assert said.code == 0
    assert why in said.err


def test_our_own_words_come_first_and_an_option_before_them(cli):
    write_code(Path("a.png"), CODE16, text={"hdrgen:encoding": "logc4"})
    data = Path("a.png").read_bytes()
    Path("a.png").write_bytes(data[:33] + SRGB + data[33:])
    assert light_of(cli, "expand", "a.png")[1]["encoding"] == "logc4"
    facts = light_of(cli, "expand", "a.png", "--encoding", "display_p3")[1]
    assert facts["encoding"] == "display_p3"
    assert "the picture says logc4; display_p3 was asked for" in facts["notes"]
    facts = light_of(cli, "convert", "a.png")[1]
    assert facts["source_space"] == "logc4"


def test_convert_says_where_from_contradicts_the_file(cli):
    png("a.png", iccp(DISPLAY_P3))
    facts = light_of(cli, "convert", "a.png", "--from", "srgb")[1]
    assert any("the picture says display_p3 (iCCP); sRGB" in note for note in facts["notes"])
    assert light_of(cli, "convert", "a.png", "--from", "srgb_p3d65")[1]["notes"] == []
    png("silent.png")
    said = cli("convert", "silent.png", "-o", "out.exr")
    assert said.code == 2
    assert "silent.png: code values do not say their colour space; give --from" in said.err


def test_what_convert_wrote_it_reads_again(cli):
    """`hdrgen:space` may name any space of the configuration."""
    png("a.png", SRGB)
    for space in ("CanonLog3 CinemaGamut D55", "logc4", "srgb_p3d65", "ACEScct"):
        assert cli("convert", "a.png", "-o", "b.png", "--to", space, "--bits", "16").code == 0
        matches(light_of(cli, "convert", "b.png")[0], srgb_light(CODE16))


# JPEG without a profile: what cameras write.


@pytest.mark.parametrize(
    ("space", "index", "name"), [(1, None, "srgb"), (0xFFFF, "R03", "adobe_rgb"), (2, None, "adobe_rgb")]
)
def test_a_cameras_jpeg_says_its_space_in_exif(cli, space, index, name, monkeypatch):
    """The optional Adobe RGB of DCF has no profile."""
    without_network(monkeypatch)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = space
    if index:
        exif.get_ifd(0x8769)[0xA005] = {1: index, 2: b"0100"}
    Image.fromarray(CODE8).save("a.jpg", exif=exif)
    assert light_of(cli, "expand", "a.jpg")[1]["encoding"] == name


# Stacks and pairs.


def test_brackets_in_display_p3_are_merged_in_display_p3(cli):
    """Light at EV 0, as littleCMS finds it in the middle exposure."""
    code = np.clip(CODE16, 0, 60000)
    light = by_littlecms(code, DISPLAY_P3)
    p3 = convert_primaries(light.astype(np.float64), REC709, P3_D65)
    for ev in (-1, 0, 1):
        codes = np.clip(colour.models.eotf_inverse_sRGB(p3 * 2.0**ev), 0, 1) * 65535
        png(f"s_ev{ev:+d}.png", iccp(DISPLAY_P3), code=np.rint(codes).astype(np.uint16))
    merged, facts = light_of(cli, "merge", *(f"s_ev{ev:+d}.png" for ev in (-1, 0, 1)), "--method", "closed")
    assert facts["encoding"] == "display_p3"
    np.testing.assert_allclose(merged, light, rtol=0.02, atol=4e-3)
    png("s_ev+1.png", iccp(profile(PROPHOTO, gamma=1.8)))
    said = cli("merge", "s_ev+0.png", "s_ev+1.png", "-o", "no.exr", "--method", "closed")
    assert said.code == 2
    assert "give --encoding" in said.err
    png("s_ev+0.png", iccp(profile(PROPHOTO, gamma=1.8)))
    said = cli("merge", "s_ev+0.png", "s_ev+1.png", "-o", "no.exr", "--method", "closed")
    assert "for which there are no tables; convert the pictures first, or give --encoding" in said.err


# EXR.


@pytest.mark.parametrize(
    ("name", "curve", "space"),
    [
        ("srgb_rec709_scene", colour.models.eotf_inverse_sRGB, REC709),
        ("srgb_p3d65_scene", colour.models.eotf_inverse_sRGB, P3_D65),
        ("srgb_ap1_scene", colour.models.eotf_inverse_sRGB, AP1),
        ("g22_rec709_scene", lambda light: light ** (1 / 2.2), REC709),
        ("g18_rec709_scene", lambda light: light ** (1 / 1.8), REC709),
        ("g22_adobergb_scene", lambda light: light ** (256 / 563), ADOBE_RGB),
        ("lin_rec709_scene", lambda light: light, REC709),
        ("lin_adobergb_scene", lambda light: light, ADOBE_RGB),
        ("ocio:lin_awg4_scene", lambda light: light, AWG4),
        ("ocio:arrilogc4_awg4_scene", colour.models.log_encoding_ARRILogC4, AWG4),
    ],
)
@pytest.mark.parametrize("stated", [False, True])
def test_an_exr_of_codes_is_decoded_as_its_interop_id_says(cli, name, curve, space, stated):
    linear = srgb_light(CODE16)
    codes = curve(convert_primaries(linear, REC709, space)).astype(np.float32)
    spec = oiio.ImageSpec(32, 24, 3, oiio.FLOAT)
    spec.attribute("colorInteropID", name)
    if stated:
        spec.attribute("chromaticities", "float[8]", tuple(v for xy in space for v in xy))
    out = oiio.ImageOutput.create("a.exr")
    out.open("a.exr", spec)
    out.write_image(codes)
    out.close()
    light, facts = light_of(cli, "convert", "a.exr")
    matches(light, linear)
    decoded = any("codes (colorInteropID" in note for note in facts["notes"])
    assert decoded == (not name.removeprefix("ocio:").startswith("lin"))


@pytest.mark.parametrize(
    "name", ["pq_rec2020_display", "pq_xyzd65_display", "ours:secret_space_scene", "data"]
)
def test_an_exr_of_codes_that_are_no_light_is_refused_with_the_way_out(cli, name):
    spec = oiio.ImageSpec(32, 24, 3, oiio.FLOAT)
    spec.attribute("colorInteropID", name)
    out = oiio.ImageOutput.create("a.exr")
    out.open("a.exr", spec)
    out.write_image((CODE16 / 65535).astype(np.float32))
    out.close()
    said = cli("convert", "a.exr", "-o", "b.exr")
    assert said.code == 2
    assert "--from" in said.err
    assert cli("convert", "a.exr", "-o", "b.exr", "--from", "srgb", "--to", "linear_rec709").code == 0
    matches(read_exr(Path("b.exr")).rgb, srgb_light(CODE16))
    assert cli("check", "a.exr").code == 1
    assert cli("preview", "a.exr", "-o", "b.png").code == 2


def test_an_id_that_only_the_configuration_knows_is_its_space(cli):
    """A camera maker's space, by OpenColorIO; without it the light would be taken for Rec.709."""
    spec = oiio.ImageSpec(32, 24, 3, oiio.FLOAT)
    spec.attribute("colorInteropID", "ocio:lin_vgamut_scene")
    out = oiio.ImageOutput.create("a.exr")
    out.open("a.exr", spec)
    out.write_image(colour.RGB_to_RGB(srgb_light(CODE16), "sRGB", "V-Gamut").astype(np.float32))
    out.close()
    light, facts = light_of(cli, "convert", "a.exr")
    matches(light, srgb_light(CODE16))
    assert (facts["source_space"], facts["notes"]) == ("Linear V-Gamut", [])


@pytest.mark.parametrize("name", ["ours:lin_secret_scene", "g22"])
def test_an_unknown_id_is_said(cli, name):
    spec = oiio.ImageSpec(32, 24, 3, oiio.FLOAT)
    spec.attribute("colorInteropID", name)
    out = oiio.ImageOutput.create("a.exr")
    out.open("a.exr", spec)
    out.write_image(srgb_light(CODE16).astype(np.float32))
    out.close()
    light, facts = light_of(cli, "convert", "a.exr")
    matches(light, srgb_light(CODE16))
    assert any(
        f"colorInteropID {name!r} is not known here; its values were taken for linear" in n
        for n in facts["notes"]
    )


def test_log_codes_that_the_configuration_knows_are_decoded_or_refused(cli):
    """ACEScct is OpenColorIO's to decode in `convert`; what does not ask it must not take the codes for light."""
    spec = oiio.ImageSpec(32, 24, 3, oiio.FLOAT)
    spec.attribute("colorInteropID", "ocio:acescct_ap1_scene")
    out = oiio.ImageOutput.create("a.exr")
    out.open("a.exr", spec)
    light = colour.RGB_to_RGB(srgb_light(CODE16), "sRGB", "ACEScg")
    out.write_image(colour.models.log_encoding_ACEScct(np.maximum(light, 0)).astype(np.float32))
    out.close()
    matches(light_of(cli, "convert", "a.exr")[0], srgb_light(CODE16))
    said = cli("preview", "a.exr", "-o", "b.png")
    assert said.code == 2
    assert "says it holds ocio:acescct_ap1_scene" in said.err


def test_a_training_frame_of_codes_is_light(cli):
    """`ingest` takes textures for light no more, and says what it did; an override holds for what is stored."""
    codes = np.random.default_rng(0).uniform(0.2, 0.9, (256, 256, 3)).astype(np.float32)
    spec = oiio.ImageSpec(256, 256, 3, oiio.FLOAT)
    spec.attribute("colorInteropID", "srgb_rec709_scene")
    Path("in").mkdir()
    out = oiio.ImageOutput.create("a.exr")
    out.open("in/a.exr", spec)
    out.write_image(codes)
    out.close()
    for options, light in (
        ([], colour.models.eotf_sRGB(codes)),
        (["--encoding", "linear_rec709"], codes),
    ):
        folder = f"out{len(options)}"
        said = cli("ingest", "in", "-o", folder, "--exposure", "keep", *options)
        assert said.code == 0, said.err
        frame = read_exr(next(Path(folder).rglob("*.exr")))
        matches(convert_primaries(frame.rgb.astype(np.float64), AWG4, REC709), light)
        decoded = "srgb_rec709_scene codes decoded" in frame.attributes["hdrgenEncoding"]
        assert decoded == (not options)


def test_codes_under_alpha_are_decoded_as_what_they_were(cli):
    """EXR is premultiplied, so codes are divided by alpha before their curve and multiplied after it."""
    alpha = np.linspace(0.1, 1, 24 * 32, dtype=np.float32).reshape(24, 32, 1)
    spec = oiio.ImageSpec(32, 24, 4, oiio.FLOAT)
    spec.attribute("colorInteropID", "srgb_rec709_scene")
    out = oiio.ImageOutput.create("a.exr")
    out.open("a.exr", spec)
    out.write_image(np.dstack([CODE16 / 65535 * alpha, alpha]).astype(np.float32))
    out.close()
    assert cli("convert", "a.exr", "-o", "b.exr", "--to", "linear_rec709").code == 0
    matches(read_exr(Path("b.exr")).rgb, srgb_light(CODE16) * alpha)


def test_a_tone_maps_profile_is_said(cli, monkeypatch):
    """`fuse` takes the codes for a tone map's whatever their file says."""

    class Plain:
        digest, log_ceiling_linear = "0123456789ab", 10000.0

        def fuse(self, reinhard, _log, **_):
            return (reinhard / np.float32(255)).astype(np.float32)

    monkeypatch.setitem(
        sys.modules, "hdrgen.inference.backends", SimpleNamespace(load_network=lambda *_: Plain())
    )
    png("r.png", iccp(DISPLAY_P3), code=CODE8)
    png("l.png", iccp(b"nonsense"), code=CODE8)
    said = cli("fuse", "--reinhard", "r.png", "--log", "l.png", "-o", "out.exr")
    assert said.code == 0
    assert "r.png says it is Display P3 (iCCP); its codes were taken for a tone map's" in said.err
    assert "in awg4; say --primaries if not" in said.err
    assert "state no primaries" not in said.err
    assert "l.png: what the file says of its colour is not understood" in said.err
    said = cli("fuse", "--reinhard", "r.png", "--log", "l.png", "-o", "b.exr", "--primaries", "linear_rec709")
    assert "say --primaries" not in said.err


def test_a_tiffs_profile_is_kept_apart_from_its_pixels():
    tifffile.imwrite("a.tif", CODE16, photometric="rgb", iccprofile=DISPLAY_P3)
    image = read_code(Path("a.tif"))
    np.testing.assert_array_equal(image.code, CODE16)
    assert image.colour.key == "srgb_p3d65"
