"""Train the network that finds the light of ordinary pictures."""

from pathlib import Path

from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.highlights import TrainHighlights, train_highlights


def main() -> None:
    """Train the curve and the missing light on display pairs."""
    settings = read_section(Path("params.yaml"), "train_highlights", TrainHighlights)
    with progress_bar("train highlights (steps)") as on_progress:
        figures = train_highlights(
            Path("data/make_pairs/display"),
            settings,
            Path("data/train_highlights/highlights.safetensors"),
            Path("metrics/train_highlights/loss.tsv"),
            on_progress,
        )
    write_measured(Path("metrics/train_highlights"), picked(figures, "val_loss"), figures, ("figure",))


if __name__ == "__main__":
    run_stage(main)
