"""Surfaces and light as Mitsuba dictionary nodes; colours are linear Rec.709."""

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import REC709, rgb_to_xyz
from hdrgen.dataset.simulate.camera import planckian_xy
from hdrgen.dataset.simulate.scene import Node

RGB = tuple[float, float, float]
Colour = RGB | NDArray[np.floating]
"""One colour, or a picture ``(H, W, 3)``."""


def texture(colour: Colour | float) -> Node | float:
    """Return a number as it is, a colour as an ``rgb`` node and a picture as a ``bitmap`` node."""
    if isinstance(colour, np.ndarray):
        return {"type": "bitmap", "bitmap": colour, "raw": True}
    if isinstance(colour, tuple):
        return {"type": "rgb", "value": list(colour)}
    return colour


METALS: dict[str, RGB] = {
    "Cr": (0.688, 0.649, 0.687),
    "Au": (0.967, 0.802, 0.324),
    "Ag": (0.975, 0.958, 0.906),
    "Cu": (0.952, 0.620, 0.511),
    "Al": (0.928, 0.918, 0.919),
}
"""Reflectances at normal incidence, linear Rec.709, of the conductors that Mitsuba 3.9.1 knows by these names."""


def scaled(colour: RGB, factor: float) -> RGB:
    """Return a colour times a factor."""
    red, green, blue = colour
    return (red * factor, green * factor, blue * factor)


def matte(colour: Colour) -> Node:
    """Return a diffuse surface, seen from both sides."""
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": texture(colour)}}


def satin(colour: Colour, roughness: float | NDArray[np.floating] = 0.4, specular: float = 0.5) -> Node:
    """Return a painted, varnished or plastic surface, roughness 0 to 1."""
    return {
        "type": "twosided",
        "bsdf": {
            "type": "principled",
            "base_color": texture(colour),
            "roughness": texture(roughness),
            "specular": specular,
        },
    }


def cloth(colour: Colour) -> Node:
    """Return a fabric: rough, with the sheen of fibres at grazing angles."""
    return {
        "type": "twosided",
        "bsdf": {
            "type": "principled",
            "base_color": texture(colour),
            "roughness": 0.9,
            "specular": 0.2,
            "sheen": 0.8,
            "sheen_tint": 0.5,
        },
    }


def skin(colour: Colour, roughness: float = 0.42) -> Node:
    """Return a skin-like surface: flattened diffuse towards the edge, soft specular, a thin moist coat."""
    return {
        "type": "twosided",
        "bsdf": {
            "type": "principled",
            "base_color": texture(colour),
            "roughness": roughness,
            "specular": 0.45,
            "flatness": 0.5,
            "clearcoat": 0.12,
            "clearcoat_gloss": 0.75,
        },
    }


def metal(material: str = "Cr", roughness: float = 0.0) -> Node:
    """Return a metal of `METALS`; roughness 0 (a mirror) to 1."""
    if roughness <= 0.0:
        return {"type": "twosided", "bsdf": {"type": "conductor", "material": material}}
    # Not `roughconductor`: Mitsuba has no reflectance for it, which the noise filter divides by.
    return brushed(METALS[material], roughness)


def brushed(colour: RGB, roughness: float) -> Node:
    """Return a tinted metal, such as brass chosen by eye, roughness 0 to 1."""
    return {
        "type": "twosided",
        "bsdf": {
            "type": "principled",
            "base_color": texture(colour),
            "metallic": 1.0,
            "roughness": roughness,
        },
    }


def lacquer(colour: RGB) -> Node:
    """Return car paint: a coloured base under a glossy clear coat."""
    return {
        "type": "twosided",
        "bsdf": {
            "type": "principled",
            "base_color": texture(colour),
            "metallic": 0.35,
            "roughness": 0.35,
            "clearcoat": 1.0,
            "clearcoat_gloss": 0.97,
        },
    }


def glass(tint: RGB = (1.0, 1.0, 1.0), ior: float = 1.5) -> Node:
    """Return solid, clear glass; ``tint`` is what one surface lets through."""
    return {"type": "dielectric", "int_ior": ior, "specular_transmittance": texture(tint)}


def leaf(colour: Colour, through: float = 0.7) -> Node:
    """Return a leaf: thin, glossy, letting ``through`` (0 to 2) of the diffuse light shine through."""
    return {
        "type": "principledthin",
        "base_color": texture(colour),
        "roughness": 0.45,
        "diff_trans": through,
        "spec_trans": 0.0,
        "eta": 1.4,
    }


def emitter(radiance: Colour) -> Node:
    """Return an area light of the given relative radiance."""
    return {"type": "area", "radiance": texture(radiance)}


def blackbody(kelvin: float, luminance: float = 1.0) -> RGB:
    """Return the Rec.709 colour of a black body, 1667 to 25000 K, at a relative luminance.

    Components out of gamut (blue below about 1900 K) are set to 0.
    """
    x, y = planckian_xy(kelvin)
    xyz = np.array([x / y, 1.0, (1 - x - y) / y])
    red, green, blue = np.maximum(np.linalg.solve(rgb_to_xyz(REC709), xyz), 0.0) * luminance
    return (float(red), float(green), float(blue))
