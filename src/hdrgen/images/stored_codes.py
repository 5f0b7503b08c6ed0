"""What a picture of integer code values is once it has left its file, and what all its formats are checked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.stated_colour import NotUnderstood, StatedColour
from hdrgen.images.geometry import Geometry
from hdrgen.images.stored_image import UnreadableImage

Format = Literal["png", "tiff", "jpeg", "webp"]
FORMAT_NAMES: Mapping[Format, str] = {"png": "PNG", "tiff": "TIFF", "jpeg": "JPEG", "webp": "WebP"}
"""What people call them."""
Statement = Callable[[], StatedColour | None]
"""What gives one of a file's statements of its colour; raises `NotUnderstood`."""
CodeT = TypeVar("CodeT", bound=np.unsignedinteger)

_WAY_OUT = "save it as RGB with 8 or 16 bits"


@dataclass(frozen=True)
class CodeImage(Generic[CodeT]):
    """RGB code values as stored, ``(height, width, 3)``, uint8 or uint16, the right way up; grey thrice the same.

    `alpha` is ``(height, width)`` of the same type, or None; RGB is not multiplied by it. `text` holds what a
    PNG says about itself, keyword to text; empty for the other formats. `colour` is what the file states of the
    codes' colour, in the way of its format; None where it states nothing that is understood. `notes` say what was
    chosen, left behind or not understood. `header` names what else the file says, which an output does not: keywords of
    text that are not ours, EXIF, an image description. `pixel_aspect_ratio` is width over height of a pixel by the
    resolutions that a PNG or TIFF states; 1 where none are stated, or none that anybody can mean.
    """

    code: NDArray[CodeT]
    alpha: NDArray[CodeT] | None
    text: Mapping[str, str]
    format: Format
    colour: StatedColour | None = None
    notes: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    pixel_aspect_ratio: float = 1.0

    @property
    def geometry(self) -> Geometry | None:
        """Where the pixels lie if they are not square, None for any other picture."""
        if self.pixel_aspect_ratio == 1.0:
            return None
        window = (0, 0, self.width - 1, self.height - 1)
        return Geometry(window, window, self.pixel_aspect_ratio)

    @property
    def bits(self) -> int:
        """Bits of each code: 8 or 16."""
        return self.code.dtype.itemsize * 8

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.code.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.code.shape[0])


def check_size(path: Path, width: int, height: int, max_megapixels: float) -> None:
    """Refuse a picture that claims no size, or one that is too large to decode."""
    if width < 1 or height < 1:
        raise UnreadableImage(path, f"claims a size of {width}x{height}")
    if width * height > max_megapixels * 1e6:
        raise UnreadableImage(path, f"claims {width}x{height}, more than {max_megapixels:g} megapixels")


def check_codes(path: Path, colour: str, bits: int) -> None:
    """Refuse a picture that is neither RGB nor grey, or not of 8 or 16 bits."""
    if colour not in ("RGB", "grey"):
        raise UnreadableImage(path, f"is a {colour} picture, not RGB; {_WAY_OUT}")
    if bits not in (8, 16):
        raise UnreadableImage(path, f"holds {bits}-bit codes; {_WAY_OUT}")


def rgb_of_grey(grey: NDArray[Any]) -> NDArray[Any]:
    """Return grey codes ``(height, width)`` as RGB ``(height, width, 3)``."""
    return np.repeat(grey[..., None], 3, axis=2)


def decode(path: Path, data: bytes, flags: int) -> NDArray[Any]:
    """Decode with OpenCV, which is the fastest; it is given only what has been looked at before."""
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(error.err) from None
        raise UnreadableImage(path, f"cannot be decoded ({error.err})") from None
    if stored is None:
        raise UnreadableImage(path, "cannot be decoded: its pixels are damaged")
    return stored


def first_stated(
    statements: Sequence[Statement],
) -> tuple[StatedColour | None, tuple[str, ...]]:
    """Return the first statement that is understood, and notes of those before it that are not."""
    notes = []
    for statement in statements:
        try:
            colour = statement()
        except NotUnderstood as error:
            notes.append(f"what the file says of its colour is not understood: {error}")
            continue
        if colour is not None:
            return colour, tuple(notes)
    return None, tuple(notes)
