"""Smooth synthetic gradients: skies, glows, vignettes, soft blobs, where the steps of 8 bits show.

Without noise, which would hide the steps. Shapes are added in LogC4 code, so in light they are multiplied, and then
given a slope, because the slope decides how wide a step is: from 3 to 80 pixels for one 8-bit code.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]

SLOPES_CODE8 = (1 / 80, 1 / 3)
"""8-bit codes per pixel, the range of the slope that nine tenths of a gradient stay below."""
STEEPEST_CODE8 = 1.0
"""8-bit codes per pixel, the slope that no place exceeds: beyond, no step could be seen."""
LOWEST_CODE, HIGHEST_CODE = 0.03, 0.99
"""Range of the LogC4 code values: below black, where a camera's noise goes, to just below the ceiling."""


def gradient_logc4(
    rng: np.random.Generator, height: int, width: int, *, occluder_share: float = 0.35
) -> NDArray[np.float32]:
    """Return a smooth picture in LogC4 code values 0 to 1, shape ``(height, width, 3)``.

    Parameters
    ----------
    rng
        Everything random comes from it.
    height, width
        In pixels.
    occluder_share
        Share of the pictures in which something with a hard edge stands in front: edges must stay.
    """
    gradient = _gradient(rng, height, width)
    if rng.random() < occluder_share:
        coverage = _occluder(rng, height, width)[..., None]
        gradient += coverage * (_gradient(rng, height, width) - gradient)
    return gradient.astype(np.float32)


def _gradient(rng: np.random.Generator, height: int, width: int) -> Field:
    y, x = _grid(height, width)
    chosen = rng.choice(len(_SHAPES), size=int(rng.integers(1, 4)), replace=False)
    shape = sum((rng.uniform(0.4, 1) * _normalised(_SHAPES[i](rng, y, x)) for i in chosen), start=0 * (x + y))
    # The components agree in most, and drift apart slowly: a sky turns from orange to blue.
    drifts = np.stack([_normalised(_drift(rng, y, x)) for _ in range(3)], -1)
    picture = shape[..., None] * rng.normal(1, 0.15, 3) + rng.uniform(0, 0.3) * drifts
    low, high = np.log2(SLOPES_CODE8)
    slopes = _slopes_code8(picture)
    picture *= min(2 ** rng.uniform(low, high) / np.percentile(slopes, 90), STEEPEST_CODE8 / slopes.max())
    picture += rng.normal(0, 0.02, 3)
    span = HIGHEST_CODE - LOWEST_CODE
    picture *= min(1, span / np.ptp(picture))
    return picture - picture.min() + LOWEST_CODE + rng.random() * (span - np.ptp(picture))


def _grid(height: int, width: int) -> tuple[Field, Field]:
    """Return y ``(height, 1)`` and x ``(1, width)``, zero in the middle and one unit along the longer side."""
    y, x = (np.arange(size) / max(height, width) for size in (height, width))
    return (y - y.mean())[:, None], (x - x.mean())[None]


def _normalised(shape: Field) -> Field:
    return (shape - shape.mean()) / (shape.std() + 1e-12)


def _slopes_code8(picture: Field) -> Field:
    """Return the slope of the mean component, in 8-bit codes per pixel."""
    down, across = np.gradient(picture.mean(-1))
    return 255 * np.hypot(down, across) + 1e-12


def _distance(rng: np.random.Generator, y: Field, x: Field, reach: float) -> Field:
    """Return the distance from a point that lies up to `reach` from the middle."""
    return np.hypot(y - rng.uniform(-reach, reach), x - rng.uniform(-reach, reach))


def _ramp(rng: np.random.Generator, y: Field, x: Field) -> Field:
    angle = rng.uniform(0, 2 * np.pi)
    return x * np.cos(angle) + y * np.sin(angle)


def _sky(rng: np.random.Generator, y: Field, x: Field) -> Field:
    """Darken towards the zenith, and glow around a sun."""
    falloff = np.log2(rng.uniform(0.05, 0.5) + y - y.min())
    from_sun = _distance(rng, y, x, 0.6) / rng.uniform(0.08, 0.3)
    return falloff + np.log2(1 + rng.uniform(0, 8) / (1 + from_sun**2))


def _vignette(rng: np.random.Generator, y: Field, x: Field) -> Field:
    """Fall off with the fourth power of the cosine, from a wide to a normal lens."""
    return -2 * np.log2(1 + (_distance(rng, y, x, 0.1) / rng.uniform(0.4, 1.5)) ** 2)


def _blobs(rng: np.random.Generator, y: Field, x: Field) -> Field:
    blobs = 0 * (x + y)
    for _ in range(int(rng.integers(1, 6))):
        blobs += rng.normal() * np.exp(-((_distance(rng, y, x, 0.6) / rng.uniform(0.12, 0.4)) ** 2))
    return blobs


def _defocused_lights(rng: np.random.Generator, y: Field, x: Field) -> Field:
    """Add light in soft discs to a dim ground."""
    light = 0 * (x + y) + 1
    for _ in range(int(rng.integers(1, 5))):
        radius = rng.uniform(0.1, 0.3)
        softness = radius * rng.uniform(0.5, 1)
        inside = np.clip((radius - _distance(rng, y, x, 0.5)) / softness + 0.5, 0, 1)
        light += rng.uniform(0.5, 4) * inside**2 * (3 - 2 * inside)
    return np.log2(light)


def _drift(rng: np.random.Generator, y: Field, x: Field) -> Field:
    waves = np.arange(3) * np.pi
    drift: Field = np.cos((y + 0.5) * waves) @ rng.normal(size=(3, 3)) @ np.cos((x.T + 0.5) * waves).T
    return drift


_SHAPES: tuple[Callable[[np.random.Generator, Field, Field], Field], ...] = (
    _ramp,
    _sky,
    _vignette,
    _blobs,
    _defocused_lights,
    _drift,
)


def _occluder(rng: np.random.Generator, height: int, width: int) -> Field:
    """Return how far each pixel is covered: by hills below a horizon, or by houses. The edge is a pixel wide."""
    across = np.arange(width) / width
    if rng.random() < 0.5:
        waves = [
            rng.normal(0, 0.06 / k) * np.sin(2 * np.pi * (k * across + rng.random())) for k in (1, 2, 3, 7)
        ]
        top = rng.uniform(0.4, 0.8) + sum(waves, start=0 * across)
    else:
        ends = np.sort(rng.random(int(rng.integers(3, 12))))
        top = rng.uniform(0.2, 0.95, len(ends) + 1)[np.searchsorted(ends, across)]
    below = np.arange(height)[:, None] - top * height
    return np.clip(below + 0.5, 0, 1)
