"""The real vLLM engine on a CPU describes frames with a tiny Qwen3-VL of random weights: `make test-vllm`.

Random weights write nonsense, which is the hardest test of an answer that must be valid all the same.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

pytest.importorskip("vllm", reason="vLLM has an environment of its own: make test-vllm")

from tiny_qwen3_vl import write_tiny_qwen3_vl

from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.captions.batch_files import batch_model, write_batch
from hdrgen.dataset.captions.captioner import Answered, Unanswered
from hdrgen.dataset.captions.captioning import CaptionSettings, caption_frames
from hdrgen.dataset.captions.endpoint import Endpoint
from hdrgen.dataset.captions.engine import STRUCTURED_OUTPUTS, Engine
from hdrgen.dataset.captions.frames import Frame
from hdrgen.images.exr import write_exr
from hdrgen.runtime.metrics_file import write_metrics

COUNT = 32
# Logits of random weights tie in bf16, and then the sums of a larger batch decide.
OPTIONS = {"dtype": "float32", "enforce_eager": True, "max_num_seqs": 8, "kv_cache_memory_bytes": 64 << 20}
SMALL = {
    "prompt": "Describe this frame.",
    "picture": {"tone_map": "reinhard", "longest_side": 256},
    "limits": {"caption_characters": 24, "phrase_characters": 8, "tags": 1, "light_sources": 1},
    "sampling": {"max_tokens": 250},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny_qwen3_vl")
    write_tiny_qwen3_vl(folder)
    return str(folder)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Return frames that differ as much as pictures can."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    made = []
    for number in range(COUNT):
        grain = 2 ** rng.integers(5)
        noise = np.exp2(rng.normal(rng.uniform(-5, 1), 2, (48 // grain, 80 // grain, 3)))
        linear = np.kron(noise, np.ones((grain, grain, 1))) * rng.uniform(0.2, 1, 3)
        path = folder / f"frame_{number:02}.exr"
        write_exr(path, np.ascontiguousarray(linear, np.float32), chromaticities=AWG4)
        made.append(Frame(path.stem, path, path.stem))
    return made


def settings(checkpoint, **changes):
    vllm = {"chunk": COUNT, "max_model_len": 1024, "options": OPTIONS}
    return CaptionSettings.model_validate(
        SMALL | {"captioner": "vllm", "model": checkpoint, "vllm": vllm} | changes
    )


@pytest.fixture(scope="module")
def engine(checkpoint):
    asked = settings(checkpoint)
    return Engine(asked, asked.vllm, asked.model, None)


@pytest.fixture(scope="module")
def in_a_batch(engine, frames):
    return [*engine.answers(frames)]


def test_in_process_every_answer_keeps_to_the_schema(in_a_batch, frames):
    assert [type(outcome) for outcome in in_a_batch] == [Answered] * COUNT
    assert [outcome.frame for outcome in in_a_batch] == frames
    assert all(outcome.completion_tokens > 0 for outcome in in_a_batch)


def test_different_pictures_give_different_answers(in_a_batch):
    assert len({outcome.answer for outcome in in_a_batch}) > COUNT // 4


def test_in_a_batch_or_one_by_one_is_the_same(engine, in_a_batch, frames):
    alone = [outcome for frame in frames for outcome in engine.answers([frame])]
    assert alone == in_a_batch


def test_a_broken_frame_and_one_that_the_engine_refuses_fail_alone(engine, in_a_batch, frames, tmp_path):
    broken, line = tmp_path / "broken.exr", tmp_path / "line.exr"
    broken.write_bytes(frames[0].path.read_bytes()[:300])
    write_exr(line, np.full((1, 1000, 3), 0.18, np.float32), chromaticities=AWG4)
    odd = [Frame(path.stem, path, path.stem) for path in (broken, line)]
    outcomes = {outcome.frame.name: outcome for outcome in engine.answers([*frames[:3], *odd, *frames[3:5]])}
    assert [outcomes[frame.name] for frame in frames[:5]] == in_a_batch[:5]
    assert isinstance(outcomes["broken"], Unanswered)
    assert "broken.exr" in outcomes["broken"].reason
    assert isinstance(outcomes["line"], Unanswered)
    assert "vLLM refuses it" in outcomes["line"].reason


def test_killed_half_way_and_continued_nothing_is_asked_twice(checkpoint, frames, tmp_path):
    count, records = 12, tmp_path / "records"
    write_metrics(tmp_path / "params.yaml", {"caption": settings(checkpoint, vllm={
        "chunk": 2, "max_model_len": 1024, "options": OPTIONS,
    }).model_dump(mode="json")})  # JSON is YAML  # fmt: skip
    command = [
        *(
            sys.executable,
            "-c",
            "import sys; from hdrgen.cli import run; sys.exit(run(sys.argv[1:]))",
            "caption",
        ),
        *(str(frame.path) for frame in frames[:count]),
        *(
            "-o",
            str(tmp_path / "captions.jsonl"),
            "--params",
            str(tmp_path / "params.yaml"),
            "--records",
            str(records),
        ),
    ]

    def kept():
        # A killed process may leave a temporary file beside the whole ones.
        whole = (path for path in records.glob("??/*.json") if not path.name.startswith("."))
        return {path: path.stat().st_mtime_ns for path in whole}

    with subprocess.Popen(command) as process:
        while len(kept()) < 4 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    before = kept()
    assert 4 <= len(before) < count
    assert not (tmp_path / "captions.jsonl").exists()
    assert subprocess.run(command, check=False).returncode == 0
    after = kept()
    assert len(after) == count
    assert before.items() <= after.items(), "an answer that was there was asked for again"
    assert len((tmp_path / "captions.jsonl").read_text().splitlines()) == count


@pytest.fixture(scope="module")
def served(checkpoint):
    """Return the address of `vllm serve`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", checkpoint),
        *("--host", "127.0.0.1", "--port", str(port)),
        *engine_options(),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(1200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, "the server ended"
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(60)


def engine_options():
    return [
        *(
            "--dtype",
            "float32",
            "--max-model-len",
            "1024",
            "--max-num-seqs",
            "8",
            "--enforce-eager",
            "--seed",
            "0",
        ),
        *("--kv-cache-memory-bytes", str(64 << 20), "--limit-mm-per-prompt", '{"image": 1, "video": 0}'),
        *("--structured-outputs-config", json.dumps(STRUCTURED_OUTPUTS)),
    ]


def test_served_every_answer_keeps_to_the_schema_and_is_kept_for_the_engine_in_process(
    served, checkpoint, frames, tmp_path
):
    endpoint = {"urls": [served], "concurrency": 8, "attempts": 1}
    asked = settings(checkpoint, captioner="openai", openai=endpoint)
    done = caption_frames(frames, asked, tmp_path, {})
    assert done.failures == {}
    assert len(done.captions) == COUNT
    assert all(record.retries == record.invalid == 0 for record in done.records.values())
    # The same model in the same version of vLLM, so nothing is left to ask in process: no engine is started.
    assert caption_frames(frames, settings(checkpoint), tmp_path, {}).captions == done.captions


def test_served_a_picture_that_is_refused_is_not_asked_about_again(served, checkpoint, frames, tmp_path):
    line = tmp_path / "line.exr"
    write_exr(line, np.full((1, 1000, 3), 0.18, np.float32), chromaticities=AWG4)
    asked = settings(checkpoint, openai={"urls": [served], "concurrency": 2, "attempts": 3})
    with Endpoint(asked, asked.openai, None, None) as endpoint:
        outcomes = {o.frame.name: o for o in endpoint.answers([frames[0], Frame("line", line, "line")])}
    assert isinstance(outcomes["frame_00"], Answered)
    assert "HTTP 400" in outcomes["line"].reason


def test_run_batch_answers_a_file_of_questions(checkpoint, frames, tmp_path):
    asked = settings(checkpoint, captioner="batch")
    questions, answers = tmp_path / "questions.jsonl", tmp_path / "answers.jsonl"
    model = batch_model(checkpoint, None)
    assert (
        write_batch(questions, {asked.key(frame, model): frame for frame in frames[:8]}, asked, model) == []
    )
    command = [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.run_batch",
        "-i",
        str(questions),
        "-o",
        str(answers),
    ]
    subprocess.run(
        [*command, "--model", checkpoint, *engine_options()], check=True, stdout=subprocess.DEVNULL
    )
    done = caption_frames(frames[:8], asked.model_copy(update={"answers": answers}), tmp_path / "records", {})
    assert done.failures == {}
    assert len(done.captions) == 8
    answers.unlink()
    assert caption_frames(frames[:8], asked, tmp_path / "records", {}).captions == done.captions
