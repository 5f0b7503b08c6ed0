"""What the words in the names of layers and parts mean: the picture, a part of its light, or data."""

import re
from collections.abc import Collection
from typing import Literal

# What renderers call their picture, the surest name first.
BEAUTY = (
    "rgba", "rgb", "beauty", "bty", "combined", "primary", "main", "master", "image", "final", "composite",
    "effectsresult", "color", "colour", "ci", "c", "default",
)  # fmt: skip
# The same, that mean it within a longer name as well, such as beauty_denoised.
_BEAUTY_WORDS = (
    "rgba",
    "rgb",
    "beauty",
    "bty",
    "combined",
    "primary",
    "main",
    "master",
    "final",
    "composite",
)
_PASSES = frozenset(
    (
        "albedo", "ambient", "ao", "background", "bg", "caustics", "coat", "diff", "diffuse", "direct", "emission",
        "emit", "env", "environment", "gi", "gloss", "glossy", "indirect", "light", "lighting", "mask", "matte", "mist",
        "occlusion", "raw", "reflect", "reflection", "refract", "refraction", "shadow", "shadows", "sheen", "spec",
        "specular", "sss", "subsurface", "trans", "transmission", "volume",
    )
)  # fmt: skip
# Data, whether a name is such a word or ends in one; written together too, such as worldnormals.
_DATA_ENDINGS = (
    "coord", "coords", "coordinates", "depth", "dpdu", "dpdv", "hitn", "hitp", "hitpz", "nref", "multimatte", "normal", "normals",
    "position", "positions", "pref", "puzzlematte", "roughness", "tangent", "tangents", "vector", "vectors", "velocity", "wirecolor",
    "wirecolour", "worldpos", "wpos",
)  # fmt: skip
_DATA_LAST_WORDS = frozenset(
    (
        "bitangent", "camn", "camp", "camz", "curvature", "distance", "id", "ids", "indexma", "indexob",
        "materialid", "metallic", "metalness", "motionback", "motionfore", "mtlid", "nodeid", "normalsdot",
        "nworld", "objectid", "pcam", "pos", "pworld", "pz", "renderid", "samplecount", "samplerate", "uv",
        "uvs", "uvw", "variance", "wpp", "zback", "zbuffer",
    )
)  # fmt: skip
# Data where a name is nothing else; within a longer one they may be a shot's or a department's.
_DATA_NAMES = frozenset(
    (
        "alpha", "opacity", "mv", "ng", "ngn", "nn", "nw", "st", "wp", "dz", "cputime", "defocusamount", "density", "facingratio", "flow", "hash", "heatmap", "incidence",
        "index", "instanceid", "motion", "mse", "ncam", "neye", "no", "nobj", "noiselevel", "non", "ns", "p", "n",
        "pixelsamples", "po", "pobj", "primid", "pw", "raycount", "samplerinfo", "samples", "tn", "u", "v", "vlen",
        "vn", "z",
    )
)  # fmt: skip
_DATA_WORDS = frozenset((*_DATA_ENDINGS, *_DATA_LAST_WORDS, "flow", "hash", "index", "motion", "samples"))
_IDS = frozenset(
    (
        "id",
        "ids",
        "objectid",
        "materialid",
        "instanceid",
        "primid",
        "mtlid",
        "nodeid",
        "renderid",
        "indexob",
        "indexma",
    )
)
_DEPTHS = frozenset(("zback", "zbuffer", "distance", "pz", "hitpz", "camz"))
# Says that it is light, whatever the view layer above it is called.
_SURELY_LIGHT = frozenset(("beauty", "bty", "combined", "rgba"))
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_VERSION = re.compile(r"(?<=[a-z_ -])[_ -]?[vV]?\d+$|(?<=[A-Z]{2})\d+$")  # not of N010, which is a shot
_SEPARATORS = re.compile(r"[_ -]")
# N_world, hitP, PWorld: a normal or a point, joined to where it is seen from.
_NORMAL_OR_POINT = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=[a-z]))[NP](?=[_ -]\w|(?<!^.)$)|^[NP](?=[A-Z][a-z])")

Certainty = Literal["data", "maybe data", ""]
NumbersKind = Literal["depth", "bits", "other"]
"""Depth may be infinite by custom; bits are ids and Cryptomatte's hashes, which stand for nothing as numbers."""


def words_in(component: str) -> list[str]:
    """Return the words of a name between two dots, in lower case.

    Examples
    --------
    >>> words_in("VRayZDepth"), words_in("beauty_denoised2")
    (['v', 'ray', 'z', 'depth'], ['beauty', 'denoised'])
    """
    return [word.lower() for word in _WORD.findall(component)]


def is_named_data(component: str) -> bool:
    """Tell whether a name between two dots is a word for data, or ends in one.

    Examples
    --------
    >>> is_named_data("BumpNormals"), is_named_data("P_world"), is_named_data("motion_graphics")
    (True, True, False)
    """
    component = _VERSION.sub("", component)
    bare = _SEPARATORS.sub("", component).lower()
    return (
        is_hash(component)
        or bare in _DATA_NAMES
        or (bare.endswith(_DATA_ENDINGS) and not bare.endswith("composition"))
        or not _DATA_LAST_WORDS.isdisjoint((bare, *words_in(component)[-1:]))
        or _NORMAL_OR_POINT.search(component) is not None
    )


def is_hash(component: str) -> bool:
    """Tell whether a name between two dots is Cryptomatte's."""
    words = words_in(component)
    hashed = any(word.startswith(("crypto", "ucrypto")) for word in (component.lower(), *words))
    return hashed or "".join(words).endswith("hitproxymask")


def is_id(component: str, *, within: bool) -> bool:
    """Tell whether a name between two dots is one of ids; `within` looks for the word anywhere in it."""
    return not _IDS.isdisjoint(_telling(component, within=within))


def is_depth(component: str, *, within: bool) -> bool:
    """Tell whether a name between two dots is one of depths; `within` looks for the word anywhere in it."""
    return any(word in _DEPTHS or word.endswith("depth") for word in _telling(component, within=within))


def numbers_kind(part_name: str, channel: str, beside: Collection[str]) -> NumbersKind:
    """Tell what the numbers of a channel that is no picture are by its name, that of its layer and that of its part.

    Parameters
    ----------
    part_name, channel
        As stored.
    beside
        All channels of the part.

    Examples
    --------
    >>> numbers_kind("", "crypto_object00.R", ()), numbers_kind("", "Z", ("Z",)), numbers_kind("", "N.Z", ("N.X", "N.Z"))
    ('bits', 'depth', 'other')
    """
    layer, _, base = channel.rpartition(".")
    path = _components(part_name, layer)
    # What is above is called after shots and departments, and so may be a part.
    own = [(component, bool(layer)) for component in path[-1:]] + [(base, True)]
    if any(map(is_hash, (*path, base))) or any(is_id(component, within=within) for component, within in own):
        return "bits"
    vector = f"{layer}.X" if layer else "X"  # whose Z is no depth
    if any(is_depth(component, within=within) for component, within in own) or (
        base in {"Z", "z"} and not {vector, vector.lower()} & set(beside)
    ):
        return "depth"
    return "other"


def _components(part_name: str, layer: str) -> list[str]:
    """Return what stands between dots in the names of a part and a layer, without what holds no word."""
    return [component for component in f"{part_name}.{layer}".split(".") if words_in(component)]


def _telling(component: str, *, within: bool) -> set[str]:
    words = words_in(_VERSION.sub("", component))
    return {"".join(words), *(words if within else words[-1:])}


def data_by_name(part_name: str, layer: str) -> Certainty:
    """Tell whether a layer is data by its name and that of its part.

    A word for data counts anywhere in the last component of a layer. Before that, in the name of a part or of a view
    layer, it counts as the whole name or its end: others are those of a shot or a department. Data is certain where
    the last component with words says so as its end, and maybe data where anything else does.
    """
    components = _components(part_name, layer)
    if not components:
        return ""
    *above, last = components
    if is_named_data(last) or any(map(is_hash, above)):
        return "data"
    words = words_in(last)
    if last.lower() in _SURELY_LIGHT:
        return ""
    within = bool(layer) and any(word in _DATA_WORDS or word.endswith(_DATA_ENDINGS) for word in words)
    return "maybe data" if within or (any(map(is_named_data, above)) and not is_pass(last)) else ""


def is_pass(component: str) -> bool:
    """Tell whether a name is that of a part of the light."""
    return not _PASSES.isdisjoint((component.lower(), *words_in(component)))


def beauty_rank(component: str) -> int | None:
    """Return how far down a name is among those of pictures, None where it is not among them."""
    if component.lower() in BEAUTY:
        return 2 * BEAUTY.index(component.lower())
    if is_pass(component):
        return None
    ranks = [100 + BEAUTY.index(word) for word in words_in(component) if word in _BEAUTY_WORDS]
    return min(ranks, default=None)
