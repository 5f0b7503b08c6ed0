"""Header attributes of an EXR that the OpenEXR binding cannot read: they are masked, so that it reads the rest.

One text in Latin-1 or a frame rate of 24/0 makes the binding refuse a whole file. Here such an attribute gets a type
that no library knows, of the same length, so that it is carried as bytes and every offset in the file stays right; its
value is decoded here.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["MaskedFile", "masked_file", "unsupported"]

_TILED, _MULTI_PART = 0x200, 0x1000
_VERSION = 2
_ATTRIBUTES_MAX = 4096  # a header of millions would be looked at for minutes
_START = struct.Struct("<4sI")
_CHANNEL = struct.Struct("<iB3xii")
# The smallest file there is, to see what the library makes of one attribute.
_WINDOW = struct.pack("<4i", 0, 0, 0, 0)
_NOT_ASCII = re.compile(rb"[^\x00-\x7f]")
_REQUIRED = frozenset(
    (
        *(b"channels", b"compression", b"dataWindow", b"displayWindow", b"lineOrder", b"pixelAspectRatio"),
        *(b"screenWindowCenter", b"screenWindowWidth", b"tiles", b"type", b"name", b"view", b"chunkCount"),
    )
)
# The library's own bounds.
_MAGNITUDES: dict[bytes, Callable[[float], bool]] = {
    b"pixelAspectRatio": lambda number: 1e-6 <= number <= 1e6,
    b"screenWindowWidth": lambda number: number >= 0,
}
_CHANNELS_NOTE = "channel names that are not UTF-8 are shown with ~ for what is not ASCII"


class _NoHeaderError(ValueError):
    """The bytes are no header."""


@dataclass(frozen=True)
class _Attribute:
    name: bytes
    kind: bytes
    value: bytes
    start: int  # of the name, in the file

    @property
    def stored(self) -> bytes:
        return b"%b\0%b\0%b%b" % (self.name, self.kind, struct.pack("<i", len(self.value)), self.value)


@dataclass(frozen=True)
class MaskedFile:
    """A file that the library can read, and the values of the attributes that were masked.

    Attributes
    ----------
    data
        The whole file, as long as before.
    values
        For each part, by the attribute's name in `data`: its true name, and its value or None where it has none.
    notes
        What was masked, for a person.
    """

    data: bytes
    values: tuple[dict[str, tuple[str, Any]], ...]
    notes: tuple[str, ...]


def masked_file(data: bytes, is_readable: Callable[[bytes], bool]) -> MaskedFile | None:
    """Return a file with all attributes masked that the library cannot read; None where there is none.

    Parameters
    ----------
    data
        The whole file.
    is_readable
        Whether the library reads an EXR of these few bytes.
    """
    try:
        parts = _parts(data)
    except _NoHeaderError:
        return None
    if sum(map(len, parts)) > _ATTRIBUTES_MAX:
        return None
    whole, values, notes = bytearray(data), [], []
    for part in parts:
        of_part: dict[str, tuple[str, Any]] = {}
        by_name = {attribute.name: attribute for attribute in part}
        for attribute in part:
            masked, note = _accepted(attribute, by_name)
            if note is None and not is_readable(_smallest_file(attribute.stored)):
                # No library knows a type of capitals only, so it is carried as bytes.
                masked = replace(attribute, name=_ascii(attribute.name), kind=_capitals(attribute.kind))
                value, note = _value(attribute)
                of_part[masked.name.decode()] = (_text(attribute.name), value)
            elif note and attribute.kind == b"string":
                of_part[_text(attribute.name)] = (_text(attribute.name), _text(attribute.value))
            if note:
                whole[masked.start : masked.start + len(masked.stored)] = masked.stored
                notes.append(note)
        values.append(of_part)
    return MaskedFile(bytes(whole), tuple(values), tuple(dict.fromkeys(notes))) if notes else None


def unsupported(data: bytes, *, compressions: int) -> str | None:
    """Return what a file needs that the library does not have, None where nothing is known to be wrong with that.

    Parameters
    ----------
    data
        The file, or its beginning.
    compressions
        How many methods of compression the library knows.
    """
    if len(data) >= _START.size and (version := data[4]) != _VERSION:
        return f"is of version {version} of the format, which is not supported"
    try:
        parts = _parts(data)
    except _NoHeaderError:
        return None
    for part in parts:
        by_name = {attribute.name: attribute for attribute in part}
        compression = by_name.get(b"compression")
        if compression and len(compression.value) == 1 and compression.value[0] >= compressions:
            return f"has a compression (number {compression.value[0]}) that OpenEXR does not know"
        window = _window(by_name.get(b"dataWindow"))
        tiled = b"tiles" in by_name
        if reason := window and _sampling_unsupported(by_name.get(b"channels"), window, tiled=tiled):
            return reason
    return None


def _sampling_unsupported(
    channels: _Attribute | None, window: tuple[int, int, int, int], *, tiled: bool
) -> str | None:
    for name, x_sampling, y_sampling in _channels(channels) if channels else ():
        if x_sampling < 1 or y_sampling < 1:
            return None
        if tiled and (x_sampling, y_sampling) != (1, 1):
            return f"has channel {_printable(name)} for every {x_sampling}x{y_sampling} pixels in tiles, which OpenEXR has not"
        edges = (window[0], window[2] + 1), (window[1], window[3] + 1)
        if any(edge % by for by, ends in zip((x_sampling, y_sampling), edges, strict=True) for edge in ends):
            size = f"{window[2] - window[0] + 1}x{window[3] - window[1] + 1}{window[0]:+d}{window[1]:+d}"
            return (
                f"has channel {_printable(name)} for every {x_sampling}x{y_sampling} pixels in a data window of {size}, "
                "which they do not fill evenly; that is not supported"
            )
    return None


def _parts(data: bytes) -> list[list[_Attribute]]:
    if len(data) < _START.size:
        raise _NoHeaderError
    _, version = _START.unpack_from(data)
    parts, position = [], _START.size
    while True:
        attributes, position = _attributes(data, position)
        if attributes:
            parts.append(attributes)
        if not version & _MULTI_PART or not attributes:
            return parts


def _attributes(data: bytes, position: int) -> tuple[list[_Attribute], int]:
    """Return the attributes up to the empty name that ends them, and the position behind it."""
    attributes = []
    while data[position : position + 1] != b"\0":
        start = position
        name, position = _word(data, position)
        kind, position = _word(data, position)
        (size,) = struct.unpack_from("<i", data, position) if position + 4 <= len(data) else (-1,)
        position += 4
        if not 0 <= size <= len(data) - position:
            raise _NoHeaderError
        attributes.append(_Attribute(name, kind, data[position : position + size], start))
        position += size
    return attributes, position + 1


def _word(data: bytes, position: int) -> tuple[bytes, int]:
    end = data.find(b"\0", position, position + 256)
    if end < 0:
        raise _NoHeaderError
    return data[position:end], end + 1


def _accepted(attribute: _Attribute, others: dict[bytes, _Attribute]) -> tuple[_Attribute, str | None]:
    """Return an attribute whose type must stay with a value that the library accepts, and a note if that is another one.

    The note is None where the attribute may become bytes.
    """
    value, name = attribute.value, _printable(attribute.name)
    match attribute.name, attribute.kind:
        case b"channels", b"chlist":
            plain = _with_ascii_names(attribute)
            return replace(attribute, value=plain), _CHANNELS_NOTE if plain != value else ""
        case ((b"name" | b"view"), b"string"):
            note = "" if _is_utf8(value) else f"{name} is not UTF-8: read as Latin-1"
            return replace(attribute, value=_ascii(value)), note
        case b"displayWindow", b"box2i":
            data_window = others.get(b"dataWindow")
            if _window(attribute) is None and _window(data_window) and data_window:
                return replace(
                    attribute, value=data_window.value
                ), "the display window is none: the data window is"
        case ((b"pixelAspectRatio" | b"screenWindowWidth"), b"float") if len(value) == 4:
            (number,) = struct.unpack("<f", value)
            if not _MAGNITUDES[attribute.name](number):
                note = f"{name} is {number:g}, which is none: 1 was taken"
                return replace(attribute, value=struct.pack("<f", 1)), note
        case stored, _ if stored not in _REQUIRED:
            return attribute, None
    return attribute, ""


def _window(attribute: _Attribute | None) -> tuple[int, int, int, int] | None:
    if attribute is None or len(attribute.value) != 16:
        return None
    x0, y0, x1, y1 = struct.unpack("<4i", attribute.value)
    inside = all(abs(edge) < 2**30 for edge in (x0, y0, x1, y1))
    return (x0, y0, x1, y1) if inside and x0 <= x1 and y0 <= y1 else None


def _channels(attribute: _Attribute) -> Iterator[tuple[bytes, int, int]]:
    """Give names and samplings, as far as they are whole."""
    value, position = attribute.value, 0
    while position < len(value) and value[position]:
        end = value.find(b"\0", position)
        if end < 0 or end + 1 + _CHANNEL.size > len(value):
            return
        _, _, x_sampling, y_sampling = _CHANNEL.unpack_from(value, end + 1)
        yield value[position:end], x_sampling, y_sampling
        position = end + 1 + _CHANNEL.size


def _with_ascii_names(attribute: _Attribute) -> bytes:
    """Return a channel list without names that are not UTF-8; samples lie in the order of names, so that is kept."""
    value = attribute.value
    names = [name for name, _, _ in _channels(attribute)]
    # Every byte beyond ASCII sorts after all of it, and ~ is its last.
    plain = [name if _is_utf8(name) else _NOT_ASCII.sub(b"~", name) for name in names]
    if names == plain or len(set(plain)) < len(plain) or plain != sorted(plain):
        return value
    position = 0
    for name, other in zip(names, plain, strict=True):
        value = value[:position] + other + value[position + len(name) :]
        position += len(name) + 1 + _CHANNEL.size
    return value


def _value(attribute: _Attribute) -> tuple[Any, str]:
    """Return the value of an attribute that the library cannot read, None where it has none, and a note."""
    value, name, kind = attribute.value, _printable(attribute.name), _printable(attribute.kind)
    match attribute.kind:
        case b"string":
            return _text(value), f"{name} is not UTF-8: read as Latin-1"
        case b"stringvector" if (texts := _texts(value)) is not None:
            return [_text(text) for text in texts], f"{name} is not UTF-8: read as Latin-1"
        case b"rational" if len(value) == 8:
            numerator, denominator = struct.unpack("<iI", value)
            return f"{numerator}/{denominator}", f"{name} is {numerator}/{denominator}, which is no number"
    why = f"its value is no {kind}" if _is_utf8(attribute.name + attribute.kind) else "it is not UTF-8"
    return None, f"attribute {name} is left behind: {why}"


def _texts(value: bytes) -> list[bytes] | None:
    texts, position = [], 0
    while position < len(value):
        if position + 4 > len(value):
            return None
        (length,) = struct.unpack_from("<i", value, position)
        position += 4
        if not 0 <= length <= len(value) - position:
            return None
        texts.append(value[position : position + length])
        position += length
    return texts


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(text: bytes) -> str:
    return text.decode() if _is_utf8(text) else text.decode("latin-1")


def _printable(text: bytes) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in _text(text))


def _ascii(text: bytes) -> bytes:
    return (
        text if _is_utf8(text) else bytes(letter if letter < 128 else letter & 0x3F | 0x40 for letter in text)
    )


def _capitals(kind: bytes) -> bytes:
    return bytes(letter if 65 <= letter <= 90 else 65 + letter % 26 for letter in kind)


def _smallest_file(attribute: bytes) -> bytes:
    """Return one black pixel with an attribute beside the required ones."""
    required = [
        (b"channels", b"chlist", b"Y\0" + _CHANNEL.pack(1, 0, 1, 1) + b"\0"),
        (b"compression", b"compression", b"\0"),
        (b"dataWindow", b"box2i", _WINDOW),
        (b"displayWindow", b"box2i", _WINDOW),
        (b"lineOrder", b"lineOrder", b"\0"),
        (b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
        (b"screenWindowCenter", b"v2f", struct.pack("<2f", 0, 0)),
        (b"screenWindowWidth", b"float", struct.pack("<f", 1)),
    ]
    header = b"".join(_Attribute(*parts, start=0).stored for parts in required) + attribute + b"\0"
    long_names = 0x400
    start = _START.pack(b"\x76\x2f\x31\x01", _VERSION | long_names) + header
    return start + struct.pack("<Q", len(start) + 8) + struct.pack("<ii2x", 0, 2)
