"""`merge` of exposures that were cut: where each of them ends is found, or given, and light above it is not believed.

Inputs are written, and results read, by other libraries: OpenImageIO, OpenCV, tifffile.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from PIL import Image

from hdrgen.colour.primaries import AP1, REC709, convert_primaries

EVS = (-4, -2, 0, 2)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def light():
    """Return gradients with grain from 0.003 to some hundreds, and a lamp of one light."""
    rng = np.random.default_rng(0)
    stops = cv2.resize(rng.uniform(-5, 5.5, (5, 7)), (144, 96), interpolation=cv2.INTER_CUBIC)
    tint = cv2.resize(rng.uniform(-0.5, 0.5, (4, 5, 3)), (144, 96), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (96, 144)), (0, 0), 1.2)
    linear = 0.18 * 2.0 ** (stops[..., None] + tint + 0.4 * grain[..., None])
    linear[20:40, 30:60] = 12.0
    return linear.astype(np.float32)


def write(path: Path, linear: np.ndarray, chromaticities=REC709) -> None:
    """Write light by another library: half-float EXR, Radiance or 16-bit TIFF."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, (np.clip(linear, 0, 1) * 65535 + 0.5).astype(np.uint16), photometric="rgb")
        return
    height, width, _ = linear.shape
    spec = oiio.ImageSpec(width, height, 3, oiio.HALF if path.suffix == ".exr" else oiio.FLOAT)
    if path.suffix == ".exr":
        spec.attribute("chromaticities", "float[8]", [xy for point in (
            chromaticities.red, chromaticities.green, chromaticities.blue, chromaticities.white
        ) for xy in point])  # fmt: skip
    out = oiio.ImageOutput.create(str(path))
    out.open(str(path), spec)
    out.write_image(np.ascontiguousarray(linear, np.float32))
    out.close()


def exposures(light, cut, suffix=".exr", *, evs=EVS, noise=True, chromaticities=REC709) -> list[str]:
    """Write light at each EV with a camera's noise, and as `cut` has it."""
    rng = np.random.default_rng(1)
    names = []
    for ev in evs:
        exposed = light * 2.0**ev
        if noise:
            exposed = exposed + rng.normal(0, 1, light.shape) * np.sqrt(1e-6 + 2e-4 * exposed)
        names.append(f"shot_ev{ev:+d}{suffix}")
        write(Path(names[-1]), cut(exposed.astype(np.float32)), chromaticities)
    return names


def merged(cli, names, *options, method="closed", code=0):
    """Return the light as another library reads it, and what the command says of it."""
    space = () if "--space" in options else ("--space", "linear_rec709")
    said = cli("merge", *names, "-o", "out.exr", "--method", method, "--json", *space, *options)
    assert said.code == code, said.err
    return oiio.ImageBuf("out.exr").get_pixels(oiio.FLOAT), json.loads(said.out)["files"][0]


def stops_off(got, light):
    return np.abs(np.log2(np.maximum(got, 1e-6) / light))


def by_hand(light, ends, evs=EVS):
    """Merge the exposures on disk as a textbook does: the mean by inverse variance of what is below each's end."""
    total, weights = np.zeros(light.shape), np.zeros(light.shape)
    for ev in evs:
        exposed = oiio.ImageBuf(f"shot_ev{ev:+d}.exr").get_pixels(oiio.FLOAT)
        weight = (exposed < 0.99 * np.array(ends)) / ((1e-6 + 2e-4 * np.maximum(exposed, 0)) / 4.0**ev)
        total += weight * exposed / 2.0**ev
        weights += weight
    return total / np.maximum(weights, 1e-12)


@pytest.mark.parametrize("method", ["closed", "learned"])
@pytest.mark.parametrize("ends", [(1, 1, 1), (0.7, 0.7, 0.7), (3.3, 3.3, 3.3), (2.1, 1, 1.6)])
def test_where_float_exposures_were_cut_is_found(cli, light, ends, method):
    names = exposures(light, lambda exposed: np.minimum(exposed, np.float32(ends)))
    got, facts = merged(cli, names, method=method)
    seen = (light < 0.95 * np.array(ends) * 16) & (light > 0.02)
    off = stops_off(got, light)
    assert np.median(off[seen]) < 0.04
    assert np.percentile(off[seen & (light > 1)], 99) < 0.15, "light was 2.6 stops low"
    assert np.abs(np.median(got[seen] / by_hand(light, ends)[seen]) - 1) < 0.02
    for found in facts["ceilings"]:
        assert found == pytest.approx(ends, rel=1e-3)
    beyond = (light >= np.array(ends) * 16).any(axis=-1).mean()
    assert facts["unseen_share"] == pytest.approx(beyond, abs=0.004)
    shown = (
        " / ".join(f"{end:.4g}" for end in np.float16(ends))
        if len(set(ends)) > 1
        else f"{np.float16(ends[0]):.4g}"
    )
    assert f"light is cut at {shown}" in " ".join(facts["notes"])


def test_light_beyond_every_exposure_becomes_the_ceiling_of_the_darkest(cli, light):
    got, _ = merged(cli, exposures(light, lambda exposed: np.minimum(exposed, 1)))
    np.testing.assert_allclose(got[light > 20], 16, rtol=0.01)


# Little that is clipped, and exposures of one level.


def lamps(height, width, number, radius):
    """Return a smooth room with some lamps, and where they are."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    room = 0.1 * 2 ** (2 * x / width) * (1 + 0.3 * np.sin(x / 40) * np.cos(y / 31))
    linear = (room[..., None] * (1, 0.9, 0.7)).astype(np.float32)
    lit = np.zeros((height, width), bool)
    for _ in range(number):
        cx, cy = rng.integers(20, width - 20), rng.integers(20, height - 20)
        lit |= (x - cx) ** 2 + (y - cy) ** 2 < radius**2
    linear[lit] = 50, 40, 25
    return linear, lit


@pytest.mark.parametrize(
    "size", [(540, 960, 20, 3.2), (540, 960, 1, 6.4), (1080, 1920, 10, 3.2), (270, 480, 1, 3.2)]
)
@pytest.mark.parametrize("end", [1, 2.5])
def test_where_only_few_small_lamps_are_clipped_is_found(cli, size, end):
    """Some 0.02 % of the picture: lamps of 50 came out as 1."""
    linear, lit = lamps(*size)
    evs = (-6, -3, 0)
    names = exposures(linear, lambda exposed: np.minimum(exposed, end), evs=evs, noise=False)
    got, facts = merged(cli, names, "--no-align")
    assert lit.mean() < 0.0015
    np.testing.assert_allclose(got[lit], linear[lit], rtol=0.02)
    assert facts["ceilings"][-1] == pytest.approx([end] * 3, rel=1e-3)


@pytest.mark.parametrize("size", [(540, 960, 20, 3.2), (540, 960, 1, 6.4)])
def test_few_small_lamps_that_were_not_clipped_are_no_ceiling(cli, size):
    linear, _ = lamps(*size)
    names = exposures(linear, lambda exposed: exposed, evs=(-6, -3, 0))
    _, facts = merged(cli, names, "--no-align")
    found = Path("out.exr").read_bytes()
    assert facts["ceilings"] == [None] * 3
    merged(cli, names, "--no-align", "--ceiling", "none")
    assert Path("out.exr").read_bytes() == found


@pytest.mark.parametrize("evs", [("0",) * 4, ("auto",)])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("method", ["closed", "learned"])
def test_exposures_that_were_brought_to_one_level_end_at_different_light(cli, light, evs, backwards, method):
    """Cut at 1, and then divided by the exposure: 7 stops were lost."""
    names = []
    for number, ev in enumerate(EVS[::-1] if backwards else EVS):
        names += exposures(light, lambda exposed: np.clip(exposed, 0, 1), evs=(ev,))
        path = Path(f"{number}.exr")
        write(path, oiio.ImageBuf(names.pop()).get_pixels(oiio.FLOAT) / 2.0**ev)
        names.append(str(path))
    got, facts = merged(cli, names, "--ev", *evs, method=method)
    seen = (light < 14) & (light > 0.3)
    assert np.percentile(stops_off(got / np.median(got[seen] / light[seen]), light)[seen], 99) < 0.2
    assert np.median(got[seen] / light[seen]) == pytest.approx(1, rel=0.05)
    said = " ".join(facts["notes"])
    assert "4 pictures of one exposure are averaged" in said
    assert "shows no more light" not in said
    assert "light is cut at 0.25 or 1 or 4" in said


@pytest.mark.parametrize("own", [REC709, AP1])
@pytest.mark.parametrize("end", [4, 16])
def test_colours_that_were_cut_in_the_files_own_primaries_stay_in_those(cli, own, end):
    """Lamps of one colour are piles in any primaries; P3 had more samples in them."""
    y, x = np.mgrid[:256, :256] / 256
    room = 0.05 * 2 ** (3 * x) * (1 + 0.5 * np.sin(30 * y) * np.cos(20 * x))
    linear = np.stack([room, room * (0.6 + 0.4 * y), room * 0.5], -1)
    linear[(x - 0.5) ** 2 + (y - 0.3) ** 2 < 0.01] = 40, 30, 10
    linear[(x - 0.8) ** 2 + (y - 0.7) ** 2 < 0.02] *= 20
    names = exposures(linear, lambda exposed: np.minimum(exposed, end), noise=False, chromaticities=own)
    space = "linear_rec709" if own == REC709 else "acescg"
    got, facts = merged(cli, names, "--space", space)
    np.testing.assert_allclose(got, linear, rtol=0.01)
    assert f"light is cut at {end}: many" in " ".join(facts["notes"])
    assert facts["ceilings"] == [[end] * 3] * 4


def test_float_exposures_merge_as_integers_of_the_same_light_do(cli, light):
    floats, _ = merged(cli, exposures(light, lambda exposed: np.clip(exposed, 0, 1)))
    integers, facts = merged(cli, exposures(light, lambda exposed: exposed, ".tif"), "--encoding", "linear")
    assert facts["ceilings"] == [None] * 4, "the highest code says it"
    bright = light > 0.1
    off = stops_off(floats, integers)[bright]
    assert np.percentile(off, 95) < 0.02
    assert off.max() < 0.2, "just below the ceiling the two hold it apart"


def test_integers_with_a_white_level_below_their_highest(cli, light):
    names = exposures(light / 4, lambda exposed: np.minimum(exposed, 0.25), ".tif")
    got, facts = merged(cli, names, "--encoding", "linear")
    assert facts["ceilings"][0] == pytest.approx([0.25] * 3, rel=1e-3)
    seen = (light / 4 < 3.8) & (light / 4 > 0.1)
    assert np.percentile(stops_off(got, light / 4)[seen], 99) < 0.2


def test_radiance_exposures_have_a_ceiling_too(cli, light):
    got, facts = merged(cli, exposures(light, lambda exposed: np.clip(exposed, 0, 1), ".hdr"))
    assert facts["ceilings"][-1] == pytest.approx([1, 1, 1], rel=0.005)
    seen = (light < 15) & (light > 0.5)
    assert np.percentile(stops_off(got, light)[seen], 99) < 0.15


def test_what_was_cut_in_other_primaries_is_merged_in_those(cli, light):
    """Cut at 1 in Rec.709 and then taken to ACEScg: only white is still pinned there."""
    names = exposures(
        light,
        lambda exposed: convert_primaries(np.clip(exposed, 0, 1), REC709, AP1),
        chromaticities=AP1,
    )
    got, facts = merged(cli, names)
    seen = ((light < 15) & (light > 0.05)).all(axis=-1)
    assert np.percentile(stops_off(got, light)[seen], 99) < 0.2
    assert "light is cut at 1 in Linear Rec.709" in " ".join(facts["notes"])


@pytest.mark.parametrize("method", ["closed", "learned"])
def test_exposures_that_were_not_cut_stay_as_they_are(cli, light, method):
    """A lamp of one light is a pile as well; the darker exposures say that it is no ceiling."""
    lit = np.minimum(light, 12)
    names = exposures(lit, lambda exposed: exposed, noise=False)
    merged(cli, names, method=method)
    found = Path("out.exr").read_bytes()
    _, facts = merged(cli, names, "--ceiling", "none", method=method)
    assert Path("out.exr").read_bytes() == found
    got, facts = merged(cli, names, method=method)
    assert facts["ceilings"] == [None] * 4
    assert facts["unseen_share"] == 0
    assert not any("cut" in note for note in facts["notes"])
    assert np.percentile(stops_off(got, lit)[lit > 0.1], 99) < 0.02


def test_a_ceiling_can_be_given_or_denied(cli, light):
    names = exposures(light, lambda exposed: np.minimum(exposed, 1), evs=EVS[:3])
    found, _ = merged(cli, names)
    given, facts = merged(cli, names, "--ceiling", "1")
    np.testing.assert_allclose(given, found, rtol=0.01, atol=1e-3)
    assert facts["ceilings"] == [[1, 1, 1]] * 3
    denied, facts = merged(cli, names, "--ceiling", "none")
    assert facts["unseen_share"] == 0
    assert np.median(stops_off(denied, light)[(light > 4) & (light < 15)]) > 1.5
    _, facts = merged(cli, names, "--ceiling", "10")
    assert "no picture holds light of 10, the ceiling that was asked for" in facts["notes"]


def test_a_ceiling_of_codes_can_be_given(cli, light):
    """A white level of 0.5 in sRGB codes, which nobody looks for there."""
    names = []
    for ev in EVS:
        linear = np.minimum(light * 2.0**ev, 0.5)
        code = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, linear * 12.92)
        names.append(f"code_ev{ev:+d}.png")
        Image.fromarray((code * 255 + 0.5).astype(np.uint8)).save(names[-1])
    seen = (light > 2) & (light < 7)
    got, facts = merged(cli, names, "--encoding", "srgb", "--ceiling", "0.5")
    assert np.percentile(stops_off(got, light)[seen], 95) < 0.15
    assert facts["ceilings"] == [[0.5] * 3] * 4


@pytest.mark.parametrize("method", ["debevec", "robertson"])
def test_opencv_knows_the_ceiling(cli, light, method):
    got, _ = merged(cli, exposures(light, lambda exposed: np.minimum(exposed, 1)), method=method)
    seen = (light > 1) & (light < 12)
    assert np.median(stops_off(got, light)[seen]) < 0.15


def test_evs_are_estimated_and_checked_below_the_ceiling(cli, light):
    """Most of the bright exposures is cut; that looked like a smaller step."""
    names = exposures(light, lambda exposed: np.minimum(exposed, 1), noise=False)
    _, facts = merged(cli, names)
    assert facts["evs"] == list(EVS)
    _, facts = merged(cli, names, "--ev", "auto")
    np.testing.assert_allclose(np.diff(facts["evs"]), 2, atol=0.05)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "bright"])
def test_a_ceiling_that_is_none_is_refused(cli, light, value):
    names = exposures(light, lambda exposed: exposed)
    said = cli("merge", *names, "-o", "out.exr", f"--ceiling={value}")
    assert said.code == 2
    assert f"--ceiling {value}: must be auto, none, or light above 0" in said.err
