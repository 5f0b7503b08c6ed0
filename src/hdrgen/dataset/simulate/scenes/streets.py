"""Streets at night: lamps, wet asphalt, cars, lit windows, neon."""

import numpy as np

from hdrgen.dataset.scene_description import Description
from hdrgen.dataset.simulate import materials as m
from hdrgen.dataset.simulate import meshes as g
from hdrgen.dataset.simulate import textures as t
from hdrgen.dataset.simulate.scene import Mesh, Node, Scene, Shot, exposure_note, light
from hdrgen.dataset.simulate.scenes.interiors import prefixed

RGB = m.RGB
NEON: dict[str, RGB] = {
    "red": (1.0, 0.06, 0.03),
    "cyan": (0.04, 0.75, 1.0),
    "magenta": (1.0, 0.06, 0.62),
    "amber": (1.0, 0.42, 0.03),
    "green": (0.08, 1.0, 0.22),
    "violet": (0.42, 0.12, 1.0),
}
NIGHT_SKY: RGB = (0.0007, 0.0010, 0.0024)


def once(mesh: Mesh, width: float, height: float) -> Mesh:
    """Return an upright sheet whose texture appears once over its width and height."""
    assert mesh.uv is not None
    return Mesh(
        mesh.positions, mesh.faces, (mesh.uv / np.array([width, height])).astype(np.float32), mesh.smooth
    )


def car(rng: np.random.Generator, *, towards: bool) -> Node:
    """Return a car on the origin that drives towards the camera (-y) or away, lights on."""
    paint: RGB = [
        (0.25, 0.02, 0.02),
        (0.02, 0.03, 0.07),
        (0.02, 0.02, 0.02),
        (0.35, 0.36, 0.38),
        (0.03, 0.10, 0.06),
    ][rng.integers(5)]
    facing = 1.0 if towards else -1.0
    stations = np.array([-2.2, -2.1, -1.5, -0.85, -0.25, 0.5, 1.15, 1.75, 2.15, 2.2])  # front to back
    roof = np.array([0.45, 0.72, 0.86, 0.95, 1.38, 1.46, 1.38, 1.0, 0.92, 0.5])
    belt = np.array([0.40, 0.68, 0.82, 0.90, 0.95, 0.97, 0.97, 0.95, 0.88, 0.45])
    s = np.linspace(stations[0], stations[-1], 60)
    belt_line, roof_line = np.interp(s, stations, belt), np.interp(s, stations, roof)
    around = np.linspace(0, np.pi, 25)
    shape = np.sign(np.cos(around)) * np.abs(np.cos(around)) ** 0.35
    rise = np.sin(around) ** 0.45
    half = 0.88 * np.clip(1 - np.abs(s / 2.35) ** 5, 0.2, 1)
    body = np.stack(
        np.broadcast_arrays(
            half[:, None] * shape, facing * s[:, None], 0.25 + (belt_line - 0.25)[:, None] * rise
        ),
        -1,
    )
    cabin = np.stack(
        np.broadcast_arrays(
            (half * 0.80)[:, None] * shape,
            facing * s[:, None],
            belt_line[:, None] * 0.9 + (roof_line - belt_line * 0.9)[:, None] * rise,
        ),
        -1,
    )
    uv = np.zeros((*body.shape[:2], 2))
    wheel = g.transform(
        g.turned([(0, -0.1), (0.3, -0.1), (0.33, -0.06), (0.33, 0.06), (0.3, 0.1), (0, 0.1)], 24),
        g.rotate("y", 90),
    )
    wheels = [g.transform(wheel, g.translate(x, y, 0.33)) for x in (-0.8, 0.8) for y in (-1.4, 1.35)]
    front = facing * -2.19
    back = facing * 2.19
    lamp = g.transform(g.turned([(0.0, 0.0), (0.085, 0.0)], 16), g.rotate("x", -90 if towards else 90))
    nodes: Node = {
        "body": {"mesh": g.surface(body, uv), "bsdf": m.lacquer(paint)},
        "cabin": {"mesh": g.surface(cabin, uv), "bsdf": m.satin((0.012, 0.013, 0.015), 0.06)},
        "wheels": {"mesh": g.merge(wheels), "bsdf": m.matte((0.02, 0.02, 0.02))},
    }
    if towards:
        lamps = g.merge([g.transform(lamp, g.translate(x, front - 0.03, 0.66)) for x in (-0.62, 0.62)])
        nodes["headlights"] = {
            "mesh": lamps,
            "bsdf": m.matte((0, 0, 0)),
            "emitter": m.emitter(m.blackbody(float(rng.choice([4300.0, 5600.0])), 110.0)),
        }
    else:
        lamps = g.merge(
            [
                g.transform(g.box(0.30, 0.03, 0.09), g.translate(x, back * 1.0 - 0.02, 0.78))
                for x in (-0.6, 0.6)
            ]
        )
        nodes["tail_lights"] = {
            "mesh": lamps,
            "bsdf": m.matte((0, 0, 0)),
            "emitter": m.emitter((26.0, 0.7, 0.3)),
        }
    return nodes


def night_street(rng: np.random.Generator) -> Scene:
    """Return a wet street at night between lit houses: lamps, cars, a shop's neon."""
    sodium = bool(rng.random() < 0.5)
    kelvin = 2050.0 if sodium else float(rng.choice([3000.0, 4000.0]))
    reflectance, roughness = t.asphalt(rng)
    road = {
        "type": "twosided",
        "bsdf": {
            "type": "principled",
            "base_color": m.texture(reflectance),
            "roughness": m.texture(roughness),
            "specular": 0.6,
        },
    }
    contents: Node = {
        "night": {"type": "constant", "radiance": m.texture(NIGHT_SKY)},
        "road": {
            "mesh": g.transform(g.sheet(7.0, 130, texture_size=4.0), g.translate(0, 55, 0)),
            "bsdf": road,
        },
    }
    line = g.merge([g.transform(g.box(0.12, 2.0, 0.006), g.translate(0, 2 + 5 * i, 0.0)) for i in range(18)])
    contents["line"] = {"mesh": line, "bsdf": m.satin((0.5, 0.5, 0.46), 0.35)}
    for side in (-1.0, 1.0):
        name = "left" if side < 0 else "right"
        contents[f"{name}_pavement"] = {
            "mesh": g.transform(g.box(3.0, 130, 0.14, 2.0), g.translate(side * 5.0, 55, 0)),
            "bsdf": m.satin(t.tiles(rng, (0.10, 0.095, 0.09), (0.14, 0.13, 0.12), 6), 0.3),
        }
        y = -6.0
        house = 0
        while y < 90:
            bays, floors = int(rng.integers(3, 6)), int(rng.integers(3, 6))
            width, height = bays * 2.4, floors * 3.3
            wall: RGB = [(0.22, 0.14, 0.10), (0.26, 0.24, 0.20), (0.12, 0.13, 0.15), (0.24, 0.18, 0.12)][
                rng.integers(4)
            ]
            front, glow = t.facade(rng, floors, bays, wall, float(rng.uniform(0.25, 0.55)))
            turn = g.translate(side * 6.5, y + width / 2, 0.1) @ g.rotate("z", -90 * side)
            contents[f"{name}_house{house}"] = {
                "mesh": g.transform(once(g.wall(width, height), width, height), turn),
                "bsdf": m.matte(front[::-1].copy()),
                "emitter": m.emitter(glow[::-1].copy() * np.float32(0.13)),
            }
            contents[f"{name}_roof{house}"] = {
                "mesh": g.transform(g.box(3, width, 0.3), g.translate(side * 7.9, y + width / 2, height)),
                "bsdf": m.matte((0.03, 0.03, 0.03)),
            }
            y += width
            house += 1
    shop = float(rng.uniform(4, 9))
    shop_side = float(rng.choice([-1.0, 1.0]))
    names = list(NEON)
    colour = names[rng.integers(len(names))]
    tube = g.tube(t.sign(rng) * np.array([2.4, 1, 0.9]), 0.03, 8)
    contents["neon"] = {
        "mesh": g.transform(tube, g.translate(shop_side * 6.35, shop, 3.1) @ g.rotate("z", 90)),
        "bsdf": m.matte((0, 0, 0)),
        "emitter": m.emitter(m.scaled(NEON[colour], 70.0)),
    }
    window = g.wall(3.0, 2.0)
    contents["shop"] = {
        "mesh": g.transform(
            window, g.translate(shop_side * 6.42, shop + 1.2, 0.6) @ g.rotate("z", -90 * shop_side)
        ),
        "bsdf": m.matte((0, 0, 0)),
        "emitter": m.emitter((1.6, 1.3, 0.8)),
    }
    heads, posts = [], []
    for i in range(6):
        for side in (-1.0, 1.0):
            y = 5.0 + 15 * i + (7 if side > 0 else 0)
            posts.append(
                g.tube(
                    [
                        (side * 3.9, y, 0),
                        (side * 3.9, y, 2.5),
                        (side * 3.9, y, 5.0),
                        (side * 3.6, y, 5.6),
                        (side * 2.6, y, 5.75),
                    ],
                    0.05,
                    6,
                )
            )
            if i < 3:
                # The lamp head is a small target for light paths; a spot under it lays its pool without noise.
                contents[f"pool{i}{side:+.0f}"] = {
                    "type": "spot",
                    "intensity": m.texture(m.blackbody(kelvin, 55.0)),
                    "cutoff_angle": 78.0,
                    "beam_width": 45.0,
                    "to_world": g.translate(side * 2.6, y, 5.5) @ g.rotate("x", 180),
                }
            heads.append(
                g.transform(
                    g.turned([(0.18, 0.0), (0.15, -0.07), (0.0, -0.11)][::-1], 14),
                    g.translate(side * 2.6, y, 5.66),
                )
            )
    contents["posts"] = {"mesh": g.merge(posts), "bsdf": m.matte((0.03, 0.03, 0.03))}
    contents["lamps"] = {
        "mesh": g.merge(heads),
        "bsdf": m.matte((0, 0, 0)),
        "emitter": m.emitter(m.blackbody(kelvin, 160.0)),
    }
    contents |= prefixed("car1", _placed(car(rng, towards=True), -1.75, float(rng.uniform(9, 16))))
    contents |= prefixed("car2", _placed(car(rng, towards=False), 1.75, float(rng.uniform(7, 11))))
    parked = float(rng.choice([-1.0, 1.0]))
    contents |= prefixed(
        "car3",
        {
            k: v
            for k, v in _placed(car(rng, towards=False), parked * 2.7, float(rng.uniform(17, 22))).items()
            if k != "tail_lights"
        },
    )
    stops = float(rng.uniform(-2.6, -1.6))
    focal = float(rng.choice([29.0, 35.0, 40.0]))
    shot = Shot(
        (float(rng.uniform(-0.8, 0.8)), -5.0, float(rng.uniform(0.9, 1.7))),
        (0, 14, 1.9),
        focal,
        2.8,
        14.0,
        stops,
        3600.0,
    )
    lamp_words = "sodium" if sodium else "LED"
    caption = (
        f"A wet city street at night between lit house fronts, {lamp_words} street lamps and a car's headlights reflecting in the "
        f"asphalt, a {colour} neon sign over a shop, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="night_street", caption=caption, subject="cars on a wet street", place="city street", time_of_day="night",
        light_sources=[light(f"{lamp_words} street lamps", "street lamp", kelvin, in_frame=True), light("headlights", "vehicle", 5000, in_frame=True), light("tail lights", "vehicle", in_frame=True), light(f"{colour} neon sign", "neon", in_frame=True), light("lit windows", "window", 2800, in_frame=True)],
        materials=["wet asphalt", "car paint", "plaster", "glass"], tags=["exterior", "night", "neon", "reflections", "practicals"],
        focal_length_mm=focal, exposure_note=exposure_note(stops),
    ), max_depth=3)  # fmt: skip


def _placed(nodes: Node, x: float, y: float) -> Node:
    place = g.translate(x, y, 0)
    return {name: node | {"mesh": g.transform(node["mesh"], place)} for name, node in nodes.items()}


def neon_alley(rng: np.random.Generator) -> Scene:
    """Return a narrow brick alley with neon signs mirrored in puddles."""
    reflectance, roughness = t.asphalt(rng)
    wet = {
        "type": "twosided",
        "bsdf": {
            "type": "principled",
            "base_color": m.texture(reflectance),
            "roughness": m.texture(roughness * 0.8),
            "specular": 0.7,
        },
    }
    wall = t.bricks(rng, (0.20, 0.085, 0.055), (0.14, 0.13, 0.12))
    contents: Node = {
        "night": {"type": "constant", "radiance": m.texture((0.0010, 0.0014, 0.0032))},
        "ground": {
            "mesh": g.transform(g.sheet(3.6, 34, texture_size=2.6), g.translate(0, 12, 0)),
            "bsdf": wet,
        },
        "left": {
            "mesh": g.transform(g.wall(34, 9, 1.6), g.translate(-1.8, 12, 0) @ g.rotate("z", 90)),
            "bsdf": m.matte(wall),
        },
        "right": {
            "mesh": g.transform(g.wall(34, 9, 1.6), g.translate(1.8, 12, 0) @ g.rotate("z", -90)),
            "bsdf": m.matte(wall),
        },
        "end": {"mesh": g.transform(g.wall(3.6, 7, 1.6), g.translate(0, 24, 0)), "bsdf": m.matte(wall)},
    }
    names = [str(name) for name in rng.permutation(list(NEON))[:4]]
    for i, name in enumerate(names):
        side = -1.0 if i % 2 else 1.0
        y = 3.2 + 3.4 * i + float(rng.uniform(0, 1))
        z = float(rng.uniform(1.8, 2.7))
        radiance = m.scaled(NEON[name], 60.0)
        tube = g.tube(t.sign(rng, int(rng.integers(3, 6))) * np.array([1.9, 1, 1.0]), 0.022, 8)
        frame_x = np.array([0, 1, 1, 0, 0], float) * 2.2 - 0.1
        frame_z = np.array([0, 0, 1, 1, 0], float) * 1.3 - 0.15
        dense = np.linspace(0, 4, 60)
        border = g.tube(
            np.stack(
                [np.interp(dense, range(5), frame_x), 0 * dense, np.interp(dense, range(5), frame_z)], -1
            ),
            0.016,
            6,
        )
        sign = g.merge([tube, border]) if i == 0 or rng.random() < 0.5 else tube
        # Signs hang out into the alley, turned a little to whoever comes.
        turn = g.translate(side * 1.62, y, z) @ g.rotate("z", 90 + side * 25) @ g.scale(0.8)
        contents[f"sign{i}"] = {
            "mesh": g.transform(sign, turn),
            "bsdf": m.matte((0, 0, 0)),
            "emitter": m.emitter(radiance),
        }
        board = g.transform(g.box(2.3, 0.04, 1.5), g.translate(1.0, -0.08 * side, -0.25))
        contents[f"board{i}"] = {"mesh": g.transform(board, turn), "bsdf": m.satin((0.03, 0.03, 0.035), 0.3)}
    for i in range(5):
        side = float(rng.choice([-1.0, 1.0]))
        size = float(rng.uniform(0.35, 0.6))
        contents[f"crate{i}"] = {
            "mesh": g.transform(
                g.box(size, size, size * 1.1, 0.6),
                g.translate(side * 1.4, float(rng.uniform(3, 12)), 0)
                @ g.rotate("z", float(rng.uniform(-20, 20))),
            ),
            "bsdf": m.satin(t.planks(rng, (0.08, 0.05, 0.03), (0.22, 0.14, 0.08)), 0.5),
        }
    bin_shape = g.turned(
        g.rounded([(0.0, 0.02), (0.26, 0.0), (0.30, 0.85), (0.32, 0.9), (0.25, 0.98), (0.0, 1.0)], 3)
    )
    contents["bin"] = {"mesh": g.transform(bin_shape, g.translate(1.35, 2.6, 0)), "bsdf": m.metal("Al", 0.5)}
    for i, x in enumerate((-1.72, 1.72)):
        contents[f"pipe{i}"] = {
            "mesh": g.tube([(x, 6.0 + i, 0), (x, 6.0 + i, 4), (x, 6.0 + i, 9)], 0.06),
            "bsdf": m.brushed((0.4, 0.3, 0.22), 0.35),
        }
    contents["door_lamp"] = {
        "type": "sphere",
        "center": [0.0, 23.6, 3.2],
        "radius": 0.12,
        "emitter": m.emitter(m.blackbody(3000, 9.0)),
    }
    stops = float(rng.uniform(-2.4, -1.5))
    focal = float(rng.choice([25.0, 29.0, 35.0]))
    shot = Shot(
        (float(rng.uniform(-0.4, 0.4)), -2.2, float(rng.uniform(0.7, 1.3))),
        (0, 8, 1.55),
        focal,
        2.8,
        7.0,
        stops,
        4300.0,
    )
    caption = (
        f"A narrow brick alley at night with {names[0]}, {names[1]} and {names[2]} neon signs glowing over puddles, crates and a metal "
        f"bin in the dark, a lamp at the far end, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="neon_alley", caption=caption, subject="neon signs", place="back alley", time_of_day="night",
        light_sources=[*(light(f"{name} neon sign", "neon", in_frame=True) for name in names), light("door lamp", "practical", 3000, in_frame=True)],
        materials=["brick", "wet asphalt", "wood", "metal"], tags=["exterior", "night", "neon", "saturated", "reflections"],
        focal_length_mm=focal, exposure_note=exposure_note(stops),
    ), max_depth=3)  # fmt: skip
