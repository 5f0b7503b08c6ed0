"""Files as people have them in a folder of footage: layers, windows, shape of pixels."""

import json
from pathlib import Path

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import pytest

from hdrgen.cli import run
from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.frame_index import read_index
from hdrgen.images.exr import read_exr, write_exr

AWG4_STATED = tuple(float(x) for xy in AWG4 for x in xy)


def write(path, window=(0, 0, 63, 47), display=(0, 0, 63, 47), *, layer="", others=(), **attributes):
    """Write linear AWG4 that tells where it lies; it stays as it is when it is taken in."""
    x0, y0, x1, y1 = window
    y, x = np.mgrid[y0 : y1 + 1, x0 : x1 + 1]
    planes = {"R": 0.1 + (x + 10) / 256, "G": 0.1 + (y + 10) / 256, "B": 0.2 + x * 0.0}
    channels = {f"{layer}{name}": plane.astype("f2") for name, plane in planes.items()}
    channels |= {name: np.full(x.shape, 7, "f2") for name in others}
    header = {
        "type": OpenEXR.scanlineimage,
        "chromaticities": AWG4_STATED,
        "dataWindow": (window[:2], window[2:]),
        "displayWindow": (display[:2], display[2:]),
    }
    OpenEXR.File({**header, **attributes}, channels).write(str(path))


@pytest.fixture
def footage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "footage").mkdir()
    return tmp_path / "footage"


def take_in(*options, code=0):
    assert run(["ingest", "footage", "-o", "out", "--exposure", "keep", *options]) == code
    return read_index(Path("out"))


def pixels_of(row):
    return oiio.ImageBuf(f"out/{row['file']}")


def test_the_picture_of_a_layered_file_becomes_the_frame(footage):
    write(
        footage / "a.exr",
        layer="ViewLayer.Combined.",
        others=("ViewLayer.AO.R", "ViewLayer.AO.G", "ViewLayer.AO.B"),
    )
    (row,) = take_in().iter_rows(named=True)
    np.testing.assert_allclose(
        pixels_of(row).getpixel(10, 20), (0.1 + 20 / 256, 0.1 + 30 / 256, 0.2), atol=1e-3
    )
    assert row["encoding_decided_by"].endswith("; layer ViewLayer.Combined")


@pytest.mark.parametrize("others", [("Z",), ("N.X", "N.Y", "N.Z"), ("normals.R", "normals.G", "normals.B")])
def test_a_file_of_data_is_quarantined_with_the_reason(footage, others):
    write(footage / "a.exr")
    planes = {name: np.full((8, 8), 7, "f4") for name in others}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, planes).write(str(footage / "data.exr"))
    index = take_in(code=1)
    reasons = dict(zip(index["path"], index["quarantine_reason"], strict=True))
    assert reasons["a.exr"] is None
    assert "holds no picture" in reasons["data.exr"]
    assert all(name in reasons["data.exr"] for name in others)


def test_data_that_is_asked_for_is_quarantined(footage):
    write(footage / "a.exr", others=("N.X", "N.Y", "N.Z"))
    index = take_in("--layer", "N", code=1)
    assert "layer N is data, not light" in index["quarantine_reason"][0]


def test_a_layer_can_be_chosen_and_changes_the_frame(footage):
    write(footage / "a.exr", others=("glow.R", "glow.G", "glow.B"))
    before = take_in()
    after = take_in("--layer", "glow")
    assert before["digest"][0] != after["digest"][0]
    (row,) = after.iter_rows(named=True)
    assert pixels_of(row).getpixel(3, 3) == (7, 7, 7)


@pytest.mark.parametrize(
    ("window", "kept"),
    [
        ((10, 5, 49, 36), (10, 5, 49, 36)),
        ((-8, -6, 71, 53), (0, 0, 63, 47)),
        ((-8, 9, 30, 53), (0, 9, 30, 47)),
    ],
)
def test_frames_hold_what_is_there_and_seen_and_say_where_it_lies(footage, window, kept):
    write(footage / "a.exr", window, pixelAspectRatio=2.0)
    (row,) = take_in().iter_rows(named=True)
    spec = pixels_of(row).spec()
    assert (spec.x, spec.y, spec.x + spec.width - 1, spec.y + spec.height - 1) == kept
    assert (spec.full_width, spec.full_height) == (64, 48)
    assert spec.get_float_attribute("PixelAspectRatio") == 2.0
    assert (row["width"], row["height"]) == (spec.width, spec.height)
    expected = oiio.ImageBufAlgo.crop(
        oiio.ImageBuf(str(footage / "a.exr")), oiio.ROI(kept[0], kept[2] + 1, kept[1], kept[3] + 1)
    )
    np.testing.assert_array_equal(pixels_of(row).get_pixels(oiio.FLOAT), expected.get_pixels(oiio.FLOAT))
    assert ("cut to the display window 64x48" in row["encoding_decided_by"]) == (kept != window)


def test_a_whole_frame_starts_at_0_wherever_its_file_does(footage):
    write(footage / "a.exr", (5, 7, 68, 54), (5, 7, 68, 54))
    (row,) = take_in().iter_rows(named=True)
    spec = pixels_of(row).spec()
    assert (spec.x, spec.y, spec.full_x, spec.full_y, spec.full_width) == (0, 0, 0, 0, 64)


def test_a_file_outside_of_its_frame_is_quarantined(footage):
    write(footage / "a.exr", (100, 100, 120, 120))
    (row,) = take_in(code=1).iter_rows(named=True)
    assert "none of its pixels lies in its display window" in row["quarantine_reason"]


def test_a_plain_file_makes_the_frame_that_it_always_made(footage):
    """Name and bytes: what is added for layers and windows must not touch it."""
    rgb = (np.arange(16 * 16 * 3, dtype=np.float32).reshape(16, 16, 3) / 1024).astype(np.float16)
    write_exr(footage / "a.exr", rgb, chromaticities=AWG4)
    (row,) = take_in().iter_rows(named=True)
    assert (row["digest"], row["encoding_decided_by"]) == (
        "172fddd69efe",
        "chromaticities attribute: ARRI Wide Gamut 4",
    )
    np.testing.assert_array_equal(read_exr(footage.parent / "out" / row["file"]).rgb, rgb)


def test_output_and_json_say_which_layer(footage, capsys):
    write(footage / "a.exr", layer="beauty.", others=("N.X", "N.Y", "N.Z"))
    assert run(["ingest", "footage", "-o", "out", "--json"]) == 0
    said = capsys.readouterr()
    (frame,) = json.loads(said.out)["sources"][0]["frames"]
    assert frame["encoding_decided_by"].endswith("; layer beauty")
    assert "note: footage: layer beauty in 1 of 1 frames" in said.err
