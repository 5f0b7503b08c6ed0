"""Evaluate recovered light on the test frames: the picture as it is, boosts, the network, the released network."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.display_pairs import MakeDisplayPairs
from hdrgen.evaluation.highlights import (
    CLOSED_FORMS,
    MARGIN_METRICS,
    EvaluateHighlights,
    decisive_highlights,
    evaluate_highlights,
    harmed,
    recoverers,
)
from hdrgen.evaluation.tables import plots, summary, write_evaluation
from hdrgen.models.highlights import MODEL
from hdrgen.models.weights import released_weights
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.params import read_section


def main() -> None:
    """Evaluate every model on the same pictures."""
    settings = read_section(Path("params.yaml"), "evaluate_highlights", EvaluateHighlights)
    pairs = read_section(Path("params.yaml"), "make_pairs.display", MakeDisplayPairs)
    pairs_dir, trained = Path("data/make_pairs/display"), Path("data/train_highlights/highlights.safetensors")
    weights = {MODEL: trained, f"released_{MODEL}": released_weights(MODEL)}
    models = recoverers(weights, settings)
    with progress_bar("evaluate highlights") as on_progress:
        rows = evaluate_highlights(
            pairs_dir,
            read_index(pairs_dir),
            read_index(Path("data/split")),
            Path("data/sanitize"),
            pairs,
            models,
            on_progress,
        )
    figures = summary(rows, CLOSED_FORMS, MARGIN_METRICS)
    decides = decisive_highlights(rows)
    write_evaluation(
        Path("metrics/evaluate_highlights"),
        figures,
        decides,
        {**plots(rows), "harmed": harmed(rows, list(weights))},
    )


if __name__ == "__main__":
    run_stage(main)
