"""What a camera says about the exposure of a picture: EXIF of JPEG, TIFF, PNG and WebP; and of the space of its codes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from hdrgen.colour.stated_colour import NotUnderstood, StatedColour, named
from hdrgen.images.stored_image import InaccessibleImage, UnreadableImage
from hdrgen.runtime.errors import HdrgenError

# How a picture is stored, not what it shows: orientation, resolutions, versions, size, colour, where directories lie.
_OF_THE_FILE = frozenset(
    (274, 282, 283, 296, 531, 34665, 36864, 37121, 40960, 40961, 40962, 40963, 40965)
)  # fmt: skip


@dataclass(frozen=True)
class Exposure:
    """Exposure time in seconds, f-number and ISO sensitivity; None for what a camera does not know.

    A manual lens has no f-number, some cameras write no sensitivity.
    """

    time_s: float
    f_number: float | None
    iso: float | None

    @property
    def stops(self) -> float:
        """Exposure in stops, 0 for one second at f/1 and ISO 100; what is not known counts as that."""
        return math.log2(self.time_s * (self.iso or 100) / 100 / (self.f_number or 1) ** 2)


def exposure_of(path: Path) -> Exposure | None:
    """Return the exposure that a picture's EXIF states (EXIF 2.32, section 4.6.5), None without an exposure time.

    Raises
    ------
    UnreadableImage
        The file is missing or no picture.
    """
    try:
        with Image.open(path) as image:
            stored = image.getexif()
            # Cameras keep these in the Exif directory, raw converters sometimes in the TIFF's own.
            tags = {**stored, **stored.get_ifd(ExifTags.IFD.Exif)}
    except FileNotFoundError as error:
        raise InaccessibleImage.because(path, error) from None
    except Image.DecompressionBombError:
        raise UnreadableImage(path, "is too large for its EXIF to be read; give --ev") from None
    except (OSError, SyntaxError, ValueError, KeyError):
        raise UnreadableImage(path, "is no picture whose EXIF can be read; give --ev") from None
    time_s = _positive(tags.get(ExifTags.Base.ExposureTime))
    if time_s is None:
        return None
    return Exposure(
        time_s, _positive(tags.get(ExifTags.Base.FNumber)), _positive(tags.get(ExifTags.Base.ISOSpeedRatings))
    )


def says_more(exif: Image.Exif) -> bool:
    """Tell whether EXIF says more than how the picture is stored: maker, copyright, exposure."""
    try:
        return bool({*exif, *exif.get_ifd(ExifTags.IFD.Exif)} - _OF_THE_FILE)
    except Exception:  # noqa: BLE001 - Pillow fails on damage in every way there is, and the picture is whole
        return False


def stated_by_exif(exif: Image.Exif) -> StatedColour | None:
    """Return what EXIF says of colour: sRGB, or DCF's optional Adobe RGB, which is told by the interoperability index.

    Raises
    ------
    NotUnderstood
        It is damaged.
    """
    try:
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except Exception:  # noqa: BLE001 - Pillow fails on damage in every way there is, and the picture is whole
        raise NotUnderstood("EXIF is damaged") from None
    if space == 2 or (space == 0xFFFF and str(index).startswith("R03")):
        return named("g22_adobergb", "EXIF")
    return named("srgb_rec709", "EXIF") if space == 1 else None


def evs_of(paths: Sequence[Path]) -> tuple[float, ...]:
    """Return the exposure values of a stack from its EXIF.

    The middle exposure is EV 0, the darker of the two middle ones where the number is even.

    Raises
    ------
    HdrgenError
        A file has no exposure time, or lacks an f-number or a sensitivity that others have.
    """
    exposures = []
    for path in paths:
        exposure = exposure_of(path)
        if exposure is None:
            raise HdrgenError(f"{path}: says no exposure time; give --ev")
        exposures.append(exposure)
    for name, what in (("f_number", "f-number"), ("iso", "ISO sensitivity")):
        known = [getattr(exposure, name) is not None for exposure in exposures]
        if any(known) and not all(known):
            path = paths[known.index(False)]
            raise HdrgenError(f"{path}: says no {what}, which other pictures of the stack do; give --ev")
    stops = [exposure.stops for exposure in exposures]
    middle = sorted(stops)[(len(stops) - 1) // 2]
    return tuple(stop - middle for stop in stops)


def _positive(value: Any) -> float | None:
    """Return an EXIF number, None where it is missing, no number, or a zero that stands for unknown."""
    if isinstance(value, tuple):  # ISOSpeedRatings may hold several
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None
