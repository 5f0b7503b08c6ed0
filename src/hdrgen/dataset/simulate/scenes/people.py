"""Skin-like tones: a sculpted head under portrait light."""

import numpy as np
from numpy.typing import NDArray

from hdrgen.dataset.scene_description import Description
from hdrgen.dataset.simulate import materials as m
from hdrgen.dataset.simulate import meshes as g
from hdrgen.dataset.simulate import textures as t
from hdrgen.dataset.simulate.scene import Floats, Mesh, Node, Scene, Shot, exposure_note, light
from hdrgen.dataset.simulate.scenes.still_lifes import softbox

RGB = m.RGB
# Linear Rec.709 albedo from very fair to very dark, chosen by eye.
SKIN_ALBEDOS: dict[str, RGB] = {
    "fair": (0.60, 0.38, 0.29),
    "light": (0.50, 0.29, 0.20),
    "olive": (0.39, 0.22, 0.13),
    "brown": (0.25, 0.125, 0.072),
    "dark brown": (0.145, 0.068, 0.040),
    "deep": (0.075, 0.036, 0.024),
}


def face(rng: np.random.Generator, albedo: RGB) -> Floats:
    """Return a face painted for `meshes.head`'s coordinates, ``(512, 1024, 3)``: skin, lips, brows, eyes."""
    rows, columns = 512, 1024
    polar = (np.arange(rows) + 0.5)[:, None] / rows * np.pi
    azimuth = ((np.arange(columns) + 0.5)[None] / columns * 2 - 1) * np.pi
    x, z = np.sin(polar) * np.sin(azimuth), np.cos(polar) + 0 * azimuth
    front = np.cos(azimuth) > 0
    base = t.skin(rng, albedo)
    painted = np.tile(base, (2, 4, 1)).astype(np.float64)

    def paint(amount: NDArray[np.floating], colour: tuple[float, float, float]) -> None:
        painted[:] += (np.array(colour) - painted) * (np.clip(amount, 0, 1) * front)[..., None]

    def disc(cx: float, cz: float, rx: float, rz: float) -> NDArray[np.floating]:
        return np.clip(6 * (1 - np.hypot((np.abs(x) - cx) / rx, (z - cz) / rz)), 0, 1)

    red, green, blue = albedo
    paint(0.75 * disc(0, -0.60, 0.21, 0.105), (red * 0.85, green * 0.45, blue * 0.5))
    paint(
        0.35 * np.exp(-(((np.abs(x) - 0.48) / 0.2) ** 2) - ((z + 0.22) / 0.16) ** 2),
        (red, green * 0.75, blue * 0.75),
    )
    arch = z - 0.245 - 0.05 * np.cos((np.abs(x) - 0.30) * 6)
    paint(0.8 * np.exp(-((arch / 0.028) ** 2)) * disc(0.36, 0.27, 0.24, 0.16), (0.02, 0.013, 0.01))
    paint(0.9 * disc(0.355, 0.055, 0.125, 0.066), (0.02, 0.012, 0.01))
    paint(disc(0.355, 0.045, 0.115, 0.050), (0.26, 0.23, 0.215))
    paint(
        disc(0.355, 0.052, 0.060, 0.056),
        [(0.06, 0.025, 0.01), (0.04, 0.09, 0.12), (0.03, 0.012, 0.006)][rng.integers(3)],
    )
    paint(disc(0.355, 0.052, 0.028, 0.030), (0.004, 0.004, 0.004))
    result: Floats = painted.clip(0.002, 0.9).astype(np.float32)
    return result


def hair(rng: np.random.Generator, length: float) -> Mesh:
    """Return a cap of strands that leaves the face free; ``length`` 0 (short) to 1 (over the ears)."""
    rows, columns = 110, 240
    polar = np.linspace(1e-3, np.pi * (0.52 + 0.2 * length), rows)[:, None]
    azimuth = np.linspace(-np.pi, np.pi, columns)[None]
    # Strands are long along the polar angle and fine around the head.
    strands = t.noise(columns, rows, rng, 0.75, stretch=0.1).T
    strands[:, -1] = strands[:, 0]
    swell = 1.055 + 0.05 * strands + 0.05 * np.sin(polar) ** 2 * length
    open_face = np.exp(-((azimuth / (0.95 - 0.12 * length)) ** 4))
    hairline = 0.86 + 0.06 * (t.noise(4, columns, rng, 0.9)[0][None] - 0.5)
    polar = np.where(polar > hairline, polar + (hairline - polar) * open_face, polar)
    x, y, z = np.sin(polar) * np.sin(azimuth), -np.sin(polar) * np.cos(azimuth), np.cos(polar) + 0 * azimuth
    swell = np.where(
        (open_face > 0.5) & (np.arange(rows)[:, None] > rows * 0.6), np.minimum(swell, 1.03), swell
    )
    positions = np.stack([x, y, z], -1) * swell[..., None] * np.array([0.081, 0.101, 0.122]) + np.array(
        [0, 0.004, 0.121]
    )
    uv = np.stack(np.broadcast_arrays(azimuth / np.pi, polar), -1)
    return g.surface(positions[::-1], uv[::-1])


def portrait(rng: np.random.Generator) -> Scene:
    """Return a head and shoulders, key softbox on one side, bulbs out of focus behind."""
    names = list(SKIN_ALBEDOS)
    tone = names[int(rng.integers(len(names)))]
    side = float(rng.choice([-1.0, 1.0]))
    turn = float(rng.uniform(8, 38)) * side
    key_kelvin = float(rng.choice([3200.0, 4300.0, 5600.0]))
    pose = g.rotate("z", -turn)
    body = g.head(rng)
    head_points = 160 * 321
    skull = Mesh(
        body.positions[:head_points],
        body.faces[(body.faces < head_points).all(1)],
        None if body.uv is None else body.uv[:head_points],
        smooth=True,
    )
    torso_faces = body.faces[(body.faces >= head_points).all(1)] - head_points
    torso = Mesh(
        body.positions[head_points:],
        torso_faces.astype(np.int32),
        None if body.uv is None else body.uv[head_points:],
        smooth=True,
    )
    below = torso.positions[torso.faces].mean(1)[:, 2] < -0.048
    neck = Mesh(torso.positions, torso.faces[~below], torso.uv, smooth=True)
    garment = Mesh(
        torso.positions * np.array([1.03, 1.05, 1.0], np.float32), torso.faces[below], torso.uv, smooth=True
    )
    flesh = m.skin(t.skin(rng, SKIN_ALBEDOS[tone]), 0.75)
    shade: RGB = [
        (0.025, 0.018, 0.013),
        (0.07, 0.035, 0.015),
        (0.01, 0.009, 0.009),
        (0.22, 0.12, 0.045),
        (0.13, 0.12, 0.115),
    ][rng.integers(5)]
    shirt: RGB = [
        (0.30, 0.28, 0.25),
        (0.04, 0.07, 0.14),
        (0.25, 0.04, 0.03),
        (0.05, 0.09, 0.06),
        (0.02, 0.02, 0.022),
    ][rng.integers(5)]
    contents: Node = {
        "fill": {"type": "constant", "radiance": m.texture((0.010, 0.012, 0.018))},
        "skull": {
            "mesh": g.transform(skull, pose),
            "bsdf": m.skin(face(rng, SKIN_ALBEDOS[tone]), float(rng.uniform(0.5, 0.6))),
        },
        "neck": {"mesh": g.transform(neck, pose), "bsdf": flesh},
        "hair": {
            "mesh": g.transform(hair(rng, float(rng.uniform(0, 1))), pose),
            "bsdf": m.satin(shade, 0.55, 0.25),
        },
        "garment": {
            "mesh": g.transform(garment, g.rotate("z", -turn * 0.5)),
            "bsdf": m.cloth(t.weave(rng, shirt, m.scaled(shirt, 0.7), 40)),
        },
        "key": softbox((-side * 0.80, -0.95, 0.85), (0, 0, 0.1), 0.55, 0.75, m.blackbody(key_kelvin, 22.0)),
        "bounce": softbox((side * 0.7, -1.3, 0.15), (0, 0, 0.1), 0.9, 0.9, m.blackbody(key_kelvin, 2.2)),
        "rim": softbox((side * 0.8, 0.75, 0.65), (0, 0, 0.1), 0.20, 0.8, m.blackbody(5600.0, 14.0)),
        "wall": {
            "mesh": g.transform(g.wall(9, 5, 1.5), g.translate(0, 4.2, -1.5)),
            "bsdf": m.matte(t.bricks(rng, (0.10, 0.075, 0.07), (0.10, 0.095, 0.09))),
        },
    }
    count = int(rng.integers(4, 8))
    for i in range(count):
        x = -1.15 + 2.3 * (i + 0.5) / count + float(rng.normal(0, 0.06))
        contents[f"bulb{i}"] = {
            "type": "sphere",
            "center": [
                x,
                float(rng.uniform(2.4, 3.6)),
                0.16 + 0.30 * abs(x) ** 2 * 0.5 + float(rng.normal(0, 0.05)),
            ],
            "radius": 0.038,
            "emitter": m.emitter(m.blackbody(2500, float(rng.uniform(25, 60)))),
        }
    stops = float(rng.uniform(-2.4, -1.7))
    focal = float(rng.choice([50.0, 65.0]))
    distance = 0.0255 * focal
    shot = Shot(
        (0.0, -distance, 0.12),
        (0.035 * side, 0.0, 0.055),
        focal,
        2.8,
        distance - 0.08,
        stops,
        max(key_kelvin, 3400.0),
    )
    caption = (
        f"A portrait of a sculpted person with {tone} skin before a brick wall, lit from the {'left' if side > 0 else 'right'} by a {key_kelvin:.0f} K softbox "
        f"with a cool rim light, {count} festoon bulbs out of focus behind, {focal:.0f} mm lens."
    )
    return Scene(contents, shot, Description(
        scene_id="", kind="portrait", caption=caption, subject=f"head and shoulders, {tone} skin", place="studio with a brick wall", time_of_day="evening",
        light_sources=[light("key softbox", "softbox", key_kelvin, in_frame=False), light("bounce card", "softbox", key_kelvin, in_frame=False), light("rim light", "softbox", 5600, in_frame=False), light("festoon bulbs", "practical", 2500, in_frame=True)],
        materials=["skin", "hair", "cloth", "brick"], tags=["interior", "portrait", "skin tone", "shallow focus", "practicals"],
        focal_length_mm=focal, exposure_note=exposure_note(stops),
    ))  # fmt: skip
