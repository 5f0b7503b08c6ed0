"""Every channel of every part of an EXR as it is stored, the picture's and all others, and what each holds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.images.exr import choose_picture, decode_for, layers_in, picture_in, pixel_type, stored_header
from hdrgen.images.exr_file import ExrFile, open_exr
from hdrgen.images.layer_names import NumbersKind, numbers_kind
from hdrgen.images.layers import Layer
from hdrgen.images.stored_image import SceneImage, StoredHeader

Kind = NumbersKind | Literal["picture"]

_CRYPTOMATTE_LAYER = re.compile(r"cryptomatte/[^/]+/name")


@dataclass(frozen=True)
class ChannelPixels:
    """One channel with its pixels.

    `pixels` is ``(height, width)`` in the type stored: float16, float32 or uint32; a subsampled channel is
    smaller by its `sampling`, across and down. Of a deep part it is the samples of all pixels, ``(count,)``.
    `kind` tells what the numbers are: ``picture`` is what `read_exr` returns; ``depth`` may be infinite by
    custom; ``bits`` are ids and Cryptomatte's hashes, which stand for nothing as numbers; ``other`` is the rest.
    """

    part: int
    part_name: str
    name: str
    pixels: NDArray[Any]
    kind: Kind
    sampling: tuple[int, int] = (1, 1)

    @property
    def pixel_type(self) -> str:
        """``half``, ``float`` or ``uint``."""
        return pixel_type(self.pixels)

    @property
    def full_name(self) -> str:
        """The name, after that of its part where there is one."""
        return full_name(self.part_name, self.name)


def full_name(part_name: str, name: str) -> str:
    """Return a channel's name with its part's, where that has one."""
    return f"{part_name}:{name}" if part_name else name


@dataclass(frozen=True)
class Contents:
    """What an EXR holds.

    Attributes
    ----------
    stored
        How the picture is stored, or the data where there is no picture.
    picture, image
        The layer that is the picture and its pixels; None where all is data, or data was asked for.
    channels
        All channels of all parts where there are others beside the picture's, else none.
    """

    stored: StoredHeader
    picture: Layer | None
    image: SceneImage | None
    channels: tuple[ChannelPixels, ...]


def read_contents(path: Path, *, layer: str | None = None, part: int | str | None = None) -> Contents:
    """Read an EXR as a whole: its picture, and every channel beside it. Everything is decoded once.

    Parameters
    ----------
    path
        The file.
    layer, part
        As of `read_exr`.

    Raises
    ------
    UnreadableImage
        As `read_exr`, but not where all is data.
    """
    file = open_exr(path)
    layers = layers_in(file)
    notes: tuple[str, ...] = ()
    channels: tuple[ChannelPixels, ...] = ()
    if layer is None and part is None and layers and all(other.kind == "data" for other in layers):
        taken = layers[0]
    else:
        taken, notes = choose_picture(file, layer, part, whole_file=True)
    picture = None if taken.kind == "data" else taken
    names = {channel.name for channel in file.headers[taken.part]["channels"]}
    if picture and len(file.headers) == 1 and names == {*taken.channels, taken.alpha} - {None}:
        parts = decode_for(file, taken)
    else:
        parts = file.parts(separate=True)
        channels = tuple(channels_in(file, parts, picture))
    return Contents(
        stored=stored_header(file.headers[taken.part], taken),
        picture=picture,
        image=picture_in(file, parts, taken, notes) if picture else None,
        channels=channels,
    )


def channels_in(file: ExrFile, parts: list[Any], picture: Layer | None) -> Iterator[ChannelPixels]:
    """Give all channels of a file.

    Parameters
    ----------
    file, parts
        The file and its `ExrFile.parts`, each channel apart.
    picture
        The layer that is its picture, None where there is none.
    """
    of_picture = (picture.part, {*picture.channels, picture.alpha}) if picture else (-1, set())
    for index, (part, header) in enumerate(zip(parts, file.headers, strict=True)):
        part_name = str(header.get("name") or "") if len(file.headers) > 1 else ""
        hashed = {str(value) for key, value in header.items() if _CRYPTOMATTE_LAYER.fullmatch(str(key))}
        for name, channel in part.channels.items():
            kind: Kind
            if index == of_picture[0] and name in of_picture[1]:
                kind = "picture"
            elif name.rpartition(".")[0].rstrip("0123456789") in hashed:
                kind = "bits"
            else:
                kind = numbers_kind(part_name, name, part.channels)
            pixels = _deep_samples(channel.pixels) if channel.pixels.dtype == object else channel.pixels
            sampling = (int(channel.xSampling), int(channel.ySampling))
            yield ChannelPixels(index, part_name, name, pixels, kind, sampling)


def _deep_samples(deep: NDArray[Any]) -> NDArray[Any]:
    """Return the samples of all pixels of a deep channel in one row."""
    given = [samples for samples in deep.ravel() if samples is not None]
    return np.concatenate(given) if given else np.empty(0, np.float32)
