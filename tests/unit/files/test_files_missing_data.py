"""Half a picture is no picture: what is missing from JPEG, TIFF and PNG is found, and what is whole is read."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from hdrgen.images.code_image import read_code

CODES = cv2.resize(np.random.default_rng(0).integers(40, 220, (17, 23, 3), np.uint8), (368, 272))
END = b"\xff\xd9"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(cli, path: str, why: str) -> None:
    said = cli("expand", path, "-o", "out.exr", "--encoding", "srgb")
    assert said.code == 2, said
    assert f"{path}: is a truncated" in said.err or f"{path}: is a damaged" in said.err
    assert why in said.err
    assert not Path("out.exr").exists()


# JPEG.

KINDS = {
    "plain": {},
    "no subsampling": {"subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "progressive, no subsampling": {"progressive": True, "subsampling": 0},
}


def jpeg(codes=CODES, **how) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "JPEG", quality=92, **how)
    return stream.getvalue()


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.25])
@pytest.mark.parametrize("end", [b"", END], ids=["cut", "cut and closed"])
def test_half_a_jpeg_is_refused(cli, how, kept, end):
    """Closed by an end marker it decodes without a word, grey from where the data end."""
    whole = jpeg(**how)
    Path("a.jpg").write_bytes(whole[: int(len(whole) * kept)] + end)
    refused(cli, "a.jpg", "JPEG")


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("corner", [None, 128, 0, 255])
def test_a_whole_jpeg_is_read_whatever_it_ends_in(how, corner):
    """The grey that stands for missing data may be the picture's own."""
    codes = CODES.copy()
    if corner is not None:
        codes[150:] = corner
    data = jpeg(codes, **how)
    Path("a.jpg").write_bytes(data)
    np.testing.assert_array_equal(read_code(Path("a.jpg")).code, imagecodecs.jpeg8_decode(data))
    Path("a.jpg").write_bytes(data + b"what a phone appends")
    np.testing.assert_array_equal(read_code(Path("a.jpg")).code, imagecodecs.jpeg8_decode(data))


def test_a_jpeg_all_grey_is_whole():
    Image.fromarray(np.full((40, 40, 3), 128, np.uint8)).save("a.jpg")
    assert (read_code(Path("a.jpg")).code == 128).all()


def test_fill_bytes_and_arithmetic_of_other_writers_do_not_matter():
    """Markers may be padded; data of a scan hold stuffed bytes and restarts."""
    data = jpeg(restart_marker_blocks=3)
    at = data.index(b"\xff\xda")
    Path("a.jpg").write_bytes(data[:at] + b"\xff\xff" + data[at:])
    np.testing.assert_array_equal(read_code(Path("a.jpg")).code, imagecodecs.jpeg8_decode(data))


def test_a_jpeg_with_a_gain_map_is_its_first_picture():
    first = Image.fromarray(CODES)
    first.save("a.jpg", "MPO", save_all=True, append_images=[Image.fromarray(CODES[::2, ::2])])
    image = read_code(Path("a.jpg"))
    assert image.code.shape == CODES.shape
    assert any("more pictures (an HDR gain map is one); the first was taken" in note for note in image.notes)


# TIFF.

LAYOUTS = {
    "strips": {"rowsperstrip": 64},
    "tiles": {"tile": (64, 64)},
    "zip strips": {"rowsperstrip": 64, "compression": "zlib"},
    "zip tiles": {"tile": (64, 64), "compression": "zlib"},
    "lzw strips": {"rowsperstrip": 64, "compression": "lzw"},
    "planes": {"rowsperstrip": 64, "planarconfig": "separate"},
}
OFFSETS, COUNTS = ("StripOffsets", "TileOffsets"), ("StripByteCounts", "TileByteCounts")


def tiff(codes=CODES, **how) -> tuple[bytearray, dict]:
    """Return a TIFF and its tags of offsets and counts."""
    stream = io.BytesIO()
    planes = np.moveaxis(codes, -1, 0).copy() if how.get("planarconfig") == "separate" else codes
    tifffile.imwrite(stream, planes, photometric="rgb", metadata=None, **how)
    with tifffile.TiffFile(io.BytesIO(stream.getvalue())) as file:
        tags = {tag.name: tag for tag in file.pages[0].tags}
    return bytearray(stream.getvalue()), tags


def patch(data: bytearray, tag, number: int, value: int) -> None:
    form = {3: "<H", 4: "<I"}[int(tag.dtype)]
    struct.pack_into(form, data, tag.valueoffset + struct.calcsize(form) * number, value)


@pytest.mark.parametrize("how", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("names", [OFFSETS, COUNTS], ids=["no offset", "no bytes"])
def test_a_tiff_without_one_strip_or_tile_is_refused(cli, how, names):
    """The decoder gives zeros in its place."""
    data, tags = tiff(**how)
    Path("a.tif").write_bytes(data)
    np.testing.assert_array_equal(read_code(Path("a.tif")).code, CODES)
    patch(data, next(tags[name] for name in names if name in tags), 2, 0)
    Path("a.tif").write_bytes(data)
    refused(cli, "a.tif", "1 of ")


@pytest.mark.parametrize("how", LAYOUTS.values(), ids=LAYOUTS)
def test_a_tiff_with_too_few_strips_or_short_ones_is_refused(cli, how):
    data, tags = tiff(**how)
    for name in (*OFFSETS, *COUNTS):
        if name in tags:
            struct.pack_into("<I", data, tags[name].offset + 4, tags[name].count - 2)
    Path("a.tif").write_bytes(data)
    refused(cli, "a.tif", "2 of ")
    data, tags = tiff(**how)
    counts = next(tags[name] for name in COUNTS if name in tags)
    patch(data, counts, 1, counts.value[1] // 2)
    Path("a.tif").write_bytes(data)
    refused(cli, "a.tif", "TIFF")


@pytest.mark.parametrize("kept", [0.97, 0.5, 0.1])
@pytest.mark.parametrize("how", LAYOUTS.values(), ids=LAYOUTS)
def test_a_tiff_cut_off_is_refused(cli, how, kept):
    data, _ = tiff(**how)
    Path("a.tif").write_bytes(data[: int(len(data) * kept)])
    refused(cli, "a.tif", "TIFF")


# PNG.


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, position = [], 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        found.append((kind, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def png(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


@pytest.mark.parametrize("left_out", ["last chunk", "half the rows", "ten bytes"])
def test_a_png_of_good_checksums_without_all_of_its_pixels_is_refused(cli, left_out):
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, CODES.shape, np.uint8)
    Image.fromarray(noise).save(stream, "PNG")
    parts = chunks(stream.getvalue())
    pixels = [content for kind, content in parts if kind == b"IDAT"]
    raw = zlib.decompress(b"".join(pixels))
    stored = {
        "last chunk": pixels[:-1],
        "half the rows": [zlib.compress(raw[: len(raw) // 2])],
        "ten bytes": [zlib.compress(raw[:-10])],
    }[left_out]
    Path("a.png").write_bytes(png([parts[0], *((b"IDAT", content) for content in stored), parts[-1]]))
    said = cli("expand", "a.png", "-o", "out.exr", "--encoding", "srgb")
    assert said.code == 2
    assert "a.png: cannot be decoded: its pixels are damaged" in said.err
