"""NaN, Inf and clamped values in EXRs of lossy compressions, pinned by OpenImageIO."""

import json

import numpy as np
import OpenImageIO as oiio
import pytest

from hdrgen.cli import run
from hdrgen.colour.primaries import AP1, AWG4
from hdrgen.images.exr import write_exr

EVERY = ("none", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab", "htj2k", "zstd")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(path) -> np.ndarray:
    return oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)


def broken() -> np.ndarray:
    light = np.random.default_rng(1).random((40, 48, 3)).astype(np.float32)
    light[3, 4] = np.nan
    light[20, 9, 0], light[30, 9, 0] = np.inf, -np.inf
    return light


@pytest.mark.parametrize("compression", EVERY)
def test_nan_and_inf_are_kept_whatever_the_compression(compression, place):
    light = broken()
    write_exr(place / "a.exr", light, chromaticities=AP1, compression=compression, allow_nonfinite=True)
    there = stored(place / "a.exr")
    assert np.array_equal(np.isnan(there), np.isnan(light))
    assert np.array_equal(np.where(np.isinf(there), there, 0), np.where(np.isinf(light), light, 0))


def test_nan_in_alpha_is_kept_too(place):
    light = np.full((16, 16, 3), 0.5, np.float32)
    alpha = np.ones((16, 16), np.float32)
    alpha[2, 3] = np.nan
    options = {"compression": "dwaa", "allow_nonfinite": True}
    write_exr(place / "a.exr", light, alpha=alpha, chromaticities=AP1, **options)
    assert np.isnan(stored(place / "a.exr")).sum() == 1


@pytest.mark.parametrize("compression", ["dwaa", "dwab", "b44", "b44a"])
def test_frames_taken_in_never_lose_nan(compression, place, capsys):
    (place / "src").mkdir()
    write_exr(place / "src/nan.exr", broken(), chromaticities=AWG4, allow_nonfinite=True)
    write_exr(place / "src/whole.exr", np.full((32, 32, 3), 0.18, np.float32), chromaticities=AWG4)
    assert run(["ingest", "src", "-o", "out", "--compression", compression, "--json"]) == 0
    said = capsys.readouterr()
    files = {frame["path"]: frame["file"] for frame in json.loads(said.out)["sources"][0]["frames"]}
    assert np.isnan(stored(f"out/{files['nan.exr']}")).sum() == 3
    assert oiio.ImageBuf(f"out/{files['nan.exr']}").spec()["compression"] == "zip"
    assert oiio.ImageBuf(f"out/{files['whole.exr']}").spec()["compression"].startswith(compression)


@pytest.mark.parametrize("compression", ["zip", "dwaa", "b44"])
def test_values_are_counted_once(compression, place, capsys):
    light = np.random.default_rng(0).random((48, 48, 3)).astype(np.float32)
    light[10:16, 10:16] = 1e6
    write_exr(place / "a.exr", light, chromaticities=AP1, pixel_type="float")
    command = ["convert", "a.exr", "-o", "b.exr", "--compression", compression]
    assert run([*command, "--clamp", "--json"]) == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert file["clamped_values"] == 108
    assert any(note.startswith("108 values") for note in file["notes"])


@pytest.mark.parametrize(("value", "compression"), [(1e6, "zip"), (1e6, "dwaa"), (65504.0, "b44")])
def test_the_refusal_names_the_option(value, compression, place, capsys):
    light = np.full((16, 16, 3), value, np.float32)
    light[1::2, 1::2] *= -1
    light[::2, ::2] = 0
    write_exr(place / "a.exr", light, chromaticities=AP1, pixel_type="float")
    assert run(["convert", "a.exr", "-o", "b.exr", "--compression", compression]) != 0
    assert "--clamp" in capsys.readouterr().err
    assert not (place / "b.exr").exists()
