"""Between a scene-linear picture and its two tone-mapped PNGs."""

import numpy as np
import pytest

from hdrgen.colour.primaries import AP1, AWG4, REC709, convert_primaries
from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.routes.dual import fuse_files, tone_map_file
from hdrgen.routes.write_exr import ExrWriter
from hdrgen.runtime.errors import HdrgenError

LINEAR = (2.0 ** np.random.default_rng(0).uniform(-6, 9, (600, 40, 3)) * 0.18).astype(np.float32)


class Remembering:
    """A fuser that remembers what it was given and answers with one value."""

    digest = "feedfacebeef"
    log_ceiling_linear = 10000.0

    def __init__(self, answer=12.5):
        self.answer = answer

    def fuse(self, reinhard_code8, log_code8, *, threads=2):
        self.given, self.threads = (reinhard_code8, log_code8), threads
        return np.full(reinhard_code8.shape, self.answer, np.float32)


def test_the_pictures_are_the_curves_in_the_primaries_asked_for(tmp_path):
    """Codes are those of the tone maps, whatever bands they were worked on in."""
    write_exr(tmp_path / "a.exr", LINEAR, chromaticities=AP1, pixel_type="float")
    done = tone_map_file(tmp_path / "a.exr", tmp_path / "r.png", tmp_path / "l.png", log_ceiling_linear=50)
    linear = convert_primaries(LINEAR, AP1, AWG4)
    for name, curve in (("r.png", Reinhard()), ("l.png", Log(50))):
        np.testing.assert_array_equal(read_code8(tmp_path / name).code, quantise8(curve.encode(linear)))
    assert read_code8(tmp_path / "r.png").text["hdrgen:ceilingLinear"] == "inf"
    assert read_code8(tmp_path / "l.png").text["hdrgen:ceilingLinear"] == "50"
    assert done.above_ceiling_share == pytest.approx((linear > 50).any(axis=-1).mean())


def test_the_fuser_gets_each_picture_and_its_light_is_converted(tmp_path):
    """White of the pictures' primaries is white of the EXR's."""
    write_exr(tmp_path / "a.exr", LINEAR, chromaticities=REC709)
    tone_map_file(tmp_path / "a.exr", tmp_path / "r.png", tmp_path / "l.png", primaries="rec709")
    fuser = Remembering()
    done = fuse_files(tmp_path / "r.png", tmp_path / "l.png", tmp_path / "out.exr", fuser, threads=3)
    assert fuser.threads == 3
    np.testing.assert_array_equal(fuser.given[0], read_code8(tmp_path / "r.png").code)
    np.testing.assert_array_equal(fuser.given[1], read_code8(tmp_path / "l.png").code)
    assert (done.primaries, done.notes) == ("rec709", ())
    image = read_exr(tmp_path / "out.exr")
    np.testing.assert_allclose(image.rgb, 12.5, rtol=2e-3)
    assert image.pixel_type == "half"
    assert image.attributes["hdrgenSourcePrimaries"] == "rec709"
    assert image.attributes["hdrgenLogCeiling"] == 10000.0


def test_light_beyond_half_is_refused_or_clamped(tmp_path):
    write_exr(tmp_path / "a.exr", LINEAR, chromaticities=REC709)
    pngs = tmp_path / "r.png", tmp_path / "l.png"
    tone_map_file(tmp_path / "a.exr", *pngs)
    with pytest.raises(HdrgenError, match="beyond the half range"):
        fuse_files(*pngs, tmp_path / "out.exr", Remembering(1e6))
    done = fuse_files(*pngs, tmp_path / "out.exr", Remembering(1e6), writer=ExrWriter(overflow="clamp"))
    assert done.maximum_linear == 65504
    assert done.notes == (f"{LINEAR.size} values beyond half floats were clamped to 65504",)
    assert (read_exr(tmp_path / "out.exr").rgb == 65504).all()


@pytest.mark.parametrize("hindered", ["r.png", "l.png"])
def test_two_pictures_are_written_or_none(tmp_path, hindered):
    write_exr(tmp_path / "a.exr", LINEAR, chromaticities=AP1)
    (tmp_path / hindered).mkdir()
    with pytest.raises(HdrgenError, match=r"cannot be written"):
        tone_map_file(tmp_path / "a.exr", tmp_path / "r.png", tmp_path / "l.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.exr", hindered])
