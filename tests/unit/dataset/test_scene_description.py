"""One model of what a simulated frame shows: scenes write it, captions and `ingest` read it."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from hdrgen.dataset.scene_description import Description, parse_description, scene_kind
from hdrgen.dataset.simulate import SimulateParams, build_scene, plan
from hdrgen.dataset.simulate.scenes import KINDS

READER = TypeAdapter(Description)


def test_what_every_kind_of_scene_writes_is_what_is_read():
    for spec in plan(SimulateParams(count=len(KINDS))):
        description = build_scene(spec).description
        read = READER.validate_python(parse_description(json.dumps(description)))
        assert read == description
        assert set(Description.__annotations__) - set(read) <= {"turbidity", "sun_elevation_degrees"}
        assert scene_kind(read) == spec.kind.replace("_", " ")


@pytest.mark.parametrize("missing", ["subject", "place", "time_of_day", "light_sources", "tags", "caption"])
def test_captions_need_these(missing):
    words = {"subject": "", "place": "", "time_of_day": "day", "light_sources": [], "tags": [], "caption": ""}
    READER.validate_python(words)
    with pytest.raises(ValidationError, match=missing):
        READER.validate_python({key: value for key, value in words.items() if key != missing})


@pytest.mark.parametrize("text", [None, 3.0, "", "no JSON", "[]", '"words"'])
def test_what_is_no_object_of_json_is_none(text):
    assert parse_description(text) is None
    assert scene_kind(parse_description(text)) == ""
