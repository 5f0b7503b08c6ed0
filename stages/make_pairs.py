"""Make the paired samples: Reinhard and log pictures beside the light, clean and generated-like."""

from pathlib import Path

from hdrgen.frames.frame_index import read_index
from hdrgen.pairs.tone_map_pairs import MakePairs, counts_by_split, make_tone_map_pairs
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import write_metrics
from hdrgen.runtime.params import read_section


def main() -> None:
    """Make the pairs of every frame."""
    settings = read_section(Path("params.yaml"), "make_pairs", MakePairs)
    frames = read_index(Path("data/split"))
    with progress_bar("make pairs") as on_progress:
        index = make_tone_map_pairs(
            frames, Path("data/sanitize"), settings, Path("data/make_pairs/tone_map"), on_progress
        )
    write_metrics(Path("metrics/make_pairs.json"), counts_by_split(index))


if __name__ == "__main__":
    run_stage(main)
