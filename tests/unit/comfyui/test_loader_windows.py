"""EXR Loader: layers, windows and the shape of pixels of files as people have them, pinned by OpenImageIO."""

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import pytest
import torch

from hdrgen.runtime.errors import HdrgenError

DISPLAY = (0, 0, 31, 23)


def write(path, window=DISPLAY, display=DISPLAY, *, names="RGB", layers=(), **attributes):
    """Write light that tells where it lies: red is the column, green the row, in the display's coordinates."""
    x0, y0, x1, y1 = window
    y, x = np.mgrid[y0 : y1 + 1, x0 : x1 + 1]
    planes = {"R": x + 100.0, "G": y + 200.0, "B": x * 0 + 3.0, "A": x * 0 + 0.5}
    channels = {name: planes[name].astype("f2") for name in names}
    channels |= {name: np.full(x.shape, 9, "f2") for name in layers}
    header = {
        "type": OpenEXR.scanlineimage,
        "dataWindow": (window[:2], window[2:]),
        "displayWindow": (display[:2], display[2:]),
    }
    OpenEXR.File({**header, **attributes}, channels).write(str(path))


def in_frame(path):
    image = oiio.ImageBuf(str(path))
    return oiio.ImageBufAlgo.crop(image, image.roi_full).get_pixels(oiio.FLOAT)


@pytest.fixture
def load(nodes):
    def call(file, frames="", **how):
        return nodes.ExrLoader.execute(file=file, frames=frames, space="linear_rec709", **how)

    return call


def test_autocropped_frames_are_placed_in_the_display_window(comfyui, load):
    folder = comfyui.folder / "input"
    windows = {1: (3, 4, 20, 12), 2: (5, 0, 31, 23), 3: (-4, -4, 35, 27)}
    for frame, window in windows.items():
        write(folder / f"a.{frame:04d}.exr", window, names="RGBA")
    light, alpha, _, report = load("a.0001.exr", "all").args
    assert light.shape == (3, 24, 32, 3)
    for number, frame in enumerate(windows):
        expected = in_frame(folder / f"a.{frame:04d}.exr")
        np.testing.assert_array_equal(light[number].numpy(), expected[..., :3])
        np.testing.assert_array_equal(alpha[number].numpy(), expected[..., 3])
    lines = report.splitlines()
    assert "data window 18x9+3+4, display window 32x24: what was never rendered is black" in lines[0]
    assert "what lies outside of the frame was cut off" in lines[2]


def test_alpha_is_0_where_nothing_was_rendered(comfyui, load):
    write(comfyui.folder / "input" / "a.exr", (3, 4, 20, 12))
    alpha = load("a.exr")[1][0]
    assert alpha[4:13, 3:21].eq(1).all()
    assert alpha.sum() == 9 * 18


def test_frames_of_two_display_windows_are_no_batch(comfyui, load):
    write(comfyui.folder / "input" / "a.0001.exr")
    write(comfyui.folder / "input" / "a.0002.exr", DISPLAY, (0, 0, 39, 23))
    with pytest.raises(HdrgenError, match="frames must have one size"):
        load("a.0001.exr", "all")


def test_the_shape_of_pixels_goes_from_loader_to_exporter(comfyui, load, nodes):
    write(comfyui.folder / "input" / "a.exr", pixelAspectRatio=2.0, owner="me")
    light, _, metadata, report = load("a.exr").args
    assert metadata == {"owner": "me", "pixelAspectRatio": 2.0}
    assert "2 times as wide as high" in report
    nodes.ExrExporter.execute(
        light=light,
        filename_prefix="b",
        light_space="linear_rec709",
        file_space="linear_rec709",
        pixel_type="half",
        compression="zip",
        overflow="raise",
        numbering="counter",
        first_frame=1,
        overwrite=False,
        workflow=False,
        attributes="",
        metadata=metadata,
    )
    spec = oiio.ImageBuf(str(comfyui.folder / "output" / "b_00001_.exr")).spec()
    assert spec.get_float_attribute("PixelAspectRatio") == 2.0
    assert metadata["pixelAspectRatio"] == 2.0, "other nodes share the metadata"


def test_loader_takes_a_layer_and_names_the_others(comfyui, load, nodes):
    file = comfyui.folder / "input" / "a.exr"
    write(file, layers=("AO.R", "AO.G", "AO.B", "Z"), timeCode=OpenEXR.TimeCode(1, *[0] * 17))
    report = load("a.exr")[3]
    assert "left behind: Z, AO" in report
    assert "left behind of the header: timeCode" in report
    assert torch.equal(load("a.exr", layer="AO")[0], torch.full((1, 24, 32, 3), 9.0))
    picture, *_, said = load("a.exr", layer="Z")
    assert torch.equal(picture, torch.full((1, 24, 32, 3), 9.0))
    assert "data, without colour conversion" in said
    with pytest.raises(HdrgenError, match="no layer 'beauty'"):
        load("a.exr", layer="beauty")
    seen = [nodes.ExrLoader.fingerprint_inputs("a.exr", "", "acescg", layer) for layer in ("", "AO")]
    assert seen[0] != seen[1]


def test_graphs_made_before_there_was_a_layer_still_run(nodes):
    last = nodes.ExrLoader.define_schema().inputs[-1]
    assert (last.id, last.said["default"], last.said["optional"]) == ("layer", "", True)


def test_a_matte_is_no_part_of_the_picture(comfyui, load):
    file = comfyui.folder / "input" / "a.exr"
    write(file)
    alone = load("a.exr").args
    write(file, layers=("observed",))
    light, alpha, _, report = load("a.exr").args
    assert torch.equal(light, alone[0])
    assert torch.equal(alpha, alone[1])
    assert "left behind: observed" in report
