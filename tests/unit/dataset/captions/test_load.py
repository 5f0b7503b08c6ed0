"""Thousands of frames through an endpoint: none lost, memory flat, and as many asked at once as may be."""

import json
import multiprocessing
import threading
from dataclasses import replace
from urllib.request import urlopen

import psutil
import pytest

from hdrgen.dataset.captions.captioning import CaptionSettings, caption_frames
from hdrgen.dataset.captions.endpoint import EndpointSettings

COUNT, CONCURRENCY = 2000, 64


@pytest.fixture
def url(serve):
    """Serve from another process, which does not share the interpreter's lock."""
    context = multiprocessing.get_context("fork")
    said = context.Queue()

    def work():
        said.put(serve(together=CONCURRENCY).url)
        threading.Event().wait()

    process = context.Process(target=work, daemon=True)
    process.start()
    yield said.get(timeout=30)
    process.kill()
    process.join()


def test_no_frame_is_lost_and_memory_is_flat(url, frames, tmp_path):
    many = [replace(frames[n % 8], name=f"{n:04}", content=f"{n}") for n in range(COUNT)]
    settings = CaptionSettings(
        captioner="openai", openai=EndpointSettings(urls=(url,), concurrency=CONCURRENCY)
    )
    memory = []

    def watch(done, _total):
        if done % 250 == 0:
            memory.append(psutil.Process().memory_info().rss / 2**20)

    done = caption_frames(many, settings, tmp_path / "records", {}, watch)
    assert len(done.captions) == COUNT
    assert not done.failures
    assert len([*(tmp_path / "records").glob("??/*.json")]) == COUNT
    # What stays of a frame is its answer: less than ten kilobytes.
    assert memory[-1] - memory[1] < 10 / 1024 * (COUNT - 500), f"MiB: {memory}"
    # As many questions wait for their answers as were allowed to, and never more.
    with urlopen(f"{url}/most_at_once") as answer:
        assert json.load(answer) == {"requests": CONCURRENCY}
