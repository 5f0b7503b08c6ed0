"""Evaluate text to EXR without a reference: the base model, the three routes, and the training frames beside them."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.scene_crops import split_frames
from hdrgen.evaluation.tables import write_tables
from hdrgen.evaluation.text_to_exr import (
    EvaluateFlux,
    evaluate_flux,
    held_out_renders,
    prompt_kinds,
    training_crops,
)
from hdrgen.evaluation.text_to_exr_tables import KEYS, decisive_flux, plots
from hdrgen.evaluation.trained_routes import TrainedRoutes
from hdrgen.images.code_image import write_png8
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import write_figures, write_metrics
from hdrgen.runtime.params import read_section


def main() -> None:
    """Render what the classifier learns from, generate every kind of scene by every route, and evaluate."""
    settings = read_section(Path("params.yaml"), "evaluate_flux", EvaluateFlux)
    out = Path("data/evaluate_flux")
    train = split_frames(read_index(Path("data/split")), "train")
    frames = training_crops(train, Path("data/sanitize"), settings)
    with progress_bar("render scenes for the classifier") as on_progress:
        held_out = held_out_renders(prompt_kinds(frames), out / "renders", settings, on_progress)
    with progress_bar("evaluate text to EXR") as on_progress:
        routes = TrainedRoutes(Path("data"), settings)
        evaluation = evaluate_flux(routes, frames, held_out, settings, on_progress)
    write_png8(out / "sheet.png", evaluation.sheet_code8)
    write_metrics(Path("metrics/evaluate_flux.json"), decisive_flux(evaluation.figures))
    for section, figures in evaluation.figures.items():
        write_figures(Path("metrics/evaluate_flux"), figures, KEYS[section], section)
    write_tables(Path("metrics/evaluate_flux"), plots(evaluation.rows, evaluation.tones))


if __name__ == "__main__":
    run_stage(main)
