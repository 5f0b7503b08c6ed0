"""Captions from a served model: any OpenAI-compatible endpoint, `vllm serve` on one machine or on many."""

import json
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from queue import SimpleQueue
from typing import Any, Self
from urllib.parse import urljoin

import httpx2 as httpx
from pydantic import Field
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)

from hdrgen.dataset.captions.answer import CutOff, InvalidAnswer
from hdrgen.dataset.captions.captioner import Answered, Outcome, Unanswered, answered
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.request import Model, Questions, Request
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.scheduling import cores

API_KEY = "HDRGEN_API_KEY"
"""Environment variable of the endpoint's key, which belongs in no file."""
_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_ASKED_AHEAD = 2
_REFUSAL_MAX = 300


class EndpointSettings(Section):
    """Where the model is served, and with how much patience it is asked."""

    urls: tuple[str, ...] = Field(("http://127.0.0.1:8000/v1",), min_length=1)
    """Addresses of servers of one model; frames are dealt out among them. A key stands in $HDRGEN_API_KEY."""
    concurrency: int = Field(32, ge=1)
    """Requests under way at the same time."""
    timeout_s: float = Field(120.0, gt=0)
    """Seconds that a server may be silent."""
    attempts: int = Field(5, ge=1)
    """Attempts for each frame, where another can help: overload, lost connections, answers of no use."""
    longest_wait_s: float = Field(30.0, ge=0)
    """Longest wait between two attempts in seconds; waits double up to it."""


class _Transient(Exception):  # noqa: N818 - no error yet
    """A failure that another attempt may mend."""

    def __init__(self, reason: str, *, after_s: float = 0.0, invalid: bool = False) -> None:
        super().__init__(reason)
        self.after_s, self.invalid = after_s, invalid


class Endpoint:
    """Asks served models, many frames at once, one thread for each request under way.

    Parameters
    ----------
    questions
        What is asked.
    settings
        Where, and with how much patience.
    model
        Name of the model; None takes the only one that is served.
    revision
        Of the model. A server does not tell it, so it is believed.

    Raises
    ------
    HdrgenError
        A server cannot be reached or does not serve the model.
    """

    source = "openai"

    def __init__(
        self, questions: Questions, settings: EndpointSettings, model: str | None, revision: str | None
    ) -> None:
        self._questions, self._settings = questions, settings
        key = os.environ.get(API_KEY)
        self._client = httpx.Client(
            timeout=settings.timeout_s,
            limits=httpx.Limits(
                max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency
            ),
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )
        self._urls = [url.rstrip("/") for url in settings.urls]
        # As many frames in memory as there are cores to work on them; the others wait for their turn.
        self._eyes = threading.BoundedSemaphore(cores())
        self._stopped = threading.Event()
        self._lost_in_a_row = 0
        served = {self._served(url, model) for url in self._urls}
        if len(served) > 1:
            raise HdrgenError(
                f"{', '.join(self._urls)}: serve different models or versions; set caption.model"
            )
        name, engine = served.pop()
        self.model = Model(name, revision, engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def answers(self, frames: Iterable[Frame]) -> Iterator[Outcome]:
        """Yield one outcome for each frame, as they come."""
        self._stopped = threading.Event()
        finished: SimpleQueue[Future[Outcome]] = SimpleQueue()
        numbered = enumerate(frames)
        with ThreadPoolExecutor(self._settings.concurrency) as pool:
            try:
                under_way = 0
                while True:
                    for number, frame in islice(
                        numbered, self._settings.concurrency * _ASKED_AHEAD - under_way
                    ):
                        pool.submit(self._outcome, number, frame).add_done_callback(finished.put)
                        under_way += 1
                    if not under_way:
                        return
                    outcome = finished.get().result()
                    under_way -= 1
                    yield outcome
            finally:  # also when nobody listens any more
                self._stopped.set()
                pool.shutdown(cancel_futures=True)

    def _outcome(self, number: int, frame: Frame) -> Outcome:
        try:
            with self._eyes:
                request = self._questions.ask(frame)
            return self._answered(number, request)
        except HdrgenError as error:
            return Unanswered(frame, str(error))

    def _answered(self, number: int, request: Request) -> Answered:
        """Ask until there is an answer, the attempts are used up, or nobody listens any more."""
        body = json.dumps(self._questions.body(request, self.model)).encode()
        failures: list[_Transient] = []

        def attempt() -> Answered:
            if self._stopped.is_set():
                raise HdrgenError("was not asked: the endpoint has stopped answering")
            try:
                # Another server, where there is one, need not fail as well.
                completion = self._post(self._urls[(number + len(failures)) % len(self._urls)], body)
                return answered(request.frame, request.light, completion, self._questions.answer_model)
            except CutOff:
                raise
            except InvalidAnswer as error:
                failures.append(_Transient(str(error), invalid=True))
                raise failures[-1] from None
            except _Transient as failure:
                failures.append(failure)
                raise

        attempts = Retrying(
            retry=retry_if_exception_type(_Transient),
            stop=stop_after_attempt(self._settings.attempts) | stop_when_event_set(self._stopped),
            wait=self._wait_s,
            sleep=sleep_using_event(self._stopped),
            reraise=True,
        )
        try:
            done = attempts(attempt)
        except _Transient as failure:
            raise HdrgenError(f"{failure} ({len(failures)} attempts)") from None
        invalid = sum(failure.invalid for failure in failures)
        return replace(done, retries=len(failures), invalid=invalid)

    def _wait_s(self, state: RetryCallState) -> float:
        """Return how long to wait: what the server says, else twice as long each time, drawn so as not to meet."""
        failure = state.outcome.exception() if state.outcome else None
        after_s = failure.after_s if isinstance(failure, _Transient) else 0.0
        return min(max(after_s, _WAIT(state)), self._settings.longest_wait_s)

    def _post(self, url: str, body: bytes) -> Any:
        """Return a completion.

        Raises
        ------
        _Transient
            No answer, overload, or half of an answer.
        HdrgenError
            The server refuses, and would refuse again.
        """
        try:
            response = self._client.post(
                f"{url}/chat/completions", content=body, headers={"Content-Type": "application/json"}
            )
        except httpx.RequestError as error:
            self._count_lost()
            raise _Transient(f"{url}: {_reason(error)}") from None
        self._lost_in_a_row = 0
        if response.status_code in _TRANSIENT_STATUS:
            raise _Transient(_refusal(url, response), after_s=_retry_after_s(response))
        if response.status_code != httpx.codes.OK:
            raise HdrgenError(_refusal(url, response))
        try:
            return response.json()
        except ValueError:
            raise _Transient(f"{url}: answered with half a JSON", invalid=True) from None

    def _count_lost(self) -> None:
        """Stop asking when nobody has answered for as long as it takes every request under way to give up."""
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= self._settings.attempts * self._settings.concurrency:
            self._stopped.set()

    def _served(self, url: str, model: str | None) -> tuple[str, str]:
        """Return the name of the model to ask for, and the engine with its version."""
        try:
            response = self._client.get(f"{url}/models")
            names = [served["id"] for served in response.raise_for_status().json()["data"]]
        except httpx.HTTPStatusError as error:
            raise HdrgenError(
                f"{_refusal(url, error.response)}; set caption.openai.urls and ${API_KEY}"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HdrgenError(
                f"{url}: {_reason(error)}; start `vllm serve` there or set caption.openai.urls"
            ) from None
        except (ValueError, LookupError, TypeError):
            raise HdrgenError(
                f"{url}: is no OpenAI-compatible endpoint; its address usually ends in /v1"
            ) from None
        if model is None and len(names) == 1:
            model = names[0]
        if model is None or model not in names:
            raise HdrgenError(f"{url}: serves {', '.join(names)}; set caption.model to one of them")
        return model, self._engine(url)

    def _engine(self, url: str) -> str:
        """Return the engine with its version, which vLLM tells beside the endpoint."""
        try:
            version = self._client.get(urljoin(url, "/version")).raise_for_status().json()["version"]
        except (httpx.HTTPError, ValueError, LookupError, TypeError):
            return "openai"
        return f"vllm {version}"


_WAIT = wait_random_exponential(multiplier=0.5)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}" + (f" ({error})" if str(error) else "")


def _refusal(url: str, response: httpx.Response) -> str:
    """Return what a server said against a request, in one line."""
    try:
        body = response.json()
        for name in ("error", "message"):
            body = body.get(name, body) if isinstance(body, dict) else body
        text = str(body)
    except ValueError:
        text = response.text
    return f"{url}: HTTP {response.status_code} {' '.join(text.split())[:_REFUSAL_MAX]}".strip()


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:  # a date
        return 0.0
