"""Files that appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there when the block succeeds, remove it otherwise.

    The temporary file is there from the start, so a folder that cannot be written to is known before the work is
    done. Its name keeps the suffix, because writers choose the format by it. Missing parent folders are made.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{token_hex(6)}{path.suffix}")
    try:
        temporary.touch(exist_ok=False)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
