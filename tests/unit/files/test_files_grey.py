"""Grey and palette pictures become RGB codes, and a profile of grey says their curve."""

import io
import json
import struct
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from hdrgen.images.code_image import read_code
from hdrgen.images.stored_image import UnreadableImage

GREY16 = cv2.resize(np.random.default_rng(0).integers(0, 65536, (5, 7), np.uint16), (43, 31))
GREY8 = (GREY16 >> 8).astype(np.uint8)
ALPHA16 = GREY16[::-1].copy()
CODES = {8: GREY8, 16: GREY16}
ALPHAS = {8: GREY8[::-1].copy(), 16: ALPHA16}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def profile_of_grey(curve: bytes, space: bytes = b"XYZ ") -> bytes:
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(80),
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": curve,
    }
    at, table, content = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", tag, at + len(content), len(data))
        content += padded
    head = bytearray(128)
    head[8:12], head[12:16], head[16:20] = b"\x02\x10\0\0", b"mntr", b"GRAY"
    head[20:24], head[36:40] = space, b"acsp"
    head[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    data = bytes(head) + table + content
    return struct.pack(">I", len(data)) + data[4:]


def gamma(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"


def write(kind: str, bits: int, *, with_alpha: bool) -> Path:
    grey, alpha = CODES[bits], ALPHAS[bits]
    stored = np.dstack([grey, alpha]) if with_alpha else grey
    path = Path(f"a.{kind}")
    if kind == "png":
        path.write_bytes(imagecodecs.png_encode(stored))
    else:
        extra = {"extrasamples": ["unassalpha"], "planarconfig": "contig"} if with_alpha else {}
        tifffile.imwrite(path, stored, photometric="minisblack", compression="zlib", **extra)
    return path


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("with_alpha", [False, True], ids=["opaque", "alpha"])
def test_grey_becomes_three_equal_codes(kind, bits, with_alpha):
    image = read_code(write(kind, bits, with_alpha=with_alpha))
    np.testing.assert_array_equal(image.code, np.repeat(CODES[bits][..., None], 3, 2))
    assert (image.bits, image.notes) == (bits, ())
    if with_alpha:
        np.testing.assert_array_equal(image.alpha, ALPHAS[bits])
    else:
        assert image.alpha is None


def test_a_grey_jpeg_is_read_upright_and_refused_where_it_is_cut():
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY8).save("a.jpg", exif=exif, quality=95)
    image = read_code(Path("a.jpg"))
    theirs = np.rot90(np.array(Image.open("a.jpg")), -1)
    np.testing.assert_array_equal(image.code, np.repeat(theirs[..., None], 3, 2))
    whole = Path("a.jpg").read_bytes()
    for length in range(len(whole) // 2, len(whole) - 40, 29):
        Path("a.jpg").write_bytes(whole[:length])
        with pytest.raises(UnreadableImage, match=r"truncated|damaged"):
            read_code(Path("a.jpg"))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_png_of_few_bits_is_spread_over_eight(bits):
    largest = 2**bits - 1
    values = GREY8 >> (8 - bits)
    Path("a.png").write_bytes(small_png(values, bits))
    image = read_code(Path("a.png"))
    np.testing.assert_array_equal(image.code[..., 1], values * (255 // largest))
    assert image.notes == (f"the PNG is grey of {bits} bit{'s' * (bits > 1)}: {2**bits} tones",)


def small_png(values: np.ndarray, bits: int, *chunks: bytes) -> bytes:
    planes = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :].reshape(values.shape[0], -1)
    rows = np.packbits(planes, axis=1)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    contents = (b"IHDR" + header, *chunks, b"IDAT" + pixels, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in contents
    )


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_transparent_grey_is_alpha(bits):
    values = GREY8 >> (8 - bits)
    clear = int(values[3, 3])
    Path("a.png").write_bytes(small_png(values, bits, b"tRNS" + struct.pack(">H", clear)))
    np.testing.assert_array_equal(read_code(Path("a.png")).alpha, np.where(values == clear, 0, 255))


@pytest.mark.parametrize("transparency", [None, bytes(range(0, 90, 3))], ids=["opaque", "alpha"])
@pytest.mark.parametrize("colours", [3, 16, 200])
def test_a_palette_becomes_rgb_and_says_how_few_colours(transparency, colours):
    picture = Image.fromarray(cv2.applyColorMap(GREY8, cv2.COLORMAP_JET)).quantize(colours)
    how = {} if transparency is None else {"transparency": transparency[:colours]}
    picture.save("a.png", **how)
    image = read_code(Path("a.png"))
    theirs = np.array(Image.open("a.png").convert("RGBA"))
    np.testing.assert_array_equal(image.code, theirs[..., :3])
    assert (image.alpha is None) == (transparency is None)
    if transparency is not None:
        np.testing.assert_array_equal(image.alpha, theirs[..., 3])
    assert "the PNG has a palette of" in image.notes[0]


def test_a_palette_that_lacks_its_colours_is_refused():
    Image.fromarray(GREY8).quantize(16).save("a.png")
    data = Path("a.png").read_bytes()
    at = data.index(b"PLTE") - 4
    Path("a.png").write_bytes(data[:at] + data[at + 12 + int.from_bytes(data[at : at + 4]) :])
    with pytest.raises(UnreadableImage, match="damaged"):
        read_code(Path("a.png"))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_whose_zero_is_white_is_turned_over(bits):
    tifffile.imwrite("a.tif", CODES[bits], photometric="miniswhite")
    np.testing.assert_array_equal(read_code(Path("a.tif")).code[..., 2], ~CODES[bits])


def test_grey_of_three_channels_is_refused():
    tifffile.imwrite("a.tif", np.dstack([GREY8] * 3), photometric="minisblack", planarconfig="contig")
    with pytest.raises(UnreadableImage, match="is a 3-channel grey picture, not RGB; save it as RGB"):
        read_code(Path("a.tif"))


def stated(data: bytes, kind: str):
    grey = Image.fromarray(GREY8)
    grey.save(f"a.{kind}", icc_profile=data)
    return read_code(Path(f"a.{kind}"))


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_a_profile_of_grey_gives_its_curve(kind):
    image = stated(profile_of_grey(gamma(2.199)), kind)
    assert (image.colour.key, image.notes) == ("g22_rec709", ())
    other = stated(profile_of_grey(gamma(1.5)), kind).colour
    assert other.key is None
    assert other.encoding.decode(np.float32([[0.5, 0.5, 0.5]]))[0, 1] == pytest.approx(0.5**1.5)


def test_a_profile_of_rgb_says_the_same_of_equal_codes():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert stated(srgb, "jpg").colour.key == "srgb_rec709"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (profile_of_grey(gamma(2.2), b"Lab "), "is a table, not a curve of light"),
        (profile_of_grey(gamma(2.2)).replace(b"kTRC", b"A2B0"), "is a table, not a curve of light"),
        (profile_of_grey(b"what" + bytes(10)), "has a curve of an unknown type"),
        (profile_of_grey(gamma(2.2))[:150], "the profile is damaged"),
    ],
)
def test_a_profile_of_grey_without_a_curve_of_light_is_not_understood(data, why):
    image = stated(data, "png")
    assert image.colour is None
    assert why in image.notes[0]


def test_a_grey_picture_becomes_light(cli):
    Image.fromarray(GREY8).save("a.jpg", icc_profile=profile_of_grey(gamma(2.199)))
    said = cli("expand", "a.jpg", "-o", "a.exr", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["files"][0]["encoding"] == "g22_rec709"


def test_a_grey_png_cut_anywhere_is_refused():
    stream = io.BytesIO()
    Image.fromarray(GREY8).save(stream, "PNG")
    whole = stream.getvalue()
    for length in range(12, len(whole), 41):
        Path("a.png").write_bytes(whole[:length])
        with pytest.raises(UnreadableImage, match="truncated"):
            read_code(Path("a.png"))
