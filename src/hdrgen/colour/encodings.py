"""Named encodings of footage and pictures: a curve and a set of primaries each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from hdrgen.colour import primaries
from hdrgen.colour.display import srgb_decode, srgb_encode
from hdrgen.colour.logc import logc3_decode, logc3_encode, logc4_decode, logc4_encode
from hdrgen.colour.primaries import Chromaticities


def _unchanged(linear: Any) -> Any:
    return linear


@dataclass(frozen=True)
class Encoding:
    """How code values become scene-linear RGB: ``decode`` first, then ``chromaticities`` say which RGB."""

    chromaticities: Chromaticities
    decode: Callable[[Any], Any] = _unchanged
    encode: Callable[[Any], Any] = _unchanged


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
    **{f"linear_{name}": Encoding(space) for name, space in primaries.SPACES.items()},
}
