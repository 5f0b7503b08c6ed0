"""Every measure of every picture, side by side with real footage and the 8-bit input it was made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from pydantic import Field

from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.dataset.frame_index import read_index
from hdrgen.dataset.pairs.records import SMALLEST_EVALUATED
from hdrgen.dataset.pairs.scene_crops import split_frames
from hdrgen.evaluation.gradients import smooth_gradients
from hdrgen.evaluation.production_pictures import (
    FOOTAGE,
    RECONSTRUCTED,
    Light,
    Models,
    deliver,
    generated,
    read_linear_awg4,
)
from hdrgen.images.exr import read_exr
from hdrgen.metrics.continuity import histogram_continuity
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
from hdrgen.runtime.choices import ROUTES
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

KINDS = (FOOTAGE, *RECONSTRUCTED, *ROUTES)
"""Every kind of picture, in the order of tables: those that others are held against first."""
GRADIENTS, GENERATED = "gradients", "generated"
"""The sources of the smooth gradients, and of the pictures of `ROUTES`."""
_LIGHT_SPREAD = 1 / 64
"""Part of the longer side over which light is summed to find where there is most of it."""


class ValidateSettings(Section):
    """Which pictures."""

    judged_size: int = Field(768, ge=64)
    """Longest side of the evaluated part of a frame, in pixels: the part about its brightest light."""
    gradients: int = Field(8, ge=0)
    """Smooth pictures without grain that are rendered and evaluated as frames are."""
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
    clipped = dict(latitude.select("exposure_stops", "clipped_fraction").iter_rows())
    figures[f"clipped_fraction_{EXPOSURES_STOPS[0]:+g}"] = clipped[EXPOSURES_STOPS[0]]
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
    frames = len(rows) + settings.gradients
    count = frames * (1 + len(RECONSTRUCTED)) + sum(map(len, routes.values()))
    validated: list[Validated] = []

    def add(source: str, kind: str, path: Path, reference: Light | None) -> None:
        figures, *tables = validate_picture(read_linear_awg4(path), reference)
        if source == GRADIENTS:
            figures = {name: figures[name] for name in OF_GRADIENTS if name in figures}
        validated.append(Validated(source, kind, path.stem, path, figures, *tables))
        if on_progress:
            on_progress(len(validated), count)

    for source, name, light in _references(rows, frames_dir, settings):
        for kind, path in deliver(light, out_dir, name, models).items():
            add(source, kind, path, light)
    for route, paths in routes.items():
        for path in paths:
            add(GENERATED, route, path, None)
    return validated


def _references(
    rows: pl.DataFrame, frames_dir: Path, settings: ValidateSettings
) -> Iterator[tuple[str, str, Light]]:
    """Yield source, name and light of the frames, then of the gradients."""
    for row in rows.iter_rows(named=True):
        path = frames_dir / row["file"]
        light = brightest_part(read_exr(path).rgb.astype(np.float32), settings.judged_size)
        if min(light.shape[:2]) < SMALLEST_EVALUATED:
            raise HdrgenError(f"{path}: is too small to be judged")
        yield row["source"], row["frame"], light
    for name, light in smooth_gradients(settings.gradients, settings.gradient_size, settings.seed):
        yield GRADIENTS, name, light
