"""Captions without a model: what a simulated scene says of itself, and the measured light of any frame."""

from pydantic import TypeAdapter, ValidationError

from hdrgen.dataset.captions.answer import Answer
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.light import MeasuredLight
from hdrgen.dataset.scene_description import Description
from hdrgen.runtime.errors import HdrgenError

_DESCRIPTION = TypeAdapter(Description)


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
        scene = _DESCRIPTION.validate_python(frame.scene)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        raise HdrgenError(
            f"{frame.path}: describes itself otherwise than a simulated frame does ({field}); remove its "
            "attribute, or describe it in the overrides"
        ) from None
    return Answer(
        subject=scene["subject"],
        place=scene["place"],
        time_of_day=scene["time_of_day"],
        light_sources=tuple(source["name"] for source in scene["light_sources"]),
        tags=tuple(dict.fromkeys((*scene["tags"], *tags))),
        caption=f"{scene['caption'].rstrip('.')}. {light.words}",
    )
