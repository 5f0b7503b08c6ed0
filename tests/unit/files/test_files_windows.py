"""Data window, display window and the shape of pixels through the command line, pinned by OpenImageIO."""

import json

import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image

from hdrgen.cli import run
from hdrgen.images.code_image import read_code

DISPLAY = (0, 0, 63, 47)
CROP = (10, 5, 49, 36)
OVERSCAN = (-8, -6, 71, 53)


def plate(window=DISPLAY) -> np.ndarray:
    """Return the pixels of a window of one endless plate, so that a pixel's light tells where it lies."""
    x0, y0, x1, y1 = window
    y, x = np.mgrid[y0 : y1 + 1, x0 : x1 + 1].astype(np.float32)
    light = [
        0.05 + 0.01 * (x + 20) + 0.2 * np.sin(x / 3) ** 2,
        0.05 + 0.01 * (y + 20),
        0.1 + 0.001 * x * x / 4,
    ]
    return np.stack(light, axis=-1).astype(np.float16).astype(np.float32)


def write(path, window=DISPLAY, display=DISPLAY, *, pixels=None, alpha=None, **attributes):
    """Write with OpenImageIO what lies in a window."""
    pixels = plate(window) if pixels is None else pixels
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    height, width, channels = pixels.shape
    spec = oiio.ImageSpec(width, height, channels, "half")
    spec.x, spec.y = window[:2]
    spec.full_x, spec.full_y = display[:2]
    spec.full_width, spec.full_height = display[2] - display[0] + 1, display[3] - display[1] + 1
    for name, value in attributes.items():
        spec.attribute(name, value)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(pixels.astype(np.float32))
    out.close()


def read(path):
    """Return pixels, data window, display window and the shape of a pixel, as OpenImageIO has them."""
    image = oiio.ImageBuf(str(path))
    assert not image.has_error, image.geterror()
    spec = image.spec()
    data = (spec.x, spec.y, spec.x + spec.width - 1, spec.y + spec.height - 1)
    display = (
        spec.full_x,
        spec.full_y,
        spec.full_x + spec.full_width - 1,
        spec.full_y + spec.full_height - 1,
    )
    return image.get_pixels(oiio.FLOAT), data, display, spec.get_float_attribute("PixelAspectRatio", 1.0)


def in_frame(path) -> np.ndarray:
    """Return what OpenImageIO has in the display window, black where nothing is."""
    image = oiio.ImageBuf(str(path))
    return oiio.ImageBufAlgo.crop(image, image.roi_full).get_pixels(oiio.FLOAT)


def srgb(linear) -> np.ndarray:
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys, *args, code=0):
    """Return the one file's facts."""
    ended = run([*map(str, args), "--json"])
    said = capsys.readouterr()
    assert ended == code, said.err
    return json.loads(said.out)["files"][0]


@pytest.mark.parametrize(
    ("window", "display"),
    [(CROP, DISPLAY), (OVERSCAN, DISPLAY), ((30, 30, 90, 60), DISPLAY), ((5, 5, 68, 52), (5, 5, 68, 52))],
)
def test_convert_to_exr_keeps_windows_and_shape_of_pixels(capsys, window, display):
    write("a.exr", window, display, PixelAspectRatio=2.0)
    done = answer(capsys, "convert", "a.exr", "-o", "b.exr", "--to", "linear_rec709")
    pixels, *geometry = read("b.exr")
    assert geometry == [window, display, 2.0]
    np.testing.assert_array_equal(pixels, plate(window))
    assert not any("window" in note or "wide" in note for note in done["notes"]), "all of it is kept"


@pytest.mark.parametrize(
    ("window", "said"),
    [(CROP, "never rendered is black"), (OVERSCAN, "outside of the frame was cut off"), (DISPLAY, None)],
)
def test_convert_to_png_places_pixels_in_the_frame(capsys, window, said):
    write("a.exr", window, pixels=plate(window) / 2, PixelAspectRatio=2.0)
    done = answer(capsys, "convert", "a.exr", "-o", "b.png", "--to", "srgb")
    shown = np.array(oiio.ImageBuf("b.png").get_pixels(oiio.UINT16))
    assert shown.shape == (48, 64, 3)
    np.testing.assert_allclose(shown / 65535, np.clip(srgb(in_frame("a.exr")), 0, 1), atol=2e-3)
    assert any("2 times as wide as high" in note for note in done["notes"])
    assert said is None or any(said in note for note in done["notes"])


@pytest.mark.parametrize("aspect", [2.0, 0.5, 1.0])
def test_png_and_tiff_say_the_shape_of_pixels(capsys, aspect):
    write("a.exr", pixels=plate() / 2, PixelAspectRatio=aspect)
    for name in ("b.png", "b.tif"):
        answer(capsys, "convert", "a.exr", "-o", name, "--to", "srgb")
        spec = oiio.ImageBuf(name).spec()
        assert spec.get_float_attribute("PixelAspectRatio", 1.0) == aspect, name
    answer(capsys, "bracket", "a.exr", "--ev", "0", "-o", "b")
    answer(capsys, "tonemap", "a.exr", "--reinhard", "r.png", "--log", "l.png")
    for name in ("b/a_ev+0.png", "r.png", "l.png"):
        dpi = Image.open(name).info.get("aspect")
        assert dpi == {2.0: (1, 2), 0.5: (2, 1), 1.0: None}[aspect]


@pytest.mark.parametrize("aspect", [2.0, 0.5])
def test_what_is_undone_gets_the_shape_of_its_pixels_back(capsys, aspect):
    write("a.exr", PixelAspectRatio=aspect)
    answer(capsys, "bracket", "a.exr", "--ev", "0", "2", "-o", "b")
    answer(capsys, "merge", "b/a_ev+0.png", "b/a_ev+2.png", "--method", "closed", "--no-align", "-o", "m.exr")
    assert read("m.exr")[3] == aspect
    answer(capsys, "convert", "a.exr", "-o", "c.tif", "--to", "logc4")
    answer(capsys, "convert", "c.tif", "-o", "c.exr", "--from", "logc4")
    assert read("c.exr")[3] == aspect
    answer(capsys, "expand", "c.tif", "-o", "e.exr", "--encoding", "logc4")
    assert read("e.exr")[3] == aspect


def test_resolutions_of_a_turned_picture_are_turned_too(place):
    pixels = np.zeros((8, 12, 3), np.uint8)
    for orientation, aspect in ((1, 2.0), (6, 0.5)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save("a.png", dpi=(100, 200), exif=exif)
        assert read_code(place / "a.png").pixel_aspect_ratio == pytest.approx(aspect, rel=1e-3)


@pytest.mark.parametrize("dpi", [(72, 72), (7200, 1), None])
def test_resolutions_that_say_nothing_are_passed_over(place, dpi):
    for name in ("a.png", "a.tif", "a.jpg"):
        Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(name, **({"dpi": dpi} if dpi else {}))
        assert read_code(place / name).geometry is None


def test_two_crops_of_a_plate_are_compared_where_both_have_pixels(capsys):
    write("a.exr", (0, 0, 39, 47))
    write("b.exr", (16, 8, 55, 47))
    done = answer(capsys, "compare", "a.exr", "b.exr", "--metrics", "stops_rmse,psnr_mu")
    assert done["window"] == [16, 8, 39, 47]
    assert done["metrics"]["stops_rmse"] == 0
    assert any("compared where both have pixels: 24x40+16+8" in note for note in done["notes"])


def test_a_frame_is_compared_with_its_overscan_by_place(capsys):
    write("a.exr", OVERSCAN)
    write("b.exr")
    done = answer(capsys, "compare", "a.exr", "b.exr", "--metrics", "stops_rmse")
    assert (done["window"], done["metrics"]["stops_rmse"]) == ([0, 0, 63, 47], 0)


def test_equal_windows_are_compared_whole_and_nothing_is_said(capsys):
    for name in ("a.exr", "b.exr"):
        write(name, OVERSCAN)
    done = answer(capsys, "compare", "a.exr", "b.exr", "--metrics", "stops_rmse")
    assert (done["window"], done["notes"]) == (list(OVERSCAN), [])


def test_pictures_without_a_common_pixel_are_refused(capsys):
    write("a.exr", (0, 0, 19, 47))
    write("b.exr", (30, 0, 49, 47))
    done = answer(capsys, "compare", "a.exr", "b.exr", code=2)
    assert "have no pixel in common, 20x48 and 20x48+30+0" in done["error"]
    assert "--ignore-windows" in done["error"]


def test_windows_are_ignored_where_that_is_asked_for(capsys):
    write("a.exr", (0, 0, 19, 47))
    write("b.exr", (30, 0, 49, 47), pixels=plate((0, 0, 19, 47)))
    done = answer(capsys, "compare", "a.exr", "b.exr", "--ignore-windows", "--metrics", "stops_rmse")
    assert (done["window"], done["metrics"]["stops_rmse"]) == (None, 0)


def test_other_display_windows_are_said(capsys):
    write("a.exr", CROP)
    write("b.exr", CROP, CROP)
    done = answer(capsys, "compare", "a.exr", "b.exr", "--metrics", "stops_rmse")
    assert done["metrics"]["stops_rmse"] == 0
    assert any("the display windows differ, 64x48 and 40x32+10+5" in note for note in done["notes"])


def test_two_resolutions_have_no_common_coordinates(capsys):
    write("a.exr")
    write("b.exr", (0, 0, 31, 23), (0, 0, 31, 23))
    assert "must have one size" in answer(capsys, "compare", "a.exr", "b.exr", code=2)["error"]


@pytest.mark.parametrize(("window", "rows"), [(CROP, slice(5, 37)), (OVERSCAN, slice(0, 48))])
def test_preview_shows_the_display_window(capsys, window, rows):
    write("whole.exr")
    write("a.exr", window)
    answer(capsys, "preview", "whole.exr", "-o", "whole.png")
    done = answer(capsys, "preview", "a.exr", "-o", "a.png")
    shown, whole = (np.array(Image.open(name)).astype(int) for name in ("a.png", "whole.png"))
    assert shown.shape == (48, 64, 3)
    inside = np.zeros((48, 64), bool)
    inside[rows, slice(max(window[0], 0), window[2] + 1)] = True
    np.testing.assert_allclose(shown[inside], whole[inside], atol=1)
    assert (shown[~inside] == shown[~inside][:1]).all() if (~inside).any() else True
    assert any("display window 64x48" in note for note in done["notes"])


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.png", ()), ("a.jpg", ()), ("sheet.png", ("--size", "32")), ("s.png", ("--strip",))],
)
def test_preview_shows_square_pixels_and_says_so(capsys, name, options):
    write("a.exr", PixelAspectRatio=2.0)
    done = answer(capsys, "preview", "a.exr", "-o", name, *options)
    sizes = {"a.png": (128, 48), "a.jpg": (128, 48), "sheet.png": (32, 12), "s.png": (9 * 134 - 6, 48)}
    assert Image.open(name).size == sizes[name]
    assert any("2 times as wide as high; shown as 128x48" in note for note in done["notes"])


def test_preview_shows_high_pixels_square_too(capsys):
    write("a.exr", PixelAspectRatio=0.5)
    answer(capsys, "preview", "a.exr", "-o", "a.png")
    assert Image.open("a.png").size == (64, 96)


def test_contact_sheet_shows_the_display_window(capsys):
    write("a.exr", CROP)
    answer(capsys, "inspect", "a.exr", "--contact-sheet", "a.png")
    assert Image.open("a.png").size == (3 * 64 + 12, 3 * 48 + 12)


def test_a_display_window_of_an_absurd_size_is_refused(capsys):
    write("a.exr", CROP, (0, 0, 99999, 99999))
    assert (
        "a.exr: its display window is 100000x100000"
        in answer(capsys, "preview", "a.exr", "-o", "a.png", code=2)["error"]
    )


@pytest.mark.parametrize("window", [CROP, OVERSCAN])
def test_tonemap_and_bracket_place_pixels_in_the_frame(capsys, window):
    write("a.exr", window, PixelAspectRatio=2.0, alpha=np.ones(plate(window).shape[:2]))
    for command, name in (
        (("tonemap", "a.exr", "--reinhard", "r.png", "--log", "l.png", "--primaries", "rec709"), "r.png"),
        (("bracket", "a.exr", "--ev", "0", "2", "--encoding", "srgb", "-o", "b"), "b/a_ev+0.png"),
    ):
        done = answer(capsys, *command)
        code = oiio.ImageBuf(name).get_pixels(oiio.UINT8).astype(int)
        assert code.shape == (48, 64, 3)
        linear = in_frame("a.exr")[..., :3]
        expected = srgb(linear / (1 + linear) if command[0] == "tonemap" else linear)
        np.testing.assert_allclose(code / 255, np.clip(expected, 0, 1), atol=0.006)
        for said in ("display window 64x48", "2 times as wide as high", "alpha was dropped"):
            assert any(said in note for note in done["notes"]), said


def exposures(windows, displays=(DISPLAY, DISPLAY), **attributes):
    for ev, window, display in zip((-2, 0), windows, displays, strict=True):
        write(f"s_ev{ev:+d}.exr", window, display, pixels=plate(window) * 2.0**ev, **attributes)
    return ("merge", "s_ev-2.exr", "s_ev+0.exr", "--method", "closed", "--no-align", "-o", "m.exr",
            "--space", "linear_rec709")  # fmt: skip


def test_merge_keeps_windows_and_shape_of_pixels(capsys):
    command = exposures((CROP, CROP), PixelAspectRatio=2.0)
    answer(capsys, *command, "--confidence", "c.exr")
    for name in ("m.exr", "c.exr"):
        assert list(read(name)[1:]) == [CROP, DISPLAY, 2.0]
    np.testing.assert_allclose(read("m.exr")[0], plate(CROP), rtol=0.01)


def test_merge_takes_what_all_exposures_have(capsys):
    command = exposures(((0, 0, 49, 40), (10, 5, 63, 47)))
    done = answer(capsys, *command, "--confidence", "c.png")
    assert read("m.exr")[1:3] == ((10, 5, 49, 40), DISPLAY)
    np.testing.assert_allclose(read("m.exr")[0], plate((10, 5, 49, 40)), rtol=0.01)
    assert any("what all exposures have is merged, 40x36+10+5" in note for note in done["notes"])
    seen = np.array(Image.open("c.png"))
    assert seen.shape[:2] == (48, 64)
    assert not seen[0].any()
    assert seen[6, 11].all()


@pytest.mark.parametrize(
    ("windows", "displays", "said"),
    [
        (((0, 0, 19, 40), (30, 0, 63, 47)), (DISPLAY, DISPLAY), "no pixel in common"),
        ((CROP, CROP), (DISPLAY, CROP), "must have one size"),
    ],
)
def test_merge_refuses_exposures_that_do_not_lie_on_each_other(capsys, windows, displays, said):
    assert said in answer(capsys, *exposures(windows, displays), code=2)["error"]


def test_radiance_says_the_shape_of_its_pixels_upside_down(capsys):
    lines = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\nPIXASPECT=0.5\n\n-Y 16 +X 20\n"
    (open("a.hdr", "wb")).write(lines + bytes([128, 64, 32, 129] * 320))  # noqa: SIM115, PTH123
    answer(capsys, "convert", "a.hdr", "-o", "a.exr")
    assert read("a.exr")[3] == 2.0


def test_a_caption_is_of_what_is_seen(place):
    from hdrgen.dataset.captions.frames import frames_in_files  # noqa: PLC0415

    write("a.exr", OVERSCAN)
    write("b.exr", CROP)
    shapes = [frame.linear_awg4().shape for frame in frames_in_files([place / "a.exr", place / "b.exr"])]
    assert shapes == [(48, 64, 3), (32, 40, 3)]
