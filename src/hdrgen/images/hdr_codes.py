"""HDR code values as AVIF and JPEG XL, in Rec.2020 and marked as what they are (BT.2100).

What writes JPEG XL is an extra: ``pip install 'hdrgen[preview]'``.
"""

from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.images.content_light import ContentLight, with_content_light
from hdrgen.runtime.errors import HdrgenError

Transfer = Literal["pq", "hlg"]

# ITU-T H.273, tables 2 to 4: coding-independent code points.
CICP_BT2020_PRIMARIES = 9
CICP_TRANSFER = {"pq": 16, "hlg": 18}
CICP_BT2020_NCL_MATRIX = 9

_AVIF_QUALITY = 96
_AVIF_SPEED = 8
"""Speed of libaom, 0 to 10; slower ones save a few percent of a file that is looked at once."""
_JXL_DISTANCE = 0.5
"""Butteraugli distance: 1.0 is meant to be visually lossless at arm's length."""


def encode_avif(
    code: NDArray[np.floating],
    *,
    transfer: Transfer,
    bits: Literal[10, 12] = 10,
    light: ContentLight | None = None,
    threads: int = 2,
) -> bytes:
    """Return an AVIF of code values, 4:4:4 and full range, with its CICP 9/16/9 (PQ) or 9/18/9 (HLG).

    Parameters
    ----------
    code
        Shape ``(H, W, 3)``, Rec.2020 code values 0 to 1 of the transfer function.
    transfer, bits
        What the codes mean, and how many bits each has.
    light
        MaxCLL and MaxFALL to be stated; None states none.
    threads
        Of the encoder.
    """
    from imagecodecs import avif_encode  # noqa: PLC0415 - slow to import

    largest = 2**bits - 1
    avif = bytes(
        avif_encode(
            (np.clip(code, 0, 1) * largest + 0.5).astype(np.uint16),
            level=_AVIF_QUALITY,
            speed=_AVIF_SPEED,
            bitspersample=bits,
            pixelformat="444",
            primaries=CICP_BT2020_PRIMARIES,
            transfer=CICP_TRANSFER[transfer],
            matrix=CICP_BT2020_NCL_MATRIX,
            numthreads=threads,
        )
    )
    return avif if light is None else with_content_light(avif, light)


def encode_jpeg_xl(
    code: NDArray[np.floating], *, transfer: Transfer, peak_nits: float, threads: int = 2
) -> bytes:
    """Return a JPEG XL of code values; the header states Rec.2020, the transfer function and the peak.

    Parameters
    ----------
    code
        Shape ``(H, W, 3)``, Rec.2020 code values 0 to 1 of the transfer function.
    transfer
        What the codes mean.
    peak_nits
        Of the display that the picture was made for; JPEG XL calls it the intensity target.
    threads
        Of the encoder.

    Raises
    ------
    HdrgenError
        What writes it is not installed.
    """
    try:
        opencodecs: Any = import_module("opencodecs")
    except ImportError:
        raise HdrgenError("JPEG XL previews need opencodecs: pip install 'hdrgen[preview]'") from None
    return bytes(
        opencodecs.jxl_encode(
            (np.clip(code, 0, 1) * 65535 + 0.5).astype(np.uint16),
            color=f"rec2020-{transfer}",
            distance=_JXL_DISTANCE,
            intensity_target=peak_nits,
            numthreads=threads,
        )
    )
