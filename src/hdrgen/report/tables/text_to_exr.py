"""Tables of generated pictures and of the VAEs, from `evaluate_flux` and `evaluate_hdr_vae`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from hdrgen.report.tables.markdown import Table, decimals, markdown, percent
from hdrgen.runtime.metrics_file import mean_of, read_figures

FLUX, HDR_VAE = "metrics/evaluate_flux", "metrics/evaluate_hdr_vae"
PICTURES = {
    "base": "base, read as LogC4",
    "brackets": "brackets",
    "dual": "dual",
    "latent": "latent",
    "frames": "training frames",
}
VAES = {
    "frozen_vae_logc4": "frozen VAE around LogC4",
    "frozen_vae_linear": "frozen VAE around linear light",
    "published_hdr_vae": "published HDR VAE, trained here",
    "flux_hdr_vae": "adapted FLUX VAE",
}
VAE_FIGURES = {
    "stops_rmse_below_0.05": "below 0.05",
    "stops_rmse_0.05_to_1": "0.05 to 1",
    "stops_rmse_1_to_16": "1 to 16",
    "stops_rmse_above_16": "above 16",
    "peak_ratio": "peak ratio",
}
KNOWN_ACCURACY = 0.9
"""Accuracy of the classifier above which it knows a kind of scene."""


def _text_to_exr(root: Path) -> str:
    figures = read_figures(root / FLUX)
    routes, by_kind = figures["routes"], figures["adherence_by_kind"]
    known = [
        kind for kind, accuracy in figures["accuracy_by_kind"].items() if mean_of(accuracy) > KNOWN_ACCURACY
    ]

    def row(label: str, figure: str, text: Callable[[float | None], str]) -> list[str]:
        return [label, *(text(mean_of(routes[of].get(figure))) for of in PICTURES)]

    def of_known(of: str) -> str:
        values = [mean_of(by_kind[of][kind]) for kind in known if kind in by_kind.get(of, {})]
        return percent(sum(values) / len(values)) if values else ""

    rows = [
        row("shows its prompt", "adherence", percent),
        [f"... the {len(known)} kinds that the classifier knows", *map(of_known, PICTURES)],
        row("pixels clipped in every rendition", "clipped_fraction", lambda value: percent(value, 2)),
        row("range in stops", "stops", lambda value: decimals(value, 1)),
        row("brightest pixel, mean", "peak_linear", lambda value: decimals(value, 0)),
        row(
            "distance of tones from the frames, stops",
            "tone_distance_stops",
            lambda value: decimals(value, 2),
        ),
        row(
            "consistency of brackets, PU21-PSNR in dB",
            "consistency_pu21_psnr",
            lambda value: decimals(value, 1),
        ),
    ]
    accuracy = percent(mean_of(figures["classifier"]["accuracy"]))
    return (
        f"{markdown(['', *PICTURES.values()], rows)}\n\n"
        f"The classifier is right for {accuracy} of the renders that it did not learn from. It knows a kind of scene where it "
        f"is right for more than {percent(KNOWN_ACCURACY)}."
    )


def _peaks_by_prompt(root: Path) -> str:
    table = pl.read_csv(root / FLUX / "peak_linear_by_prompt.tsv", separator="\t").sort("prompt")
    rows = [
        [row["prompt"], *(decimals(row[of], 0 if row[of] >= 10 else 1) for of in PICTURES)]
        for row in table.iter_rows(named=True)
    ]
    return markdown(["brightest luminance", *PICTURES.values()], rows)


def _shared_noise(root: Path) -> str:
    consistency = read_figures(root / FLUX)["consistency"]
    rows = [
        [
            label,
            decimals(mean_of(consistency[noise]["pu21_psnr"]), 1),
            decimals(mean_of(consistency[noise]["exposure_error_stops"]), 2),
        ]
        for noise, label in (("shared_noise", "one noise"), ("own_noise", "a noise each"))
    ]
    return markdown(
        ["brackets start from", "consistency, PU21-PSNR in dB", "error of exposure in stops"], rows
    )


def _hdr_vae(root: Path) -> str:
    sources: dict[str, Any] = read_figures(root / HDR_VAE)
    rows = [
        [
            f"{label}, {source} frames",
            *(decimals(mean_of(of["round_trip"][vae].get(figure)), 2) for figure in VAE_FIGURES),
        ]
        for source, of in sources.items()
        for vae, label in VAES.items()
    ]
    return markdown(["", *VAE_FIGURES.values()], rows)


TABLES = {
    "text_to_exr": Table(
        tuple(
            f"{FLUX}/figures_{name}.tsv"
            for name in ("routes", "adherence_by_kind", "accuracy_by_kind", "classifier")
        ),
        _text_to_exr,
    ),
    "peaks_by_prompt": Table((f"{FLUX}/peak_linear_by_prompt.tsv",), _peaks_by_prompt),
    "shared_noise": Table((f"{FLUX}/figures_consistency.tsv",), _shared_noise),
    "hdr_vae": Table((f"{HDR_VAE}/figures.tsv",), _hdr_vae),
}
