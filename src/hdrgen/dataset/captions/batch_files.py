"""Questions and answers as files in the format of `vllm run-batch` and of OpenAI's batches: for clusters.

Each line is one question or its answer; ``custom_id`` is the key of its record.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hdrgen.dataset.captions.captioner import Outcome, Unanswered, answered
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.request import Model, Questions
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.progress import OnProgress

ENGINE = "vllm run-batch"


def batch_model(name: str | None, revision: str | None) -> Model:
    """Return who answers a batch; the version of what runs it is not known.

    Raises
    ------
    HdrgenError
        No model is given.
    """
    if name is None:
        raise HdrgenError("caption.model: is not set; name the vision-language model that runs the batch")
    return Model(name, revision, ENGINE)


def write_batch(
    path: Path,
    frames: Mapping[str, Frame],
    questions: Questions,
    model: Model,
    on_progress: OnProgress | None = None,
) -> list[Unanswered]:
    """Write a file of questions, one frame in memory at a time.

    Parameters
    ----------
    path
        Written whole or not at all.
    frames
        By the key of their record.
    questions, model
        What is asked, and of whom.
    on_progress
        Called with (frames done, frames in all).

    Returns
    -------
    list of Unanswered
        Frames that could not be read and are not in the file.
    """
    unread = []
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for done, (key, frame) in enumerate(frames.items(), 1):
            try:
                body = questions.body(questions.ask(frame), model)
            except HdrgenError as error:
                unread.append(Unanswered(frame, str(error)))
            else:
                line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            if on_progress:
                on_progress(done, len(frames))
    return unread


class BatchAnswers:
    """Reads answers from a file instead of asking.

    Parameters
    ----------
    questions
        What was asked.
    path
        What `vllm run-batch` wrote; None where nothing came back yet.
    model, revision
        Who was asked.

    Raises
    ------
    HdrgenError
        No model is given.
    """

    source = "batch"

    def __init__(
        self, questions: Questions, path: Path | None, model: str | None, revision: str | None
    ) -> None:
        self._questions, self._path = questions, path
        self.model = batch_model(model, revision)

    def answers(self, frames: Iterable[Frame]) -> Iterator[Outcome]:
        """Yield one outcome for each frame; a frame without a line has no answer.

        Raises
        ------
        HdrgenError
            The file cannot be read.
        """
        wanted = {self._questions.key(frame, self.model): frame for frame in frames}
        for key, line in self._lines():
            if (frame := wanted.pop(key, None)) is not None:
                yield self._outcome(frame, line)
        for frame in wanted.values():
            where = f"{self._path} holds no answer" if self._path else "caption.answers is not set"
            yield Unanswered(
                frame, f"{frame.path}: {where}; hdrgen caption --write-batch asks about what is missing"
            )

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._path is None:
            return
        try:
            with self._path.open(encoding="utf-8") as stream:
                for text in stream:
                    try:
                        line = json.loads(text)
                        yield line["custom_id"], line
                    except (ValueError, LookupError, TypeError):  # half a line of a run that was stopped
                        continue
        except OSError as error:
            raise HdrgenError(f"{self._path}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise HdrgenError(f"{self._path}: is no text") from None

    def _outcome(self, frame: Frame, line: dict[str, Any]) -> Outcome:
        response = line.get("response")
        if not isinstance(response, dict):
            response = {"body": response}
        if line.get("error") or response.get("status_code") != HTTPStatus.OK:
            reason = line.get("error") or response.get("body") or f"HTTP {response.get('status_code')}"
            return Unanswered(frame, f"{self._path}: {' '.join(str(reason).split())}")
        try:
            return answered(frame, frame.measured(), response.get("body"), self._questions.answer_model)
        except HdrgenError as error:
            return Unanswered(frame, str(error))
