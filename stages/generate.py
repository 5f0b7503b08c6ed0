"""Evaluation prompts become EXRs by all three routes."""

from pathlib import Path

from hdrgen.routes.evaluation_prompts import GenerateSettings, generate_evaluation
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section


def main() -> None:
    """Generate them with what the pipeline trained, and measure their light."""
    settings = read_section(Path("params.yaml"), "generate", GenerateSettings)
    with progress_bar("generate (steps)") as on_progress:
        figures = generate_evaluation(Path("data"), settings, Path("data/generate"), on_progress)
    write_measured(
        Path("metrics/generate"), picked(figures, "*/peak_linear"), figures, ("route", "prompt", "figure")
    )


if __name__ == "__main__":
    run_stage(main)
