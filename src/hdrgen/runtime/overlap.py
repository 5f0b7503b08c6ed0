"""Many pictures at once: while one is worked on, the next is read and the one before is written.

Reading and writing leave cores idle that the work in between can use. No more than three pictures are held at a
time, one in each step, however many there are.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
ValueT = TypeVar("ValueT")

Steps = Generator[None, None, ValueT]
"""Reads, yields, works, yields, writes, and returns what was done; or returns earlier, if there is less to do."""


def finish(task: Steps[ValueT]) -> ValueT:
    """Take the steps that are left and return what was done."""
    while True:
        try:
            next(task)
        except StopIteration as stop:
            return stop.value


class in_steps(Generic[P, ValueT]):  # noqa: N801 - a decorator
    """Make of a generator of `Steps` a function that takes them all; its generator stays at hand as ``steps``."""

    def __init__(self, steps: Callable[P, Steps[ValueT]]) -> None:
        self.steps = steps
        update_wrapper(self, steps)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> ValueT:
        """Take all steps and return what was done."""
        return finish(self.steps(*args, **kwargs))


def overlapped(tasks: Iterable[Steps[ValueT]]) -> Iterator[Future[ValueT]]:
    """Take the steps of many tasks: the next task's first and the former one's last in threads of their own.

    Yields
    ------
    Future
        Done, one for each task, in the order of the tasks; an error of one is in its future, and the others go on.
    """
    remaining = iter(tasks)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:

        def read() -> tuple[Steps[ValueT], Future[Future[ValueT] | None]] | None:
            task = next(remaining, None)
            return None if task is None else (task, reader.submit(_step, task))

        writing: Future[ValueT] | None = None
        ahead = read()
        while ahead:
            task, reading = ahead
            ended = reading.result()
            ahead = read()
            ended = ended or _step(task)
            if writing:
                wait([writing])
                yield writing
            writing = ended or writer.submit(finish, task)
        if writing:
            wait([writing])
            yield writing


def _step(task: Steps[ValueT]) -> Future[ValueT] | None:
    """Take one step; return how the task ended, None while it goes on."""
    end: Future[ValueT] = Future()
    try:
        next(task)
    except StopIteration as stop:
        end.set_result(stop.value)
    except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
        end.set_exception(error)
    else:
        return None
    return end
