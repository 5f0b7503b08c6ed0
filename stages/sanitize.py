"""Repair the frames of all sources and merge their indexes."""

from pathlib import Path

from hdrgen.dataset.ingest_settings import IngestParams
from hdrgen.dataset.repair import SanitizeParams
from hdrgen.dataset.sanitize import repairs_in_all, sanitize
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section


def main() -> None:
    """Repair the frames of all sources."""
    sources = read_section(Path("params.yaml"), "ingest", IngestParams).sources
    params = read_section(Path("params.yaml"), "sanitize", SanitizeParams)
    folders = [Path("data/ingest") / name for name in sorted(sources)]
    with progress_bar("sanitize") as on_progress:
        index = sanitize(folders, params, Path("data/sanitize"), on_progress=on_progress)
    figures = repairs_in_all(index)
    write_measured(Path("metrics/sanitize"), picked(figures, "frames", "quarantined"), figures, ("figure",))


if __name__ == "__main__":
    run_stage(main)
