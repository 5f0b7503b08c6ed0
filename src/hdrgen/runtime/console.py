"""What stages and commands show a person: progress bars and one-line errors. The library never imports it."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.failures import raises_bugs
from hdrgen.runtime.library_words import silence_libraries
from hdrgen.runtime.progress import OnProgress

stderr = Console(stderr=True)


@contextmanager
def progress_bar(title: str) -> Iterator[OnProgress]:
    """Show a bar on stderr while the block runs; yields the callback that moves it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage script: logs go to stderr, a known error is one line and exit code 1.

    Words of libraries are kept off it, unless the traceback of a bug is asked for (``HDRGEN_TRACEBACK``).
    """
    if not raises_bugs():
        silence_libraries()
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=stderr, show_path=False)]
    )
    try:
        main()
    except (HdrgenError, OSError) as error:
        stderr.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(1)
