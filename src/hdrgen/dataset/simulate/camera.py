"""A simulated ARRI ALEXA 35: from light at the lens to scene-linear ARRI Wide Gamut 4 in half float.

What is modelled: metered exposure, white balance, lens softness, veiling glare, photon noise, read noise, the
clipping of the photosites and a black level that keeps negative noise. What is not: the colour filter array and
its demosaicing, the lens's vignette and distortion, motion blur, and the sensor's own spectral response (the
photosites are taken to see AWG4).

One deviation is deliberate. The default ceiling here is 1000, higher than the real camera clips, so that peaks
above 500 occur, such as a bracketed plate would hold of a sun or a lamp; LogC4's own ceiling, code 1.0, is 469.8.
The numbers of noise, blur and glare are assumptions, not measurements of a camera.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import gaussian_filter

from hdrgen.colour.primaries import AWG4, D65, REC709, adaptation, convert_primaries, rgb_to_xyz
from hdrgen.dataset.simulate.scene import Floats
from hdrgen.runtime.params import Section

GREY = 0.18
BASE_EXPOSURE_INDEX = 800


class CameraParams(Section):
    """The simulated camera."""

    exposure_index: int = Field(800, ge=160, le=6400)
    """EI: one doubling leaves half the photons in grey, and so more noise."""
    grey_electrons: float = Field(1600.0, gt=0)
    """Photoelectrons per pixel and channel at 18 % grey and EI 800 (assumed)."""
    read_noise_electrons: float = Field(6.0, ge=0)
    """Standard deviation of the read-out, in electrons (assumed)."""
    highlight_ceiling_linear: float = Field(1000.0, gt=1)
    """Scene-linear value at which every photosite clips; higher than the real camera clips (see the module)."""
    lens_blur_pixels: float = Field(0.45, ge=0, le=5)
    """Standard deviation of the lens's and optical low-pass filter's blur, in pixels."""
    veiling_glare: float = Field(0.01, ge=0, lt=0.5)
    """Share of the light that the lens scatters in wide halos around what is bright."""


def expose(linear_rec709: Floats, exposure_stops: float, highlight_share: float = 0.1) -> float:
    """Return the factor that meters a picture.

    Parameters
    ----------
    linear_rec709
        ``(H, W, 3)`` scene-linear in any unit, from 0.
    exposure_stops
        Where to place the middle: 0 is 18 % grey.
    highlight_share
        Share of the pixels, the brightest, that the meter ignores; lamps are not what it is pointed at.

    Returns
    -------
    float
        Multiplier after which the geometric mean of the metered pixels is ``0.18 * 2 ** exposure_stops``.

    Raises
    ------
    ValueError
        The picture is black.
    """
    luminance = linear_rec709.astype(np.float64) @ rgb_to_xyz(REC709)[1]
    metered = luminance[luminance <= np.quantile(luminance, 1 - highlight_share)]
    floor = 1e-3 * float(metered.mean())  # black corners would drag a geometric mean to nothing
    if floor <= 0.0:
        raise ValueError("nothing to meter: the picture is black")
    return float(GREY * 2.0**exposure_stops / np.exp(np.mean(np.log(metered + floor))))


def planckian_xy(kelvin: float) -> tuple[float, float]:
    """Return CIE 1931 xy of a black body, 1667 to 25000 K (Kang et al. 2002)."""
    if not 1667 <= kelvin <= 25000:
        raise ValueError(f"colour temperature {kelvin} K is outside 1667 to 25000 K")
    t = 1e3 / kelvin
    if kelvin < 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
    if kelvin < 2222:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif kelvin < 4000:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    return x, y


def white_balance(linear_rec709: Floats, kelvin: float) -> Floats:
    """Return Rec.709 ``(..., 3)`` balanced so that a black body's light comes out neutral (CAT02), from 0."""
    to_xyz = rgb_to_xyz(REC709)
    matrix = np.linalg.solve(to_xyz, adaptation(planckian_xy(kelvin), D65) @ to_xyz)
    return np.maximum(linear_rec709 @ matrix.T.astype(np.float32), 0.0).astype(np.float32)


def lens(linear: Floats, blur_pixels: float, veiling_glare: float) -> Floats:
    """Return the picture through the lens: a narrow core and faint wide halos; the light's sum is kept.

    The halos are three Gaussians, 1.5 %, 6 % and 25 % of the frame's height wide, mixed by eye.
    """
    height = linear.shape[0]

    def blurred(sigma: float) -> Floats:
        result: Floats = gaussian_filter(linear, (sigma, sigma, 0), mode="nearest", truncate=4.0)
        return result

    core = blurred(blur_pixels) if blur_pixels > 0 else linear
    if veiling_glare == 0.0:
        return core
    halo = 0.55 * blurred(0.015 * height) + 0.30 * blurred(0.06 * height) + 0.15 * blurred(0.25 * height)
    return ((1 - veiling_glare) * core + veiling_glare * halo).astype(np.float32)


def sensor(linear_awg4: Floats, params: CameraParams, rng: np.random.Generator) -> Floats:
    """Return what the photosites make of the light: photon noise, clipping, read noise.

    Parameters
    ----------
    linear_awg4
        ``(H, W, 3)`` scene-linear, exposed, from 0; below 0 counts as no light.
    params
        The camera.
    rng
        Of the noise.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32, about 0 (noise goes below) to exactly ``params.highlight_ceiling_linear``.
    """
    electrons_per_unit = params.grey_electrons / GREY * BASE_EXPOSURE_INDEX / params.exposure_index
    full_well = params.highlight_ceiling_linear * electrons_per_unit
    expected = np.minimum(np.maximum(linear_awg4.astype(np.float64), 0.0) * electrons_per_unit, 4 * full_well)
    counted = rng.poisson(expected) + rng.normal(scale=params.read_noise_electrons, size=expected.shape)
    return (np.minimum(counted, full_well) / electrons_per_unit).astype(np.float32)


def shoot(
    linear_rec709: Floats,
    params: CameraParams,
    rng: np.random.Generator,
    *,
    exposure_stops: float,
    white_balance_kelvin: float,
) -> NDArray[np.float16]:
    """Take a rendered picture with the camera.

    Parameters
    ----------
    linear_rec709
        ``(H, W, 3)`` scene-linear Rec.709 in any unit, from 0.
    params
        The camera.
    rng
        Of the noise.
    exposure_stops
        See `expose`.
    white_balance_kelvin
        Light of this temperature comes out neutral.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` half float, scene-linear ARRI Wide Gamut 4, finite.
    """
    balanced = white_balance(linear_rec709, white_balance_kelvin)
    exposed = balanced * np.float32(expose(balanced, exposure_stops))
    # A sun far over the ceiling is cut before the lens, or its halo would be the whole picture.
    in_front = np.minimum(exposed, 4 * params.highlight_ceiling_linear)
    linear_awg4 = convert_primaries(
        lens(in_front, params.lens_blur_pixels, params.veiling_glare), REC709, AWG4
    )
    return sensor(linear_awg4, params, rng).astype(np.float16)
