"""Pairs for exposure fusion: exposure brackets of a frame and its light.

Of each frame there are three stacks of 8-bit pictures: ``clean``, ``generated`` (static, but each bracket was damaged
on its own, as in `hdrgen.dataset.pairs.generated_like`) and ``motion`` (generated, and the scene moved between the
exposures). All show the same light; in ``motion`` the reference, the bracket at EV 0, shows things where the
light has them.

What moves is drawn before what is damaged, so the light of a test picture can be had again without either
(`evaluation_scene`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.logc import logc4_decode, logc4_encode
from hdrgen.colour.tone_maps import quantise8
from hdrgen.dataset.pairs.bit_depth_pairs import clean_code8
from hdrgen.dataset.pairs.generated_like import GeneratedLike, damage
from hdrgen.dataset.pairs.records import (
    PairMaker,
    PairSettings,
    crop_corner,
    cut,
    evaluation_crop,
    frame_rng,
    make_pairs,
    random_exposure,
    stored_frames,
)
from hdrgen.exposure.alignment import align_stack
from hdrgen.exposure.bracket_tables import bracket_tables
from hdrgen.exposure.ev_list import DEFAULT_EVS
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

KINDS = ("clean", "generated", "motion")
ENCODING_NAMES = ("logc4_awg4", "srgb_rec709")
"""Curves of the brackets; a record holds the index. They act on the components as they are, whatever the primaries."""
MARGIN = 32
"""Pixels around a crop that are damaged, moved and aligned with it, and then cut off with their borders."""
_PARALLAX_PIXELS = 64
"""Pixels from one node of the parallax to the next."""

Light = NDArray[np.float32]
Codes = NDArray[np.uint8]


class BracketMotion(Section):
    """What moves between the exposures; standard deviations are over brackets, the reference stands still."""

    shift_pixels: float = Field(2.5, ge=0)
    """Standard deviation of a bracket's shift, along each axis."""
    most_shift_pixels: float = Field(8.0, ge=0, le=16)
    """Largest shift; larger ones are clipped to it."""
    parallax_pixels: float = Field(0.7, ge=0)
    """Standard deviation of the smooth warp that is added to the shift, along each axis."""
    object_share: float = Field(0.5, ge=0, le=1)
    """Share of crops in which an object moves."""
    judged_objects: int = Field(3, ge=0)
    """Objects that move in an evaluated picture."""
    object_radius_pixels: tuple[float, float] = (6.0, 28.0)
    """Range of an object's radius."""
    object_step_pixels: tuple[float, float] = (3.0, 24.0)
    """Range of the way an object goes from one bracket to the next."""
    object_stops: float = Field(1.5, ge=0)
    """Standard deviation of an object's brightness over that of the place its texture comes from."""


class GeneratedBrackets(GeneratedLike):
    """Strengths of the damage; a generator misses an exposure by more than two pictures of one exposure differ."""

    exposure_stops: float = Field(0.1, ge=0)


class MakeBracketPairs(PairSettings):
    """What is cut out of each frame, at which exposures, and how two of the three stacks are damaged."""

    evs: tuple[float, ...] = Field(DEFAULT_EVS, min_length=2, max_length=9)
    """Exposure values of the brackets: each shows ``linear * 2**ev``."""
    srgb_share: float = Field(0.25, ge=0, le=1)
    """Share of crops with sRGB brackets; the others, and all evaluated pictures, are LogC4."""
    generated_like: GeneratedBrackets = GeneratedBrackets()
    """Damage of the generated-like stacks; strengths are assumptions, no real generator was measured."""
    motion: BracketMotion = BracketMotion()
    """What moves between the exposures."""

    @field_validator("evs")
    @classmethod
    def _rising_through_zero(cls, evs: tuple[float, ...]) -> tuple[float, ...]:
        if 0 not in evs or any(a >= b for a, b in pairwise(evs)):
            raise ValueError("exposure values must rise and hold 0, the reference's")
        return evs

    @property
    def reference(self) -> int:
        """Which bracket is the one at EV 0."""
        return self.evs.index(0)


@dataclass(frozen=True)
class BracketScene:
    """A scene that moves between the exposures.

    ``linear_awg4`` is the light of the reference bracket, shape ``(H, W, 3)``; ``by_bracket`` that of each bracket, at EV 0.
    ``flow``, shape ``(E, H, W, 2)``: at each pixel a bracket shows what the reference shows ``flow`` pixels (x, y) from
    there. ``moved``, shape ``(H, W)``, is True where an object is in any of the brackets, in the reference's
    coordinates: outside of it, undoing the flow leaves no difference.
    """

    linear_awg4: Light
    by_bracket: tuple[Light, ...]
    flow: NDArray[np.float32]
    moved: NDArray[np.bool_]


def crop_record(size: int, brackets: int) -> np.dtype[np.void]:
    """Return the type of one crop.

    ``linear_awg4`` are half floats ``(size, size, 3)`` at EV 0; ``clean_code8``, ``generated_code8`` and
    ``motion_code8`` are uint8 ``(brackets, size, size, 3)``, the last after alignment; ``motion_occluded``, bool
    ``(brackets, size, size)``, is where alignment found nothing; ``encoding`` is an index into `ENCODING_NAMES`.
    """
    stack = (brackets, size, size, 3)
    return np.dtype(
        [
            ("linear_awg4", np.float16, (size, size, 3)),
            *((f"{kind}_code8", np.uint8, stack) for kind in KINDS),
            ("motion_occluded", np.bool_, stack[:3]),
            ("encoding", np.uint8),
        ]
    )


def moving_scene(
    linear_awg4: Light, settings: MakeBracketPairs, objects: int, rng: np.random.Generator
) -> BracketScene:
    """Return how each bracket sees a scene that moves.

    Parameters
    ----------
    linear_awg4
        The scene without the objects, shape ``(H, W, 3)``, not negative.
    settings
        The exposures, and how much moves.
    objects
        How many things move by themselves.
    rng
        Everything random comes from it.
    """
    height, width, _ = linear_awg4.shape
    scenes = [linear_awg4.copy() for _ in settings.evs]
    moved = np.zeros((height, width), bool)
    for _ in range(objects):
        for bracket, (coverage, texture) in enumerate(_object(linear_awg4, settings, rng)):
            scenes[bracket] += coverage[..., None] * (texture - scenes[bracket])
            moved |= coverage > 0
    # The light of the reference is stored as halves, and all brackets are made of what is stored.
    scenes = [np.clip(scene, 0, 65504).astype(np.float16).astype(np.float32) for scene in scenes]
    flows = [_flow(height, width, settings.motion, rng) for _ in scenes]
    flows[settings.reference] *= 0
    by_bracket = tuple(_displaced(scene, flow) for scene, flow in zip(scenes, flows, strict=True))
    return BracketScene(scenes[settings.reference], by_bracket, np.stack(flows), moved)


def evaluation_scene(
    frame: str, linear_awg4: NDArray[np.floating], settings: MakeBracketPairs
) -> BracketScene:
    """Return the scene that the pictures of a test frame show; ``linear_awg4`` of it is the truth of all three kinds.

    Parameters
    ----------
    frame
        The frame's name in the index.
    linear_awg4
        The whole frame.
    settings
        Those the pairs were made with.
    """
    return _evaluated(
        evaluation_crop(linear_awg4, settings.judged_size), settings, frame_rng(settings.seed, frame)
    )


def bracket_stacks(
    scene: BracketScene, encoding: str, settings: MakeBracketPairs, rng: np.random.Generator
) -> dict[str, list[Codes]]:
    """Return the 8-bit brackets ``(H, W, 3)`` of each of `KINDS`, not aligned.

    Parameters
    ----------
    scene
        What the brackets see.
    encoding
        One of `ENCODING_NAMES`.
    settings
        The exposures, and the strength of the damage.
    rng
        For the damage.
    """
    still = [scene.linear_awg4] * len(settings.evs)
    return {
        "clean": [quantise8(code) for code in _encoded(still, encoding, settings)],
        "generated": _damaged(still, encoding, settings, rng),
        "motion": _damaged(scene.by_bracket, encoding, settings, rng),
    }


def make_bracket_pairs(
    frames: pl.DataFrame,
    frames_dir: Path,
    settings: MakeBracketPairs,
    out_dir: Path,
    on_progress: OnProgress | None = None,
) -> pl.DataFrame:
    """Make the bracket pairs of the usable frames of an index (`stored_frames`), as `make_pairs` does.

    `out_dir` gets records of `crop_record`, and of a test frame ``_clean_ev-2.png`` and so on for each of `KINDS`
    and exposures, LogC4 and not aligned, and ``_motion_mask.png``: white where something moved by itself.
    """
    return make_pairs(_MAKER, stored_frames(frames, frames_dir), settings, out_dir, on_progress)


def picture_suffix(kind: str, ev: float) -> str:
    """Return what the name of a test frame's bracket ends in: ``_motion_ev-2.png``."""
    return f"_{kind}_ev{ev:g}.png"


MASK_SUFFIX = "_motion_mask.png"


def _encoded(
    by_bracket: Sequence[Light], encoding: str, settings: MakeBracketPairs
) -> list[NDArray[np.float32]]:
    curve = ENCODINGS[encoding]
    return [
        np.clip(curve.encode(light * np.float32(2**ev)), 0, 1).astype(np.float32)
        for light, ev in zip(by_bracket, settings.evs, strict=True)
    ]


def _damaged(
    by_bracket: Sequence[Light], encoding: str, settings: MakeBracketPairs, rng: np.random.Generator
) -> list[Codes]:
    curve = ENCODINGS[encoding]
    return [
        damage(code, curve, settings.generated_like, rng, clip_code=1.0)
        for code in _encoded(by_bracket, encoding, settings)
    ]


def _aligned(
    codes: Sequence[Codes], encoding: str, settings: MakeBracketPairs
) -> tuple[list[Codes], tuple[NDArray[np.bool_], ...]]:
    """Return a stack as the product's alignment leaves it to the fusion, in 8 bits, and what is occluded."""
    tables = [bracket_tables(encoding, 8, ev, evs=settings.evs) for ev in settings.evs]
    aligned = align_stack(codes, tables, reference=settings.reference)
    return [code if code.dtype == np.uint8 else clean_code8(code) for code in aligned.codes], aligned.occluded


def _object(
    linear_awg4: Light, settings: MakeBracketPairs, rng: np.random.Generator
) -> list[tuple[NDArray[np.float32], Light]]:
    """Return coverage ``(H, W)`` and texture ``(H, W, 3)`` of one object in each bracket, on its way in a line.

    Its texture is another part of the scene in another light, and travels with it.
    """
    height, width, _ = linear_awg4.shape
    motion = settings.motion
    radius = rng.uniform(*motion.object_radius_pixels)
    waves, phases = rng.normal(0, 0.12, 4), rng.uniform(0, 2 * np.pi, 4)
    softness = rng.uniform(1, 3)
    angle, step = rng.uniform(0, 2 * np.pi), rng.uniform(*motion.object_step_pixels)
    middle = rng.uniform(0.2, 0.8, 2) * (width, height)
    gain = np.float32(2 ** rng.normal(0, motion.object_stops))
    from_x, from_y = int(rng.integers(width)), int(rng.integers(height))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    by_bracket = []
    for bracket in range(len(settings.evs)):
        way = (bracket - (len(settings.evs) - 1) / 2) * step
        # Whole pixels, so that the texture is not blurred on the way.
        dx, dy = np.rint(middle + way * np.array([np.cos(angle), np.sin(angle)])).astype(int)
        direction = np.arctan2(y - dy, x - dx)
        outline = radius * (1 + np.cos(np.arange(1, 5) * direction[..., None] + phases) @ waves)
        coverage = np.clip((outline - np.hypot(x - dx, y - dy)) / softness, 0, 1).astype(np.float32)
        texture = np.roll(linear_awg4, (dy - from_y, dx - from_x), (0, 1)) * gain
        by_bracket.append((coverage, texture))
    return by_bracket


def _flow(height: int, width: int, motion: BracketMotion, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a shift with a smooth parallax, ``(H, W, 2)``: x and y in pixels."""
    shift = rng.normal(0, motion.shift_pixels, 2)
    nodes = (-(-height // _PARALLAX_PIXELS), -(-width // _PARALLAX_PIXELS), 2)
    parallax = cv2.resize(
        rng.normal(0, motion.parallax_pixels, nodes).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    limit = motion.most_shift_pixels
    return (np.clip(shift, -limit, limit) + parallax).astype(np.float32)


def _displaced(scene: Light, flow: NDArray[np.float32]) -> Light:
    """Return the scene displaced by a bracket's flow."""
    if not flow.any():
        return scene
    height, width, _ = scene.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    # In the logarithm, where an interpolation does not ring around a light.
    moved = cv2.remap(
        logc4_encode(scene),
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_LANCZOS4,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    light: Light = np.clip(logc4_decode(moved), 0, 65504).astype(np.float32)
    return light


def _evaluated(
    linear_awg4: NDArray[np.floating], settings: MakeBracketPairs, rng: np.random.Generator
) -> BracketScene:
    light = np.clip(linear_awg4.astype(np.float32), 0, 65504)
    return moving_scene(light, settings, settings.motion.judged_objects, rng)


def _record(settings: MakeBracketPairs) -> np.dtype[np.void]:
    return crop_record(settings.crop_size, len(settings.evs))


def _fill(
    record: np.void, linear_awg4: NDArray[np.floating], settings: MakeBracketPairs, rng: np.random.Generator
) -> None:
    size = settings.crop_size
    top, left = crop_corner(linear_awg4, size, rng)
    above, before = max(0, top - MARGIN), max(0, left - MARGIN)
    window = linear_awg4[above : top + size + MARGIN, before : left + size + MARGIN].astype(np.float32)
    window = np.clip(window * random_exposure(settings, rng), 0, 65504)
    encoding = int(rng.random() < settings.srgb_share)
    scene = moving_scene(window, settings, int(rng.random() < settings.motion.object_share), rng)
    stacks = bracket_stacks(scene, ENCODING_NAMES[encoding], settings, rng)
    stacks["motion"], occluded = _aligned(stacks["motion"], ENCODING_NAMES[encoding], settings)
    corner = top - above, left - before
    record["motion_occluded"] = [cut(mask, corner, size) for mask in occluded]
    record["linear_awg4"] = cut(scene.linear_awg4, corner, size)
    record["encoding"] = encoding
    for kind, codes in stacks.items():
        record[f"{kind}_code8"] = [cut(code, corner, size) for code in codes]


def _suffixes(settings: MakeBracketPairs) -> list[str]:
    brackets = [picture_suffix(kind, ev) for kind in KINDS for ev in settings.evs]
    return [*brackets, MASK_SUFFIX]


def _pictures(
    linear_awg4: NDArray[np.floating], settings: MakeBracketPairs, rng: np.random.Generator
) -> Mapping[str, Codes]:
    scene = _evaluated(linear_awg4, settings, rng)
    stacks = bracket_stacks(scene, ENCODING_NAMES[0], settings, rng)
    pictures = {
        picture_suffix(kind, ev): code8
        for kind, codes in stacks.items()
        for ev, code8 in zip(settings.evs, codes, strict=True)
    }
    mask = np.repeat(scene.moved[..., None], 3, axis=-1).astype(np.uint8) * 255
    return {**pictures, MASK_SUFFIX: np.ascontiguousarray(mask)}


_MAKER = PairMaker("brackets", 2, _record, _fill, _suffixes, _pictures)
