"""Spaces of OpenColorIO configurations that studios have: other names, roles, and spaces that one lacks."""

import numpy as np
import OpenImageIO as oiio
import PyOpenColorIO
import pytest

from hdrgen.cli import run
from hdrgen.colour import ocio
from hdrgen.colour.primaries import AP1
from hdrgen.images.exr import write_exr
from hdrgen.runtime.errors import HdrgenError

OLD = """
ocio_profile_version: 1
roles: {scene_linear: ACES - ACEScg, rendering: ACES - ACEScg, reference: ACES - ACES2065-1, default: ACES - ACES2065-1}
displays: {ACES: [!<View> {name: Raw, colorspace: Utility - Raw}]}
colorspaces:
  - !<ColorSpace> {name: ACES - ACES2065-1}
  - !<ColorSpace>
    name: ACES - ACEScg
    to_reference: !<MatrixTransform>
      {matrix: [0.695452241357, 0.140678696470, 0.163869062172, 0, 0.0447945633720, 0.859671118456, 0.0955343181717, 0,
                -0.00552588255811, 0.00402521030598, 1.00150067225, 0, 0, 0, 0, 1]}
  - !<ColorSpace>
    name: Utility - Linear - sRGB
    to_reference: !<MatrixTransform>
      {matrix: [0.439632981919, 0.382988698152, 0.177378319929, 0, 0.0897764429588, 0.813439428749, 0.0967841282917, 0,
                0.0175411703832, 0.111546553302, 0.870912276314, 0, 0, 0, 0, 1]}
  - !<ColorSpace> {name: Input - ARRI - V3 LogC (EI800) - Wide Gamut}
  - !<ColorSpace> {name: Utility - Raw, isdata: true}
"""


@pytest.fixture
def old(tmp_path, monkeypatch):
    path = tmp_path / "aces_1.2.ocio"
    path.write_text(OLD)
    monkeypatch.setenv("OCIO", str(path))
    return path


@pytest.fixture
def _builtin(monkeypatch):
    monkeypatch.delenv("OCIO", raising=False)


@pytest.mark.usefixtures("_builtin")
@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("ACES - ACEScg", "ACEScg"),
        ("aces - acescg", "ACEScg"),
        ("lin_ap1", "ACEScg"),
        ("scene_linear", "ACEScg"),
        ("rendering", "ACEScg"),
        ("reference", "ACES2065-1"),
        ("ACES - ACES2065-1", "ACES2065-1"),
        ("Utility - Linear - sRGB", "Linear Rec.709 (sRGB)"),
        ("Utility - Linear - Rec.709", "Linear Rec.709 (sRGB)"),
        ("Utility - Linear - Rec.2020", "Linear Rec.2020"),
        ("Utility - sRGB - Texture", "sRGB Encoded Rec.709 (sRGB)"),
        ("Input - ARRI - V3 LogC (EI800) - Wide Gamut", "ARRI LogC3 (EI800)"),
        ("Input - ARRI - Linear - ALEXA Wide Gamut", "Linear ARRI Wide Gamut 3"),
        ("compositing_log", "ACEScct"),
    ],
)
def test_names_of_older_configurations_are_found_in_the_built_in_one(name, space):
    assert ocio.space_name(name) == space


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("acescg", "ACES - ACEScg"),
        ("ACEScg", "ACES - ACEScg"),
        ("lin_ap1", "ACES - ACEScg"),
        ("rendering", "ACES - ACEScg"),
        ("scene_linear", "ACES - ACEScg"),
        ("aces2065-1", "ACES - ACES2065-1"),
        ("linear_rec709", "Utility - Linear - sRGB"),
        ("Linear Rec.709 (sRGB)", "Utility - Linear - sRGB"),
        ("logc3", "Input - ARRI - V3 LogC (EI800) - Wide Gamut"),
        ("Raw", "Utility - Raw"),
    ],
)
def test_names_of_today_are_found_in_an_older_configuration(name, space):
    assert ocio.space_name(name) == space


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("name", ["logc4", "ARRI LogC4", "arri_logc4", "linear_p3d65"])
def test_a_configuration_without_a_space_is_said_to_lack_it(tmp_path, capsys, name):
    write_exr(tmp_path / "a.exr", np.full((8, 8, 3), 0.18), chromaticities=AP1)
    assert run(["convert", str(tmp_path / "a.exr"), "-o", str(tmp_path / "b.png"), "--to", name]) == 2
    said = capsys.readouterr().err
    space = "Linear P3-D65" if name == "linear_p3d65" else "ARRI LogC4"
    assert f"aces_1.2.ocio: has no space '{space}', which '{name}' stands for" in said
    assert "did you mean" not in said
    assert "unset $OCIO for the built-in one" in said
    assert not (tmp_path / "b.png").exists()


def test_what_no_configuration_has_gets_the_nearest_names_that_there_are(old):
    with pytest.raises(HdrgenError, match=r"unknown colour space 'ACEScgg'; did you mean .*'ACES - ACEScg'"):
        ocio.space_name("ACEScgg")
    with pytest.raises(HdrgenError) as raised:
        ocio.space_name("logc5")
    assert "'logc4'" not in str(raised.value)
    assert old.is_file()


@pytest.mark.usefixtures("_builtin")
def test_a_role_that_a_configuration_lacks_is_unknown_and_no_other_space():
    with pytest.raises(HdrgenError, match="unknown colour space 'matte_painting'"):
        ocio.space_name("matte_painting")


def test_pixels_are_those_of_opencolorio(old, tmp_path):
    light = np.random.default_rng(0).uniform(0, 4, (20, 30, 3)).astype(np.float32)
    write_exr(tmp_path / "a.exr", light, chromaticities=AP1, pixel_type="float")
    done = run(["convert", str(tmp_path / "a.exr"), "-o", str(tmp_path / "b.exr"), "--to", "linear_rec709"])
    assert done == 0
    processor = PyOpenColorIO.Config.CreateFromFile(str(old)).getProcessor(
        "ACES - ACEScg", "Utility - Linear - sRGB"
    )
    expected = light.copy()
    processor.getDefaultCPUProcessor().applyRGB(expected)
    stored = oiio.ImageBuf(str(tmp_path / "b.exr")).get_pixels(oiio.FLOAT)
    np.testing.assert_allclose(stored, expected, rtol=2e-3, atol=2e-4)
