"""Evaluate bit depth on the test frames and gradients: closed forms, the U-Net, the released U-Net."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.bit_depth_pairs import MakeBitDepthPairs
from hdrgen.evaluation.bit_depth import (
    CLOSED_FORMS,
    MARGIN_METRICS,
    EvaluateBitDepth,
    evaluate_bit_depth,
    expanders,
)
from hdrgen.evaluation.tables import decisive, plots, summary, write_evaluation
from hdrgen.models.bit_depth import MODEL
from hdrgen.models.weights import released_weights
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.params import read_section


def main() -> None:
    """Evaluate every model on the same pictures."""
    settings = read_section(Path("params.yaml"), "evaluate_bit_depth", EvaluateBitDepth)
    pairs = read_section(Path("params.yaml"), "make_pairs.bit_depth", MakeBitDepthPairs)
    pairs_dir, trained = Path("data/make_pairs/bit_depth"), Path("data/train_bit_depth/bit_depth.safetensors")
    models = expanders({"bit_depth": trained, "released_bit_depth": released_weights(MODEL)}, settings)
    with progress_bar("evaluate bit depth") as on_progress:
        rows = evaluate_bit_depth(
            pairs_dir,
            read_index(pairs_dir),
            read_index(Path("data/split")),
            Path("data/sanitize"),
            pairs,
            models,
            on_progress,
        )
    figures = summary(rows, CLOSED_FORMS, MARGIN_METRICS)
    decides = decisive(figures, "bit_depth", "released_bit_depth")
    write_evaluation(Path("metrics/evaluate_bit_depth"), figures, decides, plots(rows, "code_psnr"))


if __name__ == "__main__":
    run_stage(main)
