"""Train the published perceptron and the product's fuser on the same pairs."""

from pathlib import Path

from hdrgen.dataset.pairs.tone_map_pairs import MakeToneMapPairs
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section
from hdrgen.training.tone_fuser import TrainToneFusion, train_tone_fuser
from hdrgen.training.tone_mlp import train_tone_mlp


def main() -> None:
    """Train both."""
    settings = read_section(Path("params.yaml"), "train_tone_fusion", TrainToneFusion)
    ceiling = read_section(Path("params.yaml"), "make_pairs.tone_map", MakeToneMapPairs).log_ceiling_linear
    pairs, out, plots = (
        Path("data/make_pairs/tone_map"),
        Path("data/train_tone_fusion"),
        Path("metrics/train_tone_fusion"),
    )
    with progress_bar("train published MLP (epochs)") as on_progress:
        mlp = train_tone_mlp(
            pairs, settings.mlp, out / "tone_mlp.safetensors", plots / "mlp.tsv", on_progress
        )
    with progress_bar("train fuser (steps)") as on_progress:
        fuser = train_tone_fuser(
            pairs,
            settings.fuser,
            out / "tone_fusion.safetensors",
            plots / "fuser.tsv",
            on_progress,
            log_ceiling_linear=ceiling,
        )
    figures = {"published_mlp": mlp, "fuser": fuser}
    write_measured(
        Path("metrics/train_tone_fusion"), picked(figures, "*/val_loss"), figures, ("model", "figure")
    )


if __name__ == "__main__":
    run_stage(main)
