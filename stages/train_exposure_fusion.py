"""Train the luminance stack processor."""

from pathlib import Path

from hdrgen.dataset.pairs.bracket_pairs import MakeBracketPairs
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.exposure_fusion import TrainExposureFusion, train_exposure_fusion


def main() -> None:
    """Train it on clean, generated-like and moving stacks."""
    settings = read_section(Path("params.yaml"), "train_exposure_fusion", TrainExposureFusion)
    pairs = read_section(Path("params.yaml"), "make_pairs.brackets", MakeBracketPairs)
    with progress_bar("train exposure fusion (steps)") as on_progress:
        figures = train_exposure_fusion(
            Path("data/make_pairs/brackets"),
            settings,
            Path("data/train_exposure_fusion/exposure_fusion.safetensors"),
            Path("metrics/train_exposure_fusion/loss.tsv"),
            on_progress,
            evs=pairs.evs,
        )
    write_measured(Path("metrics/train_exposure_fusion"), picked(figures, "val_loss"), figures, ("figure",))


if __name__ == "__main__":
    run_stage(main)
