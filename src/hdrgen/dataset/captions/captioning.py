"""From frames to the file of captions: answers kept from earlier runs, a model's new ones, a person's corrections."""

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from hdrgen.dataset.captions.answer import Answer, Text, prompts_of
from hdrgen.dataset.captions.batch_files import BatchAnswers
from hdrgen.dataset.captions.captioner import Answered, Captioner
from hdrgen.dataset.captions.endpoint import Endpoint, EndpointSettings
from hdrgen.dataset.captions.engine import Engine, EngineSettings
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.light import MeasuredLight
from hdrgen.dataset.captions.metadata import described
from hdrgen.dataset.captions.overrides import Override
from hdrgen.dataset.captions.records import Asking, Record, Records
from hdrgen.dataset.captions.request import Questions
from hdrgen.dataset.scene_description import TimeOfDay
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.documents import read_text
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.progress import OnProgress

log = logging.getLogger(__name__)

METADATA, OVERRIDE = "metadata", "override"
_WRITERS = 2
"""Threads that keep answers. Each of a file's system calls waits for its turn among all who ask."""


class CaptionSettings(Questions):
    """Which captioner describes the frames, and what it is asked."""

    captioner: Literal["metadata", "openai", "vllm", "batch"] = "metadata"
    """Who is asked: `metadata` nobody, `openai` a served model, `vllm` one in this process, `batch` a file of answers."""
    model: str | None = None
    """Folder, hub id or served name; None takes the only one that an endpoint serves."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    openai: EndpointSettings = EndpointSettings()
    """Where the captioner `openai` asks, and with how much patience."""
    vllm: EngineSettings = EngineSettings()
    """How the captioner `vllm` runs its model; it needs the extra vllm and a GPU."""
    answers: Path | None = None
    """For `batch`: what `vllm run-batch` wrote; read once, and kept in the records."""


class Caption(BaseModel):
    """One line of the file of captions: a frame in words, the prompts it is learned with, its light in stops."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: Text
    source: str
    """The captioner, or `override` where a person corrected it."""
    caption: Text
    prompts: tuple[Text, ...]
    """From a few words to the whole caption."""
    subject: Text
    place: Text
    time_of_day: TimeOfDay
    light_sources: tuple[Text, ...]
    tags: tuple[Text, ...]
    light: MeasuredLight


@dataclass
class Captions:
    """The captions of a run, and the frames that have none.

    Parameters
    ----------
    captions
        By the frame's name, in order.
    failures
        Why frames have none, by their name.
    records
        What a model said of frames, by their name, before anybody corrected it.
    asking
        How fast a model answered when it last had to; None where it never had.
    """

    captions: dict[str, Caption] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    asking: Asking | None = None


def caption_frames(
    frames: Sequence[Frame],
    settings: CaptionSettings,
    records_dir: Path,
    overrides: Mapping[str, Override],
    on_progress: OnProgress | None = None,
) -> Captions:
    """Describe frames; a model is asked only about those that it has not described before.

    Parameters
    ----------
    frames
        Of different names.
    settings
        Who is asked, and what.
    records_dir
        Where a model's answers are kept from run to run. They are found again by a frame's content.
    overrides
        What a person says, by the frame's name.
    on_progress
        Called with (frames done, frames in all).

    Returns
    -------
    Captions
        A frame that fails alone is among the failures, unless a person has given its caption and it can be read.

    Raises
    ------
    HdrgenError
        The captioner cannot be asked at all.
    """
    done = Captions()
    if settings.captioner == METADATA:
        answers = dict(_described(frames, done.failures, on_progress))
    else:
        records = Records(records_dir)
        with open_captioner(settings) as captioner:
            ask(frames, settings, captioner, records, done, on_progress)
        done.asking = records.last_asking()
        answers = {
            name: (record.source, record.answer, record.light) for name, record in done.records.items()
        }
    for frame in sorted(frames, key=lambda frame: frame.name):
        try:
            caption = _corrected(frame, answers.get(frame.name), overrides.get(frame.name))
        except HdrgenError as error:  # a person described it, but its light cannot be measured
            done.failures[frame.name] = str(error)
            continue
        if caption is not None:
            done.captions[frame.name] = caption
            done.failures.pop(frame.name, None)
    for name in sorted(set(overrides) - {frame.name for frame in frames}):
        log.warning("%s: is corrected, but is no frame", name)
    return done


@contextmanager
def open_captioner(settings: CaptionSettings) -> Iterator[Captioner]:
    """Yield the captioner.

    Raises
    ------
    HdrgenError
        It cannot be asked at all, or asks for nobody.
    """
    match settings.captioner:
        case "openai":
            with Endpoint(settings, settings.openai, settings.model, settings.revision) as endpoint:
                yield endpoint
        case "vllm":
            yield Engine(settings, settings.vllm, settings.model, settings.revision)
        case "batch":
            yield BatchAnswers(settings, settings.answers, settings.model, settings.revision)
        case _:
            raise HdrgenError(f"caption.captioner {settings.captioner}: no model is asked")


def ask(
    frames: Sequence[Frame],
    questions: Questions,
    captioner: Captioner,
    records: Records,
    done: Captions,
    on_progress: OnProgress | None = None,
) -> None:
    """Fill in the records and failures of `done`, asking about frames without a record and keeping each answer."""
    keys = {frame.name: questions.key(frame, captioner.model) for frame in frames}
    known = {key: record for key in keys.values() if (record := records.get(key)) is not None}
    # Frames of one content are asked about once.
    missing = {keys[frame.name]: frame for frame in frames if keys[frame.name] not in known}
    failed: dict[str, str] = {}
    total = len(known) + len(missing)
    tokens, started = 0, time.monotonic()
    with ThreadPoolExecutor(_WRITERS) as writers:
        writing: deque[Future[None]] = deque()
        for outcome in captioner.answers(missing.values()) if missing else ():
            key = keys[outcome.frame.name]
            if isinstance(outcome, Answered):
                known[key] = _recorded(key, captioner, outcome)
                writing.append(writers.submit(records.put, known[key]))
                tokens += outcome.prompt_tokens + outcome.completion_tokens
            else:
                failed[key] = outcome.reason
            while writing and writing[0].done():  # a full disk is known before everything has been asked
                writing.popleft().result()
            if on_progress:
                on_progress(len(known) + len(failed), total)
        for one in writing:
            one.result()
    if answered := len(missing) - len(failed):
        records.put_asking(Asking(frames=answered, tokens=tokens, seconds=time.monotonic() - started))
    done.records.update({name: known[key] for name, key in keys.items() if key in known})
    done.failures.update({name: failed[key] for name, key in keys.items() if key in failed})


def check_all(done: Captions, overrides: str) -> None:
    """Check that every frame has a caption.

    Parameters
    ----------
    done
        What came of a run.
    overrides
        Name of the file where a person could give the captions that are missing.

    Raises
    ------
    HdrgenError
        Frames have none; each is in the log with its reason.
    """
    for name, reason in done.failures.items():
        log.warning("%s: %s", name, reason)
    if done.failures:
        count = f"{len(done.failures)} of {len(done.failures) + len(done.captions)} frames have no caption"
        raise HdrgenError(
            f"{count}, see above; run it again to ask about these alone, or caption them in {overrides}"
        )


def write_captions(path: Path, captions: Captions) -> None:
    """Write one JSON line for each frame, ordered by frame, so that git shows what changed."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{caption.model_dump_json()}\n" for caption in captions.captions.values())


def read_captions(path: Path) -> dict[str, Caption]:
    """Read a file of captions, by the frame's name.

    Raises
    ------
    HdrgenError
        The file is missing or a line is none.
    """
    # A caption may hold other ends of lines.
    lines = read_text(path, "run the stage caption").split("\n")
    try:
        captions = [Caption.model_validate_json(line) for line in lines if line]
    except ValidationError as error:
        reason = str(error).splitlines()[0]
        raise HdrgenError(f"{path}: is no file of captions ({reason}); run the stage caption again") from None
    return {caption.frame: caption for caption in captions}


Described = tuple[str, Answer, MeasuredLight]


def _described(
    frames: Sequence[Frame], failures: dict[str, str], on_progress: OnProgress | None
) -> Iterator[tuple[str, Described]]:
    for done, frame in enumerate(frames, 1):
        try:
            light = frame.measured()
            yield frame.name, (METADATA, described(frame, light), light)
        except HdrgenError as error:
            failures[frame.name] = str(error)
        if on_progress:
            on_progress(done, len(frames))


def _recorded(key: str, captioner: Captioner, answered: Answered) -> Record:
    return Record(
        key=key,
        source=captioner.source,
        model=captioner.model,
        frame=answered.frame.name,
        light=answered.light,
        answer=answered.answer,
        prompt_tokens=answered.prompt_tokens,
        completion_tokens=answered.completion_tokens,
        retries=answered.retries,
        invalid=answered.invalid,
    )


def _corrected(frame: Frame, description: Described | None, override: Override | None) -> Caption | None:
    """Return a frame's caption with a person's corrections, None where there is neither."""
    if description is None:
        if override is None or override.caption is None:
            return None
        description = (OVERRIDE, Answer(caption=override.caption), frame.measured())
    source, answer, light = description
    if override is not None:
        source, answer = OVERRIDE, answer.model_copy(update=override.model_dump(exclude_none=True))
    return Caption(
        frame=frame.name,
        source=source,
        prompts=prompts_of(answer, frame.kind),
        light=light,
        **answer.model_dump(),
    )
