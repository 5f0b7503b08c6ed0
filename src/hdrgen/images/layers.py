"""Which channels of a file are its picture: layers, parts and views, ranked by what their names mean.

OpenEXR stores channels in the order of their names, so the order says nothing. What is ranked instead: root channels,
then layers that renderers call their picture, then other layers in colour, then grey ones. Normals, positions, depth,
motion, ids and hashes are data and never taken for light unless they are asked for. Where several layers of a part are
as likely, nothing is taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from hdrgen.images.layer_names import beauty_rank, data_by_name, is_pass

Kind = Literal["rgb", "luminance-chroma", "grey", "data"]

_ROLES = {
    "red": "R", "green": "G", "blue": "B", "alpha": "A",
    **{name.lower(): name for name in ("R", "G", "B", "A", "Y", "RY", "BY", "X", "U", "V", "Z")},
}  # fmt: skip
_NOT_KNOWN = 200
_SHOWN = 8


@dataclass(frozen=True)
class PartNames:
    """What a part of a file has: its index, its name where there are several parts, its views, its channels.

    The first view is the default one, whose channels do not name it.
    """

    index: int
    name: str
    views: tuple[str, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """Channels of a part that belong together.

    Attributes
    ----------
    part, part_name
        Where they are.
    name
        The layer as stored, without view and channel; empty for a part's own channels.
    view
        The view of a stereo file, or empty.
    kind
        What the channels are. Data is no light, whatever its channels are called.
    channels
        Names as stored: red, green, blue; or Y, RY, BY; or one; of data all that are there.
    alpha
        The name of its alpha, or None.
    others
        Channels beside them that are none of these.
    is_default_view
        Whether it is of the view that a stereo file shows first.
    is_doubtful
        Whether its name has a word for data, and it was taken for light as nothing else is.
    """

    part: int
    part_name: str
    name: str
    view: str
    kind: Kind
    channels: tuple[str, ...]
    alpha: str | None = None
    others: tuple[str, ...] = field(default=())
    is_default_view: bool = True
    is_doubtful: bool = False

    @property
    def label(self) -> str:
        """What a person calls it: part, layer and view as far as they have names."""
        own = self.name if self.name.startswith(self.part_name) else f"{self.part_name}.{self.name}"
        words = [own.strip("."), self.view if self.view and self.view not in own.split(".") else ""]
        return ".".join(filter(None, words))

    @property
    def all_channels(self) -> tuple[str, ...]:
        """Every channel of it, as stored."""
        return (*self.channels, *((self.alpha,) if self.alpha else ()), *self.others)


class NoPicture(ValueError):  # noqa: N818 - reads as what it says
    """Nothing that is a picture, or several and no way to tell which is meant; the message says so."""


def layers_of(parts: Sequence[PartNames]) -> list[Layer]:
    """Return the layers of all parts, in the order of the parts, a part's own channels first."""
    layers = [layer for part in parts for layer in _layers_in(part)]
    if any(layer.kind != "data" for layer in layers):
        return [replace(layer, is_doubtful=False) for layer in layers]
    return [replace(layer, kind="rgb") if layer.is_doubtful else layer for layer in layers]


def choose_layer(
    layers: Sequence[Layer], *, layer: str | None = None, part: int | str | None = None
) -> Layer:
    """Return the layer that is the picture.

    Parameters
    ----------
    layers
        From `layers_of`.
    layer
        The name of one: as stored, with or without its part and view, or of a single channel. None takes the likeliest.
    part
        The name of a part to look in, or its index where none is called so.

    Raises
    ------
    NoPicture
        There is none, or none of that name, or several are as likely.
    """
    among = list(layers)
    if part is not None:
        named = [candidate for candidate in among if part == candidate.part_name]
        among = named or [candidate for candidate in among if part in (candidate.part, str(candidate.part))]
        if not among:
            raise NoPicture(f"has no part {part!r}; there are {_named_parts(layers)}")
    if layer is not None:
        return _layer_named(among, layer)
    pictures = [candidate for candidate in among if candidate.kind != "data"]
    if not pictures:
        held = _listed([name for candidate in among for name in candidate.all_channels])
        data = "; --layer takes data as it is" if held else ""
        raise NoPicture(f"holds no picture (channels {held or 'none'}{data})")
    best = min(map(_rank, pictures))
    likeliest = [candidate for candidate in pictures if _rank(candidate) == best]
    # The author chose the order of parts; that of layers in a part is the alphabet's.
    first = [candidate for candidate in likeliest if candidate.part == likeliest[0].part]
    # That holds for pictures: among passes and names that nobody knows, it says nothing.
    if any(is_pass(_own_name(candidate)) for candidate in likeliest):
        first = [candidate for candidate in likeliest if candidate.view == likeliest[0].view]
    if len(first) > 1:
        raise NoPicture(
            f"holds several pictures, and nothing says which is meant: {_listed([candidate.label for candidate in first])}; "
            "name one by --layer"
        )
    return first[0]


def left_behind(layers: Sequence[Layer], taken: Layer) -> tuple[str, ...]:
    """Return what a file holds beside the layer taken: names of layers, and of channels that are in none."""
    names = [*taken.others]
    for other in layers:
        if _is_same(other, taken):
            continue
        names += [other.label] if other.label and other.label != taken.label else other.all_channels
    return tuple(dict.fromkeys(names))


def layer_notes(
    layers: Sequence[Layer], taken: Layer, *, chosen: bool, whole_file: bool = False
) -> tuple[str, ...]:
    """Return which layer was taken and what was left behind, for a person; nothing where there is but one.

    Parameters
    ----------
    layers, taken
        All layers of a file, and the one that is its picture.
    chosen
        A person named it.
    whole_file
        All channels are read, so that those of other layers are not left behind: they are named only where the taken
        layer has to be told from them.
    """
    others = left_behind(layers, taken)
    notes = []
    is_data = taken.kind == "data"
    if taken.is_doubtful:
        notes.append(
            f"{taken.label} has a word for data in its name, and is taken as nothing else is a picture"
        )
    rivals = [other for other in layers if other.kind != "data" and not _holds(other, taken)]
    if is_data:
        words = f"the data is {_what(taken)}, taken as it is"
    else:
        words = f"the picture is {_what(taken)}" if rivals or taken.name or taken.part else ""
    left = f"left behind: {_listed(others)}" if others and (words or not whole_file) else ""
    option = " (--layer and --part choose)" if left and rivals and not chosen else ""
    if is_data or left:
        notes.append("; ".join(filter(None, (words, left))) + option)
    return tuple(notes)


def _is_same(one: Layer, other: Layer) -> bool:
    """Tell whether two are the same layer of a file, even if one of them is but a channel of it."""
    return (one.part, one.name, one.view) == (other.part, other.name, other.view)


def _holds(one: Layer, other: Layer) -> bool:
    """Tell whether one layer is where the channels of another are."""
    return one.part == other.part and set(other.channels) <= set(one.channels)


def _what(taken: Layer) -> str:
    if taken.label:
        return f"layer {taken.label}"
    return f"channels {' '.join(taken.channels)}" + (f" of part {taken.part}" if taken.part else "")


def _layers_in(part: PartNames) -> Iterator[Layer]:
    views = part.views or _sides(part.channels)
    groups: dict[tuple[str, str], dict[str, str]] = {("", _default_view(part, views)): {}}
    for channel in part.channels:
        layer, _, leaf = channel.rpartition(".")
        name, view = layer, _default_view(part, views)
        parent, _, last = layer.rpartition(".")
        if len(views) > 1 and last in views:
            name, view = parent, last
        groups.setdefault((name, view), {})[leaf] = channel
    for (name, view), members in groups.items():
        if members:
            yield _layer(part, name, view, members)


def _default_view(part: PartNames, views: Sequence[str]) -> str:
    # Sides found in the names alone have no default: channels outside of them are of no view.
    return views[0] if part.views else ""


def _sides(channels: Sequence[str]) -> tuple[str, ...]:
    """Return left and right where both are there by name and no header says so."""
    parents = {channel.split(".")[-2] for channel in channels if "." in channel}
    return ("left", "right") if {"left", "right"} <= parents else ()


def _layer(part: PartNames, name: str, view: str, members: dict[str, str]) -> Layer:
    roles: dict[str, str] = {}
    for leaf in sorted(members, key=lambda leaf: leaf not in _ROLES.values()):  # R before r and red
        if (role := _ROLES.get(leaf.lower())) and role not in roles:
            roles[role] = members[leaf]
    kind, used = _kind(roles)
    certainty = data_by_name(part.name, name)
    is_doubtful = certainty == "maybe data" and kind == "rgb"
    if certainty:
        kind = "data"
    channels = tuple(roles[role] for role in used) if used else tuple(members.values())
    alpha = roles.get("A") if used else None
    others = tuple(channel for channel in members.values() if channel not in (*channels, alpha))
    first = view == (part.views or ("", "left"))[0] or (not part.views and view == "left")
    return Layer(part.index, part.name, name, view, kind, channels, alpha, others, first, is_doubtful)


def _kind(roles: dict[str, str]) -> tuple[Kind, str | tuple[str, ...]]:
    """Return what channels of some roles are, and which of them."""
    if {"R", "G", "B"} <= roles.keys():
        return "rgb", "RGB"
    if {"Y", "RY", "BY"} <= roles.keys():
        return "luminance-chroma", ("Y", "RY", "BY")
    if {"X", "Y", "Z"} <= roles.keys():
        return "data", "XYZ"
    if "X" in roles or "U" in roles:  # a vector in two dimensions
        return "data", ""
    lone = [role for role in "YRGBV" if role in roles]
    return ("grey", lone[0]) if len(lone) == 1 else ("data", "")


def _own_name(layer: Layer) -> str:
    return (layer.name or layer.part_name).rpartition(".")[2]


def _rank(layer: Layer) -> tuple[bool, int, bool]:
    """Return how unlikely it is that a layer is the picture."""
    own = _own_name(layer)
    known = beauty_rank(own)
    if not own:
        name = 0
    elif known is None:
        name = _NOT_KNOWN
    else:
        # Blender's compositor has had the last word on what its view layers rendered.
        name = 1 + known + (not (layer.name or layer.part_name).lower().startswith("composite."))
    return layer.kind == "grey", name, not layer.is_default_view


def _layer_named(layers: Sequence[Layer], name: str) -> Layer:
    for same in (str, str.lower):
        named = [
            layer
            for layer in layers
            if same(name)
            in map(same, filter(None, (layer.label, layer.name, f"{layer.name}.{layer.view}".strip("."))))
        ]
        if len(named) == 1:
            return _as_picture(named[0])
        if named:
            by_view = [
                layer for layer in named if layer.view == named[0].view and layer.part == named[0].part
            ]
            return _as_picture(by_view[0])
    for layer in layers:
        if name in layer.all_channels:
            return Layer(layer.part, layer.part_name, layer.name, layer.view, _single(layer, name), (name,), None,
                         tuple(c for c in layer.all_channels if c != name))  # fmt: skip
    names = _listed([layer.label or " ".join(layer.channels) for layer in layers], 20)
    raise NoPicture(f"has no layer {name!r}; there are {names}")


def has_role(channel: str) -> bool:
    """Tell whether a name without a layer is that of a colour, alpha, luminance, chroma, depth or a vector's axis."""
    return channel.lower() in _ROLES


def _single(layer: Layer, channel: str) -> Kind:
    role = _ROLES.get(channel.rpartition(".")[2].lower(), "")
    return "grey" if layer.kind != "data" and role in ("R", "G", "B", "Y", "V") else "data"


def _as_picture(layer: Layer) -> Layer:
    if len(layer.channels) in (1, 3):
        return layer
    raise NoPicture(
        f"layer {layer.label} has the channels {_listed(layer.all_channels)}, which are no picture; name one of them"
    )


def _named_parts(layers: Sequence[Layer]) -> str:
    return _listed(list(dict.fromkeys(f"{layer.part} {layer.part_name}".strip() for layer in layers)), 20)


def _listed(names: Sequence[str], most: int = _SHOWN) -> str:
    printable = [name for name in names if name.strip().isprintable() and name.strip()]
    more = f" and {len(printable) - most} more" if len(printable) > most else ""
    return ", ".join(printable[:most]) + more
