"""A frame that misbehaves costs only itself, and the order of results is the order of frames."""

import os
import threading

import pytest

from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.scheduling import cores, map_frames

LIMITS = {"workers": 2, "timeout_s": 5.0, "memory_bytes": 2**29}


def _square(x):
    return x * x


def _square_after_the_next(job):
    """Return the square of a number; an even one waits for the odd one after it, through the pipe of both."""
    number, pipe = job
    with pipe.open("wb" if number % 2 else "rb") as end:
        if not number % 2:
            end.read()
    return number * number


def _behave(kind):
    match kind:
        case "crash":
            os.abort()
        case "exit":
            os._exit(3)
        case "hang":
            threading.Event().wait()
        case "explode":
            return len(bytearray(2**31))
        case "refuse":
            raise HdrgenError("a.exr: is no picture")
        case "bug":
            raise ZeroDivisionError("oops")
    return kind


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_results_keep_the_order_of_items(tmp_path):
    progress = []
    jobs = [(number, tmp_path / f"{number // 2}") for number in range(40)]
    for _, pipe in jobs[::2]:
        os.mkfifo(pipe)
    patient = LIMITS | {"timeout_s": 60.0}  # a worker waits until there is another
    outcomes = list(
        map_frames(_square_after_the_next, jobs, **patient, on_progress=lambda *done: progress.append(done))
    )
    assert [outcome.value for outcome in outcomes] == [x * x for x in range(40)]
    assert progress[-1] == (40, 40)


def test_each_misbehaviour_costs_only_itself_and_is_explained():
    kinds = ["a", "crash", "b", "hang", "c", "explode", "refuse", "d", "bug", "exit", "e"]
    outcomes = list(map_frames(_behave, kinds, **LIMITS | {"timeout_s": 1.0}))
    reasons = {kind: outcome.failure for kind, outcome in zip(kinds, outcomes, strict=True)}
    assert reasons == {
        **dict.fromkeys("abcde"),
        "crash": "crashed its process (SIGABRT)",
        "hang": "took longer than 1 s",
        "explode": "needed more than 0.5 GiB of memory",
        "refuse": "a.exr: is no picture",
        "bug": "failed (ZeroDivisionError: oops)",
        "exit": "crashed its process (exit code 3)",
    }
    assert [outcome.value for outcome in outcomes if outcome.failure is None] == list("abcde")


def test_nothing_to_do_is_done_at_once():
    assert list(map_frames(_square, [], **LIMITS)) == []


def test_items_are_taken_as_they_are_needed():
    scheduled = []

    class Watched(list):
        def __iter__(self):
            for item in list.__iter__(self):
                scheduled.append(item)
                yield item

    outcomes = map_frames(_square, Watched(range(1000)), **LIMITS)
    next(outcomes)
    assert len(scheduled) <= 16
    outcomes.close()


def test_time_outs_are_told_from_other_failures():
    outcomes = list(map_frames(_behave, ["a", "hang", "refuse"], **LIMITS | {"timeout_s": 1.0}))
    assert [outcome.timed_out for outcome in outcomes] == [False, True, False]


def test_cores_are_counted_where_the_system_tells_of_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7


def test_callers_thread_settings_are_left_alone(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    list(map_frames(_square, [1], **LIMITS))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_workers_use_one_thread(name):
    (outcome,) = map_frames(os.getenv, [name], **LIMITS)
    assert outcome.value == "1"
