"""The frames that are to be captioned: rows of an index, or files as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hdrgen.colour.primaries import AWG4, REC709, convert_primaries
from hdrgen.dataset.captions.light import MeasuredLight, light_in_index, light_in_picture
from hdrgen.dataset.scene_description import SCENE_ATTRIBUTE, parse_description, scene_kind
from hdrgen.images.scene_image import cut_to_display, read_scene_header, read_scene_image
from hdrgen.runtime.documents import file_sha256
from hdrgen.runtime.errors import HdrgenError


@dataclass(frozen=True)
class Frame:
    """One picture to describe.

    Parameters
    ----------
    name
        What it is called in the captions.
    path
        Its OpenEXR or Radiance file.
    content
        Stands for its pixels: another content is another picture.
    description
        JSON of `scene_description.Description` where the frame is simulated.
    light
        Measured already where an index has it.
    """

    name: str
    path: Path
    content: str
    description: str | None = None
    light: MeasuredLight | None = None

    @property
    def kind(self) -> str:
        """Kind of scene in words, empty where the frame does not say."""
        return scene_kind(self.scene)

    @property
    def scene(self) -> dict[str, Any]:
        """What a simulated frame says of itself, as its file has it; empty for any other."""
        return parse_description(self.description) or {}

    def linear_awg4(self) -> NDArray[np.float32]:
        """Read what is seen of the picture, ``(height, width, 3)``; NaN becomes black, Inf half's largest value.

        Raises
        ------
        HdrgenError
            The file cannot be read, or its primaries span no colour space.
        """
        image = cut_to_display(self.path, read_scene_image(self.path))
        rgb = np.nan_to_num(image.rgb.astype(np.float32), nan=0.0, posinf=65504.0, neginf=0.0)
        try:
            return convert_primaries(rgb, image.chromaticities or REC709, AWG4)
        except ValueError as error:
            raise HdrgenError(f"{self.path}: {error}") from None

    def measured(self, linear_awg4: NDArray[np.float32] | None = None) -> MeasuredLight:
        """Return its light, measured now where no index has it."""
        if self.light is not None:
            return self.light
        return light_in_picture(self.linear_awg4() if linear_awg4 is None else linear_awg4)


def indexed_frames(index: pl.DataFrame, folder: Path) -> list[Frame]:
    """Return the usable frames of an index, ordered by name.

    Parameters
    ----------
    index
        Of `sanitize` or `split`.
    folder
        What the index's ``file`` is relative to.
    """
    return [
        # Files of the pipeline are named by their content.
        Frame(
            row["frame"],
            folder / row["file"],
            Path(row["file"]).name,
            row["description"],
            light_in_index(row),
        )
        for row in index.filter(pl.col("quarantine_reason").is_null()).sort("frame").iter_rows(named=True)
    ]


def frames_in_files(paths: Sequence[Path]) -> list[Frame]:
    """Return frames for files, named as they are given; what cannot be opened fails later, and alone."""
    return [Frame(path.as_posix(), path, _content(path), _described(path)) for path in paths]


def _content(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return path.as_posix()


def _described(path: Path) -> str | None:
    try:
        description = read_scene_header(path).attributes.get(SCENE_ATTRIBUTE)
    except HdrgenError:
        return None
    return description if (parse_description(description) or {}).get("caption") else None
