"""Train the published HDR VAE: 4-channel latents, transposed convolutions, codes of light out."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.hdr_vae import TrainHdrVae, train_hdr_vae


def main() -> None:
    """Train encoder and decoder on the frames."""
    settings = read_section(Path("params.yaml"), "train_hdr_vae", TrainHdrVae)
    with progress_bar("train HDR VAE (steps)") as on_progress:
        figures = train_hdr_vae(
            Path("data/sanitize"),
            read_index(Path("data/split")),
            settings,
            Path("data/train_hdr_vae/hdr_vae.safetensors"),
            Path("metrics/train_hdr_vae/loss.tsv"),
            on_progress,
        )
    write_measured(Path("metrics/train_hdr_vae"), picked(figures, "val_loss"), figures, ("figure",))


if __name__ == "__main__":
    run_stage(main)
