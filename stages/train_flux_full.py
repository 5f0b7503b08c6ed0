"""Fine-tune all weights of the base model's transformer on renditions of the scenes."""

from pathlib import Path
from typing import Annotated

import typer

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.prompts import with_prompts
from hdrgen.flux.checkpoint import read_reference
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.flux_full import TrainFluxFull, train_flux_full
from hdrgen.training.plan import Size, Workload, build, plan_training
from hdrgen.training.tiny_klein import TinyKlein


def main(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,
    size: Annotated[
        Size, typer.Option(help="Of the transformer in a dry run; weights are not needed.")
    ] = "tiny",
) -> None:
    """Train it, or say what that would take."""
    settings = read_section(Path("params.yaml"), "train_flux_full", TrainFluxFull)
    if dry_run:
        tiny = read_section(Path("params.yaml"), "base_model.tiny", TinyKlein)
        transformer = build(size, tiny.network, settings.crops.size, tiny.prompt_tokens)
        typer.echo(
            plan_training(
                size, transformer, Workload.of(settings.flow, settings.gradient_checkpointing)
            ).table()
        )
        return
    with progress_bar("train FLUX, all weights (steps)") as on_progress:
        figures = train_flux_full(
            read_reference(Path("data/base_model/checkpoint.json")),
            Path("data/sanitize"),
            with_prompts(read_index(Path("data/split")), Path("data/caption/captions.jsonl")),
            settings,
            Path("data/train_flux_full"),
            Path("metrics/train_flux_full/loss.tsv"),
            on_progress,
        )
    write_measured(Path("metrics/train_flux_full"), picked(figures, "val_loss"), figures, ("figure",))


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
