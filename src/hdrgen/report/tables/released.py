"""Tables of the released models beside the closed forms, from the figures that come with their weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdrgen.report.tables.markdown import Table, decimals, markdown
from hdrgen.runtime.documents import read_json_object
from hdrgen.runtime.metrics_file import mean_of

MARGINS = "margin_over_best_closed_form"
KINDS = {"clean": "clean", "generated": "generated-like", "motion": "moving"}
AIMS_DB = {("fuse", "generated"): 3.0, ("merge", "generated"): 3.0}
"""Gains over the best closed form that were aimed at, by command and kind of input."""


@dataclass(frozen=True)
class Released:
    """Figures of one model: a column for each source and kind of input, a row for each of ``baselines`` and the model."""

    weights: str
    title: str
    metric: str
    columns: tuple[tuple[str, str], ...]
    baselines: Mapping[str, str]
    model: tuple[str, str]

    @property
    def file(self) -> str:
        """Return where the figures are, under the root."""
        return f"src/hdrgen/weights/{self.weights}.json"

    def read(self, root: Path) -> Mapping[str, Any]:
        """Return source, kind, model and metric."""
        return read_json_object(root / self.file)

    def table(self, root: Path) -> str:
        """Return the table of all its models."""
        figures = self.read(root)

        def row(model: str, label: str, bold: str = "") -> list[str]:
            means = (figures[source][kind][model][self.metric]["mean"] for source, kind in self.columns)
            return [f"`{model}`: {bold}{label}{bold}", *(f"{bold}{decimals(m, 2)}{bold}" for m in means)]

        rows = [*(row(*baseline) for baseline in self.baselines.items()), row(*self.model, bold="**")]
        return markdown([self.title, *(f"{source}, {KINDS[kind]}" for source, kind in self.columns)], rows)


RELEASED = {
    "fuse": Released(
        "tone_fusion",
        "PU21-PSNR in dB",
        "pu21_psnr",
        (("simulated", "clean"), ("real", "clean"), ("simulated", "generated"), ("real", "generated")),
        {
            "interval_intersection": "closed form: midpoint of the light that both codes allow",
            "inverse_variance": "closed form: inverse-variance average",
            "reinhard_alone": "the Reinhard picture alone",
            "published_mlp": "the published perceptron",
        },
        ("released_fuser", "the fuser, as released"),
    ),
    "expand": Released(
        "bit_depth",
        "PSNR over LogC4 codes in dB",
        "code_psnr",
        (("gradients", "clean"), ("simulated", "clean"), ("real", "clean"), ("real", "generated")),
        {
            "dequantised": "plain dequantisation",
            "smooth_in_intervals": "closed form: the smoothest picture with these codes",
            "bilateral": "bilateral filter",
        },
        ("released_bit_depth", "the U-Net, as released"),
    ),
    "merge": Released(
        "exposure_fusion",
        "PU21-PSNR in dB",
        "pu21_psnr",
        (
            ("real", "clean"),
            ("real", "generated"),
            ("real", "motion"),
            ("simulated", "clean"),
            ("simulated", "generated"),
        ),
        {
            "interval_intersection": "closed form: midpoint of the light that all codes allow",
            "inverse_variance": "closed form: inverse-variance average",
            "inverse_variance_aligned": "the same after alignment",
            "debevec": "OpenCV, Debevec, after alignment",
            "robertson": "OpenCV, Robertson, after alignment",
        },
        ("released_exposure_fusion", "the network, as released"),
    ),
}
"""The released models by command."""

HIGHLIGHTS = "src/hdrgen/weights/highlights.json"
"""Figures of recovered light, by source, kind of picture and model."""
DISPLAY_KINDS = ("clip", "film", "camera", "autoencoder")
"""Kinds of ordinary pictures; those that were not judged are left out."""
UNTRAINED = {
    "untouched": "the picture as it is",
    "boost_2": "closed form: highlights raised to twice their light",
    "boost_4": "closed form: highlights raised to four times their light",
}
PUBLISHED = {"expandnet": "ExpandNet, as published", "lhdr": "LHDR, as published"}
RECOVERED = ("released_highlights", "the network, as released")


def _recover(root: Path) -> str:
    """Return what recovered light is worth on real frames, a row for each model that was measured."""
    figures = _of_real_pictures(root)

    def cells(model: str) -> Iterator[str]:
        for models in figures.values():
            of = models.get(model, {})
            yield _both(of, "pu21_psnr", "pu21_psnr_crf", "{} / {}")
            yield _both(of, "energy_ratio_median", "energy_error_stops", "{} ({})")

    def row(model: str, label: str, bold: str = "") -> list[str]:
        return [f"`{model}`: {bold}{label}{bold}", *(cell and f"{bold}{cell}{bold}" for cell in cells(model))]

    rows = [
        row(model, label, "**" if model == RECOVERED[0] else "")
        for model, label in (*UNTRAINED.items(), *PUBLISHED.items(), RECOVERED)
        if any(model in models for models in figures.values())
    ]
    head = [title for kind in figures for title in (f"{kind}, dB", f"{kind}, energy")]
    return markdown(["real frames", *head], rows)


def _both(figures: Mapping[str, Any], one: str, other: str, shown: str) -> str:
    """Return two figures in one cell, empty where neither is there; one that is not is a dash."""
    values = [mean_of(figures.get(name)) for name in (one, other)]
    if values == [None, None]:
        return ""
    return shown.format(*(decimals(value, 2) or "\N{EN DASH}" for value in values))


def _of_real_pictures(root: Path) -> dict[str, Mapping[str, Any]]:
    """Return the figures of recovered light on real frames by kind and model, kinds in their order."""
    kinds = read_json_object(root / HIGHLIGHTS)["real"]
    return {kind: kinds[kind] for kind in DISPLAY_KINDS if kind in kinds}


def _results(root: Path) -> str:
    """Return what each command gains over the best closed form on real frames; `recover` where it was measured."""
    rows = []
    for command, released in RELEASED.items():
        figures, model = released.read(root)["real"], released.model[0]
        for kind in (kind for source, kind in released.columns if source == "real"):
            value = figures[kind][model][released.metric]["mean"]
            gain = figures[kind][MARGINS][model][released.metric]
            aim = AIMS_DB.get((command, kind))
            verdict = "" if aim is None else f"{aim:g}, {'reached' if gain >= aim else '**not reached**'}"
            cells = (decimals(value - gain, 2), decimals(value, 2), f"{gain:+.2f}", verdict)
            rows.append([f"`{command}`, {KINDS[kind]}", *cells])
    for kind, models in _of_real_pictures(root).items() if (root / HIGHLIGHTS).is_file() else ():
        best, value = (
            max(mean_of(models[model]["pu21_psnr"]) for model in some) for some in (UNTRAINED, RECOVERED[:1])
        )
        rows.append([f"`recover`, {kind}", decimals(best, 2), decimals(value, 2), f"{value - best:+.2f}", ""])
    return markdown(["real frames, dB", "best closed form", "hdrgen", "gain", "aim"], rows)


TABLES = {
    "results": Table(tuple(released.file for released in RELEASED.values()), _results),
    **{command: Table((released.file,), released.table) for command, released in RELEASED.items()},
    "recover": Table((HIGHLIGHTS,), _recover),
}
