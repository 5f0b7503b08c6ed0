"""The end of every route: light becomes a scene-linear half-float EXR that says what made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import Chromaticities
from hdrgen.images import exr
from hdrgen.images.choices import Compression
from hdrgen.images.conversion import clamped_notes, from_chromaticities, linear_space
from hdrgen.images.geometry import Geometry
from hdrgen.images.provenance import Attributes
from hdrgen.runtime.errors import HdrgenError


@dataclass(frozen=True)
class ExrWriter:
    """How a route's EXR is written.

    Parameters
    ----------
    space
        Its scene-linear space, see `linear_space`.
    compression
        As of `exr.write_exr`.
    overflow
        What becomes of values that half floats cannot hold: refused, or clamped and noted.
    """

    space: str = "acescg"
    compression: Compression = "zip"
    overflow: Literal["raise", "clamp"] = "raise"

    def check(self, target: Path, pictures: str) -> None:
        """Say what is wrong before any work is done; `pictures` is what to call them, such as ``fused``.

        Raises
        ------
        HdrgenError
            The target is no .exr, or the space is no scene-linear one.
        """
        if target.suffix.lower() != ".exr":
            raise HdrgenError(f"{target}: {pictures} pictures are written as .exr")
        linear_space(self.space)

    def write(
        self,
        target: Path,
        linear: NDArray[np.float32],
        chromaticities: Chromaticities,
        attributes: Attributes,
        *,
        alpha: NDArray[np.floating] | None = None,
        mattes: Mapping[str, NDArray[np.floating]] = MappingProxyType({}),
        geometry: Geometry | None = None,
        threads: int = 2,
    ) -> tuple[float, tuple[str, ...]]:
        """Write scene-linear light; return the brightest value written and what a person should know.

        Parameters
        ----------
        target
            The EXR, whole or not at all.
        linear
            Shape ``(H, W, 3)``; its memory is used for the conversion, so it is lost.
        chromaticities
            Its primaries.
        attributes
            From `made_by`.
        alpha
            Shape ``(H, W)``, 0 to 1, by which `linear` is multiplied already.
        mattes
            As of `exr.write_exr`.
        geometry
            Where the pixels lie; None is a picture that fills its frame.
        threads
            Bands of rows worked on at once.

        Raises
        ------
        HdrgenError
            A value is NaN, Inf, or beyond half floats and not to be clamped; a matte cannot be stored; or the file cannot be written.
        """
        linear = from_chromaticities(linear, chromaticities, self.space, threads=threads, in_place=True)
        clamped = exr.write_exr(
            target,
            linear,
            alpha=alpha,
            mattes=mattes,
            geometry=geometry,
            chromaticities=linear_space(self.space),
            compression=self.compression,
            overflow=self.overflow,
            attributes=attributes,
        )
        return min(float(linear.max()), exr.HALF_MAX), clamped_notes(clamped, self.compression)


ACESCG = ExrWriter()
