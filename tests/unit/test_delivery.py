"""Each delivery rule: what passes it, what breaks it."""

import numpy as np
import OpenEXR
import pytest

from hdrgen.colour.display import srgb_decode
from hdrgen.colour.logc import logc4_decode
from hdrgen.colour.primaries import AP0, AP1, AWG4, REC709, convert_primaries
from hdrgen.delivery import check_delivery
from hdrgen.images.code_image import write_png8
from hdrgen.images.exr import write_exr
from hdrgen.images.stored_image import UnreadableImage

LINEAR = (2.0 ** np.random.default_rng(0).uniform(-5, 5, (60, 80, 3)) * 0.18).astype(np.float32)
OURS = {"hdrgenVersion": "0.1.0", "hdrgenRoute": "dual"}


def findings(path) -> dict[str, str]:
    return {finding.rule: finding.verdict for finding in check_delivery(path).findings}


def written(tmp_path, linear=LINEAR, name="shot.exr", **how):
    how = {"chromaticities": AP1, "attributes": OURS, **how}
    write_exr(tmp_path / name, linear, **how)
    return tmp_path / name


def raw(tmp_path, linear=LINEAR, **header):
    """Write past our own writer, which would refuse."""
    path = tmp_path / "raw.exr"
    stated = tuple(float(x) for xy in AP1 for x in xy)
    header = {"type": OpenEXR.scanlineimage, "chromaticities": stated, **OURS, **header}
    pixels = np.ascontiguousarray(linear.astype(np.float16))
    OpenEXR.File({k: v for k, v in header.items() if v is not None}, {"RGB": pixels}).write(str(path))
    return path


@pytest.mark.parametrize(("chromaticities", "compression"), [(AP1, "zip"), (AP1, "dwaa"), (AP0, "none")])
def test_what_we_write_is_fit(tmp_path, chromaticities, compression):
    """Every rule passes on our own delivery."""
    path = written(tmp_path, chromaticities=chromaticities, compression=compression)
    delivery = check_delivery(path)
    assert delivery.fit
    assert {finding.verdict for finding in delivery.findings} == {"pass"}, delivery.findings


@pytest.mark.parametrize(
    ("how", "rule", "verdict"),
    [
        ({"pixel_type": "float"}, "pixels", "fail"),
        ({"chromaticities": AWG4}, "primaries", "warn"),
        ({"compression": "b44"}, "compression", "warn"),
        ({"compression": "htj2k"}, "compression", "warn"),
        ({"attributes": {}}, "provenance", "warn"),
        ({"name": "my shot (final).exr"}, "file name", "warn"),
        ({"linear": np.minimum(LINEAR, 1.0)}, "range", "warn"),
        ({"linear": np.minimum(LINEAR, 2.0)}, "ceiling", "warn"),
        ({"linear": LINEAR - 0.1}, "negatives", "warn"),
    ],
)
def test_one_thing_wrong_is_one_finding(tmp_path, how, rule, verdict):
    """The rule speaks and says a way out."""
    found = [f for f in check_delivery(written(tmp_path, **how)).findings if f.rule == rule]
    assert [f.verdict for f in found] == [verdict]
    assert found[0].way_out


def test_values_that_spread_or_ran_out_of_range_fail(tmp_path):
    """NaN, Inf, and the end of half floats."""
    linear = LINEAR.copy()
    linear[3, 4, 0] = np.nan
    assert findings(written(tmp_path, linear, allow_nonfinite=True))["finite"] == "fail"
    linear[3, 4, 0] = 1e6
    assert findings(written(tmp_path, linear, overflow="clamp"))["ceiling"] == "fail"


@pytest.mark.parametrize(
    ("header", "rule", "verdict"),
    [
        ({"chromaticities": None}, "primaries", "fail"),
        ({"colorInteropID": "lin_ap0_scene"}, "interop id", "fail"),
        ({}, "interop id", "warn"),
        ({"acesImageContainerFlag": 1}, "ACES container", "fail"),
        ({"displayWindow": ((0, 0), (99, 99))}, "windows", "warn"),
    ],
)
def test_headers_that_contradict_are_named(tmp_path, header, rule, verdict):
    """What the file says of itself must hold."""
    assert findings(raw(tmp_path, **header))[rule] == verdict


@pytest.mark.parametrize(
    ("decode", "primaries", "name"), [(srgb_decode, REC709, "sRGB"), (logc4_decode, AWG4, "LogC4")]
)
def test_eight_bit_steps_are_found_through_half_and_a_matrix(tmp_path, decode, primaries, name):
    """A picture of 256 steps in a half-float ACEScg file is still one of 256 steps; 16 bits are none."""
    codes = np.random.default_rng(1).integers(20, 200, (200, 200, 3)).astype(np.float32)
    stepped = convert_primaries(decode(codes / 255), primaries, AP1)
    found = [f for f in check_delivery(written(tmp_path, stepped)).findings if f.rule == "steps"]
    assert found[0].verdict == "warn"
    assert name in found[0].why
    smooth = convert_primaries(
        decode((codes + np.random.default_rng(2).random(codes.shape)) / 255), primaries, AP1
    )
    assert findings(written(tmp_path, smooth.astype(np.float32)))["steps"] == "pass"


def test_what_cannot_be_read_is_not_fit_and_what_is_missing_raises(tmp_path):
    """A damaged delivery is a finding; a typing error is not."""
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:2000])
    delivery = check_delivery(path)
    assert not delivery.fit
    assert "damaged" in delivery.findings[0].why
    write_png8(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    assert "is not an OpenEXR file" in check_delivery(tmp_path / "a.png").findings[0].why
    for missing in (tmp_path / "missing.exr", tmp_path):
        with pytest.raises(UnreadableImage):
            check_delivery(missing)


def test_real_deliveries(shared_hdr):
    """An ACES container from a studio passes as one; a luminance-chroma file is no delivery."""
    scenes = shared_hdr / "scenes"
    assert findings(scenes / "A002_C029_06025K_RED_AP0.exr")["ACES container"] == "pass"
    assert findings(scenes / "Rec709_YC.exr")["pixels"] == "fail"
