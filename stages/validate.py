"""Would the pictures survive production? Footage, 8-bit input, the four commands and the three routes, side by side."""

from pathlib import Path

from hdrgen.evaluation.production import ValidateSettings, validate_all
from hdrgen.evaluation.production_pictures import Models
from hdrgen.evaluation.production_tables import KEYS, decisive, plots, summary, tables
from hdrgen.evaluation.tables import write_tables
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import write_measured
from hdrgen.runtime.params import read_section


def main() -> None:
    """Deliver the test frames in every way, and measure them and the generated pictures."""
    settings = read_section(Path("params.yaml"), "validate", ValidateSettings)
    with progress_bar("validate") as on_progress:
        validated = validate_all(
            Path("data/sanitize"),
            Path("data/split"),
            Path("data/generate"),
            Path("data/validate"),
            settings,
            Models(),
            on_progress,
        )
    figures, beside = summary(validated), tables(validated)
    write_measured(Path("metrics/validate"), decisive(figures, beside["verdicts"]), figures, KEYS)
    write_tables(Path("metrics/validate"), beside | plots(validated))


if __name__ == "__main__":
    run_stage(main)
