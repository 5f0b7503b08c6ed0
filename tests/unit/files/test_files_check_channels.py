"""`hdrgen check` on files with more than a picture: every channel of every part is read, and judged as what it is."""

import json

import numpy as np
import OpenEXR
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.exr_channels import ChannelPixels, channels_in, read_contents
from hdrgen.images.exr_file import open_exr
from hdrgen.images.stored_image import UnreadableImage
from hdrgen.qc.channels import channel_numbers
from hdrgen.qc.check import check_delivery

HEIGHT, WIDTH = 24, 32
LIGHT = (2.0 ** np.random.default_rng(0).uniform(-5, 5, (HEIGHT, WIDTH, 3)) * 0.18).astype(np.float16)
STATED = tuple(float(x) for xy in AP1 for x in xy)
OURS = {
    "chromaticities": STATED,
    "colorInteropID": "lin_ap1_scene",
    "hdrgenVersion": "0.1",
    "hdrgenRoute": "dual",
}


def header(**more):
    return {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION, **OURS, **more}


def colours(prefix="", linear=LIGHT):
    return {f"{prefix}{c}": np.ascontiguousarray(linear[..., i]) for i, c in enumerate("RGB")}


def plane(value=1.0, dtype=np.float16, at=None):
    """Return a channel of ones but for one value, at x 5, y 3."""
    values = np.ones((HEIGHT, WIDTH), dtype)
    values[at or (3, 5)] = value
    return values


def write(path, channels, **more):
    OpenEXR.File(header(**more), channels).write(str(path))
    return path


def write_parts(path, **parts):
    made = [OpenEXR.Part(header(), channels, name) for name, channels in parts.items()]
    OpenEXR.File(made).write(str(path))
    return path


@pytest.fixture
def checked(cli):
    """Check one file: the exit code, and verdict and words by rule."""

    def call(path, *options):
        said = cli("check", path, "--json", *options)
        findings = json.loads(said.out)["files"][0]["findings"]
        return said.code, {f["rule"]: (f["verdict"], f["why"], f["way_out"]) for f in findings}

    return call


def read_by_openimageio(path, subimage, channel):
    """Return a channel as a second library reads it."""
    oiio = pytest.importorskip("OpenImageIO")
    buffer = oiio.ImageBuf(str(path), subimage, 0)
    names = list(buffer.spec().channelnames)
    return buffer.get_pixels(oiio.FLOAT)[..., names.index(channel)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name",
    ["A", "N.X", "P.Z", "diffuse.R", "uv.v", "right.G", "motion.X", "Normal.Z", "mask", "ViewLayer.AO.R"],
)
def test_a_number_that_is_none_is_not_fit_in_any_channel(checked, tmp_path, name, bad):
    """Which channel and where, as a second library finds it."""
    channels = {**colours(), name: plane(bad)}
    if name[-1] in "XZ":
        channels |= {name[:-1] + c: plane() for c in "XYZ" if c != name[-1]}
    path = write(tmp_path / "a.exr", channels)
    found = np.argwhere(~np.isfinite(read_by_openimageio(path, 0, name)))
    assert found.tolist() == [[3, 5]]
    code, findings = checked(path)
    assert code == 1
    verdict, why, way_out = findings["finite"]
    count = "1 NaN and 0 Inf" if np.isnan(bad) else "0 NaN and 1 Inf"
    assert (verdict, why) == ("fail", f"{name}: {count} values, the first at x 5, y 3")
    assert way_out


def test_what_fails_for_alpha_is_what_convert_refuses(cli, checked, tmp_path):
    path = write(tmp_path / "a.exr", {**colours(), "A": plane(np.nan)})
    assert checked(path)[0] == 1
    refused = cli("convert", path, "-o", tmp_path / "b.exr")
    assert refused.code != 0
    assert "not finite" in refused.err


def test_every_part_is_looked_at(checked, tmp_path):
    path = write_parts(
        tmp_path / "a.exr",
        rgba={**colours(), "A": plane()},
        specular=colours("specular.") | {"specular.G": plane(np.nan)},
    )
    assert np.isnan(read_by_openimageio(path, 1, "specular.G")[3, 5])
    _, findings = checked(path)
    assert findings["finite"][:2] == (
        "fail",
        "specular:specular.G: 1 NaN and 0 Inf values, the first at x 5, y 3",
    )
    assert "the picture is rgba:R, rgba:G, rgba:B, rgba:A" in findings["readable"][1]


@pytest.mark.parametrize("name", ["Z", "depth.Z", "depth.Y", "ViewLayer.Depth.Z", "ZBack", "zdepth.r"])
def test_infinite_depth_is_asked_about(checked, tmp_path, name):
    """Renderers write Inf where nothing is; NaN is no distance."""
    code, findings = checked(write(tmp_path / "a.exr", {**colours(), name: plane(np.inf, np.float32)}))
    assert (code, findings["finite"][0]) == (0, "warn")
    assert name in findings["finite"][1]
    code, findings = checked(write(tmp_path / "b.exr", {**colours(), name: plane(np.nan, np.float32)}))
    assert (code, findings["finite"][0]) == (1, "fail")


def test_infinite_depth_in_its_own_part_is_asked_about(checked, tmp_path):
    path = write_parts(tmp_path / "a.exr", rgba=colours(), depth={"Z": plane(np.inf, np.float32)})
    assert checked(path)[1]["finite"][:2] == (
        "warn",
        "depth:Z: 0 NaN and 1 Inf values, the first at x 5, y 3",
    )


def hashes():
    """Return hashes as Cryptomatte stores them, one of which happens to be NaN and one Inf."""
    bits = np.random.default_rng(1).integers(0, 2**32, (HEIGHT, WIDTH), dtype=np.uint32)
    bits[0, :2] = 0x7FC00001, 0x7F800000
    return bits.view(np.float32)


@pytest.mark.parametrize(
    ("layer", "stated"),
    [
        ("CryptoObject00", {}),
        ("uCryptoAsset01", {}),
        ("ViewLayer.CryptoMaterial00", {}),
        ("matte00", {"cryptomatte/a1b2c3d/name": "matte", "cryptomatte/a1b2c3d/hash": "MurmurHash3_32"}),
    ],
)
def test_hashes_are_bits_and_no_light(checked, tmp_path, layer, stated):
    """By the name, or by what the header calls the layer."""
    path = write(tmp_path / "a.exr", colours() | {f"{layer}.{c}": hashes() for c in "RGBA"}, **stated)
    assert np.isnan(read_by_openimageio(path, 0, f"{layer}.R")[0, 0])
    code, findings = checked(path)
    assert (code, findings["finite"][0], findings["overflow"][0]) == (0, "pass", "pass")


@pytest.mark.parametrize("name", ["id", "objectId.X", "IndexOB.X", "VRayMtlID", "material_id"])
def test_ids_are_no_light(checked, tmp_path, name):
    code, findings = checked(write(tmp_path / "a.exr", {**colours(), name: hashes()}))
    assert (code, findings["finite"][0]) == (0, "pass")
    # A grid is no id.
    assert checked(write(tmp_path / "b.exr", {**colours(), "grid": hashes()}))[1]["finite"][0] == "fail"


def test_the_type_judged_is_the_pictures(checked, tmp_path):
    """Integer ids and float depth beside half colour are named; an integer picture is not fit."""
    ids = np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH)
    path = write(tmp_path / "a.exr", {**colours(), "id": ids, "Z": plane(9.0, np.float32), "N.X": plane()})
    code, findings = checked(path)
    assert code == 0
    assert findings["pixels"][:2] == ("pass", "half RGB, beside it N.X (half); Z (float); id (uint)")
    code, findings = checked(write(tmp_path / "b.exr", dict.fromkeys("RGB", ids)))
    assert findings["pixels"][:2] == ("fail", "uint, not half")
    code, findings = checked(write(tmp_path / "c.exr", {**dict.fromkeys("RGB", ids), "diffuse.R": plane()}))
    assert findings["pixels"][:2] == ("fail", "uint, not half, beside it diffuse.R (half)")
    code, findings = checked(write(tmp_path / "d.exr", {**colours(), "A": plane(1, np.float32)}))
    assert findings["pixels"][:2] == ("pass", "half RGB, beside it A (float)")
    mixed = {**colours(), "G": plane(1, np.float32)}
    code, findings = checked(write(tmp_path / "f.exr", mixed))
    assert (code, findings["pixels"][:2]) == (1, ("fail", "float, not half"))
    flagged = header(chromaticities=(0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767))
    flagged |= {
        "acesImageContainerFlag": 1,
        "compression": OpenEXR.NO_COMPRESSION,
        "colorInteropID": "lin_ap0_scene",
    }
    OpenEXR.File(flagged, {**colours(), "id": ids}).write(str(tmp_path / "e.exr"))
    assert checked(tmp_path / "e.exr")[1]["ACES container"][0] == "pass"


@pytest.mark.parametrize(
    ("name", "dtype", "verdict"),
    [
        ("A", np.float16, "warn"),
        ("specular.R", np.float16, "warn"),
        ("P.X", np.float16, "warn"),
        ("P.X", np.float32, "pass"),
        ("Z", np.float16, "pass"),
        ("Z", np.float32, "pass"),
        ("CryptoObject00.R", np.float32, "pass"),
    ],
)
def test_where_half_floats_end_is_asked_about_beside_the_picture(checked, tmp_path, name, dtype, verdict):
    """A distance may be that large; light and positions in half were cut off there."""
    code, findings = checked(write(tmp_path / "a.exr", {**colours(), name: plane(65504, dtype)}))
    assert (code, findings["overflow"][0]) == (0, verdict)
    assert (f"{name}: 1 value at 65504" in findings["overflow"][1]) == (verdict == "warn")
    linear = LIGHT.copy()
    linear[0, 0] = 65504
    code, findings = checked(write(tmp_path / "b.exr", colours(linear=linear)))
    assert (code, findings["overflow"][0]) == (1, "fail")


def test_a_subsampled_channel_is_placed_where_it_lies(shared_hdr):
    """The library cannot write one: the place by itself, the reading from a real file."""
    chroma = ChannelPixels(0, "", "RY", plane(np.inf), "other", sampling=(2, 4))
    assert channel_numbers(chroma).first_bad == (10, 12)
    path = shared_hdr / "scenes" / "Rec709_YC.exr"
    file, picture = open_exr(path), read_contents(path).picture
    found = {channel.name: channel for channel in channels_in(file, file.parts(separate=True), picture)}
    assert {name: channel.kind for name, channel in found.items()} == dict.fromkeys(
        ("Y", "RY", "BY"), "picture"
    )
    height, width = found["Y"].pixels.shape
    assert found["RY"].sampling == (2, 2)
    assert found["RY"].pixels.shape == ((height + 1) // 2, (width + 1) // 2)


def test_deep_samples_beside_a_picture_are_read(checked, tmp_path):
    samples = np.empty((HEIGHT, WIDTH), object)
    for place in np.ndindex(HEIGHT, WIDTH):
        samples[place] = np.float32([1, 2])
    samples[3, 5] = np.float32([1, np.nan])
    deep = OpenEXR.Part(
        {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION}, {"fog": samples}, "deep"
    )
    OpenEXR.File([OpenEXR.Part(header(), colours(), "rgb"), deep]).write(str(tmp_path / "a.exr"))
    _, findings = checked(tmp_path / "a.exr")
    assert findings["finite"][:2] == ("fail", "deep:fog: 1 NaN and 0 Inf values")


def test_many_channels_are_counted_not_listed(checked, tmp_path):
    path = write(tmp_path / "a.exr", colours() | {f"light{i:02d}.R": plane(np.nan) for i in range(30)})
    why = checked(path)[1]["finite"][1]
    assert why.count("light") == 6
    assert why.endswith("; and 24 more")


def test_channels_are_listed_where_there_are_others_beside_the_picture(tmp_path):
    assert not read_contents(write(tmp_path / "a.exr", {**colours(), "A": plane()})).channels
    assert not read_contents(write(tmp_path / "b.exr", {"Y": plane()})).channels
    assert read_contents(write(tmp_path / "c.exr", {**colours(), "Z": plane()})).channels
    assert read_contents(write_parts(tmp_path / "d.exr", a=colours(), b={"Z": plane()})).channels
    with pytest.raises(UnreadableImage, match="no\\.exr: cannot be read"):
        read_contents(tmp_path / "no.exr")


@pytest.mark.parametrize("beside", [{}, {"Z": plane(9, np.float32)}])
def test_a_file_is_decoded_once(tmp_path, monkeypatch, beside):
    path = write(tmp_path / "a.exr", {**colours(), **beside})
    opened = []

    def counted(*arguments, of=OpenEXR.File, **options):
        opened.append(options.get("header_only", False))
        return of(*arguments, **options)

    monkeypatch.setattr(OpenEXR, "File", counted)
    assert check_delivery(path).fit
    assert opened == [True, False]


def test_all_channels_are_as_stored(tmp_path):
    """Values, types and names, against OpenImageIO."""
    path = write_parts(tmp_path / "a.exr", rgb=colours(), data={"Z": plane(9, np.float32), "N.X": plane(-1)})
    channels = read_contents(path).channels
    assert [(c.full_name, c.pixel_type, c.kind) for c in channels] == [
        ("rgb:B", "half", "picture"),
        ("rgb:G", "half", "picture"),
        ("rgb:R", "half", "picture"),
        ("data:N.X", "half", "other"),
        ("data:Z", "float", "depth"),
    ]
    for channel in channels:
        np.testing.assert_array_equal(channel.pixels, read_by_openimageio(path, channel.part, channel.name))


@pytest.mark.parametrize("compression", [OpenEXR.DWAA_COMPRESSION, OpenEXR.DWAB_COMPRESSION])
def test_light_that_lossy_compression_made_infinite_says_so(checked, tmp_path, compression):
    """All values written are finite; what is read is not, and the way out is the source."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        linear = rng.uniform(0.1, 1, (256, 256, 3)).astype(np.float16)
        y, x = rng.integers(8, 200, 2)
        linear[y : y + 35, x : x + 17] = 63000
        linear[119, 220] = 65504
        path = write(tmp_path / "a.exr", colours(linear=linear), compression=compression)
        if np.isinf(read_by_openimageio(path, 0, "R")).any():
            break
    else:
        pytest.skip("this OpenEXR does not overshoot")
    code, findings = checked(path)
    assert (code, findings["finite"][0]) == (1, "fail")
    assert "loses precision, by which light near 65504 becomes Inf" in findings["finite"][1]
    assert "--compression zip" in findings["finite"][2]


@pytest.mark.parametrize(
    ("channels", "verdict"),
    [
        ({f"CryptoObject00.{c}": hashes() for c in "RGBA"}, "pass"),
        ({"Z": plane(np.inf, np.float32)}, "warn"),
        ({"Z": plane(np.nan, np.float32)}, "fail"),
        ({f"N.{c}": plane(np.nan) for c in "XYZ"}, "fail"),
        ({"id": np.full((HEIGHT, WIDTH), 2**32 - 1, np.uint32)}, "pass"),
    ],
)
def test_a_file_of_data_is_checked_as_data(checked, tmp_path, channels, verdict):
    """Nothing that is asked of light is asked of it; what is asked of every file is."""
    code, findings = checked(write(tmp_path / "a.exr", channels, compression=OpenEXR.PXR24_COMPRESSION))
    assert code == (verdict == "fail")
    assert findings["finite"][0] == verdict
    assert findings["readable"][1] == f"{WIDTH}x{HEIGHT}, scanline, data without a picture"
    assert findings["compression"][0] == "warn"
    assert not {"range", "gamut", "banding", "primaries", "clipping", "pinned"} & findings.keys()


def test_the_layer_asked_for_is_judged(cli, checked, tmp_path):
    """And the note says which was taken where none was asked for."""
    path = write(tmp_path / "a.exr", {**colours("beauty.", LIGHT * 0 + 0.25), **colours("relit.")})
    assert "nothing above 1.0" in checked(path)[1]["range"][1]
    assert checked(path, "--layer", "relit")[1]["range"][0] == "pass"
    said = cli("check", path, "--json")
    notes = json.loads(said.out)["files"][0]["notes"]
    assert any("beauty" in note and "relit" in note for note in notes)
    assert all(note in said.err for note in notes)
    beside = write(tmp_path / "c.exr", {**colours(), "Z": plane()})
    assert cli("check", beside).err == ""  # all of it was looked at
    parts = write_parts(tmp_path / "b.exr", dark=colours(linear=LIGHT * 0 + 0.25), light=colours())
    assert checked(parts, "--part", "light")[1]["range"][0] == "pass"
    assert checked(parts, "--part", "dark")[1]["range"][0] == "warn"


def test_a_file_of_several_pictures_asks_which(checked, tmp_path):
    path = write(tmp_path / "a.exr", {**colours("one."), **colours("two.")})
    code, findings = checked(path)
    assert (code, findings["readable"][0], findings["readable"][2]) == (1, "fail", "say which it is")
    assert "one, two" in findings["readable"][1]
    assert checked(path, "--layer", "two")[0] == 0
