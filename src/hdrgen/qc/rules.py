"""What a delivery must be like: each rule's limits, and what a breach of it is.

A show states what differs from the defaults in a YAML file with one section, ``delivery``.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field

from hdrgen.colour.primaries import SPACES
from hdrgen.images.exr import ATTRIBUTE_NAME_MAX
from hdrgen.runtime.params import Section, read_section

Breach = Literal["fail", "warn", "ignore"]  # a plain off is false in YAML


def _known_space(name: str) -> str:
    if name not in SPACES:
        raise ValueError(f"known primaries are {', '.join(SPACES)}")
    return name


def _regular_expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


def _with_a_group(pattern: str) -> str:
    if not re.compile(_regular_expression(pattern)).groups:
        raise ValueError("needs a group (...) around the frame number")
    return pattern


Space = Annotated[str, AfterValidator(_known_space)]
Pattern = Annotated[str, AfterValidator(_regular_expression)]
FramePattern = Annotated[str, AfterValidator(_with_a_group)]
Share = Annotated[float, Field(ge=0, le=1)]


class Rule(Section):
    """A rule without limits."""

    breach: Breach = "fail"


class Pixels(Rule):
    """How values are stored."""

    types: tuple[Literal["half", "float"], ...] = Field(("half",), description="half, float or both")


class Clipping(Rule):
    """Pixels that have exactly the largest value of a component: cut off there."""

    breach: Breach = "warn"
    share: Share = Field(2e-4, description="more pixels than this share ...")
    pixels: int = Field(16, ge=0, description="... and than this many; a small lamp is not clipping")


class Pinned(Clipping):
    """Pixels within 0.1 % of the largest component in ARRI Wide Gamut 4, where generators run into a ceiling."""


class Range(Rule):
    """How much light there is."""

    breach: Breach = "warn"
    peak_above: float = Field(1.0, description="the largest value must be above; 1.0 is where SDR ends")
    stops_least: float = Field(0.0, ge=0, description="between the 0.1th and 99.9th percentile of luminance")


class Gamut(Rule):
    """Colours outside a gamut, which have negative components there."""

    breach: Breach = "warn"
    primaries: Space | None = Field(None, description=f"{', '.join(SPACES)}; null is the file's own")
    share: Share = Field(0.02, description="of pixels that may be outside")


class Banding(Rule):
    """Traces of 8-bit codes: a grid of 256 values, or gradients in stairs."""

    breach: Breach = "warn"
    stairs_share: Share = Field(0.02, description="of pixels that may lie on stairs")


class Observed(Rule):
    """A matte of what was seen holds shares, and no light above display white claims to have been seen."""

    tolerance: float = Field(0.01, ge=0, description="by which seen light may exceed white, as a ratio")


class Primaries(Rule):
    """What the header says of the colour space; without chromaticities it always fails."""

    breach: Breach = "warn"
    allowed: tuple[Space, ...] = Field(("ap1", "ap0"), description=f"of {', '.join(SPACES)}")


class Compression(Rule):
    """The compressions that every program reads, and that lose nothing one sees."""

    breach: Breach = "warn"
    allowed: tuple[str, ...] = Field(("none", "zips", "zip", "piz", "dwaa", "dwab"), min_length=1)


class Size(Rule):
    """Pixels of the data window."""

    width: int | None = Field(None, description="null is any")
    height: int | None = Field(None, description="null is any")


class Metadata(Rule):
    """Header attributes that must be there."""

    required: tuple[str, ...] = Field((), description="for example owner, framesPerSecond")


class AttributeNames(Rule):
    """Names of header attributes; Nuke refuses files with longer ones."""

    longest: int = Field(ATTRIBUTE_NAME_MAX, description="characters")


class Naming(Rule):
    """What a file is called."""

    breach: Breach = "warn"
    pattern: Pattern = Field(
        r"[A-Za-z0-9][A-Za-z0-9._-]*\.exr", description="regular expression of the whole name"
    )


class Frames(Rule):
    """In a folder: no frame is missing, numbers are padded alike."""

    frame: FramePattern | None = Field(
        None, description="regular expression whose group is the frame number; null finds it in the name"
    )
    step: int | None = Field(None, ge=1, description="from frame to frame; null is what the frames show")


class DeliveryRules(Section):
    """All rules, by the names that a report calls them by."""

    pixels: Pixels = Pixels()
    size: Size = Size()
    finite: Rule = Field(Rule(), description="no NaN, no Inf")
    overflow: Rule = Field(Rule(), description="no value where half floats end, 65504")
    clipping: Clipping = Clipping()
    pinned: Pinned = Pinned()
    range: Range = Range()
    gamut: Gamut = Gamut()
    banding: Banding = Banding()
    observed: Observed = Observed()
    primaries: Primaries = Primaries()
    interop_id: Rule = Field(
        Rule(breach="warn"), description="colorInteropID is there; a wrong one always fails"
    )
    aces_container: Rule = Field(Rule(), description="a file flagged as ST 2065-4 is one")
    compression: Compression = Compression()
    windows: Rule = Field(Rule(breach="warn"), description="data window = display window, pixels are square")
    metadata: Metadata = Metadata()
    attribute_names: AttributeNames = AttributeNames()
    provenance: Rule = Field(Rule(breach="warn"), description="the header says what made the picture")
    naming: Naming = Naming()
    sequence: Frames = Frames()


def read_rules(path: Path) -> DeliveryRules:
    """Read a show's rules; what the file leaves out stays as it is by default.

    Raises
    ------
    HdrgenError
        The file cannot be read, has no section ``delivery``, or holds a rule or limit that nobody knows.
    """
    return read_section(path, "delivery", DeliveryRules)


def rules_as_yaml(rules: DeliveryRules) -> str:
    """Return the rules as a file that `read_rules` takes, each line with what it means."""
    lines = ["delivery:"]
    for name, about in DeliveryRules.model_fields.items():
        rule = getattr(rules, name)
        words = about.description or (type(rule).__doc__ or "").split("\n", 1)[0].rstrip(".")
        lines.append(f"  {name}:  # {words[:1].lower()}{words[1:]}")
        for key, field in type(rule).model_fields.items():
            value = rule.model_dump(mode="json")[key]
            stored = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
            meaning = "fail, warn or ignore" if key == "breach" else field.description
            lines.append(f"    {key}: {stored}" + (f"  # {meaning}" if meaning else ""))
    return "\n".join(lines) + "\n"
