"""The page takes pictures for what their files say they are, in the picture and in the one before it."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest

from hdrgen.colour.primaries import AP1, P3_D65, REC709, convert_primaries
from hdrgen.images.code_image import write_code

CODES = np.linspace(7000, 60000, 36).astype(np.uint16).reshape(3, 4, 3)
LINEAR = imagecodecs.cms_profile(
    "rgb",
    whitepoint=[0.3127, 0.3290, 1.0],
    primaries=[0.64, 0.33, 1.0, 0.3, 0.6, 1.0, 0.15, 0.06, 1.0],
    gamma=1.0,
)


@pytest.mark.parametrize("gamma", [2.2, 1.7], ids=["a space of its own", "another"])
def test_a_profile_holds_for_the_picture_and_the_one_before(site, tmp_path, gamma):
    red, green, blue, white = P3_D65
    profile = imagecodecs.cms_profile(
        "rgb", whitepoint=[*white, 1.0], primaries=[*red, 1.0, *green, 1.0, *blue, 1.0], gamma=gamma
    )
    path = tmp_path / "a.png"
    write_code(path, CODES)
    data = path.read_bytes()
    content = b"iCCPp\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    path.write_bytes(data[:33] + chunk + data[33:])
    record = site.made(path, kind="expand")
    assert record["state"] == "done", record["message"]
    light = imagecodecs.cms_transform(
        CODES, profile, LINEAR, colorspace="rgb", outcolorspace="rgb", outdtype="float32", flags=0x0100
    )
    expected = convert_primaries(light.astype(np.float64), REC709, AP1)
    for which in ((record,), (record, "before")):
        np.testing.assert_allclose(site.pixels(*which).astype(np.float64), expected, rtol=4e-3, atol=2e-3)
    assert any("as the picture says (iCCP)" in note for note in record["picture"]["notes"])


def test_an_ordinary_picture_that_could_be_either_is_a_question_on_the_page(site, tmp_path):
    write_code(tmp_path / "fog.png", np.linspace(60, 200, 36).astype(np.uint8).reshape(3, 4, 3))
    record = site.made(tmp_path / "fog.png", kind="expand")
    assert record["state"] == "failed"
    assert "fog.png: nothing says whether its codes are sRGB or LogC4" in record["message"]


def test_the_page_offers_the_spaces_of_cameras_and_phones(site, tmp_path):
    write_code(tmp_path / "a.png", CODES)
    for encoding in ("display_p3", "adobe_rgb"):
        record = site.made(tmp_path / "a.png", kind="expand", encoding=encoding)
        assert record["picture"]["facts"]["hdrgenSourceEncoding"] == encoding
