"""Close to the ground: leaves against the sun, a campfire among trees."""

import numpy as np

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
from hdrgen.dataset.simulate.scenes.skies import leaf_colours, tree


def foliage_backlit(rng: np.random.Generator) -> Scene:
    """Return branches close to the lens, leaves glowing against the sun that flashes between them."""
    turbidity = float(rng.choice([2.0, 3.0, 4.5, 7.0]))
    elevation = float(rng.uniform(11, 19))
    azimuth = float(rng.uniform(-11, 11))
    autumn = bool(rng.random() < 0.4)
    colours = leaf_colours(rng, autumn=autumn)
    contents: Node = {"sky": sky.clear_sky(azimuth, elevation, turbidity)}
    twigs, leaves = [], []
    for _ in range(15):
        side = float(rng.choice([-1.0, 1.0]))
        start = np.array([side * rng.uniform(0.9, 1.6), rng.uniform(1.3, 3.2), rng.uniform(1.5, 3.0)])
        end = np.array(
            [
                -side * rng.uniform(-0.35, 0.45),
                start[1] + rng.uniform(-0.3, 0.4),
                start[2] + rng.uniform(-0.5, 0.35),
            ]
        )
        s = np.linspace(0, 1, 12)[:, None]
        path = (
            start
            + (end - start) * s
            + np.array([0, 0, -0.25]) * s**2
            + rng.normal(0, 0.012, (12, 3)).cumsum(0)
        )
        twigs.append(g.tube(path, np.linspace(0.012, 0.002, 12), 6))
        count = int(rng.integers(110, 190))
        along = rng.uniform(0.1, 1.0, count)
        spot = np.stack([np.interp(along, s[:, 0], path[:, axis]) for axis in range(3)], -1)
        leaves.append(
            g.leaves(spot + rng.normal(0, 0.035, (count, 3)), rng.uniform(0.07, 0.125, count), rng, 0.4)
        )
    contents["twigs"] = {"mesh": g.merge(twigs), "bsdf": m.matte((0.07, 0.05, 0.035))}
    contents["leaves"] = {
        "mesh": g.merge(leaves),
        "bsdf": m.leaf((colours * np.float32(1.9)).clip(0, 0.9), 1.3),
    }
    far = rng.uniform([-9, 8, -1], [9, 14, 4.6], (6500, 3))
    far[:, 2] -= 2.2 * t.noise(4, 6500, rng, 0.0)[0]
    contents["far"] = {
        "mesh": g.leaves(far, rng.uniform(0.15, 0.4, len(far)), rng),
        "bsdf": m.leaf(colours * np.float32(0.8), 0.9),
    }
    contents["ground"] = {
        "mesh": g.sheet(60, 60, texture_size=4),
        "bsdf": m.matte(t.blend(t.noise(128, 128, rng, 0.9), (0.04, 0.06, 0.015), (0.16, 0.18, 0.06))),
    }
    for i in range(2):
        wood = g.tube(
            [(0, 0, 0), (rng.normal(0, 0.1), 0, 3), (rng.normal(0, 0.2), 0, 7)],
            np.array([0.22, 0.17, 0.12]),
            10,
        )
        contents[f"trunk{i}"] = {
            "mesh": g.transform(wood, g.translate(float(rng.uniform(-5, 5)), float(rng.uniform(5, 9)), 0)),
            "bsdf": m.matte((0.06, 0.045, 0.035)),
        }
    stops = float(rng.uniform(-0.9, -0.2))
    focal = float(rng.choice([40.0, 50.0]))
    shot = Shot((0, -0.6, 1.55), (0, 2.0, 2.28), focal, 4.0, 2.9, stops, 5600.0)
    season = "Autumn" if autumn else "Green summer"
    seen = "the sun, which flashes between them"
    caption = (
        f"{season} leaves on thin twigs glow against {seen} over blurred trees, "
        f"{elevation:.0f} degrees high in a {'hazy' if turbidity > 4 else 'clear'} sky, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="foliage_backlit", caption=caption, subject="leaves against the light", place="forest edge",
        time_of_day="day", light_sources=[light("sun", "sun", 5000, in_frame=True), light("sky", "sky", in_frame=True)],
        materials=["leaves", "bark"], tags=["exterior", "foliage", "backlight", "sun in frame", "shallow focus"],
        focal_length_mm=focal, exposure_note=exposure_note(stops), turbidity=turbidity, sun_elevation_degrees=round(elevation, 1),
    ), sun=SunInFrame(sky.towards(azimuth, elevation), seen, "the sun, which they hide,"))  # fmt: skip


def flame(rng: np.random.Generator, height: float, width: float) -> tuple[Mesh, np.ndarray]:
    """Return one tongue of fire: a twisted, tapering body and its radiance ``(128, 64, 3)``, hot at its foot."""
    s = np.linspace(0, 1, 28)
    sway = width * 0.5 * np.sin(s * rng.uniform(3, 6) + rng.uniform(0, 6)) * s
    path = np.stack([sway, width * 0.3 * np.sin(s * 4 + rng.uniform(0, 6)) * s, s * height], -1)
    radius = width * 0.5 * (np.sin(np.pi * np.clip(s * 0.92 + 0.10, 0, 1)) ** 0.8) * (1 - s) ** 0.35 + 0.002
    heat = np.clip(
        1.15 - np.linspace(0, 1, 128)[:, None] + 0.6 * (t.noise(128, 64, rng, 1.3, 0.5) - 0.5), 0.02, 1
    )
    colour = np.stack([heat**1.2, 0.42 * heat**2.1, 0.10 * heat**3.6], -1)
    return g.tube(path, radius, 14), colour.astype(np.float32)


def campfire(rng: np.random.Generator) -> Scene:
    """Return a campfire at night among stones, logs and trees, sparks rising."""
    contents: Node = {
        "night": {"type": "constant", "radiance": m.texture((0.003, 0.005, 0.012))},
        "ground": {
            "mesh": g.sheet(50, 50, 0.15 * (t.noise(160, 160, rng, 1.2) - 0.5), 2.5),
            "bsdf": m.matte(t.blend(t.noise(256, 256, rng, 0.6), (0.05, 0.035, 0.02), (0.22, 0.16, 0.10))),
        },
    }
    for i in range(6):
        mesh, heat = flame(rng, float(rng.uniform(0.45, 0.95)), float(rng.uniform(0.14, 0.24)))
        place = g.translate(float(rng.normal(0, 0.10)), float(rng.normal(0, 0.10)), 0.10)
        contents[f"flame{i}"] = {
            "mesh": g.transform(mesh, place),
            "bsdf": m.matte((0, 0, 0)),
            "emitter": m.emitter(heat * np.float32(rng.uniform(40, 75))),
        }
    for i in range(7):
        angle = 2 * np.pi * i / 7
        log = g.tube(
            [
                (0.55 * np.cos(angle), 0.55 * np.sin(angle), 0.05),
                (0.25 * np.cos(angle), 0.25 * np.sin(angle), 0.16),
                (0.02 * np.cos(angle), 0.02 * np.sin(angle), 0.30),
            ],
            0.055,
            10,
        )
        contents[f"log{i}"] = {"mesh": log, "bsdf": m.matte((0.06, 0.04, 0.03))}
    for i in range(13):
        angle = 2 * np.pi * i / 13 + rng.normal(0, 0.1)
        bumps = 0.5 * (t.noise(32, 64, rng, 1.4) - 0.5)
        bumps[:, -1] = bumps[:, 0]
        size = float(rng.uniform(0.11, 0.19))
        rock = g.ellipsoid((size, size, size * 0.7), bumps, 32)
        contents[f"stone{i}"] = {
            "mesh": g.transform(rock, g.translate(0.78 * np.cos(angle), 0.78 * np.sin(angle), 0.05)),
            "bsdf": m.satin((0.20, 0.18, 0.16), 0.6),
        }
    sparks = []
    for _ in range(60):
        height = float(rng.uniform(0.7, 3.2))
        start = np.array([rng.normal(0, 0.12 + 0.18 * height), rng.normal(0, 0.2), height])
        drift = np.array([rng.normal(0, 0.03), 0, rng.uniform(0.02, 0.08)])
        sparks.append(g.tube([start, start + drift / 2, start + drift], 0.006, 4))
    contents["sparks"] = {
        "mesh": g.merge(sparks),
        "bsdf": m.matte((0, 0, 0)),
        "emitter": m.emitter((40.0, 14.0, 2.2)),
    }
    bark = m.matte(t.blend(t.noise(64, 64, rng, 0.8), (0.10, 0.07, 0.05), (0.28, 0.21, 0.15)))
    crowns = m.leaf(leaf_colours(rng, autumn=False), 0.6)
    for i in range(9):
        angle = np.radians(rng.uniform(-48, 48))
        distance = float(rng.uniform(3.5, 9))
        wood, crown = tree(rng, float(rng.uniform(4, 6.5)), 900)
        place = g.translate(distance * np.sin(angle), distance * np.cos(angle), -0.1)
        contents[f"wood{i}"] = {"mesh": g.transform(wood, place), "bsdf": bark}
        contents[f"crown{i}"] = {"mesh": g.transform(crown, place), "bsdf": crowns}
    tent_side = float(rng.choice([-1.0, 1.0]))
    tent = Mesh(
        np.array(
            [[-0.9, -0.9, 0], [0.9, -0.9, 0], [0, -0.9, 1.3], [-0.9, 1.2, 0], [0.9, 1.2, 0], [0, 1.2, 1.3]],
            np.float32,
        ),
        np.array([[0, 3, 5], [0, 5, 2], [1, 2, 5], [1, 5, 4], [3, 4, 5]], np.int32),
    )
    contents["tent"] = {
        "mesh": g.transform(tent, g.translate(tent_side * 2.3, 2.0, 0) @ g.rotate("z", -tent_side * 35)),
        "bsdf": m.cloth((0.48, 0.20, 0.05)),
    }
    contents["lantern"] = {
        "type": "sphere",
        "center": [tent_side * 2.15, 1.55, 0.28],
        "radius": 0.07,
        "emitter": m.emitter(m.blackbody(3000, 30.0)),
    }
    stops = float(rng.uniform(-3.2, -2.4))
    focal = float(rng.choice([29.0, 35.0]))
    shot = Shot(
        (float(rng.uniform(-0.8, 0.8)), -4.0, 1.1),
        (0.25 * tent_side, 0.5, 0.95),
        focal,
        4.0,
        4.0,
        stops,
        3600.0,
    )
    caption = (
        f"A campfire in a ring of stones in a forest at night, sparks rising, an orange tent and a lantern beside it, "
        f"trees lit by the flames against a deep blue sky, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="campfire", caption=caption, subject="campfire", place="forest clearing", time_of_day="night",
        light_sources=[light("campfire", "fire", 1900, in_frame=True), light("lantern", "practical", 3000, in_frame=True), light("night sky", "sky", in_frame=True)],
        materials=["flame", "stone", "bark", "leaves", "tent fabric"], tags=["exterior", "night", "fire", "low key"],
        focal_length_mm=focal, exposure_note=exposure_note(stops),
    ), max_depth=3)  # fmt: skip
