"""Captions without a model: what a simulated scene says of itself, and the measured light of any frame."""

from pydantic import BaseModel, ValidationError

from hdrgen.dataset.captions.answer import Answer, TimeOfDay
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.light import MeasuredLight
from hdrgen.runtime.errors import HdrgenError


class _Named(BaseModel):
    name: str


class _Scene(BaseModel):
    """What of `frames.simulate.scene.Description` is said here; whoever wrote the file may have written another."""

    subject: str
    place: str
    time_of_day: TimeOfDay
    light_sources: tuple[_Named, ...]
    tags: tuple[str, ...]
    caption: str


def described(frame: Frame, light: MeasuredLight) -> Answer:
    """Return a frame in words that are known to be true.

    A frame that says nothing of itself gets its light in words alone.

    Raises
    ------
    HdrgenError
        What it says of itself is not what a simulated frame says.
    """
    tags = tuple(filter(None, (light.key, light.contrast)))
    if not frame.scene:
        return Answer(caption=light.words, tags=tags)
    try:
        scene = _Scene.model_validate(frame.scene)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise HdrgenError(
            f"{frame.path}: describes itself otherwise than a simulated frame does ({field}); remove its "
            "attribute, or describe it in the overrides"
        ) from None
    return Answer(
        subject=scene.subject,
        place=scene.place,
        time_of_day=scene.time_of_day,
        light_sources=tuple(source.name for source in scene.light_sources),
        tags=tuple(dict.fromkeys((*scene.tags, *tags))),
        caption=f"{scene.caption.rstrip('.')}. {light.words}",
    )
