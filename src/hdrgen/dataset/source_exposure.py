"""How many times brighter or darker a picture has to be for grey to lie at 0.18."""

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.encodings import Encoding
from hdrgen.dataset.ingest_settings import AnchorParams, Source
from hdrgen.dataset.source_encoding import to_linear_awg4
from hdrgen.images.light_statistics import awg4_luminance


def decide_exposure(  # noqa: PLR0911 - a line for each rule
    luminance: NDArray[np.float32], source: Source, anchor: AnchorParams, *, camera: bool
) -> tuple[float, str]:
    """Decide the factor that brings a picture to a camera's exposure, grey at 0.18.

    Footage keeps its exposure: a night is dark on purpose. So does any picture whose key, the geometric mean of
    its middle 98 %, lies within three stops of grey. Others are in arbitrary units: their key is brought to
    0.18, but never so far up that their brightest thousandth exceeds ``anchor.brightest``, because a candle in
    a dark room is exposed for the candle.

    Parameters
    ----------
    luminance
        Any shape; what the eye is drawn to, so of a panorama the band around the horizon.
    source
        Its ``exposure`` may decide by itself.
    anchor
        The limits.
    camera
        Whether the file says that a camera exposed it.

    Returns
    -------
    tuple
        The factor, and how it was decided in plain words.
    """
    if isinstance(source.exposure, float):
        return source.exposure, "source override"
    if source.exposure == "keep":
        return 1.0, "source override: kept"
    if camera and source.exposure == "auto":
        return 1.0, "camera footage: kept"
    positive = luminance[np.isfinite(luminance) & (luminance > 0)]
    if positive.size == 0:
        return 1.0, "no light: kept"
    low, high, top = np.quantile(positive, (0.01, 0.99, 0.999))
    key = float(np.exp(np.log(np.clip(positive, low, high), dtype=np.float64).mean()))
    if source.exposure == "auto" and anchor.lowest_key <= key <= anchor.highest_key:
        return 1.0, f"key {key:.3g} is near grey: kept"
    scale = 0.18 / key
    limited = max(1.0, anchor.brightest / float(top))
    if scale > limited:
        return limited, f"key {key:.3g} raised until the highlights reach {anchor.brightest:g}"
    return scale, f"key {key:.3g} brought to 0.18"


def sampled_luminance(
    rgb: NDArray[np.floating], encoding: Encoding, *, panorama: bool
) -> NDArray[np.float32]:
    """Return luminance of about 100,000 pixels; of a panorama those where a camera looks."""
    if panorama:
        rgb = rgb[len(rgb) // 4 : -len(rgb) // 4]
    step = max(1, int(np.sqrt(rgb.shape[0] * rgb.shape[1] / 100_000)))
    with np.errstate(invalid="ignore", over="ignore"):
        return awg4_luminance(to_linear_awg4(rgb[::step, ::step], encoding, 1.0))
