"""What a picture says about where it came from: EXR attributes kept from a source, and our own."""

from collections.abc import Iterable, Mapping
from typing import Any

from hdrgen import __version__
from hdrgen.images.exr import why_not_stored
from hdrgen.images.stored_image import OwnTypeText

Attributes = dict[str, str | int | float]

# True of the file that is read, not of the picture in it; or said of the picture in another way.
_OF_THE_FILE = frozenset(
    (
        "acesImageContainerFlag",
        "chromaticities",
        "chunkCount",
        "colorInteropID",
        "dataWindow",
        "deepImageState",
        "displayWindow",
        "dwaCompressionLevel",
        "lineOrder",
        "maxSamplesPerPixel",
        "multiView",
        "name",
        "pixelAspectRatio",
        "tiles",
        "type",
        "version",
        "view",
        "COLORCORR",  # and PRIMARIES: Radiance's, undone or stated anew
        "PRIMARIES",
    )
)
# True of the picture, but of a type of its own, whatever a file or a caller has in its place.
_OF_OTHER_TYPES = frozenset(("envmap", "framesPerSecond", "keyCode", "preview", "timeCode"))
# How Radiance stored what was read; carried as text where there is an EXR to keep it.
_OF_RADIANCE = frozenset(("EXPOSURE", "FORMAT", "PIXASPECT"))
# What every EXR says; only another value tells of a camera.
_USUAL = {"screenWindowCenter": [0.0, 0.0], "screenWindowWidth": 1.0}
_SHOWN = 5


def carried(attributes: Mapping[str, Any]) -> Attributes:
    """Return what a source's attributes say of the scene: text and numbers that an EXR can hold again.

    Measured light is the picture's own (``whiteLuminance`` stays right under a change of primaries). Names too
    long for Nuke, integers beyond 32 bits, and what describes the file that was read are left behind.
    """
    return {name: value for name, value in attributes.items() if _is_carried(name, value)}


def left_behind(attributes: Mapping[str, Any], kept: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return names of what a source's attributes say of the scene and a new file will not.

    Neither how the file was stored, nor what is carried in another way: primaries, windows, shape of a pixel.

    Parameters
    ----------
    attributes
        Of the source.
    kept
        Names that the new file has; None takes those that `carried` keeps.

    Examples
    --------
    >>> left_behind({"owner": "x", "tiles": "64", "worldToCamera": [[1.0, 0.0], [0.0, 1.0]]})
    ('worldToCamera',)
    """
    not_named = {*(carried(attributes) if kept is None else kept), *_OF_THE_FILE, *_OF_RADIANCE}
    return tuple(
        name
        for name, value in attributes.items()
        if name not in not_named and not (name in _USUAL and value == _USUAL[name])
    )


def header_notes(names: Iterable[str]) -> tuple[str, ...]:
    """Return what a person should know of names from `left_behind`; nothing where there are none."""
    unique = list(dict.fromkeys(names))
    if not unique:
        return ()
    more = f" and {len(unique) - _SHOWN} more" if len(unique) > _SHOWN else ""
    return (f"left behind of the header: {', '.join(unique[:_SHOWN])}{more}",)


def _is_carried(name: str, value: Any) -> bool:
    if name in _OF_THE_FILE or name in _OF_OTHER_TYPES or name in _USUAL:
        return False
    plain = isinstance(value, str | int | float) and not isinstance(value, OwnTypeText)
    return plain and why_not_stored(name, value) is None


def made_by(route: str, **facts: str | float | None) -> Attributes:
    """Return our own attributes: version, route, and facts by name, each as ``hdrgen<Name>``; None is left out.

    Examples
    --------
    >>> made_by("convert", source="a.png")["hdrgenSource"]
    'a.png'
    """
    named = {"version": __version__, "route": route, **facts}
    return {
        "hdrgen" + "".join(word.capitalize() for word in name.split("_")): value
        for name, value in named.items()
        if value is not None
    }
