"""EXR files as programs leave them: header values that Python cannot say, and channels of fewer samples."""

import io
import json
import os
import struct
import subprocess
import sys

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import pytest

from hdrgen.colour.primaries import AP1, REC709, luminance_weights
from hdrgen.images.exr import read_exr, read_header, write_exr
from hdrgen.images.exr_file import open_exr
from hdrgen.images.exr_header import masked_file
from hdrgen.images.luminance_chroma import rgb_from_luminance_chroma
from hdrgen.images.stored_image import UnreadableImage

NAN = float("nan")
TYPES = {"uint32": 0, "float16": 1, "float32": 2}
WIDTH, HEIGHT = 24, 16


def attribute(name, kind, value):
    """Return the bytes of an attribute; name and type may be bytes that are no text."""
    name, kind = (word if isinstance(word, bytes) else word.encode() for word in (name, kind))
    return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def text(value):
    return struct.pack("<i", len(value)) + value


def channel_list(planes, sampling):
    entries = (
        name.encode("latin-1")
        + b"\0"
        + struct.pack("<iB3xii", TYPES[str(plane.dtype)], 0, *sampling.get(name, (1, 1)))
        for name, plane in sorted(planes.items())
    )
    return b"".join(entries) + b"\0"


def exr_bytes(planes, *extra, sampling=None, width=WIDTH, height=HEIGHT, corner=(0, 0), **replaced):
    """Return an uncompressed EXR built by the specification, with further attributes and others in their place."""
    sampling = sampling or {}
    x0, y0 = corner
    window = struct.pack("<4i", x0, y0, x0 + width - 1, y0 + height - 1)
    attributes = {
        "channels": ("chlist", channel_list(planes, sampling)),
        "compression": ("compression", b"\0"),
        "dataWindow": ("box2i", window),
        "displayWindow": ("box2i", window),
        "lineOrder": ("lineOrder", b"\0"),
        "pixelAspectRatio": ("float", floats(1)),
        "screenWindowCenter": ("v2f", floats(0, 0)),
        "screenWindowWidth": ("float", floats(1)),
    } | replaced
    head = b"\x76\x2f\x31\x01" + struct.pack("<I", 2)
    head += b"".join(attribute(name, *said) for name, said in attributes.items()) + b"".join(extra) + b"\0"
    chunks, rows = [], dict.fromkeys(planes, 0)
    for y in range(y0, y0 + height):
        body = b""
        for name, plane in sorted(planes.items()):
            if y % sampling.get(name, (1, 1))[1] == 0:
                body += plane[rows[name]].tobytes()
                rows[name] += 1
        chunks.append(struct.pack("<ii", y, len(body)) + body)
    ends = len(head) + 8 * height + np.cumsum([0, *map(len, chunks)])[:-1]
    return head + struct.pack(f"<{height}Q", *ends) + b"".join(chunks)


def ramp(start, across=0.25, down=0.5, every=(1, 1), dtype=np.float16):
    """Return samples of a plane that halves hold exactly, one for every so many pixels."""
    x, y = np.arange(0, WIDTH, every[0]), np.arange(0, HEIGHT, every[1])
    return (start + across * x[None] + down * y[:, None]).astype(dtype)


RGB = {name: ramp(start) for name, start in zip("RGB", (1, 2, 3), strict=True)}
PICTURE = np.stack([RGB[name] for name in "RGB"], axis=-1)


@pytest.fixture
def odd(tmp_path):
    """Write bytes as a file."""

    def write(data, name="odd.exr"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize(
    ("extra", "name", "said", "note"),
    [
        (attribute("owner", "string", b"Fran\xe7ois"), "owner", "François", "owner is not UTF-8"),
        (attribute("owner", "string", b"\xed\xa0\x80"), "owner", "í\xa0\x80", "owner is not UTF-8"),
        (attribute(b"caf\xe9", "string", b"x"), "café", "x", "café is not UTF-8"),
        (
            attribute("multiView", "stringvector", text(b"l\xe9") + text(b"right")),
            "multiView",
            ["lé", "right"],
            "multiView is not UTF-8",
        ),
        (attribute("view", "string", b"l\xe9"), "view", "lé", "view is not UTF-8"),
        (attribute("name", "string", b"l\xe9"), "name", "lé", "name is not UTF-8"),
        (
            attribute("framesPerSecond", "rational", struct.pack("<iI", 24, 0)),
            "framesPerSecond",
            "24/0",
            "framesPerSecond is 24/0, which is no number",
        ),
        (
            attribute("captureRate", "rational", struct.pack("<iI", 0, 0)),
            "captureRate",
            "0/0",
            "captureRate is 0/0",
        ),
        (
            attribute("keyCode", "keycode", struct.pack("<7i", -1, 10**8, -5, -5, -5, -5, -5)),
            "keyCode",
            None,
            "attribute keyCode is left behind: its value is no keycode",
        ),
        (
            attribute("ids", "idmanifest", bytes(4)),
            "ids",
            None,
            "attribute ids is left behind: its value is no idmanifest",
        ),
    ],
)
def test_a_header_value_that_cannot_be_said_costs_no_pixel(cli, odd, extra, name, said, note):
    path = odd(exr_bytes(RGB, attribute("comments", "string", "früh".encode()), extra))
    image, header = read_exr(path), read_header(path)
    assert np.array_equal(image.rgb, PICTURE)
    assert image.attributes.get(name) == header.attributes.get(name) == said
    assert image.attributes["comments"] == "früh"
    assert note in "; ".join(image.notes)
    assert image.notes == header.notes
    done = cli("inspect", path, "--json")
    assert done.code == 0
    assert note in done.err
    assert json.loads(done.out)["files"][0]["header"]["attributes"].get(name) == said
    assert cli("convert", path, "-o", path.with_name("out.exr"), "--to", "linear_rec709").code == 0
    pixels = oiio.ImageBuf(str(path.with_name("out.exr"))).get_pixels(oiio.HALF)
    assert np.array_equal(pixels, PICTURE)


@pytest.mark.parametrize(
    "extra",
    [
        attribute("a", "string", bytes(range(1, 32))),
        attribute("a", "stringvector", b""),
        attribute("a", "box2f", floats(*[NAN] * 4)),
        attribute("a", "m33f", floats(*[NAN] * 9)),
        attribute("a", "floatvector", floats(1, NAN)),
        attribute("a", "tiledesc", struct.pack("<IIB", 0, 0, 0x77)),
        attribute("a", "bytes", struct.pack("<I", 2) + b"\xff\xfe\xfd"),
        attribute("a", b"my\xff", b"\xff"),
        attribute("timeCode", "timecode", struct.pack("<II", 2**32 - 1, 2**32 - 1)),
        attribute("envmap", "envmap", b"\x07"),
        attribute("preview", "preview", struct.pack("<II", 0, 0)),
        attribute("multiView", "string", b"left"),
        attribute("view", "int", bytes(4)),
        attribute("chromaticities", "string", b"Rec.709"),
        attribute("colorInteropID", "int", bytes(4)),
        attribute("colorInteropID", "string", b"fo\xe9"),
        attribute(b"n" * 255, "int", bytes(4)),
    ],
)
def test_hostile_attributes_of_every_type_cost_no_pixel(cli, odd, extra):
    path = odd(exr_bytes(RGB, extra))
    assert np.array_equal(read_exr(path).rgb, PICTURE)
    done = cli("inspect", path, "--json")
    assert done.code == 0
    assert json.loads(done.out)["files"][0]["header"]["width"] == WIDTH


@pytest.mark.parametrize(
    ("replaced", "note"),
    [
        ({"pixelAspectRatio": ("float", floats(0))}, "pixelAspectRatio is 0, which is none: 1 was taken"),
        ({"pixelAspectRatio": ("float", floats(NAN))}, "pixelAspectRatio is nan"),
        ({"screenWindowWidth": ("float", floats(-1))}, "screenWindowWidth is -1"),
        ({"displayWindow": ("box2i", struct.pack("<4i", 5, 5, 0, 0))}, "the display window is none"),
        ({"displayWindow": ("box2i", struct.pack("<4i", -(2**31), 0, 2**31 - 1, 9))}, "the display window"),
    ],
)
def test_senseless_geometry_is_replaced_and_noted(cli, odd, replaced, note):
    path = odd(exr_bytes(RGB, **replaced))
    image = read_exr(path)
    assert np.array_equal(image.rgb, PICTURE)
    assert image.geometry.is_plain
    assert note in "; ".join(image.notes)
    assert cli("preview", path, "-o", path.with_suffix(".png")).code == 0


def test_a_channel_name_that_is_not_utf8_leaves_the_picture(odd):
    path = odd(exr_bytes(RGB | {"\xe9": ramp(7)}))
    image = read_exr(path)
    assert np.array_equal(image.rgb, PICTURE)
    assert "channel names that are not UTF-8" in "; ".join(image.notes)


@pytest.mark.parametrize(
    "stated",
    [[0] * 8, [NAN] * 8, [0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.3, 0.3], [0.6, 0.3, 0.3, 0.6, 0.1, 0.1, 0.3, 0]],
)
@pytest.mark.parametrize("command", ["inspect", "convert", "preview"])
def test_chromaticities_that_span_no_space_state_nothing(cli, odd, stated, command):
    path = odd(exr_bytes(RGB, attribute("chromaticities", "chromaticities", floats(*stated))))
    image = read_exr(path)
    assert image.chromaticities is None
    assert "span no colour space" in "; ".join(image.notes)
    output = path.with_name("out.exr" if command == "convert" else "out.png")
    options = () if command == "inspect" else ("-o", output)
    space = ("--to", "linear_rec709") if command == "convert" else ()
    assert cli(command, path, *options, *space).code == 0
    if command == "convert":
        assert np.array_equal(oiio.ImageBuf(str(output)).get_pixels(oiio.HALF), PICTURE)


EVERY = [(2, 2), (4, 4), (3, 1), (1, 2), (8, 4)]


def between(samples, every):
    """Return what straight lines between the samples give, the last one held, by numpy's own interpolation."""
    x, y = np.arange(WIDTH) / every[0], np.arange(HEIGHT) / every[1]
    wide = np.stack([np.interp(x, np.arange(len(row)), row) for row in samples.astype(np.float64)])
    return np.stack([np.interp(y, np.arange(len(wide)), column) for column in wide.T], axis=1)


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("names", ["RGB", "RB", "A", "RGBA"])
def test_subsampled_rgb_and_alpha_are_brought_to_the_size_of_the_picture(cli, odd, every, names):
    planes = RGB | {"A": ramp(0.5, 1 / 64, 1 / 64)}
    small = {
        name: ramp(float(planes[name][0, 0]), *((1 / 64, 1 / 64) if name == "A" else ()), every=every)
        for name in names
    }
    path = odd(exr_bytes(planes | small, sampling=dict.fromkeys(small, every)))
    image = read_exr(path)
    found = {**{c: image.rgb[..., i] for i, c in enumerate("RGB")}, "A": image.alpha}
    for name, plane in planes.items():
        expected = between(small[name], every) if name in small else plane
        assert found[name].dtype == np.float16
        np.testing.assert_allclose(found[name], expected, rtol=1e-3)
    shown = {"RGB": "B, G, R", "RB": "B, R", "A": "A", "RGBA": "A, B, G, R"}[names]
    assert image.notes == (f"{shown}: one sample for {every[0]}x{every[1]} pixels, interpolated",)
    assert cli("convert", path, "-o", path.with_name("out.exr"), "--to", "linear_rec709").code == 0
    out = oiio.ImageBuf(str(path.with_name("out.exr"))).get_pixels(oiio.FLOAT)
    assert out.shape == (HEIGHT, WIDTH, 4)
    np.testing.assert_allclose(out[..., 3], found["A"], rtol=1e-3)


@pytest.mark.parametrize("every", [(4, 4), (3, 1), (8, 2), (4, 1), (2, 4)])
def test_chroma_of_any_sampling_is_read(cli, odd, every):
    colour, y = {"RY": 0.25, "BY": -0.5}, ramp(1)
    planes = {"Y": y} | {name: ramp(value, 0, 0, every) for name, value in colour.items()}
    path = odd(exr_bytes(planes, sampling=dict.fromkeys(colour, every)))
    image = read_exr(path)
    expected = rgb_from_luminance_chroma(
        y, np.full_like(y, 0.25), np.full_like(y, -0.5), luminance_weights(REC709)
    )
    np.testing.assert_allclose(image.rgb, expected, rtol=1e-5)
    assert image.luminance_chroma
    assert image.notes == (f"BY, RY: one sample for {every[0]}x{every[1]} pixels, interpolated",)
    assert cli("convert", path, "-o", path.with_name("out.exr"), "--to", "linear_rec709").code == 0


def test_halved_chroma_is_how_such_files_are_and_no_note(odd):
    planes = {"Y": ramp(1), "RY": ramp(0, 0, 0, (2, 2)), "BY": ramp(0, 0, 0, (2, 2))}
    image = read_exr(odd(exr_bytes(planes, sampling={"RY": (2, 2), "BY": (2, 2)})))
    assert image.notes == ()
    np.testing.assert_allclose(image.rgb[..., 1], planes["Y"], rtol=1e-5)


def test_subsampled_data_is_repeated_not_mixed(odd):
    ids = np.arange(WIDTH // 2 * HEIGHT // 2, dtype=np.float32).reshape(HEIGHT // 2, WIDTH // 2)
    path = odd(exr_bytes(RGB | {"id.Z": ids}, sampling={"id.Z": (2, 2)}))
    image = read_exr(path, layer="id")
    assert np.array_equal(image.rgb[..., 0], np.kron(ids, np.ones((2, 2))))


def test_what_openexr_does_not_read_is_said_and_not_called_damage(cli, odd):
    planes = {"Y": ramp(1)[:5, :7], "RY": ramp(0)[:3, :4], "BY": ramp(0)[:3, :4]}
    sampled = exr_bytes(planes, sampling={"RY": (2, 2), "BY": (2, 2)}, width=7, height=5)
    newer = bytearray(exr_bytes(RGB))
    newer[4] = 3
    for data, reason in [
        (
            sampled,
            "channel BY for every 2x2 pixels in a data window of 7x5+0+0, which they do not fill evenly",
        ),
        (exr_bytes(RGB, compression=("compression", b"\x63")), "a compression (number 99)"),
        (
            exr_bytes(
                RGB | {"A": ramp(1, every=(2, 2))},
                attribute("tiles", "tiledesc", struct.pack("<IIB", 64, 64, 0)),
                sampling={"A": (2, 2)},
            ).replace(b"\x76\x2f\x31\x01\x02\0", b"\x76\x2f\x31\x01\x02\x02"),
            "channel A for every 2x2 pixels in tiles",
        ),
        (bytes(newer), "version 3 of the format, which is not supported"),
    ]:
        done = cli("convert", odd(data), "-o", "out.exr")
        assert done.code == 2
        assert reason in done.err
        assert "damaged" not in done.err


def test_one_odd_file_ends_no_batch(cli, odd, tmp_path):
    odd(exr_bytes(RGB, attribute("framesPerSecond", "rational", struct.pack("<iI", 24, 0))), "a.exr")
    odd(exr_bytes(RGB, attribute("chromaticities", "chromaticities", floats(*[0] * 8))), "b.exr")
    odd(exr_bytes(RGB, attribute("owner", "string", b"\xff"))[:-100], "c.exr")
    odd(exr_bytes(RGB), "d.exr")
    done = cli("inspect", tmp_path, "--json")
    assert done.code == 1
    files = json.loads(done.out)["files"]
    assert ["error" in file for file in files] == [False, False, True, False]


def test_the_librarys_sentences_mean_damage(tmp_path):
    """What OpenEXR says of damage is read from what it prints and raises: a new version may say it otherwise."""
    whole = tmp_path / "whole.exr"
    write_exr(whole, np.ones((64, 64, 3), np.float32), chromaticities=AP1, compression="zip")
    data = whole.read_bytes()
    (tmp_path / "a.exr").write_bytes(data[:-50])
    for separate in (True, False):
        with pytest.raises(UnreadableImage, match=r"has damaged pixels \([^)/]+\)$"):
            open_exr(tmp_path / "a.exr").parts(separate=separate)
    (tmp_path / "b.exr").write_bytes(data[:60])
    with pytest.raises(UnreadableImage, match=r"has a damaged EXR header \([^)/]+\)$"):
        open_exr(tmp_path / "b.exr")
    planes = {
        "R": np.ones((4, 4), np.float16),
        "G": np.ones((4, 4), np.float32),
        "B": np.ones((4, 4), np.float16),
    }
    OpenEXR.File({}, planes).write(str(whole))
    assert set(open_exr(whole).parts(separate=False)[0].channels) == {
        "R",
        "G",
        "B",
    }  # "coalesce" was understood


def test_veiling_changes_neither_length_nor_anything_else():
    odd_attribute = attribute("owner", "string", b"Fran\xe7ois")
    data = exr_bytes(RGB, odd_attribute, attribute("fine", "string", b"x"))

    def digestible(file):
        try:
            str(OpenEXR.File(io.BytesIO(file)).header())
        except UnicodeDecodeError:
            return False
        return True

    mend = masked_file(data, digestible)
    assert mend is not None
    changed = [i for i, (a, b) in enumerate(zip(data, mend.data, strict=True)) if a != b]
    kind = data.index(odd_attribute) + len(b"owner\0")
    assert changed == list(range(kind, kind + len("string")))
    assert masked_file(exr_bytes(RGB), digestible) is None
    assert masked_file(data[:100], digestible) is None


@pytest.mark.parametrize("seed", range(4))
def test_mutated_headers_are_pictures_or_refused(odd, seed):
    random = np.random.default_rng(seed)
    base = exr_bytes(
        RGB,
        attribute("owner", "string", b"abc"),
        attribute("framesPerSecond", "rational", struct.pack("<iI", 24, 1)),
        attribute("multiView", "stringvector", text(b"left") + text(b"right")),
        attribute(
            "chromaticities", "chromaticities", floats(0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
        ),
        attribute("hint", "bytes", struct.pack("<I", 2) + b"abcd"),
    )
    end = base.index(b"hint") + 30
    read = 0
    for _ in range(150):
        data = bytearray(base)
        for place in random.integers(8, end, random.integers(1, 4)):
            data[place] = random.integers(256)
        try:
            assert read_exr(odd(bytes(data))).rgb.shape[2] == 3
            read += 1
        except UnreadableImage as error:
            lines = str(error).splitlines()
            assert len(lines) == 1
    assert read > 20


def test_paths_that_are_not_utf8_are_read_and_written(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    first, out, again = (folder / os.fsdecode(name) for name in (b"a.exr", b"o\xe9.exr", b"b.exr"))
    first.write_bytes(exr_bytes(RGB))
    for source, target, *options in [(first, out, "--compression", "dwaa"), (out, again)]:
        # In a process of its own: the stdout of a test takes no such name.
        command = [
            sys.executable,
            "-c",
            "from hdrgen.cli import main; main()",
            "convert",
            source,
            "-o",
            target,
        ]
        done = subprocess.run([*command, "--to", "linear_rec709", *options], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert os.fsencode(target) in done.stdout
    again.rename(tmp_path / "b.exr")
    stored = oiio.ImageBuf(str(tmp_path / "b.exr"))
    np.testing.assert_allclose(stored.get_pixels(oiio.HALF), PICTURE, rtol=0.05)
    assert stored.spec().getattribute("hdrgenSource") == "o\N{REPLACEMENT CHARACTER}.exr"


@pytest.mark.parametrize(
    "extra",
    [
        attribute("adoptedNeutral", "string", b"D65"),
        attribute("originalDataWindow", "string", b"all"),
        attribute("sensorCenterOffset", "float", floats(1)),
        attribute("whiteLuminance", "string", b"bright"),
        attribute("owner", "string", b"a\0b"),
    ],
)
def test_what_an_exr_cannot_say_again_is_left_behind(cli, odd, extra):
    path = odd(exr_bytes(RGB, attribute("comments", "string", b"kept"), extra))
    out = path.with_name("out.exr")
    assert cli("convert", path, "-o", out, "--to", "linear_rec709").code == 0
    stored = oiio.ImageBuf(str(out))
    assert stored.spec().getattribute("ImageDescription") == "kept"
    assert np.array_equal(stored.get_pixels(oiio.HALF), PICTURE)
