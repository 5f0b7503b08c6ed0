"""``hdrgen inspect`` of a picture of codes: how it is stored, and what is said of its colour."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdrgen.cli.batch import Report
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.images.code_image import CodeImage


def inspect_codes(path: Path) -> Report:
    """Return what a PNG, TIFF, JPEG or WebP says of itself, and what its codes are taken for.

    Raises
    ------
    UnreadableImage
        It cannot be read.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from hdrgen.images.code_image import read_code
    from hdrgen.images.stored_codes import FORMAT_NAMES

    picture = read_code(path)
    encoding, notes = _encoding(path, picture)
    kind = "RGBA" if picture.alpha is not None else "RGB"
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    size = f"{picture.width}x{picture.height} {picture.bits}-bit {kind} codes"
    table.add_row("stored", f"{size}, {FORMAT_NAMES[picture.format]}")
    table.add_row("encoding", Text(encoding or "not known", style="" if encoding else "yellow"))
    if picture.header:
        table.add_row("also says", Text(", ".join(picture.header), style="dim"))
    header = {
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
        "bits": picture.bits,
        "alpha": picture.alpha is not None,
        "pixel_aspect_ratio": picture.pixel_aspect_ratio,
        "encoding": encoding,
        "stated_by": picture.colour.by if picture.colour else None,
        "also_says": picture.header,
        "text": dict(picture.text),
    }
    facts = {"header": header, "statistics": None, "histogram": None, "notes": notes}
    return Report(facts, Group(Text(str(path), style="bold underline"), table, Text("")), notes)


def _encoding(path: Path, picture: "CodeImage[Any]") -> tuple[str | None, tuple[str, ...]]:
    """Return what `expand` takes the codes for, None where it asks, and notes of why."""
    from hdrgen.images.encoded import encoding_of

    try:
        decided = encoding_of([path], [picture], None)
    except HdrgenError as error:
        return None, (str(error).removeprefix(f"{path}: "),)
    return decided.name, decided.notes
