"""``hdrgen caption``: frames become words."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, pictures, progress, say, say_error
from hdrgen.cli.options import JsonOption, examples
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.dataset.captions.captioning import CaptionSettings
    from hdrgen.dataset.captions.frames import Frame


def caption(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="FRAMES...", help="OpenEXR or Radiance files, folders of them, or folders with an index."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The captions: JSON, one frame a line.")
    ] = None,
    captioner: Annotated[
        Literal["metadata", "openai", "vllm"] | None,
        typer.Option(help="No model, a served one, or one in this process. [default: metadata]"),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Where it is served, for openai; several share the frames."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Its name, hub id or folder.")] = None,
    revision: Annotated[str | None, typer.Option(help="Of the model.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Requests under way, at all endpoints together. [default: 32]")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take everything else from its section caption.")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where answers are kept. [default: beside the captions]"),
    ] = None,
    overrides: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML of a person's corrections, by frame.")
    ] = None,
    write_batch: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what is to be asked for vllm run-batch instead."),
    ] = None,
    read_batch: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take answers from what vllm run-batch wrote.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Describe frames in words, one JSON line for each.

    Without a model, simulated frames say what they show and any other frame says its light. A model is asked only
    about frames that it has not described before: what it said is kept in a folder beside the output, so a run that
    was interrupted goes on, and frames that failed are asked about again. They are named with the reason; the exit
    code is 1 then.
    """
    from hdrgen.dataset.captions.captioning import caption_frames, write_captions
    from hdrgen.dataset.captions.overrides import read_overrides
    from hdrgen.evaluation.captions import caption_figures

    if write_batch and read_batch:
        raise HdrgenError("--write-batch asks and --read-batch takes the answers: one at a time")
    if captioner and (write_batch or read_batch):
        raise HdrgenError("--write-batch and --read-batch are captioners themselves; leave --captioner out")
    chosen: dict[str, Any] = {"captioner": captioner, "model": model, "revision": revision}
    if write_batch or read_batch:
        chosen |= {"captioner": "batch", "answers": read_batch}
    settings = _settings(params, chosen, endpoint, concurrency)
    frames = _frames(inputs)
    if write_batch:
        _write_batch(write_batch, frames, settings, _records(records, output or write_batch))
        return
    if output is None:
        raise HdrgenError("give the file of captions: -o captions.jsonl")
    corrections = read_overrides(overrides) if overrides else {}
    with progress("caption") as on_progress:
        done = caption_frames(frames, settings, _records(records, output), corrections, on_progress)
    write_captions(output, done)
    for name, reason in done.failures.items():
        say_error(reason if reason.startswith(name) else f"{name}: {reason}")
    if as_json:
        facts = {"output": str(output), **caption_figures(done), "failures": done.failures}
        print(json.dumps(facts, indent=2, allow_nan=False))  # noqa: T201 - what was asked for
    else:
        typer.echo(f"{output}: {len(done.captions)} of {len(frames)} frames")
    if done.failures:
        raise typer.Exit(1)


def _settings(
    params: Path | None, chosen: dict[str, Any], endpoint: list[str] | None, concurrency: int | None
) -> "CaptionSettings":
    from hdrgen.dataset.captions.captioning import CaptionSettings
    from hdrgen.runtime.params import read_section

    settings = read_section(params, "caption", CaptionSettings) if params else CaptionSettings()
    if endpoint and chosen["captioner"] is None:
        chosen["captioner"] = "openai"
    served = {"urls": tuple(endpoint) if endpoint else None, "concurrency": concurrency}
    openai = settings.openai.model_copy(update=_given(served))
    settings = settings.model_copy(update=_given(chosen) | {"openai": openai})
    if settings.captioner == "metadata" and (chosen["model"] or chosen["revision"] or concurrency):
        raise HdrgenError("no model is asked: give --captioner vllm, or --endpoint URL")
    return settings


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _frames(inputs: list[Path]) -> "list[Frame]":
    """Return the frames of indexes where folders have one, else of files."""
    from hdrgen.dataset.captions.frames import frames_in_files, indexed_frames
    from hdrgen.dataset.frame_index import INDEX_NAME, read_index

    frames = []
    for path in inputs:
        if (path / INDEX_NAME).is_file():
            frames += indexed_frames(read_index(path), path)
        else:
            frames += frames_in_files(pictures([path], SCENE_SUFFIXES))
    names = [frame.name for frame in frames]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise HdrgenError(f"{twice}: is given twice")
    return frames


def _records(records: Path | None, output: Path) -> Path:
    return records or output.with_suffix(".records")


def _write_batch(path: Path, frames: "list[Frame]", settings: "CaptionSettings", records: Path) -> None:
    from hdrgen.dataset.captions.batch_files import batch_model, write_batch
    from hdrgen.dataset.captions.engine import STRUCTURED_OUTPUTS
    from hdrgen.dataset.captions.records import Records

    model, known = batch_model(settings.model, settings.revision), Records(records)
    keys = {settings.key(frame, model): frame for frame in frames}
    missing = {key: frame for key, frame in keys.items() if known.get(key) is None}
    with progress("caption") as on_progress:
        unread = write_batch(path, missing, settings, model, on_progress)
    for failure in unread:
        say_error(failure.reason)
    typer.echo(f"{path}: {len(missing) - len(unread)} questions")
    structured = json.dumps(STRUCTURED_OUTPUTS)
    command = f"vllm run-batch -i {path} -o answers.jsonl --model {model.name}"
    say("note", f"{command} --structured-outputs-config '{structured}'")
    if unread:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen caption data/sanitize -o captions.jsonl",
            "hdrgen caption plates/ -o captions.jsonl --endpoint http://127.0.0.1:8000/v1",
            "hdrgen caption plates/ -o captions.jsonl --captioner vllm --model Qwen/Qwen3-VL-4B-Instruct",
            "hdrgen caption plates/ --write-batch questions.jsonl --model Qwen/Qwen3-VL-8B-Instruct",
            "hdrgen caption plates/ -o captions.jsonl --read-batch answers.jsonl --model Qwen/Qwen3-VL-8B-Instruct",
        )
    )(caption)
