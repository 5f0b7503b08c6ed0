"""What a delivery's channels hold: their types, and numbers that are none or have run out of range."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hdrgen.images.exr import HALF_MAX
from hdrgen.images.exr_channels import ChannelPixels, Kind, full_name
from hdrgen.images.layers import Layer
from hdrgen.images.stored_image import SceneImage, StoredHeader
from hdrgen.qc.findings import Finding, broken
from hdrgen.qc.rules import DeliveryRules, Pixels
from hdrgen.qc.statistics import Statistics

_NAMES_LISTED = 6
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
    def bad_numbers(self) -> str:
        """Its NaN and Inf in words, empty where there are none; bits are no numbers."""
        if self.kind == "bits" or not (self.nan_values or self.inf_values):
            return ""
        words = f"{self.nan_values} NaN and {self.inf_values} Inf values"
        if self.first_bad:
            words += f", the first at x {self.first_bad[0]}, y {self.first_bad[1]}"
        return f"{self.name}: {words}" if self.name else words

    @property
    def at_the_end(self) -> str:
        """Its values where half floats end in words, empty where there are none."""
        count = self.half_max_values
        return f"{self.name}: {count} value{'s' if count > 1 else ''}" if count else ""


def channel_numbers(channel: ChannelPixels) -> ChannelNumbers:
    """Count what a channel holds; uint holds whatever it does."""
    values, (across, down) = channel.pixels, channel.sampling
    nan_values = inf_values = half_max_values = 0
    first_bad = None
    if values.dtype.kind == "f":
        # As integers, magnitudes keep their order, Inf above all and NaN beyond; numpy is slow with halves.
        magnitudes = values.view(f"u{values.itemsize}") & np.iinfo(f"i{values.itemsize}").max
        end, inf = (x.view(magnitudes.dtype) for x in np.array([HALF_MAX, np.inf], values.dtype))
        if magnitudes.max(initial=0) >= end:
            nan_values = int(np.count_nonzero(magnitudes > inf))
            inf_values = int(np.count_nonzero(magnitudes == inf))
            half_max_values = int(np.count_nonzero(magnitudes >= end)) - nan_values - inf_values
        if values.ndim == 2 and nan_values + inf_values:
            y, x = np.unravel_index(int(np.argmax(magnitudes >= inf)), values.shape)
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
class File:
    """A file that is checked; `channels` may be empty where it holds its picture and nothing else."""

    stored: StoredHeader
    rules: DeliveryRules
    channels: tuple[ChannelNumbers, ...]

    @property
    def numbers(self) -> list[ChannelNumbers]:
        """The channels beside the picture."""
        return [channel for channel in self.channels if channel.kind != "picture"]


@dataclass(frozen=True)
class PictureFile(File):
    """A file with a picture; `observed` is the matte that says which of its light was seen, None where it has none."""

    picture: Layer
    image: SceneImage
    light: Statistics
    observed: ChannelPixels | None = None

    @property
    def pixel_type(self) -> str:
        """The type of the picture's colours, whatever lies beside them."""
        stored = {c.name: c.pixel_type for c in self.image.parts[self.image.part].channels}
        types = {stored[name] for name in self.picture.channels}
        return next(name for name in ("uint", "float", "half") if name in types)

    @cached_property
    def numbers(self) -> list[ChannelNumbers]:
        """The colours together, which have no name, then alpha, then the channels beside the picture."""
        rgb, alpha, light = self.image.rgb, self.image.alpha, self.light
        first_bad = None
        if light.nan_values or light.inf_values:
            y, x = np.argwhere(~np.isfinite(rgb).all(axis=-1))[0]
            first_bad = int(x), int(y)
        counts = light.nan_values, light.inf_values, light.half_max_values
        channels = [ChannelNumbers("", "picture", self.pixel_type, *counts, first_bad)]
        if alpha is not None:
            channels.append(
                channel_numbers(
                    ChannelPixels(self.image.part, "", self.picture.alpha or "A", alpha, "picture")
                )
            )
        return [*channels, *super().numbers]

    @property
    def picture_names(self) -> list[str]:
        """The picture's channels, as they are called in `channels`."""
        layer = self.picture
        return [full_name(layer.part_name, name) for name in (*layer.channels, layer.alpha) if name]


def readable(file: File) -> Iterator[Finding]:
    """Say what was read, and what of it is judged as the picture."""
    words = f"{file.stored.width}x{file.stored.height}, {file.stored.storage}"
    if not isinstance(file, PictureFile):
        words += ", data without a picture"
    elif file.channels:
        words += f", the picture is {_listed(file.picture_names)}"
    yield Finding("readable", "pass", words)


def pixels(file: File) -> Iterator[Finding]:
    """Judge the type of the picture's channels, and name that of the others."""
    rule: Pixels = file.rules.pixels
    by_type: dict[str, list[str]] = defaultdict(list)
    for channel in file.numbers:
        # The alpha of integers has become float in reading, as they have.
        if channel.kind != "picture" or (
            isinstance(file, PictureFile)
            and channel.name
            and file.pixel_type not in ("uint", channel.pixel_type)
        ):
            by_type[channel.pixel_type].append(channel.name)
    beside = "; ".join(f"{_listed(names)} ({pixel_type})" for pixel_type, names in by_type.items())
    if not isinstance(file, PictureFile):
        yield Finding("pixels", "pass", beside)
        return
    beside = f", beside it {beside}" if beside else ""
    if file.image.luminance_chroma:
        yield broken(rule, "pixels", f"luminance and halved chroma{beside}", "write RGB: hdrgen convert")
    elif file.pixel_type in rule.types:
        yield Finding("pixels", "pass", f"{file.pixel_type} RGB{beside}")
    else:
        why = f"{file.pixel_type}, not {' or '.join(rule.types)}{beside}"
        yield broken(rule, "pixels", why, "hdrgen convert writes half")


def finite(file: File) -> Iterator[Finding]:
    """Look for NaN and Inf in every channel that holds numbers; depth is infinite by custom where nothing is."""
    bad = [channel for channel in file.numbers if channel.bad_numbers]
    infinite = [channel.bad_numbers for channel in bad if channel.kind == "depth" and not channel.nan_values]
    wrong = [channel.bad_numbers for channel in bad if channel.kind != "depth" or channel.nan_values]
    way_out = "repair the frame: they spread under every filter"
    compression = file.stored.compression
    if compression in _OVERSHOOTING and any(c.kind == "picture" and c.inf_values for c in bad):
        wrong.insert(1, f"{compression} loses precision, by which light near {HALF_MAX:g} becomes Inf")
        way_out = "write it from its source with --compression zip; they spread under every filter"
    if wrong:
        yield broken(file.rules.finite, "finite", _listed([*wrong, *infinite], "; "), way_out)
    elif infinite:
        way_out = "usual where nothing is, but they spread under every filter"
        yield Finding("finite", "warn", _listed(infinite, "; "), way_out)
    else:
        yield Finding("finite", "pass", "no NaN, no Inf")


def overflow(file: File) -> Iterator[Finding]:
    """Look for values where half floats end: in the picture they break the rule, beside it they are asked about."""
    ends = f"at {HALF_MAX:g}, where half floats end"
    # Large is nothing unusual for a distance, nor for what is stored as float to hold more.
    beside = [
        channel.at_the_end
        for channel in file.numbers
        if channel.at_the_end
        and channel.name
        and (channel.kind == "picture" or (channel.kind, channel.pixel_type) == ("other", "half"))
    ]
    light = file.light if isinstance(file, PictureFile) else None
    if light and light.half_max_values:
        why = "; ".join(
            [f"{light.half_max_values} values {ends}", *([_listed(beside, "; ")] if beside else [])]
        )
        yield broken(file.rules.overflow, "overflow", why, "lower the exposure before writing half")
    elif beside:
        why = f"{_listed(beside, '; ')} {ends}"
        yield Finding("overflow", "warn", why, "cut off there? store such a channel as float")
    else:
        words = f"largest value {light.maximum_linear:.4g}" if light else f"nothing {ends}"
        yield Finding("overflow", "pass", words)


def _listed(words: Sequence[str], between: str = ", ") -> str:
    """Return the first few, and how many more there are."""
    more = len(words) - _NAMES_LISTED
    return between.join(words[:_NAMES_LISTED]) + (f"{between}and {more} more" if more > 0 else "")
