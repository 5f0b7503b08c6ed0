"""Conversions between files, and what of a source's header goes along."""

from dataclasses import replace

import numpy as np
import pytest

from hdrgen.colour.primaries import AP0, AP1, AWG4, REC709, SPACES, Chromaticities, convert_primaries
from hdrgen.images.code_image import read_code, write_code
from hdrgen.images.conversion import (
    LINEAR_SPACES,
    assumed_chromaticities,
    describe,
    from_chromaticities,
    linear_space,
)
from hdrgen.images.convert_file import convert_file
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.images.provenance import carried, made_by
from hdrgen.runtime.errors import HdrgenError

LINEAR = np.random.default_rng(0).uniform(0, 50, (13, 21, 3)).astype(np.float32)
ODD = Chromaticities((0.69, 0.3), (0.2, 0.75), (0.14, 0.03), (0.31, 0.33))


@pytest.mark.parametrize("name", LINEAR_SPACES)
def test_linear_spaces_agree_with_the_matrices(name):
    """ARRI's and the Academy's spaces to float precision; the others are adapted with Bradford there, CAT02 here."""
    primaries = LINEAR_SPACES[name]
    ours = convert_primaries(LINEAR, primaries, AP1)
    tolerance = 2e-5 if name in ("acescg", "aces2065-1", "linear_awg3", "linear_awg4") else 0.01
    np.testing.assert_allclose(
        from_chromaticities(LINEAR, primaries, "acescg"), ours, rtol=tolerance, atol=50 * tolerance
    )
    assert linear_space(name) == primaries


def test_primaries_nobody_named_are_converted_by_their_figures():
    """Any chromaticities will do, as long as they span a space."""
    ours = convert_primaries(LINEAR, ODD, AP1)
    np.testing.assert_allclose(from_chromaticities(LINEAR, ODD, "acescg"), ours, rtol=1e-5)
    assert describe(ODD).startswith("linear, primaries 0.69,0.3")
    flat = Chromaticities((0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (0.31, 0.33))
    with pytest.raises(HdrgenError, match="span no colour space"):
        from_chromaticities(LINEAR, flat, "acescg")


def test_the_given_array_is_left_as_it_is_unless_told():
    """In place only where the caller says so."""
    before = LINEAR.copy()
    from_chromaticities(LINEAR, AWG4, "acescg")
    np.testing.assert_array_equal(LINEAR, before)
    mine = LINEAR.copy()
    assert from_chromaticities(mine, AWG4, "acescg", in_place=True) is mine


def test_a_configuration_without_arri_does_as_well(monkeypatch, tmp_path):
    """$OCIO of a studio may know fewer spaces; primaries it does not know are converted by their figures."""
    pinned = from_chromaticities(LINEAR, AWG4, "acescg")
    monkeypatch.setenv("OCIO", "ocio://cg-config-v4.0.0_aces-v2.0_ocio-v2.5")
    np.testing.assert_allclose(from_chromaticities(LINEAR, AWG4, "acescg"), pinned, rtol=2e-5, atol=1e-3)
    assert linear_space("acescg") == AP1
    with pytest.raises(HdrgenError, match="has no space 'ARRI LogC4'"):
        linear_space("logc4")
    monkeypatch.setenv("OCIO", str(tmp_path / "missing.ocio"))
    with pytest.raises(HdrgenError, match="OpenColorIO cannot read"):
        from_chromaticities(LINEAR, AWG4, "acescg")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_code_values_round_trip_through_an_exr(tmp_path, bits, suffix):
    """LogC4 codes become light and the same codes again; half floats are finer than 8 and coarser than 16 bits."""
    codes = np.random.default_rng(1).integers(30 << (bits - 8), 1 << bits, (13, 21, 3)).astype(f"uint{bits}")
    write_code(tmp_path / f"a{suffix}", codes)
    convert_file(
        tmp_path / f"a{suffix}", tmp_path / "a.exr", source_space="logc4", target_space="linear_awg4"
    )
    convert_file(
        tmp_path / "a.exr", tmp_path / f"b{suffix}", source_space=None, target_space="logc4", bits=bits
    )
    back = read_code(tmp_path / f"b{suffix}").code
    assert np.abs(back.astype(int) - codes).max() <= {8: 0, 16: 4}[bits]


def test_stated_primaries_are_used_and_missing_ones_noted(tmp_path):
    """Rec.709 by convention, with a word; --from wins over the header."""
    source, target = tmp_path / "a.exr", tmp_path / "b.exr"
    write_exr(source, LINEAR, chromaticities=AWG4)
    done = convert_file(source, target, source_space=None, target_space="aces2065-1")
    assert done.source_space == "Linear ARRI Wide Gamut 4"
    assert read_exr(target).chromaticities == AP0
    done = convert_file(source, target, source_space="acescg", target_space="acescg")
    np.testing.assert_array_equal(read_exr(target).rgb, read_exr(source).rgb)
    (tmp_path / "a.hdr").write_bytes(
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 2\n" + bytes([9, 9, 9, 129] * 2)
    )
    done = convert_file(tmp_path / "a.hdr", target, source_space=None, target_space="acescg")
    assert "states no primaries" in done.notes[0]


def test_assumed_chromaticities(tmp_path):
    """The second value tells a statement from a convention."""
    write_exr(tmp_path / "a.exr", LINEAR, chromaticities=SPACES["p3d65"])
    assert assumed_chromaticities(read_exr(tmp_path / "a.exr")) == (SPACES["p3d65"], True)
    nothing_stated = replace(read_exr(tmp_path / "a.exr"), chromaticities=None)
    assert assumed_chromaticities(nothing_stated) == (REC709, False)


def test_attributes_that_describe_the_file_stay_behind():
    """Structure, long names, lists and integers beyond 32 bits cannot or must not go along."""
    kept = {"owner": "us", "isoSpeed": 800.0, "imageCounter": 7}
    left = {"dataWindow": [0, 0, 1, 1], "timeCode": "01:02", "colorInteropID": "lin_ap0_scene"}
    assert carried({**kept, **left, "x" * 32: 1, "big": 2**31, "lineOrder": "INCREASING_Y"}) == kept


def test_our_own_attributes_fit_nuke():
    """Names of at most 31 characters; what is not known is left out."""
    made = made_by("convert", source_space="x", nothing=None)
    assert set(made) == {"hdrgenVersion", "hdrgenRoute", "hdrgenSourceSpace"}
    assert max(map(len, made)) <= 31
