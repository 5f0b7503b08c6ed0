"""Adapt the base checkpoint's VAE to light from 0 to 1000."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.flux.checkpoint import read_reference
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.flux_vae import TrainFluxVae, train_flux_vae


def main() -> None:
    """Train it on the frames, from the base's weights."""
    settings = read_section(Path("params.yaml"), "train_flux_vae", TrainFluxVae)
    with progress_bar("train FLUX VAE (steps)") as on_progress:
        figures = train_flux_vae(
            read_reference(Path("data/base_model/checkpoint.json")),
            Path("data/sanitize"),
            read_index(Path("data/split")),
            settings,
            Path("data/train_flux_vae"),
            Path("metrics/train_flux_vae/loss.tsv"),
            on_progress,
        )
    write_measured(Path("metrics/train_flux_vae"), picked(figures, "val_loss"), figures, ("figure",))


if __name__ == "__main__":
    run_stage(main)
