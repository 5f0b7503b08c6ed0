"""Ultra HDR: a JPEG that any program shows in SDR, and a gain map that an HDR display brightens it by.

"Ultra HDR Image Format v1.0" (Android) with the metadata of Adobe's "Gain map" 1.0: two JPEGs in one file, an
XMP packet in each, found through the multi-picture format.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hdrgen.colour.display import srgb_decode

_OFFSET = 1 / 64
"""Added to both renditions, so that black divides by something; the value that the format proposes."""
_QUALITY = 92
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" {}'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


@dataclass(frozen=True)
class GainMap:
    """How much brighter each component of the HDR rendition is, and what the code values mean.

    ``code8`` is ``(H, W, 3)``; 0 stands for `minimum_stops`, 255 for `maximum_stops`, evenly in between.
    """

    code8: NDArray[np.uint8]
    minimum_stops: float
    maximum_stops: float


def gain_map(sdr_linear: NDArray[np.floating], hdr_linear: NDArray[np.floating]) -> GainMap:
    """Return the gain from one rendition to another, ``log2((hdr + 1/64) / (sdr + 1/64))``.

    Parameters
    ----------
    sdr_linear, hdr_linear
        Shape ``(H, W, 3)``, display-linear in the same primaries, 1.0 being SDR white.
    """
    stops = np.log2((hdr_linear + _OFFSET) / (sdr_linear + _OFFSET))
    low = float(stops.min())
    high = max(float(stops.max()), low + 1e-3)
    return GainMap(np.rint((stops - low) * (255 / (high - low))).astype(np.uint8), low, high)


def encode_ultra_hdr(
    sdr_code8: NDArray[np.uint8], hdr_linear: NDArray[np.floating], *, headroom_stops: float
) -> bytes:
    """Return an Ultra HDR JPEG.

    Parameters
    ----------
    sdr_code8
        Shape ``(H, W, 3)``, the SDR rendition as sRGB codes.
    hdr_linear
        The HDR rendition, display-linear Rec.709, 1.0 being SDR white.
    headroom_stops
        How far the peak of a display must be above its SDR white for the HDR rendition to be shown in full.
    """
    gain = gain_map(srgb_decode(sdr_code8.astype(np.float32) / np.float32(255)), hdr_linear)
    described = _XMP.format(
        f'hdrgm:BaseRenditionIsHDR="False" hdrgm:GainMapMin="{gain.minimum_stops:.6f}" '
        f'hdrgm:GainMapMax="{gain.maximum_stops:.6f}" hdrgm:Gamma="1" '
        f'hdrgm:OffsetSDR="{_OFFSET}" hdrgm:OffsetHDR="{_OFFSET}" '
        f'hdrgm:HDRCapacityMin="0" hdrgm:HDRCapacityMax="{headroom_stops:.6f}">'
    ).encode()
    how = {"quality": _QUALITY, "subsampling": 0}
    second = Image.fromarray(gain.code8)
    second.encoderinfo = {**how, "xmp": described}
    alone = io.BytesIO()
    second.save(alone, "JPEG")

    file = io.BytesIO()
    Image.fromarray(sdr_code8).save(
        file, "MPO", save_all=True, append_images=[second], xmp=_directory(alone.tell()), **how
    )
    return file.getvalue()


def _directory(gain_map_bytes: int) -> bytes:
    """Return the first picture's XMP, which says where the second is."""
    items = "".join(
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{kind}" Item:Mime="image/jpeg"{rest}/>'
        "</rdf:li>"
        for kind, rest in (("Primary", ""), ("GainMap", f' Item:Length="{gain_map_bytes}"'))
    )
    return _XMP.format(
        'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        'xmlns:Item="http://ns.google.com/photos/1.0/container/item/">'
        f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>"
    ).encode()
