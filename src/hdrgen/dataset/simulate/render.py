"""Scenes into pictures: Mitsuba 3, then a feature-guided filter that takes out the Monte Carlo noise.

The result does not depend on the number of threads: every pixel's samples are added up in one block of fixed
size, and the box reconstruction filter never spreads a sample over its neighbours.
"""

import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hdrgen.dataset.simulate import meshes
from hdrgen.dataset.simulate.denoise import Features, denoise
from hdrgen.dataset.simulate.scene import SENSOR_WIDTH_MM, Floats, Mesh, Node, Scene, Shot

PASSES = 4  # independent renders of a frame; what they disagree in is noise
FEATURE_SAMPLES = 12
BLOCK_SIZE = 32


def render(scene: Scene, width: int, height: int, samples_per_pixel: int, seed: int) -> Floats:
    """Render a scene.

    Parameters
    ----------
    scene
        What to render.
    width, height
        Pixels.
    samples_per_pixel
        Light paths per pixel, split over `PASSES`.
    seed
        Of the light paths, 32 bits.

    Returns
    -------
    numpy.ndarray
        Scene-linear Rec.709 ``(height, width, 3)`` float32 in the scene's own relative radiance, from 0.
    """
    # Any, because Mitsuba's annotations describe its vectorised variants, which take no plain numbers.
    mi: Any = importlib.import_module("mitsuba")
    mi.set_variant("scalar_rgb")
    mi.set_log_level(mi.LogLevel.Error)
    with tempfile.TemporaryDirectory(prefix="hdrgen-scene-") as folder:
        contents = _resolve(scene.contents, Path(folder), mi)
        contents |= {
            "type": "scene",
            "sensor": _sensor(scene.shot, width, height, mi),
            "integrator": {
                "type": "path",
                "max_depth": scene.max_depth,
                "rr_depth": 16,
                "block_size": BLOCK_SIZE,
            },
        }
        # Optimising merges meshes by address, which would shuffle the lamps from run to run.
        loaded = mi.load_dict(contents, parallel=False, optimize=False)
    per_pass = max(1, samples_per_pixel // PASSES)
    passes = np.stack(
        [np.array(mi.render(loaded, spp=per_pass, seed=(seed + i) % 2**32))[..., :3] for i in range(PASSES)]
    )
    channels = mi.load_dict(
        {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal,depth:depth", "block_size": BLOCK_SIZE}
    )
    rendered = np.array(mi.render(loaded, integrator=channels, spp=FEATURE_SAMPLES, seed=seed))[..., -7:]
    rendered = np.nan_to_num(rendered).astype(np.float32)
    features = Features(
        albedo=rendered[..., :3].clip(0, 1), normal=rendered[..., 3:6], depth=rendered[..., 6]
    )
    return denoise(passes.astype(np.float32), features)


def _sensor(shot: Shot, width: int, height: int, mi: Any) -> Node:
    distance = shot.focus_distance_m or float(np.linalg.norm(np.subtract(shot.target, shot.origin)))
    up = meshes.rotate("y", shot.roll_degrees)[:3, 2]
    return {
        "type": "thinlens",
        "fov_axis": "x",
        "fov": float(np.degrees(2 * np.arctan(SENSOR_WIDTH_MM / 2 / shot.focal_length_mm))),
        "aperture_radius": shot.focal_length_mm / shot.f_number / 2 / 1000,
        "focus_distance": distance,
        "near_clip": 0.02,
        "far_clip": 20000.0,
        "to_world": mi.ScalarTransform4f().look_at(list(shot.origin), list(shot.target), up.tolist()),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
            "component_format": "float32",
        },
        "sampler": {"type": "independent"},
    }


def _resolve(node: Node, folder: Path, mi: Any) -> Node:
    """Replace meshes, arrays and matrices by what Mitsuba takes."""
    resolved: Node = {}
    for key, value in node.items():
        if isinstance(value, Mesh):
            path = folder / f"{len(list(folder.iterdir())):05d}.ply"
            path.write_bytes(meshes.ply_bytes(value))
            resolved |= {"type": "ply", "filename": str(path), "face_normals": not value.smooth}
        elif isinstance(value, dict):
            resolved[key] = _resolve(value, folder, mi)
        elif isinstance(value, np.ndarray) and value.shape == (4, 4):
            resolved[key] = mi.ScalarTransform4f(value)
        elif isinstance(value, np.ndarray):
            resolved[key] = mi.Bitmap(np.ascontiguousarray(value, dtype=np.float32))
        else:
            resolved[key] = value
    return resolved
