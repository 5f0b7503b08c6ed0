"""Landscapes under skies of several turbidities: the sun in frame, clouds, the sea."""

import numpy as np
from numpy.typing import NDArray

from hdrgen.dataset.scene_description import Description
from hdrgen.dataset.simulate import materials as m
from hdrgen.dataset.simulate import meshes as g
from hdrgen.dataset.simulate import sky
from hdrgen.dataset.simulate import textures as t
from hdrgen.dataset.simulate.scene import (
    Mesh,
    Node,
    Scene,
    Shot,
    SunInFrame,
    exposure_note,
    light,
)

BRANCHES = 14


def terrain(
    rng: np.random.Generator, size: float, roughness_m: float, flat_radius: float, valley: float = 0.0
) -> tuple[Mesh, NDArray[np.floating]]:
    """Return rolling ground about the origin that stays flat near it and rises away, and its heights.

    A ``valley`` of that half width in metres stays flat along y, for a road.
    """
    steps = 192
    y, x = np.meshgrid(np.linspace(-0.5, 0.5, steps), np.linspace(-0.5, 0.5, steps), indexing="ij")
    distance = np.hypot(x, y) * size
    rise = np.clip((distance - flat_radius) / (size * 0.5), 0, 1)
    heights = roughness_m * (t.noise(steps, steps, rng, 2.1) - 0.35) * rise
    if valley > 0:
        heights *= 1 - np.exp(-((x * size / valley) ** 4))
    heights += 0.04 * (t.noise(steps, steps, rng, 0.8) - 0.5)
    return g.sheet(size, size, heights, 6.0), heights


def ridge(rng: np.random.Generator, distance: float, width: float, height: float) -> Mesh:
    """Return a mountain range facing the camera, ``distance`` metres along +y."""
    columns = 160
    line = t.noise(4, columns, rng, 1.15)[0] * height
    z = np.stack([np.full(columns, -20.0), line * 0.5, line])
    x = np.broadcast_to(np.linspace(-width / 2, width / 2, columns), z.shape)
    y = distance + np.array([0.0, 30.0, 80.0])[:, None] + 0 * x
    uv = np.stack([x / 40, z / 40], -1)
    return g.surface(np.stack([x, y, z], -1), uv)


def tree(rng: np.random.Generator, height: float, leaf_count: int = 1500) -> tuple[Mesh, Mesh]:
    """Return a tree's wood and its leaves, standing on the origin."""
    trunk_points = (
        np.cumsum(
            np.array([[0, 0, 0.0]] + [[rng.normal(0, 0.04), rng.normal(0, 0.04), 0.16] for _ in range(5)]), 0
        )
        * height
        * 0.75
    )
    wood = [g.tube(trunk_points, np.linspace(0.035, 0.012, 6) * height)]
    centres = []
    for _ in range(BRANCHES):
        start = trunk_points[rng.integers(2, 6)]
        reach = np.array([rng.normal(0, 0.2), rng.normal(0, 0.2), rng.uniform(0.0, 0.3)]) * height
        path = (
            start
            + reach * np.linspace(0, 1, 5)[:, None]
            + np.array([0, 0, 0.04 * height]) * np.linspace(0, 1, 5)[:, None] ** 2
        )
        wood.append(g.tube(path, np.linspace(0.012, 0.003, 5) * height, 5))
        count = leaf_count // BRANCHES
        along = rng.uniform(0.35, 1.1, (count, 1))
        centres.append(start + reach * along + rng.normal(0, 0.07 * height, (count, 3)))
    where = np.concatenate(centres)
    return g.merge(wood), g.leaves(where, rng.uniform(0.018, 0.042, len(where)) * height, rng)


def grass(rng: np.random.Generator, count: int, radius: float, height: float) -> Mesh:
    """Return tufts of grass in front of the camera, along +y."""
    near = rng.uniform(0.0, 1.0, count) ** 1.6
    y = 0.8 + radius * near
    x = rng.uniform(-0.75, 0.75, count) * (y + 1)
    base = np.stack([x, y, np.full(count, -0.05)], -1)
    lean = rng.normal(0, 0.35, (count, 2)) + np.array([0.15, 0.0])
    tall = height * rng.uniform(0.5, 1.3, count)[:, None]
    middle = base + np.concatenate([lean * 0.3, np.ones((count, 1)) * 0.6], 1) * tall
    tip = base + np.concatenate([lean, np.ones((count, 1))], 1) * tall
    side = rng.normal(size=(count, 3)) * [1, 1, 0]
    side *= 0.006 / np.linalg.norm(side, axis=1, keepdims=True)
    positions = np.stack([base - side, base + side, middle - side * 0.7, middle + side * 0.7, tip], 1)
    faces = np.array([[0, 1, 3], [0, 3, 2], [2, 3, 4]])[None] + 5 * np.arange(count)[:, None, None]
    uv = np.repeat(rng.random((count, 1, 2)), 5, 1)
    return Mesh(
        positions.reshape(-1, 3).astype(np.float32),
        faces.reshape(-1, 3).astype(np.int32),
        uv.reshape(-1, 2).astype(np.float32),
    )


def leaf_colours(rng: np.random.Generator, *, autumn: bool) -> NDArray[np.float32]:
    """Return a patch of leaf reflectances to look up per leaf, ``(64, 64, 3)``."""
    amount = rng.random((64, 64))
    if autumn:
        return t.blend(amount, (0.35, 0.07, 0.015), (0.62, 0.36, 0.05))
    return t.blend(amount, (0.045, 0.11, 0.018), (0.16, 0.28, 0.05))


def meadow_sun_in_frame(rng: np.random.Generator) -> Scene:
    """Return a meadow with trees against a low sun that stands in the picture."""
    turbidity = float(rng.choice([2.2, 3.0, 4.5, 6.5, 9.0]))
    elevation = float(rng.uniform(9, 15))
    autumn = bool(rng.random() < 0.4)
    azimuth = float(rng.uniform(-13, 13))
    ground, heights = terrain(rng, 240.0, 26.0, 14.0)
    grain = t.noise(256, 256, rng, 0.7)
    soil = t.blend(grain, (0.06, 0.07, 0.02), (0.20, 0.20, 0.07))
    contents: Node = {
        "sky": sky.clear_sky(azimuth, elevation, turbidity),
        "ground": {"mesh": ground, "bsdf": m.matte(soil)},
        "grass": {
            "mesh": grass(rng, 9000, 16.0, 0.26),
            "bsdf": m.leaf(t.blend(rng.random((32, 32)), (0.12, 0.16, 0.03), (0.40, 0.36, 0.12)), 0.8),
        },
        "ridge": {"mesh": ridge(rng, 115.0, 420.0, 11.0), "bsdf": m.matte((0.06, 0.08, 0.07))},
    }
    leaves = m.leaf(leaf_colours(rng, autumn=autumn), 0.9)
    bark = m.matte((0.09, 0.065, 0.045))
    side = -1.0 if azimuth > 0 else 1.0
    spots = [(side * rng.uniform(3.0, 4.5), rng.uniform(9, 12), rng.uniform(6.0, 7.5))]
    spots += [(rng.uniform(-26, 26), rng.uniform(24, 60), rng.uniform(5, 9)) for _ in range(9)]
    for i, (x, y, height) in enumerate(spots):
        wood, crown = tree(rng, height, 5000 if i == 0 else 1300)
        row, column = (int(np.clip((v / 240 + 0.5) * 191, 0, 191)) for v in (y, x))
        place = g.translate(x, y, heights[row, column] - 0.1)
        contents[f"wood{i}"] = {"mesh": g.transform(wood, place), "bsdf": bark}
        contents[f"crown{i}"] = {"mesh": g.transform(crown, place), "bsdf": leaves}
    stops = float(rng.uniform(-1.5, -0.7))
    focal = float(rng.choice([29.0, 35.0, 40.0]))
    shot = Shot(
        (0.0, -1.5, 1.35), (0.0, 12.0, 2.6), focal, 8.0, exposure_stops=stops, white_balance_kelvin=5600.0
    )
    haze = "hazy" if turbidity > 5 else "clear"
    season = "autumn" if autumn else "summer"
    seen = "which stands in the frame"
    caption = (
        f"A {season} meadow with tall grass and trees at golden hour, backlit by the low sun {seen} "
        f"in a {haze} sky, {elevation:.0f} degrees over the hills, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="meadow_sun_in_frame", caption=caption, subject="trees against the sun", place="meadow",
        time_of_day="golden hour", light_sources=[light("sun", "sun", 3600, in_frame=True), light(f"{haze} sky", "sky", in_frame=True)],
        materials=["grass", "leaves", "bark", "soil"], tags=["exterior", "sun in frame", "backlight", season],
        focal_length_mm=focal, exposure_note=exposure_note(stops), turbidity=turbidity, sun_elevation_degrees=round(elevation, 1),
    ), sun=SunInFrame(sky.towards(azimuth, elevation), seen, "hidden from view"))  # fmt: skip


def cloudscape_road(rng: np.random.Generator) -> Scene:
    """Return a road through open country under broken clouds, the sun bursting through beside or behind."""
    turbidity = float(rng.choice([2.0, 2.4, 3.0, 4.5]))
    elevation = float(rng.uniform(14, 40))
    in_frame = bool(rng.random() < 0.7)
    azimuth = float(rng.uniform(-16, 16)) if in_frame else float(rng.uniform(100, 250))
    if in_frame:
        elevation = float(rng.uniform(9, 15))
    cover = float(rng.uniform(0.35, 0.65))
    ground, _ = terrain(rng, 300.0, 30.0, 22.0, valley=11.0)
    field = t.blend(t.noise(256, 256, rng, 1.2), (0.10, 0.10, 0.03), (0.34, 0.27, 0.10))
    road_y = np.linspace(-6, 140, 120)
    bend = 0.9 * np.sin(road_y / 14 + rng.uniform(0, 6)) * np.clip(road_y / 30, 0, 3)
    across = np.linspace(-2.3, 2.3, 9)
    road = np.stack(
        np.broadcast_arrays(bend[:, None] + across[None], road_y[:, None], 0.10 + 0 * across[None]), -1
    ).astype(float)
    uv = np.stack(np.broadcast_arrays(across[None] / 4.6 + 0.5, road_y[:, None] / 4.6), -1)
    paint = t.asphalt(rng)[0] * 1.7
    paint[:256, 252:260] = 0.65
    paint[:, 18:24] = 0.6
    paint[:, -24:-18] = 0.6
    dome = sky.cloudy_dome(azimuth, elevation, turbidity, cover, rng)
    contents: Node = {
        "sky": sky.dome_light(dome),
        "sun": sky.sun(azimuth, elevation, turbidity, 0.8),
        "ground": {"mesh": ground, "bsdf": m.matte(field)},
        "road": {"mesh": g.surface(road, uv), "bsdf": m.satin(paint.astype(np.float32), 0.45)},
        "grass": {
            "mesh": g.transform(grass(rng, 5000, 18.0, 0.22), g.translate(0, 0, 0.0)),
            "bsdf": m.leaf(t.blend(rng.random((32, 32)), (0.16, 0.17, 0.04), (0.45, 0.37, 0.14)), 0.8),
        },
        "ridge": {"mesh": ridge(rng, 150.0, 520.0, 30.0), "bsdf": m.matte((0.09, 0.12, 0.15))},
    }
    for i in range(9):
        y = 8.0 + 11 * i
        post = g.tube([(0, 0, 0), (0, 0, 3), (0, 0, 6.5)], 0.09)
        arm = g.tube([(-0.9, 0, 5.9), (0, 0, 5.9), (0.9, 0, 5.9)], 0.05)
        x = 5.2 + float(np.interp(y, road_y, bend))
        contents[f"pole{i}"] = {
            "mesh": g.transform(g.merge([post, arm]), g.translate(x, y, -0.1)),
            "bsdf": m.matte((0.10, 0.075, 0.055)),
        }
    stops = float(rng.uniform(-0.9, 0.1)) if in_frame else float(rng.uniform(-0.4, 0.4))
    focal = float(rng.choice([25.0, 29.0, 35.0]))
    shot = Shot(
        (0.3, -4.0, 1.7), (0.3, 20.0, 4.1), focal, 8.0, exposure_stops=stops, white_balance_kelvin=5600.0
    )
    seen = "the sun bursting through in frame"
    where = seen if in_frame else "sunlit from behind the camera"
    caption = (
        f"An empty country road with a painted line and telegraph poles leading to distant hills under broken bright clouds, "
        f"{where}, daytime, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="cloudscape_road", caption=caption, subject="road and clouds", place="open country",
        time_of_day="day", light_sources=[light("sun", "sun", 5200, in_frame=in_frame), light("cloudy sky", "sky", in_frame=True)],
        materials=["asphalt", "grass", "cloud", "wood"], tags=["exterior", "clouds", "landscape"] + (["sun in frame"] if in_frame else []),
        focal_length_mm=focal, exposure_note=exposure_note(stops), turbidity=turbidity, sun_elevation_degrees=round(elevation, 1),
    ), sun=SunInFrame(sky.towards(azimuth, elevation), seen, "the sun hidden from view") if in_frame else None)  # fmt: skip


def sea_sunset(rng: np.random.Generator) -> Scene:
    """Return the sea with a low sun, its glitter path on the waves, and rocks in front."""
    turbidity = float(rng.choice([2.0, 2.5, 3.2, 4.0]))
    elevation = float(rng.uniform(6, 12))
    azimuth = float(rng.uniform(-10, 10))
    rows, columns = 500, 360
    near = 2.0 * 250 ** np.linspace(0, 1, rows)[:, None]
    across = np.linspace(-0.9, 0.9, columns)[None] * (near + 4)
    y = near + 0 * across
    z = np.zeros_like(across)
    for _ in range(60):
        length = float(np.exp(rng.uniform(np.log(0.35), np.log(7.0))))
        heading = rng.normal(0.2, 0.55)
        k = 2 * np.pi / length
        fade = np.exp(-((near / (length * 60)) ** 2))  # waves finer than the mesh would only alias
        z += (
            0.008
            * length**0.85
            * fade
            * np.sin(k * (np.sin(heading) * across - np.cos(heading) * y) + rng.uniform(0, 6.3))
        )
    water = g.surface(np.stack([across, y, z], -1), np.stack([across / 3, y / 3], -1))
    dome = sky.cloudy_dome(azimuth, elevation, turbidity, float(rng.uniform(0.12, 0.45)), rng)
    contents: Node = {
        "sky": sky.dome_light(dome),
        "sun": sky.sun(azimuth, elevation, turbidity),
        "water": {
            "mesh": water,
            "bsdf": {
                "type": "twosided",
                "bsdf": {
                    "type": "principled",
                    "base_color": m.texture((0.012, 0.035, 0.04)),
                    "roughness": 0.12,
                    "specular": 0.5,
                },
            },
        },
    }
    for i in range(7):
        bumps = 0.5 * (t.noise(48, 96, rng, 1.5) - 0.5)
        bumps[:, -1] = bumps[:, 0]
        size = float(rng.uniform(0.3, 1.3))
        side = float(rng.choice([-1, 1]))
        y_at = float(rng.uniform(4, 14))
        rock = g.ellipsoid((size, size * 0.8, size * 0.6), bumps, 48)
        contents[f"rock{i}"] = {
            "mesh": g.transform(rock, g.translate(side * float(rng.uniform(0.22, 0.5)) * y_at, y_at, -0.1)),
            "bsdf": m.satin((0.055, 0.05, 0.045), 0.35),
        }
    stops = float(rng.uniform(-1.4, -0.4))
    focal = float(rng.choice([35.0, 40.0, 50.0]))
    shot = Shot((0, 0, 1.5), (0, 12, 1.75), focal, 8.0, exposure_stops=stops, white_balance_kelvin=5600.0)
    seen = "the low sun in frame between thin clouds"
    caption = (
        f"The sea at sunset with dark wet rocks in the foreground, {seen} and its glitter "
        f"path sparkling on the waves, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="sea_sunset", caption=caption, subject="sun over the sea", place="rocky coast",
        time_of_day="sunset", light_sources=[light("sun", "sun", 2900, in_frame=True), light("evening sky", "sky", in_frame=True)],
        materials=["water", "rock", "cloud"], tags=["exterior", "sun in frame", "specular glitter", "water"],
        focal_length_mm=focal, exposure_note=exposure_note(stops), turbidity=turbidity, sun_elevation_degrees=round(elevation, 1),
    ), sun=SunInFrame(sky.towards(azimuth, elevation), seen, "the low sun hidden from view"))  # fmt: skip
