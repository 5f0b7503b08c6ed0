"""Evaluate exposure fusion on the test frames: closed forms, OpenCV's merges, the network, the released network."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.bracket_pairs import MakeBracketPairs
from hdrgen.evaluation.exposure_fusion import (
    CLOSED_FORMS,
    MARGIN_METRICS,
    EvaluateExposureFusion,
    evaluate_exposure_fusion,
)
from hdrgen.evaluation.tables import decisive, plots, summary, write_evaluation
from hdrgen.models.exposure_fusion import MODEL
from hdrgen.models.weights import released_weights
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.params import read_section


def main() -> None:
    """Evaluate every model on the same stacks."""
    settings = read_section(Path("params.yaml"), "evaluate_exposure_fusion", EvaluateExposureFusion)
    pairs = read_section(Path("params.yaml"), "make_pairs.brackets", MakeBracketPairs)
    pairs_dir = Path("data/make_pairs/brackets")
    trained = Path("data/train_exposure_fusion/exposure_fusion.safetensors")
    with progress_bar("evaluate exposure fusion") as on_progress:
        rows = evaluate_exposure_fusion(
            pairs_dir,
            read_index(pairs_dir),
            read_index(Path("data/split")),
            Path("data/sanitize"),
            pairs,
            {"exposure_fusion": trained, "released_exposure_fusion": released_weights(MODEL)},
            settings,
            on_progress,
        )
    figures = summary(rows, CLOSED_FORMS, MARGIN_METRICS)
    decides = decisive(figures, "exposure_fusion", "released_exposure_fusion")
    write_evaluation(Path("metrics/evaluate_exposure_fusion"), figures, decides, plots(rows))


if __name__ == "__main__":
    run_stage(main)
