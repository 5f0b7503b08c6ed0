"""Between a scene-linear picture and its two tone-mapped PNGs."""

import numpy as np
import pytest

from hdrgen.colour.primaries import AP1, AWG4, REC709, convert_primaries
from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.dual_route import fuse_files, tone_map_file
from hdrgen.images.code_image import read_code8
from hdrgen.images.exr import read_exr, write_exr

LINEAR = (2.0 ** np.random.default_rng(0).uniform(-6, 9, (600, 40, 3)) * 0.18).astype(np.float32)


class Remembering:
    """A fuser that remembers what it was given and answers with one value."""

    digest = "feedfacebeef"
    log_ceiling_linear = 10000.0

    def fuse(self, reinhard_code8, log_code8):
        self.given = reinhard_code8, log_code8
        return np.full(reinhard_code8.shape, 12.5, np.float32)


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
    done = fuse_files(tmp_path / "r.png", tmp_path / "l.png", tmp_path / "out.exr", fuser)
    np.testing.assert_array_equal(fuser.given[0], read_code8(tmp_path / "r.png").code)
    np.testing.assert_array_equal(fuser.given[1], read_code8(tmp_path / "l.png").code)
    assert (done.primaries, done.notes) == ("rec709", ())
    image = read_exr(tmp_path / "out.exr")
    np.testing.assert_allclose(image.rgb, 12.5, rtol=2e-3)
    assert image.pixel_type == "half"
    assert image.attributes["hdrgenSourcePrimaries"] == "rec709"
    assert image.attributes["hdrgenLogCeiling"] == 10000.0
