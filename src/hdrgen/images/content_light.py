"""How bright an HDR picture gets, by CTA-861.3, and how an AVIF says it: the property ``clli`` (ISO 14496-12, 23008-12).

The encoder cannot write the property, so the finished file is given it; the coded picture stays byte for byte.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ContentLight(NamedTuple):
    """The light of the brightest pixel (MaxCLL) and the picture's average (MaxFALL), in whole nit to 65,535.

    Of each pixel the largest of its three components counts, as CTA-861.3, annex P has it.
    """

    max_cll_nits: int
    max_fall_nits: int


def content_light(rgb_nits: NDArray[np.floating]) -> ContentLight:
    """Measure a picture ``(H, W, 3)`` whose components are in nit, linear, in the primaries it is coded in."""
    largest = rgb_nits.max(axis=-1)
    light = (float(largest.max()), float(largest.mean(dtype=np.float64)))
    return ContentLight(*(round(min(max(nits, 0.0), 65535.0)) for nits in light))


def with_content_light(avif: bytes, light: ContentLight) -> bytes:
    """Return an AVIF whose primary picture says how bright it gets.

    Raises
    ------
    ValueError
        The file is not built as a single picture with an item location and properties.
    """
    top = {box.kind: box for box in _boxes(avif, 0, len(avif))}
    if b"meta" not in top:
        raise ValueError("no AVIF: it has no meta box")
    meta = top[b"meta"]
    inside = {box.kind: box for box in _boxes(avif, meta.start + 4, meta.end)}
    if lacking := [kind.decode() for kind in (b"pitm", b"iloc", b"iprp") if kind not in inside]:
        raise ValueError(f"no AVIF picture: it has no {', '.join(lacking)} box")
    pitm = avif[inside[b"pitm"].start : inside[b"pitm"].end]
    primary = int.from_bytes(pitm[4 : 8 if pitm[0] else 6], "big")

    properties = _with_property(avif, inside[b"iprp"], primary, struct.pack(">HH", *light))
    # What is written again has a size of 32 bits, whatever it had.
    shrunk = sum(box.start - box.first - 8 for box in (meta, inside[b"iloc"]))
    grown = len(properties) - inside[b"iprp"].size - shrunk
    changed = {
        b"iprp": lambda: properties,
        b"iloc": lambda: _moved(avif, inside[b"iloc"], grown, meta.end),
    }
    version_and_flags = avif[meta.start : meta.start + 4]
    new_meta = _box(b"meta", version_and_flags + _children(avif, meta.start + 4, meta.end, changed))
    return avif[: meta.first] + new_meta + avif[meta.end :]


@dataclass(frozen=True)
class _Box:
    """Where a box lies: from `first`, its content from `start`, to `end`."""

    kind: bytes
    first: int
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.first


def _boxes(data: bytes, position: int, end: int) -> Iterator[_Box]:
    while position < end:
        size, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        start = position + 8
        if size == 1:  # 64 bits of size follow
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        elif size == 0:  # to the end
            size = end - position
        if not start - position <= size <= end - position:
            raise ValueError("no AVIF: a box is cut off")
        yield _Box(kind, position, start, position + size)
        position += size


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _children(data: bytes, start: int, end: int, changed: dict[bytes, Callable[[], bytes]]) -> bytes:
    """Return boxes one after the other, some of them in another form."""
    return b"".join(
        changed[box.kind]() if box.kind in changed else data[box.first : box.end]
        for box in _boxes(data, start, end)
    )


def _with_property(data: bytes, iprp: _Box, item: int, content: bytes) -> bytes:
    """Return the box of properties with ``clli`` as the last of them, and the item that it is of."""
    inside = {box.kind: box for box in _boxes(data, iprp.start, iprp.end)}
    if b"ipco" not in inside or b"ipma" not in inside:
        raise ValueError("no AVIF picture: it has no properties")
    ipco, ipma = inside[b"ipco"], inside[b"ipma"]
    index = 1 + sum(1 for _ in _boxes(data, ipco.start, ipco.end))
    changed = {
        b"ipco": lambda: _box(b"ipco", data[ipco.start : ipco.end] + _box(b"clli", content)),
        b"ipma": lambda: _box(b"ipma", _associated(data[ipma.start : ipma.end], item, index)),
    }
    return _box(b"iprp", _children(data, iprp.start, iprp.end, changed))


def _associated(ipma: bytes, item: int, index: int) -> bytes:
    """Return the content of an ``ipma`` with one more property of an item, one that a reader may ignore."""
    id_size = 4 if ipma[0] else 2
    index_size = 2 if ipma[3] & 1 else 1
    entries = int.from_bytes(ipma[4:8], "big")
    position = 8
    for _ in range(entries):
        count_at = position + id_size
        end = count_at + 1 + ipma[count_at] * index_size
        if int.from_bytes(ipma[position:count_at], "big") == item and index < 1 << (8 * index_size - 1):
            count = bytes([ipma[count_at] + 1])
            more = index.to_bytes(index_size, "big")
            return ipma[:count_at] + count + ipma[count_at + 1 : end] + more + ipma[end:]
        position = end
    raise ValueError("no AVIF picture: its properties leave no room")


def _moved(data: bytes, iloc: _Box, by: int, from_offset: int) -> bytes:
    """Return the box of item locations, those in the file at `from_offset` or after it moved."""
    content = bytearray(data[iloc.start : iloc.end])
    version = content[0]
    offset_size, length_size = content[4] >> 4, content[4] & 15
    base_size, index_size = content[5] >> 4, content[5] & 15 if version else 0
    id_size = 4 if version > 1 else 2
    position = 6

    def number(size: int) -> int:
        nonlocal position
        position += size
        return int.from_bytes(content[position - size : position], "big")

    for _ in range(number(id_size)):
        number(id_size)
        in_file = number(2) & 15 == 0 if version else True
        number(2)  # the data reference
        base_at, base = position, number(base_size)
        extents = []
        for _ in range(number(2)):
            number(index_size)
            extents.append((position, number(offset_size)))
            number(length_size)
        if not in_file or not extents or base + min(offset for _, offset in extents) < from_offset:
            continue
        # One base for all extents where there is one, each extent where there is none.
        places = (
            [(base_at, base_size, base)]
            if base_size
            else [(at, offset_size, offset) for at, offset in extents]
        )
        for at, size, offset in places:
            content[at : at + size] = (offset + by).to_bytes(size, "big")
    return _box(b"iloc", bytes(content))
