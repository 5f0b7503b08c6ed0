import numpy as np
import pytest
from PIL import ExifTags, Image

from hdrgen.images.exif import Exposure, evs_of, exposure_of
from hdrgen.images.stored_image import UnreadableImage
from hdrgen.runtime.errors import HdrgenError

TAGS = ExifTags.Base


def photograph(path, **tags):
    exif = Image.Exif()
    exif[TAGS.Make] = "A camera"
    directory = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        directory[TAGS[name]] = value
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, exif=exif.tobytes())
    return path


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_exposure_comes_back(tmp_path, suffix):
    path = photograph(tmp_path / f"a.{suffix}", ExposureTime=0.008, FNumber=5.6, ISOSpeedRatings=400)
    exposure = exposure_of(path)
    assert exposure.time_s == pytest.approx(1 / 125)
    assert exposure.f_number == pytest.approx(5.6)
    assert exposure.iso == 400
    assert exposure.stops == pytest.approx(np.log2(1 / 125 * 4 / 5.6**2), abs=1e-6)


def test_time_aperture_and_sensitivity_all_count():
    base = Exposure(1 / 60, 8.0, 100)
    assert Exposure(1 / 15, 8.0, 100).stops - base.stops == pytest.approx(2)
    assert Exposure(1 / 60, 4.0, 100).stops - base.stops == pytest.approx(2)
    assert Exposure(1 / 60, 8.0, 800).stops - base.stops == pytest.approx(3)
    assert Exposure(1.0, None, None).stops == 0


def test_the_middle_exposure_is_ev_zero(tmp_path):
    times = (0.25, 1 / 64, 1 / 16, 1 / 4 / 64)
    paths = [
        photograph(tmp_path / f"{i}.jpg", ExposureTime=time, FNumber=8.0, ISOSpeedRatings=100)
        for i, time in enumerate(times)
    ]
    assert evs_of(paths) == pytest.approx((4, 0, 2, -2), abs=1e-6)


def test_a_manual_lens_has_no_f_number(tmp_path):
    paths = [
        photograph(tmp_path / f"{i}.jpg", ExposureTime=time, FNumber=number, ISOSpeedRatings=100)
        for i, (time, number) in enumerate(((0.01, 0.0), (0.04, 0.0)))
    ]
    assert exposure_of(paths[0]).f_number is None
    assert evs_of(paths) == pytest.approx((0, 2), abs=1e-6)


def test_what_only_some_pictures_say_is_refused(tmp_path):
    with_lens = photograph(tmp_path / "a.jpg", ExposureTime=0.01, FNumber=4.0, ISOSpeedRatings=100)
    without = photograph(tmp_path / "b.jpg", ExposureTime=0.04, ISOSpeedRatings=100)
    with pytest.raises(HdrgenError, match=r"b\.jpg: says no f-number.*--ev"):
        evs_of([with_lens, without])
    auto = photograph(tmp_path / "c.jpg", ExposureTime=0.04, FNumber=4.0)
    with pytest.raises(HdrgenError, match=r"c\.jpg: says no ISO sensitivity.*--ev"):
        evs_of([with_lens, auto])


@pytest.mark.parametrize("tags", [{}, {"FNumber": 4.0}, {"ExposureTime": 0.0}])
def test_a_picture_without_exposure_time_is_named(tmp_path, tags):
    said = photograph(tmp_path / "a.jpg", ExposureTime=0.01)
    silent = photograph(tmp_path / "b.png", **tags)
    assert exposure_of(silent) is None
    with pytest.raises(HdrgenError, match=r"b\.png: says no exposure time; give --ev"):
        evs_of([said, silent])


def test_what_is_no_picture(tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(UnreadableImage, match=r"a\.jpg: is no picture"):
        exposure_of(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImage, match=r"b\.jpg: cannot be read"):
        exposure_of(tmp_path / "b.jpg")
