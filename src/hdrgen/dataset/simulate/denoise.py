"""Takes Monte Carlo noise out of a render and leaves edges, texture and lamps alone.

An edge-avoiding a-trous wavelet filter (Dammertz et al. 2010) steered by what the camera saw first (normal,
depth, reflectance) and by the measured variance of each pixel, as in spatiotemporal variance-guided filtering
(Schied et al. 2017) without the time. Texture is divided out before and multiplied back after.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, median_filter

from hdrgen.dataset.simulate.scene import Floats

LEVELS = 4
KERNEL = (1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16)  # cubic B-spline
NORMAL_SIGMA = 0.30
ALBEDO_SIGMA = 0.12
DEPTH_SIGMA = 0.03  # relative, per pixel of distance
COLOUR_SIGMA = 2.0  # standard deviations of the pixel's own noise
UNSURE_VARIANCE = 0.002  # in stops squared
FIREFLY_RATIO = 3.0  # one pass this far above the others is a firefly, not a lamp
LAMP_RATIO = 3.0  # all passes this far above the filtered picture are a lamp that the filter spread


@dataclass(frozen=True)
class Features:
    """What the camera saw first, noise-free: reflectance ``(H, W, 3)``, normal ``(H, W, 3)``, depth ``(H, W)``.

    Depth is 0 where nothing stands before the sky.
    """

    albedo: Floats
    normal: Floats
    depth: Floats


def denoise(passes: Floats, features: Features) -> Floats:
    """Return one picture out of several independent noisy ones.

    Parameters
    ----------
    passes
        ``(P, H, W, 3)`` scene-linear, P at least 2. Lamps that all passes see and the bare sky are left as
        they are.
    features
        What the camera saw first.

    Returns
    -------
    numpy.ndarray
        ``(H, W, 3)`` float32, scene-linear, from 0.
    """
    passes = np.nan_to_num(np.maximum(passes, 0.0), nan=0.0, posinf=0.0).astype(np.float32)
    albedo = features.albedo
    # Surfaces without a diffuse colour (mirrors, glass, lamps) keep their light whole.
    divisor = np.where(albedo.max(-1, keepdims=True) > 0.015, np.maximum(albedo, 0.02), 1.0)
    light = _without_fireflies((passes / divisor).astype(np.float32))
    # Filtered on a curve that treats a stop alike everywhere, or one lamp would outshine its whole neighbourhood.
    level = np.median(light.mean(axis=(0, 3))) * 0.1 + 1e-6
    curved = np.log2(light / level + 1.0)
    mean = np.log2(light.mean(0) / level + 1.0)
    variance = curved.mean(-1).var(axis=0, ddof=1) / len(passes)
    filtered = _filter(mean, variance, features)
    smooth = ((np.exp2(filtered) - 1.0) * level * divisor).clip(0)
    # The bare sky has no noise to take out; what all passes agree to be far brighter is a lamp or the sun.
    lamp = passes.min(0).mean(-1) > LAMP_RATIO * smooth.mean(-1)
    known = lamp | (features.depth <= 0)
    return np.where(known[..., None], passes.mean(0), smooth).astype(np.float32)


def _without_fireflies(passes: Floats) -> Floats:
    """Pull down single passes that tower over the others and over their surroundings."""
    luminance = passes.mean(-1)
    others = np.sort(luminance, axis=0)[:-1].mean(0)
    surroundings = median_filter(luminance.mean(0), 5)
    limit = FIREFLY_RATIO * np.maximum(others, surroundings) + 1e-6
    gain = np.minimum(1.0, limit / np.maximum(luminance, 1e-9))
    result: Floats = (passes * gain[..., None]).astype(np.float32)
    return result


def _filter(picture: Floats, variance: Floats, features: Features) -> Floats:
    """Return the picture smoothed where its passes disagree, along surfaces and not across them."""
    noise = gaussian_filter(variance, 2.0)
    luminance = picture.mean(-1)
    # A noisy pixel says little about itself, so its surroundings on the same surface speak for it.
    rough = luminance
    for step in (1, 2):
        rough = _smooth(rough[..., None], features, step, None, None)[..., 0]
    trust = np.exp(-noise / UNSURE_VARIANCE)
    guide = trust * luminance + (1 - trust) * rough
    for level in range(LEVELS):
        # What is left of the noise after the levels before, about a quarter of the deviation each.
        spread = (COLOUR_SIGMA * np.sqrt(noise) * 0.6**level + 1e-3).astype(np.float32)
        picture = _smooth(picture, features, 2**level, guide, spread)
    return picture


def _smooth(
    picture: Floats, features: Features, step: int, guide: Floats | None, spread: Floats | None
) -> Floats:
    """Return one level of the a-trous filter over ``(H, W, C)``, taps ``step`` pixels apart."""
    height, width = features.depth.shape
    reach = min(2 * step, height - 1, width - 1)
    stride = reach // 2
    layers = [picture, features.normal, features.albedo, features.depth[..., None]]
    layers += [] if guide is None else [guide[..., None]]
    stack = np.concatenate(layers, axis=-1, dtype=np.float32)
    padded = np.pad(stack, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    channels = picture.shape[-1]
    total = np.zeros_like(picture)
    weights = np.zeros((height, width, 1), np.float32)
    depth = features.depth
    for j, weight_j in zip(range(-2, 3), KERNEL, strict=True):
        for i, weight_i in zip(range(-2, 3), KERNEL, strict=True):
            y, x = reach + j * stride, reach + i * stride
            there = padded[y : y + height, x : x + width]
            normal = there[..., channels : channels + 3]
            albedo = there[..., channels + 3 : channels + 6]
            tolerance = DEPTH_SIGMA * (depth + 1e-3) * max(stride * float(np.hypot(i, j)), 1.0)
            exponent = ((albedo - features.albedo) ** 2).sum(-1) / ALBEDO_SIGMA**2
            exponent += np.abs(there[..., channels + 6] - depth) / tolerance
            exponent += ((normal - features.normal) ** 2).sum(-1) / NORMAL_SIGMA**2
            if guide is not None and spread is not None:
                exponent += ((there[..., channels + 7] - guide) / spread) ** 2
            weight = (weight_i * weight_j * np.exp(-exponent))[..., None].astype(np.float32)
            total += weight * there[..., :channels]
            weights += weight
    result: Floats = total / weights
    return result
