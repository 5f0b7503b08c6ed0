"""What a stage measured: the few figures that decide as JSON for ``dvc metrics``, and all of them as tables beside it.

Figures are nested mappings by name. A leaf is a number, a word, or a summary over pictures: mean, sd, min, max and count.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

Figures = Mapping[str, Any]
SUMMARY = ("mean", "sd", "min", "max", "count")
"""What a figure over several pictures has; a single one has only a mean."""
TABLE = "figures"
"""A table with this name, or with one that begins so, holds figures; the others hold curves or words."""
_TEXT = "text"


def write_metrics(path: Path, metrics: Figures) -> None:
    """Write the figures that decide, `rounded`, so that equal figures make equal bytes: in the order given, no time of day."""
    with replacing(path) as temporary:
        text = json.dumps(_rounded_all(metrics), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def write_measured(folder: Path, decides: Figures, figures: Figures, keys: Sequence[str]) -> None:
    """Write what decides as ``<folder>.json``, and all figures as a table in the folder; see `write_figures`."""
    write_metrics(folder.with_name(f"{folder.name}.json"), decides)
    write_figures(folder, figures, keys)


def rounded(name: str, value: Any) -> Any:
    """Return a figure with what is significant of it: PSNR and margins to 0.01 dB, losses to 4 digits, others to 3.

    Examples
    --------
    >>> rounded("pu21_psnr", 63.55574), rounded("margin", -0.0049), rounded("val_loss", -59.21336)
    (63.56, 0.0, -59.21)
    >>> rounded("peak_ratio", 0.998815), rounded("relative_error", 3.3761e-07), rounded("frames", 1234)
    (0.999, 3.38e-07, 1234)
    """
    if not isinstance(value, float):
        return value
    if "psnr" in name or name.endswith("margin"):
        return round(value, 2) + 0.0  # -0.0 is 0.0
    return float(f"{value:.{4 if name.endswith('loss') else 3}g}")


def picked(figures: Figures, *paths: str) -> dict[str, Any]:
    """Return the figures at these paths, nested as they are; of a summary its mean. A path that is not there is left out.

    Parameters
    ----------
    figures
        All of them.
    paths
        Names with ``/`` between; ``*`` is any name.

    Examples
    --------
    >>> picked({"train": {"frames": 38, "scenes": 11}, "test": {"frames": 7}}, "*/frames")
    {'train': {'frames': 38}, 'test': {'frames': 7}}
    """
    result: dict[str, Any] = {}
    for path in paths:
        for names, value in _at(figures, path.split("/")):
            place = result
            for name in names[:-1]:
                place = place.setdefault(name, {})
            place[names[-1]] = mean_of(value)
    return result


def is_summary(value: Any) -> bool:
    """Tell whether a value is a figure over several pictures."""
    return isinstance(value, Mapping) and set(value) == set(SUMMARY)


def mean_of(value: Any) -> Any:
    """Return the mean of a figure over several pictures, and any other as it is."""
    return value["mean"] if is_summary(value) else value


def write_figures(folder: Path, figures: Figures, keys: Sequence[str], section: str = "") -> None:
    """Write all figures in full precision as the long table ``figures.tsv``, or ``figures_<section>.tsv``.

    Columns are the keys, one for each level of nesting, and those of `SUMMARY`; `text` follows where a figure is a word.
    The last key is the figure's own name: what is nested less deep leaves the keys before it empty.

    Raises
    ------
    ValueError
        Figures are nested deeper than there are keys.
    """
    rows = [_row(names, value, keys) for names, value in _leaves(figures)]
    columns = [*keys, *SUMMARY, *([_TEXT] if any(_TEXT in row for row in rows) else [])]
    with (
        replacing(folder / f"{'_'.join(filter(None, (TABLE, section)))}.tsv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        table = csv.DictWriter(stream, columns, delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def read_figures(folder: Path) -> dict[str, Any]:
    """Return the figures of a stage's folder as they were nested, each section of them under its name.

    Raises
    ------
    HdrgenError
        A table is none of figures.
    """
    figures: dict[str, Any] = {}
    for path in sorted(folder.glob(f"{TABLE}*.tsv")):
        section = path.stem.removeprefix(TABLE).removeprefix("_")
        place = figures.setdefault(section, {}) if section else figures
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                for row in csv.DictReader(stream, delimiter="\t"):
                    _put(place, row)
        except (OSError, ValueError, KeyError, TypeError):
            raise HdrgenError(f"{path}: is no table of figures; run its stage again") from None
    return figures


def _rounded_all(metrics: Figures) -> dict[str, Any]:
    return {
        name: _rounded_all(value) if isinstance(value, Mapping) else rounded(name, value)
        for name, value in metrics.items()
    }


def _at(figures: Any, path: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not path:
        yield (), figures
    elif isinstance(figures, Mapping):
        for name in figures if path[0] == "*" else {path[0]} & set(figures):
            yield from (((name, *names), value) for names, value in _at(figures[name], path[1:]))


def _leaves(figures: Figures) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in figures.items():
        if isinstance(value, Mapping) and not is_summary(value):
            yield from (((name, *names), leaf) for names, leaf in _leaves(value))
        else:
            yield (name,), value


def _row(names: Sequence[str], value: Any, keys: Sequence[str]) -> dict[str, Any]:
    if len(names) > len(keys):
        raise ValueError(f"{names} are more than the keys {keys}")
    row: dict[str, Any] = dict(zip(keys, ("",) * (len(keys) - 1), strict=False))
    row |= dict(zip(keys, names[:-1], strict=False)) | {keys[-1]: names[-1]}
    if is_summary(value):
        return row | dict(value)
    if isinstance(value, bool):
        return row | {_TEXT: "yes" if value else "no"}
    return row | {"mean" if isinstance(value, int | float) else _TEXT: value}


def _put(figures: dict[str, Any], row: Mapping[str, str]) -> None:
    *above, name = [row[key] for key in row if key not in {*SUMMARY, _TEXT} and row[key]]
    for one in above:
        figures = figures.setdefault(one, {})
    summary = {key: _number(row[key]) for key in SUMMARY if row[key]}
    figures[name] = summary if is_summary(summary) else summary.get("mean", row.get(_TEXT))


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
