"""Ordinary pictures and their light: every frame as an sRGB picture that somebody exposed, rendered and saved.

The picture is clipped, its highlights may roll off, and it went through 8 bits, a JPEG or an autoencoder. Its light is the
frame's at the picture's exposure. A crop is a whole view, averaged to the size of the crops: what is a lamp and what a
white wall is told by the rest of the picture.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.colour import ocio
from hdrgen.colour.display import srgb_encode
from hdrgen.colour.primaries import AWG4, REC709, rgb_to_rgb
from hdrgen.colour.renderings import SHOULDERS, Filmic
from hdrgen.colour.tone_maps import quantise8
from hdrgen.dataset.pairs.generated_like import through_jpeg
from hdrgen.dataset.pairs.records import PairMaker, PairSettings, make_pairs, stored_frames
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress

Light = NDArray[np.float32]
Code8 = NDArray[np.uint8]
RoundTrip = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Code values 0 to 1, ``(H, W, 3)``, through an autoencoder and back; any size."""

Kind = Literal["clip", "film", "camera", "autoencoder"]
"""Kinds of judged pictures: exposed so that 5 % of the pixels clip, and plain sRGB; a filmic shoulder; a camera's curve,
colour and JPEG; the filmic picture through an autoencoder, as a generated one is."""

_TEST_CLIPPED = 0.05
_TEST_REACHED_LINEAR = 1.5
_TEST_FILM = Filmic("hable", white_linear=12.0)
_TEST_CAMERA = Filmic("sigmoid", 16.0, contrast=1.25, saturation=1.15, white_balance=(1.04, 1.0, 0.96))
_TEST_JPEG_QUALITY = 90


class Renderings(Section):
    """How often training crops are rendered in which way; the rest are plain sRGB."""

    aces_share: float = Field(0.15, ge=0, le=1)
    """Share of ACES 1.3 and 2.0 SDR views."""
    filmic_share: float = Field(0.3, ge=0, le=1)
    """Share of filmic shoulders."""
    camera_share: float = Field(0.2, ge=0, le=1)
    """Share of S-curves with a shoulder, saturation and white balance."""
    jpeg_share: float = Field(0.3, ge=0, le=1)
    """Share of pictures that went through JPEG."""
    autoencoder_share: float = Field(0.25, ge=0, le=1)
    """Share of pictures that went through the autoencoder, where one is given."""


class MakeDisplayPairs(PairSettings):
    """What is cut out of each frame, and how it is exposed, rendered and saved."""

    crops_per_frame: int = Field(12, ge=1)
    smallest_window: float = Field(0.6, gt=0, le=1)
    """A crop shows at least this part of the frame's shorter side, up to all of it."""
    clipped_share: tuple[float, float] = (0.0, 0.15)
    """Range of the share of pixels that reach the exposure's white."""
    renderings: Renderings = Renderings()
    """How often crops are rendered in which way."""
    autoencoder: str | None = None
    """Folder of a FLUX.2 checkpoint or of a small autoencoder, whose round trip is a kind of damage; null is none."""
    judged_size: int = Field(384, ge=64)
    """Longest side of a judged picture; larger frames are averaged down to it as a whole."""


@dataclass(frozen=True)
class DisplayPicture:
    """A picture as people have them, and what it was made of.

    ``code8`` are its codes and ``linear_rec709`` its light at its exposure, not negative, ``(H, W, 3)`` both. ``is_plain``
    tells that codes are sRGB of the light as it is.
    """

    code8: Code8
    linear_rec709: Light
    is_plain: bool


def crop_record(size: int) -> np.dtype[np.void]:
    """Return the type of one crop: light as half floats and 8-bit codes, ``(size, size, 3)``, and whether it is plain sRGB."""
    shape = (size, size, 3)
    return np.dtype(
        [("linear_rec709", np.float16, shape), ("code8", np.uint8, shape), ("is_plain", np.bool_)]
    )


def random_picture(
    linear_rec709: Light,
    settings: MakeDisplayPairs,
    rng: np.random.Generator,
    round_trip: RoundTrip | None = None,
) -> DisplayPicture:
    """Return scene-linear Rec.709 ``(H, W, 3)`` as somebody's picture.

    Raises
    ------
    HdrgenError
        OpenColorIO cannot be used.
    """
    shares = settings.renderings
    which = rng.random()
    clipped = float(rng.uniform(*settings.clipped_share))
    if (which := which - shares.aces_share) < 0:
        versions: tuple[ocio.AcesVersion, ...] = ("1.3", "2.0")
        light = exposed(linear_rec709, clipped, white_linear=float(2 ** rng.uniform(-0.5, 3.5)))
        shown, is_plain = ocio.aces_sdr(light, versions[int(rng.integers(2))]), False
    elif (which := which - shares.filmic_share - shares.camera_share) < 0:
        curve = random_curve(rng, camera=which >= -shares.camera_share)
        reached = 2 ** rng.uniform(-0.5, np.log2(curve.white_linear))
        light = exposed(linear_rec709, clipped, white_linear=float(reached))
        shown, is_plain = curve.display_linear(light), False
    else:
        light = exposed(linear_rec709, clipped)
        shown, is_plain = np.clip(light, 0, 1), True
    code = srgb_encode(shown)
    if round_trip is not None and rng.random() < shares.autoencoder_share:
        code = round_trip(np.divide(quantise8(code), 255, dtype=np.float32))
    code8 = quantise8(code)
    if rng.random() < shares.jpeg_share:
        code8 = through_jpeg(code8, int(rng.integers(70, 98)), full_chroma=bool(rng.integers(2)))
    return DisplayPicture(code8, light, is_plain)


def judged_picture(linear_awg4: NDArray[np.floating], kind: Kind) -> DisplayPicture:
    """Return one of the pictures that models are judged on, before a JPEG or an autoencoder; nothing in it is random.

    Parameters
    ----------
    linear_awg4
        A frame, ``(H, W, 3)``, as `judged_light` returns it.
    kind
        What is done to it.
    """
    plain = kind == "clip"
    light = exposed(
        to_rec709(linear_awg4), _TEST_CLIPPED, white_linear=1.0 if plain else _TEST_REACHED_LINEAR
    )
    if plain:
        shown = np.clip(light, 0, 1)
    else:
        shown = (_TEST_CAMERA if kind == "camera" else _TEST_FILM).display_linear(light)
    return DisplayPicture(quantise8(srgb_encode(shown)), light, plain)


def _damaged(code8: Code8, kind: Kind, round_trip: RoundTrip | None) -> Code8:
    if kind == "camera":
        return through_jpeg(code8, _TEST_JPEG_QUALITY, full_chroma=False)
    if kind == "autoencoder" and round_trip is not None:
        return quantise8(round_trip(np.divide(code8, 255, dtype=np.float32)))
    return code8


def judged_light(linear_awg4: NDArray[np.floating], largest_side: int) -> NDArray[np.float32]:
    """Return a whole frame, averaged until no side is longer than this."""
    light = linear_awg4.astype(np.float32)
    height, width, _ = light.shape
    scale = largest_side / max(height, width)
    if scale >= 1:
        return light
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)


def to_rec709(linear_awg4: NDArray[np.floating]) -> Light:
    """Return linear Rec.709 without what is outside of it."""
    matrix = rgb_to_rgb(AWG4, REC709).astype(np.float32)
    return np.maximum(linear_awg4.astype(np.float32) @ matrix.T, 0)


def exposed(linear: Light, clipped_share: float, *, white_linear: float = 1.0) -> Light:
    """Return light at the exposure where this share of the pixels has a component above white, as half floats hold it."""
    level = float(np.quantile(linear.max(-1), 1 - clipped_share))
    factor = np.float32(white_linear / max(level, 1e-6))
    return np.minimum(linear * factor, np.float32(65504))


def random_curve(rng: np.random.Generator, *, camera: bool) -> Filmic:
    """Return a filmic curve; a camera's has more contrast, and colour of its own."""
    shoulder = SHOULDERS[int(rng.integers(len(SHOULDERS)))]
    white = float(2 ** rng.uniform(0.5, 5.0))
    contrast = float(np.exp(rng.normal(0, 0.08)))
    if not camera:
        return Filmic(shoulder, white, contrast)
    balance = np.exp2(rng.normal(0, 0.12, 3))
    r, g, b = (float(v) for v in balance / balance[1])
    return Filmic(
        shoulder, white, contrast * float(rng.uniform(1.0, 1.4)), float(rng.uniform(0.9, 1.35)), (r, g, b)
    )


def code_stops(curve: Filmic) -> NDArray[np.float64]:
    """Return log2 of the light that a curve shows as grey sRGB codes 0 to 255, ``(256,)``; code 0 stands for half a code."""
    plain = Filmic(curve.shoulder, curve.white_linear, curve.contrast)
    stops = np.linspace(-16, np.log2(curve.white_linear), 4096)
    light = np.exp2(stops).astype(np.float32)[None, :, None]
    code = 255 * srgb_encode(plain.display_linear(light)[0, :, 0].astype(np.float64))
    return np.interp(np.maximum(np.arange(256), 0.5), code, stops)


def make_display_pairs(
    frames: pl.DataFrame,
    frames_dir: Path,
    settings: MakeDisplayPairs,
    out_dir: Path,
    on_progress: OnProgress | None = None,
    round_trip: RoundTrip | None = None,
) -> pl.DataFrame:
    """Make the display pairs of the usable frames of an index (`stored_frames`), as `make_pairs` does.

    `out_dir` gets records of `crop_record`, and of a test frame a PNG for each of `judged_kinds`. ``round_trip`` is that of
    ``settings.autoencoder`` and is sent to other processes.
    """
    maker = PairMaker(
        "display",
        1,
        _record,
        partial(_fill, round_trip=round_trip),
        _suffixes,
        partial(_pictures, round_trip=round_trip),
        judged_light,
        resizes=True,
    )
    return make_pairs(maker, stored_frames(frames, frames_dir), settings, out_dir, on_progress)


def judged_kinds(settings: MakeDisplayPairs) -> tuple[Kind, ...]:
    """Return the kinds of judged pictures that there are."""
    return ("clip", "film", "camera", *(("autoencoder",) if settings.autoencoder else ()))


def _record(settings: MakeDisplayPairs) -> np.dtype[np.void]:
    return crop_record(settings.crop_size)


def _fill(
    record: np.void,
    linear_awg4: NDArray[np.floating],
    settings: MakeDisplayPairs,
    rng: np.random.Generator,
    round_trip: RoundTrip | None,
) -> None:
    height, width, _ = linear_awg4.shape
    side = max(1, round(min(height, width) * rng.uniform(settings.smallest_window, 1.0)))
    top, left = (int(rng.integers(extent - side, endpoint=True)) for extent in (height, width))
    window = linear_awg4[top : top + side, left : left + side].astype(np.float32)
    smaller = side > settings.crop_size
    view: Light = np.asarray(
        cv2.resize(
            window,
            (settings.crop_size, settings.crop_size),
            interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR,
        ),
        np.float32,
    )
    picture = random_picture(to_rec709(view), settings, rng, round_trip)
    record["linear_rec709"], record["code8"] = picture.linear_rec709, picture.code8
    record["is_plain"] = picture.is_plain


def _suffixes(settings: MakeDisplayPairs) -> list[str]:
    return [f"_{kind}.png" for kind in judged_kinds(settings)]


def _pictures(
    linear_awg4: NDArray[np.floating],
    settings: MakeDisplayPairs,
    _: np.random.Generator,
    round_trip: RoundTrip | None,
) -> Mapping[str, Code8]:
    return {
        f"_{kind}.png": _damaged(judged_picture(linear_awg4, kind).code8, kind, round_trip)
        for kind in judged_kinds(settings)
    }
