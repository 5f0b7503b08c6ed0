"""Every channel of every part of an EXR as it is stored, the picture's and all others, and what each holds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.images.exr import layer_in, layers_in, pixel_type, stored_header
from hdrgen.images.exr_file import open_exr
from hdrgen.images.layer_names import is_depth, is_hash, is_id, words_in
from hdrgen.images.layers import Layer
from hdrgen.images.stored_image import StoredHeader

Kind = Literal["picture", "depth", "bits", "other"]

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
    """What an EXR holds by its headers: the layer that is its picture, and how it is stored.

    There is no picture where all is data, or data was asked for. `holds_more` tells that there are channels beside the picture's.
    """

    picture: Layer | None
    stored: StoredHeader
    holds_more: bool


def read_contents(path: Path, *, layer: str | None = None, part: int | str | None = None) -> Contents:
    """Tell from the headers what an EXR holds.

    Parameters
    ----------
    path
        The file.
    layer, part
        As of `read_exr`.

    Raises
    ------
    UnreadableImage
        As `read_exr`, but for damaged pixels, and not where all is data.
    """
    file = open_exr(path)
    headers, layers = file.headers, layers_in(file)
    all_data = layer is None and part is None and layers and all(found.kind == "data" for found in layers)
    taken = layers[0] if all_data else layer_in(file, layers, layer, part)
    stored = stored_header(headers[taken.part], taken)
    if taken.kind == "data":
        return Contents(None, stored, holds_more=True)
    channels = {channel.name for channel in headers[taken.part]["channels"]}
    more = len(headers) > 1 or channels != {*taken.channels, taken.alpha} - {None}
    return Contents(taken, stored, more)


def read_channels(path: Path, picture: Layer | None) -> tuple[ChannelPixels, ...]:
    """Read all channels of all parts; this decodes the whole file.

    Parameters
    ----------
    path
        The file.
    picture
        The layer whose channels are the picture, from `read_contents`.

    Raises
    ------
    UnreadableImage
        As `read_exr`.
    """
    file = open_exr(path)
    headers = file.headers
    of_picture = (picture.part, {*picture.channels, picture.alpha}) if picture else (-1, set())
    found = []
    for index, (part, header) in enumerate(zip(file.parts(separate=True), headers, strict=True)):
        part_name = str(header.get("name") or "") if len(headers) > 1 else ""
        hashed = {str(value) for key, value in header.items() if _CRYPTOMATTE_LAYER.fullmatch(str(key))}
        for name, channel in part.channels.items():
            is_picture = index == of_picture[0] and name in of_picture[1]
            kind = "picture" if is_picture else _kind(part_name, name, part.channels, hashed)
            pixels = _samples(channel.pixels) if channel.pixels.dtype == object else channel.pixels
            sampling = (int(channel.xSampling), int(channel.ySampling))
            found.append(ChannelPixels(index, part_name, name, pixels, kind, sampling))
    return tuple(found)


def _kind(part_name: str, name: str, beside: Iterable[str], hashed: set[str]) -> Kind:
    layer, _, base = name.rpartition(".")
    path = [part for part in f"{part_name}.{layer}".split(".") if words_in(part)]
    # What is above is called after shots and departments, and so may be a part.
    own = [(component, bool(layer)) for component in path[-1:]] + [(base, True)]
    if layer.rstrip("0123456789") in hashed or any(map(is_hash, (*path, base))):
        return "bits"
    if any(is_id(component, within=within) for component, within in own):
        return "bits"
    vector = f"{layer}.X" if layer else "X"  # whose Z is no depth
    if any(is_depth(component, within=within) for component, within in own) or (
        base in {"Z", "z"} and not {vector, vector.lower()} & set(beside)
    ):
        return "depth"
    return "other"


def _samples(deep: NDArray[Any]) -> NDArray[Any]:
    """Return the samples of all pixels of a deep channel in one row."""
    given = [samples for samples in deep.ravel() if samples is not None]
    return np.concatenate(given) if given else np.empty(0, np.float32)
