"""Radiance pictures (``.hdr``), read by the specification.

OpenCV's and imageio's readers leave EXPOSURE, PRIMARIES and orientation to the caller who never sees them,
so the decoder is our own (G. Ward, "Real Pixels", Graphics Gems II, 1991; Radiance file formats, 2008).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import XYZ_E, Chromaticities
from hdrgen.images.stored_image import (
    SceneImage,
    StoredChannel,
    StoredHeader,
    StoredPart,
    UnreadableImage,
)

MAGIC = b"#?"
_HEADER_MAX = 65536
# Mantissas are 1/256ths; exponent 0 means black.
_SCALE = np.ldexp(np.float32(1), np.arange(256) - (128 + 8)).astype(np.float32)
_SCALE[0] = 0


def read_radiance_header(path: Path) -> StoredHeader:
    """Read what a Radiance file says about its picture.

    Raises
    ------
    UnreadableImage
        The file is missing, is no Radiance picture, or its header is damaged.
    """
    path = Path(path)
    return _parse_header(path, _bytes(path, _HEADER_MAX))[0]


def read_radiance(path: Path) -> SceneImage:
    """Read a Radiance picture as float32, run-length encoded (new or old) or flat, upright.

    Values are divided by the product of the header's EXPOSURE and COLORCORR lines, which undoes what was
    done to them, so they are the radiance recorded. PRIMARIES of all zeros state nothing.

    Raises
    ------
    UnreadableImage
        The file is missing, is no Radiance picture, or is damaged.
    """
    path = Path(path)
    data = _bytes(path)
    header, scanlines, resolution = _parse_header(path, data)
    axes = [resolution[0][1], resolution[2][1]]
    lines, width = int(resolution[1]), int(resolution[3])
    rgbe = _decode(path, data[scanlines:], lines, width)
    rgb = rgbe[..., :3] * _SCALE[rgbe[..., 3]][..., None]
    # The resolution line names the axis of successive scan lines first; Y grows upwards.
    if resolution[0][0] == ("+" if axes[0] == "Y" else "-"):
        rgb = rgb[::-1]
    if resolution[2][0] == ("+" if axes[1] == "Y" else "-"):
        rgb = rgb[:, ::-1]
    if axes == ["X", "Y"]:
        rgb = rgb.transpose(1, 0, 2)
    correction = np.array(header.attributes.get("EXPOSURE", 1.0)) * np.array(
        header.attributes.get("COLORCORR", 1.0)
    )
    if not np.all(correction > 0):
        raise UnreadableImage(path, "has an EXPOSURE or COLORCORR that is not positive")
    return SceneImage(
        rgb=np.ascontiguousarray(rgb / correction.astype(np.float32), dtype=np.float32),
        alpha=None,
        chromaticities=header.chromaticities,
        attributes=header.attributes,
        pixel_type="rgbe8",
        compression=header.compression,
        storage=header.storage,
        parts=(
            StoredPart(0, "", "", header.storage, tuple(StoredChannel(c, "rgbe8") for c in header.channels)),
        ),
    )


def _bytes(path: Path, limit: int = -1) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit)
    except OSError as error:
        raise UnreadableImage(path, f"cannot be read ({error.strerror})") from None
    if not data.startswith(MAGIC):
        raise UnreadableImage(path, "is not a Radiance picture")
    return data


def _parse_header(path: Path, data: bytes) -> tuple[StoredHeader, int, list[str]]:
    """Return the header, where the scan lines begin, and the resolution line's four words."""
    text, blank, rest = data[:_HEADER_MAX].replace(b"\r\n", b"\n").partition(b"\n\n")
    line, end, _ = rest.partition(b"\n")
    resolution = line.decode("latin-1").split()
    if (
        not (blank and end and len(resolution) == 4)
        or {resolution[0][1:], resolution[2][1:]} != {"X", "Y"}
        or {resolution[0][0], resolution[2][0]} - {"+", "-"}
        or not (resolution[1].isdigit() and resolution[3].isdigit())
        or int(resolution[1]) * int(resolution[3]) == 0
    ):
        raise UnreadableImage(path, "has a damaged Radiance header (no resolution line)")

    attributes: dict[str, Any] = {}
    for entry in text.decode("utf-8", errors="replace").splitlines()[1:]:
        name, equals, value = entry.partition("=")
        if equals and not entry.startswith("#"):
            _note(path, attributes, name.strip(), value.strip())
    kind = attributes.get("FORMAT", "32-bit_rle_rgbe")
    if kind not in {"32-bit_rle_rgbe", "32-bit_rle_xyze"}:
        raise UnreadableImage(path, f"has an unknown Radiance format {kind!r}")
    first, second = int(resolution[1]), int(resolution[3])
    height, width = (first, second) if resolution[0][1] == "Y" else (second, first)
    header = StoredHeader(
        width=width,
        height=height,
        channels=("R", "G", "B") if kind.endswith("rgbe") else ("X", "Y", "Z"),
        chromaticities=_chromaticities(attributes.get("PRIMARIES")) if kind.endswith("rgbe") else XYZ_E,
        attributes=attributes,
        compression="rle",
        storage="scanline",
    )
    return header, data.index(line + b"\n", len(text)) + len(line) + 1, resolution


def _note(path: Path, attributes: dict[str, Any], name: str, value: str) -> None:
    """Keep a header line; EXPOSURE and COLORCORR multiply up when they are said several times."""
    if name not in {"EXPOSURE", "COLORCORR", "PRIMARIES"}:
        attributes[name] = value
        return
    try:
        numbers = [float(word) for word in value.split()]
    except ValueError:
        raise UnreadableImage(path, f"has a damaged Radiance header ({name}={value!r})") from None
    if len(numbers) != {"EXPOSURE": 1, "COLORCORR": 3, "PRIMARIES": 8}[name]:
        raise UnreadableImage(path, f"has a damaged Radiance header ({name}={value!r})")
    if name == "EXPOSURE":
        attributes[name] = attributes.get(name, 1.0) * numbers[0]
    elif name == "COLORCORR":
        attributes[name] = [a * b for a, b in zip(attributes.get(name, [1.0] * 3), numbers, strict=True)]
    else:
        attributes[name] = numbers


def _chromaticities(stated: list[float] | None) -> Chromaticities | None:
    if stated is None or not any(stated):
        return None
    return Chromaticities(*((x, y) for x, y in zip(stated[::2], stated[1::2], strict=True)))


def _decode(path: Path, data: bytes, lines: int, width: int) -> NDArray[np.uint8]:
    """Return RGBE of shape ``(lines, width, 4)``."""
    damaged = UnreadableImage(path, "has damaged pixels (the scan lines end early)")
    if len(data) < 4 or lines * width > 64 * len(data) * 255:
        raise damaged
    marker = bytes((2, 2, width >> 8, width & 255)) if 8 <= width <= 0x7FFF else None
    if data[:4] != marker:
        return _decode_flat(damaged, data, lines, width)
    pixels = bytearray()
    position = 0
    for _ in range(lines):
        if data[position : position + 4] != marker:
            raise damaged
        position += 4
        full = len(pixels) + 4 * width
        while len(pixels) < full:
            if position + 1 >= len(data):
                raise damaged
            count = data[position]
            if count > 128:
                pixels += data[position + 1 : position + 2] * (count - 128)
                position += 2
            else:
                pixels += data[position + 1 : position + 1 + count]
                position += 1 + count
                if count == 0:
                    raise damaged
        if len(pixels) != full:
            raise damaged
    planes = np.frombuffer(bytes(pixels), np.uint8).reshape(lines, 4, width)
    return planes.transpose(0, 2, 1)


def _decode_flat(damaged: UnreadableImage, data: bytes, lines: int, width: int) -> NDArray[np.uint8]:
    """Decode flat pixels and the old run lengths: (1, 1, 1, n) repeats the pixel before it n times."""
    rgbe = np.frombuffer(data[: len(data) // 4 * 4], np.uint8).reshape(-1, 4)
    run = (rgbe[:, :3] == 1).all(axis=1)
    if run[0]:
        raise damaged
    if run.any():
        # Runs in a row are the bytes of one long count, lowest first.
        index = np.arange(len(rgbe))
        position_in_run = index - np.maximum.accumulate(np.where(run, -1, index)) - 1
        counts = np.where(
            run, rgbe[:, 3].astype(np.int64) << np.minimum(8 * np.maximum(position_in_run, 0), 32), 1
        )
        before = np.maximum.accumulate(np.where(run, 0, index))
        if counts.sum() > 2 * lines * width + 8:
            raise damaged
        rgbe = np.repeat(rgbe[before], counts, axis=0)
    if len(rgbe) < lines * width:
        raise damaged
    return rgbe[: lines * width].reshape(lines, width, 4)
