"""The command line: a thin skin over the library, one module for each command.

Commands import what they need when they run, so that ``--help`` and a mistyped option answer at once. What
goes wrong is one line on stderr, a bug too: its traceback is in the file that the line names.

Exit codes: 0 all is well, 1 some files of a batch failed or ``check`` found a file unfit, 2 the command was
given something it cannot work with, 130 interrupted.
"""

import logging
import os
import signal
import sys

import typer

from hdrgen.cli import (
    bench,
    bracket,
    caption,
    check,
    compare,
    convert,
    expand,
    fuse,
    generate,
    ingest,
    inspect,
    merge,
    params,
    preview,
    recover,
    serve,
    tonemap,
)
from hdrgen.cli.batch import say_error
from hdrgen.runtime.failures import describe_bug, failure, raises_bugs
from hdrgen.runtime.library_words import silence_libraries

INTERRUPTED = 130
_INTERRUPTED_LINE = "interrupted; what was finished is whole, the rest was not written"

app = typer.Typer(
    name="hdrgen",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    generate,
    ingest,
    caption,
    inspect,
    check,
    recover,
    expand,
    merge,
    bracket,
    fuse,
    tonemap,
    convert,
    compare,
    preview,
    serve,
    bench,
    params,
):
    command.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from hdrgen import __version__

        typer.echo(f"hdrgen {__version__}")
        raise typer.Exit


@app.callback()
def hdrgen(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Scene-linear, half-float OpenEXR out of AI image models."""


class WarningLines(logging.Handler):
    """The library's warnings as lines on stderr, beside a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:  # noqa: D102 - as its base
        from hdrgen.cli.batch import say

        error = record.exc_info[1] if record.exc_info else None
        say("warning", f"{record.getMessage()}: {describe_bug(error)}" if error else record.getMessage())


def main() -> None:
    """Run the command line and exit."""
    _open_closed_streams()
    if not raises_bugs():
        _keep_stderr()
    _keep_stdout()
    # A farm that stops a job leaves no half-written file either: what is under way is cleaned up as on Control-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))


def _open_closed_streams() -> None:
    """Open a stdout and stderr that we were started without: the next file that is opened would get their number."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "w"))


def _keep_stderr() -> None:
    """Keep our own stderr to ourselves: decoders speak of damaged files on file descriptor 2, line after line."""
    silence_libraries()
    sys.stderr.flush()
    ours = os.dup(2)
    sys.stderr = os.fdopen(ours, "w", buffering=1, encoding="utf-8", errors="replace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def _keep_stdout() -> None:
    """Keep our own stdout to ourselves: HTJ2K's codec speaks of odd files on file descriptor 1, amid the JSON."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    # File names that are no UTF-8 come out as they are.
    stream = os.fdopen(ours, "w", encoding=sys.stdout.encoding, errors="surrogateescape")
    sys.stdout = stream
    sys.__stdout__ = stream  # type: ignore[misc]  # where the terminal's width is asked for


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    handler = WarningLines(logging.WARNING)
    logging.getLogger("hdrgen").addHandler(handler)
    try:
        code = typer.main.get_command(app).main(
            arguments or ["--help"], prog_name="hdrgen", standalone_mode=False
        )
        sys.stdout.flush()
        if code == INTERRUPTED:  # typer has caught it already, without a word
            say_error(_INTERRUPTED_LINE)
        return int(code or 0)
    except BrokenPipeError:  # `hdrgen inspect ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a person gets a line, not a traceback
        line, code = _ending(error)
        say_error(line)
        return code
    finally:
        logging.getLogger("hdrgen").removeHandler(handler)


def _ending(error: BaseException) -> tuple[str, int]:
    """Return one line and the exit code for whatever ended a command; a bug is raised where asked for."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return _INTERRUPTED_LINE, INTERRUPTED
    if hasattr(error, "format_message"):  # a usage error of click, whichever copy of it typer carries
        return f"{error.format_message()} (see hdrgen --help)", 2
    line, is_bug = failure(error)
    return line, 1 if is_bug else 2
