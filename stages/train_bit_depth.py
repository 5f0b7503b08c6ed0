"""Train the bit-depth U-Net."""

from pathlib import Path

from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.bit_depth import TrainBitDepth, train_bit_depth


def main() -> None:
    """Train it on clean and generated-like crops and on synthetic gradients."""
    settings = read_section(Path("params.yaml"), "train_bit_depth", TrainBitDepth)
    with progress_bar("train bit depth (steps)") as on_progress:
        figures = train_bit_depth(
            Path("data/make_pairs/bit_depth"),
            settings,
            Path("data/train_bit_depth/bit_depth.safetensors"),
            Path("metrics/train_bit_depth/loss.tsv"),
            on_progress,
        )
    write_measured(Path("metrics/train_bit_depth"), picked(figures, "val_loss"), figures, ("figure",))


if __name__ == "__main__":
    run_stage(main)
