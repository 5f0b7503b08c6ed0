"""Mattes beside a picture come back as they were, whatever the compression, and no reader takes them for light."""

from typing import get_args

import numpy as np
import OpenEXR
import pytest

from hdrgen.colour.primaries import AP0, AP1
from hdrgen.images import exr_writing
from hdrgen.images.choices import Compression
from hdrgen.images.exr import HALF_MAX, read_exr, read_header, write_exr
from hdrgen.images.exr_channels import read_contents
from hdrgen.images.mattes import OBSERVED, why_no_matte
from hdrgen.routes.write_exr import ExrWriter
from hdrgen.runtime.errors import HdrgenError

RANDOM = np.random.default_rng(3)
# Smooth: DWA stores noise as it is where that takes less room, which channels beside it decide as well.
LIGHT = (2.0 ** np.linspace(-5, 8, 37 * 53 * 3).reshape(37, 53, 3)).astype(np.float32)
MATTE = np.clip(RANDOM.uniform(-0.5, 1.5, LIGHT.shape[:2]), 0, 1).astype(np.float32)


def matte_in(path):
    (channel,) = [c for c in read_contents(path).channels if c.name == OBSERVED]
    return channel.pixels


@pytest.mark.parametrize("alpha", [None, MATTE])
@pytest.mark.parametrize("pixel_type", ["half", "float"])
@pytest.mark.parametrize("compression", get_args(Compression))
def test_a_matte_comes_back_with_every_compression(tmp_path, compression, pixel_type, alpha):
    """All halves are the same, 0 and 1 among them; the light is that of a file without a matte."""
    how = {"chromaticities": AP1, "compression": compression, "pixel_type": pixel_type, "alpha": alpha}
    write_exr(tmp_path / "a.exr", LIGHT, mattes={OBSERVED: MATTE}, **how)
    write_exr(tmp_path / "b.exr", LIGHT, **how)
    stored = matte_in(tmp_path / "a.exr")
    assert stored.dtype == (np.float32 if compression in ("b44", "b44a") else np.float16)
    assert np.array_equal(stored, MATTE.astype(np.float16))
    image, alone = read_exr(tmp_path / "a.exr"), read_exr(tmp_path / "b.exr")
    assert np.array_equal(image.rgb, alone.rgb)
    assert alpha is None or np.array_equal(image.alpha, alone.alpha)
    assert image.pixel_type == pixel_type


def test_another_library_reads_it(tmp_path):
    oiio = pytest.importorskip("OpenImageIO")
    write_exr(tmp_path / "a.exr", LIGHT, chromaticities=AP1, mattes={OBSERVED: MATTE})
    buffer = oiio.ImageBuf(str(tmp_path / "a.exr"))
    assert buffer.spec().channelnames == ("R", "G", "B", OBSERVED)
    assert np.array_equal(buffer.get_pixels(oiio.FLOAT)[..., 3], MATTE.astype(np.float16))


def test_a_matte_survives_light_that_is_written_again(tmp_path, monkeypatch):
    """Blocks are bounded where a lossy compression would make Inf of them."""
    light = np.ones((64, 64, 3), np.float32)
    light[::3, ::3] = HALF_MAX
    matte = np.zeros(light.shape[:2], np.float32)
    matte[::2] = 1
    written = []
    monkeypatch.setattr(
        exr_writing, "_write", lambda *args, write=exr_writing._write: (written.append(1), write(*args))
    )
    how = {"chromaticities": AP1, "compression": "dwaa", "overflow": "clamp"}
    assert write_exr(tmp_path / "a.exr", light, mattes={OBSERVED: matte}, **how)
    assert len(written) > 1
    assert np.isfinite(read_exr(tmp_path / "a.exr").rgb).all()
    assert np.array_equal(matte_in(tmp_path / "a.exr"), matte)


def test_light_that_is_none_is_written_with_zip_and_the_matte_as_half(tmp_path):
    light = LIGHT.copy()
    light[0, 0] = np.nan
    how = {"chromaticities": AP1, "compression": "b44", "allow_nonfinite": True}
    write_exr(tmp_path / "a.exr", light, mattes={OBSERVED: MATTE}, **how)
    assert matte_in(tmp_path / "a.exr").dtype == np.float16


def test_only_rgb_and_alpha_are_an_aces_container(tmp_path):
    for mattes in ({}, {OBSERVED: MATTE}):
        write_exr(tmp_path / "a.exr", LIGHT, chromaticities=AP0, compression="none", mattes=mattes)
        assert ("acesImageContainerFlag" in read_header(tmp_path / "a.exr").attributes) == (not mattes)


def test_the_picture_is_as_before_and_the_matte_is_left_behind(tmp_path):
    write_exr(tmp_path / "a.exr", LIGHT, chromaticities=AP1, mattes={OBSERVED: MATTE})
    image = read_exr(tmp_path / "a.exr")
    assert (image.layer, image.is_data, image.alpha) == ("", False, None)
    assert np.array_equal(image.rgb, LIGHT.astype(np.float16))
    assert image.notes == ("left behind: observed",)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "R",
            "g",
            "Blue",
            "A",
            "alpha",
            "Y",
            "RY",
            "Z",
            "u",
            "RGB",
            "rgba",
            "beauty",
            "depth",
            "objectId",
        ),
        *("observed.R", "a.observed", "ob served", "1st", "beöbachtet", "observed\0", "observed\n", "o" * 32),
    ],
)
def test_names_that_would_be_read_as_something_else_are_refused(tmp_path, name):
    assert why_no_matte(name)
    with pytest.raises(HdrgenError, match=r"a\.exr: matte name"):
        write_exr(tmp_path / "a.exr", LIGHT, chromaticities=AP1, mattes={name: MATTE})
    assert not (tmp_path / "a.exr").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.001])
def test_values_that_are_no_shares_are_refused(tmp_path, value):
    matte = MATTE.copy()
    matte[3, 5] = value
    with pytest.raises(HdrgenError, match=r"matte observed is .* at pixel x=5 y=3, not 0 to 1"):
        write_exr(tmp_path / "a.exr", LIGHT, chromaticities=AP1, mattes={OBSERVED: matte})
    with pytest.raises(ValueError, match="does not fit"):
        write_exr(tmp_path / "a.exr", LIGHT, chromaticities=AP1, mattes={OBSERVED: MATTE[1:]})


def test_routes_hand_it_through(tmp_path):
    ExrWriter().write(
        tmp_path / "a.exr", LIGHT.copy(), AP1, {}, mattes={OBSERVED: MATTE, "trusted": 1 - MATTE}
    )
    channels = OpenEXR.File(str(tmp_path / "a.exr")).channels()
    assert set(channels) == {"RGB", OBSERVED, "trusted"}
    assert np.array_equal(channels[OBSERVED].pixels, MATTE.astype(np.float16))
