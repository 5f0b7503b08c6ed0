"""Light in words, the answer that a model is held to, and what is made of it."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from hdrgen.dataset.captions.answer import (
    Answer,
    AnswerLimits,
    CutOff,
    InvalidAnswer,
    prompts_of,
    read_answer,
    without_exposure,
)
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.light import MeasuredLight, contradictions, light_in_picture
from hdrgen.dataset.captions.metadata import described
from hdrgen.dataset.captions.overrides import read_overrides
from hdrgen.dataset.simulate import FrameSpec, build_scene
from hdrgen.dataset.simulate.camera import CameraParams
from hdrgen.dataset.simulate.scenes import KINDS
from hdrgen.runtime.errors import HdrgenError

NIGHT = MeasuredLight(stops=17.0, peak_stops=11.0, key_stops=-2.0, sky_stops=-3.0)
DAY = MeasuredLight(stops=8.0, peak_stops=3.0, key_stops=0.5, sky_stops=1.5)
SAID = {
    "subject": "a car",
    "place": "a street",
    "time_of_day": "night",
    "light_sources": ["sodium lamps", "headlights"],
    "tags": ["exterior"],
    "caption": "A car on a wet street.",
}


def test_light_is_measured_in_stops_about_grey():
    linear = np.full((32, 32, 3), 0.18, np.float32)
    linear[:12] = 0.18 * 2**3
    linear[20:24, 20:24] = 0.18 * 2**6
    light = light_in_picture(linear)
    assert (light.peak_stops, light.key_stops, light.sky_stops) == (6.0, 0.0, 3.0)
    assert light.stops == 6.0
    assert light_in_picture(linear * 4).key_stops == 2.0


def test_black_and_noise_below_zero_are_dark_not_wrong():
    light = light_in_picture(np.full((20, 20, 3), -0.01, np.float32))
    assert light.key_stops < -9
    assert light.stops == 0


@pytest.mark.parametrize(
    ("light", "words"),
    [
        (NIGHT, "Low key, very high contrast, intense highlights."),
        (DAY, "Moderate contrast, bright highlights."),
        (MeasuredLight(5.0, 1.0, 1.5, 1.5), "High key, low contrast."),
        # Dark ground below a bright sky is no low key.
        (MeasuredLight(12.0, 12.0, -2.0, 3.0), "High contrast, intense highlights."),
    ],
)
def test_light_in_words(light, words):
    assert light.words == words


@pytest.mark.parametrize(
    ("text", "light", "found"),
    [
        ("A street at night.", DAY, ("night on a bright sky",)),
        ("A street at night.", NIGHT, ()),
        ("Nightingales in a garden.", DAY, ()),
        ("A sunlit room.", MeasuredLight(6.0, -2.0, -6.0, -6.0), ("daylight in the dark",)),
        ("A sunlit room.", DAY, ()),
        ("Low-contrast, flat lighting.", NIGHT, ("low contrast over a wide range",)),
        ("High key portrait.", NIGHT, ("high key over a dark middle",)),
    ],
)
def test_a_caption_that_the_light_denies_is_found(text, light, found):
    assert contradictions(text, light) == found


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_frame_says_what_its_scene_holds(kind, tmp_path):
    spec = FrameSpec(3, kind, 35, 64, 36, 8, CameraParams())
    scene = build_scene(spec).description
    frame = Frame("frame", tmp_path, "", json.dumps(scene), DAY)
    answer = described(frame, DAY)
    assert scene["caption"].rstrip(".") in answer.caption
    assert answer.caption.endswith(DAY.words)
    assert [source["name"] for source in scene["light_sources"]] == [*answer.light_sources]
    assert Answer.model_validate(answer.model_dump()) == answer, (
        "its time of day is one that models may say as well"
    )
    prompts = prompts_of(answer, frame.kind)
    assert prompts[0] == kind.replace("_", " ")
    assert scene["time_of_day"] in prompts[1]
    assert scene["subject"] in prompts[2]
    assert len(prompts) == 4
    assert without_exposure(answer) == answer


def test_footage_without_words_gets_its_light_alone(tmp_path):
    answer = described(Frame("plate", tmp_path, "", None, NIGHT), NIGHT)
    assert prompts_of(answer) == ("Low key, very high contrast, intense highlights.",)
    assert answer.tags == ("low key", "very high contrast")


def test_prompts_of_a_model_s_answer_go_from_few_words_to_all():
    answer = Answer(**SAID)
    assert prompts_of(answer) == (
        "a car",
        "a car, night",
        "a car, a street, night, lit by sodium lamps and headlights",
        "A car on a wet street.",
    )
    assert prompts_of(answer, "night street")[0] == "night street"


def test_an_answer_is_read_as_the_schema_says():
    assert read_answer(json.dumps(SAID), "stop", AnswerLimits().model()) == Answer(**SAID)


@pytest.mark.parametrize(
    "broken",
    [
        "",
        json.dumps(SAID)[:50],
        json.dumps(SAID | {"time_of_day": "tea time"}),
        json.dumps(SAID | {"mood": "sad"}),
        json.dumps(SAID | {"tags": []}),
        json.dumps(SAID | {"caption": "x" * 41}),
        json.dumps(SAID | {"tags": ["a", "b", "c"]}),
        json.dumps({key: said for key, said in SAID.items() if key != "subject"}),
        json.dumps(SAID | {"caption": "EV -2"}),
    ],
)
def test_an_answer_that_breaks_the_schema_is_refused(broken):
    with pytest.raises(InvalidAnswer):
        read_answer(broken, "stop", AnswerLimits(caption_characters=40, tags=2).model())


def test_an_answer_that_was_cut_off_is_refused_even_if_it_reads_well():
    with pytest.raises(CutOff, match=r"raise caption\.sampling\.max_tokens"):
        read_answer(json.dumps(SAID), "length", AnswerLimits().model())


def test_the_schema_bounds_every_text():
    schema = AnswerLimits(caption_characters=100, phrase_characters=20, tags=3).model().model_json_schema()
    fields = schema["properties"]
    assert fields["caption"]["maxLength"] == 100
    assert fields["subject"]["maxLength"] == fields["tags"]["items"]["maxLength"] == 20
    assert fields["tags"]["maxItems"] == 3
    assert set(schema["required"]) == set(fields) == set(SAID)
    assert schema["additionalProperties"] is False
    assert "$defs" not in schema


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("A street at EV -2, wet.", "A street, wet."),
        ("A street (EV +4).", "A street."),
        ("A bright window, 2 stops overexposed.", "A bright window."),
        ("A room, -1.5 EV, dim.", "A room, dim."),
        ("An EV charger, 2 bus stops, 35 mm lens.", "An EV charger, 2 bus stops, 35 mm lens."),
    ],
)
def test_words_of_exposure_are_the_pipeline_s_own(said, left):
    assert without_exposure(Answer(caption=said, tags=("EV 2", "night"))) == Answer(
        caption=left, tags=("night",)
    )


def test_a_correction_that_no_caption_has_is_one_line(tmp_path):
    path = tmp_path / "overrides.yaml"
    path.write_text("a_frame:\n  capton: wrong\n")
    with pytest.raises(HdrgenError, match=r"a_frame\.capton: unknown key; give each frame any of caption"):
        read_overrides(path)
    path.write_text("a_frame:\n  time_of_day: tea time\n")
    with pytest.raises(HdrgenError, match=r"a_frame\.time_of_day"):
        read_overrides(path)
    path.write_text("# nothing yet\n")
    assert read_overrides(path) == {}


def test_limits_below_what_an_answer_needs_are_refused():
    with pytest.raises(ValidationError):
        AnswerLimits(tags=0)
