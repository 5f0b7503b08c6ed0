"""The one question that every model is asked about a frame, wherever the model runs."""

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import Field

from hdrgen.dataset.captions.answer import Answer, AnswerLimits
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.light import MeasuredLight
from hdrgen.dataset.captions.picture import CaptionPicture, caption_code8, jpeg
from hdrgen.runtime.params import Section

PROMPT = (
    "Describe this frame for training a text-to-image model on film footage. Name the subject, the place, the time of "
    "day, every light source with its quality (hard or soft, colour, direction, whether it is in the picture), the "
    "contrast, and the lens if depth of field or perspective tell it. Say only what can be seen. Do not mention "
    "exposure values, tone mapping or the camera brand."
)
_REQUEST_VERSION = 1
"""Raised when the same settings ask something else."""


class Sampling(Section):
    """How an answer is drawn: greedily, so that a question has one answer."""

    max_tokens: int = Field(1024, ge=16)
    """Tokens after which an answer is cut off, and then refused."""
    seed: int = 0
    """Seed of what little chance is left."""


@dataclass(frozen=True)
class Model:
    """Who answers: the name that the engine knows it by, its revision, and the engine with its version."""

    name: str
    revision: str | None
    engine: str


@dataclass(frozen=True)
class Request:
    """One question: the frame, its light, and an OpenAI chat completion's ``messages``."""

    frame: Frame
    light: MeasuredLight
    messages: list[dict[str, Any]]


class Questions(Section):
    """What is asked: picture, words, the shape of the answer, and how it is drawn."""

    picture: CaptionPicture = CaptionPicture()
    """How the model sees a frame."""
    prompt: str = PROMPT
    """What a model is asked; the measured light follows in figures."""
    limits: AnswerLimits = AnswerLimits()
    """How long an answer may be; a model is held to it by its JSON schema."""
    sampling: Sampling = Sampling()
    """How an answer is drawn."""

    @cached_property
    def answer_model(self) -> type[Answer]:
        """What an answer is checked by."""
        return self.limits.model()

    @cached_property
    def answer_schema(self) -> dict[str, Any]:
        """JSON schema that an answer must keep to."""
        return self.answer_model.model_json_schema()

    def key(self, frame: Frame, model: Model) -> str:
        """Return the name of an answer: 64 hexadecimal digits of all that decides it."""
        decides = [
            _REQUEST_VERSION,
            frame.content,
            self.picture.model_dump(),
            self.prompt,
            self.answer_schema,
            self.sampling.model_dump(),
            model.name,
            model.revision,
            model.engine,
        ]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def ask(self, frame: Frame) -> Request:
        """Read a frame and make its question.

        Raises
        ------
        HdrgenError
            The frame cannot be read.
        """
        linear_awg4 = frame.linear_awg4()
        light = frame.measured(linear_awg4)
        picture = jpeg(caption_code8(linear_awg4, self.picture), self.picture.jpeg_quality)
        url = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": f"{self.prompt.strip()}\n\n{light.facts}"},
        ]
        return Request(frame, light, [{"role": "user", "content": content}])

    def body(self, request: Request, model: Model) -> dict[str, Any]:
        """Return the body of an OpenAI chat completion."""
        return {
            "model": model.name,
            "messages": request.messages,
            "temperature": 0,
            "seed": self.sampling.seed,
            "max_tokens": self.sampling.max_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "caption", "schema": self.answer_schema, "strict": True},
            },
        }
