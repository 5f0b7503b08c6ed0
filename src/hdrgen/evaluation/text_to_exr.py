"""Evaluation of text to EXR without a reference: the base model against the routes, on the same prompts and seeds.

A prompt is a kind of scene in words. Beside the routes stand the training frames themselves, put through the same
renditions and the same figures: what a perfect generator would get.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.colour.logc import logc4_decode
from hdrgen.colour.tone_maps import quantise8
from hdrgen.dataset.pairs.scene_crops import CropSettings, scene_crops
from hdrgen.dataset.scene_description import SCENE_ATTRIBUTE
from hdrgen.dataset.simulate import SimulateParams, plan, simulate
from hdrgen.dataset.simulate.scenes import KINDS
from hdrgen.evaluation.scene_classifier import (
    ClassifierRecipe,
    NamedPictures,
    SceneClassifier,
    confusion,
    held_out_kinds,
    srgb_display_code8,
)
from hdrgen.evaluation.text_to_exr_tables import (
    BASE,
    FRAMES,
    accuracy_by_kind,
    adherence_by_kind,
    base_against_brackets,
    route_summary,
)
from hdrgen.flux.renditions import Rendition
from hdrgen.images.exr import read_header
from hdrgen.metrics.generated import (
    Code8,
    ToneStatistics,
    bracket_consistency,
    clipped_fraction,
    light_figures,
    spread_stops,
    tone_bins,
)
from hdrgen.metrics.quality import summarise
from hdrgen.runtime.choices import ROUTES
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.scheduling import Workers

_SHEET_GAP = 2
_CONSISTENCY = "consistency_"


class HeldOutRenders(Section):
    """Scenes that no generator has seen: renders of the kinds it was trained on, by another seed."""

    per_kind: int = Field(6, ge=2)
    """Renders of each kind of scene."""
    width: int = Field(112, ge=16)
    """Width in pixels."""
    height: int = Field(64, ge=16)
    """Height in pixels; the shape of the frames matters, as crops are of the same kind."""
    samples_per_pixel: int = Field(8, ge=8)
    """Light paths per pixel."""
    seed: int = 136
    """Decides the scenes; it must differ from that of `simulate`."""
    workers: Workers = "auto"
    """Processes that render at the same time; pictures do not depend on it."""


class EvaluateFlux(Section):
    """Prompts, seeds and sampler, and the classifier that evaluates the pictures."""

    seeds: tuple[int, ...] = Field((1, 2, 3), min_length=2)
    """Seeds of each prompt; prompts are the kinds of scene that were trained on."""
    size: int = Field(64, ge=32, multiple_of=16)
    """Side of the pictures in pixels: what the model was trained at."""
    steps: int = Field(20, ge=1)
    """Steps of the sampler."""
    guidance: float = Field(2.0, ge=1)
    """Scale of guidance; 1 is none."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where pictures are made."""
    crops_per_frame: int = Field(8, ge=1)
    """Crops of each training frame and of each held-out render."""
    renders: HeldOutRenders = HeldOutRenders()
    """Scenes that no generator has seen, which the classifier learns from."""
    classifier: ClassifierRecipe = ClassifierRecipe()
    """How the classifier that recognises kinds of scene learns."""

    def crops(self, seed: int) -> CropSettings:
        """Return which crops are cut, as those that the generator was trained on."""
        return CropSettings(seed=seed, size=self.size, crops_per_frame=self.crops_per_frame)


@dataclass(frozen=True)
class RoutePicture:
    """One generated picture.

    Parameters
    ----------
    linear_awg4
        Scene-linear light at EV 0, ``(H, W, 3)``.
    code8
        The 8-bit pictures it was made of, ``(H, W, 3)``; empty where there are none.
    display_code8
        The picture as its model meant it for a monitor; None where light says it all.
    """

    linear_awg4: NDArray[np.float32]
    code8: Mapping[Rendition, Code8] = field(default_factory=dict)
    display_code8: Code8 | None = None


def read_as_logc4(code8: Code8) -> RoutePicture:
    """Return a display picture with its codes taken for LogC4 at EV 0: what a base model gives without training."""
    linear = logc4_decode(code8.astype(np.float32) / 255).astype(np.float32)
    return RoutePicture(linear, {Rendition("logc4"): code8}, code8)


class Render(Protocol):
    """Whatever makes pictures by a route: `BASE` or one of `ROUTES`."""

    def __call__(
        self, route: str, prompts: Sequence[str], seeds: Sequence[int], *, shared_noise: bool = True
    ) -> Sequence[RoutePicture]:
        """Return one picture for each prompt and seed, of which there are as many.

        ``shared_noise`` says whether the exposures of `brackets` start from one noise; else from one each.
        """
        ...


def training_crops(train: pl.DataFrame, frames_dir: Path, settings: EvaluateFlux) -> NamedPictures:
    """Return crops of the frames that the generator was trained on; the kind of a frame that does not say is empty.

    Parameters
    ----------
    train
        Rows of `split`'s index.
    frames_dir
        What their ``file`` is relative to.
    settings
        Which crops.

    Raises
    ------
    HdrgenError
        There are no frames, or one cannot be read.
    """
    # A simulated frame's own name, which tells whether a render is one that was trained on.
    own_name = pl.col("description").str.json_path_match("$.frame_id")
    named = train.with_columns(frame=pl.coalesce(own_name, "frame"))
    return _named(frames_dir, named, settings.crops(settings.renders.seed))


def prompt_kinds(frames: NamedPictures) -> list[str]:
    """Return the kinds of scene to ask for: those of the frames, or all where the frames are footage.

    Footage teaches a checkpoint light, and its prompts are those that it knew before.
    """
    known = [kind.replace("_", " ") for kind in KINDS]
    return [kind for kind in frames.names if kind in known] or sorted(known)


def held_out_renders(
    kinds: Sequence[str], folder: Path, settings: EvaluateFlux, on_progress: OnProgress | None = None
) -> NamedPictures:
    """Render scenes of these kinds, given in words, and return crops of them; what is there is not rendered again.

    Raises
    ------
    HdrgenError
        A scene cannot be rendered.
    """
    renders = settings.renders
    params = SimulateParams(
        count=renders.per_kind * len(kinds),
        width=renders.width,
        height=renders.height,
        samples_per_pixel=renders.samples_per_pixel,
        seed=renders.seed,
        kinds=tuple(kind.replace(" ", "_") for kind in kinds),
        workers=renders.workers,
    )
    simulate(params, folder, on_progress=on_progress)
    rows = [
        {
            "file": spec.file_name,
            "frame": spec.frame_id,
            "digest": spec.digest,
            "description": str(read_header(folder / spec.file_name).attributes[SCENE_ATTRIBUTE]),
        }
        for spec in plan(params)
    ]
    return _named(folder, pl.DataFrame(rows), settings.crops(renders.seed))


@dataclass(frozen=True)
class FluxEvaluation:
    """Everything that `evaluate_flux` measures.

    ``figures`` has the sections of `text_to_exr_tables.KEYS`, ``rows`` the figures of each picture, ``tones`` the share of pixels in each
    eighth of a stop by route, ``sheet_code8`` a row for each prompt and a column for each route.
    """

    figures: dict[str, Any]
    rows: pl.DataFrame
    tones: pl.DataFrame
    sheet_code8: Code8


def evaluate_flux(
    render: Render,
    frames: NamedPictures,
    held_out: NamedPictures,
    settings: EvaluateFlux,
    on_progress: OnProgress | None = None,
    *,
    routes: Sequence[str] = ROUTES,
) -> FluxEvaluation:
    """Generate with the base model and every route for every kind of scene, and measure the pictures.

    Parameters
    ----------
    render
        Makes the pictures.
    frames
        Crops that the generator was trained on: they say what tones and what spread are natural.
    held_out
        Crops that it was not trained on: their kinds are the prompts, and the classifier learns from them.
    settings
        Seeds, sizes and the classifier's recipe.
    on_progress
        Called with (parts done, parts in all): the classifier's folds, and each route.
    routes
        Which of `ROUTES`.

    Raises
    ------
    HdrgenError
        A held-out frame is one that was trained on.
    """
    names = held_out.names
    prompts = [name for name in names for _ in settings.seeds]
    seeds = [*settings.seeds] * len(names)
    parts = settings.classifier.folds + 1 + len(routes) + 2
    done = 0

    def part(*_: int) -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done, parts)

    trained_on = sorted(set(frames.frames) & set(held_out.frames))
    if trained_on:
        raise HdrgenError(
            f"{trained_on[0]} was trained on, so it cannot judge; evaluate_flux.renders.seed must differ from simulate.seed"
        )
    taken_for = held_out_kinds(held_out, settings.classifier, part)
    classifier = SceneClassifier.learned(held_out, settings.classifier)
    part()
    pictures_of: dict[str, Sequence[RoutePicture]] = {}
    for route in (BASE, *routes):
        pictures_of[route] = render(route, prompts, seeds)
        part()
    kinds_of = dict.fromkeys(pictures_of, prompts)
    renditions = (
        tuple(pictures_of["brackets"][0].code8) if "brackets" in pictures_of else (Rendition("logc4"),)
    )
    pictures_of[FRAMES] = [_rendered(one, renditions) for one in frames.linear_awg4]
    kinds_of[FRAMES] = [str(kind) for kind in frames.kinds]

    rows = pl.DataFrame(
        [
            {"route": route, "prompt": prompt, **figures}
            for route, pictures in pictures_of.items()
            for prompt, figures in zip(
                kinds_of[route], _picture_figures(pictures, kinds_of[route], classifier), strict=True
            )
        ],
        infer_schema_length=None,
    )
    tones = {
        route: ToneStatistics.of([p.linear_awg4 for p in pictures]) for route, pictures in pictures_of.items()
    }
    by_route = {}
    for route, pictures in pictures_of.items():
        light = [p.linear_awg4 for p in pictures]
        of_kind = np.array(kinds_of[route])
        own = rows.filter(pl.col("route") == route)
        spread = [
            spread_stops([light[i] for i in np.flatnonzero(of_kind == name)])
            for name in names
            if name in of_kind
        ]
        by_route[route] = {
            **route_summary(own),
            **({"spread_stops": float(np.mean(spread))} if spread else {}),
            "tone_distance_stops": tones[route].distance_stops(tones[FRAMES]),
        }
    figures: dict[str, Any] = {
        "routes": by_route,
        "adherence_by_kind": {
            route: adherence_by_kind(rows.filter(pl.col("route") == route)) for route in pictures_of
        },
        "classifier": {
            "accuracy": float(np.mean(taken_for == held_out.kinds)),
            "chance": 1 / len(names),
            "frames": len(np.unique(held_out.frames)),
        },
        "accuracy_by_kind": accuracy_by_kind(held_out.kinds, taken_for),
        "confusion": confusion(held_out.kinds, taken_for),
    }
    if "brackets" in pictures_of:
        figures["base_against_brackets"] = base_against_brackets(by_route)
        figures["consistency"] = _consistency(render, pictures_of["brackets"], names, settings)
    part()
    return FluxEvaluation(
        figures,
        rows,
        pl.DataFrame({"stops": tone_bins(), **{route: t.share for route, t in tones.items()}}),
        _sheet({route: pictures_of[route] for route in (BASE, *routes)}, len(settings.seeds)),
    )


def _named(folder: Path, rows: pl.DataFrame, settings: CropSettings) -> NamedPictures:
    crops = list(scene_crops(folder, rows, settings))
    return NamedPictures(
        np.stack([crop.linear_awg4 for crop in crops]),
        np.array([crop.kind for crop in crops]),
        np.array([crop.frame for crop in crops]),
    )


def _rendered(linear_awg4: NDArray[np.float32], renditions: Sequence[Rendition]) -> RoutePicture:
    return RoutePicture(linear_awg4, {r: quantise8(r.encode(linear_awg4)) for r in renditions})


def _displayed(pictures: Sequence[RoutePicture]) -> Code8:
    """Return what a monitor shows of each picture, ``(N, H, W, 3)``."""
    code8 = srgb_display_code8(np.stack([p.linear_awg4 for p in pictures]))
    return np.stack(
        [own if p.display_code8 is None else p.display_code8 for p, own in zip(pictures, code8, strict=True)]
    )


def _picture_figures(
    pictures: Sequence[RoutePicture], prompts: Sequence[str], classifier: SceneClassifier
) -> list[dict[str, float]]:
    """Return the figures of each picture; those that it cannot have are left out."""
    rows = []
    for picture, prompt, kind in zip(pictures, prompts, classifier(_displayed(pictures)), strict=True):
        row = light_figures(picture.linear_awg4)
        if prompt in classifier.names:
            row["adherence"] = float(kind == prompt)
        if picture.code8:
            row["clipped_fraction"] = clipped_fraction(*picture.code8.values())
            row |= {f"clipped_fraction_{r.name}": clipped_fraction(c) for r, c in picture.code8.items()}
        rows.append(row | {f"{_CONSISTENCY}{name}": v for name, v in _agreement(picture).items()})
    return rows


def _agreement(picture: RoutePicture) -> dict[str, float]:
    logc4_code8 = {r.ev: code8 for r, code8 in picture.code8.items() if r.curve == "logc4"}
    return bracket_consistency(logc4_code8) if 0.0 in logc4_code8 else {}


def _consistency(
    render: Render, shared: Sequence[RoutePicture], names: Sequence[str], settings: EvaluateFlux
) -> dict[str, Any]:
    """Compare one picture of each kind from one noise with the same picture from a noise for each exposure."""
    first = settings.seeds[0]
    own = render("brackets", names, [first] * len(names), shared_noise=False)
    return {
        "shared_noise": summarise([_agreement(picture) for picture in shared[:: len(settings.seeds)]]),
        "own_noise": summarise([_agreement(picture) for picture in own]),
    }


def _sheet(pictures_of: Mapping[str, Sequence[RoutePicture]], seeds: int) -> Code8:
    """Return the first seed of each prompt, a row each, by each route, a column each."""
    columns = [
        np.concatenate([_framed(one) for one in _displayed(pictures[::seeds])])
        for pictures in pictures_of.values()
    ]
    return np.concatenate(columns, axis=1)


def _framed(code8: Code8) -> Code8:
    return np.pad(code8, ((0, _SHEET_GAP), (0, _SHEET_GAP), (0, 0)))
