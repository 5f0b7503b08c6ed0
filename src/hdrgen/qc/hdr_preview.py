"""Scene-linear pictures as an HDR display shows them: PQ or HLG as AVIF or JPEG XL, or an SDR picture with a gain map."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour import ocio
from hdrgen.colour.display import pq_encode, srgb_encode
from hdrgen.colour.hlg import PEAK_NITS as HLG_PEAK_NITS
from hdrgen.colour.hlg import hlg_encode
from hdrgen.colour.primaries import P3_D65, REC709, REC2020, Chromaticities, convert_primaries, luminance
from hdrgen.colour.tone_maps import quantise8
from hdrgen.images.content_light import content_light
from hdrgen.images.hdr_codes import Transfer, encode_avif, encode_jpeg_xl
from hdrgen.images.scene_image import in_display, read_scene_image
from hdrgen.images.ultra_hdr import encode_ultra_hdr
from hdrgen.qc.preview import linear_ap1, preview_notes, source_space
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

HDR_SUFFIXES = (".avif", ".jxl", ".jpg", ".jpeg")


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
        The file cannot be read, the target's suffix is another, or what writes JPEG XL is not installed.
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
        source_space=source_space(image),
        transfer="gain map" if gain_mapped else display.transfer,
        peak_nits=display.peak_nits,
        paper_white_nits=white_nits,
        brightest_nits=brightest_nits,
        exposure_stops=exposure_stops,
        notes=preview_notes(image),
    )
