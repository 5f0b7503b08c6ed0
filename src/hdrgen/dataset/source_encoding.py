"""What the values of a file mean, and the same light in scene-linear ARRI Wide Gamut 4."""

import re

import cv2
import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.encodings import ENCODINGS, Encoding
from hdrgen.colour.half_floats import to_single
from hdrgen.colour.primaries import AWG3, AWG4, REC709, SPACES, rgb_to_rgb
from hdrgen.dataset.ingest_settings import Source
from hdrgen.images.interop_id import holds_codes
from hdrgen.images.stored_image import SceneImage

_SPACE_NAMES = {
    "awg3": "ARRI Wide Gamut 3",
    "awg4": "ARRI Wide Gamut 4",
    "ap0": "ACES AP0",
    "ap1": "ACES AP1",
    "rec709": "Rec.709",
    "rec2020": "Rec.2020",
    "p3d65": "P3 D65",
    "xyz": "CIE XYZ",
}
# ALEXA 35 and ALEXA 265 record LogC4 in Wide Gamut 4; every ARRI camera before them, ALEXA 65 too, Wide Gamut 3.
_LOGC4_MODELS = re.compile(r"(?<!\d)(35|265)(?!\d)")


def decide_encoding(image: SceneImage, source: Source) -> tuple[str, Encoding, str]:
    """Decide what a file's values mean.

    In this order: what the source's settings say; the primaries in the header, linear as every EXR is once codes that
    its `colorInteropID` names are decoded; ARRI's
    primaries when only the camera is named; Rec.709, which the OpenEXR standard prescribes where nothing is
    said. ARRI's ``ColorGamma`` attribute is no evidence: it tells what the camera recorded, and stays in files
    that were made linear since.

    Returns
    -------
    tuple
        The encoding's name, the encoding, and how it was decided in plain words.
    """
    if source.encoding != "auto":
        return source.encoding, ENCODINGS[source.encoding], "source override"
    if image.chromaticities is not None:
        names = ("chromaticities", "colorInteropID", "PRIMARIES", "FORMAT")
        attribute = next(name for name in names if name in image.attributes)
        interop_id = str(image.attributes.get("colorInteropID", ""))
        decoded = f", {interop_id} codes decoded" if holds_codes(interop_id) else ""
        for key, space in SPACES.items():
            if np.abs(np.subtract(space, image.chromaticities)).max() < 5e-4:
                return (
                    f"linear_{key}",
                    Encoding(space),
                    f"{attribute} attribute: {_SPACE_NAMES[key]}{decoded}",
                )
        coordinates = " ".join(f"{value:g}" for value in np.ravel(image.chromaticities))
        return (
            "linear_custom",
            Encoding(image.chromaticities),
            f"{attribute} attribute: {coordinates}{decoded}",
        )
    make, model = (str(image.attributes.get(key, "")) for key in ("cameraMake", "cameraModel"))
    if make.upper().startswith("ARRI"):
        space_key, space = ("awg4", AWG4) if _LOGC4_MODELS.search(model) else ("awg3", AWG3)
        decided = f"camera metadata: {make} {model}, so {_SPACE_NAMES[space_key]}"
        return f"linear_{space_key}", Encoding(space), decided
    if unknown := image.attributes.get("colorInteropID"):
        return (
            "linear_rec709",
            Encoding(REC709),
            f"colorInteropID {unknown} is not known: Rec.709 by convention",
        )
    return "linear_rec709", Encoding(REC709), "none stated: Rec.709 by OpenEXR convention"


def to_linear_awg4(rgb: NDArray[np.floating], encoding: Encoding, scale: float) -> NDArray[np.floating]:
    """Convert stored RGB to scene-linear AWG4 times ``scale``, shape ``(height, width, 3)``.

    Half floats that already are linear AWG4 come back as they are. A pixel with NaN or Inf in a channel has it
    in all three: the matrix would make NaN of both, and whether a pixel was too bright or no number at all
    matters to its repair.
    """
    unchanged = (
        scale == 1.0
        and encoding.chromaticities == AWG4
        and encoding.decode is ENCODINGS["linear_awg4"].decode
    )
    if unchanged:
        return rgb
    linear = np.asarray(encoding.decode(to_single(rgb)), np.float32)
    matrix = (scale * rgb_to_rgb(encoding.chromaticities, AWG4)).astype(np.float32)
    # Six times faster than a matrix product.
    converted = np.asarray(cv2.transform(linear, matrix), np.float32)
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(converted @ np.ones(3, np.float32))
        if bad.any():
            # The sum of NaN is NaN, of Inf is Inf, of both signs of Inf NaN; finite channels do not matter.
            special = np.where(np.isfinite(linear[bad]), 0, linear[bad]).sum(axis=-1, keepdims=True)
            converted[bad] = np.where(special == 0, converted[bad], special)
    return converted
