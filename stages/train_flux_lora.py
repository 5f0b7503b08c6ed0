"""Train a LoRA that makes light in the latents of the HDR VAE."""

from pathlib import Path
from typing import Annotated

import typer

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.prompts import with_prompts
from hdrgen.flux.checkpoint import read_reference
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.flux_lora import TrainFluxLora, add_lora, train_flux_lora
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
    settings = read_section(Path("params.yaml"), "train_flux_lora", TrainFluxLora)
    if dry_run:
        tiny = read_section(Path("params.yaml"), "base_model.tiny", TinyKlein)
        transformer = build(size, tiny.network, settings.crops.size, tiny.prompt_tokens)
        add_lora(transformer.model, transformer.family, settings)
        typer.echo(
            plan_training(
                size, transformer, Workload.of(settings.flow, settings.gradient_checkpointing)
            ).table()
        )
        return
    with progress_bar("train the LoRA (steps)") as on_progress:
        figures = train_flux_lora(
            read_reference(Path("data/base_model/checkpoint.json")),
            Path("data/train_flux_vae"),
            Path("data/sanitize"),
            with_prompts(read_index(Path("data/split")), Path("data/caption/captions.jsonl")),
            settings,
            Path("data/train_flux_lora"),
            Path("metrics/train_flux_lora/loss.tsv"),
            on_progress,
        )
    write_measured(Path("metrics/train_flux_lora"), picked(figures, "val_loss"), figures, ("figure",))


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
