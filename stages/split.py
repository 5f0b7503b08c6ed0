"""Divide the frames into train, val and test by scene."""

from pathlib import Path

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.split import SplitParams, counts_by_split, split
from hdrgen.runtime.console import run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section


def main() -> None:
    """Divide the frames."""
    params = read_section(Path("params.yaml"), "split", SplitParams)
    index = split(read_index(Path("data/sanitize")), params, Path("data/split"))
    figures = counts_by_split(index)
    write_measured(Path("metrics/split"), picked(figures, "*/frames"), figures, ("split", "figure"))


if __name__ == "__main__":
    run_stage(main)
