"""Named encodings of footage and pictures: a curve and a set of primaries each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from hdrgen.colour import primaries
from hdrgen.colour.display import srgb_decode, srgb_encode
from hdrgen.colour.logc import logc3_decode, logc3_encode, logc4_decode, logc4_encode
from hdrgen.colour.power_laws import gamma_decode, gamma_encode, rec709_decode, rec709_encode
from hdrgen.colour.primaries import Chromaticities


def _unchanged(linear: Any) -> Any:
    return linear


@dataclass(frozen=True)
class Encoding:
    """How code values become scene-linear RGB: ``decode`` first, then ``chromaticities`` say which RGB."""

    chromaticities: Chromaticities
    decode: Callable[[Any], Any] = _unchanged
    encode: Callable[[Any], Any] = _unchanged


def gamma(exponent: float, chromaticities: Chromaticities) -> Encoding:
    """Return the encoding of a plain gamma, such as 2.2."""
    return Encoding(
        chromaticities, partial(gamma_decode, exponent=exponent), partial(gamma_encode, exponent=exponent)
    )


_LOGC3_EXPOSURE_INDEXES = (160, 200, 250, 320, 400, 500, 640, 800, 1000, 1280, 1600)
# ``logc3_awg3`` is EI 800, at which ARRI's own tools export unless told otherwise.
ENCODINGS: dict[str, Encoding] = {
    "logc4_awg4": Encoding(primaries.AWG4, logc4_decode, logc4_encode),
    "logc3_awg3": Encoding(primaries.AWG3, logc3_decode, logc3_encode),
    **{
        f"logc3_awg3_ei{index}": Encoding(
            primaries.AWG3,
            partial(logc3_decode, exposure_index=index),
            partial(logc3_encode, exposure_index=index),
        )
        for index in _LOGC3_EXPOSURE_INDEXES
    },
    "srgb_rec709": Encoding(primaries.REC709, srgb_decode, srgb_encode),
    "srgb_p3d65": Encoding(primaries.P3_D65, srgb_decode, srgb_encode),
    "srgb_rec2020": Encoding(primaries.REC2020, srgb_decode, srgb_encode),
    "srgb_ap1": Encoding(primaries.AP1, srgb_decode, srgb_encode),
    "g18_rec709": gamma(1.8, primaries.REC709),
    "g22_rec709": gamma(2.2, primaries.REC709),
    "g24_rec709": gamma(2.4, primaries.REC709),
    "g22_ap1": gamma(2.2, primaries.AP1),
    "g22_adobergb": gamma(563 / 256, primaries.ADOBE_RGB),  # Adobe RGB (1998), section 4.3.1.2
    "itu709_rec709": Encoding(primaries.REC709, rec709_decode, rec709_encode),
    "itu709_rec2020": Encoding(primaries.REC2020, rec709_decode, rec709_encode),
    **{f"linear_{name}": Encoding(space) for name, space in primaries.SPACES.items()},
}
