"""Take in one source of frames: find, decode, convert to scene-linear AWG4, index."""

from pathlib import Path
from typing import Annotated

import typer

from hdrgen.dataset.ingest import ingest, taken_in
from hdrgen.dataset.ingest_settings import IngestParams
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section


def main(source: Annotated[str, typer.Option(help="A name in ingest.sources.")]) -> None:
    """Take in one source."""
    params = read_section(Path("params.yaml"), "ingest", IngestParams)
    with progress_bar(f"ingest {source}") as on_progress:
        index = ingest(source, params, Path("data/ingest") / source, on_progress=on_progress)
    figures = taken_in(index)
    write_measured(
        Path(f"metrics/ingest_{source}"), picked(figures, "frames", "quarantined"), figures, ("figure",)
    )


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
