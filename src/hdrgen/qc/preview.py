"""Scene-linear pictures as a display shows them: for eyes, not for further work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hdrgen.colour import ocio
from hdrgen.colour.display import pq_encode, srgb_encode
from hdrgen.colour.hlg import PEAK_NITS as HLG_PEAK_NITS
from hdrgen.colour.hlg import hlg_encode
from hdrgen.colour.primaries import P3_D65, REC709, REC2020, Chromaticities, convert_primaries, luminance
from hdrgen.colour.tone_maps import quantise8
from hdrgen.images.code_image import write_png8
from hdrgen.images.content_light import content_light
from hdrgen.images.conversion import assumed_chromaticities, describe, from_chromaticities
from hdrgen.images.geometry import square_pixels
from hdrgen.images.hdr_codes import Transfer, encode_avif, encode_jpeg_xl
from hdrgen.images.scene_image import in_display, read_scene_image
from hdrgen.images.stored_image import SceneImage
from hdrgen.images.ultra_hdr import encode_ultra_hdr
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

HDR_SUFFIXES = (".avif", ".jxl", ".jpg", ".jpeg")
STRIP_STOPS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
_STRIP_SIDE = 480
_GAP_PIXELS = 6


@dataclass(frozen=True)
class Preview:
    """What a preview shows: its size, the source's space, the display and view, what a person should know."""

    width: int
    height: int
    source_space: str
    display: str
    view: str
    exposure_stops: float
    notes: tuple[str, ...] = ()


def write_preview(
    source: Path,
    target: Path,
    *,
    exposure_stops: float = 0.0,
    display: str | None = None,
    view: str | None = None,
    longest_side: int | None = None,
    layer: str | None = None,
    part: int | str | None = None,
    threads: int = 2,
) -> Preview:
    """Show an OpenEXR or Radiance file through a display view and write what the display gets as 8-bit PNG.

    Parameters
    ----------
    source, target
        The files; the target must end in ``.png``.
    exposure_stops
        Added in scene-linear light.
    display, view
        Names in the OpenColorIO configuration; by default an sRGB monitor and its ACES 2.0 SDR view.
    longest_side
        Pixels; a larger picture is made smaller, averaging scene-linear light. None keeps the size.
    layer, part
        What of an EXR to read, see `layers.choose_layer`.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        The file cannot be read, the display or view is unknown, or the target is no PNG.
    """
    if target.suffix.lower() != ".png":
        raise HdrgenError(f"{target}: previews are written as .png")
    display, view = ocio.display_view(display, view)
    image = in_display(source, read_scene_image(source, layer=layer, part=part))
    code8 = preview_code8(
        linear_ap1(image, longest_side=longest_side),
        exposure_stops=exposure_stops,
        display=display,
        view=view,
        threads=threads,
    )
    space = _source_space(image)
    said = {"hdrgen:display": display, "hdrgen:view": view, "hdrgen:exposureStops": f"{exposure_stops:g}"}
    write_png8(target, code8, text=said)
    return Preview(code8.shape[1], code8.shape[0], space, display, view, exposure_stops, shown_notes(image))


@dataclass(frozen=True)
class HdrDisplay:
    """The display that an HDR preview is made for.

    Attributes
    ----------
    peak_nits
        Its peak luminance: above 100, to 10,000; 400 to 2000 for HLG.
    paper_white_nits
        Where SDR white lies on it: 18 % grey is shown at a tenth of this, as in the SDR view. None leaves it where
        the ACES 2.0 output transform has it for the peak: 145 nit at 1000.
    transfer
        What code values mean.

    Raises
    ------
    HdrgenError
        A luminance is out of range.
    """

    peak_nits: float = 1000.0
    paper_white_nits: float | None = None
    transfer: Transfer = "pq"

    def __post_init__(self) -> None:
        low, high = HLG_PEAK_NITS if self.transfer == "hlg" else (101.0, 10000.0)
        if not low <= self.peak_nits <= high:
            name = self.transfer.upper()
            raise HdrgenError(
                f"{name} previews are for peaks from {low:g} to {high:g} nit, not {self.peak_nits:g}"
            )
        if self.paper_white_nits is not None and not 10 <= self.paper_white_nits < self.peak_nits:
            raise HdrgenError(
                f"paper white must be at least 10 nit and below the peak of {self.peak_nits:g}, "
                f"not {self.paper_white_nits:g}"
            )

    @property
    def sdr_white_nits(self) -> float:
        """Return paper white, wherever it was chosen."""
        if self.paper_white_nits is not None:
            return self.paper_white_nits
        grey = np.full((1, 1, 3), 0.18, np.float32)
        return 10 * float(ocio.aces_output(grey, peak_nits=self.peak_nits, limiting=REC709)[0, 0, 1])

    def nits(
        self,
        linear_ap1: NDArray[np.float32],
        limiting: Chromaticities,
        *,
        exposure_stops: float = 0.0,
        threads: int = 2,
    ) -> NDArray[np.float32]:
        """Return the light it shows ``(H, W, 3)`` in nit for a linear AP1 picture, within some primaries."""
        if self.paper_white_nits is not None:
            grey_nits = self.paper_white_nits / 10
            exposure_stops += ocio.aces_grey_exposure(grey_nits, peak_nits=self.peak_nits)
        return ocio.aces_output(
            linear_ap1,
            peak_nits=self.peak_nits,
            limiting=limiting,
            exposure_stops=exposure_stops,
            threads=threads,
        )


@dataclass(frozen=True)
class HdrPreview:
    """What an HDR preview shows: its size, the source's space, the display; luminances in nit; what is to be known."""

    width: int
    height: int
    source_space: str
    transfer: Literal["pq", "hlg", "gain map"]
    peak_nits: float
    paper_white_nits: float
    brightest_nits: float
    exposure_stops: float
    notes: tuple[str, ...] = ()


def write_hdr_preview(
    source: Path,
    target: Path,
    *,
    display: HdrDisplay | None = None,
    bits: Literal[10, 12] = 10,
    exposure_stops: float = 0.0,
    longest_side: int | None = None,
    layer: str | None = None,
    part: int | str | None = None,
    threads: int = 2,
) -> HdrPreview:
    """Show an OpenEXR or Radiance file through the ACES 2.0 output transform of an HDR display.

    AVIF and JPEG XL hold PQ or HLG codes in Rec.2020, colours limited to P3-D65 as in the usual ACES views. A JPEG
    holds the SDR rendition and a gain map to the HDR one, both in Rec.709 (Ultra HDR).

    Parameters
    ----------
    source, target
        The files; the target ends in ``.avif``, ``.jxl`` or ``.jpg``.
    display
        Whom it is for; None is a PQ display of 1000 nit.
    bits
        Of an AVIF's codes.
    exposure_stops
        Added in scene-linear light.
    longest_side
        Pixels; a larger picture is made smaller, averaging scene-linear light. None keeps the size.
    layer, part
        What of an EXR to read, see `layers.choose_layer`.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        The file cannot be read, the target's suffix is another, or a library is not installed.
    """
    suffix = target.suffix.lower()
    if suffix not in HDR_SUFFIXES:
        raise HdrgenError(f"{target}: HDR previews are written as {', '.join(HDR_SUFFIXES)}")
    display = display or HdrDisplay()
    image = in_display(source, read_scene_image(source, layer=layer, part=part))
    linear = linear_ap1(image, longest_side=longest_side)
    gain_mapped = suffix in {".jpg", ".jpeg"}
    limiting = REC709 if gain_mapped else P3_D65
    nits = display.nits(linear, limiting, exposure_stops=exposure_stops, threads=threads)
    brightest_nits = float(luminance(nits, limiting).max())
    white_nits = display.sdr_white_nits

    if gain_mapped:
        sdr = ocio.aces_output(
            linear, peak_nits=100, limiting=REC709, exposure_stops=exposure_stops, threads=threads
        )
        data = encode_ultra_hdr(
            quantise8(srgb_encode(sdr / np.float32(100))),
            nits / np.float32(white_nits),
            headroom_stops=float(np.log2(display.peak_nits / white_nits)),
        )
    else:
        nits = np.maximum(convert_primaries(nits, P3_D65, REC2020), 0)
        code = pq_encode(nits) if display.transfer == "pq" else hlg_encode(nits, display.peak_nits)
        if suffix == ".avif":
            light = content_light(nits)
            data = encode_avif(code, transfer=display.transfer, bits=bits, light=light, threads=threads)
        else:
            data = encode_jpeg_xl(
                code, transfer=display.transfer, peak_nits=display.peak_nits, threads=threads
            )
    with replacing(target) as temporary:
        temporary.write_bytes(data)
    return HdrPreview(
        width=linear.shape[1],
        height=linear.shape[0],
        source_space=_source_space(image),
        transfer="gain map" if gain_mapped else display.transfer,
        peak_nits=display.peak_nits,
        paper_white_nits=white_nits,
        brightest_nits=brightest_nits,
        exposure_stops=exposure_stops,
        notes=shown_notes(image),
    )


def write_strip(
    source: Path,
    target: Path,
    *,
    display: str | None = None,
    view: str | None = None,
    longest_side: int = _STRIP_SIDE,
    layer: str | None = None,
    part: int | str | None = None,
    threads: int = 2,
) -> Preview:
    """Show a picture at nine exposures, -4 to +4 stops, side by side in one 8-bit PNG.

    See `write_preview`; `longest_side` is of one exposure.
    """
    if target.suffix.lower() != ".png":
        raise HdrgenError(f"{target}: strips are written as .png")
    display, view = ocio.display_view(display, view)
    image = in_display(source, read_scene_image(source, layer=layer, part=part))
    linear = linear_ap1(image, longest_side=longest_side)
    code8 = exposure_sheet(linear, columns=len(STRIP_STOPS), display=display, view=view, threads=threads)
    said = {"hdrgen:display": display, "hdrgen:view": view, "hdrgen:strip": _listed(STRIP_STOPS)}
    write_png8(target, code8, text=said)
    space = _source_space(image)
    return Preview(code8.shape[1], code8.shape[0], space, display, view, 0.0, shown_notes(image))


def exposure_sheet(
    linear_ap1: NDArray[np.float32],
    *,
    columns: int,
    stops: Sequence[int] = STRIP_STOPS,
    display: str | None = None,
    view: str | None = None,
    threads: int = 2,
) -> NDArray[np.uint8]:
    """Return the 8-bit codes of a sheet of exposures, each labelled, row by row."""
    cells = [
        _labelled(
            preview_code8(linear_ap1, exposure_stops=ev, display=display, view=view, threads=threads), ev
        )
        for ev in stops
    ]
    height, width, _ = cells[0].shape
    rows = -(-len(cells) // columns)
    down, across = height + _GAP_PIXELS, width + _GAP_PIXELS
    sheet = np.zeros((rows * down - _GAP_PIXELS, columns * across - _GAP_PIXELS, 3), np.uint8)
    for index, cell in enumerate(cells):
        top, left = index // columns * down, index % columns * across
        sheet[top : top + height, left : left + width] = cell
    return sheet


def _labelled(code8: NDArray[np.uint8], stops: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(code8)
    font = ImageFont.load_default(max(10, min(22, picture.height // 6)))
    label = f"{stops:+d}" if stops else "0"
    ImageDraw.Draw(picture).text((8, 4), label, fill="white", font=font, stroke_width=2, stroke_fill="black")
    return np.array(picture)


def _listed(stops: Sequence[int]) -> str:
    return " ".join(f"{ev:+d}" for ev in stops)


def shown_notes(image: SceneImage) -> tuple[str, ...]:
    """Return what a person should know of what `linear_ap1` shows of a picture."""
    notes = list(image.notes)
    size, square = (image.width, image.height), _square(image)
    if (aspect := image.geometry.pixel_aspect_ratio) != 1.0:
        shown = f"shown as {square[0]}x{square[1]}" if square != size else "shown as if they were square"
        notes.append(f"pixels are {aspect:g} times as wide as high; {shown}")
    if image.alpha is not None:
        notes.append("alpha is not shown")
    return tuple(notes)


def linear_ap1(image: SceneImage, *, longest_side: int | None = None) -> NDArray[np.float32]:
    """Return a picture in linear AP1, with square pixels and no larger than asked for.

    NaN becomes black, Inf half's largest value. Data is taken as it is.
    """
    rgb = np.nan_to_num(image.rgb.astype(np.float32), nan=0.0, posinf=65504.0, neginf=-65504.0)
    width, height = _square(image)
    if longest_side is not None and longest_side < max(width, height):
        scale = longest_side / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    for size, method in (
        ((min(width, image.width), min(height, image.height)), cv2.INTER_AREA),
        ((width, height), cv2.INTER_LINEAR),
    ):
        if size != (rgb.shape[1], rgb.shape[0]):
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=method), np.float32)
    return rgb if image.is_data else from_chromaticities(rgb, assumed_chromaticities(image)[0], "acescg")


def _source_space(image: SceneImage) -> str:
    return "data" if image.is_data else describe(assumed_chromaticities(image)[0])


def _square(image: SceneImage) -> tuple[int, int]:
    return square_pixels(image.width, image.height, image.geometry.pixel_aspect_ratio)


def preview_code8(
    linear_ap1: NDArray[np.float32],
    *,
    exposure_stops: float = 0.0,
    display: str | None = None,
    view: str | None = None,
    threads: int = 2,
) -> NDArray[np.uint8]:
    """Return the 8-bit codes ``(H, W, 3)`` of a linear AP1 picture seen through a display view."""
    return quantise8(
        ocio.display(
            linear_ap1,
            "acescg",
            display=display,
            view=view,
            exposure_stops=exposure_stops,
            threads=threads,
        )
    )
