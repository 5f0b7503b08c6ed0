"""What a scene-linear picture is once it has left its file, whatever the file's format was."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import Chromaticities
from hdrgen.images.geometry import Geometry, geometry_of
from hdrgen.runtime.errors import HdrgenError, MachineError


class UnreadableImage(HdrgenError):  # noqa: N818 - reads as what it says
    """A picture that cannot be read; the message names the file and says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type["UnreadableImage"], tuple[Path, str]]:
        """Travel between processes with both arguments; the default would keep only the message."""
        return type(self), (self.path, self.reason)


class InaccessibleImage(UnreadableImage, MachineError):  # noqa: N818
    """A picture file that is missing, or that the system cannot or may not read."""

    @classmethod
    def because(cls, path: Path, error: OSError) -> "InaccessibleImage":
        """Return the error of a file that the system could not read."""
        return cls(path, f"cannot be read ({error.strerror})")


def read_bytes(path: Path, count: int = -1) -> bytes:
    """Return the first bytes of a file, or all of them.

    Raises
    ------
    InaccessibleImage
        It is missing or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise InaccessibleImage.because(path, error) from None


class OwnTypeText(str):
    """An attribute of a type that plain values are not (time code, key code, an opaque one), in words for a person.

    Written back it would be text, and no program would find the attribute in it.
    """

    __slots__ = ()


@dataclass(frozen=True)
class StoredChannel:
    """A channel as stored: its name, ``half``, ``float`` or ``uint``, and of how many pixels it has one sample."""

    name: str
    pixel_type: str
    sampling: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class StoredPart:
    """A part of a file: its name where it has one, its view, how it is stored, and its channels."""

    index: int
    name: str
    view: str
    storage: str
    channels: tuple[StoredChannel, ...]

    @property
    def by_layer(self) -> dict[str, list[StoredChannel]]:
        """The channels by what their names have before the last dot: layer and view; empty for the part's own."""
        layers: dict[str, list[StoredChannel]] = {}
        for channel in self.channels:
            layers.setdefault(channel.name.rpartition(".")[0], []).append(channel)
        return layers


@dataclass(frozen=True)
class StoredHeader:
    """What a file says about its picture without its pixels being decoded.

    Width and height are those of the data window. `channels` are the names as stored. `chromaticities` is
    None where the file states none; by convention such a file is then Rec.709, but that is the caller's
    decision. `attributes` holds everything else the header says, as plain Python values, `Fraction` and
    `OwnTypeText`. `layer` and `part` say what of the file is the picture, `alpha` whether it has any, `notes` what a
    person should know of that choice and of what is left behind; `is_data` tells that it is no light but data that was
    asked for.
    """

    width: int
    height: int
    channels: tuple[str, ...]
    chromaticities: Chromaticities | None
    attributes: dict[str, Any]
    compression: str
    storage: str
    part: int = 0
    view: str = ""
    layer: str = ""
    is_data: bool = False
    notes: tuple[str, ...] = ()
    alpha: bool = False

    @property
    def geometry(self) -> Geometry:
        """Where the pixels lie."""
        return geometry_of(self.attributes, self.width, self.height)


@dataclass(frozen=True)
class SceneImage:
    """Scene-linear RGB ``(height, width, 3)`` in the file's own primaries, in the float type stored.

    Values are as stored: nothing is scaled, clipped or converted, NaN and Inf included. `alpha` is
    ``(height, width)`` or None. The pixels are those of the data window, which may be larger or smaller than
    the display window; `geometry` has both. `layer`, `part` and `view` say what of the file this is, `notes` what a person
    should know of that choice and of what is left behind; `parts` lists all that the file holds. `luminance_chroma` tells that RGB was rebuilt from Y, RY and BY, and is
    float32 whatever `pixel_type` was stored: saturated colours exceed the half range that their luminance keeps.
    `is_data` tells that the values are no light but data that was asked for, such as normals: they have no primaries.
    """

    rgb: NDArray[np.floating]
    alpha: NDArray[np.floating] | None
    chromaticities: Chromaticities | None
    attributes: dict[str, Any]
    pixel_type: str
    compression: str
    storage: str
    part: int = 0
    view: str = ""
    luminance_chroma: bool = field(default=False)
    layer: str = ""
    is_data: bool = False
    notes: tuple[str, ...] = ()
    parts: tuple[StoredPart, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """Where the pixels lie."""
        return geometry_of(self.attributes, self.width, self.height)

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.rgb.shape[0])
