"""Render training frames through the simulated camera, unless footage is configured."""

import logging
from pathlib import Path

from hdrgen.dataset.ingest_settings import IngestParams
from hdrgen.dataset.simulate import SimulateParams, remove_frames, simulate
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.params import read_section

FRAMES = Path("data/simulate")

log = logging.getLogger("simulate")


def main() -> None:
    """Bring data/simulate in line with params.yaml."""
    params = read_section(Path("params.yaml"), "simulate", SimulateParams)
    sources = read_section(Path("params.yaml"), "ingest", IngestParams).sources
    if FRAMES not in [source.path for source in sources.values()]:
        remove_frames(FRAMES)
        log.info("nothing to simulate: no source in ingest.sources reads %s", FRAMES)
        return
    with progress_bar("simulate") as on_progress:
        summary = simulate(params, FRAMES, on_progress=on_progress)
    log.info("%d rendered, %d kept, %d removed", summary.rendered, summary.kept, summary.removed)


if __name__ == "__main__":
    run_stage(main)
