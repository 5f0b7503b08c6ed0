"""What the page may ask for, what it is told, and within which limits. Imports nothing heavy."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from hdrgen.exposure.ev_list import FURTHEST_STOPS, parse_evs_or_auto
from hdrgen.images.choices import CodeEncoding
from hdrgen.routes.sampling_defaults import SEED_MAX
from hdrgen.runtime.choices import DisplayCurve, Route
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section


@dataclass(frozen=True)
class Limits:
    """What one page may cost the machine. Memory is bounded by them, whatever is sent and however often.

    Parameters
    ----------
    queue
        Jobs that may wait.
    bodies_at_once
        Requests with a body that are read at the same time; others wait.
    body_bytes
        Of one request, its files together.
    body_seconds
        Time for a body to arrive.
    megapixels
        Of all pictures in one upload together.
    generated_megapixels
        Largest generated picture.
    free_disk_bytes
        Left over by the files of whatever is accepted; pictures made of them come on top.
    """

    queue: int = 16
    bodies_at_once: int = 4
    body_bytes: int = 512 * 2**20
    body_seconds: float = 600.0
    megapixels: float = 100.0
    generated_megapixels: float = 4.2
    free_disk_bytes: int = 2**30


def _one_line(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    line = " ".join(text.split())
    if not line.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return line


def _evs(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return parse_evs_or_auto(text)
    except HdrgenError as error:
        raise ValueError(str(error)) from None


_Words = Annotated[str, BeforeValidator(_one_line), Field(max_length=2000)]
_Side = Annotated[int | None, Field(ge=8, le=8192)]
_Ev = Annotated[float, Field(ge=-FURTHEST_STOPS, le=FURTHEST_STOPS, allow_inf_nan=False)]


class GenerateJob(Section):
    """Words become a picture, see `routes.write_generated`; None is the model's own, see `sampling_for`."""

    kind: Literal["generate"] = "generate"
    prompt: Annotated[_Words, Field(min_length=1)]
    negative: _Words = ""
    route: Route = "brackets"
    seed: int = Field(default=0, ge=0, le=SEED_MAX)
    width: _Side = None
    height: _Side = None
    steps: int | None = Field(default=None, ge=1, le=1000)
    guidance: float | None = Field(default=None, ge=1, le=100, allow_inf_nan=False)

    @property
    def title(self) -> str:
        """What people call it."""
        return self.prompt


class ExpandJob(Section):
    """One picture of codes becomes light, see `routes.expand`."""

    kind: Literal["expand"] = "expand"
    encoding: CodeEncoding | None = None
    strength: float = Field(default=0.0, ge=0, le=1)


class RecoverJob(Section):
    """One ordinary picture becomes light, see `routes.recover`; one that says it is a plate is expanded."""

    kind: Literal["recover"] = "recover"
    encoding: CodeEncoding | None = None
    curve: DisplayCurve = "auto"
    exposure: float = Field(default=0.0, ge=-16, le=16)
    anchor: float | None = Field(default=None, gt=0, le=1e4)
    strength: float = Field(default=1.0, ge=0, le=2)
    peak: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class MergeJob(Section):
    """A set of exposures becomes light, see `routes.merge`."""

    kind: Literal["merge"] = "merge"
    encoding: CodeEncoding | None = None
    evs: Annotated[tuple[_Ev, ...] | Literal["auto"] | None, BeforeValidator(_evs)] = None
    align: bool = True


Job = Annotated[GenerateJob | ExpandJob | RecoverJob | MergeJob, Field(discriminator="kind")]


class _Form(Section):
    job: Job


def read_job(fields: dict[str, str], limits: Limits) -> Job:
    """Return what a form asks for; fields left empty are not there.

    Raises
    ------
    HdrgenError
        A field is unknown or out of range; the message names it.
    """
    try:
        job = _Form.model_validate({"job": {name: text for name, text in fields.items() if text}}).job
    except ValidationError as error:
        raise HdrgenError(_in_words(error)) from None
    if isinstance(job, GenerateJob):
        if (job.width is None) != (job.height is None):
            raise HdrgenError("size: give width and height, or neither")
        if (job.width or 0) * (job.height or 0) > limits.generated_megapixels * 1e6:
            raise HdrgenError(
                f"size: {job.width}x{job.height} is more than {limits.generated_megapixels:g} megapixels"
            )
    if isinstance(job, RecoverJob) and job.anchor is not None and job.exposure:
        raise HdrgenError("anchor: says where white lands, and exposure moves it; give one of them")
    return job


def _in_words(error: ValidationError) -> str:
    first = error.errors()[0]
    # The place in the form is after "job" and, where there is one, the kind.
    place = [
        str(part) for part in first["loc"] if part not in ("job", "generate", "expand", "recover", "merge")
    ]
    return f"{place[0] if place else 'kind'}: {first['msg'].removeprefix('Value error, ')}"


class Source(Section):
    """An uploaded picture: the file's name with us, and the name it came with, which is only shown."""

    file: str
    name: str


class Histogram(Section):
    """As `qc.statistics.StopsHistogram`."""

    edges_stops: tuple[float, ...]
    shares: tuple[float, ...]
    dark_share: float


class Picture(Section):
    """What was made, with its light in numbers: see `qc.statistics.Statistics`.

    ``before`` says what the picture before was, where there is one; ``facts`` are our own attributes of the EXR.
    """

    width: int
    height: int
    space: str
    minimum_linear: float
    maximum_linear: float
    stops: float
    above_one_share: float
    ceiling_share: float
    histogram: Histogram
    before: str | None = None
    notes: tuple[str, ...] = ()
    facts: dict[str, str | int | float]


State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ACTIVE: frozenset[State] = frozenset({"queued", "running"})


class Record(Section):
    """A job and what became of it; ``message`` says why there is no picture."""

    id: str
    job: Job
    sources: tuple[Source, ...] = ()
    created: float
    """Seconds since 1970, UTC."""
    state: State = "queued"
    seconds: float | None = None
    message: str | None = None
    picture: Picture | None = None

    @property
    def title(self) -> str:
        """What people call it: the prompt, or the first file."""
        return self.job.title if isinstance(self.job, GenerateJob) else self.sources[0].name
