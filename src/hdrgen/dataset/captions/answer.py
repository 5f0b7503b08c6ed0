"""What is known about a frame in words: the JSON that a model must answer with, and what is made of it."""

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
)

from hdrgen.dataset.scene_description import TimeOfDay
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section

Text = Annotated[str, AfterValidator(lambda text: text.encode("utf-8", "replace").decode())]
"""Text that can be written: half a character out of a header or a file's name is a question mark."""

# `EV -2`, `(+1.5 EV)`, `2 stops underexposed`: such words steer an exposure in training.
_NUMBER = r"[-+\u2212]?\s*\d+(?:\.\d+)?"
_EXPOSURE = re.compile(
    rf"(?:\b(?:at|with|of) )?[(\[]?(?:\bEV\s*{_NUMBER}|(?<![\w.]){_NUMBER}\s*EV\b"
    rf"|(?<![\w.]){_NUMBER}[ -]stops? (?:over|under)\w*)[)\]]?",
    re.IGNORECASE,
)


class InvalidAnswer(HdrgenError):  # noqa: N818 - reads as what it says
    """An answer that is no description of a frame; the message says why."""


class CutOff(InvalidAnswer):
    """An answer that did not come to its end, and would not if it were asked for again."""


class Answer(BaseModel):
    """A frame in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field("", description="what the picture is of, in a few words")
    place: str = Field("", description="where it is, in a few words")
    time_of_day: TimeOfDay = "unknown"
    light_sources: tuple[str, ...] = Field(
        (), description="each light with its quality, such as: hard low sun from behind"
    )
    tags: tuple[str, ...] = Field((), description="one or two words each")
    caption: str = Field(
        description="one or two sentences with subject, place, time of day, light, contrast, lens"
    )


class AnswerLimits(Section):
    """How much a model may say. Without limits a small model goes on until it is cut off."""

    caption_characters: int = Field(600, ge=20)
    """Most characters of the caption."""
    phrase_characters: int = Field(80, ge=8)
    """Most characters of the subject, the place, a light source or a tag."""
    tags: int = Field(12, ge=1)
    """Most tags."""
    light_sources: int = Field(6, ge=1)
    """Most light sources."""

    def model(self) -> type[Answer]:
        """Return the answer within these limits; its JSON schema is what a model is held to, itself the check."""
        phrase = Annotated[str, StringConstraints(min_length=1, max_length=self.phrase_characters)]
        caption = Annotated[str, StringConstraints(min_length=1, max_length=self.caption_characters)]

        def field(name: str, **limits: int) -> object:
            return Field(description=Answer.model_fields[name].description, **limits)  # type: ignore[call-overload]

        return create_model(
            "Answer",
            __base__=Answer,
            subject=(phrase, field("subject")),
            place=(phrase, field("place")),
            time_of_day=(TimeOfDay, field("time_of_day")),
            light_sources=(
                tuple[phrase, ...],
                field("light_sources", min_length=1, max_length=self.light_sources),
            ),
            tags=(tuple[phrase, ...], field("tags", min_length=1, max_length=self.tags)),
            caption=(caption, field("caption")),
        )


def read_answer(text: str, finish_reason: str | None, model: type[Answer]) -> Answer:
    """Return a model's answer, checked and without words of exposure.

    Raises
    ------
    CutOff
        It did not come to its end.
    InvalidAnswer
        It is no JSON, does not keep to the schema, or says nothing.
    """
    if finish_reason != "stop":
        raise CutOff(
            f"the answer did not end ({finish_reason}); raise caption.sampling.max_tokens or lower caption.limits"
        )
    try:
        parsed = model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "answer"
        raise InvalidAnswer(f"the answer keeps to no schema ({where}: {first['msg']})") from None
    answer = without_exposure(Answer(**parsed.model_dump()))
    if not answer.caption:
        raise InvalidAnswer("the answer says nothing")
    return answer


def without_exposure(answer: Answer) -> Answer:
    """Return an answer without `EV -2` and the like, which the pipeline alone may say to a model in training."""
    phrases = {
        name: tuple(filter(None, map(_without_exposure, getattr(answer, name))))
        for name in ("light_sources", "tags")
    }
    texts = {name: _without_exposure(getattr(answer, name)) for name in ("subject", "place", "caption")}
    return answer.model_copy(update=phrases | texts)


def prompts_of(answer: Answer, kind: str = "") -> tuple[str, ...]:
    """Return prompts that fit a frame, from a few words to the whole caption; longer ones say more.

    Parameters
    ----------
    answer
        The frame in words.
    kind
        Kind of scene in words where the frame belongs to one, `night street`; it stands in the short prompts.
    """
    short = kind or answer.subject
    if not short:
        return (answer.caption,)
    time = f", {answer.time_of_day}" if answer.time_of_day != "unknown" else ""
    place = f", {answer.place}" if answer.place else ""
    lit = f", lit by {' and '.join(answer.light_sources)}" if answer.light_sources else ""
    phrases = (short, f"{short}{time}", f"{answer.subject or short}{place}{time}{lit}", answer.caption)
    return tuple(dict.fromkeys(phrases))


def _without_exposure(text: str) -> str:
    text = _EXPOSURE.sub("", text)
    text = re.sub(r"\s+([,.;:])", r"\1", " ".join(text.split()))
    return re.sub(r"([,;:])(?:\s*[,;:])+|,(?=\.)", r"\1", text).strip(" ,;:")
