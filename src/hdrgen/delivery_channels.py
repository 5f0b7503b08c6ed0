"""What a delivery's channels hold: their types, and numbers that are none or have run out of range."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hdrgen.delivery_findings import Finding, broken
from hdrgen.delivery_rules import DeliveryRules, Pixels
from hdrgen.images.exr import HALF_MAX
from hdrgen.images.exr_channels import Kind, StoredChannel
from hdrgen.images.stored_image import SceneImage
from hdrgen.inspection import Statistics

_NAMES_SAID = 6
_OVERSHOOTING = ("dwaa", "dwab")


@dataclass(frozen=True)
class ChannelNumbers:
    """What a channel holds, its pixels let go: how many NaN, Inf and values at the end of half floats.

    `first_bad` is where the first NaN or Inf lies, x and y; None in a deep part, whose samples have no place.
    """

    name: str
    kind: Kind
    pixel_type: str
    nan_values: int
    inf_values: int
    half_max_values: int
    first_bad: tuple[int, int] | None

    @property
    def is_alpha(self) -> bool:
        """Whether it is the coverage of the picture."""
        return self.kind == "picture" and self.name.endswith("A")

    @property
    def bad_numbers(self) -> str:
        """Its NaN and Inf in words, empty where there are none."""
        if not self.nan_values and not self.inf_values:
            return ""
        said = f"{self.name}: {self.nan_values} NaN and {self.inf_values} Inf values"
        return said + (
            f", the first at x {self.first_bad[0]}, y {self.first_bad[1]}" if self.first_bad else ""
        )

    @property
    def at_the_end(self) -> str:
        """Its values where half floats end in words, empty where there are none."""
        count = self.half_max_values
        return f"{self.name}: {count} value{'s' if count > 1 else ''}" if count else ""


def channel_numbers(channel: StoredChannel) -> ChannelNumbers:
    """Count what a channel holds; uint holds whatever it does."""
    values, (across, down) = channel.pixels, channel.sampling
    nan_values = inf_values = half_max_values = 0
    first_bad = None
    if values.dtype.kind == "f":
        good = np.isfinite(values)
        half_max_values = int(np.count_nonzero((np.abs(values) >= HALF_MAX) & good))
        if not good.all():
            nan_values = int(np.count_nonzero(np.isnan(values)))
            inf_values = values.size - int(np.count_nonzero(good)) - nan_values
        if values.ndim == 2 and nan_values + inf_values:
            y, x = np.unravel_index(int(np.argmin(good)), good.shape)
            first_bad = int(x) * across, int(y) * down
    return ChannelNumbers(
        name=channel.full_name,
        kind=channel.kind,
        pixel_type=channel.pixel_type,
        nan_values=nan_values,
        inf_values=inf_values,
        half_max_values=half_max_values,
        first_bad=first_bad,
    )


@dataclass(frozen=True)
class Seen:
    """What every check looks at; `channels` is empty where the file holds its picture and nothing else."""

    image: SceneImage
    light: Statistics
    rules: DeliveryRules
    channels: tuple[ChannelNumbers, ...] = ()

    @property
    def pixel_type(self) -> str:
        """The type of the picture's colours, whatever lies beside them."""
        types = {
            channel.pixel_type
            for channel in self.channels
            if channel.kind == "picture" and not channel.is_alpha
        }
        return next((name for name in ("uint", "float", "half") if name in types), self.image.pixel_type)

    @cached_property
    def beside_colours(self) -> list[ChannelNumbers]:
        """Alpha, and the channels that are not the picture's."""
        beside = [channel for channel in self.channels if channel.kind != "picture"]
        if self.image.alpha is None:
            return beside
        alpha = StoredChannel(self.image.part, "", "A", self.image.alpha, "picture")
        return [channel_numbers(alpha), *beside]


def readable(seen: Seen) -> Iterator[Finding]:
    """Say what was read, and what of it is judged as the picture."""
    image = seen.image
    said = f"{image.width}x{image.height}, {image.storage}"
    if picture := [channel.name for channel in seen.channels if channel.kind == "picture"]:
        said += f", the picture is {_listed(sorted(picture, key=lambda name: 'RGBA'.find(name[-1])))}"
    yield Finding("readable", "pass", said)


def pixels(seen: Seen) -> Iterator[Finding]:
    """Judge the type of the picture's channels, and name that of the others."""
    rule: Pixels = seen.rules.pixels
    if seen.image.luminance_chroma:
        yield broken(rule, "pixels", "luminance and halved chroma", "write RGB: hdrgen convert")
        return
    by_type: dict[str, list[str]] = defaultdict(list)
    for channel in seen.beside_colours:
        # The alpha of integers has become float in reading, as they have.
        if channel.kind == "picture" and seen.pixel_type in ("uint", channel.pixel_type):
            continue
        by_type[channel.pixel_type].append(channel.name)
    said = [f"{_listed(names)} ({pixel_type})" for pixel_type, names in by_type.items()]
    beside = f", beside it {'; '.join(said)}" if said else ""
    if seen.pixel_type in rule.types:
        yield Finding("pixels", "pass", f"{seen.pixel_type} RGB{beside}")
    else:
        why = f"{seen.pixel_type}, not {' or '.join(rule.types)}{beside}"
        yield broken(rule, "pixels", why, "hdrgen convert writes half")


def finite(seen: Seen) -> Iterator[Finding]:
    """Look for NaN and Inf in every channel that holds numbers; depth is infinite by custom where nothing is."""
    light, image, rule = seen.light, seen.image, seen.rules.finite
    wrong: list[str] = []
    way_out = "repair the frame: they spread under every filter"
    if light.nan_values or light.inf_values:
        y, x = np.argwhere(~np.isfinite(image.rgb).all(axis=-1))[0]
        wrong.append(f"{light.nan_values} NaN and {light.inf_values} Inf values, the first at x {x}, y {y}")
    if light.inf_values and image.compression in _OVERSHOOTING:
        wrong.append(f"{image.compression} loses precision, by which light near {HALF_MAX:g} becomes Inf")
        way_out = "write it from its source with --compression zip; they spread under every filter"
    numbers = [channel for channel in seen.beside_colours if channel.kind != "bits" and channel.bad_numbers]
    infinite = [c.bad_numbers for c in numbers if c.kind == "depth" and not c.nan_values]
    wrong += [c.bad_numbers for c in numbers if c.kind != "depth" or c.nan_values]
    if wrong:
        yield broken(rule, "finite", _listed([*wrong, *infinite], "; "), way_out)
    elif infinite:
        way_out = "usual where nothing is, but they spread under every filter"
        yield Finding("finite", "warn", _listed(infinite, "; "), way_out)
    else:
        yield Finding("finite", "pass", "no NaN, no Inf")


def overflow(seen: Seen) -> Iterator[Finding]:
    """Look for values where half floats end: in the picture they break the rule, beside it they are asked about."""
    ends = f"at {HALF_MAX:g}, where half floats end"
    # Large is nothing unusual for a distance, nor for what is stored as float to hold more.
    beside = [
        channel.at_the_end
        for channel in seen.beside_colours
        if channel.at_the_end
        and (channel.kind == "picture" or (channel.kind, channel.pixel_type) == ("other", "half"))
    ]
    if seen.light.half_max_values:
        why = "; ".join(
            [f"{seen.light.half_max_values} values {ends}", *([_listed(beside, "; ")] if beside else [])]
        )
        yield broken(seen.rules.overflow, "overflow", why, "lower the exposure before writing half")
    elif beside:
        why = f"{_listed(beside, '; ')} {ends}"
        yield Finding("overflow", "warn", why, "cut off there? store such a channel as float")
    else:
        yield Finding("overflow", "pass", f"largest value {seen.light.maximum_linear:.4g}")


def _listed(said: Sequence[str], between: str = ", ") -> str:
    """Return the first few, and how many more there are."""
    more = len(said) - _NAMES_SAID
    return between.join(said[:_NAMES_SAID]) + (f"{between}and {more} more" if more > 0 else "")
