"""``hdrgen ingest``: footage becomes indexed, scene-linear AWG4 frames."""

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hdrgen.cli.batch import progress, say, say_error
from hdrgen.cli.options import CompressionOption, JsonOption, LayerOption, PartOption, examples
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.failures import failure

if TYPE_CHECKING:
    from hdrgen.dataset.source_files import SourceFiles


def ingest(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC...", help="Folders of OpenEXR or Radiance files.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder of the frames; a folder in it for each of many sources."),
    ],
    encoding: Annotated[
        str,
        typer.Option(help="What the files hold where they do not say, such as logc4_awg4 or linear_awg3."),
    ] = "auto",
    exposure: Annotated[
        str, typer.Option(help="auto, keep, grey (bring the geometric mean to mid-grey), or a factor.")
    ] = "auto",
    panoramas: Annotated[
        Literal["auto", "always", "never"],
        typer.Option(
            help="Whether files twice as wide as high are 360-degree panoramas and become camera-like views."
        ),
    ] = "auto",
    layer: LayerOption = None,
    part: PartOption = None,
    compression: CompressionOption = "zip",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. [default: one for each core]")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which a file is given up.")] = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Take in footage of any encoding as indexed frames.

    Frames are scene-linear ARRI Wide Gamut 4, 18 % grey at 0.18, as half-float EXR. The output mirrors its source: a second run makes what is new and removes what is gone. A file that cannot
    be used is passed over and named with the reason; the exit code is 1 then. A source of many that cannot be taken in is
    named too, and the others go on.
    """
    from pydantic import ValidationError

    from hdrgen.dataset.ingest import ingest as take_in
    from hdrgen.dataset.ingest_notes import ingest_notes
    from hdrgen.dataset.ingest_settings import IngestParams
    from hdrgen.dataset.source_files import find_pictures

    names = _names(sources)
    settings = {
        "encoding": encoding,
        "exposure": _exposure(exposure),
        "panoramas": panoramas,
        "layer": layer,
        "part": part,
    }
    try:
        params = IngestParams.model_validate(
            {
                "sources": {name: {"path": path, **settings} for name, path in names.items()},
                "compression": compression,
                "workers": workers or "auto",
                "timeout_s": timeout,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        # Settings of a source stand under its name, and those of one of many kinds go on with the kind.
        setting = first["loc"][2] if first["loc"][0] == "sources" else first["loc"][0]
        raise HdrgenError(f"--{setting} {first['input']}: {first['msg']}") from None
    folders = {name: output / name if len(names) > 1 else output for name in names}
    results, failed, bug = [], 0, False
    for name, folder in folders.items():
        source = names[name]
        of_files: Counter[str] = Counter()
        try:
            if not source.exists():
                raise HdrgenError(f"{source}: no such file or folder")  # noqa: TRY301 - told as any other failure
            files = find_pictures(source)
            _check_folder(folder, source, files)
            with progress(f"ingest {source}") as bar:
                index = take_in(name, params, folder, files=files, on_progress=bar, on_notes=of_files.update)
            result = _result(source, folder, index)
            source_notes = ingest_notes(index, of_files, compression)
            for note in source_notes:
                say("note", f"{source}: {note}")
            results.append(result | {"notes": [*files.notes, *source_notes]})
        except Exception as error:  # noqa: BLE001 - what is wrong with one source must not cost the others
            failed += 1
            why, is_bug = failure(error, source)
            bug |= is_bug
            say_error(why)
            results.append({"source": str(source), "output": str(folder), "error": why})
    if as_json:
        print(json.dumps({"sources": results}, indent=2, allow_nan=False))  # noqa: T201 - what was asked for
    else:
        for result in (result for result in results if "error" not in result):
            frames, folder = len(result["frames"]), result["output"]
            typer.echo(
                f"{result['source']}: {frames} frames in {folder}, {len(result['quarantined'])} files not used"
            )
    if failed and len(names) > 1:
        say_error(f"{failed} of {len(names)} failed, see above")
    if failed or any(result["quarantined"] for result in results):
        raise typer.Exit(2 if failed and len(names) == 1 and not bug else 1)


def _result(source: Path, folder: Path, index: Any) -> dict[str, Any]:
    """Return what came of a source, having said which of its files could not be used."""
    frames, quarantined = [], []
    for row in index.iter_rows(named=True):
        if row["quarantine_reason"] is None:
            keys = (
                "path",
                "file",
                "scene",
                "encoding",
                "encoding_decided_by",
                "width",
                "height",
                "exposure_scale",
            )
            frames.append({key: row[key] for key in keys})
        else:
            quarantined.append({"path": row["path"], "reason": row["quarantine_reason"]})
            say("not used", f"{source / row['path']}: {row['quarantine_reason']}")
    return {"source": str(source), "output": str(folder), "frames": frames, "quarantined": quarantined}


def _names(sources: list[Path]) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in sources:
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(os.path.realpath(path)).stem).strip("_") or "source"
        if name in names:
            raise HdrgenError(f"{names[name]} and {path}: have one name; take them in apart")
        names[name] = path
    return names


def _exposure(text: str) -> str | float:
    if text in ("auto", "keep", "grey"):
        return text
    try:
        return float(text)
    except ValueError:
        raise HdrgenError(f"--exposure {text}: must be auto, keep, grey or a factor") from None


def _check_folder(folder: Path, source: Path, files: "SourceFiles") -> None:
    """Refuse a folder whose frames are not of this source: what is gone from a source is removed there."""
    from hdrgen.dataset.frame_index import INDEX_NAME, read_index
    from hdrgen.dataset.journal import journal_is_about

    frames = folder / "frames"
    if folder.is_file():
        raise HdrgenError(f"{folder}: is a file; give a folder for the frames")
    indexed, unfinished = (folder / INDEX_NAME).is_file(), journal_is_about(folder)
    if frames.is_dir() and any(frames.iterdir()) and not (indexed or unfinished):
        raise HdrgenError(f"{frames}: holds files that no ingest made; give another folder")
    if not indexed and unfinished and unfinished.get("path") != str(source.resolve()):
        raise HdrgenError(
            f"{folder}: holds the unfinished frames of {unfinished.get('path')}, which would be removed; "
            "give another folder, or delete this one"
        )
    if indexed:
        index = read_index(folder)
        before = set(index["path"]) if "path" in index.columns else set()
        # The library tells sources by their names; two folders of one name have no file in common.
        if before and before.isdisjoint(files.stamps):
            raise HdrgenError(
                f"{folder}: holds the frames of other files than those of {source}, which would be removed; "
                "give another folder, or delete this one"
            )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen ingest /footage/day_03 -o frames/",
            "hdrgen ingest plates/ stills/ -o frames/ --panoramas never",
            "hdrgen ingest old_alexa/ -o frames/ --encoding logc3_awg3 --exposure keep",
        )
    )(ingest)
