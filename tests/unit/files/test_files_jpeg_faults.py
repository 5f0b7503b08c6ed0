"""JPEG that lacks its rest in ways that decode without a word, and odd JPEG that is whole."""

import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from hdrgen.images.code_image import read_code

CODES = cv2.resize(np.random.default_rng(0).integers(40, 220, (17, 23, 3), np.uint8), (368, 272))
END = b"\xff\xd9"
KINDS = {
    "plain": {},
    "optimised": {"optimize": True},
    "restarts": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def jpeg(codes=CODES, **how) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "JPEG", **{"quality": 92, **how})
    return stream.getvalue()


def read(data: bytes) -> np.ndarray:
    Path("a.jpg").write_bytes(data)
    return read_code(Path("a.jpg")).code


def refused(cli, path: str, why: str) -> None:
    said = cli("expand", path, "-o", "out.exr", "--encoding", "srgb")
    assert said.code == 2, said
    assert f"{path}: {why}" in said.err
    assert not Path("out.exr").exists()


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("kept", [0.98, 0.8, 0.5])
@pytest.mark.parametrize("end", [b"", END], ids=["open", "closed"])
def test_an_interrupted_copy_whose_rest_is_zeros_is_refused(cli, how, kept, end):
    """Zeros are data to the decoder: it goes on in some colour and has no complaint."""
    whole = jpeg(**how)
    start = whole[: int(len(whole) * kept)]
    Path("a.jpg").write_bytes(start + bytes(len(whole) - len(start) - len(end)) + end)
    refused(cli, "a.jpg", "is a truncated JPEG")


@pytest.mark.parametrize("kept", [0.98, 0.95, 0.9, 0.8])
def test_a_progressive_jpeg_cut_in_its_last_scans_is_refused(cli, kept):
    whole = jpeg(progressive=True)
    Path("a.jpg").write_bytes(whole[: int(len(whole) * kept)] + END)
    refused(cli, "a.jpg", "is a truncated JPEG")


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("grey", [None, 0, 128, 255])
@pytest.mark.parametrize("end", [b"", bytes(3000), bytes(3000) + END], ids=["none", "zeros", "zeros and end"])
def test_a_whole_jpeg_without_an_end_or_with_zeros_before_it_is_read(how, grey, end):
    codes = CODES.copy()
    if grey is not None:
        codes[100:] = grey
    whole = jpeg(codes, **how)
    np.testing.assert_array_equal(read(whole[:-2] + end), imagecodecs.jpeg8_decode(whole))


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
def test_a_whole_jpeg_whose_data_end_in_zeros_of_its_own_is_read(how, grey):
    """One colour takes a bit for each block where tables are made for the picture."""
    codes = np.full((2048, 2048, 3), grey, np.uint8)
    codes[:4] = np.random.default_rng(1).integers(0, 256, (4, 2048, 3))
    whole = jpeg(codes, **how)
    np.testing.assert_array_equal(read(whole), imagecodecs.jpeg8_decode(whole))


@pytest.mark.parametrize("before", [b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda"])
@pytest.mark.parametrize("stray", [b"\0\0\0\0", b"ab", b"\xff\xff"])
def test_stray_bytes_between_markers_do_not_matter(before, stray):
    whole = jpeg()
    at = whole.index(before)
    np.testing.assert_array_equal(read(whole[:at] + stray + whole[at:]), imagecodecs.jpeg8_decode(whole))


@pytest.mark.parametrize("tile", [None, (128, 128)], ids=["strips", "tiles"])
@pytest.mark.parametrize("tables", [False, True], ids=["whole segments", "tables apart"])
@pytest.mark.parametrize("rest", ["none", "zeros"])
def test_a_strip_or_tile_cut_and_closed_makes_a_tiff_truncated(cli, tile, tables, rest):
    rows = {} if tile else {"rowsperstrip": 64}
    tifffile.imwrite("a.tif", CODES, photometric="ycbcr", compression="jpeg", tile=tile, **rows)
    if tables:
        with Image.open("a.tif") as image:
            image.load()
            image.save("a.tif", compression="jpeg", strip_size=64 * 368 * 3)
    whole = read_code(Path("a.tif")).code
    np.testing.assert_array_equal(whole, tifffile.imread("a.tif"))
    with tifffile.TiffFile("a.tif") as file:
        page = file.pages[0]
        assert (347 in page.tags) == tables
        start, count = page.dataoffsets[1], page.databytecounts[1]
    data = bytearray(Path("a.tif").read_bytes())
    middle = start + count * 2 // 3
    lost = start + count - middle
    data[middle : start + count] = END + bytes(lost - 2) if rest == "none" else bytes(lost - 2) + END
    Path("a.tif").write_bytes(data)
    refused(cli, "a.tif", "is a truncated TIFF")


def test_the_size_that_is_too_large_is_ours_not_pillows(cli):
    """Pillow's own limit is 179 megapixels."""
    whole = jpeg(np.zeros((16, 16, 3), np.uint8))
    at = whole.index(b"\xff\xc0") + 5
    claimed = whole[:at] + (20000).to_bytes(2) + (20000).to_bytes(2) + whole[at + 4 :]
    Path("a.jpg").write_bytes(claimed)
    refused(cli, "a.jpg", "claims 20000x20000, more than 300 megapixels")


def test_a_jpeg_above_pillows_limit_is_read(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    whole = jpeg()
    np.testing.assert_array_equal(read(whole), imagecodecs.jpeg8_decode(whole))


def test_jpegs_of_other_kinds_are_not_called_damaged(cli):
    Path("a.jpg").write_bytes(imagecodecs.jpegls_encode(CODES))
    refused(cli, "a.jpg", "is JPEG-LS, which is not supported; save it as PNG or TIFF")
    Path("b.jpg").write_bytes(imagecodecs.jpeg_encode(CODES.astype(np.uint16) * 16, bitspersample=12))
    refused(cli, "b.jpg", "is a JPEG of 12 bits, which is not supported; save it as PNG or TIFF")


def test_pillow_warns_nobody_of_broken_exif_and_multi_picture_data():
    whole = jpeg()
    broken = b"\xff\xe2\x00\x10MPF\0II*\0junkj" + b"\xff\xe1\x00\x16Exif\0\0II*\0\x08\0\0\0\x09\0"
    Path("a.jpg").write_bytes(whole[:2] + broken + whole[2:])
    code = (
        "from pathlib import Path; from hdrgen.images.code_image import read_code; read_code(Path('a.jpg'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_profile_that_lacks_a_segment_is_called_incomplete(cli):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    whole = jpeg(icc_profile=profile)
    at = whole.index(b"ICC_PROFILE\0") + 12
    assert whole[at : at + 2] == b"\x01\x01"
    Path("a.jpg").write_bytes(whole[:at] + b"\x01\x02" + whole[at + 2 :])
    said = cli("expand", "a.jpg", "-o", "out.exr", "--encoding", "srgb", "--json")
    assert any(
        "its colour profile is incomplete" in note for note in json.loads(said.out)["files"][0]["notes"]
    )


def test_a_folder_holds_jfif_too(cli):
    Path("in").mkdir()
    Path("in/a.jfif").write_bytes(jpeg())
    said = cli("expand", "in", "-o", "out", "--encoding", "srgb")
    assert said.code == 0, said.err
    assert Path("out/a.exr").exists()
