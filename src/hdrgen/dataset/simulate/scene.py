"""What a scene is: plain data that describes geometry, light, camera and itself, without importing Mitsuba.

A scene's ``contents`` is a Mitsuba dictionary with three liberties, resolved by `hdrgen.dataset.simulate.render`:
a `Mesh` stands where a shape's file would, a numpy array ``(H, W, 3)`` or ``(H, W)`` where a bitmap would, and a
4x4 numpy array where a transform would. Metres, z up. Colours are linear Rec.709; radiance is relative, because
the exposure of a frame is metered from its picture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.dataset.scene_description import Description, LightKind, LightSource

Floats = NDArray[np.float32]
Node = dict[str, Any]
"""One node of a scene dictionary, as Mitsuba's ``load_dict`` takes it."""
SENSOR_WIDTH_MM = 27.99  # ARRI ALEXA 35, 4.6K Open Gate


@dataclass(frozen=True)
class Mesh:
    """Triangles with optional texture coordinates.

    Parameters
    ----------
    positions
        ``(N, 3)`` in metres.
    faces
        ``(M, 3)`` indices into ``positions``.
    uv
        ``(N, 2)``; one unit is one repeat of a texture.
    smooth
        Interpolate normals over shared vertices.
    """

    positions: Floats
    faces: NDArray[np.int32]
    uv: Floats | None = None
    smooth: bool = False


@dataclass(frozen=True)
class Shot:
    """Where the camera stands and what is on it.

    Parameters
    ----------
    origin, target
        Positions in metres; the camera looks from the first at the second.
    focal_length_mm
        On the ALEXA 35's 27.99 mm wide sensor.
    f_number
        Aperture. Depth of field follows from it.
    focus_distance_m
        Distance in focus; the target's distance when missing.
    exposure_stops
        Where the metered scene is placed: 0 puts its middle at 18 % grey, -2 is a night.
    white_balance_kelvin
        Light of this temperature comes out neutral.
    roll_degrees
        Tilt of the horizon.
    """

    origin: tuple[float, float, float]
    target: tuple[float, float, float]
    focal_length_mm: float
    f_number: float = 4.0
    focus_distance_m: float | None = None
    exposure_stops: float = 0.0
    white_balance_kelvin: float = 6504.0
    roll_degrees: float = 0.0


@dataclass(frozen=True)
class SunInFrame:
    """A sun that a scene means to show.

    Parameters
    ----------
    towards
        Unit vector to it.
    seen, hidden
        Words of the caption, and what stands in their place should leaves or the picture's edge hide the sun.
    """

    towards: tuple[float, float, float]
    seen: str
    hidden: str


@dataclass(frozen=True)
class Scene:
    """One scene, ready to be rendered; paths of light end after ``max_depth`` segments."""

    contents: Node
    shot: Shot
    description: Description
    max_depth: int = 4
    sun: SunInFrame | None = None


def light(
    name: str,
    kind: LightKind,
    kelvin: float | None = None,
    *,
    in_frame: bool,
) -> LightSource:
    """Return one light of a description."""
    source = LightSource(name=name, kind=kind, in_frame=in_frame)
    if kelvin is not None:
        source["colour_temperature_kelvin"] = round(kelvin)
    return source


def exposure_note(stops: float) -> str:
    """Return where the middle of the picture sits, in words."""
    if stops < -1.2:
        return f"low key, the scene's middle {abs(stops):.1f} stops under grey"
    if stops < -0.25:
        return f"{abs(stops):.1f} stops under grey"
    if stops > 0.25:
        return f"{stops:.1f} stops over grey"
    return "scene's middle at 18 % grey"
