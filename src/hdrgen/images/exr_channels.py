"""Every channel of every part of an EXR as it is stored, the picture's and all others, and what each holds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hdrgen.images.exr import _choose, _open, _open_pixels

Kind = Literal["picture", "depth", "bits", "other"]

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ID_TOKENS = {"id", "ids", "objectid", "materialid", "instanceid", "indexob", "indexma"}
_DEPTH_TOKENS = {"depth", "zdepth", "zback", "zbuffer", "distance"}
_CRYPTOMATTE_LAYER = re.compile(r"cryptomatte/[^/]+/name")


@dataclass(frozen=True)
class StoredChannel:
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
        if self.pixels.dtype.kind == "u":
            return "uint"
        return "half" if self.pixels.dtype == np.float16 else "float"

    @property
    def full_name(self) -> str:
        """The name, after that of its part where there is one."""
        return f"{self.part_name}:{self.name}" if self.part_name else self.name


def holds_more_than_the_picture(path: Path) -> bool:
    """Tell from the headers whether an EXR has channels that `read_exr` does not return.

    Raises
    ------
    UnreadableImage
        As `read_exr`, but for damaged pixels.
    """
    headers = _open(path, header_only=True)
    _, of_picture = _picture(path, headers)
    return len(headers) > 1 or {channel.name for channel in headers[0]["channels"]} != of_picture


def read_channels(path: Path) -> tuple[StoredChannel, ...]:
    """Read all channels of all parts; this decodes the whole file.

    Raises
    ------
    UnreadableImage
        As `read_exr`.
    """
    headers = _open(path, header_only=True)
    part_of_picture, of_picture = _picture(path, headers)
    file = _open_pixels(path, separate=True)
    found = []
    for index, (part, header) in enumerate(zip(file.parts, headers, strict=True)):
        part_name = str(header.get("name") or "") if len(headers) > 1 else ""
        hashed = {str(value) for key, value in header.items() if _CRYPTOMATTE_LAYER.fullmatch(str(key))}
        for name, channel in part.channels.items():
            is_picture = index == part_of_picture and name in of_picture
            kind = "picture" if is_picture else _kind(part_name, name, part.channels, hashed)
            pixels = _samples(channel.pixels) if channel.pixels.dtype == object else channel.pixels
            sampling = (int(channel.xSampling), int(channel.ySampling))
            found.append(StoredChannel(index, part_name, name, pixels, kind, sampling))
    return tuple(found)


def _picture(path: Path, headers: list[Any]) -> tuple[int, set[str]]:
    """Return which part and channels `read_exr` takes for the picture."""
    _, layout = _choose(path, headers)
    bases = {"rgb": ("R", "G", "B"), "luminance-chroma": ("Y", "RY", "BY"), "grey": (layout.grey,)}[
        layout.kind
    ]
    wanted = {layout.prefix + base for base in (*bases, "A")}
    return layout.part, wanted & {channel.name for channel in headers[layout.part]["channels"]}


def _kind(part_name: str, name: str, beside: Iterable[str], hashed: set[str]) -> Kind:
    layer, _, base = name.rpartition(".")
    tokens = {token.lower() for token in _TOKEN.findall(f"{part_name}.{name}")}
    whole = {word.lower() for word in re.split(r"[._:\s-]", f"{part_name}.{name}")}
    if layer.rstrip("0123456789") in hashed or any(
        word.startswith(("crypto", "ucrypto")) for word in tokens | whole
    ):
        return "bits"
    if _ID_TOKENS & (tokens | whole):
        return "bits"
    vector = f"{layer}.X" if layer else "X"  # whose Z is no depth
    if _DEPTH_TOKENS & (tokens | whole) or (
        base in {"Z", "z"} and not {vector, vector.lower()} & set(beside)
    ):
        return "depth"
    return "other"


def _samples(deep: NDArray[Any]) -> NDArray[Any]:
    """Return the samples of all pixels of a deep channel in one row."""
    given = [samples for samples in deep.ravel() if samples is not None]
    return np.concatenate(given) if given else np.empty(0, np.float32)
