"""Skies: Mitsuba's own sun-and-sky emitter for clear ones, and a clouded dome with a sun behind it.

Radiance of the dome and its sun is about in kcd/m2: a blue zenith is a few, the sun's disc about a million.
"""

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import REC709, rgb_to_xyz
from hdrgen.dataset.simulate import materials as m
from hdrgen.dataset.simulate import textures as t
from hdrgen.dataset.simulate.meshes import rotate
from hdrgen.dataset.simulate.scene import SENSOR_WIDTH_MM, Floats, Node, Scene, Shot

Vector = NDArray[np.float64]
SUN_RADIUS_DEGREES = 0.2665
SUN_DISTANCE_M = 9000.0


def direction(azimuth_degrees: float, elevation_degrees: float) -> Vector:
    """Return the unit vector to a point of the sky; azimuth 0 is +y, 90 is +x."""
    azimuth, elevation = np.radians(azimuth_degrees), np.radians(elevation_degrees)
    return np.array(
        [np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    )


def towards(azimuth_degrees: float, elevation_degrees: float) -> tuple[float, float, float]:
    """Return `direction` as plain numbers."""
    x, y, z = direction(azimuth_degrees, elevation_degrees)
    return float(x), float(y), float(z)


def clear_sky(
    azimuth_degrees: float, elevation_degrees: float, turbidity: float, albedo: float = 0.3
) -> Node:
    """Return Mitsuba's ``sunsky``: sun's disc and clear sky (Hosek and Wilkie 2012, 2013), turbidity 1 to 10."""
    return {
        "type": "sunsky",
        "turbidity": turbidity,
        "albedo": albedo,
        "sun_direction": direction(azimuth_degrees, elevation_degrees).tolist(),
    }


def sun_colour(elevation_degrees: float, turbidity: float) -> tuple[float, float, float]:
    """Return the sun's Rec.709 light after the air's extinction, white above the air; relative, from 0.

    Kasten and Young's air mass (1989); Rayleigh and Angstroem extinction as in Preetham, Shirley and Smits 1999
    at 615, 535 and 465 nm, which stand for red, green and blue.
    """
    elevation = max(elevation_degrees, 0.5)
    air_mass = 1 / (np.sin(np.radians(elevation)) + 0.50572 * (elevation + 6.07995) ** -1.6364)
    wavelength_um = np.array([0.615, 0.535, 0.465])
    rayleigh = 0.008735 * wavelength_um**-4.08
    aerosol = (0.04608 * turbidity - 0.04586) * wavelength_um**-1.3
    red, green, blue = np.exp(-(rayleigh + aerosol) * air_mass)
    return float(red), float(green), float(blue)


def sun(azimuth_degrees: float, elevation_degrees: float, turbidity: float, share: float = 1.0) -> Node:
    """Return the sun as a distant ball of the right angular size; ``share`` is what thin cloud leaves of it."""
    radius = SUN_DISTANCE_M * np.tan(np.radians(SUN_RADIUS_DEGREES))
    radiance = 1.9e6 * share * np.array(sun_colour(elevation_degrees, turbidity))
    return {
        "type": "sphere",
        "center": (SUN_DISTANCE_M * direction(azimuth_degrees, elevation_degrees)).tolist(),
        "radius": float(radius),
        "emitter": m.emitter((float(radiance[0]), float(radiance[1]), float(radiance[2]))),
    }


def preetham(directions: Vector, sun_direction: Vector, turbidity: float) -> Vector:
    """Return a clear sky's Rec.709 radiance, kcd/m2 (Preetham, Shirley and Smits 1999, appendix A.2).

    Parameters
    ----------
    directions
        ``(..., 3)`` unit vectors; below the horizon they count as the horizon.
    sun_direction
        ``(3,)`` unit vector, above the horizon.
    turbidity
        2 (clear) to 10 (hazy).
    """
    T = turbidity
    cos_theta = np.maximum(directions[..., 2], 0.01)
    cos_gamma = np.clip(directions @ sun_direction, -1, 1)
    gamma = np.arccos(cos_gamma)
    theta_sun = np.arccos(np.clip(sun_direction[2], 0.02, 1))

    def perez(
        cos_t: Vector | float, g: Vector | float, a: float, b: float, c: float, d: float, e: float
    ) -> Vector:
        return np.asarray((1 + a * np.exp(b / cos_t)) * (1 + c * np.exp(d * g) + e * np.cos(g) ** 2))

    coefficients = {
        "Y": (
            0.1787 * T - 1.4630,
            -0.3554 * T + 0.4275,
            -0.0227 * T + 5.3251,
            0.1206 * T - 2.5771,
            -0.0670 * T + 0.3703,
        ),
        "x": (
            -0.0193 * T - 0.2592,
            -0.0665 * T + 0.0008,
            -0.0004 * T + 0.2125,
            -0.0641 * T - 0.8989,
            -0.0033 * T + 0.0452,
        ),
        "y": (
            -0.0167 * T - 0.2608,
            -0.0950 * T + 0.0092,
            -0.0079 * T + 0.2102,
            -0.0441 * T - 1.6537,
            -0.0109 * T + 0.0529,
        ),
    }
    chi = (4 / 9 - T / 120) * (np.pi - 2 * theta_sun)
    powers = np.array([theta_sun**3, theta_sun**2, theta_sun, 1.0])
    zenith = {
        "Y": max((4.0453 * T - 4.9710) * np.tan(chi) - 0.2155 * T + 2.4192, 0.05),
        "x": float(np.array([T * T, T, 1]) @ np.array([[0.00166, -0.00375, 0.00209, 0], [-0.02903, 0.06377, -0.03202, 0.00394], [0.11693, -0.21196, 0.06052, 0.25886]]) @ powers),
        "y": float(np.array([T * T, T, 1]) @ np.array([[0.00275, -0.00610, 0.00317, 0], [-0.04214, 0.08970, -0.04153, 0.00516], [0.15346, -0.26756, 0.06670, 0.26688]]) @ powers),
    }  # fmt: skip
    Y, x, y = (
        zenith[k] * perez(cos_theta, gamma, *coefficients[k]) / perez(1.0, theta_sun, *coefficients[k])
        for k in "Yxy"
    )
    xyz = np.stack([Y * x / y, Y, Y * (1 - x - y) / y], -1)
    rgb: Vector = np.maximum(xyz @ np.linalg.inv(rgb_to_xyz(REC709)).T, 0.0)
    return rgb


def cloudy_dome(
    azimuth_degrees: float,
    elevation_degrees: float,
    turbidity: float,
    cover: float,
    rng: np.random.Generator,
    rows: int = 256,
) -> Floats:
    """Return a dome of sky and clouds without the sun's disc, ``(2 * rows, 4 * rows, 3)``, kcd/m2.

    Clouds take the sun's colour, shine where they are thin and near it (the shape of Henyey and Greenstein's phase
    function, g = 0.75) and darken towards grey bases where they are thick; brightness is set by eye. ``cover`` is
    about the share of the dome they hide, 0 to 1.
    """
    columns = 4 * rows
    theta = np.radians((np.arange(rows) + 0.5) * 90 / rows)[:, None]
    phi = (np.arange(columns) + 0.5)[None] * 2 * np.pi / columns
    directions = np.stack(
        [np.sin(theta) * np.sin(phi), np.sin(theta) * np.cos(phi), np.cos(theta) + 0 * phi], -1
    )
    sun_at = direction(azimuth_degrees, elevation_degrees)
    sky = preetham(directions, sun_at, turbidity)
    # A correction by eye: at a low sun the model comes out greener than an evening should look.
    sky = sky * (1 - np.clip((20 - elevation_degrees) / 12, 0, 1) * np.array([0.0, 0.15, 0.03]))
    opacity, thickness = t.clouds(rng, rows, cover)
    cosine = directions @ sun_at
    g = 0.75
    forward = (1 - g * g) / (1 + g * g - 2 * g * cosine) ** 1.5
    silver = np.exp(-3.0 * thickness) * forward
    body = 6 + 16 * (1 - thickness) ** 0.7
    brightness = max(np.sin(np.radians(elevation_degrees)), 0.12) ** 0.5
    sunlight = np.array(sun_colour(elevation_degrees, turbidity)) * 1.3
    ambient = sky.mean(axis=(0, 1)) * (1.1 - 0.5 * thickness[..., None])
    cloud = brightness * (body + 5.5 * silver)[..., None] * sunlight + ambient
    upper = sky * (1 - opacity[..., None]) + cloud * opacity[..., None]
    ground = np.broadcast_to(upper[-1:].mean(axis=1, keepdims=True) * 0.25, (rows, columns, 3))
    return np.concatenate([upper, ground]).astype(np.float32)


def dome_light(radiance: Floats) -> Node:
    """Return an environment ``(H, W, 3)`` whose columns run with azimuth from +y over +x."""
    return {"type": "envmap", "bitmap": radiance, "to_world": rotate("x", 90)}


def sun_pixel(
    shot: Shot, towards: tuple[float, float, float], width: int, height: int
) -> tuple[float, float]:
    """Return row and column of a direction in the picture, outside it too; infinite behind the camera."""
    forward = np.subtract(shot.target, shot.origin) / np.linalg.norm(np.subtract(shot.target, shot.origin))
    right = np.cross(forward, rotate("y", shot.roll_degrees)[:3, 2])
    right /= np.linalg.norm(right)
    ahead = float(forward @ towards)
    if ahead <= 0:
        return np.inf, np.inf
    pixels = shot.focal_length_mm / SENSOR_WIDTH_MM * width / ahead
    up = np.cross(right, forward)
    return float((height - 1) / 2 - pixels * (up @ towards)), float(
        (width - 1) / 2 + pixels * (right @ towards)
    )


def confirm_sun(scene: Scene, picture: NDArray[np.floating], ceiling: float) -> None:
    """Make the scene's description say that the sun is hidden if the picture does not show it.

    It counts as seen if a pixel no farther from its centre than its radius, a hundredth of the picture's width and
    2 pixels together reaches a tenth of the ``ceiling``: the whole disc clips, a sliver of it comes near.
    """
    if scene.sun is None:
        return
    height, width = picture.shape[:2]
    row, column = sun_pixel(scene.shot, scene.sun.towards, width, height)
    disc = np.tan(np.radians(SUN_RADIUS_DEGREES)) * scene.shot.focal_length_mm / SENSOR_WIDTH_MM * width
    rows, columns = np.ogrid[:height, :width]
    near = np.hypot(rows - row, columns - column) <= disc + 0.01 * width + 2
    if np.any(picture[near] >= 0.1 * ceiling):
        return
    description = scene.description
    description["caption"] = description["caption"].replace(scene.sun.seen, scene.sun.hidden)
    description["tags"] = [tag for tag in description["tags"] if tag != "sun in frame"]
    for source in description["light_sources"]:
        if source["kind"] == "sun":
            source["in_frame"] = False
