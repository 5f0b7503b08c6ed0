"""A picture on the page becomes the light of `hdrgen recover`, or that of a plate where it says that it is one."""

import io

import numpy as np
import pytest
from PIL import Image

from hdrgen.images.code_image import write_code
from hdrgen.images.exr import read_exr
from hdrgen.inference.backends import load_network
from hdrgen.qc.preview import linear_ap1, preview_code8
from hdrgen.routes.recover import Recovery, recover_file
from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.history import PICTURE
from hdrgen.web.jobs import Limits, RecoverJob, read_job


@pytest.fixture
def ordinary(tmp_path):
    """Return a picture that says nothing of itself, 48 x 32, with a lamp that is clipped."""
    wall = np.linspace(15, 220, 32 * 48).reshape(32, 48)
    wall[8:16, 20:30] = 255
    path = tmp_path / "kitchen.png"
    write_code(path, np.repeat(wall[..., None], 3, axis=-1).astype(np.uint8))
    return path


def test_an_ordinary_picture_is_recovered_as_the_command_does(site, ordinary, tmp_path):
    record = site.made(ordinary, kind="recover", curve="srgb", exposure="1", strength="0.5", peak="8")
    assert record["state"] == "done", record["message"]
    done = recover_file(
        ordinary,
        tmp_path / "expected.exr",
        lambda: load_network("highlights"),
        lambda: load_network("bit_depth"),
        recovery=Recovery("srgb", 1.0, None, 0.5, 8.0),
        threads=1,
    )
    path = site.folder / record["id"] / PICTURE
    image = read_exr(path)
    assert np.array_equal(image.rgb, read_exr(tmp_path / "expected.exr").rgb)
    assert np.array_equal(site.pixels(record), image.rgb)
    assert read_exr(path, layer="observed").rgb.min() == 0
    # Where nothing was invented, the picture before is the same light.
    seen = read_exr(path, layer="observed").rgb[..., 0] == 1
    before = site.pixels(record, "before")[seen].astype(np.float32)
    np.testing.assert_allclose(before, image.rgb[seen].astype(np.float32), rtol=0.03, atol=2e-3)
    picture = record["picture"]
    assert picture["before"] == "as it came, 8 bits"
    assert f"curve srgb, white at 2, {100 * done.invented_fraction:.1f} % invented" in picture["notes"]
    assert picture["facts"]["hdrgenRoute"] == "recover"
    assert record["file_name"] == "kitchen_recover.exr"


def test_what_was_recovered_is_seen_at_several_exposures(site, ordinary):
    record = site.made(ordinary, kind="recover")
    image = read_exr(site.folder / record["id"] / PICTURE)
    for stops in (-4, 0, 2):
        shown = site.client.get(f"/api/pictures/{record['id']}/preview?exposure={stops}").content
        expected = preview_code8(linear_ap1(image), exposure_stops=stops)
        np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(shown))), expected)


def test_a_picture_that_says_it_is_a_plate_is_expanded(site, png16):
    record = site.made(png16, kind="recover")
    assert record["state"] == "done", record["message"]
    expanded = site.made(png16, kind="expand")
    assert np.array_equal(site.pixels(record), site.pixels(expanded))
    assert any("a plate" in note for note in record["picture"]["notes"])
    assert record["picture"]["facts"]["hdrgenRoute"] == "expand"
    assert record["file_name"] == "plate_expand.exr"
    said = site.made(png16, kind="recover", encoding="srgb")
    assert said["picture"]["facts"]["hdrgenRoute"] == "recover", "it is the artist's to say"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"curve": "kodak"}, "curve: "),
        ({"exposure": "nan"}, "exposure: "),
        ({"anchor": "0"}, "anchor: "),
        ({"strength": "3"}, "strength: "),
        ({"peak": "inf"}, "peak: "),
        ({"anchor": "2", "exposure": "1"}, "anchor: says where white lands"),
        ({"evs": "0 2"}, "evs: "),
    ],
)
def test_fields_out_of_range_are_named(fields, said):
    with pytest.raises(HdrgenError, match=rf"^{said}"):
        read_job({"kind": "recover", **fields}, Limits())


def test_fields_left_empty_are_the_commands():
    job = read_job({"kind": "recover", "anchor": "", "peak": "", "exposure": ""}, Limits())
    assert isinstance(job, RecoverJob)
    assert Recovery(job.curve, job.exposure, job.anchor, job.strength, job.peak) == Recovery()


def test_one_picture_at_a_time(site, ordinary):
    answer = site.post(ordinary, ordinary, kind="recover")
    assert answer.status_code == 422
    assert answer.json()["error"] == "recover takes one picture, not 2"
