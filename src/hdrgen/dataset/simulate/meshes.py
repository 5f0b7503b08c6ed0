"""Geometry out of numpy: sheets, boxes, turned shapes, tubes, leaves, heads. Metres, z up."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hdrgen.dataset.simulate.scene import Floats, Mesh

Matrix = NDArray[np.float64]


def translate(x: float, y: float, z: float) -> Matrix:
    """Return a 4x4 translation in metres."""
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def scale(x: float, y: float | None = None, z: float | None = None) -> Matrix:
    """Return a 4x4 scaling, uniform when only ``x`` is given."""
    return np.diag([x, x if y is None else y, x if z is None else z, 1.0])


def rotate(axis: str, degrees: float) -> Matrix:
    """Return a 4x4 right-handed rotation about ``x``, ``y`` or ``z``."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[second, first], matrix[first, second] = sine, -sine
    return matrix


def transform(mesh: Mesh, matrix: Matrix) -> Mesh:
    """Return the mesh moved by a 4x4 matrix."""
    positions = mesh.positions @ matrix[:3, :3].T + matrix[:3, 3]
    return Mesh(positions.astype(np.float32), mesh.faces, mesh.uv, mesh.smooth)


def merge(meshes: list[Mesh]) -> Mesh:
    """Return several meshes as one; all must have texture coordinates or none."""
    offsets = np.cumsum([0, *(len(mesh.positions) for mesh in meshes[:-1])])
    faces = [mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]
    uv = [mesh.uv for mesh in meshes if mesh.uv is not None]
    return Mesh(
        np.concatenate([mesh.positions for mesh in meshes]),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(uv) if len(uv) == len(meshes) else None,
        meshes[0].smooth,
    )


def surface(positions: NDArray[np.floating], uv: NDArray[np.floating], *, smooth: bool = True) -> Mesh:
    """Return the sheet through a grid of points.

    Parameters
    ----------
    positions
        ``(rows, columns, 3)`` in metres.
    uv
        ``(rows, columns, 2)``.
    smooth
        Interpolate normals.
    """
    rows, columns = positions.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return Mesh(
        positions.reshape(-1, 3).astype(np.float32),
        faces.astype(np.int32),
        uv.reshape(-1, 2).astype(np.float32),
        smooth,
    )


def sheet(
    width: float, depth: float, heights: NDArray[np.floating] | None = None, texture_size: float = 1.0
) -> Mesh:
    """Return a horizontal sheet centred on the origin, displaced upwards by ``heights`` ``(rows, columns)``.

    ``texture_size`` is the size of one texture repeat in metres.
    """
    heights = np.zeros((2, 2)) if heights is None else heights
    rows, columns = heights.shape
    y, x = np.meshgrid(
        np.linspace(-depth / 2, depth / 2, rows), np.linspace(-width / 2, width / 2, columns), indexing="ij"
    )
    uv = np.stack([x + width / 2, y + depth / 2], -1) / texture_size
    return surface(np.stack([x, y, heights], -1), uv, smooth=rows > 2)


def wall(width: float, height: float, texture_size: float = 1.0) -> Mesh:
    """Return an upright sheet in the x-z plane facing -y, its lower edge centred on the origin."""
    flat = sheet(width, height, texture_size=texture_size)
    return transform(flat, translate(0, 0, height / 2) @ rotate("x", 90))


def box(width: float, depth: float, height: float, texture_size: float = 1.0) -> Mesh:
    """Return a closed box standing on the origin, texture running in metres on every side."""
    sides = []
    for across, up, out, turn in (
        (width, height, depth, rotate("x", 90)),
        (width, height, depth, rotate("z", 180) @ rotate("x", 90)),
        (depth, height, width, rotate("z", 90) @ rotate("x", 90)),
        (depth, height, width, rotate("z", -90) @ rotate("x", 90)),
        (width, depth, height, np.eye(4)),
        (width, depth, height, rotate("x", 180)),
    ):
        side = transform(sheet(across, up, texture_size=texture_size), turn @ translate(0, 0, out / 2))
        sides.append(transform(side, translate(0, 0, height / 2)))
    return merge(sides)


def turned(profile: ArrayLike, segments: int = 48, *, smooth: bool = True) -> Mesh:
    """Return a shape turned on a lathe.

    Parameters
    ----------
    profile
        ``(K, 2)``: radius and height of the outline in metres, from the foot up.
    segments
        Steps around the axis.
    smooth
        Interpolate normals.
    """
    outline = np.asarray(profile, float)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    radius, height = outline[:, 0][:, None], outline[:, 1][:, None]
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    positions = np.stack([x, y, np.broadcast_to(height, x.shape)], -1)
    along = np.linspace(0, 1, len(outline))[:, None]
    uv = np.stack(np.broadcast_arrays(angle / (2 * np.pi), along), -1)
    return surface(positions, uv, smooth=smooth)


def rounded(profile: ArrayLike, steps: int = 6) -> NDArray[np.float64]:
    """Return an outline ``(K, 2)`` with its corners eased by Catmull-Rom interpolation."""
    points = np.asarray(profile, float)
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for p0, p1, p2, p3 in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        pieces.append(
            0.5
            * (
                2 * p1
                + (p2 - p0) * t
                + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                + (3 * p1 - p0 - 3 * p2 + p3) * t**3
            )
        )
    eased = np.concatenate([*pieces, points[-1:]])
    eased[:, 0] = np.maximum(eased[:, 0], 0.0)
    return eased


def tube(path: ArrayLike, radius: float | NDArray[np.floating], segments: int = 8) -> Mesh:
    """Return a tube along points ``(K, 3)``; ``radius`` in metres, one or one per point."""
    points = np.asarray(path, float)
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    upright = np.where(np.abs(tangent[:, 2:3]) > 0.9, [[1.0, 0, 0]], [[0, 0, 1.0]])
    side = np.cross(tangent, upright)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(tangent, side)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    ring = side[:, None] * np.cos(angle)[None, :, None] + other[:, None] * np.sin(angle)[None, :, None]
    radii = np.broadcast_to(np.asarray(radius, float), (len(points),))[:, None, None]
    positions = points[:, None] + ring * radii
    along = np.linspace(0, 1, len(points))[:, None]
    uv = np.stack(np.broadcast_arrays(angle / (2 * np.pi), along), -1)
    return surface(positions, uv)


def leaves(
    centres: NDArray[np.floating], lengths: NDArray[np.floating], rng: np.random.Generator, droop: float = 0.3
) -> Mesh:
    """Return many small folded leaves as one mesh.

    Parameters
    ----------
    centres
        ``(N, 3)`` in metres.
    lengths
        ``(N,)`` in metres.
    rng
        Decides where each leaf points.
    droop
        How far leaves hang, 0 upright to 1 straight down.
    """
    count = len(centres)
    outline = np.array([[0, 0], [0.22, 0.3], [0.24, 0.55], [0, 1.0], [-0.24, 0.55], [-0.22, 0.3], [0, 0.42]])
    fold = np.abs(outline[:, 0]) * 0.5
    along = rng.normal(size=(count, 3))
    along[:, 2] -= droop * 3
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, rng.normal(size=(count, 3)))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, along)
    local = (
        outline[None, :, 0:1] * side[:, None]
        + outline[None, :, 1:2] * along[:, None]
        + fold[None, :, None] * up[:, None]
    )
    positions = centres[:, None] + local * lengths[:, None, None]
    fan = np.array([[6, 0, 1], [6, 1, 2], [6, 2, 3], [6, 3, 4], [6, 4, 5], [6, 5, 0]])
    faces = fan[None] + 7 * np.arange(count)[:, None, None]
    # A leaf's place in the texture is its own spot plus its outline, so that colour varies from leaf to leaf.
    uv = rng.random((count, 1, 2)) + outline[None] * 0.04
    return Mesh(
        positions.reshape(-1, 3).astype(np.float32),
        faces.reshape(-1, 3).astype(np.int32),
        uv.reshape(-1, 2).astype(np.float32),
    )


def ellipsoid(
    radii: tuple[float, float, float], bumps: NDArray[np.floating] | None = None, steps: int = 64
) -> Mesh:
    """Return an ellipsoid about the origin; ``bumps`` ``(steps, 2 * steps)`` moves it along its radius, relative."""
    polar = np.linspace(1e-3, np.pi - 1e-3, steps)[:, None]
    azimuth = np.linspace(0, 2 * np.pi, 2 * steps)[None]
    direction = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar) + 0 * azimuth], -1
    )
    swell = 1.0 if bumps is None else 1.0 + bumps[..., None]
    uv = np.stack(np.broadcast_arrays(azimuth / (2 * np.pi), polar / np.pi), -1)
    return surface((direction * np.array(radii) * swell)[::-1], uv[::-1])


def head(rng: np.random.Generator, steps: int = 160) -> Mesh:
    """Return a sculpted head with neck and shoulders, about 0.5 m tall, facing -y, chin near the origin.

    A radial displacement of an egg: brow, eye sockets, nose, lips, cheeks, ears and jaw are smooth bumps on it.
    """
    polar = np.linspace(1e-3, np.pi - 1e-3, steps)[:, None]
    azimuth = np.linspace(-np.pi, np.pi, 2 * steps + 1)[None]  # 0 is the face, -y
    x = np.sin(polar) * np.sin(azimuth)
    y = -np.sin(polar) * np.cos(azimuth)
    z = np.cos(polar) + 0 * azimuth
    front = np.clip(-y, 0, 1)
    vary = rng.normal(scale=0.12, size=8)

    def bump(cx: float, cz: float, wx: float, wz: float) -> NDArray[np.float64]:
        mirrored = np.exp(-(((np.abs(x) - cx) / wx) ** 2) - ((z - cz) / wz) ** 2)
        swell: NDArray[np.float64] = mirrored * front**0.5
        return swell

    radius = 1.0 + 0 * x
    jaw = np.clip(-z, 0, 1)
    radius -= 0.10 * jaw**1.5 * (1 - 0.6 * front)  # the jaw narrows towards the chin
    radius += 0.05 * (1 + vary[0]) * bump(0.0, -0.93, 0.28, 0.14)  # chin
    radius -= 0.085 * bump(0.37, 0.06, 0.17, 0.13)  # eye sockets
    radius += 0.045 * bump(0.36, 0.05, 0.11, 0.075)  # eyelids over the eyes
    radius += 0.035 * (1 + vary[1]) * bump(0.30, 0.25, 0.26, 0.07)  # brow
    radius += 0.045 * (1 + vary[2]) * bump(0.52, -0.22, 0.20, 0.22)  # cheekbones
    slope = np.clip((0.18 - z) / 0.55, 0, 1) * (z > -0.42)
    tip = np.exp(-(((z + 0.30) / 0.14) ** 2))
    ridge = np.exp(-((x / (0.075 + 0.06 * tip)) ** 2))
    radius += (0.17 * slope * np.clip((z + 0.50) / 0.12, 0, 1) + 0.06 * tip) * ridge * front  # nose
    radius += 0.055 * bump(0.0, -0.545, 0.21, 0.055) + 0.06 * bump(0.0, -0.655, 0.18, 0.055)  # lips
    radius -= 0.03 * bump(0.0, -0.60, 0.20, 0.018)  # the line between them
    radius += 0.10 * np.exp(
        -(((np.abs(x) - 0.97) / 0.10) ** 2) - ((z + 0.02) / 0.25) ** 2 - ((y - 0.12) / 0.13) ** 2
    )
    radii = np.array([0.078 + 0.004 * vary[3], 0.098, 0.113 + 0.005 * vary[4]])
    positions = np.stack([x, y, z], -1) * radius[..., None] * radii
    uv = np.stack(np.broadcast_arrays((azimuth + np.pi) / (2 * np.pi), polar / np.pi), -1)
    skull = transform(surface(positions[::-1], uv[::-1]), translate(0, 0, 0.12))
    ring = np.linspace(0, 2 * np.pi, 97)[None]
    outline = rounded(
        [
            (0.050, 0.10),
            (0.048, 0.04),
            (0.051, -0.005),
            (0.072, -0.045),
            (0.145, -0.075),
            (0.20, -0.12),
            (0.215, -0.21),
            (0.20, -0.45),
        ]
    )
    wide = np.interp(outline[:, 1], [-0.17, -0.03], [0.55, 1.0])[:, None]
    torso = np.stack(
        [
            outline[:, :1] * np.sin(ring),
            0.025 - outline[:, :1] * np.cos(ring) * wide,
            outline[:, 1:] + 0 * ring,
        ],
        -1,
    )
    uv = np.stack(np.broadcast_arrays(ring / (2 * np.pi) * 3, outline[:, 1:] * 6), -1)
    return merge([skull, surface(torso[::-1], uv)])


def ply_bytes(mesh: Mesh) -> bytes:
    """Return the mesh as a binary PLY file."""
    columns = [mesh.positions]
    names = ["x", "y", "z"]
    if mesh.smooth:
        columns.append(_normals(mesh))
        names += ["nx", "ny", "nz"]
    if mesh.uv is not None:
        columns.append(mesh.uv)
        names += ["u", "v"]
    header = "\n".join(
        [
            "ply",
            "format binary_little_endian 1.0",
            f"element vertex {len(mesh.positions)}",
            *(f"property float {name}" for name in names),
            f"element face {len(mesh.faces)}",
            "property list uchar int vertex_indices",
            "end_header\n",
        ]
    )
    faces = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("indices", "<i4", 3)])
    faces["count"], faces["indices"] = 3, mesh.faces
    vertices = np.concatenate(columns, axis=1, dtype="<f4")
    return header.encode() + vertices.tobytes() + faces.tobytes()


def _normals(mesh: Mesh) -> Floats:
    a, b, c = (mesh.positions[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    faces = np.cross(b - a, c - a)
    # Points that coincide (the seam of a lathe) share a normal, or the seam shows as a line.
    _, shared = np.unique(np.round(mesh.positions, 5), axis=0, return_inverse=True)
    shared = shared.reshape(-1)
    total = np.zeros((shared.max() + 1, 3))
    for corner in range(3):
        np.add.at(total, shared[mesh.faces[:, corner]], faces)
    normals = total[shared]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 0, normals / np.maximum(length, 1e-20), [0.0, 0.0, 1.0])
    result: Floats = normals.astype(np.float32)
    return result
