"""What is no light is repaired and counted; every other pixel keeps its bits."""

import hashlib

import numpy as np
import pytest

from hdrgen.colour.primaries import AWG4, REC709
from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.dataset.ingest import ingest
from hdrgen.dataset.ingest_settings import IngestParams, Source
from hdrgen.dataset.repair import SanitizeParams, repair
from hdrgen.dataset.sanitize import REPAIR_VERSION, sanitize
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.images.scene_image import read_scene_image
from hdrgen.runtime.errors import HdrgenError

PARAMS = SanitizeParams(workers=2)


@pytest.fixture
def frame():
    """Return a noisy ramp from black to 4.0, as a camera would see it."""
    rng = np.random.default_rng(8)
    ramp = np.linspace(0, 4, 80)[None, :, None] * np.array([1.0, 0.8, 0.6])
    noise = rng.normal(0, 1, (60, 80, 3)) * np.sqrt(1e-5 + 1e-4 * ramp)
    return (ramp + noise).astype(np.float16)


def _others_keep_their_bits(before, after, y, x):
    mask = np.ones(before.shape[:2], bool)
    mask[y, x] = False
    assert np.array_equal(before[mask].view(np.uint16), after[mask].view(np.uint16))


def test_good_frame_is_returned_as_it_is(frame):
    repaired = repair(frame, PARAMS)
    assert repaired.pixels == 0
    assert repaired.linear_awg4 is frame


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [slice(None), 1])
def test_nonfinite_pixel(frame, bad, channels):
    broken = frame.copy()
    broken[20, 40, channels] = bad
    repaired = repair(broken, PARAMS)
    assert (repaired.nonfinite, repaired.pixels) == (1, 1)
    _others_keep_their_bits(broken, repaired.linear_awg4, 20, 40)
    assert np.allclose(repaired.linear_awg4[20, 40], frame[20, 40], rtol=0.15)
    if bad == np.inf:
        around = frame[18:23, 38:43].astype(np.float32)
        assert repaired.linear_awg4[20, 40].sum() >= np.median(around.sum(axis=-1))


def test_large_hole_is_filled_from_its_rim(frame):
    broken = frame.copy()
    broken[10:25, 30:45] = np.nan
    repaired = repair(broken, PARAMS)
    assert repaired.nonfinite == 225
    assert np.isfinite(repaired.linear_awg4).all()


def test_callers_frame_is_never_changed(frame):
    broken = frame.copy()
    broken[20, 40], broken[30, 50] = np.nan, 6e4
    before = broken.copy()
    repair(broken, PARAMS)
    assert np.array_equal(broken, before, equal_nan=True)


@pytest.mark.parametrize("value", [(6e4, 6e4, 6e4), (3.0, 900.0, 2.0)])
def test_firefly(frame, value):
    broken = frame.copy()
    broken[30, 60] = value
    repaired = repair(broken, PARAMS)
    assert (repaired.firefly, repaired.pixels) == (1, 1)
    _others_keep_their_bits(broken, repaired.linear_awg4, 30, 60)
    assert np.allclose(repaired.linear_awg4[30, 60], frame[30, 60], rtol=0.1)


@pytest.mark.parametrize("value", [0.0, -0.01])
def test_dead_pixel(frame, value):
    broken = frame.copy()
    broken[30, 60] = value
    repaired = repair(broken, PARAMS)
    assert (repaired.dead, repaired.pixels) == (1, 1)
    _others_keep_their_bits(broken, repaired.linear_awg4, 30, 60)


@pytest.mark.parametrize("sigma", [0.45, 0.6, 1.0])
@pytest.mark.parametrize("peak", [5.0, 200.0, 5e4])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_star_through_a_lens_stays(frame, sigma, peak, offset):
    """A point of light spreads over its neighbours; nothing a lens has seen is a firefly."""
    y, x = np.mgrid[0:60, 0:80]
    star = peak * np.exp(-((y - 30 - offset) ** 2 + (x - 10 - offset) ** 2) / (2 * sigma**2))
    night = (frame * 0.02 + star[..., None]).astype(np.float16)
    assert repair(night, PARAMS).firefly == 0


def test_lamps_of_two_pixels_and_textures_stay(frame):
    lit = frame.copy()
    lit[30, 60:62] = 5e4
    lit[10:12, 20:22] = 1e4
    lit[40:50:2, 40:60:2] = 0  # a grille
    assert repair(lit, PARAMS).pixels == 0


def test_noise_around_black_stays_but_impossible_colours_move(frame):
    dark = frame.copy()
    dark[:10, :10] = np.random.default_rng(1).normal(0, 0.003, (10, 10, 3))
    assert repair(dark, PARAMS).pixels == 0
    dark[30, 30:32] = (0.9, 0.1, -0.4)
    repaired = repair(dark, PARAMS)
    assert (repaired.gamut, repaired.pixels) == (2, 2)
    r, g, b = repaired.linear_awg4[30, 30].astype(float)
    assert b == pytest.approx(-0.018, abs=1e-4)
    assert r > g > b  # still the same hue
    _others_keep_their_bits(dark, repaired.linear_awg4, 30, slice(30, 32))


def test_repairs_are_those_of_this_version(frame):
    """Frames are reused by name: pixels changed, so raise REPAIR_VERSION and both values here."""
    frame = frame.copy()
    frame[10, 10], frame[12, 20], frame[20, 12], frame[25, 0] = np.nan, 6e4, 0.0, (0.5, -0.4, 0.1)
    repaired = repair(frame, SanitizeParams())
    assert (repaired.nonfinite, repaired.firefly, repaired.dead, repaired.gamut) == (1, 1, 1, 1)
    made = (REPAIR_VERSION, hashlib.sha256(repaired.linear_awg4.tobytes()).hexdigest()[:16])
    assert made == (1, "305ef046cf9e40d2")


def test_frame_broken_beyond_repair_is_refused(frame):
    broken = frame.copy()
    broken[:, :40] = np.nan
    with pytest.raises(HdrgenError, match="50 % of its pixels are NaN or Inf"):
        repair(broken, PARAMS)


def test_real_light_is_never_taken_for_a_defect(shared_hdr):
    """Suns of 60,000, candles, lamps and their reflections in 59 real pictures."""
    for file in sorted((shared_hdr / "scenes").iterdir()):
        rgb = np.minimum(read_scene_image(file).rgb.astype(np.float32), 65504).astype(np.float16)
        repaired = repair(rgb, PARAMS)
        assert (repaired.firefly, repaired.dead) == (0, 0), file.name


def _ingested(tmp_path, frames):
    for name, rgb in frames.items():
        write_exr(tmp_path / f"in/{name}.exr", rgb, chromaticities=AWG4, allow_nonfinite=True)
    params = IngestParams(sources={"a": Source(path=tmp_path / "in", exposure="keep")}, workers=2)
    ingest("a", params, tmp_path / "a")
    return tmp_path / "a"


def test_whole_frames_are_linked_and_repaired_ones_say_why(tmp_path, frame):
    broken = frame.copy()
    broken[1, 2] = np.nan
    hopeless = np.full_like(frame, np.nan)
    folder = _ingested(tmp_path, {"good": frame, "broken": broken, "hopeless": hopeless})
    index = sanitize([folder], PARAMS, tmp_path / "out")
    rows = {row["path"]: row for row in index.iter_rows(named=True)}
    assert rows["broken.exr"]["repaired_nonfinite_pixels"] == 1
    assert rows["good.exr"]["repaired_nonfinite_pixels"] == 0
    good = tmp_path / "out" / rows["good.exr"]["file"]
    (ingested,) = (folder / "frames").glob("good*")
    assert good.read_bytes() == ingested.read_bytes()
    assert rows["hopeless.exr"]["file"] is None
    assert "100 % of its pixels" in rows["hopeless.exr"]["quarantine_reason"]
    repaired = read_exr(tmp_path / "out" / rows["broken.exr"]["file"])
    assert np.isfinite(repaired.rgb).all()
    assert repaired.attributes["hdrgenSource"] == "broken.exr"


def test_adding_frames_touches_only_them_and_bytes_repeat(tmp_path, frame):
    broken = frame.copy()
    broken[1, 2] = np.nan
    folder = _ingested(tmp_path, {"good": frame, "broken": broken})
    sanitize([folder], PARAMS, tmp_path / "out")
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out/frames").iterdir()}
    written = {p.name: p.stat().st_ino for p in (tmp_path / "out/frames").iterdir() if "_r" in p.name}
    _ingested(tmp_path, {"new": frame[::-1].copy()})
    sanitize([folder], PARAMS, tmp_path / "out")
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out/frames").iterdir()}
    assert {name: after[name] for name in before} == before
    assert {
        p.name: p.stat().st_ino for p in (tmp_path / "out/frames").iterdir() if p.name in written
    } == written
    assert len(after) == 3
    sanitize([folder], PARAMS, tmp_path / "again")
    assert (tmp_path / "again" / INDEX_NAME).read_bytes() == (tmp_path / "out" / INDEX_NAME).read_bytes()


def test_sources_are_merged(tmp_path, frame):
    folders = []
    for name in ("b", "a"):
        write_exr(tmp_path / f"in_{name}/shot.exr", frame, chromaticities=REC709)
        params = IngestParams(sources={name: Source(path=tmp_path / f"in_{name}")}, workers=1)
        ingest(name, params, tmp_path / name)
        folders.append(tmp_path / name)
    index = sanitize(folders, PARAMS, tmp_path / "out")
    assert index["source"].to_list() == ["a", "b"]
    assert index["scene"].to_list() == ["a/shot", "b/shot"]
    assert index["frame"].n_unique() == 2


def test_missing_index_names_the_file(tmp_path):
    with pytest.raises(HdrgenError, match=r"nowhere/index\.parquet"):
        sanitize([tmp_path / "nowhere"], PARAMS, tmp_path / "out")
