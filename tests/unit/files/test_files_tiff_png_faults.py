"""TIFF and PNG that are read wrongly where nobody looks: compressions, YCbCr, volumes, previews and broken chunks."""

import json
import struct
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from PIL import Image

from hdrgen.images.code_image import read_code
from hdrgen.images.stored_codes import FORMAT_NAMES

CODES = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(cli, path: str, why: str) -> None:
    said = cli("expand", path, "-o", "out.exr", "--encoding", "srgb")
    assert said.code == 2, said
    assert f"{path}: {why}" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("compression", ["lzw", "zstd"])
def test_a_compressed_tiff_on_its_side_is_turned_once(compression, orientation):
    tifffile.imwrite(
        "a.tif", CODES, photometric="rgb", compression=compression, extratags=[(274, 3, 1, orientation, True)]
    )
    turned = {3: np.rot90(CODES, 2), 6: np.rot90(CODES, -1)}[orientation]
    np.testing.assert_array_equal(read_code(Path("a.tif")).code, turned)


def test_a_compression_that_is_not_decoded_is_named(cli):
    tifffile.imwrite("a.tif", CODES, photometric="rgb")
    with tifffile.TiffFile("a.tif", mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(32766)  # NeXT
    refused(cli, "a.tif", "its compression (NEXT) is not supported; save it with ZIP compression")


def test_a_ycbcr_tiff_is_not_taken_for_rgb(cli):
    Image.fromarray(CODES).convert("YCbCr").save("ycc.tif")
    refused(cli, "ycc.tif", "is a YCbCr picture, not RGB; save it as RGB")


def test_a_ycbcr_tiff_of_jpeg_is_rgb_as_openimageio_reads_it():
    smooth = np.linspace(20, 220, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    tifffile.imwrite("a.tif", smooth, photometric="ycbcr", compression="jpeg", subsampling=(1, 1))
    theirs = oiio.ImageBuf("a.tif").get_pixels(oiio.UINT8)
    np.testing.assert_allclose(read_code(Path("a.tif")).code.astype(int), theirs, atol=2)


def test_volumes_and_rgb_of_one_channel_are_refused_in_words(cli):
    tifffile.imwrite("vol.tif", np.stack([CODES] * 3), photometric="rgb", volumetric=True, tile=(1, 16, 16))
    refused(cli, "vol.tif", "is a volume of several slices")
    tifffile.imwrite("one.tif", CODES[..., 0], photometric="minisblack")
    with tifffile.TiffFile("one.tif", mode="r+b") as file:
        file.pages[0].tags["PhotometricInterpretation"].overwrite(2)
    refused(cli, "one.tif", "is a 1-channel picture, not RGB")


@pytest.mark.parametrize("length", [0, 2, 5, 8])
def test_a_png_whose_transparent_colour_is_broken_has_no_alpha(length):
    data = imagecodecs.png_encode(CODES)
    content = b"tRNS" + b"\0" * length
    chunk = struct.pack(">I", length) + content + struct.pack(">I", zlib.crc32(content))
    Path("a.png").write_bytes(data[:33] + chunk + data[33:])
    image = read_code(Path("a.png"))
    assert image.alpha is None
    np.testing.assert_array_equal(image.code, CODES)


DECODERS = {
    "png": "cv2.imdecode",
    "tiff": "tifffile.TiffFile",
    "jpeg": "PIL.ImageOps.exif_transpose",
    "webp": "imagecodecs.webp_decode",
}
"""What each format's reader calls."""


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("error", [IndexError("list index"), KeyError(), ZeroDivisionError("")])
def test_whatever_a_decoder_raises_names_the_file(cli, monkeypatch, kind, error):
    def raises(*_, **__):
        raise error

    Image.fromarray(CODES).save(f"a.{kind}")
    monkeypatch.setattr(DECODERS[kind], raises)
    refused(cli, f"a.{kind}", f"is a damaged {FORMAT_NAMES[kind]} (")


@pytest.mark.parametrize("kind", DECODERS)
def test_want_of_memory_is_not_called_damage(monkeypatch, kind):
    def raises(*_, **__):
        raise MemoryError

    Image.fromarray(CODES).save(f"a.{kind}")
    monkeypatch.setattr(DECODERS[kind], raises)
    with pytest.raises(MemoryError):
        read_code(Path(f"a.{kind}"))


def test_opencvs_want_of_memory_is_not_called_damage(monkeypatch):
    def raises(*_, **__):
        error = cv2.error("no memory")
        error.code, error.err = cv2.Error.StsNoMem, "Insufficient memory"
        raise error

    Image.fromarray(CODES).save("a.png")
    monkeypatch.setattr(cv2, "imdecode", raises)
    with pytest.raises(MemoryError):
        read_code(Path("a.png"))


def test_the_shape_of_pixels_is_that_of_the_page_that_was_taken():
    for first, second, aspect in (((72, 36), (72, 72), None), ((72, 72), (72, 36), 2.0)):
        with tifffile.TiffWriter("a.tif") as file:
            file.write(CODES[::4, ::4], photometric="rgb", subfiletype=1, resolution=first)
            file.write(CODES, photometric="rgb", resolution=second)
        geometry = read_code(Path("a.tif")).geometry
        assert (geometry and geometry.pixel_aspect_ratio) == (aspect and oiio_aspect("a.tif", 1))


def oiio_aspect(path: str, page: int) -> float:
    return oiio.ImageBuf(path, page, 0).spec().get_float_attribute("PixelAspectRatio")


def test_a_larger_picture_beneath_an_unflagged_preview_is_the_picture(cli):
    with tifffile.TiffWriter("a.tif") as file:
        file.write(CODES[::4, ::4], photometric="rgb", subifds=1)
        file.write(CODES, photometric="rgb")
    said = cli("expand", "a.tif", "-o", "out.exr", "--encoding", "srgb", "--json")
    assert oiio.ImageBuf("out.exr").spec().width == 32
    notes = json.loads(said.out)["files"][0]["notes"]
    assert "the first page is a preview of 8x6; the larger picture beneath it was taken" in notes
