"""From a form to a picture: what the page shows is the EXR's own light."""

import io

import numpy as np
import pytest
from PIL import Image

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.primaries import AP1, convert_primaries
from hdrgen.images.code_image import read_code, write_code
from hdrgen.images.exr import read_exr, write_exr
from hdrgen.qc.preview import linear_ap1, preview_code8
from hdrgen.routes.bracket import bracket_file
from hdrgen.web import run_job
from hdrgen.web.history import PICTURE


def exr_of(site, record):
    return read_exr(site.folder / record["id"] / PICTURE)


def test_the_viewers_pixels_are_those_of_the_exr(site, png16):
    record = site.made(png16, kind="expand")
    assert record["state"] == "done", record["message"]
    image = exr_of(site, record)
    np.testing.assert_array_equal(site.pixels(record), image.rgb)
    # 16-bit codes are decoded as they are, so their light is known.
    logc4 = ENCODINGS["logc4_awg4"]
    linear = convert_primaries(
        logc4.decode(read_code(png16).code / np.float64(65535)), logc4.chromaticities, AP1
    )
    np.testing.assert_allclose(site.pixels(record).astype(np.float64), linear, rtol=6e-4, atol=6e-5)
    np.testing.assert_allclose(site.pixels(record, "before").astype(np.float64), linear, rtol=6e-4, atol=6e-5)
    picture = record["picture"]
    assert picture["before"] == "as it came, 16 bits"
    assert picture["maximum_linear"] == pytest.approx(float(image.rgb.max()))
    assert sum(picture["histogram"]["shares"]) + picture["histogram"]["dark_share"] == pytest.approx(1)
    assert picture["facts"]["hdrgenRoute"] == "expand"


def test_downloads_have_plain_names_and_the_asked_exposure(site, png16):
    path = png16.rename(png16.with_name("Plätte, Szene 3.png"))
    record = site.made(path, kind="expand")
    assert record["title"] == "Plätte, Szene 3.png"
    base = f"/api/pictures/{record['id']}"
    exr = site.client.get(f"{base}/exr")
    assert exr.headers["content-disposition"] == 'attachment; filename="Platte-Szene-3_expand.exr"'
    assert exr.content == (site.folder / record["id"] / PICTURE).read_bytes()
    preview = site.client.get(f"{base}/preview?exposure=-2.5")
    assert preview.headers["content-disposition"].endswith('"Platte-Szene-3_expand_-2.5stops.png"')
    shown = np.array(Image.open(io.BytesIO(preview.content)))
    expected = preview_code8(linear_ap1(exr_of(site, record)), exposure_stops=-2.5)
    np.testing.assert_array_equal(shown, expected)
    assert site.client.get(f"{base}/preview?exposure=1e9").status_code == 422
    assert Image.open(io.BytesIO(site.client.get(f"{base}/thumbnail").content)).size == (4, 3)


def test_brackets_are_merged_by_the_evs_in_their_names(site, tmp_path, png16):
    light = site.made(png16, kind="expand")
    evs = (-2.0, 0.0, 2.0)
    paths = [tmp_path / f"shot_ev{ev:+g}.png" for ev in evs]
    bracket_file(site.folder / light["id"] / PICTURE, paths, evs)
    for path in paths:  # what the files say of their exposure is taken away, so that the names decide
        write_code(path, read_code(path).code, text={"hdrgen:encoding": "logc4"})
    record = site.made(paths[2], paths[0], paths[1], kind="merge", align="false")
    assert record["state"] == "done", record["message"]
    assert "EVs 2 -2 0, from the file names" in record["picture"]["notes"]
    assert record["picture"]["before"] == "EV +0 alone"
    expected = exr_of(site, light).rgb.astype(np.float32)
    merged = site.pixels(record).astype(np.float32)
    inside = expected.max(axis=-1) < 200
    np.testing.assert_allclose(merged[inside], expected[inside], rtol=0.1, atol=0.02)
    np.testing.assert_allclose(site.pixels(record, "before")[inside], expected[inside], rtol=0.1, atol=0.02)


def test_given_evs_go_with_the_order_of_the_files(site, tmp_path, png16):
    light = site.made(png16, kind="expand")
    paths = [tmp_path / name for name in ("b.png", "a.png")]
    bracket_file(site.folder / light["id"] / PICTURE, paths, (2.0, -1.0))
    record = site.made(*paths, kind="merge", evs="2, -1", align="false")
    assert record["state"] == "done", record["message"]
    assert record["picture"]["before"] == "EV -1 alone"


def test_words_become_a_picture_that_says_what_made_it(open_site, models):
    with open_site(models) as site:
        told = set()
        answer = site.post(
            kind="generate", prompt="night  street", route="dual", seed="7", steps="3", guidance="2"
        )
        assert answer.status_code == 201, answer.text
        name, revision = answer.json()["id"], 0
        while (jobs := (state := site.client.get(f"/api/state?after={revision}").json())["jobs"]) != []:
            told.add((jobs[0]["phase"], jobs[0]["done"], jobs[0]["total"]))
            revision = state["revision"]
        record = site.wait(name)
        assert record["state"] == "done", record["message"]
        assert told & {("Denoising", 1, 3), ("Denoising", 2, 3), ("Developing", 3, 3)}
        facts = record["picture"]["facts"]
        assert (facts["hdrgenPrompt"], facts["hdrgenSeed"], facts["hdrgenSteps"]) == ("night street", 7, 3)
        assert record["file_name"] == "night-street_seed7.exr"
        np.testing.assert_array_equal(site.pixels(record), exr_of(site, record).rgb)
        assert site.client.get(f"/api/pictures/{name}/before").status_code == 404


def test_a_matte_is_no_part_of_what_the_viewer_shows(tmp_path):
    light = np.random.default_rng(4).uniform(0, 3, (24, 32, 3)).astype(np.float32)
    matte = np.zeros(light.shape[:2], np.float32)
    shown = []
    for mattes in ({}, {"observed": matte}):
        write_exr(tmp_path / PICTURE, light, chromaticities=AP1, mattes=mattes)
        picture = run_job._shown(tmp_path, None, ())
        shown.append((picture, (tmp_path / run_job.PIXELS).read_bytes()))
    assert shown[0] == shown[1]
