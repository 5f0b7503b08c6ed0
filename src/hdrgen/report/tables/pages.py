"""Pages with tables of figures.

A page holds ``<!-- table: NAME -->`` and ``<!-- end table -->``, each on a line of its own. What is between is written.
"""

import re
from pathlib import Path

import polars as pl

from hdrgen.report.tables import production, released, speed, text_to_exr
from hdrgen.report.tables.markdown import Table
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

PAGES = ("README.md", "docs/*.md", "src/hdrgen/weights/*.md")
"""Where tables may be."""
TABLES: dict[str, Table] = released.TABLES | text_to_exr.TABLES | production.TABLES | speed.TABLES
"""Every table by its name."""
_BEGIN = re.compile(r"^<!-- table: (.*) -->$", re.MULTILINE)
_TABLE = re.compile(
    r"^<!-- table: (?P<name>.*) -->\n(?:(?!<!-- ).*\n)*<!-- end table -->$",
    re.MULTILINE,
)


def write_tables(root: Path) -> None:
    """Write all tables of all pages anew.

    Parameters
    ----------
    root
        Folder of the pages, of ``metrics`` and of ``docs/bench.json``.

    Raises
    ------
    HdrgenError
        See `with_tables`.
    """
    for path in pages(root):
        text = path.read_text(encoding="utf-8")
        changed = with_tables(text, root)
        if changed != text:
            with replacing(path) as temporary:
                temporary.write_text(changed, encoding="utf-8")


def pages(root: Path) -> list[Path]:
    """Return the pages that may hold tables."""
    return [path for pattern in PAGES for path in sorted(root.glob(pattern))]


def with_tables(text: str, root: Path) -> str:
    """Return a page with its tables as the figures under ``root`` are now.

    A table whose stage was not run says so.

    Raises
    ------
    HdrgenError
        There is no such table, one has no end, or its figures cannot be read.
    """
    written, count = _TABLE.subn(lambda match: _written(match["name"], root), text)
    if count != len(_BEGIN.findall(text)):
        raise HdrgenError(f"a table has no end: {', '.join(_BEGIN.findall(text))}")
    return written


def _written(name: str, root: Path) -> str:
    if name not in TABLES:
        raise HdrgenError(f"there is no table {name!r}; known are {', '.join(TABLES)}")
    return f"<!-- table: {name} -->\n{_table(name, TABLES[name], root)}\n<!-- end table -->"


def _table(name: str, table: Table, root: Path) -> str:
    missing = [source for source in table.sources if not (root / source).is_file()]
    if missing:
        return f"*Not measured: there is no `{missing[0]}`.*"
    try:
        return table.write(root)
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise HdrgenError(
            f"table {name}: {', '.join(table.sources)}: not the figures it is made of ({error!r})"
        ) from None
