"""Tables of whether pictures survive production, from `validate`."""

from functools import partial
from pathlib import Path

import polars as pl

from hdrgen.report.tables.markdown import Table, decimals, markdown
from hdrgen.runtime.metrics_file import mean_of, read_figures

VALIDATE = "metrics/validate"
FIGURES = {
    "clipped_fraction_-4": ("clipped at -4 stops, % of pixels", 2, 100),
    "banded_share": ("banded at its worst exposure, % of flat areas", 1, 100),
    "noise_floor_shift_stops": ("noise floor off by, stops", 2, 1),
    "gap_share": ("half floats that do not occur, %", 1, 100),
    "comb": ("comb (0 smooth, 1 teeth)", 2, 1),
    "logc4_psnr": ("PSNR over LogC4 in dB", 1, 1),
    "highlight_hue_shift_degrees": ("hue of highlights off by, degrees", 1, 1),
    "source_energy_ratio": ("energy of light sources, ratio", 2, 1),
    "source_area_ratio": ("area of light sources, ratio", 2, 1),
}
"""Figures that are shown: label, decimals and factor."""
KINDS = {
    "footage": "footage",
    "srgb_8bit": "sRGB, 8 bits",
    "logc4_8bit": "LogC4, 8 bits",
    "reinhard_8bit": "Reinhard, 8 bits",
    "expand": "`expand`",
    "merge": "`merge`",
    "fuse": "`fuse`",
    "recover": "`recover`",
    "brackets": "brackets",
    "dual": "dual",
    "latent": "latent",
}
MARKS = {"as_footage": "**{}**", "falls_short": "{} ✗"}
"""How a figure is shown by the verdict on it."""


def _production(root: Path, source: str) -> str:
    figures = read_figures(root / VALIDATE)[source]
    rows = pl.read_csv(root / VALIDATE / "verdicts.tsv", separator="\t").filter(pl.col("source") == source)
    verdicts = {(kind, figure): verdict for kind, figure, verdict in rows["kind", "figure", "verdict"].rows()}
    kinds = {kind: label for kind, label in KINDS.items() if kind in figures}

    def cell(kind: str, figure: str, places: int, factor: float) -> str:
        value = mean_of(figures[kind].get(figure))
        mark = MARKS.get(verdicts.get((kind, figure), ""), "{}")
        return "" if value is None else mark.format(decimals(value, places, factor))

    return markdown(
        ["", *kinds.values()],
        [
            [label, *(cell(kind, figure, places, factor) for kind in kinds)]
            for figure, (label, places, factor) in FIGURES.items()
            if any(figure in figures[kind] for kind in kinds)
        ],
    )


TABLES = {
    f"production_{source}": Table(
        (f"{VALIDATE}/verdicts.tsv", f"{VALIDATE}/figures.tsv"), partial(_production, source=source)
    )
    for source in ("simulated", "gradients")
}
