"""Evaluate tone fusion on the test frames: closed forms, the published perceptron, the fuser, the released fuser."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.tone_map_pairs import MakeToneMapPairs
from hdrgen.evaluation.tables import decisive, plots, summary, write_evaluation
from hdrgen.evaluation.tone_fusion import (
    CLOSED_FORMS,
    MARGIN_METRICS,
    EvaluateToneFusion,
    estimators,
    evaluate_tone_fusion,
)
from hdrgen.models.tone_fusion import MODEL as TONE_FUSION
from hdrgen.models.weights import released_weights
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.params import read_section


def main() -> None:
    """Evaluate every estimator on the same pictures."""
    settings = read_section(Path("params.yaml"), "evaluate_tone_fusion", EvaluateToneFusion)
    pairs = read_section(Path("params.yaml"), "make_pairs.tone_map", MakeToneMapPairs)
    trained, pairs_dir = Path("data/train_tone_fusion"), Path("data/make_pairs/tone_map")
    by_name = estimators(
        trained / "tone_mlp.safetensors",
        {"fuser": trained / "tone_fusion.safetensors", "released_fuser": released_weights(TONE_FUSION)},
        pairs.log_ceiling_linear,
        settings.noise_codes,
    )
    with progress_bar("evaluate tone fusion") as on_progress:
        rows, reliability = evaluate_tone_fusion(
            pairs_dir,
            read_index(pairs_dir),
            read_index(Path("data/split")),
            Path("data/sanitize"),
            pairs,
            by_name,
            on_progress,
        )
    figures = summary(rows, CLOSED_FORMS, MARGIN_METRICS)
    decides = decisive(figures, "fuser", "released_fuser")
    write_evaluation(
        Path("metrics/evaluate_tone_fusion"), figures, decides, plots(rows, reliability=reliability)
    )


if __name__ == "__main__":
    run_stage(main)
