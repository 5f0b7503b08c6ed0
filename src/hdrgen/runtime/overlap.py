"""Many pictures at once: while one is computed, the next is read and the one before is written.

Reading and writing leave cores idle that computing can use. No more than three pictures are held at a time, one in each
phase, however many there are.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
ValueT = TypeVar("ValueT")

ReadComputeWrite = Generator[None, None, ValueT]
"""Reads, yields, computes, yields, writes, and returns its result; or returns earlier, where there is less to do."""


def finish(task: ReadComputeWrite[ValueT]) -> ValueT:
    """Run the phases of a task that are left and return its result."""
    while True:
        try:
            next(task)
        except StopIteration as stop:
            return stop.value


class overlappable(Generic[P, ValueT]):  # noqa: N801 - a decorator
    """Make an ordinary function of a generator function of three phases.

    A call of the function runs all phases. Its attribute ``task`` is the generator function itself, for `overlapped`.
    """

    def __init__(self, task: Callable[P, ReadComputeWrite[ValueT]]) -> None:
        self.task = task
        update_wrapper(self, task)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> ValueT:
        """Run all phases and return the result."""
        return finish(self.task(*args, **kwargs))


def overlapped(tasks: Iterable[ReadComputeWrite[ValueT]]) -> Iterator[Future[ValueT]]:
    """Run many tasks: the next one's reading and the former one's writing in threads of their own.

    Yields
    ------
    Future
        Done, one for each task, in the order of the tasks; an error of one is in its future, and the others go on.
    """
    remaining = iter(tasks)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:

        def read() -> tuple[ReadComputeWrite[ValueT], Future[Future[ValueT] | None]] | None:
            task = next(remaining, None)
            return None if task is None else (task, reader.submit(_next_phase, task))

        writing: Future[ValueT] | None = None
        ahead = read()
        while ahead:
            task, reading = ahead
            ended = reading.result()
            ahead = read()
            ended = ended or _next_phase(task)
            if writing:
                wait([writing])
                yield writing
            writing = ended or writer.submit(finish, task)
        if writing:
            wait([writing])
            yield writing


def _next_phase(task: ReadComputeWrite[ValueT]) -> Future[ValueT] | None:
    """Run one phase; return how the task ended, None while it goes on."""
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
