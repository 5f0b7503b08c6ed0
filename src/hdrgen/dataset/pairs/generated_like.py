"""Generated-like damage: what a diffusion model does to pictures of one scene that should agree.

The pictures were clipped first, then disagree in exposure, tint, low-frequency gain and position, and carry the
noise, blur and compression of a decoder. Each picture of a set is damaged on its own; what is common to all of
them could not be undone by anybody and is left out.
"""

from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hdrgen.runtime.params import Section

Code = NDArray[np.float32]

CLIP_CODE = 254.5 / 255
"""Where a picture is clipped whose curve has no ceiling: it must not be decoded at 1."""


class Curve(Protocol):
    """A strictly rising curve between scene-linear light and code values 0 to 1, with its inverse."""

    @property
    def encode(self) -> Callable[[Any], Any]:
        """Scene-linear to code values."""

    @property
    def decode(self) -> Callable[[Any], Any]:
        """Code values to scene-linear."""


class DecoderLike(Section):
    """Strengths of what a generator's decoder does to one picture alone."""

    blur_pixels: tuple[float, float] = (0.0, 0.5)
    """Range of the Gaussian blur's sigma."""
    noise_codes: tuple[float, float] = (2.0, 4.0)
    """Range of the noise's standard deviation, in 8-bit codes."""
    noise_grain_pixels: tuple[float, float] = (0.2, 0.7)
    """Range of the sigma to which the noise is correlated; a VAE's is, a sensor's is not."""
    jpeg_share: float = Field(0.3, ge=0, le=1)
    """Share of pictures that went through JPEG."""
    jpeg_quality: tuple[int, int] = (85, 97)
    """Range of the JPEG quality, chroma kept at full size."""


class GeneratedLike(DecoderLike):
    """Strengths of the damage; standard deviations are over pictures, drawn from a normal distribution."""

    exposure_stops: float = Field(0.03, ge=0)
    """Standard deviation of the picture's exposure error."""
    tint_stops: float = Field(0.015, ge=0)
    """Standard deviation of each component's own exposure error."""
    gain_stops: float = Field(0.03, ge=0)
    """Standard deviation of the low-frequency gain, which varies over a quarter of the picture."""
    shift_pixels: float = Field(0.1, ge=0)
    """Standard deviation of the shift, along each axis."""


def damage(
    code: Code,
    curve: Curve,
    settings: GeneratedLike,
    rng: np.random.Generator,
    *,
    clip_code: float = CLIP_CODE,
) -> NDArray[np.uint8]:
    """Return a generated-like 8-bit version of one picture of a set.

    Parameters
    ----------
    code
        The clean picture's code values 0 to 1, shape ``(H, W, 3)``.
    curve
        What they are encoded with.
    settings
        How strong.
    rng
        Everything random comes from it; the same state gives the same picture.
    clip_code
        Where the picture is clipped; 1 for a curve that has a ceiling there.
    """
    code = _relight(np.clip(code, 0, clip_code), curve, settings, rng)
    return redraw(_shift(code, settings, rng), settings, rng)


def redraw(code: Code, settings: DecoderLike, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an 8-bit picture as a decoder would draw it: with its blur, noise and compression.

    Parameters
    ----------
    code
        The clean picture's code values 0 to 1, shape ``(H, W, 3)``.
    settings
        How strong.
    rng
        Everything random comes from it.
    """
    sigma = rng.uniform(*settings.blur_pixels)
    if sigma >= 0.2:
        code = cv2.GaussianBlur(code, (0, 0), sigma).astype(np.float32, copy=False)
    code = code + _decoder_noise(code, settings, rng)
    code8 = (np.clip(code, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < settings.jpeg_share:
        code8 = through_jpeg(code8, int(rng.integers(*settings.jpeg_quality, endpoint=True)))
    return code8


def _relight(code: Code, curve: Curve, settings: GeneratedLike, rng: np.random.Generator) -> Code:
    height, width, _ = code.shape
    coarse = rng.normal(0, settings.gain_stops, (5, 5)).astype(np.float32)
    gain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    gain = gain + rng.normal(0, settings.exposure_stops) + rng.normal(0, settings.tint_stops, 3)
    linear = curve.decode(code) * np.exp2(gain, dtype=np.float32)
    relit: Code = curve.encode(linear)
    return relit


def _shift(code: Code, settings: GeneratedLike, rng: np.random.Generator) -> Code:
    height, width, _ = code.shape
    dx, dy = rng.normal(0, settings.shift_pixels, 2)
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    # Lanczos, because bilinear interpolation at half a pixel would be a blur nobody asked for.
    moved = cv2.warpAffine(
        code, matrix, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
    )
    return moved.astype(np.float32, copy=False)


def _decoder_noise(code: Code, settings: DecoderLike, rng: np.random.Generator) -> Code:
    height, width, _ = code.shape
    grey = rng.standard_normal((height, width, 1), np.float32)
    noise = 0.8 * grey + 0.6 * rng.standard_normal((height, width, 3), np.float32)
    grain = rng.uniform(*settings.noise_grain_pixels)
    noise = cv2.GaussianBlur(noise, (0, 0), grain).astype(np.float32)
    noise /= noise.std() + 1e-12
    # A decoder errs more where there is more to draw.
    detail = cv2.GaussianBlur(np.abs(code - cv2.GaussianBlur(code, (0, 0), 2)).mean(-1), (0, 0), 4)
    strength = 0.75 + 0.5 * np.clip(detail / (2 * detail.mean() + 1e-6), 0, 1)
    sd_code = rng.uniform(*settings.noise_codes) / 255
    return (noise * strength[..., None] * sd_code).astype(np.float32)


def through_jpeg(code8: NDArray[np.uint8], quality: int, *, full_chroma: bool = True) -> NDArray[np.uint8]:
    """Return 8-bit RGB after a JPEG of this quality, 0 to 100; without full chroma at half its size, as cameras save it."""
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_chroma else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, encoded = cv2.imencode(".jpg", code8[..., ::-1], options)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was encoded a line ago
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
