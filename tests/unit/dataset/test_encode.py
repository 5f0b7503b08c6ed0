"""LogC4 pictures are the curve, exactly, for every half; what they cannot hold is counted."""

import hashlib

import numpy as np
import pytest
import tifffile

from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.encode import ENCODE_VERSION, EncodeParams, encode_logc4, encode_logc4_picture
from hdrgen.dataset.frame_index import INDEX_NAME
from hdrgen.dataset.ingest import ingest
from hdrgen.dataset.ingest_settings import IngestParams, Source
from hdrgen.dataset.repair import SanitizeParams
from hdrgen.dataset.sanitize import sanitize
from hdrgen.images.exr import write_exr
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.scheduling import Outcome

ALL_HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
NUMBERS = ALL_HALVES[~np.isnan(ALL_HALVES)]


def test_every_half_is_encoded_as_the_curve_says():
    finite = NUMBERS[np.isfinite(NUMBERS)]
    picture = encode_logc4_picture(finite)
    code = np.clip(logc4_encode(finite.astype(np.float64)), 0, 1)
    assert np.array_equal(picture.code16, np.rint(code * 65535))
    assert np.array_equal(picture.code8, np.rint(code * 255))


def test_grey_and_both_ends():
    picture = encode_logc4_picture(np.array([0.18, 0.0, 65504, -1, np.inf, -np.inf], np.float16))
    assert picture.code16.tolist() == [18246, 6086, 65535, 0, 65535, 0]
    assert picture.code8.tolist() == [71, 24, 255, 0, 255, 0]
    assert (picture.above_ceiling, picture.below_floor) == (2, 2)


def test_sixteen_bits_keep_a_frame_within_half_a_code():
    linear = np.random.default_rng(0).gamma(0.4, 2.0, (64, 64, 3)).astype(np.float16)
    code = encode_logc4_picture(linear).code16 / 65535
    assert np.abs(logc4_encode(linear.astype(np.float64)) - code).max() <= 0.5 / 65535 + 1e-12
    assert np.allclose(logc4_decode(code), linear.astype(np.float64), rtol=3e-4, atol=3e-6)


def test_saturation_is_counted_as_the_curve_counts_it():
    picture = encode_logc4_picture(NUMBERS)
    linear = NUMBERS.astype(np.float64)
    assert picture.above_ceiling == np.count_nonzero(linear > logc4_decode(np.float64(1.0)))
    assert picture.below_floor == np.count_nonzero(linear < logc4_decode(np.float64(0.0)))


def test_nan_is_refused():
    with pytest.raises(HdrgenError, match="NaN"):
        encode_logc4_picture(np.array([np.nan], np.float16))


def _library(tmp_path, names):
    for i, name in enumerate(names):
        rgb = np.random.default_rng(i).gamma(0.4, 1.0, (30, 50, 3)).astype(np.float16)
        rgb[0, 0] = 1000
        write_exr(tmp_path / f"in/{name}.exr", rgb, chromaticities=AWG4)
    params = IngestParams(sources={"a": Source(path=tmp_path / "in", exposure="keep")}, workers=2)
    ingest("a", params, tmp_path / "a")
    return sanitize([tmp_path / "a"], SanitizeParams(workers=2), tmp_path / "frames")


def test_pictures_can_be_mapped_into_memory(tmp_path):
    index = encode_logc4(
        _library(tmp_path, "ab"), tmp_path / "frames", EncodeParams(workers=2), tmp_path / "out"
    )
    for row in index.iter_rows(named=True):
        code16 = tifffile.memmap(tmp_path / "out" / row["logc4_code16_file"], mode="r")
        code8 = tifffile.memmap(tmp_path / "out" / row["logc4_code8_file"], mode="r")
        assert (code16.shape, code16.dtype) == ((30, 50, 3), np.uint16)
        assert (code8.shape, code8.dtype) == ((30, 50, 3), np.uint8)
        assert (code16[0, 0] == 65535).all()
        assert row["above_ceiling_values"] >= 3


def test_new_frames_touch_only_their_own_pictures(tmp_path):
    params = EncodeParams(workers=2)
    encode_logc4(_library(tmp_path, "ab"), tmp_path / "frames", params, tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.tif")}
    encode_logc4(_library(tmp_path, "abc"), tmp_path / "frames", params, tmp_path / "out")
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.tif")}
    assert {path: after[path] for path in before} == before
    assert len(after) == 6
    encode_logc4(_library(tmp_path, "abc"), tmp_path / "frames", params, tmp_path / "again")
    for path in after:
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "out")).read_bytes()
    assert (tmp_path / "out" / INDEX_NAME).read_bytes() == (tmp_path / "again" / INDEX_NAME).read_bytes()


def test_long_names_stay_apart(tmp_path):
    """The digest at the end of a frame's name is what tells two files of one name apart."""
    name = "n" * 80
    index = _library(tmp_path, [f"day1/{name}", f"day2/{name}"])
    encoded = encode_logc4(index, tmp_path / "frames", EncodeParams(workers=2), tmp_path / "out")
    codes = [tifffile.imread(tmp_path / "out" / file) for file in encoded["logc4_code16_file"]]
    assert len(codes) == 2
    assert not np.array_equal(*codes)


def test_another_version_encodes_again(tmp_path, monkeypatch):
    index = _library(tmp_path, "a")
    args = index, tmp_path / "frames", EncodeParams(workers=1), tmp_path / "out"
    first = encode_logc4(*args, schedule=_in_turn)
    path = tmp_path / "out" / first["logc4_code16_file"][0]
    before = path.stat().st_mtime_ns
    encode_logc4(*args, schedule=_in_turn)
    assert path.stat().st_mtime_ns == before
    monkeypatch.setattr("hdrgen.dataset.encode.ENCODE_VERSION", ENCODE_VERSION + 1)
    encode_logc4(*args, schedule=_in_turn)
    assert path.stat().st_mtime_ns != before


def _in_turn(function, items, **_):
    for item in items:
        yield Outcome(function(item))


def test_codes_are_those_of_this_version():
    """Pictures are reused by name: codes changed, so raise ENCODE_VERSION and both values here."""
    picture = encode_logc4_picture(ALL_HALVES[::97][~np.isnan(ALL_HALVES[::97])])
    codes = picture.code16.tobytes() + picture.code8.tobytes()
    assert (ENCODE_VERSION, hashlib.sha256(codes).hexdigest()[:16]) == (1, "d52bc38abd7618dc")


def test_frame_that_vanished_is_named(tmp_path):
    index = _library(tmp_path, "a")
    (tmp_path / "frames" / index["file"][0]).unlink()
    with pytest.raises(HdrgenError, match=index["frame"][0]):
        encode_logc4(index, tmp_path / "frames", EncodeParams(workers=1), tmp_path / "out")
