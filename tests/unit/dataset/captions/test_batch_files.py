"""Questions and answers as files, the picture that is asked about, and the command around it all."""

import base64
import json

import cv2
import numpy as np
import polars as pl
import pytest

from hdrgen.dataset.captions.batch_files import batch_model, write_batch
from hdrgen.dataset.captions.captioning import CaptionSettings, caption_frames
from hdrgen.dataset.captions.frames import Frame, frames_in_files
from hdrgen.dataset.captions.picture import CaptionPicture, caption_code8
from hdrgen.evaluation.captions import caption_examples, caption_figures, write_tag_frequencies
from hdrgen.images.light_statistics import awg4_luminance, fingerprint, luminance_percentiles
from hdrgen.runtime.errors import HdrgenError

SETTINGS = CaptionSettings(captioner="batch", model="a/model")


def write_answers(questions, path, said):
    """Answer questions as `vllm run-batch` does; a text in place of a completion is an error."""
    lines = []
    for number, line in enumerate(questions.read_text().splitlines()):
        answer = said(number)
        response = {"status_code": 200, "request_id": f"{number}", "body": answer}
        if isinstance(answer, str):
            response = {"status_code": 400, "request_id": f"{number}", "body": {"message": answer}}
        key = json.loads(line)["custom_id"]
        lines.append(
            json.dumps({"id": f"vllm-{number}", "custom_id": key, "response": response, "error": None})
        )
    path.write_text("\n".join(lines[::-1]) + '\n{"custom_id": "half a li')


def test_questions_out_and_answers_in(frames, completion, tmp_path):
    questions, answers = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    model = batch_model("a/model", None)
    broken = Frame("broken", tmp_path / "missing.exr", "broken")
    asked = {SETTINGS.key(frame, model): frame for frame in [*frames, broken]}
    unread = write_batch(questions, asked, SETTINGS, model)
    assert [failure.frame.name for failure in unread] == ["broken"]
    lines = [json.loads(line) for line in questions.read_text().splitlines()]
    assert [line["custom_id"] for line in lines] == [*asked][:8]
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    assert lines[0]["body"]["model"] == "a/model"

    write_answers(questions, answers, lambda number: "too dark" if number == 2 else completion())
    read = SETTINGS.model_copy(update={"answers": answers})
    done = caption_frames(frames, read, tmp_path / "records", {})
    assert len(done.captions) == 7
    assert "too dark" in done.failures["frame_2"]
    answers.unlink()
    # What was answered is kept; what was not is to be asked again.
    again = caption_frames(frames, SETTINGS, tmp_path / "records", {})
    assert again.captions == done.captions
    assert "--write-batch" in again.failures["frame_2"]


def test_a_batch_needs_a_model_s_name(frames, tmp_path):
    with pytest.raises(HdrgenError, match=r"caption\.model: is not set"):
        caption_frames(frames, CaptionSettings(captioner="batch"), tmp_path, {})


@pytest.mark.parametrize("tone_map", ["fusion", "reinhard", "log", "clip"])
def test_the_picture_is_small_and_only_clip_loses_the_highlights(tone_map):
    linear = np.full((60, 200, 3), 0.02, np.float32)
    linear[:, 100:] = 40.0
    linear[20:40, 140:160] = 4.0
    code8 = caption_code8(linear, CaptionPicture(tone_map=tone_map, longest_side=100)).astype(int)
    assert code8.shape == (30, 100, 3)
    dark, bright, less_bright = code8[15, 20, 1], code8[3, 80, 1], code8[15, 75, 1]
    assert bright > dark + 60
    assert (bright - less_bright > 12) == (tone_map != "clip")


def test_the_request_shows_that_picture(frames):
    asked = SETTINGS.ask(frames[0])
    url = asked.messages[0]["content"][0]["image_url"]["url"]
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    expected = caption_code8(frames[0].linear_awg4(), SETTINGS.picture)
    assert np.abs(shown[..., ::-1].astype(int) - expected).mean() < 3


def test_files_are_known_by_their_content(frames, tmp_path):
    copy = tmp_path / "copy.exr"
    copy.write_bytes(frames[0].path.read_bytes())
    one, other, different, gone = frames_in_files(
        [frames[0].path, copy, frames[1].path, tmp_path / "missing.exr"]
    )
    assert one.content == other.content != different.content
    assert gone.description is None


def index_of(frames, folder):
    rows = []
    for frame in frames:
        luminance = awg4_luminance(frame.linear_awg4())
        light = luminance_percentiles(luminance) | {"fingerprint": fingerprint(luminance)}
        rows.append(
            {"frame": frame.name, "file": frame.path.name, "description": None, "quarantine_reason": None}
            | light
        )
    pl.DataFrame(
        rows, schema_overrides={"description": pl.String, "quarantine_reason": pl.String}
    ).write_parquet(folder / "index.parquet")


def test_the_command_describes_files_and_indexes_alike(cli, frames, tmp_path):
    files = cli("caption", *(frame.path for frame in frames), "-o", tmp_path / "a.jsonl")
    assert files.code == 0
    index_of(frames, tmp_path)
    folder = cli("caption", tmp_path, "-o", tmp_path / "b.jsonl", "--json")
    assert folder.code == 0
    assert json.loads(folder.out)["captions"] == 8
    a, b = (
        [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()] for name in "ab"
    )
    assert [line["caption"] for line in a] == [line["caption"] for line in b]
    assert [line["frame"] for line in b] == [frame.name for frame in frames]


@pytest.mark.usefixtures("frames")
def test_the_command_goes_on_after_a_broken_frame_and_exits_1(cli, endpoint, tmp_path):
    broken = tmp_path / "broken.exr"
    broken.write_bytes(b"v/1\x01 nothing")
    command = ["caption", tmp_path, "-o", tmp_path / "captions.jsonl", "--endpoint", endpoint.url, "--json"]
    done = cli(*command)
    assert done.code == 1
    assert "broken.exr" in done.err
    assert len((tmp_path / "captions.jsonl").read_text().splitlines()) == 8
    facts = json.loads(done.out)
    assert facts["sources"] == {"openai": 8}
    assert [*facts["failures"]] == [str(broken)]
    broken.unlink()
    assert cli(*command).code == 0
    assert endpoint.requests == 8


@pytest.mark.usefixtures("frames")
def test_the_command_writes_and_reads_batches(cli, completion, tmp_path):
    captions, questions, answers = (
        tmp_path / f"{name}.jsonl" for name in ("captions", "questions", "answers")
    )
    options = ["caption", tmp_path, "-o", captions, "--model", "a/model"]
    asked = cli(*options, "--write-batch", questions)
    assert asked.code == 0
    assert "8 questions" in asked.out
    assert "vllm run-batch -i" in asked.err
    write_answers(questions, answers, lambda number: "no" if number == 3 else completion())
    assert cli(*options, "--read-batch", answers).code == 1
    cli(*options, "--write-batch", questions)
    assert len(questions.read_text().splitlines()) == 1
    write_answers(questions, answers, lambda _: completion())
    assert cli(*options, "--read-batch", answers).code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "Qwen/Qwen3-VL-4B-Instruct"), "no model is asked: give --captioner vllm"),
        (("--write-batch", "q.jsonl", "--read-batch", "a.jsonl"), "one at a time"),
        (("--read-batch", "a.jsonl", "--captioner", "vllm"), "leave --captioner out"),
    ],
)
def test_options_that_would_do_nothing_are_refused(cli, tmp_path, options, said):
    done = cli("caption", tmp_path, "-o", tmp_path / "c.jsonl", *options)
    assert done.code == 2
    assert said in done.err


@pytest.mark.usefixtures("frames")
def test_the_command_without_an_output_or_a_server_is_one_line(cli, tmp_path):
    assert "-o captions.jsonl" in cli("caption", tmp_path).err
    done = cli("caption", tmp_path, "-o", tmp_path / "c.jsonl", "--endpoint", "http://127.0.0.1:9/v1")
    assert done.code == 2
    assert "vllm serve" in done.err
    assert len(done.err.splitlines()) == 1


def test_figures_count_sources_contradictions_and_tags(endpoint, frames, tmp_path):
    endpoint.behave = lambda times: 500 if times == 0 else "half an answer" if times == 1 else "well"
    served = {"urls": [endpoint.url], "longest_wait_s": 0.01}
    settings = CaptionSettings.model_validate({"captioner": "openai", "openai": served})
    done = caption_frames(frames, settings, tmp_path, {})
    figures = caption_figures(done)
    assert figures["sources"] == {"openai": 8}
    assert (figures["retried"], figures["invalid"]) == (8, 8)
    assert (figures["prompt_tokens"], figures["completion_tokens"]) == (800, 160)
    assert figures["words"]["mean"] == 12
    # The stub says night of everything; frames 5 to 7 are bright.
    assert figures["contradictions"]["night on a bright sky"] == 3
    assert figures["contradicted_share"] == 3 / 8
    assert figures["frames_per_second"] > 0
    write_tag_frequencies(tmp_path / "tags.tsv", done.captions.values())
    assert (tmp_path / "tags.tsv").read_text() == "tag\tframes\ninterior\t8\nlamp\t8\n"
    rows = caption_examples([*done.captions.values()], 5)
    assert len({row.frame for row in rows}) == 5
    assert {row.frame for row in rows[:2]} == {"frame_5", "frame_6"}
    assert len(caption_examples([*done.captions.values()], 10)) == 8
