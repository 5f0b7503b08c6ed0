"""Many tasks of three phases: what overlaps, how much is held at a time, and what becomes of errors."""

import threading

import pytest

from hdrgen.runtime.overlap import ReadComputeWrite, finish, overlappable, overlapped

PATIENCE_S = 20.0


@overlappable
def doubled(number: int, log: list[str]) -> ReadComputeWrite[int]:
    """Return twice the number."""
    log.append(f"read {number}")
    yield
    log.append(f"work {number}")
    yield
    log.append(f"write {number}")
    return 2 * number


def test_a_call_runs_all_phases():
    log = []
    assert doubled(3, log) == 6
    assert log == ["read 3", "work 3", "write 3"]
    assert doubled.__doc__ == "Return twice the number."


def test_outcomes_come_in_order_and_each_task_runs_its_phases_in_order():
    log = []
    assert [future.result() for future in overlapped(doubled.task(n, log) for n in range(9))] == list(
        range(0, 18, 2)
    )
    for n in range(9):
        assert [line for line in log if line.endswith(f" {n}")] == [f"read {n}", f"work {n}", f"write {n}"]
    assert [line for line in log if line.startswith("work")] == [f"work {n}" for n in range(9)]


def test_the_next_is_read_and_the_former_written_while_one_is_worked_on():
    """Nobody would go on if the three were not under way at the same time."""
    together = threading.Barrier(3, timeout=PATIENCE_S)

    def task(number: int) -> ReadComputeWrite[int]:
        if number == 2:
            together.wait()
        yield
        if number == 1:
            together.wait()
        yield
        if number == 0:
            together.wait()
        return number

    assert [future.result() for future in overlapped(map(task, range(3)))] == [0, 1, 2]


def test_only_one_is_in_each_phase_however_slow_writing_is():
    under_way, most = set(), 0

    def task(number: int) -> ReadComputeWrite[None]:
        nonlocal most
        under_way.add(number)
        yield
        most = max(most, len(under_way))
        yield
        threading.Event().wait(0.01)
        under_way.remove(number)

    for future in overlapped(map(task, range(20))):
        future.result()
    assert most <= 3
    assert not under_way


@pytest.mark.parametrize("failing_phase", range(3))
def test_an_error_is_its_own_tasks_alone(failing_phase):
    def task(number: int) -> ReadComputeWrite[int]:
        for phase in range(3):
            if number == 1 and phase == failing_phase:
                raise ValueError("the second")
            if phase < 2:
                yield
        return number

    first, second, third = overlapped(map(task, range(3)))
    assert (first.result(), third.result()) == (0, 2)
    with pytest.raises(ValueError, match="the second"):
        second.result()


def test_a_task_may_end_early():
    def task(number: int) -> ReadComputeWrite[int]:
        if number % 2:
            return -number
        yield
        yield
        return number

    assert [future.result() for future in overlapped(map(task, range(5)))] == [0, -1, 2, -3, 4]


def test_an_interruption_lets_what_is_being_written_finish_and_starts_nothing_new():
    started, written = [], []

    def task(number: int) -> ReadComputeWrite[None]:
        started.append(number)
        yield
        if number == 1:
            raise KeyboardInterrupt
        yield
        threading.Event().wait(0.05)
        written.append(number)

    with pytest.raises(KeyboardInterrupt):
        list(overlapped(map(task, range(9))))
    assert written == [0]
    assert started == [0, 1, 2]


def test_finish_goes_on_where_a_task_is():
    log = []
    task = doubled.task(1, log)
    next(task)
    assert finish(task) == 2
    assert log == ["read 1", "work 1", "write 1"]
