"""Every measure of every picture, side by side with real footage and the 8-bit input it was made from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from pydantic import Field

from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.records import SMALLEST_JUDGED
from hdrgen.dataset.pairs.scene_crops import split_frames
from hdrgen.evaluation.gradients import smooth_gradients
from hdrgen.evaluation.production_pictures import (
    FOOTAGE,
    INPUT_OF,
    RECONSTRUCTED,
    Light,
    Models,
    deliver,
    generated,
    read_linear_awg4,
)
from hdrgen.images.exr import read_exr
from hdrgen.metrics.continuity import codes_per_stop, histogram_continuity
from hdrgen.metrics.highlights import (
    highlight_colour_shift,
    highlight_saturation,
    light_sources,
    logc4_psnr,
    source_energy_share,
    source_figures,
)
from hdrgen.metrics.latitude import (
    EXPOSURES_STOPS,
    ceiling_plateau,
    exposure_latitude,
    noise_floor_stops,
)
from hdrgen.metrics.production_figures import FIGURES, OF_GRADIENTS
from hdrgen.metrics.quality import summarise
from hdrgen.metrics.verdicts import Verdict, verdict
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.choices import ROUTES
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

KINDS = (FOOTAGE, *RECONSTRUCTED, *ROUTES)
"""Every kind of picture, in the order of tables: those that others are held against first."""
GRADIENTS, GENERATED = "gradients", "generated"
"""The sources of the smooth gradients, and of the pictures of `ROUTES`."""
LATITUDE = ("clipped_share", "banded_share")
CONTINUITY = ("levels", "gap_share", "comb")
STRONGEST_SOURCES = 24
_LIGHT_SPREAD = 1 / 64
"""Part of the longer side over which light is summed to find where there is most of it."""


class ValidateSettings(Section):
    """Which pictures."""

    judged_size: int = Field(768, ge=64)
    """Longest side of the part of a frame that is judged, in pixels: the part about its brightest light."""
    gradients: int = Field(8, ge=0)
    """Smooth pictures without grain that are delivered and judged as frames are."""
    gradient_size: int = Field(384, ge=64)
    """Side of a gradient, in pixels."""
    seed: int = 7
    """Decides the gradients."""


@dataclass(frozen=True)
class Validated:
    """All measures of one picture.

    ``figures`` are single numbers of `FIGURES`; one is absent where a picture cannot have it. ``latitude`` has a row for
    each exposure, ``continuity`` one for each stop, ``sources`` one for each source of light of its reference.
    """

    source: str
    kind: str
    name: str
    path: Path
    figures: Mapping[str, float]
    latitude: pl.DataFrame
    continuity: pl.DataFrame
    sources: pl.DataFrame


def validate_picture(
    linear_awg4: Light, reference: Light | None = None
) -> tuple[dict[str, float], pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Measure one picture.

    Parameters
    ----------
    linear_awg4
        Scene-linear AWG4 of shape ``(H, W, 3)``, finite.
    reference
        What it should be, of the same shape; None where nobody knows.

    Returns
    -------
    tuple
        Figures by name; then what `exposure_latitude`, `histogram_continuity` and `light_sources` return, the last one
        empty without a reference.
    """
    latitude, continuity = exposure_latitude(linear_awg4), histogram_continuity(linear_awg4)
    figures: dict[str, float | None] = {"ceiling_share": float(ceiling_plateau(linear_awg4).mean())}
    clipped = dict(latitude.select("exposure_stops", "clipped_share").iter_rows())
    figures[f"clipped_share_{EXPOSURES_STOPS[0]:+g}"] = clipped[EXPOSURES_STOPS[0]]
    figures["banded_share"] = max(latitude["banded_share"].drop_nulls(), default=None)
    figures["noise_floor_stops"] = noise_floor = noise_floor_stops(linear_awg4)
    if not continuity.is_empty():
        weights = continuity["samples"].to_numpy()
        for name in ("gap_share", "comb"):
            figures[name] = float(np.average(continuity[name].to_numpy(), weights=weights))
    figures["highlight_saturation_uv"] = highlight_saturation(linear_awg4)
    figures["source_energy_share"] = source_energy_share(linear_awg4)
    sources = pl.DataFrame()
    if reference is not None:
        sources = light_sources(linear_awg4, reference)
        figures["noise_floor_shift_stops"] = abs(noise_floor - noise_floor_stops(reference))
        figures["logc4_psnr"] = logc4_psnr(linear_awg4, reference)
        figures |= highlight_colour_shift(linear_awg4, reference) | source_figures(sources)
    known = {name: value for name in FIGURES if (value := figures.get(name)) is not None}
    return known, latitude, continuity, sources


def brightest_part(linear_awg4: Light, largest_side: int) -> Light:
    """Return the part of a picture about its brightest light, no side longer than this: a sun must not be left out.

    Examples
    --------
    >>> night = np.zeros((100, 300, 3), np.float32)
    >>> night[10:14, 280:284] = 500
    >>> part = brightest_part(night, 80)
    >>> part.shape, int((part > 0).sum()) == 4 * 4 * 3
    ((80, 80, 3), True)
    """
    y = np.maximum(luminance(linear_awg4, AWG4), 0).astype(np.float32)
    side = max(1, round(_LIGHT_SPREAD * max(y.shape)))
    nearby = cv2.blur(y, (side, side), borderType=cv2.BORDER_CONSTANT)
    corner = [
        int(np.clip(place - largest_side // 2, 0, max(size - largest_side, 0)))
        for place, size in zip(np.unravel_index(nearby.argmax(), y.shape), y.shape, strict=True)
    ]
    top, left = corner
    return np.ascontiguousarray(linear_awg4[top : top + largest_side, left : left + largest_side])


def validate_all(
    frames_dir: Path,
    index_dir: Path,
    generated_dir: Path | None,
    out_dir: Path,
    settings: ValidateSettings,
    models: Models,
    on_progress: OnProgress | None = None,
) -> list[Validated]:
    """Deliver the test frames and smooth gradients in every way, and measure these and the generated pictures.

    Parameters
    ----------
    frames_dir, index_dir
        Frames as `sanitize` leaves them, and the index that `split` leaves.
    generated_dir
        A folder of EXRs for each route; None leaves the routes out.
    out_dir
        Gets a folder of EXRs for each kind that is made of a frame.
    settings
        Which part of the frames, and which gradients.
    models
        The networks.
    on_progress
        Called with (pictures done, pictures in all).

    Raises
    ------
    HdrgenError
        There are no test frames, or a picture cannot be read or made.
    """
    rows = split_frames(read_index(index_dir), "test").filter(pl.col("file").is_not_null())
    if rows.is_empty():
        raise HdrgenError(f"{index_dir}: has no test frames; raise split.test_fraction")
    routes = generated(generated_dir) if generated_dir else {}
    delivered = len(rows) + settings.gradients
    count = delivered * (1 + len(RECONSTRUCTED)) + sum(map(len, routes.values()))
    found: list[Validated] = []

    def add(source: str, kind: str, path: Path, reference: Light | None) -> None:
        figures, *tables = validate_picture(read_linear_awg4(path), reference)
        if source == GRADIENTS:
            figures = {name: figures[name] for name in OF_GRADIENTS if name in figures}
        found.append(Validated(source, kind, path.stem, path, figures, *tables))
        if on_progress:
            on_progress(len(found), count)

    for source, name, light in _references(rows, frames_dir, settings):
        for kind, path in deliver(light, out_dir, name, models).items():
            add(source, kind, path, light)
    for route, paths in routes.items():
        for path in paths:
            add(GENERATED, route, path, None)
    return found


def _references(
    rows: pl.DataFrame, frames_dir: Path, settings: ValidateSettings
) -> Iterator[tuple[str, str, Light]]:
    """Yield source, name and light of the frames, then of the gradients."""
    for row in rows.iter_rows(named=True):
        path = frames_dir / row["file"]
        light = brightest_part(read_exr(path).rgb.astype(np.float32), settings.judged_size)
        if min(light.shape[:2]) < SMALLEST_JUDGED:
            raise HdrgenError(f"{path}: is too small to be judged")
        yield row["source"], row["frame"], light
    for name, light in smooth_gradients(settings.gradients, settings.gradient_size, settings.seed):
        yield GRADIENTS, name, light


def summary(validated: Sequence[Validated]) -> dict[str, Any]:
    """Return the metrics file: for each source of frames, every kind's figures, and where it stands between two others.

    These two are footage and the one 8-bit picture that the kind begins with (`INPUT_OF`). Of the figures that tell them
    apart, ``way_to_footage`` has where a kind lies, 0 as its 8-bit input and 1 as footage; ``falls_short`` lists those in
    which it is not better than its 8-bit input, and ``as_footage`` those in which it is not worse than footage, always by
    more than chance (see `verdicts`).

    Generated pictures stand beside the frames of each source but gradients, as they have none of their own, and are not
    judged by what depends on what a picture shows.
    """
    result: dict[str, Any] = {}
    made = [one for one in validated if one.source == GENERATED]
    for source in sorted({one.source for one in validated} - {GENERATED}):
        here = [one for one in validated if one.source == source] + (made if source != GRADIENTS else [])
        kinds = [kind for kind in KINDS if any(one.kind == kind for one in here)]
        verdicts = {kind: _verdicts(here, kind) for kind in kinds if kind in INPUT_OF}
        result[source] = {
            "kinds": {kind: summarise([one.figures for one in here if one.kind == kind]) for kind in kinds},
            "input_of": {kind: INPUT_OF[kind] for kind in verdicts},
            "way_to_footage": {
                kind: {name: found.way for name, found in of_kind.items()}
                for kind, of_kind in verdicts.items()
            },
            "falls_short": {
                kind: [name for name, found in of_kind.items() if found.falls_short]
                for kind, of_kind in verdicts.items()
            },
            "as_footage": {
                kind: [name for name, found in of_kind.items() if found.as_footage]
                for kind, of_kind in verdicts.items()
            },
        }
    return result


def _verdicts(here: Sequence[Validated], kind: str) -> dict[str, Verdict]:
    """Return the verdict on a kind by each figure that may judge it."""
    found = {}
    for name, figure in FIGURES.items():
        if not figure.better or (figure.of_content and kind in ROUTES):
            continue
        of_kind, footage, input_8bit = (
            {
                (one.source, one.name): figure.goodness(one.figures[name])
                for one in here
                if one.kind == which and name in one.figures
            }
            for which in (kind, FOOTAGE, INPUT_OF[kind])
        )
        said = verdict(of_kind, footage, input_8bit, least=figure.least)
        if said is not None:
            found[name] = said
    return found


def figures_table(validated: Sequence[Validated]) -> pl.DataFrame:
    """Return ``source``, ``figure`` and a column of means for each kind; null where a kind cannot have it."""
    return _means(
        ("source", "figure"),
        ((one.kind, (one.source, name), value) for one in validated for name, value in one.figures.items()),
    )


def latitude_table(validated: Iterable[Validated], measure: str) -> pl.DataFrame:
    """Return ``exposure_stops`` and a column of the means of one of `LATITUDE` for each kind."""
    return _means(
        ("exposure_stops",),
        (
            (one.kind, (stops,), value)
            for one in validated
            for stops, value in one.latitude.select("exposure_stops", measure).iter_rows()
        ),
    ).sort("exposure_stops")


def continuity_table(validated: Sequence[Validated], measure: str) -> pl.DataFrame:
    """Return ``stop`` and a column of the means of one of `CONTINUITY` for each kind.

    Of ``levels`` there are two columns more: ``levels_half_float``, what footage's samples could have in half floats,
    and ``levels_logc4_8bit``, the codes that 8-bit LogC4 has in the stop.
    """
    rows = [
        (one.kind, (stop,), value)
        for one in validated
        for stop, value in one.continuity.select("stop", measure).iter_rows()
    ]
    if measure != "levels":
        return _means(("stop",), rows).sort("stop")
    rows += [
        ("levels_half_float", (stop,), value)
        for one in validated
        if one.kind == FOOTAGE
        for stop, value in one.continuity.select("stop", "levels_half_float").iter_rows()
    ]
    allowed = codes_per_stop("logc4_awg4", 8).rename({"levels": "levels_logc4_8bit"})
    return _means(("stop",), rows).sort("stop").join(allowed, on="stop", how="left", maintain_order="left")


def sources_table(validated: Iterable[Validated], strongest: int = STRONGEST_SOURCES) -> pl.DataFrame:
    """Return what each kind made of the strongest sources of light: the share of its energy that each kept.

    Columns are ``place``, 1 for the strongest; ``source``, ``frame``, ``row`` and ``column``, where it is in the judged
    part; ``energy``, its luminance summed over pixels; and one for each kind.
    """
    place = ("row", "column", "energy")
    table = _means(
        ("source", "frame", *place),
        (
            (one.kind, (one.source, one.name, *where), ratio)
            for one in validated
            for *where, ratio in one.sources.select(*place, "energy_ratio").iter_rows()
        ),
    )
    return (
        table.sort("energy", descending=True, maintain_order=True)
        .head(strongest)
        .with_row_index("place", offset=1)
    )


def _means(key: Sequence[str], values: Iterable[tuple[str, tuple[Any, ...], float | None]]) -> pl.DataFrame:
    """Return a table of means: a row for each key in the order they came, and a column for each kind."""
    rows = [(*at, kind, value) for kind, at, value in values]
    if not rows:
        return pl.DataFrame(schema=[*key])
    long = pl.DataFrame(rows, [*key, "kind", ("value", pl.Float64)], orient="row", infer_schema_length=None)
    return long.pivot("kind", index=key, values="value", aggregate_function="mean", maintain_order=True)


def write_tables(folder: Path, validated: Sequence[Validated]) -> None:
    """Write ``figures.tsv``, and the tables that `dvc plots` draws.

    These are of the frames of all sources and the generated pictures: one for each measure by exposure or stop, and
    ``sources.tsv``; and ``gradients_banded_share_by_exposure.tsv``, which is of the gradients.
    """
    pictures = [one for one in validated if one.source != GRADIENTS]
    tables = {"figures": figures_table(validated)}
    tables |= {f"{measure}_by_exposure": latitude_table(pictures, measure) for measure in LATITUDE}
    tables |= {f"{measure}_by_stop": continuity_table(pictures, measure) for measure in CONTINUITY}
    tables["sources"] = sources_table(one for one in pictures if one.source != GENERATED)
    smooth = [one for one in validated if one.source == GRADIENTS]
    tables["gradients_banded_share_by_exposure"] = latitude_table(smooth, "banded_share")
    for name, table in tables.items():
        with replacing(folder / f"{name}.tsv") as temporary:
            table.write_csv(temporary, separator="\t", float_precision=6)
