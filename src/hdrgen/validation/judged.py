"""Every measure of every picture, side by side with real footage and plain 8-bit input."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from hdrgen.frames.frame_index import read_index
from hdrgen.images.exr import read_exr
from hdrgen.metrics.quality import summarise
from hdrgen.pairs.records import SMALLEST_JUDGED, judged_crop
from hdrgen.pairs.scene_crops import split_frames
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.validation.continuity import codes_per_stop, histogram_continuity
from hdrgen.validation.delivered import (
    FOOTAGE,
    PLAIN_8BIT,
    RECONSTRUCTED,
    ROUTES,
    Light,
    Models,
    deliver,
    generated,
    read_linear_awg4,
)
from hdrgen.validation.highlights import (
    highlight_colour_shift,
    highlight_saturation,
    light_sources,
    logc4_psnr,
    source_figures,
    source_light,
)
from hdrgen.validation.latitude import (
    EXPOSURES_STOPS,
    ceiling_share,
    exposure_latitude,
    noise_floor_stops,
)

KINDS = (FOOTAGE, *RECONSTRUCTED, *ROUTES)
"""Every kind of picture, in the order of tables: the two that others are held against first."""
GENERATED = "generated"
"""The source that pictures of `ROUTES` are counted to."""
LATITUDE = ("clipped_share", "crushed_share", "banded_share", "step_codes", "noise_codes")
CONTINUITY = ("levels", "filled_share", "gap_share", "comb")
_EXTREMES = (float(EXPOSURES_STOPS[0]), 0.0, float(EXPOSURES_STOPS[-1]))
_TELLS_NOTHING = 0.01
"""Where footage and plain 8 bits differ by less than this part of the larger, no figure lies between them."""


class ValidateSettings(Section):
    """Which pictures."""

    judged_size: int = Field(768, ge=64)
    """Longest side of the middle of a frame, in pixels."""


@dataclass(frozen=True)
class Validated:
    """All measures of one picture.

    ``figures`` are single numbers; one is absent where a picture cannot have it. ``latitude`` has a row for each exposure,
    ``continuity`` one for each stop, ``sources`` one for each source of light of its reference.
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
    figures: dict[str, float] = {"ceiling_share": ceiling_share(linear_awg4)}
    for row in latitude.filter(pl.col("exposure_stops").is_in(_EXTREMES)).iter_rows(named=True):
        stops = row["exposure_stops"]
        figures |= {f"{name}_{stops:+g}": row[name] for name in LATITUDE if row[name] is not None}
    figures["noise_floor_stops"] = noise_floor_stops(linear_awg4)
    if not continuity.is_empty():
        weights = continuity["samples"].to_numpy()
        figures |= {
            name: float(np.average(continuity[name].to_numpy(), weights=weights))
            for name in CONTINUITY
            if name != "levels"
        }
    figures |= highlight_saturation(linear_awg4) | source_light(linear_awg4)
    sources = pl.DataFrame()
    if reference is not None:
        sources = light_sources(linear_awg4, reference)
        figures["logc4_psnr"] = logc4_psnr(linear_awg4, reference)
        figures |= highlight_colour_shift(linear_awg4, reference) | source_figures(sources)
    return figures, latitude, continuity, sources


def validate_all(
    frames_dir: Path,
    index_dir: Path,
    generated_dir: Path | None,
    out_dir: Path,
    settings: ValidateSettings,
    models: Models,
    on_progress: OnProgress | None = None,
) -> list[Validated]:
    """Deliver the test frames in every way, and measure these and the generated pictures.

    Parameters
    ----------
    frames_dir, index_dir
        Frames as `sanitize` leaves them, and the index that `split` leaves.
    generated_dir
        A folder of EXRs for each route; None leaves the routes out.
    out_dir
        Gets a folder of EXRs for each kind that is made of a frame.
    settings
        Which part of the frames.
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
    count = len(rows) * (1 + len(RECONSTRUCTED)) + sum(map(len, routes.values()))
    found: list[Validated] = []

    def add(source: str, kind: str, path: Path, reference: Light | None) -> None:
        measured = validate_picture(read_linear_awg4(path), reference)
        found.append(Validated(source, kind, path.stem, path, *measured))
        if on_progress:
            on_progress(len(found), count)

    for row in rows.iter_rows(named=True):
        frame = np.ascontiguousarray(
            judged_crop(read_exr(frames_dir / row["file"]).rgb, settings.judged_size), np.float32
        )
        if min(frame.shape[:2]) < SMALLEST_JUDGED:
            raise HdrgenError(f"{frames_dir / row['file']}: is too small to be judged")
        for kind, path in deliver(frame, out_dir, row["frame"], models).items():
            add(row["source"], kind, path, frame)
    for route, paths in routes.items():
        for path in paths:
            add(GENERATED, route, path, None)
    return found


def summary(validated: Sequence[Validated]) -> dict[str, Any]:
    """Return the metrics file: for each source of frames, every kind's figures beside footage and plain 8 bits.

    Generated pictures stand beside the frames of each source, as they have none of their own. ``way_to_footage`` of a
    figure is 0 where a kind is as plain 8-bit input and 1 where it is as footage; ``falls_short`` lists the figures in
    which a kind is farther from footage than plain 8-bit input is.
    """
    result: dict[str, Any] = {}
    made = [one for one in validated if one.source == GENERATED]
    for source in sorted({one.source for one in validated} - {GENERATED}):
        here = [one for one in validated if one.source == source] + made
        kinds = {
            kind: summarise([one.figures for one in here if one.kind == kind])
            for kind in KINDS
            if any(one.kind == kind for one in here)
        }
        judged = {kind: _way(figures, kinds) for kind, figures in kinds.items()}
        result[source] = {
            "kinds": kinds,
            "way_to_footage": {
                kind: way for kind, way in judged.items() if kind not in (FOOTAGE, PLAIN_8BIT)
            },
            "falls_short": {
                kind: [name for name, way in ways.items() if abs(way - 1) > 1]
                for kind, ways in judged.items()
                if kind not in (FOOTAGE, PLAIN_8BIT)
            },
        }
    return result


def _way(
    figures: Mapping[str, Mapping[str, float]], kinds: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> dict[str, float]:
    """Return where each figure's mean lies from that of plain 8 bits to that of footage."""
    ways = {}
    for name, found in figures.items():
        if name not in kinds[FOOTAGE] or name not in kinds[PLAIN_8BIT]:
            continue
        footage, plain = kinds[FOOTAGE][name]["mean"], kinds[PLAIN_8BIT][name]["mean"]
        if abs(footage - plain) > _TELLS_NOTHING * max(abs(footage), abs(plain)):
            ways[name] = (found["mean"] - plain) / (footage - plain)
    return ways


def figures_table(validated: Sequence[Validated]) -> pl.DataFrame:
    """Return ``figure`` and a column of means for each kind; null where a kind cannot have it."""
    return _means(
        (one.kind, {"figure": name}, value) for one in validated for name, value in one.figures.items()
    )


def latitude_table(validated: Sequence[Validated], measure: str) -> pl.DataFrame:
    """Return ``exposure_stops`` and a column of the means of one of `LATITUDE` for each kind."""
    return _means(
        (one.kind, {"exposure_stops": stops}, value)
        for one in validated
        for stops, value in one.latitude.select("exposure_stops", measure).iter_rows()
    )


def continuity_table(validated: Sequence[Validated], measure: str) -> pl.DataFrame:
    """Return ``stop`` and a column of the means of one of `CONTINUITY` for each kind.

    Of ``levels`` there are two columns more: ``levels_half_float``, what footage's samples could have in half floats,
    and ``levels_logc4_8bit``, the codes that 8-bit LogC4 has in the stop.
    """
    rows = [
        (one.kind, {"stop": stop}, value)
        for one in validated
        for stop, value in one.continuity.select("stop", measure).iter_rows()
    ]
    if measure != "levels":
        return _means(rows)
    rows += [
        ("levels_half_float", {"stop": stop}, value)
        for one in validated
        if one.kind == FOOTAGE
        for stop, value in one.continuity.select("stop", "levels_half_float").iter_rows()
    ]
    allowed = codes_per_stop("logc4_awg4", 8).rename({"levels": "levels_logc4_8bit"})
    return _means(rows).join(allowed, on="stop", how="left")


def _means(values: Iterable[tuple[str, Mapping[str, Any], float | None]]) -> pl.DataFrame:
    """Return a table of means: rows by key in the order they came, or sorted where numbers; a column for each kind."""
    rows = [{**key, "kind": kind, "value": value} for kind, key, value in values]
    long = pl.DataFrame(rows, schema_overrides={"value": pl.Float64}, infer_schema_length=None)
    key = long.columns[0]
    wide = long.pivot("kind", index=key, values="value", aggregate_function="mean", maintain_order=True)
    return wide.sort(key) if wide.schema[key].is_numeric() else wide


def write_tables(folder: Path, validated: Sequence[Validated]) -> None:
    """Write the tables that `dvc plots` draws: ``figures.tsv``, and one for each measure by exposure or stop."""
    tables = {"figures": figures_table(validated)}
    tables |= {f"{measure}_by_exposure": latitude_table(validated, measure) for measure in LATITUDE}
    tables |= {f"{measure}_by_stop": continuity_table(validated, measure) for measure in CONTINUITY}
    for name, table in tables.items():
        with replacing(folder / f"{name}.tsv") as temporary:
            table.write_csv(temporary, separator="\t", float_precision=6)
