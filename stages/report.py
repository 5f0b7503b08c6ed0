"""One page with everything: figures beside baselines, curves, pictures, speed, what produced them, what changed."""

from pathlib import Path

from hdrgen.report.page import write_report
from hdrgen.report.settings import ReportSettings
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.params import read_section


def main() -> None:
    """Write it about whatever the other stages left."""
    settings = read_section(Path("params.yaml"), "report", ReportSettings)
    with progress_bar("report") as on_progress:
        page, timings = Path("data/report/index.html"), Path("docs/bench.json")
        write_report(page, Path(), Path("data"), timings, settings, on_progress)


if __name__ == "__main__":
    run_stage(main)
