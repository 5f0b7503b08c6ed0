"""The matte `observed` of a delivery: which light was seen in the source picture, and which was invented."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hdrgen.images.exr_channels import ChannelPixels
from hdrgen.images.layers import Layer
from hdrgen.images.mattes import OBSERVED, WHITE_LINEAR, outside_a_share
from hdrgen.qc.channels import PictureFile
from hdrgen.qc.findings import Finding, broken
from hdrgen.qc.statistics import luminance_of

_SPREADING = ("b44", "b44a")  # a lamp in a block of 4x4 pixels shifts the light of all others by many percent
_ROUNDING = 1e-3
"""What rounding to half leaves of light at display white, as a ratio; halves lie 1/1024 apart at most."""


def matte_of(picture: Layer, channels: Sequence[ChannelPixels]) -> ChannelPixels | None:
    """Return the matte of what was seen; None where there is none, or the picture is a layer that it says nothing of.

    Parameters
    ----------
    picture
        The layer that is judged.
    channels
        All channels of the file.
    """
    if picture.name or picture.view:
        return None
    return next((c for c in channels if (c.part, c.name) == (picture.part, OBSERVED)), None)


def observed(file: PictureFile) -> Iterator[Finding]:
    """Say how much light was invented, and whether light claims to be seen that was beyond display white.

    White is compared with luminance: it is the brightest that the source's primaries give, while components of a
    saturated colour may be above white's in other primaries.
    """
    if file.observed is None:
        return
    rule, name = file.rules.observed, file.observed.name
    luminance = luminance_of(file.image)
    if file.observed.pixels.shape != luminance.shape:
        across, down = file.observed.sampling
        why = f"{name} has one sample for {across}x{down} pixels"
        yield broken(rule, "observed", why, "write it at the size of the picture")
        return
    matte = file.observed.pixels.astype(np.float32)
    if (outside := outside_a_share(matte)).any():
        why = f"{name} is outside 0 to 1 in {_placed(outside, matte)}"
        yield broken(rule, "observed", why, "write the file again from its source")
        return
    invented = matte < 1
    words = f"{float(invented.mean()):.2%} of pixels hold invented light"
    if invented.any():
        words += f", its brightest luminance {float(np.nanmax(luminance[invented], initial=-np.inf)):.4g}"
    white = file.stored.attributes.get(WHITE_LINEAR)
    if isinstance(white, int | float) and white > 0:
        beyond = ~invented & (luminance > white * (1 + rule.tolerance + _ROUNDING))
        if beyond.any():
            where = _placed(beyond, luminance)
            why = f"luminance that claims to be seen is above display white ({white:.4g}) in {where}; {words}"
            if file.stored.compression in _SPREADING:
                way_out = f"{file.stored.compression} spreads invented light: write it with zip to know"
                yield Finding("observed", "warn", why, way_out)
            else:
                yield broken(rule, "observed", why, "its matte or its exposure is not that of the source")
            return
        words += f"; what was seen is within display white ({white:.4g})"
    yield Finding("observed", "pass", words)


def _placed(bad: NDArray[np.bool_], values: NDArray[np.float32]) -> str:
    """Say how many pixels are bad, and what the first of them is and where."""
    y, x = np.argwhere(bad)[0]
    count = int(np.count_nonzero(bad))
    return f"{count} pixel{'s' if count > 1 else ''}, the first at x {x}, y {y} ({values[y, x]:.4g})"
