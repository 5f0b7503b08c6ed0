"""Pictures for surfaces: noise, wood, plaster, brick, asphalt, weave, skin, facades, clouds. Linear Rec.709, 0 to 1."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from hdrgen.dataset.simulate.scene import Floats

RGB = tuple[float, float, float]


def noise(
    rows: int, columns: int, rng: np.random.Generator, slope: float = 1.0, stretch: float = 1.0
) -> Floats:
    """Return tileable fractal noise ``(rows, columns)`` in 0 to 1, amplitude falling as frequency ** -slope.

    ``stretch`` above 1 draws the noise out along columns.
    """
    fy = np.fft.fftfreq(rows)[:, None] * rows
    fx = np.fft.rfftfreq(columns)[None] * columns * stretch
    frequency = np.sqrt(fx**2 + fy**2)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.normal(size=(rows, columns))) * frequency**-(slope)
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(rows, columns))
    low, high = np.quantile(field, [0.005, 0.995])
    result: Floats = np.clip((field - low) / (high - low), 0, 1).astype(np.float32)
    return result


def blend(amount: NDArray[np.floating], low: RGB, high: RGB) -> Floats:
    """Return ``(..., 3)``, each pixel between two colours by ``amount`` in 0 to 1."""
    low_rgb, high_rgb = np.asarray(low, np.float32), np.asarray(high, np.float32)
    return (low_rgb + (high_rgb - low_rgb) * amount[..., None]).astype(np.float32)


def plaster(rng: np.random.Generator, colour: RGB, depth: float = 0.12) -> Floats:
    """Return a painted wall, slightly uneven, ``(256, 256, 3)``."""
    grain = 0.7 * noise(256, 256, rng, 1.3) + 0.3 * noise(256, 256, rng, 0.4)
    return (np.asarray(colour, np.float32) * (1 - depth + 2 * depth * grain[..., None])).clip(0, 1)


def planks(rng: np.random.Generator, dark: RGB, pale: RGB, boards: int = 6) -> Floats:
    """Return floor boards running along v, ``(512, 512, 3)``."""
    size = 512
    grain = noise(size, size, rng, 1.1, stretch=0.09).T[::1]
    column = np.arange(size) * boards // size
    tone = rng.random(boards)[column][None]
    offset = rng.integers(0, size, boards)[column]
    grain = np.stack([np.roll(grain[:, i], offset[i]) for i in range(size)], 1)
    amount = np.clip(0.55 * grain + 0.45 * tone, 0, 1)
    texture = blend(amount, dark, pale)
    x = np.arange(size) * boards / size % 1
    row = np.arange(size)[:, None]
    joint = ((row - offset[None]) % size) < 2
    seam = np.minimum(x, 1 - x)[None] < 0.012
    texture[np.broadcast_to(seam | joint, amount.shape)] *= 0.25
    return texture


def wood(rng: np.random.Generator, dark: RGB, pale: RGB) -> Floats:
    """Return a table top's grain along u, ``(256, 512, 3)``."""
    warp = noise(256, 512, rng, 1.8, stretch=3.0)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (9 * warp + np.linspace(0, 6, 256)[:, None]))
    fibre = noise(256, 512, rng, 0.7, stretch=8.0)
    return blend(np.clip(0.55 * rings + 0.45 * fibre, 0, 1), dark, pale)


def bricks(rng: np.random.Generator, colour: RGB, mortar: RGB, rows: int = 12) -> Floats:
    """Return a brick wall, ``(384, 384, 3)``, ``rows`` courses high."""
    size = 384
    y, x = np.mgrid[0:size, 0:size] / size
    course = np.floor(y * rows).astype(int)
    shifted = x * rows / 2.5 + 0.5 * (course % 2)
    brick = np.floor(shifted).astype(int) % (rows * 2)
    fy, fx = y * rows % 1, shifted % 1
    tone = rng.random((rows, rows * 2))[course, brick]
    grain = noise(size, size, rng, 0.9)
    texture = np.asarray(colour) * (0.55 + 0.5 * tone + 0.4 * (grain - 0.5))[..., None]
    joint = (fy < 0.12) | (fx < 0.05)
    texture[joint] = np.asarray(mortar) * (0.7 + 0.5 * grain[joint])[..., None]
    result: Floats = texture.clip(0.005, 0.95).astype(np.float32)
    return result


def tiles(rng: np.random.Generator, first: RGB, second: RGB, count: int = 4) -> Floats:
    """Return a chequered tile floor with grout, ``(256, 256, 3)``."""
    size = 256
    y, x = np.mgrid[0:size, 0:size] * count / size
    which = (np.floor(x) + np.floor(y)) % 2
    veins = noise(size, size, rng, 1.4)
    texture = blend(which, first, second) * (0.8 + 0.4 * veins[..., None])
    grout = (x % 1 < 0.03) | (y % 1 < 0.03)
    texture[grout] *= 0.4
    return texture.clip(0, 0.95).astype(np.float32)


def asphalt(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return wet asphalt: reflectance ``(512, 512, 3)`` and roughness ``(512, 512, 3)``; puddles are smooth."""
    grain = noise(512, 512, rng, 0.15)
    puddle = np.clip((noise(512, 512, rng, 1.7) - 0.52) * 7, 0, 1)
    reflectance = blend(grain, (0.02, 0.02, 0.022), (0.075, 0.073, 0.07)) * (1 - 0.6 * puddle[..., None])
    roughness = 0.42 - 0.36 * puddle + 0.10 * (grain - 0.5)
    return reflectance.astype(np.float32), np.repeat(roughness[..., None], 3, -1).clip(0.05, 1).astype(
        np.float32
    )


def weave(rng: np.random.Generator, warp: RGB, weft: RGB, threads: int = 32) -> Floats:
    """Return a plain weave of two yarns with slubs, ``(512, 512, 3)``."""
    size = 512
    y, x = np.mgrid[0:size, 0:size] * threads / size
    over = (np.floor(x) + np.floor(y)) % 2
    round_x, round_y = np.sin(np.pi * (x % 1)), np.sin(np.pi * (y % 1))
    shade = np.where(over > 0, round_x * (0.6 + 0.4 * round_y), round_y * (0.6 + 0.4 * round_x))
    slub = 0.75 + 0.5 * noise(size, size, rng, 0.6, stretch=0.3)
    return (
        (blend(over, warp, weft) * (0.35 + 0.65 * shade * slub)[..., None]).clip(0, 0.95).astype(np.float32)
    )


def stripes(rng: np.random.Generator, colours: list[RGB], bands: int = 12) -> Floats:
    """Return a striped, woven fabric, ``(512, 512, 3)``."""
    choice = rng.integers(0, len(colours), bands)
    edges = np.sort(rng.random(bands - 1))
    band = np.searchsorted(edges, np.linspace(0, 1, 512))
    base = np.asarray(colours, np.float32)[choice[band]]
    fabric = weave(rng, (0.9, 0.9, 0.9), (0.8, 0.8, 0.8), 64)
    return (base[None] * fabric).astype(np.float32)


def rug(rng: np.random.Generator, ground: RGB, ornament: RGB, border: RGB) -> Floats:
    """Return a four-fold symmetric rug, ``(256, 256, 3)``."""
    quarter = noise(128, 128, rng, 1.2)
    half = np.concatenate([quarter + quarter.T, (quarter + quarter.T)[:, ::-1]], axis=1)
    field = np.concatenate([half, half[::-1]])
    texture = blend((field > np.quantile(field, 0.6)).astype(np.float32), ground, ornament)
    y, x = np.mgrid[0:256, 0:256]
    edge = np.minimum.reduce([x, y, 255 - x, 255 - y])
    texture[(edge > 8) & (edge < 26)] = border
    texture[(edge > 14) & (edge < 18)] = ornament
    return (texture * (0.7 + 0.5 * noise(256, 256, rng, 0.2)[..., None])).clip(0, 0.95).astype(np.float32)


def painting(rng: np.random.Generator) -> Floats:
    """Return an abstract landscape for a picture frame, ``(128, 192, 3)``."""
    rows, columns = 128, 192
    hills = np.stack([noise(4, columns, rng, 1.6)[0] for _ in range(4)])
    y = np.linspace(0, 1, rows)[:, None]
    palette = rng.random((5, 3)) * np.array([0.6, 0.5, 0.45]) + 0.08
    texture: NDArray[np.floating] = np.tile(palette[0] + 0.25, (rows, columns, 1))
    for layer in range(4):
        level = 0.3 + 0.16 * layer + 0.25 * (hills[layer] - 0.5)
        texture = np.where((y > level[None])[..., None], palette[layer + 1], texture)
    strokes = noise(rows, columns, rng, 0.6, stretch=3.0)
    result: Floats = (texture * (0.7 + 0.6 * strokes[..., None])).clip(0.01, 0.9).astype(np.float32)
    return result


def skin(rng: np.random.Generator, albedo: RGB) -> Floats:
    """Return skin: an albedo with redder and paler regions and fine pores, ``(256, 256, 3)``."""
    blotch = noise(256, 256, rng, 1.6)[..., None] - 0.5
    pores = noise(256, 256, rng, 0.1)[..., None] - 0.5
    tone = np.asarray(albedo) * (1 + 0.10 * pores) * (1 + blotch * np.array([0.05, -0.08, -0.08]))
    result: Floats = tone.clip(0.01, 0.9).astype(np.float32)
    return result


def facade(
    rng: np.random.Generator, floors: int, bays: int, wall: RGB, lit_share: float
) -> tuple[Floats, Floats]:
    """Return a house front at night: reflectance and emitted radiance, ``(32 * floors, 24 * bays, 3)`` each.

    Lit windows glow between 1 and 6, warm or cool, with curtains and crossbars; the ground floor is left blank.
    """
    rows, columns = 32 * floors, 24 * bays
    reflectance = plaster(rng, wall)[:1, :1] * (0.75 + 0.5 * noise(rows, columns, rng, 0.9)[..., None])
    radiance = np.zeros((rows, columns, 3), np.float32)
    y, x = np.mgrid[0:24, 0:12]
    for floor in range(floors):
        for bay in range(bays):
            window = np.s_[32 * floor + 5 : 32 * floor + 29, 24 * bay + 6 : 24 * bay + 18]
            reflectance[window] = 0.03
            frame = np.s_[32 * floor + 3 : 32 * floor + 31, 24 * bay + 4 : 24 * bay + 20]
            edge = reflectance[frame]
            edge[:2], edge[-2:], edge[:, :2], edge[:, -2:] = 0.35, 0.35, 0.35, 0.35
            if rng.random() < lit_share:
                warm = rng.random() < 0.75
                colour = np.array([1.0, 0.62, 0.28]) if warm else np.array([0.75, 0.95, 1.0])
                level = rng.uniform(0.8, 5.0) * (
                    0.5 + 0.5 * y / 24 if rng.random() < 0.5 else 1.0 - 0.5 * y / 24
                )
                curtain = (np.abs(x - 5.5) > rng.uniform(2.5, 6)) * 0.65
                bars = ((np.abs(x - 5.5) < 0.8) | (np.abs(y - 9) < 0.8)) * 0.9
                radiance[window] = (level * (1 - curtain) * (1 - bars))[..., None] * colour
    return reflectance.clip(0, 0.9).astype(np.float32), radiance


def sign(rng: np.random.Generator, strokes: int = 5) -> NDArray[np.float64]:
    """Return a bent neon tube's path ``(K, 3)`` in the x-z plane within a unit square, like handwriting."""
    x = np.linspace(0.05, 0.95, strokes * 2 + 1)
    z = 0.5 + 0.4 * np.where(np.arange(len(x)) % 2, 1, -1) * rng.uniform(0.4, 1.0, len(x))
    t = np.linspace(0, 1, 20 * len(x))
    swing = 0.10 * np.sin(2 * np.pi * strokes * t + rng.uniform(0, 6))
    along = np.linspace(0, 1, len(x))
    smooth = gaussian_filter(np.interp(t, along, z), 5)
    return np.stack([np.interp(t, along, x) + swing, 0 * t, smooth], -1)


def clouds(rng: np.random.Generator, rows: int, cover: float) -> tuple[Floats, Floats]:
    """Return clouds over a sky dome: opacity and thickness, ``(rows, 4 * rows)`` for elevations 90 to 0 degrees.

    Noise on a plane high above is looked up along each direction, so that clouds crowd towards the horizon.
    """
    columns = 4 * rows
    elevation = np.radians(np.linspace(89.5, 0.5, rows))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]
    # A curved layer: its horizon is near, so that clouds do not shrink to streaks.
    distance = 1 / (np.tan(elevation) + 0.09)
    size = 768
    field = 0.8 * noise(size, size, rng, 1.65) + 0.2 * noise(size, size, rng, 1.05)
    u = distance * np.cos(azimuth) * size / 7
    v = distance * np.sin(azimuth) * size / 7
    value = map_coordinates(field, [v, u], order=1, mode="grid-wrap")
    threshold = np.quantile(field, 1 - cover)
    thickness = np.clip((value - threshold) / (0.22 * (1.05 - cover) + 0.06), 0, 1)
    haze = np.clip(np.degrees(elevation) / 7, 0, 1)
    opacity = (1 - np.exp(-4.0 * thickness)) * haze
    return opacity.astype(np.float32), thickness.astype(np.float32)
