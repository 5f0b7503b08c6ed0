"""The files of a source: which are pictures, and whether they are still the same when all are taken in."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hdrgen.images.scene_image import image_format
from hdrgen.images.stored_image import UnreadableImage
from hdrgen.runtime.documents import file_sha256
from hdrgen.runtime.errors import HdrgenError, MachineError

_PICTURE_SUFFIXES = frozenset(("", ".exr", ".sxr", ".mxr", ".hdr", ".rgbe", ".pic"))

Stamp = tuple[int, ...]
"""What the file system changes when a file is written or replaced."""
_WRITTEN = slice(2, 4)
"""What of a stamp stays when a file is linked, or its permissions change: size and time of writing."""


@dataclass(frozen=True)
class SourceFiles:
    """The pictures of a source at one time.

    Parameters
    ----------
    path
        The source.
    root
        The folder that paths are relative to.
    stamps
        Of the files that are or should be pictures, by their path, sorted.
    left_out
        What is passed over though it is named like a picture, by its path, and why.
    """

    path: Path
    root: Path
    stamps: Mapping[str, Stamp]
    left_out: Mapping[str, str]

    @property
    def notes(self) -> tuple[str, ...]:
        """Return a sentence for everything that is left out."""
        return tuple(f"{self.root / path}: {why}" for path, why in self.left_out.items())

    def why_out_of_reach(self, path: str) -> str | None:
        """Return why a picture that was there may still exist and only cannot be reached; None where it is gone."""
        place = self.root / path
        if path in self.left_out or path == "." or self.root != self.path:
            return self.left_out.get(path)
        if place.is_symlink() and not place.is_file():
            return "is a link to what cannot be found"
        if place.is_dir() and not any(place.iterdir()):
            return "is empty, as a disk's folder is that is not mounted"
        return "is no picture any more" if place.exists() and not place.is_dir() else None


def find_pictures(path: Path) -> SourceFiles:
    """Find the files in a folder that are or should be pictures.

    A file is one if its first bytes say so, or if its name promises it (``.exr``, ``.hdr``) or says nothing
    (damaged files often have lost their suffix). Hidden files and folders are passed over; links to folders are not
    followed.

    Raises
    ------
    HdrgenError
        The path does not exist.
    MachineError
        A folder in it cannot be listed, or a file is gone before it was looked at.
    """
    if path.is_file():
        return SourceFiles(path, path.parent, {path.name: _stamp(path.stat())}, {})
    if not path.is_dir():
        raise HdrgenError(f"{path}: no such folder; see ingest.sources")
    stamps: dict[str, Stamp] = {}
    left_out: dict[str, str] = {}
    try:
        for folder, folders, files in os.walk(path, onerror=_raise):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in folders:
                if (link := Path(folder) / name).is_symlink():
                    left_out[link.relative_to(path).as_posix()] = (
                        "is a link to a folder, which is not followed"
                    )
            for name in files:
                if name.startswith("."):
                    continue
                file = Path(folder) / name
                _look_at(file, file.relative_to(path).as_posix(), stamps, left_out)
    except OSError as error:
        raise MachineError(
            f"{error.filename or path}: cannot be read ({error.strerror}); nothing was removed, run it again once it can"
        ) from None
    return SourceFiles(path, path, dict(sorted(stamps.items())), dict(sorted(left_out.items())))


def check_unchanged(before: SourceFiles, content_hashes: Mapping[str, str]) -> None:
    """Check that a source holds what was taken in.

    Parameters
    ----------
    before
        As it was before.
    content_hashes
        SHA-256 of the files that were read, by their path. A file that was touched is compared by it; one that
        crashed or stalled its reader has none, and is compared by its size and the time it was written.

    Raises
    ------
    MachineError
        A file was added, removed or changed meanwhile.
    """
    now = find_pictures(before.path)
    new = now.stamps.keys() - before.stamps.keys()
    gone = before.stamps.keys() - now.stamps.keys()
    touched = (
        path for path in now.stamps.keys() & before.stamps.keys() if now.stamps[path] != before.stamps[path]
    )
    changed = {
        path
        for path in touched
        if (
            file_sha256(now.root / path) != content_hashes[path]
            if path in content_hashes
            else now.stamps[path][_WRITTEN] != before.stamps[path][_WRITTEN]
        )
    }
    if new or gone or changed:
        counts = ((new, "added"), (gone, "removed"), (changed, "changed"))
        differences = ", ".join(f"{len(paths)} {what}" for paths, what in counts if paths)
        raise MachineError(
            f"{before.path}: changed while it was taken in ({differences}, first {min(new | gone | changed)}); "
            "run it again when nothing writes there any more: what was made is kept"
        )


def _raise(error: OSError) -> None:
    raise error


def _look_at(file: Path, path: str, stamps: dict[str, Stamp], left_out: dict[str, str]) -> None:
    named_like_one = file.suffix.lower() in _PICTURE_SUFFIXES
    try:
        status = file.stat()
    except OSError as error:
        if not file.is_symlink():
            raise  # it was there when the folder was listed
        if named_like_one:
            left_out[path] = f"is a link to what cannot be found ({error.strerror})"
        return
    if not stat.S_ISREG(status.st_mode):
        if named_like_one:
            left_out[path] = "is no file but a pipe, a socket or a device"
    elif named_like_one or _is_picture(file):
        stamps[path] = _stamp(status)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_picture(file: Path) -> bool:
    try:
        return image_format(file) is not None
    except UnreadableImage:
        return True  # unreadable, so it is to be named rather than passed over
