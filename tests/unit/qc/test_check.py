"""Each delivery rule: what passes it, what breaks it."""

import numpy as np
import OpenEXR
import pytest

from hdrgen.colour.display import srgb_decode
from hdrgen.colour.logc import logc4_decode
from hdrgen.colour.primaries import AP0, AP1, AWG4, REC709, convert_primaries
from hdrgen.images.code_image import write_png8
from hdrgen.images.exr import write_exr
from hdrgen.images.stored_image import UnreadableImage
from hdrgen.qc.banding import stairs_share
from hdrgen.qc.check import check_delivery, check_sequence
from hdrgen.qc.rules import DeliveryRules, read_rules, rules_as_yaml
from hdrgen.runtime.errors import HdrgenError

LINEAR = (2.0 ** np.random.default_rng(0).uniform(-5, 5, (60, 80, 3)) * 0.18).astype(np.float32)
OURS = {"hdrgenVersion": "0.1.0", "hdrgenRoute": "dual"}


def findings(path, rules=None) -> dict[str, str]:
    return {finding.rule: finding.verdict for finding in check_delivery(path, rules).findings}


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
        ({"name": "my shot (final).exr"}, "naming", "warn"),
        ({"linear": np.minimum(LINEAR, 1.0)}, "range", "warn"),
        ({"linear": np.minimum(LINEAR, 2.0)}, "clipping", "warn"),
        ({"linear": LINEAR - 0.1}, "gamut", "warn"),
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
    assert findings(written(tmp_path, linear, overflow="clamp"))["overflow"] == "fail"


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
    found = [f for f in check_delivery(written(tmp_path, stepped)).findings if f.rule == "banding"]
    assert found[0].verdict == "warn"
    assert name in found[0].why
    smooth = convert_primaries(
        decode((codes + np.random.default_rng(2).random(codes.shape)) / 255), primaries, AP1
    )
    assert findings(written(tmp_path, smooth.astype(np.float32)))["banding"] == "pass"


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


def show_rules(tmp_path, text: str) -> DeliveryRules:
    (tmp_path / "show.yaml").write_text(text)
    return read_rules(tmp_path / "show.yaml")


def test_a_show_states_what_differs(tmp_path):
    """Severity and limits come from the file, and what it leaves out stays."""
    path = written(tmp_path, chromaticities=AWG4, name="sh010_v001.exr")
    assert findings(path)["primaries"] == "warn"
    rules = show_rules(
        tmp_path,
        """
        delivery:
          primaries: {breach: fail}
          provenance: {breach: ignore}
          size: {width: 1920}
          metadata: {required: [owner]}
          naming: {breach: fail, pattern: 'sh\\d{4}_v\\d+\\.exr'}
          range: {stops_least: 20}
        """,
    )
    found = findings(path, rules)
    broken = {"primaries": "fail", "size": "fail", "metadata": "fail", "naming": "fail", "range": "warn"}
    assert {rule: verdict for rule, verdict in found.items() if verdict != "pass"} == broken
    assert "provenance" not in found
    allowed = show_rules(tmp_path, "delivery: {primaries: {allowed: [awg4]}, pixels: {types: [half, float]}}")
    assert findings(path, allowed)["primaries"] == "pass"
    assert findings(written(tmp_path, pixel_type="float"), allowed)["pixels"] == "pass"


def test_the_default_rules_come_back_as_a_file(tmp_path):
    """What is shown is what is read."""
    assert show_rules(tmp_path, rules_as_yaml(DeliveryRules())) == DeliveryRules()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("delivery: {bandng: {breach: fail}}", "delivery.bandng: unknown key"),
        ("delivery: {banding: {breach: off}}", "delivery.banding.breach"),
        ("delivery: {gamut: {primaries: p3}}", "known primaries are awg3"),
        ("delivery: {naming: {pattern: '('}}", "not a regular expression"),
        ("delivery: {pinned: {share: 2}}", "delivery.pinned.share"),
        ("rules: {}", "section 'delivery' is missing"),
    ],
)
def test_rules_that_nobody_knows_are_refused(tmp_path, text, said):
    with pytest.raises(HdrgenError, match=said):
        show_rules(tmp_path, text)


def test_pinned_pixels_are_seen_through_the_matrix(tmp_path):
    """Neutral and coloured light cut off at LogC4's end in AWG4 has no common largest value in ACEScg."""
    bright = np.random.default_rng(3).uniform(300, 900, (60, 80, 3)).astype(np.float32)
    capped = convert_primaries(np.minimum(bright, logc4_decode(np.float32(1.0))), AWG4, AP1)
    found = {f.rule: f for f in check_delivery(written(tmp_path, capped)).findings}
    assert found["pinned"].verdict == "warn"
    assert "in AWG4, where LogC4 ends" in found["pinned"].why
    assert findings(written(tmp_path, convert_primaries(bright, AWG4, AP1)))["pinned"] == "pass"


def test_gamut_is_that_of_the_rules(tmp_path):
    """Colours inside AP1 and outside Rec.709 break a rule that asks for Rec.709."""
    green = np.float32([0.02, 1, 0.02]) * LINEAR[..., :1]
    path = written(tmp_path, green)
    assert findings(path)["gamut"] == "pass"
    asked = show_rules(tmp_path, "delivery: {gamut: {breach: fail, primaries: rec709, share: 0.1}}")
    assert findings(path, asked)["gamut"] == "fail"


def test_stairs_are_seen_at_any_exposure_and_grain_is_none():
    """A ramp of 8-bit LogC4 codes, two stops up; the same ramp smooth; with grain; a flat wall; an edge."""
    code = np.linspace(60, 140, 1600, dtype=np.float32)[None].repeat(8, 0)[..., None].repeat(3, 2)
    grain = np.random.default_rng(4).normal(0, 1.0, code.shape).astype(np.float32)
    assert stairs_share(4 * logc4_decode(np.rint(code) / 255)) > 0.9
    assert stairs_share(4 * logc4_decode(code / 255)) == 0
    assert stairs_share(4 * logc4_decode(np.rint(code + grain) / 255)) < 0.02
    wall = np.full((8, 1600, 3), 0.4, np.float32)
    assert stairs_share(wall) == 0
    wall[:, 800:] = 1.0
    assert stairs_share(wall) == 0


def test_missing_frames_of_a_sequence_are_named(tmp_path):
    """Gaps, frame by frame and as ranges; names without numbers are no sequence."""
    frames = [tmp_path / f"a.{n:04d}.exr" for n in (1001, 1002, 1004, 1008, 1009)] + [tmp_path / "plate.exr"]
    gaps = check_sequence(tmp_path, frames)
    assert not gaps.fit
    assert [f.why for f in gaps.findings] == ["a.: 4 of 1001-1009 missing: 1003, 1005-1007"]
    assert check_sequence(tmp_path, frames[:2]).fit
    mixed = check_sequence(tmp_path, [tmp_path / "a.0009.exr", tmp_path / "a.10.exr"])
    assert "different lengths" in mixed.findings[0].why
    ignored = DeliveryRules(sequence={"breach": "ignore"})
    assert check_sequence(tmp_path, frames, ignored).findings == ()


def test_squeezed_pixels_are_asked_about(tmp_path):
    assert findings(raw(tmp_path, pixelAspectRatio=2.0))["windows"] == "warn"
