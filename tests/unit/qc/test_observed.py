"""A check knows the matte of what was seen: what was invented, and light that claims to be seen and could not have been."""

import numpy as np
import OpenEXR
import pytest

from hdrgen.colour.primaries import AP1, REC709, convert_primaries, luminance_weights
from hdrgen.images.exr import write_exr
from hdrgen.images.mattes import OBSERVED, WHITE_LINEAR
from hdrgen.qc.check import check_delivery
from hdrgen.qc.rules import DeliveryRules, Observed

SHAPE = (40, 50)
RANDOM = np.random.default_rng(5)
INVENTED = np.zeros(SHAPE, bool)
INVENTED[10:20, 10:30] = True  # a tenth of the pixels
SEEN = 1.0 - INVENTED.astype(np.float32)
OURS = {"hdrgenVersion": "0.1.0", "hdrgenRoute": "recover"}


def light(white=1.0, brightest=30.0):
    """Return ACEScg of a source in sRGB up to `white`, its most saturated colours too, and a lamp that was invented."""
    rgb709 = RANDOM.uniform(0.02, 1, (*SHAPE, 3))
    rgb709[:8] = 1.0
    rgb709[30:36, :8], rgb709[30:36, 8:16], rgb709[30:36, 16:24] = (1, 1, 0), (0, 1, 1), (0, 0, 1)
    rgb709 *= white
    rgb709[INVENTED] = np.linspace(1.5 * white, brightest, INVENTED.sum())[:, None]
    return convert_primaries(rgb709, REC709, AP1).astype(np.float32)


def finding(path, rules=None):
    found = [f for f in check_delivery(path, rules).findings if f.rule == "observed"]
    return found[0] if found else None


def written(tmp_path, linear, matte=SEEN, white=1.0, **how):
    attributes = OURS if white is None else {**OURS, WHITE_LINEAR: white}
    how = {"chromaticities": AP1, "attributes": attributes, **how}
    write_exr(tmp_path / "shot.exr", linear, mattes={} if matte is None else {OBSERVED: matte}, **how)
    return tmp_path / "shot.exr"


def raw(tmp_path, matte):
    """Write past our own writer, which would refuse."""
    stated = tuple(float(x) for xy in AP1 for x in xy)
    header = {"type": OpenEXR.scanlineimage, "chromaticities": stated, **OURS}
    channels = {"RGB": light().astype(np.float16), OBSERVED: matte}
    OpenEXR.File(header, channels).write(str(tmp_path / "raw.exr"))
    return tmp_path / "raw.exr"


@pytest.mark.parametrize("white", [0.2, 1.0, 5.3])
@pytest.mark.parametrize("compression", ["none", "zip", "piz", "pxr24", "dwaa", "dwab", "htj2k"])
def test_what_was_invented_is_said_and_what_was_seen_is_within_white(tmp_path, compression, white):
    linear = light(white)
    found = finding(written(tmp_path, linear, white=white, compression=compression))
    assert found.verdict == "pass", found
    assert "10.00% of pixels hold invented light, its brightest luminance " in found.why
    brightest = float(found.why.split("luminance ")[1].split(";")[0])
    assert brightest == pytest.approx(30, rel=0.01)
    assert f"what was seen is within display white ({white:g})" in found.why


def test_colours_of_the_source_are_not_judged_by_components(tmp_path):
    """Seen light that is beyond its display white in a component of other primaries, as saturated colours are."""
    rgb = light()
    gamut_wide = convert_primaries(np.array([[[1.0, 0, 0]]]), AP1, REC709).astype(
        np.float32
    )  # red is 1.7 there
    assert gamut_wide.max() > 1.5
    rgb[0, 0] = gamut_wide
    assert rgb[0, 0].max() > 1.5
    assert rgb[0, 0] @ luminance_weights(AP1) < 1
    assert finding(written(tmp_path, rgb)).verdict == "pass"


@pytest.mark.parametrize(("over", "verdict"), [(1.009, "pass"), (1.015, "fail")])
def test_light_that_could_not_have_been_seen_fails(tmp_path, over, verdict):
    linear = light()
    linear[5, 7] = over
    found = finding(written(tmp_path, linear))
    assert found.verdict == verdict
    if verdict == "fail":
        assert "above display white (1)" in found.why
        assert "1 pixel, the first at x 7, y 5 (1.015)" in found.why
        assert "10.00% of pixels hold invented light" in found.why
        assert found.way_out
        assert finding(written(tmp_path, linear, white=None)).verdict == "pass"
        assert finding(tmp_path / "shot.exr", DeliveryRules()).verdict == "pass"


def test_a_matte_that_is_partly_seen_claims_nothing(tmp_path):
    linear, matte = light(), SEEN.copy()
    linear[5, 7], matte[5, 7] = 4, 0.9
    assert finding(written(tmp_path, linear, matte)).verdict == "pass"


def test_b44_spreads_light_so_that_it_is_only_asked_about(tmp_path):
    linear = light()
    linear[5, 7] = 2
    found = finding(written(tmp_path, linear, compression="b44"))
    assert found.verdict == "warn"
    assert "zip" in found.way_out


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5])
def test_a_matte_holds_shares(tmp_path, value):
    matte = SEEN.astype(np.float16)
    matte[3, 5] = value
    found = finding(raw(tmp_path, matte))
    assert found.verdict == "fail"
    assert f"observed is outside 0 to 1 in 1 pixel, the first at x 5, y 3 ({value:g})" in found.why


def test_a_show_states_how_grave_it_is(tmp_path):
    linear = light()
    linear[5, 7] = 1.05
    path = written(tmp_path, linear)
    assert finding(path, DeliveryRules(observed=Observed(breach="warn"))).verdict == "warn"
    assert finding(path, DeliveryRules(observed=Observed(breach="ignore"))) is None
    assert finding(path, DeliveryRules(observed=Observed(tolerance=0.1))).verdict == "pass"


def test_files_without_a_matte_or_without_invented_light(tmp_path):
    assert finding(written(tmp_path, light(), None)) is None
    linear = np.minimum(light(), 0.9)
    assert (
        "0.00% of pixels hold invented light;"
        in finding(written(tmp_path, linear, np.ones(SHAPE, np.float32))).why
    )


@pytest.mark.parametrize("white", ["1.0", 0.0, -1.0])
def test_a_white_that_is_none_is_not_compared_with(tmp_path, white):
    found = finding(written(tmp_path, 3 * light(), white=white))
    assert found.verdict == "pass"
    assert "display white" not in found.why


def test_everything_else_is_as_without_a_matte(tmp_path):
    path = written(tmp_path, light())
    others = {f.rule: f.verdict for f in check_delivery(path).findings if f.rule != "observed"}
    alone = {f.rule: f.verdict for f in check_delivery(written(tmp_path, light(), None)).findings}
    assert others == alone
