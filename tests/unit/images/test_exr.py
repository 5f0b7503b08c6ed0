"""EXR files are read as they are stored and written so that nothing is lost in silence."""

import csv
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import OpenEXR
import pytest

from hdrgen.colour.primaries import AP0, AP1, AWG4, REC709, XYZ_E, luminance_weights, rgb_to_xyz
from hdrgen.images.exr import (
    UnreadableImage,
    read_exr,
    read_header,
    use_threads,
    write_exr,
)
from hdrgen.images.luminance_chroma import full_chroma, rgb_from_luminance_chroma
from hdrgen.runtime.errors import HdrgenError

LOSSLESS = ("none", "rle", "zips", "zip", "piz", "htj2k", "zstd")


@pytest.fixture
def rgb():
    return np.random.default_rng(1).normal(0.5, 2.0, (37, 53, 3)).astype(np.float16)


@pytest.mark.parametrize(("compression", "pixel_type"), list(product(LOSSLESS, ("half", "float"))))
def test_lossless_round_trip(tmp_path, rgb, compression, pixel_type):
    dtype = {"half": np.float16, "float": np.float32}[pixel_type]
    write_exr(tmp_path / "a.exr", rgb, chromaticities=AP1, compression=compression, pixel_type=pixel_type)
    image = read_exr(tmp_path / "a.exr")
    assert image.rgb.dtype == dtype
    assert np.array_equal(image.rgb, rgb.astype(dtype))
    assert image.rgb.flags.c_contiguous
    assert (image.chromaticities, image.alpha, image.pixel_type) == (AP1, None, pixel_type)


@pytest.mark.parametrize("compression", ["dwaa", "dwab", "b44", "b44a", "pxr24"])
def test_lossy_compression_stays_close(tmp_path, compression):
    ramp = np.linspace(0.01, 4, 64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)
    write_exr(tmp_path / "a.exr", ramp, chromaticities=AP1, compression=compression)
    assert np.abs(read_exr(tmp_path / "a.exr").rgb - ramp).max() < 0.05


def test_alpha_and_attributes_come_back(tmp_path, rgb):
    alpha = np.random.default_rng(2).random(rgb.shape[:2]).astype(np.float32)
    attributes = {"prompt": "a lamp ünder rain", "seed": 7, "exposureScale": 0.5}
    write_exr(tmp_path / "a.exr", rgb, chromaticities=AWG4, alpha=alpha, attributes=attributes)
    image = read_exr(tmp_path / "a.exr")
    assert np.array_equal(image.alpha, alpha.astype(np.float16))
    assert {key: image.attributes[key] for key in attributes} == attributes
    assert image.chromaticities == AWG4


def test_views_of_an_array_are_written_as_they_look(tmp_path, rgb):
    for view in (rgb[::-1], rgb[:, 3:20], rgb[..., ::-1], np.moveaxis(np.moveaxis(rgb, -1, 0).copy(), 0, -1)):
        write_exr(tmp_path / "a.exr", view, chromaticities=AP1)
        assert np.array_equal(read_exr(tmp_path / "a.exr").rgb, view)


def test_same_picture_same_bytes(tmp_path, rgb):
    for threads in (0, 2):
        use_threads(threads)
        write_exr(tmp_path / f"{threads}.exr", rgb, chromaticities=AP1, attributes={"seed": 1})
    assert (tmp_path / "0.exr").read_bytes() == (tmp_path / "2.exr").read_bytes()


def test_values_beyond_half_are_named_or_clamped_never_inf(tmp_path, caplog):
    rgb = np.full((4, 6, 3), 0.18, np.float32)
    rgb[2, 5, 1] = 1e6
    rgb[3, 0, 2] = -7e4
    with pytest.raises(
        HdrgenError,
        match=r"2 values are beyond the half range of 65504 \(the first: channel G, pixel x=5 y=2 is 1e\+06\); ",
    ):
        write_exr(tmp_path / "a.exr", rgb, chromaticities=AP1)
    assert list(tmp_path.iterdir()) == []
    assert write_exr(tmp_path / "a.exr", rgb, chromaticities=AP1, overflow="clamp") == 2
    assert "2 values" in caplog.text
    stored = read_exr(tmp_path / "a.exr").rgb
    assert (stored[2, 5, 1], stored[3, 0, 2]) == (65504, -65504)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_not_a_number_is_refused_with_its_pixel(tmp_path, bad, dtype):
    rgb = np.zeros((4, 6, 3), dtype)
    rgb[1, 2, 0] = bad
    with pytest.raises(
        HdrgenError,
        match=r"refused: 1 value is not finite \(channel R, pixel x=2 y=1 is -?(nan|inf)\); repair",
    ):
        write_exr(tmp_path / "a.exr", rgb, chromaticities=AP1, overflow="clamp")
    write_exr(tmp_path / "a.exr", rgb, chromaticities=AP1, allow_nonfinite=True)
    assert np.array_equal(read_exr(tmp_path / "a.exr").rgb, rgb, equal_nan=True)


def test_callers_array_is_never_changed(tmp_path):
    rgb = np.full((4, 4, 3), 1e6, np.float32)
    write_exr(tmp_path / "a.exr", rgb, chromaticities=AP1, overflow="clamp", pixel_type="half")
    assert (rgb == 1e6).all()


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"n" * 32: 1}, "31 characters"),
        ({"seed": 2**31}, "32 bits"),
        ({"compression": "zip"}, "picture itself"),
    ],
)
def test_attributes_that_cannot_be_stored_are_refused(tmp_path, rgb, attributes, complaint):
    with pytest.raises(HdrgenError, match=complaint):
        write_exr(tmp_path / "a.exr", rgb, chromaticities=AP1, attributes=attributes)


def test_header_names_the_colour_space_for_every_reader(tmp_path, rgb):
    expected = {AP1: "lin_ap1_scene", AP0: "lin_ap0_scene", REC709: "lin_rec709_scene", AWG4: None}
    for space, interop in expected.items():
        write_exr(tmp_path / "a.exr", rgb, chromaticities=space)
        header = read_header(tmp_path / "a.exr")
        assert header.chromaticities == space
        assert header.attributes.get("colorInteropID") == interop
        assert "acesImageContainerFlag" not in header.attributes  # only uncompressed AP0 may say so
        assert not OpenEXR.checkColorMetadata(
            OpenEXR.File(str(tmp_path / "a.exr"), header_only=True).header()
        )
    write_exr(tmp_path / "a.exr", rgb, chromaticities=AP0, compression="none")
    assert read_header(tmp_path / "a.exr").attributes["acesImageContainerFlag"] == 1


def test_interop_id_alone_states_the_primaries(tmp_path, rgb):
    OpenEXR.File({"colorInteropID": "lin_ap1_scene"}, {"RGB": rgb}).write(str(tmp_path / "a.exr"))
    image = read_exr(tmp_path / "a.exr")
    assert image.chromaticities is not None
    assert np.allclose(np.ravel(image.chromaticities), np.ravel(AP1), atol=1e-4)


def test_uint_pixels_become_a_fraction_of_the_largest(tmp_path):
    codes = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    OpenEXR.File({}, {"R": codes, "G": codes, "B": codes}).write(str(tmp_path / "a.exr"))
    image = read_exr(tmp_path / "a.exr")
    assert (image.rgb.dtype, image.pixel_type) == (np.float32, "uint")
    assert np.allclose(image.rgb[0, :, 1], [0, 0.5, 1])


def test_tiles_and_data_window(tmp_path, rgb):
    header = {
        "type": OpenEXR.tiledimage,
        "tiles": OpenEXR.TileDescription(),
        "dataWindow": (np.array([-5, 3], np.int32), np.array([47, 39], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([39, 29], np.int32)),
    }
    OpenEXR.File(header, {"RGB": rgb}).write(str(tmp_path / "a.exr"))
    image = read_exr(tmp_path / "a.exr")
    assert image.storage == "tiled"
    assert np.array_equal(image.rgb, rgb)
    assert image.attributes["dataWindow"] == [-5, 3, 47, 39]


def test_first_part_with_a_picture_is_chosen(tmp_path, rgb):
    depth = OpenEXR.Part({}, {"Z": rgb[..., 0].astype(np.float32)}, "depth")
    beauty = OpenEXR.Part({}, {"RGB": rgb}, "beauty")
    OpenEXR.File([depth, beauty]).write(str(tmp_path / "a.exr"))
    image = read_exr(tmp_path / "a.exr")
    assert image.part == 1
    assert np.array_equal(image.rgb, rgb)


@pytest.mark.parametrize("names", [("left.R", "left.G", "left.B"), ("a.b.R", "a.b.G", "a.b.B")])
def test_layer_is_read_when_there_is_nothing_else(tmp_path, rgb, names):
    planes = {name: np.ascontiguousarray(rgb[..., i]) for i, name in enumerate(names)}
    OpenEXR.File({}, planes).write(str(tmp_path / "a.exr"))
    assert np.array_equal(read_exr(tmp_path / "a.exr").rgb, rgb)


def test_channels_of_mixed_types(tmp_path, rgb):
    planes = {c: np.ascontiguousarray(rgb[..., i]) for i, c in enumerate("RGB")}
    planes["A"] = np.ones(rgb.shape[:2], np.float32)
    OpenEXR.File({}, planes).write(str(tmp_path / "a.exr"))
    image = read_exr(tmp_path / "a.exr")
    assert np.array_equal(image.rgb, rgb)
    assert (image.alpha == 1).all()


@pytest.mark.parametrize("shape", [(20, 30), (21, 31)])
def test_luminance_chroma_of_one_colour_is_exact(shape):
    colour = np.array([0.9, 0.3, 0.05])
    weights = luminance_weights(REC709)
    y = float(colour @ weights)
    small = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
    ry, by = (full_chroma(np.full(small, (c - y) / y, np.float32), (2, 2), shape) for c in colour[[0, 2]])
    rgb = rgb_from_luminance_chroma(np.full(shape, y), ry, by, weights)
    assert np.allclose(rgb, colour, rtol=1e-5)


def test_luminance_chroma_beyond_half_stays_finite(tmp_path):
    planes = {"Y": 60000.0, "RY": 0.5, "BY": 0.0}
    channels = {name: np.full((4, 4), value, np.float16) for name, value in planes.items()}
    OpenEXR.File({"compression": OpenEXR.NO_COMPRESSION, "type": OpenEXR.scanlineimage}, channels).write(
        str(tmp_path / "a.exr")
    )
    image = read_exr(tmp_path / "a.exr")
    np.testing.assert_allclose(image.rgb[..., 0], 90000, rtol=1e-3)
    assert (image.pixel_type, image.luminance_chroma) == ("half", True)


def test_four_encodings_of_one_scene_agree(shared_hdr):
    """XYZ.exr holds tristimulus values under the scene's own white: nothing was adapted to its white E."""
    frames = {name: read_exr(shared_hdr / f"scenes/{name}.exr") for name in ("Rec709", "XYZ", "Rec709_YC")}
    rec709, xyz, rebuilt = (image.rgb.astype(np.float32) for image in frames.values())
    assert frames["XYZ"].chromaticities == XYZ_E
    from_xyz = xyz @ np.linalg.inv(rgb_to_xyz(REC709)).astype(np.float32).T
    assert np.quantile(np.abs(from_xyz - rec709) / (rec709 + 0.01), 0.99) < 0.005
    assert frames["Rec709_YC"].luminance_chroma
    assert np.median(np.abs(rebuilt - rec709) / (rec709 + 0.01)) < 0.02  # chroma was halved


def test_every_real_frame_matches_its_manifest_row(shared_hdr):
    with (shared_hdr / "manifest.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["file"].endswith(".exr")]
    for row in rows:
        image = read_exr(shared_hdr / row["file"])
        assert (image.width, image.height) == (int(row["w"]), int(row["h"])), row["file"]
        stored = {"half": np.float16, "float": np.float32}[image.pixel_type]
        assert stored == np.dtype(row["pixel_type"]), row["file"]
        assert image.rgb.dtype == (np.float32 if image.luminance_chroma else stored), row["file"]
        assert int(np.isnan(image.rgb).sum()) == int(row["nan"]), row["file"]
        assert int(np.isinf(image.rgb).sum()) == int(row["inf"]), row["file"]
        assert (image.chromaticities is None) == row["primaries"].startswith("none"), row["file"]
        header = read_header(shared_hdr / row["file"])
        assert (header.width, header.height) == (image.width, image.height)


def test_every_damaged_file_is_refused_in_one_line(shared_hdr, capsys):
    files = sorted((shared_hdr / "damaged").iterdir())
    for file in files:
        with pytest.raises(UnreadableImage) as caught:
            read_exr(file)
        assert str(caught.value).startswith(f"{file}: ")
        assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_missing_truncated_and_foreign_files_are_refused(tmp_path, rgb):
    with pytest.raises(UnreadableImage, match="No such file"):
        read_exr(tmp_path / "none.exr")
    (tmp_path / "text.exr").write_text("not a picture")
    with pytest.raises(UnreadableImage, match="not an OpenEXR file"):
        read_exr(tmp_path / "text.exr")
    write_exr(tmp_path / "a.exr", rgb, chromaticities=AP1)
    whole = (tmp_path / "a.exr").read_bytes()
    for length in (5, 100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.exr").write_bytes(whole[:length])
        with pytest.raises(UnreadableImage):
            read_exr(tmp_path / "cut.exr")


def test_depth_only_is_no_picture(tmp_path):
    OpenEXR.File({}, {"Z": np.ones((4, 4), np.float32)}).write(str(tmp_path / "z.exr"))
    with pytest.raises(UnreadableImage, match="holds no picture"):
        read_exr(tmp_path / "z.exr")


def test_reading_in_a_thread_keeps_its_warnings_from_the_others(tmp_path, capsys):
    """A damaged file read in one thread says nothing, and takes nothing from what another thread prints."""
    whole, cut = tmp_path / "whole.exr", tmp_path / "cut.exr"
    write_exr(whole, np.ones((64, 64, 3), np.float32), chromaticities=AP1, compression="none")
    cut.write_bytes(whole.read_bytes()[:-2000])
    stop = threading.Event()

    def damaged() -> int:
        count = 0
        while not stop.is_set():
            with pytest.raises(UnreadableImage, match="damaged pixels"):
                read_exr(cut)
            count += 1
        return count

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(damaged) for _ in range(2)]
        for _ in range(200):
            sys.stdout.write("shown\n")
            assert read_exr(whole).rgb.shape == (64, 64, 3)
        stop.set()
        assert min(reader.result() for reader in readers) > 0
    assert capsys.readouterr().out == "shown\n" * 200
