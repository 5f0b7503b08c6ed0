"""Make one kind of paired samples, clean and generated-like."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.bit_depth_pairs import MakeBitDepthPairs, make_bit_depth_pairs
from hdrgen.dataset.pairs.bracket_pairs import MakeBracketPairs, make_bracket_pairs
from hdrgen.dataset.pairs.display_pairs import MakeDisplayPairs
from hdrgen.dataset.pairs.records import counts_by_split
from hdrgen.dataset.pairs.tone_map_pairs import MakeToneMapPairs, make_tone_map_pairs
from hdrgen.flux.round_trip import make_pairs_with_autoencoder
from hdrgen.runtime.console import progress_bar, run_stage
from hdrgen.runtime.metrics_file import picked, write_measured
from hdrgen.runtime.params import read_section

KINDS = {
    "tone_map": (MakeToneMapPairs, make_tone_map_pairs),
    "bit_depth": (MakeBitDepthPairs, make_bit_depth_pairs),
    "brackets": (MakeBracketPairs, make_bracket_pairs),
    "display": (MakeDisplayPairs, make_pairs_with_autoencoder),
}


def main(
    kind: Annotated[
        Literal["tone_map", "bit_depth", "brackets", "display"], typer.Option(help="A name in make_pairs.")
    ],
) -> None:
    """Make the pairs of every frame."""
    section, make = KINDS[kind]
    settings = read_section(Path("params.yaml"), f"make_pairs.{kind}", section)
    frames = read_index(Path("data/split"))
    with progress_bar(f"make {kind} pairs") as on_progress:
        index = make(frames, Path("data/sanitize"), settings, Path("data/make_pairs") / kind, on_progress)
    figures = counts_by_split(index)
    write_measured(
        Path(f"metrics/make_pairs_{kind}"),
        picked(figures, "train/crops", "test/frames"),
        figures,
        ("split", "figure"),
    )


if __name__ == "__main__":
    run_stage(lambda: typer.run(main))
