import json

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.primaries import AWG4
from hdrgen.images.exr import write_exr
from hdrgen.pairs.display_crops import display_crops, scene_kind, scene_prompts
from hdrgen.runtime.errors import HdrgenError

DESCRIPTION = json.dumps(
    {
        "kind": "night_street",
        "caption": "A wet street at night, 35 mm lens.",
        "subject": "cars on a wet street",
        "place": "city street",
        "time_of_day": "night",
        "light_sources": [{"name": "street lamps"}, {"name": "headlights"}],
    }
)
SETTINGS = {"size": 16, "crops_per_frame": 3, "smallest_window": 0.5, "seed": 1}


@pytest.fixture
def frames(tmp_path):
    """Return two frames, grey and a dark ramp with a light 300 times brighter than white, and their index."""
    ramp = np.linspace(0, 0.2, 64, dtype=np.float32)[None, :, None].repeat(48, 0).repeat(3, 2)
    ramp[20:24, 30:34] = 300
    for name, linear in (("b_ramp", ramp), ("a_grey", np.full((48, 64, 3), 0.18, np.float32))):
        write_exr(tmp_path / f"{name}.exr", linear, chromaticities=AWG4)
    rows = [
        {"frame": n, "file": f"{n}.exr", "digest": n, "description": d}
        for n, d in (("b_ramp", DESCRIPTION), ("a_grey", None))
    ]
    return tmp_path, pl.DataFrame(rows)


def test_crops_are_display_codes_of_averaged_light(frames):
    crops = display_crops(*frames, **SETTINGS)
    assert crops.code8.shape == (6, 16, 16, 3)
    assert crops.code8.dtype == np.uint8
    grey = crops.code8[:3].astype(int)
    assert np.ptp(grey) <= 1  # neutral and flat
    assert 85 < grey.mean() < 130  # 18 % grey on an sRGB monitor
    assert crops.code8[3].max() > 240
    assert crops.code8[3].min() < 20


def test_windows_hang_on_the_seed_and_the_frame_alone(frames):
    folder, index = frames
    crops = display_crops(folder, index, **SETTINGS)
    alone = display_crops(folder, index.filter(pl.col("frame") == "b_ramp"), **SETTINGS)
    assert np.array_equal(alone.code8, crops.code8[3:])
    other = display_crops(folder, index, **SETTINGS | {"seed": 2})
    assert np.array_equal(other.code8[3], crops.code8[3])  # the first is the frame's middle
    assert not np.array_equal(other.code8[4], crops.code8[4])


def test_prompts_come_from_the_description_and_are_empty_without_one(frames):
    crops = display_crops(*frames, **SETTINGS)
    assert list(crops.kinds) == [""] * 3 + ["night street"] * 3
    assert crops.prompts[0] == ("",)
    assert crops.prompts[3] == (
        "night street",
        "night street, night",
        "cars on a wet street, city street, night, lit by street lamps and headlights",
        "A wet street at night, 35 mm lens.",
    )
    assert scene_prompts(None) == ("",)
    assert scene_kind(DESCRIPTION) == "night street"


def test_no_frames_is_one_line(frames):
    folder, index = frames
    with pytest.raises(HdrgenError, match="no frames to make pictures of"):
        display_crops(folder, index.clear(), **SETTINGS)
