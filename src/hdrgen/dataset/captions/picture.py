"""A frame as the 8-bit picture that a vision-language model sees."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.colour.display import srgb_encode
from hdrgen.colour.primaries import AWG4, REC709, convert_primaries
from hdrgen.colour.tone_maps import Log, Reinhard, quantise8
from hdrgen.runtime.params import Section


class CaptionPicture(Section):
    """How a frame is shown to a model."""

    tone_map: Literal["fusion", "reinhard", "log", "clip"] = "fusion"
    """`fusion` blends exposures place by place and shows highlights and shadows alike; `clip` is a plain monitor."""
    fusion_evs: tuple[float, ...] = Field((-6.0, -3.0, 0.0, 2.0), min_length=2)
    """Exposures that `fusion` blends: each shows ``linear * 2**ev``."""
    longest_side: int = Field(768, ge=32)
    """Longest side in pixels; a larger frame is made smaller, averaging light. A model charges tokens by the pixel."""
    jpeg_quality: int = Field(92, ge=1, le=100)
    """Quality of the JPEG that a model is sent, 1 to 100."""


def caption_code8(linear_awg4: NDArray[np.float32], settings: CaptionPicture) -> NDArray[np.uint8]:
    """Return 8-bit sRGB codes ``(height, width, 3)`` of a scene-linear AWG4 frame."""
    height, width, _ = linear_awg4.shape
    scale = settings.longest_side / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        linear_awg4 = np.asarray(cv2.resize(linear_awg4, size, interpolation=cv2.INTER_AREA), np.float32)
    linear = np.maximum(convert_primaries(linear_awg4, AWG4, REC709), 0)
    match settings.tone_map:
        case "fusion":
            return _fusion(linear, settings.fusion_evs)
        case "reinhard":
            return quantise8(Reinhard().encode(linear))
        case "log":
            return quantise8(Log().encode(linear))
        case "clip":
            return quantise8(srgb_encode(linear))


def jpeg(code8: NDArray[np.uint8], quality: int) -> bytes:
    """Return 8-bit RGB ``(height, width, 3)`` as a JPEG file."""
    done, encoded = cv2.imencode(".jpg", code8[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return encoded.tobytes()


def _fusion(linear: NDArray[np.float32], evs: tuple[float, ...]) -> NDArray[np.uint8]:
    """Blend exposures by contrast, saturation and exposedness (Mertens et al. 2007, Exposure Fusion)."""
    exposures = [quantise8(srgb_encode(linear * np.float32(2.0**ev))) for ev in evs]
    return quantise8(np.nan_to_num(cv2.createMergeMertens().process(exposures)))
