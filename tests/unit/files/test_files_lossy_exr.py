"""What is written with a lossy compression reads back finite, by any reader, and says what that took."""

import json

import numpy as np
import OpenImageIO as oiio
import pytest

from hdrgen.colour.primaries import AP1
from hdrgen.images.exr import HALF_MAX, read_exr, write_exr
from hdrgen.runtime.errors import HdrgenError

LOSSY = ("dwaa", "dwab", "b44", "b44a", "pxr24")
EVERY = ("none", "rle", "zips", "zip", "piz", "htj2k", "zstd", *LOSSY)


def grained_lamps(height=96, width=128, signs=(1,)):
    """Return light up to the end of half floats, as grainy as a sensor's, whose blocks overshoot."""
    random = np.random.default_rng(5)
    stops = random.uniform(9, 16, (height, width, 3))
    return np.minimum(np.exp2(stops), HALF_MAX).astype(np.float32) * random.choice(signs, stops.shape)


def stored_by_oiio(path):
    return oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)


@pytest.fixture
def lamps(tmp_path):
    path = tmp_path / "lamps.exr"
    write_exr(path, grained_lamps(), chromaticities=AP1)
    return path


@pytest.mark.parametrize("compression", ["dwaa", "dwab"])
def test_overshoot_is_refused_or_clamped_and_said(cli, lamps, compression):
    out = lamps.with_name("out.exr")
    arguments = ("convert", lamps, "-o", out, "--to", "acescg", "--compression", compression)
    refused = cli(*arguments)
    assert refused.code == 2
    assert "compress without loss" in refused.err
    assert not out.exists()
    done = cli(*arguments, "--clamp", "--json")
    assert done.code == 0
    pixels = stored_by_oiio(out)
    assert np.isfinite(pixels).all()
    clamped = json.loads(done.out)["files"][0]["clamped_values"]
    assert 0 < clamped < 0.05 * pixels.size
    assert (
        f"{clamped} values beyond half floats, or so near their end that {compression} makes Inf" in done.err
    )
    # Blocks that do not overshoot are what they would have been: DWA's own loss, and no more.
    loss = np.abs(np.log2(pixels) - np.log2(read_exr(lamps).rgb.astype(np.float32)))
    assert np.median(loss) < 0.02
    assert np.quantile(loss, 0.99) < 0.25


@pytest.mark.parametrize("compression", EVERY)
@pytest.mark.parametrize("pixel_type", ["half", "float"])
@pytest.mark.parametrize("signs", [(1,), (-1, 1), (-1, 0, 1)])
def test_everything_reads_back_finite(tmp_path, compression, pixel_type, signs):
    light = grained_lamps(signs=signs)
    light[40:56, 40:56] = HALF_MAX
    path = tmp_path / "a.exr"
    options = {"chromaticities": AP1, "compression": compression, "pixel_type": pixel_type}
    clamped = write_exr(path, light, alpha=light[..., 1], overflow="clamp", **options)
    assert np.isfinite(stored_by_oiio(path)).all()
    if compression not in LOSSY:
        assert clamped == 0


@pytest.mark.parametrize("level", [0.0, 45.0, 250.0, 5000.0, 1e5])
def test_every_level_of_dwa_reads_back_finite(tmp_path, level):
    path = tmp_path / "a.exr"
    said = {"attributes": {"dwaCompressionLevel": level}, "compression": "dwaa", "overflow": "clamp"}
    write_exr(path, grained_lamps(), chromaticities=AP1, **said)
    assert np.isfinite(stored_by_oiio(path)).all()


@pytest.mark.parametrize("compression", LOSSY)
def test_ordinary_light_is_left_as_it_was(tmp_path, compression, caplog):
    light = np.exp2(np.random.default_rng(2).normal(0, 3, (64, 64, 3))).astype(np.float32)
    assert write_exr(tmp_path / "a.exr", light, chromaticities=AP1, compression=compression) == 0
    assert caplog.text == ""


def test_b44_of_both_signs_is_refused_by_name_of_the_pixel(tmp_path):
    light = np.full((16, 16, 3), HALF_MAX, np.float32)
    light[1::2, 1::2] *= -1
    light[::2, ::2] = 0
    with pytest.raises(
        HdrgenError,
        match=r"refused: \d+ values are too near the end of half floats .* \(the first: channel [RGB], pixel x=",
    ):
        write_exr(tmp_path / "a.exr", light, chromaticities=AP1, compression="b44")
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_broken_already_break_no_other_block(tmp_path):
    light = grained_lamps()
    light[3, 4] = np.nan
    light[50, 60, 1] = np.inf
    path = tmp_path / "a.exr"
    options = {"compression": "dwaa", "overflow": "clamp", "allow_nonfinite": True}
    write_exr(path, light, chromaticities=AP1, **options)
    blocks = np.isfinite(stored_by_oiio(path)).reshape(12, 8, 16, 8, 3).all(axis=(1, 3, 4))
    blocks[0, 0] = blocks[6, 7] = True
    assert blocks.all()
