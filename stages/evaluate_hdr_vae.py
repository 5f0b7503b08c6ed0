"""Judge the HDR VAEs' round trips on the test frames, or on those of another folder, beside the frozen VAE."""

from pathlib import Path
from typing import Annotated

import typer

from hdrgen.dataset.frame_index import read_index
from hdrgen.evaluation.hdr_vae import EvaluateHdrVae, hdr_vae_summary, judge_hdr_vae, round_trips, write_plots
from hdrgen.flux.checkpoint import read_reference
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import write_metrics
from hdrgen.runtime.params import read_section


def main(
    frames: Annotated[Path, typer.Option(help="Folder of frames, as sanitize leaves it.")] = Path(
        "data/sanitize"
    ),
    split: Annotated[Path, typer.Option(help="Folder of their index, as split leaves it.")] = Path(
        "data/split"
    ),
    metrics: Annotated[Path, typer.Option(help="Figures as JSON; tables go beside it.")] = Path(
        "metrics/evaluate_hdr_vae.json"
    ),
) -> None:
    """Judge every VAE on the same pictures."""
    settings = read_section(Path("params.yaml"), "evaluate_hdr_vae", EvaluateHdrVae)
    trips, multiple = round_trips(
        read_reference(Path("data/base_model/checkpoint.json")).path / "vae",
        Path("data/train_flux_vae"),
        Path("data/train_hdr_vae/hdr_vae.safetensors"),
    )
    with progress_bar("judge HDR VAEs") as on_progress:
        judgements = judge_hdr_vae(frames, read_index(split), settings, trips, multiple, on_progress)
    write_metrics(metrics, hdr_vae_summary(judgements))
    write_plots(metrics.with_suffix(""), judgements)


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
