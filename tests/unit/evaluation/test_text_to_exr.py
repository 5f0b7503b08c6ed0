import json

import numpy as np
import polars as pl
import pytest

from hdrgen.colour.tone_maps import quantise8
from hdrgen.evaluation.scene_classifier import ClassifierRecipe, NamedPictures, srgb_display_code8
from hdrgen.evaluation.text_to_exr import (
    EvaluateFlux,
    HeldOutRenders,
    RoutePicture,
    evaluate_flux,
    held_out_renders,
    prompt_kinds,
    read_as_logc4,
    training_crops,
)
from hdrgen.evaluation.text_to_exr_tables import BASE, FRAMES, KEYS, PLOTTED, decisive_flux, plots
from hdrgen.flux.renditions import Rendition, brackets
from hdrgen.runtime.choices import ROUTES
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.metrics_file import read_figures, write_figures

SIZE = 32
SETTINGS = EvaluateFlux(
    seeds=(1, 2), size=SIZE, crops_per_frame=2, classifier=ClassifierRecipe(steps=60, batch=24, folds=2)
)
COLOURS = {"grass": (0.05, 0.4, 0.05), "sea": (0.05, 0.1, 0.4), "sand": (0.5, 0.4, 0.2)}
RENDITIONS = brackets((-2, 0, 2))


def scene(kind, rng):
    """Return light of a kind's colour with a lamp of 600 somewhere in it."""
    light = np.array(COLOURS[kind]) * rng.uniform(0.7, 1.4) * rng.uniform(0.5, 1.5, (SIZE, SIZE, 1))
    y, x = rng.integers(2, SIZE - 4, 2)
    light[y : y + 2, x : x + 2] = 600
    return light.astype(np.float32)


def named(prefix, seed, frames_per_kind=4):
    rng = np.random.default_rng(seed)
    rows = [(scene(k, rng), k, f"{prefix} {k} {n}") for k in COLOURS for n in range(frames_per_kind)]
    light, kinds, frames = zip(*rows, strict=True)
    return NamedPictures(np.stack(light), np.array(kinds), np.array(frames))


FRAMES_, HELD_OUT = named("frame", 1), named("render", 2)


class Perfect:
    """A generator whose pictures are new scenes of what was asked for; without shared noise, exposures differ."""

    def __init__(self):
        self.calls = []

    def light(self, prompt, seed):
        return scene(prompt, np.random.default_rng([seed, *prompt.encode()]))

    def __call__(self, route, prompts, seeds, *, shared_noise=True):
        self.calls.append((route, len(prompts), shared_noise))
        pictures = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            light = self.light(prompt, seed)
            if route == BASE:
                pictures.append(read_as_logc4(srgb_display_code8(light[None])[0]))
                continue
            codes = {}
            for i, rendition in enumerate(RENDITIONS if route == "brackets" else ()):
                own = light if shared_noise else self.light(prompt, seed + i)
                codes[rendition] = quantise8(rendition.encode(own))
            pictures.append(RoutePicture(light, codes))
        return pictures


class Broken(Perfect):
    """A generator of noise, whatever is asked for."""

    def light(self, prompt, seed):
        del prompt
        return np.random.default_rng(seed).lognormal(-2, 2, (SIZE, SIZE, 3)).astype(np.float32)


class Collapsed(Perfect):
    """A generator that knows one picture, of grass."""

    def light(self, prompt, seed):
        del prompt, seed
        return super().light("grass", 1)


@pytest.fixture(scope="module")
def perfect():
    render = Perfect()
    return evaluate_flux(render, FRAMES_, HELD_OUT, SETTINGS), render


def mean(evaluation, route, figure):
    return evaluation.figures["routes"][route][figure]["mean"]


def test_a_perfect_generator_is_as_good_as_the_frames(perfect):
    evaluation, _ = perfect
    assert evaluation.figures["classifier"]["accuracy"] > 0.95
    assert evaluation.figures["classifier"]["chance"] == pytest.approx(1 / 3)
    for route in ("brackets", "dual", "latent", FRAMES):
        assert mean(evaluation, route, "adherence") > 0.95
        assert mean(evaluation, route, "finite_share") == 1
        assert mean(evaluation, route, "peak_linear") == pytest.approx(600, rel=1e-3)
    figures_of = evaluation.figures["routes"]
    assert figures_of["brackets"]["tone_distance_stops"] < 0.3
    assert figures_of["brackets"]["spread_stops"] == pytest.approx(
        figures_of[FRAMES]["spread_stops"], rel=0.5
    )
    assert figures_of[FRAMES]["tone_distance_stops"] == 0
    assert evaluation.figures["adherence_by_kind"]["brackets"].keys() == COLOURS.keys()
    assert mean(evaluation, "brackets", "consistency_pu21_psnr") > 40


def test_pinned_is_what_no_bracket_holds_and_the_base_is_read_as_logc4(perfect):
    evaluation, _ = perfect
    lamp = 4 / SIZE**2  # 600 is more than LogC4 can say, and EV -2 holds it
    assert mean(evaluation, "brackets", "clipped_fraction_logc4_ev+0") == pytest.approx(lamp)
    assert mean(evaluation, "brackets", "clipped_fraction") == 0
    against = evaluation.figures["base_against_brackets"]
    assert against["clipped_fraction_base"] == pytest.approx(lamp)
    assert against["clipped_ratio"] == 0
    assert mean(evaluation, BASE, "peak_linear") < 470
    assert "clipped_fraction" not in evaluation.figures["routes"]["latent"]
    # What the base meant for a monitor is judged as a monitor shows it.
    assert mean(evaluation, BASE, "adherence") > 0.95


def test_shared_noise_is_compared_with_own_noise_on_the_same_wishes(perfect):
    evaluation, render = perfect
    assert render.calls == [
        (BASE, 6, True),
        ("brackets", 6, True),
        ("dual", 6, True),
        ("latent", 6, True),
        ("brackets", 3, False),
    ]
    figures_of = evaluation.figures["consistency"]
    assert (
        figures_of["shared_noise"]["pu21_psnr"]["count"] == figures_of["own_noise"]["pu21_psnr"]["count"] == 3
    )
    assert figures_of["shared_noise"]["pu21_psnr"]["mean"] > figures_of["own_noise"]["pu21_psnr"]["mean"] + 15


def test_a_generator_of_noise_is_at_chance_and_far_from_the_frames():
    evaluation = evaluate_flux(Broken(), FRAMES_, HELD_OUT, SETTINGS)
    assert mean(evaluation, "brackets", "adherence") <= 0.5
    assert evaluation.figures["routes"]["brackets"]["tone_distance_stops"] > 0.5


def test_a_generator_with_one_picture_has_no_spread_and_is_right_for_one_prompt():
    evaluation = evaluate_flux(Collapsed(), FRAMES_, HELD_OUT, SETTINGS, routes=("latent",))
    assert evaluation.figures["routes"]["latent"]["spread_stops"] == 0
    assert evaluation.figures["adherence_by_kind"]["latent"] == {"grass": 1, "sand": 0, "sea": 0}
    assert "consistency" not in evaluation.figures


def test_footage_that_does_not_say_what_it_shows_still_says_which_tones_are_natural():
    footage = NamedPictures(FRAMES_.linear_awg4, np.full_like(FRAMES_.kinds, ""), FRAMES_.frames)
    figures = evaluate_flux(Perfect(), footage, HELD_OUT, SETTINGS, routes=("latent",)).figures
    figures_of = figures["routes"]
    assert figures_of["latent"]["adherence"]["mean"] > 0.95
    assert figures_of["latent"]["tone_distance_stops"] < 0.3
    assert "adherence" not in figures_of[FRAMES]
    assert figures["adherence_by_kind"][FRAMES] == {}


def test_what_was_trained_on_cannot_judge():
    with pytest.raises(HdrgenError, match="frame grass 0 was trained on"):
        evaluate_flux(Perfect(), FRAMES_, FRAMES_, SETTINGS)


def test_figures_tables_and_sheet_are_written(perfect, tmp_path):
    evaluation, _ = perfect
    json.dumps(evaluation.figures, allow_nan=False)
    for section, figures in evaluation.figures.items():
        write_figures(tmp_path, figures, KEYS[section], section)
    assert read_figures(tmp_path) == evaluation.figures
    tables = plots(evaluation.rows, evaluation.tones)
    for name in PLOTTED:
        table = tables[f"{name}_by_prompt"]
        assert table["prompt"].to_list() == sorted(COLOURS)
        assert "brackets" in table.columns
    assert tables["tones"]["brackets"].sum() == pytest.approx(1, abs=0.01)
    rows, columns, _ = evaluation.sheet_code8.shape
    assert (rows // SIZE, columns // SIZE) == (3, 4)


def test_what_decides_is_told_of_every_route_that_has_it(perfect):
    figures_of = decisive_flux(perfect[0].figures)
    assert figures_of.keys() == {BASE, *ROUTES, "classifier"}
    assert figures_of["brackets"].keys() == {
        "adherence",
        "clipped_fraction",
        "tone_distance_stops",
        "consistency_pu21_psnr",
    }
    assert figures_of["latent"].keys() == {"adherence", "tone_distance_stops"}
    assert figures_of["classifier"]["accuracy"] > 0.95


def test_renders_are_of_the_kinds_asked_for_and_stay_where_they_are(tmp_path):
    renders = HeldOutRenders(per_kind=2, width=32, height=32, workers=1)
    settings = SETTINGS.model_copy(update={"renders": renders})
    pictures = held_out_renders(["chrome still life"], tmp_path, settings)
    assert pictures.names == ["chrome still life"]
    assert len(np.unique(pictures.frames)) == 2
    assert pictures.linear_awg4.shape == (4, SIZE, SIZE, 3)
    times = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.exr")}
    again = held_out_renders(["chrome still life"], tmp_path, settings)
    assert times == {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.exr")}
    assert np.array_equal(again.linear_awg4, pictures.linear_awg4)
    # They are frames like any other, and know their names.
    description = json.dumps({"kind": "chrome_still_life", "frame_id": pictures.frames[0]} | CAPTION)
    index = pl.DataFrame(
        [
            {"frame": "x", "file": p.name, "digest": "d", "description": d}
            for p, d in zip(sorted(times), (description, None), strict=True)
        ]
    )
    frames = training_crops(index, tmp_path, settings)
    assert set(frames.frames) == {pictures.frames[0], "x"}
    assert prompt_kinds(frames) == ["chrome still life"]
    assert len(prompt_kinds(frames.where(frames.kinds == ""))) == 14


CAPTION = {"caption": "", "subject": "", "place": "", "time_of_day": "", "light_sources": []}


def test_codes_read_as_logc4_have_its_ceiling():
    picture = read_as_logc4(np.full((2, 2, 3), 255, np.uint8))
    assert picture.linear_awg4.max() == pytest.approx(469.8, abs=0.1)
    assert list(picture.code8) == [Rendition("logc4", 0.0)]
