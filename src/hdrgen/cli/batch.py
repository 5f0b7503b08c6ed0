"""One file or many: which there are, where results go, and what is said of failures."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from inspect import isgeneratorfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.failures import failure, one_line
from hdrgen.runtime.progress import OnProgress

if TYPE_CHECKING:
    from hdrgen.runtime.overlap import ReadComputeWrite

EXR_SUFFIXES = (".exr", ".sxr", ".mxr")
SCENE_SUFFIXES = (*EXR_SUFFIXES, ".hdr", ".rgbe", ".pic")
CODE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".jfif", ".webp")


@dataclass(frozen=True)
class Job:
    """Files that belong together, and what comes of them; what is generated has no inputs."""

    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()

    @property
    def name(self) -> Path:
        """The file that the job is called by."""
        return (self.inputs or self.outputs)[0]


@dataclass(frozen=True)
class Report:
    """What came of a job: facts for programs, words for people; not `good` makes the exit code 1."""

    facts: dict[str, Any]
    words: Any = ""
    notes: tuple[str, ...] = field(default=())
    good: bool = True


def pictures(paths: Sequence[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files named, and in place of a folder the files in it with one of the suffixes, sorted.

    Links that lead nowhere and what may not be looked at are among them: each fails in its turn, named.

    Raises
    ------
    HdrgenError
        A folder holds none.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(
            file
            for file in path.iterdir()
            if file.suffix.lower() in suffixes and not file.name.startswith(".") and _is_or_was_a_file(file)
        )
        if not inside:
            raise HdrgenError(f"{path}: holds no {', '.join(suffixes)} files")
        files += inside
    return files


def _is_or_was_a_file(path: Path) -> bool:
    try:
        if path.is_file() or (path.is_symlink() and not path.exists()):
            return True
    except OSError:
        return True
    if not path.is_dir():
        say("note", f"{path}: is no file but a pipe, a socket or a device, left out")
    return False


def is_batch(paths: Sequence[Path]) -> bool:
    """Tell whether many results are asked for, so that the output is a folder."""
    return len(paths) > 1 or paths[0].is_dir()


def outputs_in(folder: Path, files: Sequence[Path], suffix: str) -> list[Path]:
    """Return a path in the folder for each file, named as it is but for the suffix.

    Raises
    ------
    HdrgenError
        The folder is a file or looks like one, or two files would get one name.
    """
    a_file = (*SCENE_SUFFIXES, *CODE_SUFFIXES, ".avif", ".jxl", suffix)
    if folder.is_file() or (not folder.is_dir() and folder.suffix.lower() in a_file):
        raise HdrgenError(f"{folder}: must be a folder when there are many inputs")
    chosen: dict[Path, Path] = {}
    for file in files:
        output = folder / f"{file.stem}{suffix}"
        if output in chosen:
            raise HdrgenError(f"{chosen[output]} and {file} would both become {output}; convert them apart")
        chosen[output] = file
    return list(chosen)


def jobs_for(paths: Sequence[Path], output: Path, *, suffixes: tuple[str, ...], suffix: str) -> list[Job]:
    """Return a job for each input; one file goes to `output`, or into it where it is a folder."""
    files = pictures(paths, suffixes)
    outputs = outputs_in(output, files, suffix) if is_batch(paths) or output.is_dir() else [output]
    return [Job((file,), (target,)) for file, target in zip(files, outputs, strict=True)]


def check_present(jobs: Sequence[Job], weights: Path | None) -> None:
    """Say what is missing before torch is loaded, which takes seconds; one file of many fails in its turn.

    Raises
    ------
    HdrgenError
        There are no such weights, or the only job lacks an input.
    """
    if weights and not weights.is_file():
        raise HdrgenError(f"{weights}: no such file of weights")
    for path in jobs[0].inputs if len(jobs) == 1 else ():
        if not path.is_file():
            raise HdrgenError(f"{path}: no such file")


def run_jobs(
    title: str,
    jobs: Sequence[Job],
    work: Callable[[Job], "Report | ReadComputeWrite[Report]"],
    *,
    as_json: bool,
    skip_existing: bool = False,
    dry_run: bool = False,
    summary: Callable[[], Any] | None = None,
    summary_facts: Callable[[], dict[str, Any]] | None = None,
) -> None:
    """Do all jobs; a failing one is said and the others go on.

    Work of three phases is overlapped: while one job is computed, the next is read and the one before is written.
    Results go to stdout, as text or as one JSON object with a list ``files``; all else goes to stderr. After the text of
    many, what `summary` says of those that did not fail; in the JSON, whatever their number, `summary_facts`.

    Raises
    ------
    typer.Exit
        With 2 when the only job failed, 1 when some of many did, a result is not good, or there is a bug.
    """
    from hdrgen.runtime.memory import keep_freed_memory

    keep_freed_memory()  # for the next picture, which mostly is of the same size
    results: list[dict[str, Any]] = []
    failed, good, bug = 0, True, False

    def task(job: Job) -> "ReadComputeWrite[Report]":
        done = _left_alone(job, skip_existing=skip_existing, dry_run=dry_run) or work(job)
        return done if isinstance(done, Report) else (yield from done)

    in_order = _overlapped if isgeneratorfunction(work) and len(jobs) > 1 else _one_by_one
    with _bar(title, len(jobs)) as step:
        for done, (job, outcome) in enumerate(zip(jobs, in_order(map(task, jobs)), strict=True), 1):
            facts: dict[str, Any] = {"file": str(job.name)}
            if job.outputs:
                facts["output"] = str(job.outputs[0])
            try:
                report = outcome()
            except Exception as error:  # noqa: BLE001 - a bug in one file must not cost the others
                failed += 1
                facts["error"], is_bug = failure(error, job.name)
                bug |= is_bug
                say_error(facts["error"])
            else:
                facts |= report.facts
                good &= report.good
                _say_report(job, report, alone=len(jobs) == 1, as_json=as_json)
            results.append(facts)
            step(done)
    if as_json:
        document = {"files": results, **(summary_facts() if summary_facts else {})}
        print(json.dumps(document, indent=2, allow_nan=False))  # noqa: T201 - what was asked for
    elif summary and len(jobs) > 1 and failed < len(jobs):
        show(summary())
    if failed and len(jobs) > 1:
        say_error(f"{failed} of {len(jobs)} failed, see above")
    if failed or not good:
        raise typer.Exit(2 if failed and len(jobs) == 1 and not bug else 1)


def _one_by_one(tasks: Iterable["ReadComputeWrite[Report]"]) -> Iterator[Callable[[], Report]]:
    from hdrgen.runtime.overlap import finish

    return (partial(finish, task) for task in tasks)


def _overlapped(tasks: Iterable["ReadComputeWrite[Report]"]) -> Iterator[Callable[[], Report]]:
    from hdrgen.runtime.overlap import overlapped

    return (future.result for future in overlapped(tasks))


def _left_alone(job: Job, *, skip_existing: bool, dry_run: bool) -> Report | None:
    """Return a report where nothing is to be done, or raise where nothing can be."""
    for path in job.inputs:
        if path.is_symlink() and not path.exists():
            raise HdrgenError(f"{path}: is a link to {path.readlink()}, which cannot be found")
    for output in job.outputs:
        if output.is_dir():
            raise HdrgenError(f"{output}: is a folder where a file is to be written")
        if any(output.exists() and path.exists() and output.samefile(path) for path in job.inputs):
            raise HdrgenError(f"{output}: would overwrite its own source; choose another output")
    arrow = " -> ".join(" + ".join(map(str, paths)) for paths in (job.inputs, job.outputs) if paths)
    if skip_existing and job.outputs and all(path.is_file() for path in job.outputs):
        return Report({"skipped": True}, f"{arrow} (is there already)")
    return Report({"dry_run": True}, f"{arrow} (dry run)") if dry_run else None


def _say_report(job: Job, report: Report, *, alone: bool, as_json: bool) -> None:
    for note in report.notes:
        say("note", note if alone else f"{job.name}: {note}")
    if not as_json and report.words:
        show(report.words, above_bar=not alone and sys.stderr.isatty() and sys.stdout.isatty())


@contextmanager
def progress(title: str) -> Iterator[OnProgress | None]:
    """Show a bar while the block runs; a program that reads stderr wants none."""
    if not sys.stderr.isatty():
        yield None
        return
    from hdrgen.runtime.console import progress_bar

    with progress_bar(title) as on_progress:
        yield on_progress


@contextmanager
def _bar(title: str, count: int) -> Iterator[Callable[[int], None]]:
    if count < 2:
        yield lambda _: None
        return
    with progress(title) as on_progress:
        if on_progress is None:
            yield lambda _: None
            return
        on_progress(0, count)
        yield lambda done: on_progress(done, count)


def show(words: Any, *, above_bar: bool = False) -> None:
    """Print a result to stdout: plain text as it is, anything else as rich draws it.

    Where a progress bar is on the same terminal, only the bar's own console can print above it.
    """
    if above_bar:
        from hdrgen.runtime.console import stderr

        stderr.print(words, markup=False, highlight=False, soft_wrap=True)
    elif isinstance(words, str):
        typer.echo(words)
    else:
        from rich.console import Console

        Console(highlight=False, soft_wrap=True).print(words)


def say(kind: str, text: str) -> None:
    """Say one line on stderr, whatever the text holds."""
    if not sys.stderr.isatty():
        typer.echo(f"{kind}: {one_line(text)}", err=True)
        return
    from rich.markup import escape

    from hdrgen.runtime.console import stderr

    colour = {"error": "red", "warning": "yellow"}.get(kind, "cyan")
    stderr.print(f"[{colour}]{kind}:[/{colour}] {escape(one_line(text))}", soft_wrap=True, highlight=False)


def say_error(text: str) -> None:
    """Say what went wrong, in one line on stderr."""
    say("error", text)
