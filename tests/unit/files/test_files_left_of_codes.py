"""What pictures of codes say of themselves is named where it is left behind, and so is an EXR's header without an EXR."""

import json

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from hdrgen.cli import run

CODES = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def notes_of(capsys, *args):
    ended = run([*args, "--json"])
    said = capsys.readouterr()
    assert ended == 0, said.err
    return json.loads(said.out)["files"][0]["notes"]


def converted(capsys, source, *options):
    return notes_of(capsys, "convert", source, "-o", "b.exr", "--from", "srgb", *options)


def camera() -> Image.Exif:
    exif = Image.Exif()
    exif[271], exif[33432] = "Maker", "me"
    return exif


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_exif_is_named_unless_it_says_nothing_of_the_picture(capsys, suffix):
    Image.fromarray(CODES).save(f"a.{suffix}", exif=camera())
    assert "left behind of the header: EXIF" in converted(capsys, f"a.{suffix}")
    for options in ({}, {"exif": turned()}, {"dpi": (72, 72)}):
        Image.fromarray(CODES).save(f"a.{suffix}", **options)
        assert not any("left behind" in note for note in converted(capsys, f"a.{suffix}"))


def test_text_of_a_png_is_named_by_keyword_but_ours(capsys):
    text = PngImagePlugin.PngInfo()
    for keyword in ("parameters", "workflow", "hdrgen:version"):
        text.add_text(keyword, "x")
    Image.fromarray(CODES).save("a.png", pnginfo=text)
    assert "left behind of the header: parameters, workflow" in converted(capsys, "a.png")


def test_a_jpegs_comment_is_named(capsys):
    Image.fromarray(CODES).save("a.jpg", comment="shot on a phone")
    assert "left behind of the header: comment" in converted(capsys, "a.jpg")


def test_what_a_tiff_says_is_named_but_not_what_its_writer_does(capsys):
    tifffile.imwrite("a.tif", CODES, photometric="rgb", description="night, take 3", metadata=None)
    assert "left behind of the header: image description" in converted(capsys, "a.tif")
    tifffile.imwrite("b.tif", CODES, photometric="rgb")
    assert not any("left behind" in note for note in converted(capsys, "b.tif"))
    out = oiio.ImageOutput.create("c.tif")
    spec = oiio.ImageSpec(24, 16, 3, "uint8")
    spec.attribute("Copyright", "me")
    out.open("c.tif", spec)
    out.write_image(CODES)
    out.close()
    assert any("left behind" in note and "copyright" in note for note in converted(capsys, "c.tif"))


def test_our_own_pictures_say_nothing_that_is_lost(capsys):
    planes = {name: np.full((16, 24), 0.25, "f2") for name in "RGB"}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, planes).write("s.exr")
    for name in ("a.png", "a.tif"):
        assert run(["convert", "s.exr", "-o", name, "--to", "srgb"]) == 0
        capsys.readouterr()
        assert not any("left behind" in note for note in converted(capsys, name))


@pytest.mark.parametrize(
    "command",
    [
        ("convert", "s.exr", "-o", "o.png", "--to", "srgb"),
        ("convert", "s.exr", "-o", "o.tif", "--to", "logc4"),
        ("tonemap", "s.exr", "--reinhard", "r.png", "--log", "l.png"),
        ("bracket", "s.exr", "-o", "."),
    ],
)
def test_an_exrs_header_is_named_where_no_exr_is_written(capsys, command):
    planes = {name: np.full((16, 24), 0.25, "f2") for name in "RGB"}
    OpenEXR.File({"type": OpenEXR.scanlineimage, "owner": "me", "isoSpeed": 800.0}, planes).write("s.exr")
    assert "left behind of the header: isoSpeed, owner" in notes_of(capsys, *command)


@pytest.mark.parametrize(("dpi", "aspect"), [((300, 72), 0.24), ((100, 200), 2.0), ((100, 101), 1.01)])
def test_the_shape_that_resolutions_state_is_said(capsys, dpi, aspect):
    for name in ("a.png", "a.tif"):
        Image.fromarray(CODES).save(name, dpi=dpi)
        (note,) = [note for note in converted(capsys, name) if "times as wide" in note]
        assert float(note.split()[2]) == pytest.approx(aspect, rel=2e-3)
        assert note.endswith("by its resolutions")
        stated = oiio.ImageBuf("b.exr").spec().get_float_attribute("PixelAspectRatio")
        assert stated == pytest.approx(aspect, rel=2e-3)


@pytest.mark.parametrize("dpi", [(300, 300), (1000, 1004), (1004, 1000), (9, 1)])
def test_nearly_square_and_absurd_shapes_are_square(capsys, dpi):
    tifffile.imwrite("a.tif", CODES, photometric="rgb", resolution=dpi)
    assert not any("times as wide" in note for note in converted(capsys, "a.tif"))
    assert oiio.ImageBuf("b.exr").spec().get_float_attribute("PixelAspectRatio", 1.0) == 1.0


@pytest.mark.parametrize(("aspect", "said"), [(2.0, "which few programs read"), (9.0, "taken for square")])
def test_a_shape_that_no_reader_takes_is_not_said_to_be_in_the_file(capsys, aspect, said):
    planes = {name: np.full((16, 24), 0.25, "f2") for name in "RGB"}
    OpenEXR.File({"type": OpenEXR.scanlineimage, "pixelAspectRatio": aspect}, planes).write("s.exr")
    notes = notes_of(capsys, "convert", "s.exr", "-o", "o.png", "--to", "srgb")
    (note,) = [note for note in notes if "times as wide" in note]
    assert said in note
