"""WebP: every kind of one picture is read as it is, and what is no whole picture is refused in one line."""

import io
import json
import struct
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from hdrgen.images.code_image import code_format, read_code
from hdrgen.images.stored_image import UnreadableImage

RGBA = cv2.resize(np.random.default_rng(0).integers(0, 256, (7, 9, 4), np.uint8), (61, 47))
KINDS = {"lossy": {"quality": 80}, "lossless": {"lossless": True, "exact": True}}
CHANNELS = {"RGB": 3, "RGBA": 4}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def webp(codes=RGBA[..., :3], **how) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "WEBP", **how)
    return stream.getvalue()


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    content = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return chunks


def read(data: bytes, **how):
    Path("a.webp").write_bytes(data)
    return read_code(Path("a.webp"), **how)


def why_not(data: bytes) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
def test_codes_are_as_pillow_reads_them(how, channels):
    data = webp(RGBA[..., :channels], **how)
    image = read(data)
    theirs = np.array(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(image.code, theirs[..., :3])
    assert (image.alpha is not None) == (channels == 4)
    if image.alpha is not None:
        np.testing.assert_array_equal(image.alpha, theirs[..., 3])
    assert (image.format, image.bits, image.colour, image.notes) == ("webp", 8, None, ())
    assert code_format(Path("a.webp")) == "webp"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_webp_is_upright_as_pillow_turns_it(orientation):
    turned, exif = Image.fromarray(RGBA), Image.Exif()
    exif[0x0112] = orientation
    image = read(webp(RGBA, lossless=True, exact=True, exif=exif))
    turned.getexif()[0x0112] = orientation
    theirs = np.array(ImageOps.exif_transpose(turned))
    np.testing.assert_array_equal(np.dstack([image.code, image.alpha]), theirs)
    assert image.header == ()


def test_profile_and_exif_say_the_colour():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read(webp(icc_profile=profile)).colour.key == "srgb_rec709"
    assert "the profile is damaged" in read(webp(icc_profile=b"nonsense")).notes[0]
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    image = read(webp(exif=exif))
    assert (image.colour.key, image.colour.by) == ("g22_adobergb", "EXIF")
    assert read(webp(exif=b"Exif\0\0nonsense")).colour is None


def test_what_a_webp_says_besides_is_named():
    exif = Image.Exif()
    exif[0x010F] = "maker"
    assert read(webp(exif=exif, xmp=b"<x/>")).header == ("EXIF", "XMP")


def test_an_untagged_webp_is_srgb_in_every_command(cli):
    Path("in").mkdir()
    Path("in/a.webp").write_bytes(webp())
    said = cli("expand", "in", "-o", "out", "--json")
    assert said.code == 0, said.err
    facts = json.loads(said.out)["files"][0]
    assert facts["encoding"] == "srgb"
    assert Path("out/a.exr").exists()


def test_an_animation_is_refused():
    frames = [Image.fromarray(np.roll(RGBA[..., :3], n, 0)) for n in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:])
    assert "is an animated WebP; give its frames as files" in why_not(stream.getvalue())


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
def test_a_webp_cut_anywhere_is_refused(how, channels):
    data = webp(RGBA[..., :channels], **how)
    for length in [*range(12, 60), *range(60, len(data), 37), len(data) - 1]:
        assert "WebP" in why_not(data[:length])


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
def test_a_webp_cut_and_closed_is_refused_or_whole(how, channels):
    """Chunks whose sizes were put right behind the cut: what can still be read is every pixel."""
    whole = webp(RGBA[..., :channels], **how)
    codes = read(whole).code
    chunks = chunks_of(whole)
    refused = 0
    for length in range(0, len(chunks[-1][1]), 23):
        cut = riff(*chunks[:-1], (chunks[-1][0], chunks[-1][1][:length]))
        try:
            np.testing.assert_array_equal(read(cut).code, codes)
        except UnreadableImage:
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("kind", ["VP8X", "VP8L", "VP8 "])
def test_a_claim_of_gigabytes_is_refused_before_decoding(kind, monkeypatch):
    monkeypatch.setattr("imagecodecs.webp_decode", None)
    chunk = {
        "VP8X": struct.pack("<I", 0) + b"\xff\xff\xff" * 2,
        "VP8L": b"\x2f" + struct.pack("<I", 0x0FFFFFFF) + bytes(9),
        "VP8 ": b"\0\0\0\x9d\x01\x2a" + b"\xff\x3f" * 2 + bytes(9),
    }[kind]
    Path("a.webp").write_bytes(riff((kind.encode(), chunk)))
    with pytest.raises(UnreadableImage, match=r"claims \d+x\d+, more than 100 megapixels"):
        read_code(Path("a.webp"), max_megapixels=100)


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("size", [0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("at", [4, 16])
def test_wrong_sizes_of_chunks_are_refused(how, size, at):
    data = bytearray(webp(**how))
    data[at : at + 4] = struct.pack("<I", size)
    assert "WebP" in why_not(bytes(data))


def test_a_canvas_unlike_its_picture_and_no_picture_are_refused():
    chunks = chunks_of(webp(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"))
    assert chunks[0][0] == b"VP8X"
    canvas = chunks[0][1][:4] + b"\x3f\0\0" * 2
    assert "is a damaged WebP (two sizes)" in why_not(riff((b"VP8X", canvas), *chunks[1:]))
    assert "is a damaged WebP (no picture in it)" in why_not(riff(chunks[0], (b"JUNK", b"abcd")))
    assert "is a damaged WebP (no header)" in why_not(riff((b"JUNK", bytes(20)), *chunks[1:]))


@pytest.mark.parametrize("how", KINDS.values(), ids=KINDS)
def test_flipped_bits_never_do_more_than_refuse(how):
    data, rng = webp(RGBA, **how), np.random.default_rng(1)
    for _ in range(200):
        broken = bytearray(data)
        broken[rng.integers(12, len(data))] ^= 1 << rng.integers(8)
        with suppress(UnreadableImage):
            assert read(bytes(broken), max_megapixels=1).code.dtype == np.uint8


def test_inspect_shows_a_webp_and_what_it_is_taken_for(cli):
    Path("a.webp").write_bytes(webp(RGBA))
    said = cli("inspect", "a.webp")
    assert said.code == 0, said.err
    assert "61x47 8-bit RGBA codes, WebP" in said.out
    assert "nothing says the encoding, so srgb" in said.err
    facts = json.loads(cli("inspect", "a.webp", "--json").out)["files"][0]
    assert (facts["header"]["format"], facts["header"]["encoding"]) == ("webp", "srgb")


def test_inspect_says_where_codes_are_a_question(cli):
    Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save("a.png")
    facts = json.loads(cli("inspect", "a.png", "--json").out)["files"][0]
    assert facts["header"]["encoding"] is None
    assert "sRGB or LogC4" in facts["notes"][0]
