"""Radiance files as programs leave them: every encoding of lines by turns, odd headers, all orientations."""

import json
from functools import partial

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest

from hdrgen.images.radiance import read_radiance, read_radiance_header
from hdrgen.images.stored_image import UnreadableImage

HEIGHT, WIDTH = 9, 13


def picture():
    rgbe = np.random.default_rng(3).integers(128, 255, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    rgbe[..., 3] = rgbe[..., 3] % 8 + 126
    rgbe[2, 3:9], rgbe[5, 1:], rgbe[6, :4] = rgbe[2, 2], rgbe[5, 0], rgbe[6, 4]
    return rgbe


RGBE = picture()
LIGHT = (RGBE[..., :3] * np.ldexp(1.0, RGBE[..., 3:].astype(int) - 136)).astype(np.float32)


def flat(line):
    return line.tobytes()


def planes(line):
    """Encode every plane as literals, its last three samples as runs of one."""
    out = bytes((2, 2, WIDTH >> 8, WIDTH & 255))
    for plane in line.T:
        out += (
            bytes((WIDTH - 3,)) + plane[:-3].tobytes() + b"".join(bytes((129, value)) for value in plane[-3:])
        )
    return out


def repeats(line):
    """Encode a pixel that repeats as itself and (1, 1, 1, n)."""
    out, at = b"", 0
    while at < WIDTH:
        run = 0
        while at + run + 1 < WIDTH and (line[at + run + 1] == line[at]).all():
            run += 1
        out += line[at].tobytes() + (bytes((1, 1, 1, run)) if run else b"")
        at += run + 1
    return out


def radiance(tmp_path, *, lines=b"FORMAT=32-bit_rle_rgbe\n", encoders=(planes,), first=b"#?RADIANCE", end=b"\n",
             resolution=b"-Y 9 +X 13", data=None):  # fmt: skip
    body = data
    if body is None:
        body = b"".join(encoders[y % len(encoders)](line) for y, line in enumerate(RGBE))
    header = first + b"\n" + lines + b"\n" + resolution + b"\n"
    path = tmp_path / "a.hdr"
    path.write_bytes(header.replace(b"\n", end) + body)
    return path


def by_oiio(path):
    return oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)


TURNS = [
    (planes,), (flat,), (repeats,), (planes, flat), (flat, planes), (repeats, planes), (planes, repeats),
    (planes, repeats, flat), (flat, flat, planes), (planes, planes, flat), (repeats, flat, planes, planes),
]  # fmt: skip


@pytest.mark.parametrize("turns", TURNS, ids=lambda turns: "-".join(turn.__name__ for turn in turns))
def test_lines_may_take_turns_at_every_encoding(cli, tmp_path, turns):
    path = radiance(tmp_path, encoders=turns)
    assert np.array_equal(read_radiance(path).rgb, LIGHT)
    if repeats not in turns:  # which it does not know
        assert np.array_equal(by_oiio(path), LIGHT)
    out = tmp_path / "out.exr"
    assert cli("convert", path, "-o", out, "--to", "linear_rec709").code == 0
    assert np.array_equal(by_oiio(out), LIGHT)


def test_preview_of_turns_is_that_of_one_encoding(cli, tmp_path):
    shown = []
    for turns in ((planes,), (flat, planes)):
        assert cli("preview", radiance(tmp_path, encoders=turns), "-o", tmp_path / "p.png").code == 0
        shown.append(cv2.imread(str(tmp_path / "p.png")))
    assert np.array_equal(*shown)


@pytest.mark.parametrize("turns", [(flat, planes), (planes, flat), (repeats, planes)])
def test_turns_that_end_early_are_damage(tmp_path, turns):
    data = radiance(tmp_path, encoders=turns).read_bytes()
    for length in range(len(data) - 200, len(data), 3):
        path = tmp_path / "b.hdr"
        path.write_bytes(data[:length])
        with pytest.raises(UnreadableImage, match="damaged pixels"):
            read_radiance(path)


def test_long_files_of_turns_take_no_longer_than_their_length(tmp_path):
    """Looking at all that follows at every turn would take minutes."""
    width, height = 64, 6000
    pixel = bytes((200, 150, 100, 130))
    line = bytes((2, 2, 0, width)) + b"".join(bytes((128 + width, value)) for value in pixel)
    data = (pixel * width + line) * (height // 2)
    path = radiance(tmp_path, resolution=b"-Y 6000 +X 64", data=data)
    rgb = read_radiance(path).rgb
    assert (rgb == rgb[0, 0]).all()


@pytest.mark.parametrize(
    "odd",
    [
        {"end": b"\r\n"},
        {"first": b"#?RGBE"},
        {"first": b"#?AUTOPANO11"},
        {"lines": b""},
        {"lines": b"# a comment\npfilt -e 2 -x=3\nVIEW= -vtv\n"},
        {"lines": b"OWNER=Fran\xe7ois\nFORMAT=32-bit_rle_rgbe\n"},
        {"lines": b"\tEXPOSURE=4\n EXPOSURE=4\nFORMAT=32-bit_rle_rgbe\n"},
        {"lines": b"X=" + b"long " * 40000 + b"\n"},
        {"lines": b"EXPOSURE=\n"},
        {"lines": b"EXPOSURE=0\n"},
        {"lines": b"EXPOSURE=-1\nEXPOSURE=nan\nEXPOSURE=inf\nEXPOSURE=much\n"},
        {"lines": b"EXPOSURE=1e-29\nEXPOSURE=1e-29\nEXPOSURE=1e29\n"},
        {"lines": b"COLORCORR=0 0 0\nCOLORCORR=1 1\n"},
        {"lines": b"PIXASPECT=0\nPIXASPECT=x\n"},
        {"lines": b"PRIMARIES=0 0 0 0 0 0 0 0\n"},
        {"lines": b"PRIMARIES=1 2 3\n"},
        {"lines": b"PRIMARIES=.1 .1 .2 .2 .3 .3 .3 .3\n"},
        {"resolution": b"-Y  9   +X\t13 "},
    ],
)
def test_odd_headers_are_read(cli, tmp_path, odd):
    path = radiance(tmp_path, **odd)
    if b"EXPOSURE=1e" not in odd.get("lines", b""):
        assert np.array_equal(read_radiance(path).rgb, LIGHT)
    done = cli("inspect", path, "--json")
    assert done.code == 0
    header = json.loads(done.out)["files"][0]["header"]
    assert (header["width"], header["height"], header["chromaticities"]) == (WIDTH, HEIGHT, None)
    assert cli("preview", path, "-o", tmp_path / "a.png").code == 0


@pytest.mark.parametrize(
    ("line", "note"),
    [
        (b"EXPOSURE=0", "EXPOSURE=0 makes no sense and was not followed"),
        (b"EXPOSURE=x", "EXPOSURE=x makes no sense"),
        (b"COLORCORR=1 0 1", "COLORCORR=1 0 1 makes no sense"),
        (b"PIXASPECT=-1", "PIXASPECT=-1 makes no sense"),
        (b"PRIMARIES=1 2", "PRIMARIES=1 2 makes no sense"),
        (b"PRIMARIES=.1 .1 .2 .2 .3 .3 .3 .3", "span no colour space"),
        (b"OWNER=Fran\xe7ois", "OWNER is not UTF-8: read as Latin-1"),
    ],
)
def test_what_is_not_followed_is_noted(cli, tmp_path, line, note):
    path = radiance(tmp_path, lines=line + b"\n")
    (said,) = read_radiance(path).notes
    assert note in said
    assert read_radiance_header(path).notes == (said,)
    assert note in cli("convert", path, "-o", tmp_path / "out.exr").err


@pytest.mark.parametrize(
    "name", ["", "dataWindow", "channels", "compression", "type", "tiles", "screenWindowCenter", "a\0b"]
)
@pytest.mark.parametrize("value", ["", "1234", "some text"])
def test_names_that_mean_things_in_openexr_are_only_text_here(cli, tmp_path, name, value):
    path = radiance(tmp_path, lines=f"{name}={value}\nOWNER=kept\n".encode())
    assert read_radiance(path).geometry.is_plain
    out = tmp_path / "out.exr"
    assert cli("convert", path, "-o", out, "--to", "linear_rec709").code == 0
    assert np.array_equal(by_oiio(out), LIGHT)
    assert oiio.ImageBuf(str(out)).spec().getattribute("OWNER") == "kept"


def test_sensible_lines_beside_senseless_ones_are_followed(tmp_path):
    path = radiance(tmp_path, lines=b"EXPOSURE=0\nEXPOSURE=2\nEXPOSURE=4 after pfilt\nCOLORCORR=1 0.5 1\n")
    np.testing.assert_allclose(read_radiance(path).rgb, LIGHT / 8 * [1, 2, 1], rtol=1e-6)


def test_text_that_is_not_utf8_is_said_as_it_was(cli, tmp_path):
    path = radiance(tmp_path, lines=b"OWNER=Fran\xe7ois\nNOTE=\xe2\x82\xac\n")
    said = json.loads(cli("inspect", path, "--json").out)["files"][0]["header"]["attributes"]
    assert (said["OWNER"], said["NOTE"]) == ("François", "€")


def test_pixel_aspect_is_openexrs(cli, tmp_path):
    """Radiance states height over width, OpenEXR width over height."""
    path = radiance(tmp_path, lines=b"PIXASPECT=0.5\nPIXASPECT=0.5\n")
    image = read_radiance(path)
    assert image.attributes["pixelAspectRatio"] == image.geometry.pixel_aspect_ratio == 4
    assert "PIXASPECT" not in image.attributes
    assert read_radiance_header(path).geometry.pixel_aspect_ratio == 4
    assert cli("convert", path, "-o", tmp_path / "out.exr").code == 0
    assert oiio.ImageBuf(str(tmp_path / "out.exr")).spec().getattribute("PixelAspectRatio") == 4


def _upright_by_oiio(path, resolution):
    if resolution in ROTATED:
        # OpenImageIO 3.2 has these two the wrong way round; Radiance's manual: "rotated from the standard orientation".
        return np.rot90(LIGHT, ROTATED[resolution])
    return oiio.ImageBufAlgo.reorient(oiio.ImageBuf(str(path))).get_pixels(oiio.FLOAT)


ROTATED = {"+X +Y": 1, "-X -Y": -1}  # stored rotated clockwise and counter-clockwise


@pytest.mark.parametrize("resolution", ["-Y +X", "-Y -X", "+Y +X", "+Y -X", "+X -Y", "-X +Y", *ROTATED])
def test_all_eight_orientations_are_upright_as_openimageio_has_them(cli, tmp_path, resolution):
    outer, inner = resolution.split()
    # Scan lines are rows or columns; there are always nine of thirteen pixels.
    path = radiance(tmp_path, resolution=f"{outer} 9 {inner} 13".encode(), encoders=(flat, planes))
    upright = _upright_by_oiio(path, resolution)
    image = read_radiance(path)
    assert np.array_equal(image.rgb, upright)
    assert (image.height, image.width) == ((9, 13) if outer[1] == "Y" else (13, 9))
    out = tmp_path / "out.exr"
    assert cli("convert", path, "-o", out, "--to", "linear_rec709").code == 0
    assert np.array_equal(by_oiio(out), upright)


@pytest.mark.parametrize(
    "resolution", [b"-Y 9 +Y 13", b"-Y 0 +X 13", "-Y ² +X 13".encode("latin-1"), b"-Y " + b"9" * 5000 + b" +X 13", b"9 13"]
)  # fmt: skip
def test_resolutions_that_are_none_are_damage(cli, tmp_path, resolution):
    done = cli("convert", radiance(tmp_path, resolution=resolution), "-o", tmp_path / "out.exr")
    assert done.code == 2
    assert "damaged Radiance header" in done.err


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_are_pictures_or_refused(tmp_path, seed):
    random = np.random.default_rng(seed)
    make = partial(
        radiance, tmp_path, lines=b"EXPOSURE=2\nCOLORCORR=1 2 1\nPIXASPECT=2\nFORMAT=32-bit_rle_rgbe\n"
    )
    base = make(encoders=TURNS[seed + 3]).read_bytes()
    path = tmp_path / "a.hdr"
    for _ in range(300):
        data = bytearray(base)
        for place in random.integers(2, len(data), random.integers(1, 4)):
            data[place] = random.integers(256)
        path.write_bytes(data)
        try:
            rgb = read_radiance(path).rgb
        except UnreadableImage as error:
            lines = str(error).splitlines()
            assert len(lines) == 1
        else:
            assert rgb.shape[2] == 3
