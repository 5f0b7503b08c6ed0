"""What a picture says about where it came from: EXR attributes kept from a source, and our own."""

from collections.abc import Mapping
from typing import Any

from hdrgen import __version__
from hdrgen.images.exr import why_not_stored

Attributes = dict[str, str | int | float]

# True of the file that is read, not of the picture in it; or of a type of its own, which a plain value is not.
_OF_THE_FILE = frozenset(
    (
        "acesImageContainerFlag",
        "chunkCount",
        "colorInteropID",
        "deepImageState",
        "dwaCompressionLevel",
        "envmap",
        "framesPerSecond",
        "keyCode",
        "lineOrder",
        "maxSamplesPerPixel",
        "multiView",
        "name",
        "pixelAspectRatio",
        "screenWindowWidth",
        "timeCode",
        "tiles",
        "type",
        "version",
        "view",
    )
)


def carried(attributes: Mapping[str, Any]) -> Attributes:
    """Return what a source's attributes say of the scene: text and numbers that an EXR can hold again.

    Measured light is the picture's own (``whiteLuminance`` stays right under a change of primaries). Names too
    long for Nuke, integers beyond 32 bits, and what describes the file that was read are left behind.
    """
    return {
        name: value
        for name, value in attributes.items()
        if name not in _OF_THE_FILE
        and isinstance(value, str | int | float)
        and why_not_stored(name, value) is None
    }


def made_by(route: str, **facts: str | float | None) -> Attributes:
    """Return our own attributes: version, route, and facts by name, each as ``hdrgen<Name>``; None is left out.

    Examples
    --------
    >>> made_by("convert", source="a.png")["hdrgenSource"]
    'a.png'
    """
    said = {"version": __version__, "route": route, **facts}
    return {
        "hdrgen" + "".join(word.capitalize() for word in name.split("_")): value
        for name, value in said.items()
        if value is not None
    }
