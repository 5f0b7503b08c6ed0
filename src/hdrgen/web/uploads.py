"""Uploaded pictures: judged by their content, kept under names of ours."""

import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from PIL import Image

from hdrgen.images.code_image import code_format
from hdrgen.images.stored_image import read_bytes
from hdrgen.images.webp import START_BYTES, claimed_size
from hdrgen.routes.bracket import name_and_ev
from hdrgen.routes.stack import FEWEST, MOST
from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.jobs import Limits, Source

_NAME_LETTERS = 120


def keep_uploads(
    kind: str, files: Sequence[tuple[str, BinaryIO]], folder: Path, limits: Limits
) -> tuple[Source, ...]:
    """Copy uploaded pictures into a folder and check what can be checked without decoding them.

    Parameters
    ----------
    kind
        Of the job: ``expand`` and ``recover`` take one picture, ``merge`` a set.
    files
        Name and content of each. The name is shown, and may state an EV (``shot_ev-2.png``); it is no path.
    folder
        Where they go.
    limits
        Most pixels of all of them together.

    Raises
    ------
    HdrgenError
        There are too few or too many, one is no PNG, TIFF, JPEG or WebP, or they claim too many pixels.
    """
    fewest, most = {"generate": (0, 0), "merge": (FEWEST, MOST)}.get(kind, (1, 1))
    if not fewest <= len(files) <= most:
        exposures = f"{FEWEST} to {MOST} exposures of one scene"
        takes = {"generate": "no picture", "merge": exposures}.get(kind, "one picture")
        raise HdrgenError(f"{kind} takes {takes}, not {len(files)}")
    sources, pixels = [], 0
    for number, (sent, stream) in enumerate(files, 1):
        name = _shown(sent)
        ev = name_and_ev(Path(name))[1]
        path = folder / (f"source_{number}" + ("" if ev is None else f"_ev{ev:+g}"))
        with path.open("wb") as target:
            shutil.copyfileobj(stream, target, 2**20)
        pixels += _pixels(path, name)
        if pixels > limits.megapixels * 1e6:
            raise HdrgenError(f"{name}: more than {limits.megapixels:g} megapixels; make it smaller")
        # The readers go by content; a suffix is for people, and ends the EV in the name.
        named = path.with_name(f"{path.name}.{code_format(path)}")
        path.rename(named)
        sources.append(Source(file=named.name, name=name))
    return tuple(sources)


def _shown(name: str) -> str:
    """Return the last part of what a browser says a file is called, in letters that can be printed."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    return "".join(letter for letter in last if letter.isprintable())[-_NAME_LETTERS:] or "picture"


def _pixels(path: Path, name: str) -> int:
    """Return how many pixels a file claims to hold, reading no further than its header."""
    kind = code_format(path)
    if kind is None:
        raise HdrgenError(f"{name}: is not a PNG, TIFF, JPEG or WebP picture")
    try:
        if kind == "webp":  # Pillow would make room for the picture
            return math.prod(claimed_size(path, read_bytes(path, START_BYTES)))
        with Image.open(path, formats=("PNG", "TIFF", "JPEG")) as image:
            return image.width * image.height
    except Image.DecompressionBombError:  # Pillow's own limit, which is above ours
        return sys.maxsize
    except Exception:  # noqa: BLE001 - Pillow fails on damage in every way there is
        raise HdrgenError(f"{name}: is damaged, its header cannot be read") from None
