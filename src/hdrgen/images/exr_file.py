"""Opening an EXR with the OpenEXR library, and every way in which that fails.

Its pitfalls: damaged pixels do not raise (see `exr_messages`); header values that its binding cannot turn into Python's
raise whatever the conversion raises; a file that it does not support is "Unable to open" as a damaged one is.
"""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import OpenEXR

from hdrgen.images.exr_header import masked_file, unsupported
from hdrgen.images.exr_messages import (
    is_lack_of_memory,
    is_of_several_types,
    printed_output,
    reason_printed,
    reason_raised,
)
from hdrgen.images.stored_image import InaccessibleImage, UnreadableImage, read_bytes

MAGIC = b"\x76\x2f\x31\x01"
_NO_MEMORY = "asks for more memory than there is"
_HEADER_MAX = 1 << 20
_COMPRESSIONS = int(OpenEXR.NUM_COMPRESSION_METHODS.value)


@dataclass(frozen=True)
class ExrFile:
    """An EXR whose headers were read.

    Attributes
    ----------
    path
        The file.
    headers
        One for each part, as the library says them, with what it cannot say in place.
    notes
        What of the headers could not be taken as it is.
    """

    path: Path
    headers: list[dict[str, Any]]
    notes: tuple[str, ...]
    _masked: bytes | None = None

    def parts(self, *, separate: bool) -> list[Any]:
        """Decode the pixels and return the library's parts.

        Parameters
        ----------
        separate
            Each channel in an array of its own. False puts R, G, B and A together, which is faster; where their types
            differ they come apart all the same.

        Raises
        ------
        UnreadableImage
            The pixels are damaged.
        """
        printed: list[str] = []
        try:
            with printed_output() as printed:
                file = library_file(self._masked or self.path, separate_channels=separate)
                parts = list(file.parts)
        except MemoryError:
            raise UnreadableImage(self.path, _NO_MEMORY) from None
        except Exception as error:  # noqa: BLE001 - the binding raises what a conversion happens to raise
            if not separate and is_of_several_types(error):
                return self.parts(separate=True)
            raise self._undecodable(reason_raised(error, self.path)) from None
        if printed or not parts:
            reason = reason_printed(printed, self.path)
            if is_lack_of_memory(reason):
                raise UnreadableImage(self.path, _NO_MEMORY)
            raise self._undecodable(reason)
        return parts

    def _undecodable(self, reason: str) -> UnreadableImage:
        with self.path.open("rb") as stream:
            lacking = unsupported(stream.read(_HEADER_MAX), compressions=_COMPRESSIONS)
        return UnreadableImage(self.path, lacking or f"has damaged pixels ({reason})")


def open_exr(path: Path) -> ExrFile:
    """Read an EXR's headers.

    Raises
    ------
    UnreadableImage
        The file is missing, is no EXR, is damaged, or needs what the library does not support.
    """
    if read_bytes(path, 4) != MAGIC:
        raise UnreadableImage(path, "is not an OpenEXR file")
    try:
        headers = _headers(path)
    except MemoryError:
        raise UnreadableImage(path, _NO_MEMORY) from None
    except Exception as error:  # noqa: BLE001 - the binding raises what a conversion happens to raise
        return _open_masked(path, reason_raised(error, path))
    return ExrFile(path, _whole(path, headers), ())


def _open_masked(path: Path, reason: str) -> ExrFile:
    """Open a file whose header the library could not read, with what it cannot read masked."""
    try:
        data = path.read_bytes()
        lacking = unsupported(data[:_HEADER_MAX], compressions=_COMPRESSIONS)
        masked = None if lacking else masked_file(data, _is_readable)
        headers = _headers(masked.data) if masked else []
    except MemoryError:
        raise UnreadableImage(path, _NO_MEMORY) from None
    except OSError as error:
        raise InaccessibleImage.because(path, error) from None
    except Exception as error:  # noqa: BLE001 - as above
        raise UnreadableImage(path, f"has a damaged EXR header ({reason_raised(error, path)})") from None
    if not masked or not headers:
        raise UnreadableImage(path, lacking or f"has a damaged EXR header ({reason})")
    for header, values in zip(headers, masked.values, strict=False):
        for name, (true_name, value) in values.items():
            header.pop(name, None)
            if value is not None:
                header[true_name] = value
    return ExrFile(path, _whole(path, headers), masked.notes, masked.data)


def _whole(path: Path, headers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return headers that say what a picture needs, or raise; the library lets some pass that do not."""
    if not headers:
        raise UnreadableImage(path, "has a damaged EXR header (no parts)")
    for header in headers:
        for name in ("channels", "compression", "dataWindow"):
            if name not in header:
                raise UnreadableImage(path, f"has a damaged EXR header (no {name})")
        header.setdefault("displayWindow", header["dataWindow"])
    return headers


def _headers(source: Path | bytes) -> list[dict[str, Any]]:
    with printed_output():
        headers = [dict(part.header) for part in library_file(source, header_only=True).parts]
    for header in headers:
        str(header.get("channels"))  # raises where a name is not UTF-8
        for name, value in header.items():
            if isinstance(value, OpenEXR.OpaqueAttribute | OpenEXR.Bytes):
                with contextlib.suppress(UnicodeDecodeError):
                    str(value)
                    continue
                header[name] = "bytes of a type whose name is not UTF-8"
    return headers


def library_file(source: Path | bytes, **options: bool) -> Any:
    """Return the library's file of a path or of bytes; it takes no path that is not UTF-8."""
    if isinstance(source, Path) and is_utf8(source):
        return OpenEXR.File(str(source), **options)
    return OpenEXR.File(io.BytesIO(source if isinstance(source, bytes) else source.read_bytes()), **options)


def is_utf8(path: Path) -> bool:
    """Tell whether a path is text; on Linux it may be any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_readable(data: bytes) -> bool:
    """Tell whether the library reads these bytes, and every value of the header can be shown."""
    try:
        with printed_output() as printed:
            parts = library_file(data, separate_channels=True).parts
            str(parts[0].header)
    except Exception:  # noqa: BLE001 - as above
        return False
    return not printed
