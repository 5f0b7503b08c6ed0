"""Things on a table: chrome, glass, cloth, charts."""

from functools import cache

import numpy as np

from hdrgen.dataset.scene_description import Description, TimeOfDay
from hdrgen.dataset.simulate import materials as m
from hdrgen.dataset.simulate import meshes as g
from hdrgen.dataset.simulate import sky
from hdrgen.dataset.simulate import textures as t
from hdrgen.dataset.simulate.scene import Mesh, Node, Scene, Shot, exposure_note, light

RGB = m.RGB


def softbox(
    position: tuple[float, float, float],
    target: tuple[float, float, float],
    width: float,
    height: float,
    radiance: RGB,
) -> Node:
    """Return a rectangular light aimed at a point."""
    forward = np.subtract(target, position).astype(float)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = (
        right * width / 2,
        np.cross(forward, -right) * height / 2,
        forward,
        position,
    )
    if np.linalg.det(matrix[:3, :3]) < 0:
        matrix[:3, 1] *= -1
    return {
        "type": "rectangle",
        "to_world": matrix,
        "bsdf": m.matte((0.0, 0.0, 0.0)),
        "emitter": m.emitter(radiance),
    }


def sweep(colour: m.Colour) -> Node:
    """Return a studio backdrop that curves from the table up behind it."""
    profile = np.array(
        [[-3.0, 0.0], [1.2, 0.0], [1.6, 0.04], [1.9, 0.18], [2.05, 0.45], [2.1, 0.9], [2.1, 4.0]]
    )
    t_in = np.linspace(0, len(profile) - 1, 80)
    y, z = (np.interp(t_in, np.arange(len(profile)), profile[:, i]) for i in range(2))
    x = np.linspace(-4, 4, 12)
    positions = np.stack(np.broadcast_arrays(x[None], y[:, None], z[:, None]), -1)
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(y), np.diff(z)))])
    uv = np.stack(np.broadcast_arrays(x[None] / 2, along[:, None] / 2), -1)
    return {"mesh": g.surface(positions, uv), "bsdf": m.matte(colour)}


TEAPOT = [
    (0.0, 0.0),
    (0.05, 0.0),
    (0.075, 0.02),
    (0.095, 0.06),
    (0.09, 0.10),
    (0.06, 0.135),
    (0.035, 0.145),
    (0.03, 0.15),
    (0.012, 0.16),
    (0.018, 0.175),
    (0.0, 0.185),
]


def chrome_still_life(rng: np.random.Generator) -> Scene:
    """Return polished metal on a studio sweep: balls, a pot, a torus, softboxes mirrored in them."""
    backdrop: RGB = [(0.10, 0.11, 0.13), (0.30, 0.27, 0.23), (0.04, 0.05, 0.07), (0.22, 0.05, 0.04)][
        rng.integers(4)
    ]
    contents: Node = {
        "fill": {"type": "constant", "radiance": m.texture((0.05, 0.055, 0.07))},
        "sweep": sweep(t.plaster(rng, backdrop, 0.06)),
        "key": softbox((-1.3, -0.5, 1.5), (0, 0, 0.1), 0.9, 0.6, (26.0, 24.5, 22.0)),
        "rim": softbox((1.5, 0.9, 0.9), (0, 0, 0.1), 0.18, 1.1, (60.0, 70.0, 85.0)),
        "bulb": {
            "type": "sphere",
            "center": [0.5, -0.7, 1.1],
            "radius": 0.025,
            "emitter": m.emitter(m.blackbody(3200, 2200.0)),
        },
    }
    metals = [str(name) for name in rng.permutation(["Cr", "Au", "Cu", "Ag"])]
    contents["big"] = {"type": "sphere", "center": [-0.14, 0.16, 0.15], "radius": 0.15, "bsdf": m.metal("Cr")}
    contents["middle"] = {
        "type": "sphere",
        "center": [0.12, -0.10, 0.07],
        "radius": 0.07,
        "bsdf": m.metal(metals[0], float(rng.choice([0.0, 0.25]))),
    }
    contents["small"] = {
        "type": "sphere",
        "center": [-0.05, -0.22, 0.035],
        "radius": 0.035,
        "bsdf": m.metal(metals[1], 0.35),
    }
    pot = g.turned(g.rounded(TEAPOT), 72)
    contents["pot"] = {"mesh": g.transform(pot, g.translate(0.25, 0.14, 0)), "bsdf": m.metal(metals[2], 0.22)}
    ring = np.linspace(0, 2 * np.pi, 80)
    torus = g.tube(np.stack([0.075 * np.cos(ring), 0.075 * np.sin(ring), 0 * ring], -1), 0.018, 20)
    contents["ring"] = {
        "mesh": g.transform(torus, g.translate(-0.30, -0.06, 0.018)),
        "bsdf": m.brushed((0.95, 0.75, 0.4), 0.12),
    }
    paints: list[RGB] = [(0.5, 0.04, 0.03), (0.03, 0.12, 0.35), (0.55, 0.35, 0.03)]
    order = rng.permutation(3)
    for i in range(2):
        contents[f"die{i}"] = {
            "mesh": g.transform(
                g.box(0.05, 0.05, 0.05),
                g.translate(0.02 + 0.16 * i, -0.26 + 0.1 * i, 0) @ g.rotate("z", float(rng.uniform(0, 90))),
            ),
            "bsdf": m.satin(paints[order[i]], 0.15),
        }
    stops = float(rng.uniform(-1.4, -0.6))
    focal = float(rng.choice([50.0, 65.0]))
    angle = float(rng.uniform(-0.3, 0.3))
    shot = Shot(
        (1.8 * np.sin(angle), -1.8 * np.cos(angle), 0.58),
        (0.0, 0.0, 0.11),
        focal,
        5.6,
        exposure_stops=stops,
        white_balance_kelvin=5600.0,
    )
    names = {"Cr": "chrome", "Au": "gold", "Cu": "copper", "Ag": "silver"}
    caption = (
        f"A studio still life of polished {names['Cr']}, {names[metals[0]]} and {names[metals[2]]} objects, balls and a lidded pot on a curved backdrop, "
        f"mirroring a warm softbox, a cool strip light and a small bright bulb, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="chrome_still_life", caption=caption, subject="polished metal objects", place="studio", time_of_day="indoors",
        light_sources=[light("softbox", "softbox", 5600, in_frame=False), light("strip light", "softbox", 8000, in_frame=False), light("small bulb", "practical", 3200, in_frame=False)],
        materials=["chrome", names[metals[0]], names[metals[2]], "brass", "painted plastic"], tags=["studio", "still life", "specular", "mirror"],
        focal_length_mm=focal, exposure_note=exposure_note(stops),
    ), max_depth=6)  # fmt: skip


def _vessel(outer: list[tuple[float, float]], wall: float, base: float) -> Mesh:
    """Return a closed glass wall: outer outline up, inner outline down."""
    outside = g.rounded(outer)
    inside = outside[outside[:, 1] > base].copy()
    inside[:, 0] = np.maximum(inside[:, 0] - wall, 0.001)
    inside = np.concatenate([[[0.0, base]], inside])
    lip = [[(outside[-1, 0] + inside[-1, 0]) / 2, outside[-1, 1] + wall * 0.4]]
    return g.turned(np.concatenate([outside, lip, inside[::-1]]), 56)


def glass_still_life(rng: np.random.Generator) -> Scene:
    """Return bottles and glasses on a table before a bright window, backlit, one bare bulb beside them."""
    dusk = bool(rng.random() < 0.4)
    view = sky.cloudy_dome(float(rng.uniform(-25, 25)), 8.0 if dusk else 32.0, 3.0, 0.35, rng, 96)
    scale = 0.35 if dusk else 0.6
    contents: Node = {
        "sky": sky.dome_light(view * np.float32(scale)),
        "table": {
            "mesh": g.transform(g.box(2.4, 1.2, 0.04, 1.0), g.translate(0, 0.2, -0.04)),
            "bsdf": m.satin(t.wood(rng, (0.09, 0.04, 0.018), (0.32, 0.16, 0.07)), 0.22),
        },
        "bulb": {
            "type": "sphere",
            "center": [-0.24, 0.22, 0.265],
            "radius": 0.024,
            "emitter": m.emitter(m.blackbody(2700, 900.0)),
        },
        "bulb_cord": {
            "mesh": g.tube([(-0.24, 0.22, 0.29), (-0.24, 0.22, 0.7), (-0.24, 0.22, 1.5)], 0.004),
            "bsdf": m.matte((0.02, 0.02, 0.02)),
        },
        "bulb_cap": {
            "mesh": g.transform(
                g.turned([(0.0, 0.06), (0.014, 0.06), (0.016, 0.0), (0.0, 0.0)]),
                g.translate(-0.24, 0.22, 0.284),
            ),
            "bsdf": m.brushed((0.8, 0.6, 0.3), 0.3),
        },
    }
    for name, x, w in (("left", -1.72, 1.9), ("right", 1.72, 1.9)):
        contents[f"{name}_wall"] = {
            "mesh": g.transform(g.box(w, 0.12, 2.4), g.translate(x, 1.6, -1.0)),
            "bsdf": m.matte(t.plaster(rng, (0.32, 0.30, 0.27))),
        }
    contents["sill"] = {
        "mesh": g.transform(g.box(4.0, 0.2, 0.96), g.translate(0, 1.6, -1.0)),
        "bsdf": m.matte((0.4, 0.38, 0.34)),
    }
    contents["bar"] = {
        "mesh": g.transform(g.box(0.05, 0.06, 2.4), g.translate(float(rng.uniform(-0.25, 0.25)), 1.6, -1.0)),
        "bsdf": m.satin((0.35, 0.33, 0.3), 0.4),
    }
    contents["rail"] = {
        "mesh": g.transform(g.box(1.8, 0.06, 0.05), g.translate(0, 1.6, 0.42)),
        "bsdf": m.satin((0.35, 0.33, 0.3), 0.4),
    }
    for i, (y, z) in enumerate([(1.6, 1.0)]):
        contents[f"lintel{i}"] = {
            "mesh": g.transform(g.box(6.0, 0.12, 1.5), g.translate(0, y, z)),
            "bsdf": m.matte((0.4, 0.38, 0.34)),
        }
    leaf_count = 2500
    contents["garden"] = {
        "mesh": g.leaves(
            rng.uniform([-3.5, 4.5, -1.5], [3.5, 6.0, 0.75], (leaf_count, 3))
            + np.array([0, 0, 0.5]) * t.noise(4, leaf_count, rng, 1.0)[0][:, None],
            rng.uniform(0.12, 0.3, leaf_count),
            rng,
        ),
        "bsdf": m.leaf(t.blend(rng.random((32, 32)), (0.06, 0.14, 0.03), (0.22, 0.34, 0.08)), 0.8),
    }
    contents["lawn"] = {
        "mesh": g.transform(g.sheet(16, 12), g.translate(0, 8, -1.4)),
        "bsdf": m.matte((0.12, 0.20, 0.05)),
    }
    bottle = [
        (0.0, 0.0),
        (0.036, 0.0),
        (0.038, 0.01),
        (0.038, 0.17),
        (0.033, 0.20),
        (0.016, 0.235),
        (0.0135, 0.26),
        (0.0135, 0.30),
    ]
    wine = [
        (0.0, 0.0),
        (0.034, 0.002),
        (0.006, 0.010),
        (0.005, 0.08),
        (0.020, 0.095),
        (0.038, 0.125),
        (0.040, 0.155),
        (0.032, 0.20),
    ]
    tumbler = [(0.0, 0.0), (0.033, 0.0), (0.035, 0.01), (0.040, 0.095)]
    tints: list[RGB] = [(0.55, 0.9, 0.62), (0.97, 0.66, 0.32), (0.6, 0.78, 0.97), (0.98, 0.98, 0.98)]
    spots = rng.permutation(
        np.array([(-0.17, 0.10), (-0.04, 0.02), (0.09, 0.14), (0.19, -0.02), (0.30, 0.10)])
    )
    for i, (x, y) in enumerate(spots):
        if i < 2:
            mesh, tint = _vessel(bottle, 0.004, 0.008), tints[int(rng.integers(3))]
        elif i < 4:
            mesh, tint = _vessel(wine, 0.0016, 0.092), tints[3]
        else:
            mesh, tint = _vessel(tumbler, 0.003, 0.012), tints[3]
        contents[f"glass{i}"] = {
            "mesh": g.transform(mesh, g.translate(float(x), float(y), 0.001)),
            "bsdf": m.glass(tint),
        }
    contents["ball"] = {"type": "sphere", "center": [0.03, -0.14, 0.028], "radius": 0.028, "bsdf": m.glass()}
    contents["lemon"] = {
        "mesh": g.transform(
            g.ellipsoid((0.042, 0.031, 0.031), 0.02 * (t.noise(64, 128, rng, 0.8) - 0.5)),
            g.translate(-0.13, -0.10, 0.031) @ g.rotate("z", 30),
        ),
        "bsdf": m.satin((0.72, 0.48, 0.03), 0.35),
    }
    contents["lime"] = {
        "mesh": g.transform(g.ellipsoid((0.03, 0.026, 0.026)), g.translate(-0.06, -0.15, 0.026)),
        "bsdf": m.satin((0.16, 0.30, 0.03), 0.35),
    }
    stops = float(rng.uniform(-1.2, -0.3))
    focal = float(rng.choice([40.0, 47.0]))
    shot = Shot(
        (float(rng.uniform(-0.15, 0.15)), -1.1, 0.26),
        (0.03, 0.05, 0.15),
        focal,
        4.0,
        exposure_stops=stops,
        white_balance_kelvin=5000.0,
    )
    when: TimeOfDay = "dusk" if dusk else "day"
    caption = (
        f"Coloured glass bottles, wine glasses, a tumbler and citrus fruit on a wooden table, backlit by a window at {when} with a bare "
        f"tungsten bulb hanging beside them, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="glass_still_life", caption=caption, subject="bottles and glasses", place="kitchen table", time_of_day=when,
        light_sources=[light("window", "window", 7000, in_frame=True), light("bare bulb", "practical", 2700, in_frame=True)],
        materials=["glass", "coloured glass", "wood", "fruit"], tags=["interior", "still life", "transparent", "backlight", "practicals"],
        focal_length_mm=focal, exposure_note=exposure_note(stops),
    ), max_depth=12)  # fmt: skip


def draped_cloth(rng: np.random.Generator) -> Scene:
    """Return fabric that falls in folds over a chest, raked by window light, a candle lantern beside it."""
    palettes: list[list[RGB]] = [
        [(0.35, 0.04, 0.04), (0.55, 0.45, 0.30), (0.10, 0.02, 0.03)],
        [(0.05, 0.12, 0.25), (0.50, 0.50, 0.46), (0.02, 0.04, 0.09)],
        [(0.45, 0.30, 0.08), (0.20, 0.05, 0.03), (0.55, 0.48, 0.38)],
        [(0.08, 0.18, 0.12), (0.45, 0.42, 0.33), (0.03, 0.06, 0.05)],
    ]
    palette = palettes[rng.integers(len(palettes))]
    striped = bool(rng.random() < 0.5)
    fabric = t.stripes(rng, palette) if striped else t.weave(rng, palette[0], palette[1], 48)
    rows, columns = 220, 260
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(0, 1, rows))
    # Folds: a few sine ridges, bent by noise, that deepen as the cloth hangs down from the edge.
    warp = t.noise(rows, columns, rng, 2.0)
    hang = np.clip((v - 0.38) / 0.62, 0, 1)
    phase = u * rng.uniform(9, 13) + 3.2 * (warp - 0.5)
    fold = (np.sin(phase) + 0.45 * np.sin(2.1 * phase + 1.3)) * (0.005 + 0.055 * hang**0.7)
    arc = np.clip((v - 0.36) / 0.06, 0, 1)
    y = (
        np.where(v < 0.36, 0.42 - v / 0.36 * 0.42, -0.03 * np.sin(arc * np.pi / 2))
        - fold * hang * 1.6
        - 0.06 * hang
    )
    z = np.where(
        v < 0.36,
        0.45 + 0.5 * fold + 0.014 * (warp - 0.5),
        0.45 - 0.03 * (1 - np.cos(arc * np.pi / 2)) - 0.47 * hang,
    )
    x = u * 0.62 + 0.02 * np.cos(phase) * hang
    cloth = g.surface(np.stack([x, y, z], -1), np.stack([u * 1.6, v * 2.2], -1))
    kelvin = float(rng.uniform(1850, 2100))
    side = float(rng.choice([-1.0, 1.0]))
    contents: Node = {
        "fill": {"type": "constant", "radiance": m.texture((0.02, 0.023, 0.03))},
        "cloth": {"mesh": cloth, "bsdf": m.cloth(fabric)},
        "chest": {
            "mesh": g.transform(g.box(1.3, 0.44, 0.43, 0.6), g.translate(0, 0.24, 0)),
            "bsdf": m.satin(t.planks(rng, (0.06, 0.03, 0.015), (0.2, 0.1, 0.05)), 0.4),
        },
        "floor": {
            "mesh": g.sheet(5, 5, texture_size=1.0),
            "bsdf": m.satin(t.planks(rng, (0.08, 0.05, 0.03), (0.24, 0.15, 0.09)), 0.35),
        },
        "wall": {
            "mesh": g.transform(g.wall(5, 3, 1.5), g.translate(0, 1.0, 0)),
            "bsdf": m.matte(t.plaster(rng, (0.26, 0.24, 0.22), 0.2)),
        },
        "window": softbox((-side * 1.9, -0.05, 1.05), (0.0, 0.1, 0.3), 0.7, 1.2, (7.0, 8.5, 11.0)),
        "flame": {
            "mesh": g.transform(
                g.ellipsoid((0.009, 0.009, 0.024), steps=20), g.translate(side * 0.36, 0.16, 0.622)
            ),
            "bsdf": m.matte((0, 0, 0)),
            "emitter": m.emitter(m.blackbody(kelvin, 420.0)),
        },
        "candle": {
            "mesh": g.transform(
                g.turned([(0.0, 0.0), (0.024, 0.0), (0.024, 0.145), (0.018, 0.15), (0.0, 0.146)]),
                g.translate(side * 0.36, 0.16, 0.449),
            ),
            "bsdf": m.skin((0.75, 0.62, 0.45), 0.4),
        },
        "dish": {
            "mesh": g.transform(
                g.turned(g.rounded([(0.0, 0.006), (0.05, 0.0), (0.075, 0.018)])),
                g.translate(side * 0.36, 0.16, 0.449),
            ),
            "bsdf": m.brushed((0.85, 0.6, 0.28), 0.22),
        },
    }
    for i in range(3):
        size = float(rng.uniform(0.034, 0.042))
        contents[f"apple{i}"] = {
            "mesh": g.transform(
                g.ellipsoid((size, size, size * 0.92)),
                g.translate(-side * (0.12 + 0.085 * i), 0.15 + 0.05 * (i % 2), 0.449 + size * 0.92),
            ),
            "bsdf": m.satin([(0.42, 0.03, 0.02), (0.45, 0.36, 0.05), (0.34, 0.10, 0.03)][i], 0.25),
        }
    stops = float(rng.uniform(-1.3, -0.4))
    focal = float(rng.choice([40.0, 50.0]))
    shot = Shot(
        (0.25 * side, -1.75, 0.80),
        (0.02 * side, 0.1, 0.40),
        focal,
        4.0,
        exposure_stops=stops,
        white_balance_kelvin=4600.0,
    )
    what = "striped woven cloth" if striped else "coarse two-coloured cloth"
    caption = (
        f"A {what} falling in deep folds over a wooden chest with apples and a burning candle in a brass dish, raked by cool window light "
        f"from the side, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="draped_cloth", caption=caption, subject="draped cloth", place="room", time_of_day="day",
        light_sources=[light("window", "window", 7500, in_frame=False), light("candle flame", "fire", kelvin, in_frame=True)],
        materials=["woven cloth", "wood", "wax", "brass", "apple"], tags=["interior", "still life", "texture", "practicals"],
        focal_length_mm=focal, exposure_note=exposure_note(stops),
    ))  # fmt: skip


@cache
def colour_checker() -> tuple[RGB, ...]:
    """Return the 24 patches of the ColorChecker of November 2014, row by row, under D65; out of gamut is 0."""
    # Loaded where it is used: it takes a second, and sets numpy's way of printing numbers for the whole process.
    with np.printoptions():
        import colour  # noqa: PLC0415

    chart = colour.CCS_COLOURCHECKERS["ColorChecker24 - After November 2014"]
    xyz = colour.xyY_to_XYZ(list(chart.data.values()))
    linear_rec709 = colour.XYZ_to_RGB(xyz, "ITU-R BT.709", chart.illuminant, "CAT02").clip(0)
    # Rounded, so that no last digit of a library's changes a frame.
    return tuple((red, green, blue) for red, green, blue in linear_rec709.round(4).tolist())


GREY_RAMP = tuple(0.9 * 2.0 ** (-step / 2) for step in range(12))
"""Reflectances of the grey ramp, half a stop apart from 0.9 down."""


def colour_chart(rng: np.random.Generator) -> Scene:
    """Return a colour checker and a grey ramp with a chrome and a grey ball, as shot before a take."""
    outdoors = bool(rng.random() < 0.5)
    contents: Node = {}
    patches: Node = {}
    for i, colour in enumerate(colour_checker()):
        row, column = divmod(i, 6)
        flat = g.transform(
            g.wall(0.040, 0.040), g.translate(-0.1175 + 0.047 * column, -0.004, 0.155 - 0.047 * row)
        )
        patches[f"patch{i:02d}"] = {"mesh": flat, "bsdf": m.matte(colour)}
    for i, value in enumerate(GREY_RAMP):
        flat = g.transform(g.wall(0.0235, 0.030), g.translate(-0.1293 + 0.0235 * i, -0.004, -0.045))
        patches[f"ramp{i:02d}"] = {"mesh": flat, "bsdf": m.matte((value, value, value))}
    patches["board"] = {
        "mesh": g.transform(g.box(0.32, 0.006, 0.28), g.translate(0, 0, -0.065)),
        "bsdf": m.matte((0.025, 0.025, 0.026)),
    }
    tilt = g.translate(-0.10, 0, 0.075) @ g.rotate("z", float(rng.uniform(-8, 8))) @ g.rotate("x", -6)
    contents |= {name: node | {"mesh": g.transform(node["mesh"], tilt)} for name, node in patches.items()}
    contents["chrome"] = {
        "type": "sphere",
        "center": [0.19, -0.02, 0.065],
        "radius": 0.065,
        "bsdf": m.metal("Cr"),
    }
    contents["grey"] = {
        "type": "sphere",
        "center": [0.31, 0.06, 0.065],
        "radius": 0.065,
        "bsdf": m.matte((0.18, 0.18, 0.18)),
    }
    turbidity = float(rng.choice([2.0, 3.0, 5.0]))
    elevation = float(rng.uniform(25, 55))
    when: TimeOfDay
    if outdoors:
        azimuth = float(rng.choice([-1, 1]) * rng.uniform(125, 155))
        contents["sky"] = sky.clear_sky(azimuth, elevation, turbidity)
        contents["table"] = {
            "mesh": g.transform(g.box(2.0, 1.2, 0.05, 0.8), g.translate(0, 0.2, -0.05)),
            "bsdf": m.satin(t.planks(rng, (0.16, 0.10, 0.06), (0.38, 0.26, 0.16)), 0.5),
        }
        contents["hedge"] = {
            "mesh": g.leaves(
                rng.uniform([-3, 2.2, -0.6], [3, 2.9, 1.8], (5000, 3)), rng.uniform(0.08, 0.15, 5000), rng
            ),
            "bsdf": m.leaf(t.blend(rng.random((32, 32)), (0.04, 0.10, 0.02), (0.14, 0.24, 0.05)), 0.6),
        }
        contents["behind"] = {
            "mesh": g.transform(g.wall(12, 3), g.translate(0, 3.1, -1)),
            "bsdf": m.matte((0.03, 0.05, 0.02)),
        }
        lights, place, when, balance = (
            [light("sun", "sun", 5500, in_frame=False), light("clear sky", "sky", in_frame=False)],
            "garden table",
            "day",
            5600.0,
        )
    else:
        kelvin = float(rng.choice([3200.0, 4300.0, 5600.0]))
        contents["fill"] = {"type": "constant", "radiance": m.texture((0.04, 0.04, 0.045))}
        contents["sweep"] = sweep(t.plaster(rng, (0.12, 0.12, 0.125), 0.06))
        contents["key"] = softbox((-1.2, -1.4, 1.3), (0, 0, 0.1), 0.7, 0.7, m.blackbody(kelvin, 26.0))
        contents["kicker"] = softbox((1.4, 0.6, 0.8), (0, 0, 0.1), 0.3, 0.6, m.blackbody(kelvin, 14.0))
        contents["practical"] = {
            "type": "sphere",
            "center": [0.62, 1.0, 0.42],
            "radius": 0.035,
            "emitter": m.emitter(m.blackbody(2800, 350.0)),
        }
        lights, place, when, balance = (
            [
                light("softbox", "softbox", kelvin, in_frame=False),
                light("bare bulb in the background", "practical", 2800, in_frame=True),
            ],
            "studio",
            "indoors",
            kelvin,
        )
    stops = float(rng.uniform(-1.3, -0.7))
    focal = float(rng.choice([40.0, 50.0]))
    shot = Shot(
        (0.05, -1.35, 0.30),
        (0.06, 0.0, 0.125),
        focal,
        5.6,
        exposure_stops=stops,
        white_balance_kelvin=balance,
    )
    lit = "sunlight in a garden" if outdoors else f"a {balance:.0f} K softbox with a bare bulb behind"
    caption = f"A 24-patch colour checker with a grey ramp beside a chrome ball and a grey ball on a table, a camera test under {lit}, {focal:.0f} mm lens."
    description = Description(
        scene_id="", kind="colour_chart", caption=caption, subject="colour checker", place=place, time_of_day=when, light_sources=lights,
        materials=["printed patches", "chrome", "grey paint"], tags=["chart", "camera test", "outdoors" if outdoors else "studio"],
        focal_length_mm=focal, exposure_note=exposure_note(stops),
    )  # fmt: skip
    if outdoors:
        description["turbidity"], description["sun_elevation_degrees"] = turbidity, round(elevation, 1)
    return Scene(contents, shot, description)
