"""Captions without a model: what a simulated scene says of itself, and the measured light of any frame."""

from hdrgen.captions.answer import Answer
from hdrgen.captions.frames import Frame
from hdrgen.captions.light import MeasuredLight


def described(frame: Frame, light: MeasuredLight) -> Answer:
    """Return a frame in words that are known to be true.

    A frame that says nothing of itself gets its light in words alone.
    """
    scene = frame.scene
    tags = tuple(filter(None, (light.key, light.contrast)))
    if not scene:
        return Answer(caption=light.words, tags=tags)
    return Answer(
        subject=scene["subject"],
        place=scene["place"],
        time_of_day=scene["time_of_day"],
        light_sources=tuple(source["name"] for source in scene["light_sources"]),
        tags=tuple(dict.fromkeys((*scene["tags"], *tags))),
        caption=f"{scene['caption'].rstrip('.')}. {light.words}",
    )
