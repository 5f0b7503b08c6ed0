"""Whatever is in a folder of footage, each file ends up in the index: as frames, or with the reason why not."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.logc import logc3_encode
from hdrgen.colour.primaries import AP0, AP1, AWG3, AWG4, REC709, convert_primaries
from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.dataset.ingest import ingest
from hdrgen.dataset.ingest_file import CONVERSION_VERSION
from hdrgen.dataset.ingest_settings import AnchorParams, IngestParams, Source
from hdrgen.dataset.source_encoding import decide_encoding, to_linear_awg4
from hdrgen.dataset.source_exposure import decide_exposure
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.images.stored_image import SceneImage
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import read_section
from hdrgen.runtime.scheduling import Outcome

rng = np.random.default_rng(5)


def _picture(seed=0, height=40, width=64):
    """Return a smooth, camera-like frame around grey."""
    y, x = np.mgrid[0:height, 0:width] / height
    phase = np.random.default_rng(seed).uniform(0, 6, (3, 2))
    waves = [np.sin(3 * x + p[0]) + np.cos(4 * y + p[1]) for p in phase]
    return (0.18 * np.exp2(np.stack(waves, axis=-1))).astype(np.float32)


def _params(folder, **source):
    return IngestParams(sources={"a": Source(path=folder, **source)}, workers=2, timeout_s=30)


def _ingest(folder, out, **source):
    return ingest("a", _params(folder, **source), out)


def _bytes(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "frames").iterdir())}


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (AP0, "chromaticities attribute: ACES AP0"),
        (AP1, "chromaticities attribute: ACES AP1"),
        (AWG3, "chromaticities attribute: ARRI Wide Gamut 3"),
        (REC709, "chromaticities attribute: Rec.709"),
    ],
)
def test_primaries_are_believed_and_converted(tmp_path, space, words):
    rgb = _picture()
    write_exr(tmp_path / "in/a.exr", rgb, chromaticities=space, pixel_type="float")
    row = _ingest(tmp_path / "in", tmp_path / "out").row(0, named=True)
    assert row["encoding_decided_by"] == words
    frame = read_exr(tmp_path / "out" / row["file"])
    assert frame.chromaticities == AWG4
    assert frame.rgb.dtype == np.float16
    assert np.allclose(frame.rgb, convert_primaries(rgb, space, AWG4), rtol=2e-3, atol=1e-4)


def test_linear_awg4_halves_keep_their_bits(tmp_path):
    rgb = _picture().astype(np.float16)
    write_exr(tmp_path / "in/a.exr", rgb, chromaticities=AWG4)
    row = _ingest(tmp_path / "in", tmp_path / "out").row(0, named=True)
    assert np.array_equal(read_exr(tmp_path / "out" / row["file"]).rgb, rgb)


def test_source_override_decodes_a_log_curve(tmp_path):
    linear = _picture()
    code = ENCODINGS["logc3_awg3"].encode(linear).astype(np.float32)
    write_exr(tmp_path / "in/a.exr", code, chromaticities=REC709, pixel_type="float")
    row = _ingest(tmp_path / "in", tmp_path / "out", encoding="logc3_awg3").row(0, named=True)
    assert (row["encoding"], row["encoding_decided_by"]) == ("logc3_awg3", "source override")
    expected = convert_primaries(linear, AWG3, AWG4)
    assert np.allclose(read_exr(tmp_path / "out" / row["file"]).rgb, expected, rtol=3e-3, atol=2e-4)


def test_nothing_stated_is_rec709_by_convention(shared_hdr, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(shared_hdr / "scenes/Cannon.exr", tmp_path / "in")
    row = _ingest(tmp_path / "in", tmp_path / "out").row(0, named=True)
    assert row["encoding_decided_by"] == "none stated: Rec.709 by OpenEXR convention"


def test_four_encodings_of_one_scene_become_one_picture(shared_hdr, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("Rec709", "XYZ", "Rec709_YC", "XYZ_YC"):
        shutil.copy(shared_hdr / f"scenes/{name}.exr", tmp_path / "in")
    index = _ingest(tmp_path / "in", tmp_path / "out", exposure="keep")
    frames = {
        row["path"]: read_exr(tmp_path / "out" / row["file"]).rgb.astype(np.float32)
        for row in index.iter_rows(named=True)
    }
    reference = frames.pop("Rec709.exr")
    for name, frame in frames.items():
        error = np.abs(frame - reference) / (reference + 0.01)
        assert np.median(error) < (0.02 if "YC" in name else 0.001), name  # YC halves chroma


def test_whole_real_set_in_one_run(shared_hdr, tmp_path):
    """Damaged, test and good files together: none stops the run, each is accounted for."""
    everything = tmp_path / "in"
    for folder in ("damaged", "testimages"):
        shutil.copytree(shared_hdr / folder, everything / folder)
    alone = tmp_path / "alone"
    shutil.copytree(shared_hdr / "testimages", alone / "testimages")
    index = _ingest(everything, tmp_path / "out")
    files = {p.relative_to(everything).as_posix() for p in everything.rglob("*") if p.is_file()}
    assert set(index["path"]) == files
    for row in index.iter_rows(named=True):
        assert (row["quarantine_reason"] is None) == (row["file"] is not None)
        if row["path"].startswith("damaged/"):
            assert row["quarantine_reason"]
            assert str(tmp_path) not in row["quarantine_reason"]
        else:
            assert row["quarantine_reason"] is None
    _ingest(alone, tmp_path / "out_alone")
    assert _bytes(tmp_path / "out") == _bytes(tmp_path / "out_alone")


def test_counts_agree_with_the_manifest(shared_hdr, tmp_path):
    index = _ingest(shared_hdr / "testimages", tmp_path / "out")
    with (shared_hdr / "manifest.csv").open() as stream:
        manifest = {row["file"]: row for row in csv.DictReader(stream)}
    for row in index.iter_rows(named=True):
        stated = manifest[f"testimages/{row['path']}"]
        counted = [row[f"{kind}_values"] for kind in ("nan", "inf", "negative")]
        assert counted == [int(stated[kind]) for kind in ("nan", "inf", "neg_components")], row["path"]


def test_file_larger_than_allowed_costs_only_itself(tmp_path):
    for name in ("a", "b"):
        write_exr(tmp_path / f"in/{name}.exr", _picture(), chromaticities=AWG4)
    write_exr(tmp_path / "in/large.exr", _picture(height=400, width=300), chromaticities=AWG4)
    params = _params(tmp_path / "in").model_copy(update={"max_megapixels": 0.1})
    index = ingest("a", params, tmp_path / "out")
    assert index["quarantine_reason"].to_list() == [None, None, "has 0.12 megapixels, more than 0.1"]


def test_lower_limit_counts_for_files_known_before(tmp_path):
    write_exr(tmp_path / "in/a.exr", _picture(height=400, width=300), chromaticities=AWG4)
    params = _params(tmp_path / "in")
    assert ingest("a", params, tmp_path / "out")["quarantine_reason"].to_list() == [None]
    lower = params.model_copy(update={"max_megapixels": 0.1})
    assert "0.12 megapixels" in ingest("a", lower, tmp_path / "out")["quarantine_reason"][0]


def test_another_sources_frames_are_not_removed(tmp_path):
    for name in "ab":
        write_exr(tmp_path / f"{name}/{name}.exr", _picture(), chromaticities=AP1)
    _ingest(tmp_path / "a", tmp_path / "out")
    before = _bytes(tmp_path / "out")
    params = IngestParams(sources={"b": Source(path=tmp_path / "b")}, workers=1)
    with pytest.raises(HdrgenError, match="holds the frames of a"):
        ingest("b", params, tmp_path / "out")
    assert _bytes(tmp_path / "out") == before


def test_output_in_its_own_source_is_refused(tmp_path):
    write_exr(tmp_path / "in/a.exr", _picture(), chromaticities=AP1)
    for out in (tmp_path / "in", tmp_path / "in/frames"):
        with pytest.raises(HdrgenError, match="lies in its own source"):
            _ingest(tmp_path / "in", out)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.exr"]


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("ALEXA 35", "linear_awg4"),
        ("ALEXA 265", "linear_awg4"),
        ("ALEXA 65", "linear_awg3"),
        ("ALEXA Mini LF", "linear_awg3"),
        ("ALEXA 2350", "linear_awg3"),
    ],
)
def test_arri_cameras_by_model(model, encoding):
    rgb = np.zeros((1, 1, 3), np.float32)
    image = SceneImage(
        rgb, None, None, {"cameraMake": "ARRI", "cameraModel": model}, "half", "zip", "scanline"
    )
    assert decide_encoding(image, Source(path=Path()))[0] == encoding


@pytest.mark.parametrize("index", [160, 200, 250, 320, 400, 500, 640, 800, 1000, 1280, 1600])
def test_logc3_has_an_encoding_for_each_exposure_index(index):
    encoding = ENCODINGS[f"logc3_awg3_ei{index}"]
    linear = np.array([0.0, 0.18, 5.0])
    assert encoding.chromaticities == AWG3
    np.testing.assert_array_equal(encoding.encode(linear), logc3_encode(linear, index))
    np.testing.assert_allclose(encoding.decode(encoding.encode(linear)), linear, atol=1e-6)


def test_pixels_are_those_of_this_version(tmp_path):
    """Frames are reused by name: pixels changed, so raise CONVERSION_VERSION and both values here."""
    write_exr(tmp_path / "in/a.exr", _picture(2, 20, 30), chromaticities=AP1, pixel_type="float")
    row = _ingest(tmp_path / "in", tmp_path / "out", exposure="grey").row(0, named=True)
    pixels = read_exr(tmp_path / "out" / row["file"]).rgb
    made = (CONVERSION_VERSION, hashlib.sha256(pixels.tobytes()).hexdigest()[:16])
    assert made == (2, "4b46fde27eea57ea")


def test_way_out_of_a_time_out_is_said(tmp_path):
    write_exr(tmp_path / "in/a.exr", _picture(), chromaticities=AP1)
    late = lambda _, items, **__: (Outcome(None, "took longer than 1 s", timed_out=True) for _ in items)  # noqa: E731
    index = ingest("a", _params(tmp_path / "in"), tmp_path / "out", schedule=late)
    assert "raise ingest.timeout_s and run dvc repro --force ingest" in index["quarantine_reason"][0]


def test_folder_among_the_frames_stays(tmp_path):
    write_exr(tmp_path / "in/a.exr", _picture(), chromaticities=AP1)
    (tmp_path / "out/frames/notes").mkdir(parents=True)
    assert _ingest(tmp_path / "in", tmp_path / "out").height == 1
    assert (tmp_path / "out/frames/notes").is_dir()


def test_ten_new_frames_touch_ten(tmp_path):
    for i in range(4):
        write_exr(tmp_path / f"in/old{i}.exr", _picture(i), chromaticities=AP1)
    first = _ingest(tmp_path / "in", tmp_path / "out")
    before = {p.name: (p.stat().st_mtime_ns, p.stat().st_ino) for p in (tmp_path / "out/frames").iterdir()}
    write_exr(tmp_path / "in/new.exr", _picture(9), chromaticities=AP1)
    second = _ingest(tmp_path / "in", tmp_path / "out")
    after = {p.name: (p.stat().st_mtime_ns, p.stat().st_ino) for p in (tmp_path / "out/frames").iterdir()}
    assert {name: after[name] for name in before} == before
    assert len(after) == 5
    assert second.filter(pl.col("path") != "new.exr").equals(first)
    (tmp_path / "in/old0.exr").unlink()
    _ingest(tmp_path / "in", tmp_path / "out")
    assert len(list((tmp_path / "out/frames").iterdir())) == 4


def test_changed_file_or_setting_makes_a_new_frame(tmp_path):
    write_exr(tmp_path / "in/a.exr", _picture(1), chromaticities=AP1)
    names = [_ingest(tmp_path / "in", tmp_path / "out")["frame"][0]]
    names += [_ingest(tmp_path / "in", tmp_path / "out", exposure=2.0)["frame"][0]]
    write_exr(tmp_path / "in/a.exr", _picture(2), chromaticities=AP1)
    names += [_ingest(tmp_path / "in", tmp_path / "out", exposure=2.0)["frame"][0]]
    assert len(set(names)) == 3
    assert [p.stem for p in (tmp_path / "out/frames").iterdir()] == [names[-1]]


def test_damaged_output_is_made_again(tmp_path):
    write_exr(tmp_path / "in/a.exr", _picture(1), chromaticities=AP1)
    row = _ingest(tmp_path / "in", tmp_path / "out").row(0, named=True)
    whole = (tmp_path / "out" / row["file"]).read_bytes()
    (tmp_path / "out" / row["file"]).write_bytes(whole[:100])
    _ingest(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / row["file"]).read_bytes() == whole


def test_same_input_same_bytes(tmp_path):
    for i in range(3):
        write_exr(tmp_path / f"in/{i}.exr", _picture(i), chromaticities=AP1)
    for out, workers in (("x", 1), ("y", 2)):
        ingest("a", _params(tmp_path / "in").model_copy(update={"workers": workers}), tmp_path / out)
    assert _bytes(tmp_path / "x") == _bytes(tmp_path / "y")
    assert (tmp_path / "x" / INDEX_NAME).read_bytes() == (tmp_path / "y" / INDEX_NAME).read_bytes()


def test_panorama_becomes_views_that_share_scene_and_exposure(shared_hdr, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(shared_hdr / "scenes/StageEnvLatLong.exr", tmp_path / "in")
    shutil.copy(shared_hdr / "scenes/pano_chinese_garden.hdr", tmp_path / "in")
    index = _ingest(tmp_path / "in", tmp_path / "out")
    assert index["view"].to_list() == [1, 2, 3, 4] * 2
    shared = index.group_by("path").agg(pl.col("scene", "exposure_scale").n_unique())
    assert [row[1:] for row in shared.rows()] == [(1, 1)] * 2
    assert index["scene"].n_unique() == 2
    sunny = index.filter((pl.col("path") == "pano_chinese_garden.hdr") & (pl.col("view") == 1)).row(
        0, named=True
    )
    assert sunny["luminance_max"] > 10_000  # the sun is in the first view


def test_wide_camera_frame_is_no_panorama(tmp_path):
    write_exr(tmp_path / "in/wide.exr", _picture(3, 64, 128), chromaticities=AP1)
    assert _ingest(tmp_path / "in", tmp_path / "out")["view"].to_list() == [0]


def test_scene_comes_from_description_clip_expression_or_name(tmp_path):
    cases = {
        "sim_0001.exr": {"hdrgenScene": json.dumps({"scene_id": "lamp-7", "caption": "a lamp"})},
        "A001.0001.exr": {"interim.clip.cameraClipName": "A001C002"},
        "shots/x_take3.exr": {},
        "seq.00017.exr": {},
    }
    for name, attributes in cases.items():
        write_exr(tmp_path / "in" / name, _picture(), chromaticities=AWG4, attributes=attributes)
    index = _ingest(tmp_path / "in", tmp_path / "out", scene=r"shots/(\w+?)_take")
    scenes = dict(index.select("path", "scene").rows())
    assert scenes == {
        "sim_0001.exr": "a/lamp-7",
        "A001.0001.exr": "a/A001C002",
        "shots/x_take3.exr": "a/x",
        "seq.00017.exr": "a/seq",
    }
    assert json.loads(index.filter(pl.col("path") == "sim_0001.exr")["description"][0])["caption"] == "a lamp"


@pytest.mark.parametrize(
    ("key", "camera", "exposure", "scale"),
    [
        (0.1, False, "auto", 1.0),
        (0.001, True, "auto", 1.0),
        (0.001, False, "keep", 1.0),
        (0.001, False, "auto", 180.0),
        (2.0, False, "auto", 0.09),
        (0.1, False, "grey", 1.8),
        (0.1, False, 3.0, 3.0),
    ],
)
def test_exposure_rule(key, camera, exposure, scale):
    luminance = np.full((50, 50), key, np.float32)
    found, words = decide_exposure(
        luminance, Source(path=".", exposure=exposure), AnchorParams(), camera=camera
    )
    assert found == pytest.approx(scale, rel=1e-5)
    assert words


def test_candle_in_the_dark_is_exposed_for_the_candle():
    luminance = np.full((100, 100), 0.0005, np.float32)
    luminance[:10, :10] = 5.0
    scale, _ = decide_exposure(luminance, Source(path="."), AnchorParams(), camera=False)
    assert scale * 5.0 == pytest.approx(100.0)


def test_bad_pixels_stay_bad_until_they_are_repaired():
    rgb = np.full((2, 2, 3), 0.5, np.float32)
    rgb[0, 0, 1], rgb[0, 1, 2], rgb[1, 0, 0] = np.nan, np.inf, -np.inf
    converted = to_linear_awg4(rgb, ENCODINGS["linear_rec709"], 2.0)
    assert np.isnan(converted[0, 0]).all()
    assert (converted[0, 1] == np.inf).all()
    assert (converted[1, 0] == -np.inf).all()
    assert np.isfinite(converted[1, 1]).all()


def test_values_beyond_half_are_clamped_and_counted(tmp_path):
    rgb = _picture()
    rgb[0, 0] = 1e6
    write_exr(tmp_path / "in/a.exr", rgb, chromaticities=AWG4, pixel_type="float")
    row = _ingest(tmp_path / "in", tmp_path / "out").row(0, named=True)
    assert row["clamped_values"] == 3
    assert read_exr(tmp_path / "out" / row["file"]).rgb.max() == 65504


def test_folder_without_pictures_and_missing_folder_are_errors(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/readme.md").write_text("no pictures here")
    with pytest.raises(HdrgenError, match="no OpenEXR or Radiance files"):
        _ingest(tmp_path / "in", tmp_path / "out")
    with pytest.raises(HdrgenError, match="no such folder"):
        _ingest(tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize(
    "source", ["encoding: rec2100", "exposure: -1.0", "scene: '('", "panoramas: perhaps", "colour: red"]
)
def test_settings_that_mean_nothing_are_refused(tmp_path, source):
    (tmp_path / "params.yaml").write_text(f"ingest: {{sources: {{a: {{path: x, {source}}}}}}}")
    with pytest.raises(HdrgenError, match=r"ingest\.sources\.a"):
        read_section(tmp_path / "params.yaml", "ingest", IngestParams)
