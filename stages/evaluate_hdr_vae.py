"""Evaluate the HDR VAEs' round trips on the test frames, or on those of another folder, beside the frozen VAE."""

from pathlib import Path
from typing import Annotated

import typer

from hdrgen.dataset.frame_index import read_index
from hdrgen.evaluation.hdr_vae import (
    EvaluateHdrVae,
    decisive_hdr_vae,
    evaluate_hdr_vae,
    hdr_vae_summary,
    round_trips,
)
from hdrgen.evaluation.tables import plots, write_evaluation
from hdrgen.flux.checkpoint import read_reference
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.params import read_section


def main(
    frames: Annotated[Path, typer.Option(help="Folder of frames, as sanitize leaves it.")] = Path(
        "data/sanitize"
    ),
    split: Annotated[Path, typer.Option(help="Folder of their index, as split leaves it.")] = Path(
        "data/split"
    ),
    metrics: Annotated[
        Path, typer.Option(help="Folder of tables; what decides goes beside it as JSON.")
    ] = Path("metrics/evaluate_hdr_vae"),
) -> None:
    """Evaluate every VAE on the same pictures."""
    settings = read_section(Path("params.yaml"), "evaluate_hdr_vae", EvaluateHdrVae)
    trips, multiple = round_trips(
        read_reference(Path("data/base_model/checkpoint.json")).path / "vae",
        Path("data/train_flux_vae"),
        Path("data/train_hdr_vae/hdr_vae.safetensors"),
    )
    with progress_bar("evaluate HDR VAEs") as on_progress:
        rows = evaluate_hdr_vae(frames, read_index(split), settings, trips, multiple, on_progress)
    figures = hdr_vae_summary(rows)
    write_evaluation(metrics, figures, decisive_hdr_vae(figures), plots(rows))


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
