"""Rooms: lit by practicals at night, by a window in the day, by candles, by a screen."""

import numpy as np

from hdrgen.dataset.scene_description import Description
from hdrgen.dataset.simulate import materials as m
from hdrgen.dataset.simulate import meshes as g
from hdrgen.dataset.simulate import sky
from hdrgen.dataset.simulate import textures as t
from hdrgen.dataset.simulate.scene import Floats, Mesh, Node, Scene, Shot, exposure_note, light

RGB = m.RGB


def table_lamp(
    x: float, y: float, z: float, kelvin: float, rng: np.random.Generator, radiance: float = 420.0
) -> Node:
    """Return a lamp with a turned foot, an open fabric shade and a bulb that can be seen in it."""
    foot = g.rounded(
        [
            (0.0, 0.0),
            (0.085, 0.0),
            (0.085, 0.015),
            (0.03, 0.05),
            (0.06, 0.13),
            (0.035, 0.22),
            (0.012, 0.26),
            (0.012, 0.36),
        ]
    )
    shade = [(0.17, 0.30), (0.115, 0.53)]
    tint: RGB = (0.85, 0.70, 0.48)
    # The cloth glows by itself: light through it would be noise that no reasonable number of paths resolves.
    glow = m.blackbody(kelvin - 250, radiance * 0.016)
    place = g.translate(x, y, z)
    base = [
        m.satin((0.35, 0.07, 0.05), 0.15),
        m.brushed((0.8, 0.55, 0.25), 0.25),
        m.satin((0.05, 0.12, 0.16), 0.12),
    ]
    return {
        "foot": {"mesh": g.transform(g.turned(foot), place), "bsdf": base[rng.integers(3)]},
        "shade": {
            "mesh": g.transform(g.turned(shade), place),
            "bsdf": m.matte(tint),
            "emitter": m.emitter(glow),
        },
        "bulb": {
            "type": "sphere",
            "center": [x, y, z + 0.40],
            "radius": 0.032,
            "emitter": m.emitter(m.blackbody(kelvin, radiance)),
        },
    }


def pendant(x: float, y: float, z: float, kelvin: float, radiance: float = 600.0) -> Node:
    """Return a bare bulb under an open metal dish, its lower half in view; ``z`` is the bulb's height."""
    dish = g.turned(g.rounded([(0.16, -0.015), (0.13, 0.06), (0.05, 0.10), (0.02, 0.16)]))
    return {
        "dish": {"mesh": g.transform(dish, g.translate(x, y, z)), "bsdf": m.satin((0.02, 0.05, 0.045), 0.25)},
        "cord": {
            "mesh": g.tube([(x, y, z + 0.15), (x, y, z + 0.6), (x, y, z + 1.4)], 0.004),
            "bsdf": m.matte((0.02, 0.02, 0.02)),
        },
        "bulb": {
            "type": "sphere",
            "center": [x, y, z],
            "radius": 0.03,
            "emitter": m.emitter(m.blackbody(kelvin, radiance)),
        },
    }


def sofa(rng: np.random.Generator, fabric: m.Colour) -> Node:
    """Return a sofa 2 m wide, standing on the origin and facing -y."""

    def cushion(w: float, d: float, h: float, x: float, y: float, z: float, tilt: float = 0.0) -> Mesh:
        soft = _soft_box(w, d, h)
        return g.transform(soft, g.translate(x, y, z) @ g.rotate("x", tilt))

    parts = [
        cushion(0.86, 0.72, 0.20, -0.44, -0.02, 0.42),
        cushion(0.86, 0.72, 0.20, 0.44, -0.02, 0.42),
        cushion(0.86, 0.24, 0.52, -0.44, 0.30, 0.68, -12),
        cushion(0.86, 0.24, 0.52, 0.44, 0.30, 0.68, -12),
        cushion(0.22, 0.92, 0.58, -0.98, 0.0, 0.32),
        cushion(0.22, 0.92, 0.58, 0.98, 0.0, 0.32),
        cushion(1.9, 0.9, 0.30, 0.0, 0.04, 0.20),
    ]
    pillow = _soft_box(0.44, 0.16, 0.44)
    accent = rng.uniform(0.1, 0.7, 3)
    return {
        "sofa": {"mesh": g.merge(parts), "bsdf": m.cloth(fabric)},
        "pillow": {
            "mesh": g.transform(
                pillow, g.translate(-0.62, 0.06, 0.72) @ g.rotate("x", -20) @ g.rotate("y", 12)
            ),
            "bsdf": m.cloth((float(accent[0]), float(accent[1] * 0.6), float(accent[2] * 0.5))),
        },
    }


def _soft_box(width: float, depth: float, height: float, power: float = 0.28) -> Mesh:
    """Return a superellipsoid: a box with round edges, about its own centre."""
    polar = np.linspace(1e-3, np.pi - 1e-3, 32)[:, None]
    azimuth = np.linspace(0, 2 * np.pi, 65)[None]

    def curve(value: np.ndarray) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** power

    x = curve(np.sin(polar)) * curve(np.cos(azimuth))
    y = curve(np.sin(polar)) * curve(np.sin(azimuth))
    z = curve(np.cos(polar)) + 0 * azimuth
    positions = np.stack([x * width / 2, y * depth / 2, z * height / 2], -1)
    uv = np.stack([positions[..., 0] + positions[..., 1], positions[..., 2] + positions[..., 1]], -1) * 6
    return g.surface(positions, uv)


def framed_picture(x: float, y: float, z: float, width: float, rng: np.random.Generator) -> Node:
    """Return a painting on a wall facing -y."""
    height = width * 0.67
    return {
        "frame": {
            "mesh": g.transform(
                g.box(width + 0.06, 0.03, height + 0.06), g.translate(x, y - 0.015, z - 0.03)
            ),
            "bsdf": m.satin((0.05, 0.03, 0.02), 0.3),
        },
        "canvas": {
            "mesh": g.transform(_unit_wall(width, height), g.translate(x, y - 0.034, z)),
            "bsdf": m.matte(t.painting(rng)[::-1]),
        },
    }


def _unit_wall(width: float, height: float) -> Mesh:
    """Return an upright sheet facing -y that shows its texture once."""
    flat = g.wall(width, height)
    uv = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    return Mesh(flat.positions, flat.faces, uv)


def books(x: float, y: float, z: float, length: float, rng: np.random.Generator) -> Node:
    """Return a row of books standing along x."""
    nodes: Node = {}
    position = 0.0
    while position < length:
        thick, tall = rng.uniform(0.018, 0.05), rng.uniform(0.17, 0.26)
        hue = rng.uniform(0.03, 0.5, 3) * rng.uniform(0.3, 1)
        lean = rng.normal(0, 2.0)
        place = g.translate(x + position + thick / 2, y, z) @ g.rotate("y", lean)
        nodes[f"book{len(nodes)}"] = {
            "mesh": g.transform(g.box(thick * 0.94, 0.15, tall), place),
            "bsdf": m.satin((float(hue[0]), float(hue[1] * 0.8), float(hue[2] * 0.7)), 0.5),
        }
        position += thick
    return nodes


def prefixed(prefix: str, nodes: Node) -> Node:
    """Return the nodes under names that cannot clash."""
    return {f"{prefix}_{name}": node for name, node in nodes.items()}


def living_room_practicals(rng: np.random.Generator) -> Scene:
    """Return a living room in the evening: table lamp, pendant, sofa, books, dusk in the window."""
    kelvin = float(rng.uniform(2500, 3000))
    walls: RGB = [(0.42, 0.36, 0.28), (0.18, 0.26, 0.25), (0.40, 0.20, 0.14), (0.22, 0.24, 0.32)][
        rng.integers(4)
    ]
    fabric: RGB = [(0.10, 0.16, 0.20), (0.35, 0.30, 0.22), (0.28, 0.08, 0.06), (0.10, 0.15, 0.08)][
        rng.integers(4)
    ]
    side = float(rng.choice([-1.0, 1.0]))
    contents: Node = {
        "floor": {
            "mesh": g.sheet(7, 7, texture_size=1.2),
            "bsdf": m.satin(t.planks(rng, (0.10, 0.05, 0.025), (0.30, 0.17, 0.08)), 0.32),
        },
        "ceiling": {
            "mesh": g.transform(g.sheet(7, 7), g.translate(0, 0, 2.7)),
            "bsdf": m.matte((0.7, 0.68, 0.63)),
        },
        "back": {
            "mesh": g.transform(g.wall(7, 2.7, 1.5), g.translate(0, 2.0, 0)),
            "bsdf": m.matte(t.plaster(rng, walls)),
        },
        "left": {
            "mesh": g.transform(g.wall(7, 2.7, 1.5), g.translate(-2.6, 0, 0) @ g.rotate("z", 90)),
            "bsdf": m.matte(t.plaster(rng, walls)),
        },
        "right": {
            "mesh": g.transform(g.wall(7, 2.7, 1.5), g.translate(2.9, 0, 0) @ g.rotate("z", -90)),
            "bsdf": m.matte(t.plaster(rng, walls)),
        },
        "behind": {
            "mesh": g.transform(g.wall(7, 2.7, 1.5), g.translate(0, -3.4, 0)),
            "bsdf": m.matte(t.plaster(rng, walls)),
        },
        "skirting": {
            "mesh": g.transform(g.box(7, 0.02, 0.10), g.translate(0, 1.98, 0)),
            "bsdf": m.satin((0.6, 0.57, 0.5), 0.4),
        },
        "rug": {
            "mesh": g.transform(g.sheet(2.6, 1.8, texture_size=2.6), g.translate(0.1, -0.3, 0.006)),
            "bsdf": m.cloth(t.rug(rng, (0.30, 0.05, 0.04), (0.55, 0.42, 0.25), (0.06, 0.07, 0.14))),
        },
        "side_table": {
            "mesh": g.transform(
                g.turned([(0.0, 0.52), (0.26, 0.52), (0.26, 0.55), (0.0, 0.55)], smooth=False),
                g.translate(side * 1.55, 1.35, 0),
            ),
            "bsdf": m.satin(t.wood(rng, (0.12, 0.05, 0.02), (0.35, 0.17, 0.08)), 0.25),
        },
        "side_leg": {
            "mesh": g.tube(
                [(side * 1.55, 1.35, 0), (side * 1.55, 1.35, 0.26), (side * 1.55, 1.35, 0.52)], 0.03
            ),
            "bsdf": m.satin((0.1, 0.05, 0.02), 0.3),
        },
        "coffee_table": {
            "mesh": g.transform(g.box(1.1, 0.6, 0.04, 0.8), g.translate(0.15, -0.15, 0.38)),
            "bsdf": m.satin(t.wood(rng, (0.10, 0.045, 0.02), (0.30, 0.15, 0.07)), 0.18),
        },
        "shelf": {
            "mesh": g.transform(g.box(1.3, 0.22, 0.03), g.translate(-side * 1.45, 1.87, 1.45)),
            "bsdf": m.satin((0.16, 0.08, 0.04), 0.3),
        },
        "vase": {
            "mesh": g.transform(
                g.turned(
                    g.rounded([(0.0, 0), (0.06, 0), (0.09, 0.10), (0.05, 0.2), (0.035, 0.25), (0.045, 0.28)])
                ),
                g.translate(0.32, -0.10, 0.42),
            ),
            "bsdf": m.satin((0.5, 0.55, 0.6), 0.08),
        },
        "bowl": {
            "mesh": g.transform(
                g.turned(g.rounded([(0.0, 0.01), (0.05, 0.0), (0.11, 0.05), (0.13, 0.09)])),
                g.translate(-0.12, -0.2, 0.42),
            ),
            "bsdf": m.brushed((0.85, 0.6, 0.3), 0.2),
        },
    }
    for corner, (x, y) in enumerate([(-0.32, -0.38), (0.62, -0.38), (-0.32, 0.08), (0.62, 0.08)]):
        contents[f"table_leg{corner}"] = {
            "mesh": g.tube([(x, y, 0), (x, y, 0.19), (x, y, 0.38)], 0.018),
            "bsdf": m.satin((0.05, 0.025, 0.01), 0.3),
        }
    contents |= {key: _moved(node, g.translate(0.05, 1.3, 0)) for key, node in sofa(rng, fabric).items()}
    contents |= prefixed("lamp", table_lamp(side * 1.55, 1.35, 0.55, kelvin, rng))
    contents |= prefixed("books", books(-side * 1.45 - 0.58, 1.86, 1.48, 0.8, rng))
    contents |= prefixed("picture", framed_picture(0.1, 2.0, 1.45, 0.95, rng))
    hanging = rng.random() < 0.6
    if hanging:
        contents |= prefixed("pendant", pendant(-side * 0.75, 0.1, 1.82, kelvin - 100, 380.0))
    contents |= _dusk_window(-2.58, 0.9, rng)
    stops = float(rng.uniform(-2.0, -1.2))
    focal = float(rng.choice([21.0, 25.0, 29.0]))
    shot = Shot(
        (0.35 * side + float(rng.uniform(-0.3, 0.3)), -2.9, 1.25),
        (0.12 * side, 1.3, 0.98),
        focal,
        2.8,
        exposure_stops=stops,
        white_balance_kelvin=3600.0,
    )
    lights = [light("table lamp with a fabric shade", "practical", kelvin, in_frame=True)]
    if hanging:
        lights.append(light("pendant bulb", "practical", kelvin - 100, in_frame=True))
    lights.append(light("dusk through the window", "window", 12000, in_frame=False))
    caption = (
        f"A living room in the evening with a sofa, bookshelf and wooden coffee table, lit by a glowing {round(kelvin, -2):.0f} K "
        f"table lamp{' and a bare pendant bulb' if hanging else ''}, blue dusk at the window, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="living_room_practicals", caption=caption, subject="sofa and table lamp", place="living room",
        time_of_day="evening", light_sources=lights, materials=["fabric", "wood", "plaster", "brass", "ceramic"],
        tags=["interior", "practicals", "warm", "low key"], focal_length_mm=focal, exposure_note=exposure_note(stops),
    ))  # fmt: skip


def _moved(node: Node, matrix: g.Matrix) -> Node:
    return node | {"mesh": g.transform(node["mesh"], matrix)}


def _dusk_window(x: float, y: float, rng: np.random.Generator) -> Node:
    """Return a window in a wall at ``x`` that faces +x, blue with the last light."""
    sky = t.blend(
        np.linspace(0, 1, 64)[:, None] * np.ones((1, 64)), (0.10, 0.28, 0.9), (0.9, 0.6, 0.6)
    ) * rng.uniform(2, 5)
    turn = g.translate(x, y, 0.9) @ g.rotate("z", 90)
    nodes: Node = {
        "window_sky": {
            "mesh": g.transform(_unit_wall(1.3, 1.4), turn @ g.translate(0, 0.0, 0)),
            "bsdf": m.matte((0, 0, 0)),
            "emitter": m.emitter(sky[::-1].copy()),
        }
    }
    for name, (across, up, w, h) in {
        "bar": (0, 0, 0.05, 1.4),
        "rail": (0, 0.7, 1.3, 0.05),
        "sill": (0, -0.05, 1.5, 0.06),
    }.items():
        nodes[f"window_{name}"] = {
            "mesh": g.transform(g.box(w, 0.06, h), turn @ g.translate(across, -0.03, up)),
            "bsdf": m.satin((0.7, 0.68, 0.62), 0.4),
        }
    return nodes


def _garden(rng: np.random.Generator) -> Floats:
    """Return the radiance of a garden out of focus: sunlit leaves under a pale sky, ``(128, 256, 3)``."""
    height = np.linspace(1, 0, 128)[:, None]
    tops = 0.45 + 0.35 * (t.noise(4, 256, rng, 1.3)[0][None] - 0.5)
    sky_light = t.blend(np.broadcast_to(height, (128, 256)), (16.0, 17.0, 18.0), (8.0, 11.0, 16.0))
    foliage = t.blend(t.noise(128, 256, rng, 0.9) ** 2, (0.5, 0.9, 0.25), (5.0, 7.0, 1.8))
    lawn = t.blend(t.noise(128, 256, rng, 1.2), (3.0, 4.5, 1.0), (5.0, 6.5, 2.0))
    below = np.clip((tops - height) * 14, 0, 1)[..., None]
    ground = np.clip((0.22 - height) * 20, 0, 1)[..., None]
    view = sky_light * (1 - below) + foliage * below
    result: Floats = (view * (1 - ground) + lawn * ground).astype(np.float32)[::-1].copy()
    return result


def daylight_room(rng: np.random.Generator) -> Scene:
    """Return a room by day: sun falls through a tall window onto a table and the floor."""
    turbidity = float(rng.choice([2.0, 3.0, 5.0]))
    elevation = float(rng.uniform(24, 40))
    # The window is in the left wall; the sun comes in through it, a little from ahead.
    azimuth = float(rng.uniform(-80, -62))
    wall: RGB = [(0.55, 0.53, 0.48), (0.35, 0.42, 0.40), (0.52, 0.40, 0.30), (0.40, 0.44, 0.50)][
        rng.integers(4)
    ]
    paint = m.matte(t.plaster(rng, wall, 0.06))
    contents: Node = {
        "sky": {"type": "constant", "radiance": m.texture((5.0, 6.0, 7.5))},
        "sun": {
            "type": "directional",
            "direction": (-sky.direction(azimuth, elevation)).tolist(),
            "irradiance": m.texture(m.scaled(sky.sun_colour(elevation, turbidity), 95.0)),
        },
        "garden": {
            "mesh": g.transform(_unit_wall(7.0, 2.9), g.translate(-4.6, 1.9, -0.2) @ g.rotate("z", 90)),
            "bsdf": m.matte((0, 0, 0)),
            "emitter": m.emitter(_garden(rng)),
        },
        "floor": {
            "mesh": g.sheet(6, 7, texture_size=1.3),
            "bsdf": m.satin(t.planks(rng, (0.14, 0.08, 0.04), (0.38, 0.24, 0.13)), 0.28),
        },
        "ceiling": {
            "mesh": g.transform(g.sheet(6.2, 7), g.translate(0, 0, 2.8)),
            "bsdf": m.matte((0.75, 0.74, 0.71)),
        },
        "back": {"mesh": g.transform(g.wall(6, 2.8, 1.5), g.translate(0, 2.6, 0)), "bsdf": paint},
        "right": {
            "mesh": g.transform(g.wall(7, 2.8, 1.5), g.translate(2.2, 0, 0) @ g.rotate("z", -90)),
            "bsdf": paint,
        },
        "behind": {"mesh": g.transform(g.wall(6, 2.8, 1.5), g.translate(0, -3.5, 0)), "bsdf": paint},
        "table": {
            "mesh": g.transform(g.box(1.3, 0.75, 0.045, 0.9), g.translate(0.25, 1.0, 0.70)),
            "bsdf": m.satin(t.wood(rng, (0.14, 0.07, 0.03), (0.42, 0.24, 0.12)), 0.2),
        },
        "skirting": {
            "mesh": g.transform(g.box(6, 0.02, 0.12), g.translate(0, 2.58, 0)),
            "bsdf": m.satin((0.6, 0.58, 0.54), 0.4),
        },
    }
    # The left wall, in pieces around two tall windows.
    openings = [(0.1, 1.0), (1.5, 2.3)]
    pieces = [(-3.5, 0.1, 0.0, 2.8), (1.0, 1.5, 0.0, 2.8), (2.3, 2.6, 0.0, 2.8)]
    pieces += [
        (start, end, bottom, top) for start, end in openings for bottom, top in ((0.0, 0.55), (2.4, 2.8))
    ]
    for i, (start, end, bottom, top) in enumerate(pieces):
        contents[f"left{i}"] = {
            "mesh": g.transform(
                g.box(0.22, end - start, top - bottom, 1.5), g.translate(-1.75, (start + end) / 2, bottom)
            ),
            "bsdf": paint,
        }
    for i, (start, end) in enumerate(openings):
        middle = (start + end) / 2
        bars = [
            g.transform(g.box(0.05, 0.045, 1.85), g.translate(-1.75, y, 0.55))
            for y in (start + 0.02, middle, end - 0.02)
        ]
        bars += [
            g.transform(g.box(0.05, end - start, 0.045), g.translate(-1.75, middle, z))
            for z in (0.55, 1.3, 2.36)
        ]
        contents[f"bars{i}"] = {"mesh": g.merge(bars), "bsdf": m.satin((0.65, 0.64, 0.6), 0.4)}
        contents[f"sill{i}"] = {
            "mesh": g.transform(g.box(0.4, end - start + 0.1, 0.04), g.translate(-1.68, middle, 0.53)),
            "bsdf": m.satin((0.62, 0.6, 0.56), 0.3),
        }
    for i, (x, y) in enumerate([(-0.33, 0.68), (0.83, 0.68), (-0.33, 1.32), (0.83, 1.32)]):
        contents[f"leg{i}"] = {
            "mesh": g.transform(g.box(0.055, 0.055, 0.7), g.translate(x, y, 0)),
            "bsdf": m.satin((0.2, 0.11, 0.05), 0.3),
        }
    for i, x in enumerate((-0.05, 0.6)):
        seat = g.transform(g.box(0.42, 0.42, 0.04), g.translate(x, 0.42, 0.44))
        back = g.transform(g.box(0.42, 0.03, 0.30), g.translate(x, 0.22, 0.66))
        legs = [
            g.transform(g.box(0.035, 0.035, 0.95 if dy < 0 else 0.44), g.translate(x + dx, 0.42 + dy, 0))
            for dx in (-0.18, 0.18)
            for dy in (-0.19, 0.18)
        ]
        contents[f"chair{i}"] = {
            "mesh": g.merge([seat, back, *legs]),
            "bsdf": m.satin([(0.06, 0.10, 0.13), (0.30, 0.10, 0.05)][i], 0.35),
        }
    vase = g.turned(g.rounded([(0.0, 0), (0.05, 0), (0.085, 0.09), (0.06, 0.19), (0.03, 0.24), (0.04, 0.27)]))
    contents["vase"] = {
        "mesh": g.transform(vase, g.translate(0.45, 1.05, 0.745)),
        "bsdf": m.satin((0.08, 0.16, 0.26), 0.1),
    }
    stems, petals = [], []
    for _ in range(9):
        tip = np.array([0.45 + rng.normal(0, 0.12), 1.05 + rng.normal(0, 0.12), 1.25 + rng.uniform(0, 0.18)])
        s = np.linspace(0, 1, 8)[:, None]
        stems.append(
            g.tube(
                np.array([0.45, 1.05, 0.98])
                + (tip - np.array([0.45, 1.05, 0.98])) * s ** np.array([1.6, 1.6, 1.0]),
                0.004,
                5,
            )
        )
        petals.append(g.leaves(np.repeat(tip[None], 16, 0), rng.uniform(0.04, 0.06, 16), rng, -0.3))
    contents["stems"] = {"mesh": g.merge(stems), "bsdf": m.matte((0.07, 0.16, 0.04))}
    bloom: RGB = [(0.75, 0.10, 0.07), (0.80, 0.60, 0.08), (0.70, 0.25, 0.45), (0.8, 0.78, 0.72)][
        rng.integers(4)
    ]
    contents["petals"] = {"mesh": g.merge(petals), "bsdf": m.leaf(bloom, 0.8)}
    contents["bowl"] = {
        "mesh": g.transform(
            g.turned(g.rounded([(0.0, 0.01), (0.05, 0.0), (0.12, 0.05), (0.15, 0.09)])),
            g.translate(0.02, 0.9, 0.745),
        ),
        "bsdf": m.satin((0.6, 0.58, 0.54), 0.15),
    }
    for i in range(4):
        contents[f"fruit{i}"] = {
            "type": "sphere",
            "center": [0.02 + 0.06 * np.cos(1.6 * i), 0.9 + 0.06 * np.sin(1.6 * i), 0.83],
            "radius": 0.042,
            "bsdf": m.satin(
                [(0.62, 0.26, 0.02), (0.5, 0.05, 0.03), (0.3, 0.4, 0.05), (0.62, 0.26, 0.02)][i], 0.35
            ),
        }
    contents["kettle"] = {
        "mesh": g.transform(
            g.turned(
                g.rounded(
                    [
                        (0.0, 0.0),
                        (0.085, 0.0),
                        (0.10, 0.05),
                        (0.075, 0.14),
                        (0.03, 0.165),
                        (0.012, 0.18),
                        (0.018, 0.20),
                        (0.0, 0.21),
                    ]
                )
            ),
            g.translate(-0.22, 1.18, 0.745),
        ),
        "bsdf": m.metal("Cr", 0.18),
    }
    contents |= prefixed("picture", framed_picture(0.75, 2.6, 1.4, 0.8, rng))
    stops = float(rng.uniform(-1.3, -0.5))
    focal = float(rng.choice([21.0, 25.0]))
    shot = Shot(
        (float(rng.uniform(0.7, 1.2)), -2.6, 1.35),
        (-0.15, 1.2, 1.05),
        focal,
        5.6,
        exposure_stops=stops,
        white_balance_kelvin=5600.0,
    )
    caption = (
        f"A sunlit dining room by day, sun falling through tall windows onto a wooden table with flowers, a fruit bowl and a chrome kettle, "
        f"bright exterior outside, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="daylight_room", caption=caption, subject="table by the window", place="dining room", time_of_day="day",
        light_sources=[light("sun through the window", "sun", 5400, in_frame=False), light("sky in the window", "window", 7500, in_frame=True)],
        materials=["wood", "plaster", "ceramic", "chrome", "petals"], tags=["interior", "window", "sunlight", "bright exterior"],
        focal_length_mm=focal, exposure_note=exposure_note(stops), turbidity=turbidity, sun_elevation_degrees=round(elevation, 1),
    ), max_depth=4)  # fmt: skip
