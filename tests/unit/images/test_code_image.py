"""Pictures of code values: what is read, what is refused, and in which words."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hdrgen.images.code_image import code_format, read_code, read_code8, write_code, write_png8
from hdrgen.images.stored_image import UnreadableImage
from hdrgen.runtime.errors import HdrgenError

CODES = np.random.default_rng(0).integers(0, 256, (17, 31, 3), np.uint8)
CODES16 = np.random.default_rng(1).integers(0, 65536, (17, 31, 3), np.uint16)


def test_png_round_trip_keeps_codes_and_text(tmp_path):
    """Pixels and text come back as they were, Latin or not."""
    path = tmp_path / "a.png"
    said = {"hdrgen:toneMap": "reinhard", "Title": "Straße \N{SUN WITH FACE}"}
    write_png8(path, CODES, text=said)
    image = read_code8(path)
    np.testing.assert_array_equal(image.code, CODES)
    assert image.text == said
    assert image.alpha is None
    assert (image.bits, image.width, image.height, image.format) == (8, 31, 17, "png")
    with Image.open(path) as other_reader:
        assert other_reader.text == said
        np.testing.assert_array_equal(np.asarray(other_reader), CODES)


def test_png_bytes_depend_on_nothing_else(tmp_path):
    """The same picture twice is the same file twice."""
    write_png8(tmp_path / "a.png", CODES, text={"a": "b"})
    write_png8(tmp_path / "b.png", np.asfortranarray(CODES), text={"a": "b"})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_round_trip_and_are_refused_where_eight_are_expected(tmp_path, name):
    """16 bits are read as such, and named where 8 were wanted."""
    path = tmp_path / name
    write_code(path, CODES16)
    image = read_code(path)
    np.testing.assert_array_equal(image.code, CODES16)
    assert image.bits == 16
    with pytest.raises(UnreadableImage, match="16-bit codes where 8-bit are expected"):
        read_code8(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_alpha_is_kept_apart(tmp_path, name):
    """RGB is not multiplied by alpha."""
    alpha = np.arange(17 * 31, dtype=np.uint16).astype(np.uint8).reshape(17, 31)
    Image.fromarray(np.dstack([CODES, alpha])).save(tmp_path / name)
    image = read_code8(tmp_path / name)
    np.testing.assert_array_equal(image.code, CODES)
    np.testing.assert_array_equal(image.alpha, alpha)


def test_compressed_text_of_other_writers_is_read(tmp_path):
    """PNG has three kinds of text, two of them compressed; a bomb of text is cut off."""
    info = PngInfo()
    info.add_text("plain", "a")
    info.add_text("zipped", "b" * 500, zip=True)
    info.add_itxt("international", "ö" * 500, zip=True)
    info.add_text("bomb", "c" * (3 << 20), zip=True)
    Image.fromarray(CODES).save(tmp_path / "a.png", pnginfo=info)
    text = read_code8(tmp_path / "a.png").text
    assert text["zipped"] == "b" * 500
    assert text["international"] == "ö" * 500
    assert len(text["bomb"]) == 1 << 20


@pytest.mark.parametrize(
    ("mode", "name", "reason"),
    [
        ("CMYK", "a.jpg", "CMYK picture, not RGB"),
        ("CMYK", "a.tif", "CMYK picture, not RGB"),
        ("P", "a.tif", "palette picture, not RGB"),
    ],
)
def test_what_is_not_rgb_is_named(tmp_path, mode, name, reason):
    """A person reads what the picture is and what to do."""
    Image.fromarray(CODES).convert(mode).save(tmp_path / name)
    with pytest.raises(UnreadableImage, match=f"{name}: is a {reason}; save it as RGB"):
        read_code(tmp_path / name)


@pytest.mark.parametrize("codes", [CODES, CODES16], ids=["8 bit", "16 bit"])
def test_lzw_tiff_is_read(tmp_path, codes):
    """Photoshop's default, which tifffile alone cannot decode and OpenCV scrambles if asked for RGB."""
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    cv2.imwrite(str(tmp_path / "a.tif"), cv2.cvtColor(codes, cv2.COLOR_RGB2BGR), lzw)
    np.testing.assert_array_equal(read_code(tmp_path / "a.tif").code, codes)


def test_float_tiff_is_no_code_image(tmp_path):
    """Scene-linear floats belong into an EXR."""
    tifffile.imwrite(tmp_path / "a.tif", CODES.astype(np.float32), photometric="rgb")
    with pytest.raises(UnreadableImage, match="floats"):
        read_code(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("kept", [0.97, 0.5, 0.05])
def test_truncation_is_noticed(tmp_path, name, kept):
    """A file cut off anywhere is refused, however much of it could be shown."""
    whole = tmp_path / name
    Image.fromarray(cv2.resize(CODES, (200, 200))).save(whole)
    data = whole.read_bytes()
    whole.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UnreadableImage, match=r"truncated|damaged"):
        read_code(whole)


def test_a_flipped_bit_is_noticed(tmp_path):
    """The checksum of every chunk is looked at."""
    path = tmp_path / "a.png"
    write_png8(path, CODES)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(UnreadableImage, match="wrong checksum"):
        read_code8(path)


def test_good_checksums_over_bad_pixels_are_noticed(tmp_path):
    """OpenCV returns None or part of a picture; neither passes."""
    path = tmp_path / "a.png"
    write_png8(path, CODES)
    data = path.read_bytes()
    at = data.index(b"IDAT")
    content = b"IDAT" + b"nonsense"
    end = data.index(b"IEND") - 4
    path.write_bytes(
        data[: at - 4] + struct.pack(">I", 8) + content + struct.pack(">I", zlib.crc32(content)) + data[end:]
    )
    with pytest.raises(UnreadableImage, match="damaged"):
        read_code8(path)


def test_a_decompression_bomb_is_refused_before_decoding(tmp_path):
    """The header's claim is enough."""
    Image.new("RGB", (2000, 2000)).save(tmp_path / "a.png")
    Image.new("RGB", (2000, 2000)).save(tmp_path / "a.tif")
    Image.new("RGB", (2000, 2000)).save(tmp_path / "a.jpg")
    for name in ("a.png", "a.tif", "a.jpg"):
        with pytest.raises(UnreadableImage, match="2000x2000, more than 1 megapixels"):
            read_code(tmp_path / name, max_megapixels=1)


def test_other_files_and_no_file(tmp_path):
    """Missing, empty, of another kind, a folder."""
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not a picture")
    for name, reason in [
        ("missing.png", "No such file"),
        ("empty.png", "is empty"),
        ("text.png", "is not a PNG, TIFF, JPEG or WebP"),
        (".", "Is a directory"),
    ]:
        with pytest.raises(UnreadableImage, match=reason):
            read_code8(tmp_path / name)
    assert code_format(tmp_path / "text.png") is None


def test_a_jpeg_is_turned_upright(tmp_path):
    """Photographs are stored as the sensor lay."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(CODES).save(tmp_path / "a.jpg", exif=exif)
    assert read_code8(tmp_path / "a.jpg").code.shape == (31, 17, 3)


def test_nothing_is_left_when_writing_fails(tmp_path):
    """A wrong suffix, and a folder that cannot be written."""
    with pytest.raises(HdrgenError, match=r"\.png or \.tif"):
        write_code(tmp_path / "a.bmp", CODES)
    (tmp_path / "file").touch()
    with pytest.raises(HdrgenError, match="cannot be written"):
        write_png8(tmp_path / "file" / "a.png", CODES)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
