"""What every captioner is: frames in, one outcome for each out, in the order they are finished."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from hdrgen.dataset.captions.answer import Answer, InvalidAnswer, read_answer
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.light import MeasuredLight
from hdrgen.dataset.captions.request import Model


@dataclass(frozen=True)
class Answered:
    """What a model said of a frame, and what it cost."""

    frame: Frame
    light: MeasuredLight
    answer: Answer
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    """Attempts before the one that was answered."""
    invalid: int = 0
    """Attempts before it whose answer was of no use."""


@dataclass(frozen=True)
class Unanswered:
    """A frame that got no caption, and why."""

    frame: Frame
    reason: str


Outcome = Answered | Unanswered


class Captioner(Protocol):
    """Somebody who can be asked about frames."""

    @property
    def source(self) -> str:
        """Kind of captioner."""
        ...

    @property
    def model(self) -> Model:
        """Who answers."""
        ...

    def answers(self, frames: Iterable[Frame]) -> Iterator[Outcome]:
        """Yield one outcome for each frame, taking frames no faster than they can be answered."""
        ...


def answered(frame: Frame, light: MeasuredLight, completion: Any, answer_model: type[Answer]) -> Answered:
    """Return what an OpenAI chat completion says of a frame.

    Raises
    ------
    InvalidAnswer
        It is no completion, or its answer is none, see `read_answer`.
    """
    try:
        choice, usage = completion["choices"][0], completion.get("usage") or {}
        text, finish_reason = choice["message"]["content"] or "", choice["finish_reason"]
        tokens = {name: int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")}
    except (LookupError, TypeError, ValueError, AttributeError):
        raise InvalidAnswer("something else than a completion was answered") from None
    return Answered(frame, light, read_answer(text, finish_reason, answer_model), **tokens)
