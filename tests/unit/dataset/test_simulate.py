"""Simulated frames: planned by seed and index alone, rendered once, bit-identical whoever renders them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from hdrgen.colour.primaries import REC709, luminance
from hdrgen.dataset import simulate as module
from hdrgen.dataset.simulate import SimulateParams, build_scene, plan, remove_frames, simulate
from hdrgen.dataset.simulate.denoise import Features, denoise
from hdrgen.dataset.simulate.materials import METALS
from hdrgen.dataset.simulate.scene import Shot
from hdrgen.dataset.simulate.scenes import KINDS
from hdrgen.dataset.simulate.scenes.still_lifes import colour_checker
from hdrgen.dataset.simulate.sky import confirm_sun, direction, sun_pixel
from hdrgen.images.exr import ATTRIBUTE_NAME_MAX, read_exr
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.scheduling import Outcome

TINY = {"width": 32, "height": 18, "samples_per_pixel": 8}


def here(function, items, **_how):
    """Schedule in this process."""
    for item in items:
        try:
            yield Outcome(function(item))
        except HdrgenError as error:
            yield Outcome(None, str(error))


@pytest.fixture
def pretend(monkeypatch):
    """Write a line instead of a picture, and list the frames that were asked for."""
    rendered = []

    def write(spec, path):
        rendered.append(spec.index)
        path.write_text(spec.digest)

    monkeypatch.setattr(module, "render_frame", write)
    return rendered


def test_more_frames_leave_the_earlier_ones_alone():
    few, many = plan(SimulateParams(count=5)), plan(SimulateParams(count=40))
    assert many[:5] == few


def test_each_round_shows_every_kind_once():
    kinds = [spec.kind for spec in plan(SimulateParams(count=2 * len(KINDS)))]
    assert sorted(kinds[: len(KINDS)]) == sorted(kinds[len(KINDS) :]) == sorted(KINDS)


def test_a_file_name_changes_with_what_decides_the_pixels_and_with_nothing_else():
    base = plan(SimulateParams(count=1))[0]
    assert plan(SimulateParams(count=9, workers=1, timeout_s=5))[0].file_name == base.file_name
    for change in (
        {"seed": 36},
        {"width": 64},
        {"samples_per_pixel": 32},
        {"camera": {"exposure_index": 400}},
    ):
        assert plan(SimulateParams(count=1, **change))[0].digest != base.digest


def test_frames_of_one_kind_share_a_scene_so_that_no_split_divides_it():
    specs = plan(SimulateParams(count=2 * len(KINDS)))
    assert {spec.scene_id for spec in specs} == {f"sim_{kind}" for kind in KINDS}
    assert all(spec.scene_id == f"sim_{spec.kind}" for spec in specs)
    assert len({spec.frame_id for spec in specs}) == len(specs)


def test_an_unknown_kind_of_scene_is_refused():
    with pytest.raises(ValidationError, match="unknown kind 'beach'"):
        SimulateParams(kinds=("beach",))


def test_a_second_run_renders_nothing_and_strays_go(tmp_path, pretend):
    params = SimulateParams(count=6)
    first = simulate(params, tmp_path, schedule=here)
    assert (first.rendered, first.kept, first.removed) == (6, 0, 0)
    (tmp_path / "stray_0000_000000000000.exr").touch()
    first.files[2].unlink()
    pretend.clear()
    second = simulate(params, tmp_path, schedule=here)
    assert (second.rendered, second.kept, second.removed) == (1, 5, 1)
    assert pretend == [2]
    assert sorted(tmp_path.iterdir()) == sorted(second.files)


@pytest.mark.usefixtures("pretend")
def test_progress_counts_frames_that_were_there_already(tmp_path):
    simulate(SimulateParams(count=3), tmp_path, schedule=here)
    seen = []
    simulate(SimulateParams(count=3), tmp_path, schedule=here, on_progress=lambda *step: seen.append(step))
    assert seen == [(3, 3)]


def test_a_frame_that_fails_is_named_and_the_others_stay(tmp_path, monkeypatch):
    def fail_second(spec, path):
        if spec.index == 1:
            raise HdrgenError("no light")
        path.touch()

    monkeypatch.setattr(module, "render_frame", fail_second)
    with pytest.raises(HdrgenError, match=r"1 of 3 frames.*_0001_.*no light"):
        simulate(SimulateParams(count=3), tmp_path, schedule=here)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_unused_folder_is_left_empty(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "a.exr").touch()
    assert remove_frames(tmp_path / "frames") == 1
    assert list((tmp_path / "frames").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_describes_itself_for_a_caption(kind):
    spec = plan(SimulateParams(count=1, kinds=(kind,)))[0]
    description = build_scene(spec).description
    assert description["kind"] == kind
    assert (description["scene_id"], description["frame_id"]) == (spec.scene_id, spec.frame_id)
    assert 18 <= len(description["caption"].split()) <= 45
    assert f"{description['focal_length_mm']:.0f} mm lens" in description["caption"]
    assert description["light_sources"]
    assert description["materials"]
    assert json.loads(json.dumps(description)) == description


def test_the_colour_checkers_greys_are_as_light_as_its_maker_says():
    """X-Rite's L* of the patches 19 to 24 of November 2014."""
    lightness = np.array([95.19, 81.29, 66.89, 50.76, 35.63, 20.64])
    greys = np.array(colour_checker()[18:], np.float32)
    np.testing.assert_allclose(luminance(greys, REC709), ((lightness + 16) / 116) ** 3, rtol=0.01)


def test_the_colour_checker_has_reflectances_inside_rec709_and_cyan_at_its_edge():
    patches = np.array(colour_checker())
    assert patches.shape == (24, 3)
    assert (patches.min(), np.unravel_index(patches.argmin(), patches.shape)) == (0, (17, 0))
    assert patches.max() < 1


def test_a_chart_leaves_how_numbers_are_printed_alone():
    script = (
        "import numpy as np; from hdrgen.dataset.simulate.scenes.still_lifes import colour_checker;"
        "before = np.get_printoptions(); colour_checker(); assert np.get_printoptions() == before"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", METALS)
def test_rough_metals_have_the_reflectance_of_mitsubas_smooth_ones(name):
    mi = pytest.importorskip("mitsuba")
    mi.set_variant("scalar_rgb")
    at_normal = mi.SurfaceInteraction3f()
    at_normal.wi = [0, 0, 1]
    smooth = mi.load_dict({"type": "conductor", "material": name})
    _, weight = smooth.sample(mi.BSDFContext(), at_normal, 0.5, [0.5, 0.5])
    np.testing.assert_allclose(METALS[name], np.array(weight), atol=1e-3)


def test_the_sun_is_looked_for_where_the_camera_sees_it():
    shot = Shot((1.0, 2.0, 3.0), (1.0, 12.0, 3.0), 27.99)
    assert sun_pixel(shot, (0.0, 1.0, 0.0), 101, 51) == pytest.approx((25.0, 50.0))
    # A lens as long as the sensor is wide: 10 degrees are tan(10) of the width.
    row, column = sun_pixel(shot, tuple(direction(10, 0)), 101, 51)
    assert (row, column) == pytest.approx((25.0, 50.0 + 101 * np.tan(np.radians(10))))
    assert sun_pixel(shot, tuple(direction(0, 10)), 101, 51)[0] < 25.0
    assert sun_pixel(shot, (0.0, -1.0, 0.0), 101, 51) == (np.inf, np.inf)


@pytest.mark.parametrize("kind", ["meadow_sun_in_frame", "sea_sunset", "foliage_backlit", "cloudscape_road"])
def test_a_sun_that_the_picture_does_not_show_is_described_as_hidden(kind):
    specs = plan(SimulateParams(count=20, kinds=(kind,)))
    spec, sun = next((spec, sun) for spec in specs if (sun := build_scene(spec).sun) is not None)
    picture = np.full((90, 160, 3), 0.18, np.float16)
    hidden, shown = build_scene(spec), build_scene(spec)
    confirm_sun(hidden, picture, 1000.0)
    row, column = (round(at) for at in sun_pixel(shown.shot, sun.towards, 160, 90))
    picture[row, column] = 1000.0
    confirm_sun(shown, picture, 1000.0)
    assert shown.description == build_scene(spec).description
    for scene, seen in ((shown, True), (hidden, False)):
        assert [x["in_frame"] for x in scene.description["light_sources"] if x["kind"] == "sun"] == [seen]
        assert ("sun in frame" in scene.description["tags"]) is seen
        assert (sun.seen in scene.description["caption"]) is seen
        assert (sun.hidden in scene.description["caption"]) is not seen


@pytest.mark.parametrize("depth", [0.0, 5.0])
def test_the_noise_filter_keeps_a_small_sun_and_takes_out_a_firefly(depth):
    rng = np.random.default_rng(1)
    passes = rng.gamma(4.0, 0.05, (4, 24, 24, 1)).repeat(3, -1).astype(np.float32)
    # A disc of hardly more than a pixel: whole in its middle, each pass its own at the rim.
    passes[:, 11:14, 11:14] = 5000 * rng.integers(0, 5, (4, 3, 3, 1)) / 4
    passes[:, 12, 12] = 5000.0
    passes[2, 4, 4] = 5000.0
    normal = np.zeros((24, 24, 3), np.float32)
    surface = np.full((24, 24), 5.0, np.float32)
    surface[10:15, 10:15] = depth
    result = denoise(passes, Features(albedo=normal + 0.5, normal=normal, depth=surface))
    assert result[12, 12] == pytest.approx(5000.0)
    assert result[4, 4].max() < 1.0
    assert result[16:].std() < 0.5 * passes.mean(0)[16:].std()


def test_frames_are_the_same_bits_whoever_renders_them(tmp_path):
    pytest.importorskip("mitsuba")
    kinds = ("chrome_still_life", "neon_alley")
    runs = [
        simulate(SimulateParams(count=2, kinds=kinds, workers=workers, **TINY), tmp_path / str(workers)).files
        for workers in (1, 2)
    ]
    assert [path.read_bytes() for path in runs[0]] == [path.read_bytes() for path in runs[1]]


def test_a_frame_is_awg4_half_float_with_its_camera_and_scene_in_the_header(tmp_path):
    pytest.importorskip("mitsuba")
    params = SimulateParams(count=1, kinds=("meadow_sun_in_frame",), seed=7, **TINY)
    (path,) = simulate(params, tmp_path, schedule=here).files
    frame = read_exr(Path(path))
    assert frame.rgb.shape == (18, 32, 3)
    assert frame.pixel_type == "half"
    assert np.isfinite(frame.rgb).all()
    assert frame.chromaticities is not None
    assert frame.chromaticities.green == pytest.approx((0.1424, 0.8576), abs=1e-6)
    assert "simulated" in frame.attributes["cameraModel"]
    assert json.loads(frame.attributes["hdrgenScene"])["kind"] == "meadow_sun_in_frame"
    assert max(map(len, frame.attributes)) <= ATTRIBUTE_NAME_MAX


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_renders(kind, tmp_path):
    pytest.importorskip("mitsuba")
    params = SimulateParams(count=1, kinds=(kind,), width=16, height=16, samples_per_pixel=8)
    (path,) = simulate(params, tmp_path, schedule=here).files
    assert read_exr(path).rgb.max() > 0.1
