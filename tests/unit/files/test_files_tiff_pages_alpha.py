"""Which page of a TIFF is the picture, what its fourth channel is, and which way up pictures are, by the commands."""

import json
import struct
import zlib
from pathlib import Path

import colour
import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from PIL import Image, ImageOps

from hdrgen.images.code_image import read_code, write_code

CODE16 = np.random.default_rng(0).integers(9000, 52000, (24, 32, 3), np.uint16)
ALPHA16 = np.linspace(6000, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
SMALL = CODE16[::4, ::4]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def expanded(cli, path: str, *options: str) -> tuple[np.ndarray, list[str]]:
    said = cli("expand", path, "-o", "out.exr", "--space", "linear_rec709", "--json", *options)
    assert said.code == 0, said.err
    return oiio.ImageBuf("out.exr").get_pixels(oiio.FLOAT), json.loads(said.out)["files"][0]["notes"]


def light_of(code: np.ndarray) -> np.ndarray:
    return colour.models.eotf_sRGB(np.asarray(code, np.float64) / np.iinfo(code.dtype).max)


# Alpha.


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
def test_light_under_alpha_is_the_same_however_the_tiff_stores_it(cli, kind, planar):
    """Codes that were multiplied by alpha come out 4 times too dark where that is overlooked."""
    coverage = ALPHA16[..., None] / 65535
    stored = np.rint(CODE16 * coverage).astype(np.uint16) if kind == "assocalpha" else CODE16
    picture = np.dstack([stored, ALPHA16])
    if planar == "separate":
        picture = np.moveaxis(picture, -1, 0).copy()
    tifffile.imwrite("a.tif", picture, photometric="rgb", extrasamples=[kind], planarconfig=planar)
    light, notes = expanded(cli, "a.tif", "--encoding", "srgb")
    np.testing.assert_allclose(light[..., :3], light_of(CODE16) * coverage, rtol=3e-3, atol=2e-4)
    np.testing.assert_allclose(light[..., 3], ALPHA16 / 65535, atol=5e-4)
    assert any("multiplied by alpha, which was undone" in note for note in notes) == (kind == "assocalpha")
    # OpenImageIO, by default, hands out what was multiplied, whatever the file holds.
    theirs = oiio.ImageBuf("a.tif").get_pixels(oiio.FLOAT)
    ours = read_code(Path("a.tif")).code / 65535 * coverage
    np.testing.assert_allclose(ours, theirs[..., :3], atol=1e-4)


def test_associated_alpha_of_8_bits_and_light_without_coverage():
    """What lies under alpha 0 is glow: nothing to divide by, so it stays."""
    code = np.array([[[10, 20, 30], [50, 40, 30], [200, 90, 9]]], np.uint8)
    alpha = np.array([[0, 100, 128]], np.uint8)
    tifffile.imwrite("a.tif", np.dstack([code, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    image = read_code(Path("a.tif"))
    assert image.code.tolist() == [[[10, 20, 30], [128, 102, 76], [255, 179, 18]]]
    np.testing.assert_array_equal(image.alpha, alpha)


def test_a_fourth_channel_that_is_not_said_to_be_alpha_is_none(cli):
    tifffile.imwrite("a.tif", np.dstack([CODE16, ALPHA16]), photometric="rgb", extrasamples=["unspecified"])
    light, notes = expanded(cli, "a.tif", "--encoding", "srgb")
    assert light.shape == (24, 32, 3)
    np.testing.assert_allclose(light, light_of(CODE16), rtol=2e-3, atol=1e-4)
    assert "1 extra channel not said to be alpha left out" in notes


def test_alpha_is_found_among_several_extra_channels(cli):
    picture = np.dstack([CODE16, CODE16[..., 0], ALPHA16, CODE16[..., 1]])
    tifffile.imwrite("a.tif", picture, photometric="rgb", extrasamples=["unspecified", "unassalpha", 0])
    light, notes = expanded(cli, "a.tif", "--encoding", "srgb")
    np.testing.assert_allclose(light[..., 3], ALPHA16 / 65535, atol=5e-4)
    assert "2 extra channels not said to be alpha left out" in notes


# Which way up.


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def code8_turned(code8: np.ndarray, orientation: int) -> np.ndarray:
    opaque = oiio.ImageBuf(oiio.ImageSpec(32, 24, 3, oiio.UINT8))
    opaque.set_pixels(oiio.ROI(), code8)
    opaque.orientation = orientation
    return oiio.ImageBufAlgo.reorient(opaque).get_pixels(oiio.UINT8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_pictures_are_upright_as_pillow_turns_them(suffix, orientation):
    path = Path(f"a.{suffix}")
    code8 = np.rint(CODE16 / 257).astype(np.uint8)
    alpha8 = (ALPHA16 // 257).astype(np.uint8)
    picture = Image.fromarray(code8 if suffix == "jpg" else np.dstack([code8, alpha8]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)
    if suffix == "tif":  # Pillow garbles a TIFF with alpha
        upright = oiio.ImageBufAlgo.reorient(oiio.ImageBuf(str(path))).get_pixels(oiio.UINT8)
        upright[..., :3] = code8_turned(code8, orientation)  # OpenImageIO multiplies by alpha
    else:
        upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    image = read_code(path)
    np.testing.assert_array_equal(image.code, upright[..., :3])
    if suffix != "jpg":
        np.testing.assert_array_equal(image.alpha, upright[..., 3])


def test_a_16_bit_picture_on_its_side_is_upright_in_the_exr(cli):
    tifffile.imwrite("a.tif", CODE16, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    exif = Image.Exif()
    exif[0x0112] = 6
    write_code(Path("a.png"), CODE16)
    data = Path("a.png").read_bytes()
    Path("a.png").write_bytes(
        data[:33] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + data[33:]
    )
    expected = light_of(np.rot90(CODE16, -1))
    for path in ("a.tif", "a.png"):
        light, _ = expanded(cli, path, "--encoding", "srgb")
        np.testing.assert_allclose(light, expected, rtol=2e-3, atol=1e-4)


def test_damaged_exif_turns_nothing():
    write_code(Path("a.png"), CODE16)
    data = Path("a.png").read_bytes()
    Path("a.png").write_bytes(data[:33] + chunk(b"eXIf", b"MM\0*nonsense") + data[33:])
    np.testing.assert_array_equal(read_code(Path("a.png")).code, CODE16)


# Pages.


def pages(*pictures, **how) -> None:
    """Write a TIFF whose pages have the given ``NewSubfileType``."""
    with tifffile.TiffWriter("a.tif") as file:
        for picture, kind in pictures:
            file.write(picture, photometric="rgb", subfiletype=kind, metadata=None, **how)


def test_a_reduced_first_page_is_not_the_picture(cli):
    pages((SMALL, 1), (CODE16, 0))
    light, notes = expanded(cli, "a.tif", "--encoding", "srgb")
    np.testing.assert_allclose(light, light_of(CODE16), rtol=2e-3, atol=1e-4)
    assert "the first page is a reduced picture or a mask; the first that is not was taken" in notes
    with tifffile.TiffFile("a.tif") as file:  # another reader agrees on which page is which
        assert [page.is_reduced for page in file.pages] == [1, 0]


def test_a_thumbnail_before_its_picture_is_not_the_picture(cli):
    """Scanners and cameras write it without saying so."""
    pages((SMALL, 0), (CODE16, 0))
    light, notes = expanded(cli, "a.tif", "--encoding", "srgb")
    np.testing.assert_allclose(light, light_of(CODE16), rtol=2e-3, atol=1e-4)
    assert "the first page is a thumbnail of 8x6; the largest was taken" in notes


def test_of_several_pages_the_first_is_taken_and_that_is_said(cli):
    pages((CODE16, 0), (CODE16[::-1].copy(), 0), (SMALL, 0), (SMALL, 1))
    light, notes = expanded(cli, "a.tif", "--encoding", "srgb")
    np.testing.assert_allclose(light, light_of(CODE16), rtol=2e-3, atol=1e-4)
    assert "the TIFF has 3 pages; the first was taken" in notes


def test_a_pyramid_is_one_picture(cli):
    pages((CODE16, 0), (CODE16[::2, ::2].copy(), 1), (SMALL, 1))
    light, notes = expanded(cli, "a.tif", "--encoding", "srgb")
    assert light.shape == (24, 32, 3)
    assert notes == ["16-bit codes are fine enough: decoded as they are, without the network"]


def test_the_picture_may_lie_beneath_a_reduced_page(cli):
    """As in raw files: the first directory is a preview, the whole picture in a directory beneath it."""
    with tifffile.TiffWriter("a.tif") as file:
        file.write(SMALL, photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        file.write(CODE16, photometric="rgb", subfiletype=0, metadata=None)
    light, _ = expanded(cli, "a.tif", "--encoding", "srgb")
    np.testing.assert_allclose(light, light_of(CODE16), rtol=2e-3, atol=1e-4)


def test_nothing_but_a_reduced_page_is_taken_and_said(cli):
    pages((CODE16, 1))
    _, notes = expanded(cli, "a.tif", "--encoding", "srgb")
    assert "the TIFF holds nothing but a reduced picture, which was taken" in notes


@pytest.mark.parametrize("leads_to", ["beyond the file", "into the header", "back to itself"])
def test_a_broken_chain_of_pages_does_not_matter_to_the_first(cli, leads_to):
    tifffile.imwrite("a.tif", CODE16, photometric="rgb", metadata=None)
    data = bytearray(Path("a.tif").read_bytes())
    with tifffile.TiffFile("a.tif") as file:
        page = file.pages[0]
        following = page.offset + 2 + 12 * len(page.tags)
        target = {"beyond the file": len(data) + 999, "into the header": 3, "back to itself": page.offset}
    struct.pack_into("<I", data, following, target[leads_to])
    Path("a.tif").write_bytes(data)
    said = cli("expand", "a.tif", "-o", "out.exr", "--encoding", "srgb")
    assert said.code == 0
    assert said.err == "note: 16-bit codes are fine enough: decoded as they are, without the network\n"
