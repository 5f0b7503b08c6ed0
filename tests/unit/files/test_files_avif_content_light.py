"""An AVIF preview says how bright it gets: MaxCLL and MaxFALL, read back by FFmpeg, computed again by colour-science."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from hdrgen.colour.primaries import AP1
from hdrgen.images.content_light import ContentLight, content_light, with_content_light
from hdrgen.images.exr import write_exr
from hdrgen.images.hdr_codes import encode_avif

CODE = np.linspace(0, 1, 48 * 64 * 3, dtype=np.float32).reshape(48, 64, 3)


def light_by_ffmpeg(avif: bytes) -> tuple[int, int] | None:
    """Return MaxCLL and MaxFALL as FFmpeg finds them."""
    av = pytest.importorskip("av", reason="PyAV (FFmpeg) is not installed")
    with av.open(io.BytesIO(avif)) as container:
        frame = next(container.decode(video=0))
    found = [bytes(data) for data in frame.side_data if data.type.name == "CONTENT_LIGHT_LEVEL"]
    return struct.unpack("II", found[0]) if found else None


def decoded(avif: bytes) -> np.ndarray:
    """Return the codes that imagecodecs reads, having made sure that Pillow reads the file too."""
    with Image.open(io.BytesIO(avif)) as picture:
        picture.load()
    codes: np.ndarray = pytest.importorskip("imagecodecs").avif_decode(avif)
    return codes


def chart() -> np.ndarray:
    """Return a linear AP1 picture: dark, half of it grey, a lamp beyond what the display shows, a red one."""
    linear = np.full((64, 96, 3), 0.02, np.float32)
    linear[:32] = 0.18
    linear[40:56, 8:24] = 500.0
    linear[40:56, 40:56] = 4.0, 0.1, 0.1
    return linear


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize(("peak", "size"), [(1000, None), (600, None), (4000, 48)])
def test_a_preview_states_its_light(cli, tmp_path, peak, size, bits):
    """Of the codes in the file: the largest component of each pixel, its maximum and its mean (CTA-861.3)."""
    colour = pytest.importorskip("colour")
    write_exr(tmp_path / "a.exr", chart(), chromaticities=AP1)
    options = ["--peak-nits", peak, "--bits", bits, *(["--size", size] if size else [])]
    assert cli("preview", tmp_path / "a.exr", "-o", tmp_path / "a.avif", *options).code == 0
    avif = (tmp_path / "a.avif").read_bytes()
    nits = colour.eotf(decoded(avif) / (2**bits - 1), "ITU-R BT.2100 PQ").max(axis=-1)
    stated = light_by_ffmpeg(avif)
    assert stated is not None
    assert stated[0] == pytest.approx(nits.max(), rel=0.03)
    assert stated[0] == pytest.approx(peak, rel=0.02)
    assert stated[1] == pytest.approx(nits.mean(), rel=0.04)  # the codes are lossy


def test_hlg_states_the_light_on_its_display(cli, tmp_path):
    write_exr(tmp_path / "a.exr", chart(), chromaticities=AP1)
    cli("preview", tmp_path / "a.exr", "-o", tmp_path / "a.avif", "--transfer", "hlg", "--peak-nits", 600)
    assert light_by_ffmpeg((tmp_path / "a.avif").read_bytes())[0] == pytest.approx(600, rel=0.02)


def test_light_is_that_of_the_largest_component():
    nits = np.zeros((2, 2, 3), np.float32)
    nits[0, 0] = 10, 400.4, 3
    nits[1, 1] = 100, 0, 0
    assert content_light(nits) == (400, 125)
    assert content_light(nits * 1000) == (65535, 65535)
    assert content_light(np.zeros((2, 2, 3), np.float32)) == (0, 0)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_the_picture_is_as_before(transfer, bits):
    """Codes, colour tags and the coded bytes; without a light nothing is stated."""
    plain = encode_avif(CODE, transfer=transfer, bits=bits)
    told = encode_avif(CODE, transfer=transfer, bits=bits, light=ContentLight(1234, 56))
    assert light_by_ffmpeg(plain) is None
    assert light_by_ffmpeg(told) == (1234, 56)
    np.testing.assert_array_equal(decoded(told), decoded(plain))
    assert plain[plain.index(b"mdat") :] == told[told.index(b"mdat") :]
    assert plain[plain.index(b"colr") : plain.index(b"colr") + 15] in told


def box(kind: bytes, *content: bytes, wide: bool = False) -> bytes:
    data = b"".join(content)
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(data)) + data
    return struct.pack(">I4s", 8 + len(data), kind) + data


def content(avif: bytes, kind: bytes) -> bytes:
    at = avif.index(kind) - 4
    return avif[at + 8 : at + int.from_bytes(avif[at : at + 4], "big")]


def laid_out(
    *,
    version: int = 0,
    base: bool = False,
    offset_size: int = 4,
    wide: bool = False,
    first: str = "meta",
    idat: bool = False,
) -> bytes:
    """Return the same picture in a file built in another way that the standard allows."""
    plain = encode_avif(CODE, transfer="pq")
    coded, properties = content(plain, b"mdat"), content(plain, b"ipco")
    associations = [(byte & 128, byte & 127) for byte in content(plain, b"ipma")[11:]]
    linked = [struct.pack(">H", (e << 8) | i) if wide else bytes([e | i]) for e, i in associations]
    item = struct.pack(">I" if version > 1 else ">H", 1)
    ipma = bytes([min(version, 1), 0, 0, wide]) + struct.pack(">I", 1)
    ipma += struct.pack(">I" if version else ">H", 1) + bytes([len(linked)]) + b"".join(linked)

    def file(at: int) -> bytes:
        where, extra = (at, 0) if base else (0, at)
        iloc = bytes([version, 0, 0, 0, offset_size << 4 | 4, (offset_size if base else 0) << 4])
        iloc += (struct.pack(">I", 1) if version > 1 else struct.pack(">H", 1)) + item
        iloc += struct.pack(">H", int(idat)) if version else b""
        iloc += b"\0\0" + (where.to_bytes(offset_size, "big") if base else b"") + struct.pack(">H", 1)
        iloc += extra.to_bytes(offset_size, "big") + struct.pack(">I", len(coded))
        meta = box(
            b"meta",
            b"\0\0\0\0",
            box(b"hdlr", content(plain, b"hdlr")),
            box(b"pitm", content(plain, b"pitm")),
            box(b"iloc", iloc),
            box(b"iinf", content(plain, b"iinf")),
            box(b"iprp", box(b"ipco", properties), box(b"ipma", ipma)),
            box(b"idat", coded) if idat else b"",
            wide=wide,
        )
        mdat = b"" if idat else box(b"mdat", coded, wide=wide)
        ftyp = box(b"ftyp", content(plain, b"ftyp"))
        return ftyp + (meta + mdat if first == "meta" else mdat + meta)

    return file(0 if idat else file(0).index(coded))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"first": "mdat"},
        {"version": 1},
        {"version": 2, "base": True},
        {"base": True},
        {"offset_size": 8},
        {"wide": True},
        {"version": 1, "wide": True, "base": True, "offset_size": 8},
        {"version": 1, "idat": True},
    ],
)
def test_other_ways_to_build_a_file_are_understood(how):
    """Item locations of each version, with a base or none, before and after the picture, 64-bit sizes, in the box."""
    plain = laid_out(**how)
    told = with_content_light(plain, ContentLight(1000, 200))
    np.testing.assert_array_equal(decoded(told), decoded(plain))
    np.testing.assert_array_equal(decoded(told), decoded(encode_avif(CODE, transfer="pq")))
    if not how.get("idat"):  # which FFmpeg does not read
        assert light_by_ffmpeg(told) == (1000, 200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        box(b"ftyp", b"avif"),
        box(b"meta", b"\0\0\0\0"),
        encode_avif(CODE, transfer="pq")[:150],
    ],
)
def test_what_is_no_avif_is_refused(data):
    with pytest.raises(ValueError, match="no AVIF"):
        with_content_light(data, ContentLight(1, 1))
