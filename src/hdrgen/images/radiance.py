"""Radiance pictures (``.hdr``), read by the specification.

OpenCV's and imageio's readers leave EXPOSURE, PRIMARIES and orientation to the caller who never sees them,
so the decoder is our own (G. Ward, "Real Pixels", Graphics Gems II, 1991; Radiance file formats, 2008).
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import XYZ_E, Chromaticities, spans_space
from hdrgen.images.stored_image import (
    SceneImage,
    StoredChannel,
    StoredHeader,
    StoredPart,
    UnreadableImage,
    read_bytes,
)

MAGIC = b"#?"
_HEADER_MAX = 1 << 20  # every program adds the commands that made the picture
_RESOLUTION = re.compile(rb"([-+])([XY])[ \t]+(\d{1,9})[ \t]+([-+])([XY])[ \t]+(\d{1,9})")
# What these say in OpenEXR is no text, and Radiance has no such names.
_OF_GEOMETRY = frozenset(("dataWindow", "displayWindow", "pixelAspectRatio"))
_NUMBERS = {"EXPOSURE": 1, "PIXASPECT": 1, "COLORCORR": 3, "PRIMARIES": 8}
# Mantissas are 1/256ths; exponent 0 means black.
_SCALE = np.ldexp(np.float32(1), np.arange(256) - (128 + 8)).astype(np.float32)
_SCALE[0] = 0
_FACTOR_MIN = 1e-30  # of what is multiplied up and divided by in float32


def read_radiance_header(path: Path) -> StoredHeader:
    """Read what a Radiance file says about its picture.

    Raises
    ------
    UnreadableImage
        The file is missing, is no Radiance picture, or its header is damaged.
    """
    path = Path(path)
    return _parse_header(path, _bytes(path, _HEADER_MAX)).stored


@dataclass(frozen=True)
class _Header:
    """What a header says: as the picture has it, where pixels begin, lines as (sign, axis, count) of each axis."""

    stored: StoredHeader
    pixels_at: int
    scan: tuple[tuple[bytes, bytes, int], tuple[bytes, bytes, int]]
    correction: NDArray[np.float64]


def read_radiance(path: Path) -> SceneImage:
    """Read a Radiance picture as float32, run-length encoded (new or old) or flat or all by turns, upright.

    Values are divided by the product of the header's EXPOSURE and COLORCORR lines, which undoes what was
    done to them, so they are the radiance recorded. Values of these, of PIXASPECT and of PRIMARIES that make no sense
    (EXPOSURE=0) are not followed, and noted. PRIMARIES of all zeros state nothing. PIXASPECT, which is height over
    width, is the attribute `pixelAspectRatio`, width over height.

    Raises
    ------
    UnreadableImage
        The file is missing, is no Radiance picture, or is damaged.
    """
    path = Path(path)
    data = _bytes(path)
    parsed = _parse_header(path, data)
    header, (outer, inner) = parsed.stored, parsed.scan
    rgbe = _decode(path, data[parsed.pixels_at :], outer[2], inner[2])
    rgb = rgbe[..., :3] * _SCALE[rgbe[..., 3]][..., None]
    # The resolution line names the axis of successive scan lines first; Y grows upwards.
    if outer[0] == (b"+" if outer[1] == b"Y" else b"-"):
        rgb = rgb[::-1]
    if inner[0] == (b"+" if inner[1] == b"Y" else b"-"):
        rgb = rgb[:, ::-1]
    if outer[1] == b"X":
        rgb = rgb.transpose(1, 0, 2)
    with np.errstate(over="ignore"):  # Inf is told by whoever cannot use it
        rgb = np.ascontiguousarray(rgb / parsed.correction.astype(np.float32), dtype=np.float32)
    return SceneImage(
        rgb=rgb,
        alpha=None,
        chromaticities=header.chromaticities,
        attributes=header.attributes,
        pixel_type="rgbe8",
        compression=header.compression,
        storage=header.storage,
        notes=header.notes,
        parts=(
            StoredPart(0, "", "", header.storage, tuple(StoredChannel(c, "rgbe8") for c in header.channels)),
        ),
    )


def _bytes(path: Path, limit: int = -1) -> bytes:
    data = read_bytes(path, limit)
    if not data.startswith(MAGIC):
        raise UnreadableImage(path, "is not a Radiance picture")
    return data


def _parse_header(path: Path, data: bytes) -> _Header:
    lines, position = _header_lines(data)
    end = data.find(b"\n", position, position + 256)
    resolution = _RESOLUTION.fullmatch(data[position:end].strip()) if end >= 0 else None
    if lines is None or resolution is None or resolution[2] == resolution[5]:
        raise UnreadableImage(path, "has a damaged Radiance header (no resolution line)")
    scan = tuple((resolution[i], resolution[i + 1], int(resolution[i + 2])) for i in (1, 4))
    if 0 in (scan[0][2], scan[1][2]):
        raise UnreadableImage(path, "has a damaged Radiance header (a picture without pixels)")

    header = _HeaderLines()
    for line in lines:
        header.add(line)
    kind = header.attributes.get("FORMAT", "32-bit_rle_rgbe")
    if kind not in {"32-bit_rle_rgbe", "32-bit_rle_xyze"}:
        raise UnreadableImage(path, f"has an unknown Radiance format {kind!r}")
    height, width = (axis[2] for axis in (scan if scan[0][1] == b"Y" else scan[::-1]))
    is_rgb = kind.endswith("rgbe")
    stored = StoredHeader(
        width=width,
        height=height,
        channels=("R", "G", "B") if is_rgb else ("X", "Y", "Z"),
        chromaticities=header.chromaticities() if is_rgb else XYZ_E,
        attributes=header.attributes,
        compression="rle",
        storage="scanline",
        notes=tuple(header.notes),
    )
    correction = np.array(header.attributes.get("EXPOSURE", 1.0)) * np.array(
        header.attributes.get("COLORCORR", 1.0)
    )
    return _Header(stored, end + 1, (scan[0], scan[1]), correction)


def _header_lines(data: bytes) -> tuple[list[bytes] | None, int]:
    """Return the lines behind the first up to an empty one, None where none is, and where the next line begins."""
    lines: list[bytes] = []
    position = 0
    while (end := data.find(b"\n", position, _HEADER_MAX)) >= 0:
        line = data[position:end].rstrip(b"\r")
        position = end + 1
        if not line.strip():
            return lines[1:], position
        lines.append(line)
    return None, position


@dataclass
class _HeaderLines:
    """What a header's lines say, one after the other."""

    attributes: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, line: bytes) -> None:
        """Take a line; those that begin with a blank are of the pictures that this one was made of."""
        if b"=" not in line or line[:1] in b" \t#":
            return
        name, value = (side.strip() for side in self._text(line).split("=", 1))
        if name not in _NUMBERS:
            if name and name.isprintable() and name not in _OF_GEOMETRY:
                self.attributes[name] = value
            return
        numbers = _numbers(value)[: _NUMBERS[name]]
        if len(numbers) < _NUMBERS[name]:
            self._ignore(name, value)
        elif name == "PRIMARIES":
            self.attributes[name] = numbers
        elif not all(math.isfinite(number) and number > 0 for number in numbers):
            self._ignore(name, value)
        else:  # several lines multiply up
            before = self._factors(name, len(numbers))
            self._set_factors(name, [a * b for a, b in zip(before, numbers, strict=True)], value)

    def chromaticities(self) -> Chromaticities | None:
        """Return what PRIMARIES state; zeros are how Radiance says nothing."""
        primaries = self.attributes.get("PRIMARIES")
        if primaries is None or not any(primaries):
            return None
        chromaticities = Chromaticities(
            *((x, y) for x, y in zip(primaries[::2], primaries[1::2], strict=True))
        )
        if spans_space(chromaticities):
            return chromaticities
        text = " ".join(f"{x:g}" for x in primaries)
        self.notes.append(f"PRIMARIES={text} span no colour space: taken as if none were stated")
        return None

    def _factors(self, name: str, count: int) -> list[float]:
        if name == "PIXASPECT":
            return [1 / self.attributes.get("pixelAspectRatio", 1.0)]
        stored = self.attributes.get(name, 1.0 if count == 1 else [1.0] * count)
        return stored if isinstance(stored, list) else [stored]

    def _set_factors(self, name: str, factors: list[float], value: str) -> None:
        if not all(_FACTOR_MIN <= factor <= 1 / _FACTOR_MIN for factor in factors):
            self._ignore(name, value)
        elif name == "PIXASPECT":
            self.attributes["pixelAspectRatio"] = 1 / factors[0]
        else:
            self.attributes[name] = factors[0] if len(factors) == 1 else factors

    def _ignore(self, name: str, value: str) -> None:
        self.notes.append(f"{name}={value} makes no sense and was not followed")

    def _text(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError:
            text = line.decode("latin-1")
            self.notes.append(f"{text.partition('=')[0]} is not UTF-8: read as Latin-1")
            return text


def _numbers(value: str) -> list[float]:
    """Return the numbers that a value begins with, as C's functions read them."""
    numbers = []
    for word in value.split():
        try:
            numbers.append(float(word))
        except ValueError:
            break
    return numbers


def _decode(path: Path, data: bytes, lines: int, width: int) -> NDArray[np.uint8]:
    """Return RGBE of shape ``(lines, width, 4)``; every scan line says for itself how it is encoded."""
    damaged = UnreadableImage(path, "has damaged pixels (the scan lines end early)")
    if len(data) < 4 or lines * width > 64 * len(data) * 255:
        raise damaged
    marker = bytes((2, 2, width >> 8, width & 255)) if 8 <= width <= 0x7FFF else None
    decoded: list[NDArray[np.uint8]] = []
    position, missing = 0, lines
    while missing:
        decode = _decode_planes if data[position : position + 4] == marker else _decode_pixels
        pixels, position = decode(damaged, data, position, missing, width, marker)
        decoded.append(pixels)
        missing -= len(pixels)
    return decoded[0] if len(decoded) == 1 else np.concatenate(decoded)


def _decode_planes(
    damaged: UnreadableImage, data: bytes, position: int, lines: int, width: int, marker: bytes | None
) -> tuple[NDArray[np.uint8], int]:
    """Decode the lines from here on that are in the new run lengths, plane by plane; return where they end."""
    pixels = bytearray()
    full = 0
    while full < 4 * width * lines and data[position : position + 4] == marker:
        position += 4
        full += 4 * width
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
    planes = np.frombuffer(bytes(pixels), np.uint8).reshape(-1, 4, width)
    return planes.transpose(0, 2, 1), position


def _decode_pixels(
    damaged: UnreadableImage, data: bytes, position: int, lines: int, width: int, marker: bytes | None
) -> tuple[NDArray[np.uint8], int]:
    """Decode the lines from here on that are flat or in the old run lengths; return where they end."""
    if len(data) - position < 4:
        raise damaged
    records = np.frombuffer(data, np.uint8, (len(data) - position) // 4 * 4, position).reshape(-1, 4)
    # Mostly all lines are of one kind; where they take turns, looking at all that follows would cost its square.
    window = lines * width if position == 0 else 4 * width
    while True:
        rgbe, first = _expanded(damaged, records[:window], lines * width)
        at_marker = np.zeros(0, np.int64)
        if marker:
            starts = _line_starts(first, len(rgbe), width)
            at_marker = starts[(records[starts] == np.frombuffer(marker, np.uint8)).all(axis=1)]
        if at_marker.size:
            record = int(at_marker[0])
            count = record if first is None else int(first[record])
            return rgbe[:count].reshape(-1, width, 4), position + 4 * record
        if len(rgbe) == lines * width:
            return rgbe.reshape(lines, width, 4), len(data)
        if window >= len(records):
            raise damaged
        window *= 2


def _expanded(
    damaged: UnreadableImage, records: NDArray[np.uint8], most: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Repeat (1, 1, 1, n), the pixel before it n times; return at most so many, and which one each record begins.

    The second is None where nothing repeats.
    """
    run = (records[:, :3] == 1).all(axis=1)
    if not run.any():
        return records[:most], None
    if run[0]:
        raise damaged
    # Runs in a row are the bytes of one long count, lowest first.
    index = np.arange(len(records))
    place = np.maximum(index - np.maximum.accumulate(np.where(run, -1, index)) - 1, 0)
    counts = np.where(run, records[:, 3].astype(np.int64) << np.minimum(8 * place, 32), 1)
    before = np.maximum.accumulate(np.where(run, 0, index))
    ends = np.cumsum(np.minimum(counts, most))
    first = ends - np.minimum(counts, most)
    kept = first < most
    counts = np.minimum(ends[kept], most) - first[kept]
    return np.repeat(records[before[kept]], counts, axis=0), np.where(run, -1, first)


def _line_starts(first: NDArray[np.int64] | None, count: int, width: int) -> NDArray[np.int64]:
    """Return the records that begin a scan line."""
    if first is None:
        return np.arange(0, count, width)
    return np.flatnonzero((first >= 0) & (first % width == 0) & (first < count))
