"""Radiance pictures are read upright, in the units recorded, in every encoding of pixels."""

import csv

import cv2
import numpy as np
import pytest

from hdrgen.colour.primaries import XYZ_E
from hdrgen.images.radiance import read_radiance, read_radiance_header
from hdrgen.images.scene_image import read_scene_image
from hdrgen.images.stored_image import UnreadableImage

RGBE = np.random.default_rng(3).integers(2, 255, (5, 11, 4), dtype=np.uint8)
RGBE[..., 3] = RGBE[..., 3] % 20 + 120
EXPECTED = RGBE[..., :3] * np.ldexp(1.0, RGBE[..., 3:].astype(int) - 136)


def _write(path, pixels=None, resolution=b"-Y 5 +X 11", lines=b"", data=None):
    body = (RGBE if pixels is None else pixels).tobytes() if data is None else data
    path.write_bytes(b"#?RADIANCE\n" + lines + b"FORMAT=32-bit_rle_rgbe\n\n" + resolution + b"\n" + body)
    return path


def _new_rle(rgbe):
    """Encode every plane of every line as literals, but for its last three samples as runs of one."""
    width = rgbe.shape[1]
    out = bytearray()
    for line in rgbe:
        out += bytes((2, 2, width >> 8, width & 255))
        for plane in line.T:
            out += bytes((width - 3,)) + plane[:-3].tobytes()
            out += b"".join(bytes((129, value)) for value in plane[-3:])
    return bytes(out)


def test_flat_pixels(tmp_path):
    image = read_radiance(_write(tmp_path / "a.hdr"))
    assert image.rgb.dtype == np.float32
    assert np.array_equal(image.rgb, EXPECTED.astype(np.float32))


def test_new_run_lengths(tmp_path):
    image = read_radiance(_write(tmp_path / "a.hdr", data=_new_rle(RGBE)))
    assert np.array_equal(image.rgb, EXPECTED.astype(np.float32))


def test_old_run_lengths(tmp_path):
    pixel = bytes((10, 20, 30, 129))
    data = pixel + bytes((1, 1, 1, 5)) + bytes((9, 9, 9, 128)) + bytes((1, 1, 1, 4, 1, 1, 1, 1)) * 1
    # 1 + 5 copies of the first, then 1 + 4 + 256 of the second.
    image = read_radiance(_write(tmp_path / "a.hdr", resolution=b"-Y 1 +X 267", data=data))
    assert np.allclose(image.rgb[0, :6], np.array([10, 20, 30]) / 128)
    assert np.allclose(image.rgb[0, 6:], 9 / 256)


@pytest.mark.parametrize(
    ("resolution", "upright"),
    [
        (b"-Y 5 +X 11", lambda a: a),
        (b"+Y 5 +X 11", lambda a: a[::-1]),
        (b"-Y 5 -X 11", lambda a: a[:, ::-1]),
        (b"+Y 5 -X 11", lambda a: a[::-1, ::-1]),
        (b"+X 5 -Y 11", lambda a: a.transpose(1, 0, 2)),
        (b"+X 5 +Y 11", lambda a: a.transpose(1, 0, 2)[::-1]),
        (b"-X 5 -Y 11", lambda a: a.transpose(1, 0, 2)[:, ::-1]),
    ],
)
def test_orientation(tmp_path, resolution, upright):
    image = read_radiance(_write(tmp_path / "a.hdr", resolution=resolution))
    expected = upright(EXPECTED.astype(np.float32))
    assert np.array_equal(image.rgb, expected)
    header = read_radiance_header(tmp_path / "a.hdr")
    assert (header.height, header.width) == expected.shape[:2]


def test_exposure_lines_multiply_up_and_are_undone(tmp_path):
    path = _write(tmp_path / "a.hdr", lines=b"EXPOSURE=2\nEXPOSURE= 4.0\nCOLORCORR=1 0.5 1\n")
    assert np.allclose(read_radiance(path).rgb, EXPECTED / 8 * [1, 2, 1], rtol=1e-6)


def test_primaries_of_all_zeros_state_nothing(tmp_path):
    zeros = _write(tmp_path / "a.hdr", lines=b"PRIMARIES=0 0 0 0 0 0 0 0\n")
    assert read_radiance(zeros).chromaticities is None
    stated = _write(tmp_path / "b.hdr", lines=b"PRIMARIES=0.64 0.33 0.29 0.60 0.15 0.06 0.333 0.333\n")
    assert read_radiance(stated).chromaticities.green == (0.29, 0.60)


def test_xyze_is_tristimulus(tmp_path):
    path = _write(tmp_path / "a.hdr")
    path.write_bytes(path.read_bytes().replace(b"rgbe\n", b"xyze\n"))
    assert read_radiance(path).chromaticities == XYZ_E


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:-1],
        lambda b: b[: len(b) // 2],
        lambda b: b[:30],
        lambda b: b.replace(b"-Y 5", b"-Y 900000"),
        lambda b: b.replace(b"-Y 5", b"-Q 5"),
        lambda b: b.replace(b"rgbe\n", b"cmyk\n"),
    ],
)
@pytest.mark.parametrize("data", [None, _new_rle(RGBE)], ids=["flat", "rle"])
def test_damage_is_one_line(tmp_path, damage, data):
    path = _write(tmp_path / "a.hdr", data=data)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UnreadableImage, match=r"a\.hdr: has .*damaged|unknown"):
        read_radiance(path)


def test_real_pictures_match_their_manifest_and_opencv(shared_hdr):
    with (shared_hdr / "manifest.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["file"].endswith(".hdr")]
    assert rows
    for row in rows:
        image = read_scene_image(shared_hdr / row["file"])
        assert (image.width, image.height) == (int(row["w"]), int(row["h"]))
        assert image.chromaticities is None, row["file"]
        assert np.array_equal(image.rgb, cv2.imread(str(shared_hdr / row["file"]), -1)[..., ::-1])


def test_format_is_told_by_content_not_by_name(tmp_path):
    _write(tmp_path / "picture.exr")
    assert read_scene_image(tmp_path / "picture.exr").pixel_type == "rgbe8"
    (tmp_path / "note.hdr").write_text("hello")
    with pytest.raises(UnreadableImage, match="neither an OpenEXR nor a Radiance"):
        read_scene_image(tmp_path / "note.hdr")
