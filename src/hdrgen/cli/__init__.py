"""The command line: a thin skin over the library, one module for each command.

Commands import what they need when they run, so that ``--help`` and a mistyped option answer at once. What
goes wrong is one line on stderr; a traceback is a bug.

Exit codes: 0 all is well, 1 some files of a batch failed or ``check`` found a file unfit, 2 the command was
given something it cannot work with, 130 interrupted.
"""

import logging
import os
import sys

import typer

from hdrgen.cli import check, compare, convert, fuse, ingest, inspect, preview, tonemap
from hdrgen.cli.batch import say_error
from hdrgen.errors import HdrgenError

app = typer.Typer(
    name="hdrgen",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (ingest, inspect, check, fuse, tonemap, convert, compare, preview):
    command.register(app)


def _version(asked: bool) -> None:
    if asked:
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


class _Lines(logging.Handler):
    """The library's warnings as lines on stderr, beside a progress bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from hdrgen.cli.batch import say

        say("warning", record.getMessage())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    # OpenCV speaks of damaged files on stderr as well; our own line says it once.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    handler = _Lines(logging.WARNING)
    logging.getLogger("hdrgen").addHandler(handler)
    try:
        code = typer.main.get_command(app).main(
            arguments or ["--help"], prog_name="hdrgen", standalone_mode=False
        )
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort):
        say_error("interrupted; what was finished is whole, the rest was not written")
        return 130
    except BrokenPipeError:  # `hdrgen inspect ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except HdrgenError as error:
        say_error(str(error))
        return 2
    except OSError as error:
        say_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 2
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of click, whichever copy of it typer carries
            say_error(f"{error.format_message()} (hdrgen --help)")
            return 2
        if "HDRGEN_TRACEBACK" in os.environ:
            raise
        say_error(f"{type(error).__name__}: {error} (a bug in hdrgen; HDRGEN_TRACEBACK=1 shows where)")
        return 1
    finally:
        logging.getLogger("hdrgen").removeHandler(handler)
