"""Is this EXR fit for delivery, and why not: one rule at a time, each with its way out."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hdrgen.colour.display import srgb_encode
from hdrgen.colour.logc import logc4_encode
from hdrgen.colour.primaries import (
    AP0,
    AP1,
    AWG4,
    REC709,
    SPACES,
    convert_primaries,
)
from hdrgen.images.exr import ATTRIBUTE_NAME_MAX, HALF_MAX, interop_chromaticities, interop_id, read_exr
from hdrgen.images.stored_image import SceneImage, UnreadableImage
from hdrgen.inspection import Statistics, statistics

Verdict = Literal["pass", "warn", "fail"]

CEILING_SHARE, CEILING_PIXELS = 2e-4, 16
"""More pixels than both at exactly the largest value were cut off; a small lamp or a dead pixel was not."""
NEGATIVE_SHARE = 0.02
USUAL_COMPRESSIONS = ("no", "none", "zips", "zip", "piz", "dwaa", "dwab")
LOSSY_COMPRESSIONS = ("b44", "b44a", "pxr24")
_GRID_SAMPLES = 1 << 16
_GRID_SHARE = 0.5
"""Share of sampled values near the grid of 8-bit codes; by chance it is 0.1."""


@dataclass(frozen=True)
class Finding:
    """What one rule says; `way_out` is empty where nothing needs doing."""

    rule: str
    verdict: Verdict
    why: str
    way_out: str = ""


@dataclass(frozen=True)
class Delivery:
    """The findings on one file. Warnings are for a person to decide; it is fit when no rule fails."""

    path: Path
    findings: tuple[Finding, ...]

    @property
    def fit(self) -> bool:
        """Whether no rule fails."""
        return all(finding.verdict != "fail" for finding in self.findings)


def check_delivery(path: Path) -> Delivery:
    """Check an EXR against what compositors and their programs expect.

    A file that cannot be read is not fit, and says why; only a missing one raises.

    Raises
    ------
    UnreadableImage
        There is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise UnreadableImage(path, "no such file" if not path.exists() else "is no file")
    try:
        image = read_exr(path)
    except UnreadableImage as error:
        return Delivery(path, (Finding("readable", "fail", error.reason, "write or copy the file again"),))
    light = statistics(image)
    findings = [Finding("readable", "pass", f"{image.width}x{image.height}, {image.storage}")]
    for rule in RULES:
        findings.extend(rule(image, light))
    findings.append(_file_name(path))
    return Delivery(path, tuple(findings))


Rule = Callable[[SceneImage, Statistics], Iterator[Finding]]


def _pixels(image: SceneImage, _: Statistics) -> Iterator[Finding]:
    if image.luminance_chroma:
        yield Finding("pixels", "fail", "luminance and halved chroma", "write RGB: hdrgen convert")
    elif image.pixel_type == "half":
        yield Finding("pixels", "pass", "half float RGB")
    else:
        yield Finding("pixels", "fail", f"{image.pixel_type}, not half float", "hdrgen convert writes half")


def _finite(_: SceneImage, light: Statistics) -> Iterator[Finding]:
    if light.nan_values or light.inf_values:
        why = f"{light.nan_values} NaN and {light.inf_values} Inf values"
        yield Finding("finite", "fail", why, "repair the frame: they spread under every filter")
    else:
        yield Finding("finite", "pass", "no NaN, no Inf")


def _ceiling(image: SceneImage, light: Statistics) -> Iterator[Finding]:
    if light.half_max_values:
        why = f"{light.half_max_values} values at {HALF_MAX:g}, where half floats end"
        yield Finding("ceiling", "fail", why, "lower the exposure before writing half")
    elif light.ceiling_share > max(CEILING_SHARE, CEILING_PIXELS / (image.width * image.height)):
        why = f"{light.ceiling_share:.2%} of pixels at exactly {light.maximum_linear:g}: cut off there"
        yield Finding("ceiling", "warn", why, "use a darker exposure, or a route with a higher ceiling")
    else:
        yield Finding("ceiling", "pass", f"nothing is cut off (largest value {light.maximum_linear:.4g})")


def _range(_: SceneImage, light: Statistics) -> Iterator[Finding]:
    if light.maximum_linear <= 1.0:
        why = f"nothing above 1.0 (largest {light.maximum_linear:.4g}): looks display-referred"
        yield Finding("range", "warn", why, "make sure the picture was decoded to scene-linear light")
    else:
        yield Finding("range", "pass", f"{light.above_one_share:.2%} above 1.0, {light.stops:.1f} stops")


def _negatives(image: SceneImage, light: Statistics) -> Iterator[Finding]:
    share = light.negative_values / image.rgb.size
    if share > NEGATIVE_SHARE:
        why = f"{share:.1%} of values are negative (lowest {light.minimum_linear:.3g})"
        wider = "" if image.chromaticities == AP0 else "a wider space (ACES2065-1) or "
        yield Finding("negatives", "warn", why, f"{wider}gamut compression brings them in")
    else:
        yield Finding("negatives", "pass", f"{share:.2%} of values are negative" if share else "none")


def _steps(image: SceneImage, _: Statistics) -> Iterator[Finding]:
    encoding = eight_bit_encoding(image)
    if encoding:
        why = f"values sit on the 256 steps of 8-bit {encoding}: bands when graded"
        yield Finding("steps", "warn", why, "start from a 16-bit or float source")
    else:
        yield Finding("steps", "pass", "no trace of 8-bit codes")


def _primaries(image: SceneImage, _: Statistics) -> Iterator[Finding]:
    stated = image.chromaticities
    name = next((key for key, space in SPACES.items() if space == stated), None)
    if stated is None:
        way_out = "hdrgen convert --to acescg"
        yield Finding("primaries", "fail", "no chromaticities: every program guesses", way_out)
    elif stated in (AP0, AP1):
        yield Finding("primaries", "pass", {AP1: "ACEScg (AP1)", AP0: "ACES2065-1 (AP0)"}[stated])
    else:
        why = f"{name or 'unnamed primaries'}, not ACEScg or ACES2065-1"
        yield Finding("primaries", "warn", why, "hdrgen convert --to acescg")

    interop = image.attributes.get("colorInteropID")
    if interop is None:
        missing = stated is not None and interop_id(stated) is not None
        why = "colorInteropID is not there" if missing else "none exists for these primaries"
        way_out = "hdrgen convert writes it" if missing else ""
        yield Finding("interop id", "warn" if missing else "pass", why, way_out)
    elif interop_chromaticities(str(interop)) not in (None, stated):
        why = f"colorInteropID is {interop!r}, which the chromaticities contradict"
        yield Finding("interop id", "fail", why, "write the file again from its source")
    else:
        yield Finding("interop id", "pass", str(interop))


def _aces_container(image: SceneImage, _: Statistics) -> Iterator[Finding]:
    if not image.attributes.get("acesImageContainerFlag"):
        return
    reasons = [
        said
        for wrong, said in (
            (image.chromaticities != AP0, "the primaries are not AP0"),
            (image.compression not in ("no", "none"), f"it is compressed with {image.compression}"),
            (image.pixel_type != "half", f"its pixels are {image.pixel_type}"),
            (image.storage != "scanline", "it is tiled"),
        )
        if wrong
    ]
    if reasons:
        why = f"flagged as an ACES container (ST 2065-4), but {' and '.join(reasons)}"
        yield Finding("ACES container", "fail", why, "hdrgen convert --to aces2065-1 --compression none")
    else:
        yield Finding("ACES container", "pass", "valid by what ST 2065-4 asks of pixels")


def _compression(image: SceneImage, _: Statistics) -> Iterator[Finding]:
    name = "none" if image.compression == "no" else image.compression
    if name in USUAL_COMPRESSIONS:
        yield Finding("compression", "pass", name)
    elif name in LOSSY_COMPRESSIONS:
        yield Finding("compression", "warn", f"{name} loses precision", "--compression zip or dwaa")
    else:
        yield Finding("compression", "warn", f"{name} is not read everywhere", "--compression zip")


def _windows(image: SceneImage, _: Statistics) -> Iterator[Finding]:
    data, display = (image.attributes.get(name) for name in ("dataWindow", "displayWindow"))
    if data == display:
        yield Finding("windows", "pass", "data window = display window")
    else:
        yield Finding(
            "windows", "warn", f"data window {data}, display window {display}", "meant as overscan?"
        )


def _attribute_names(image: SceneImage, _: Statistics) -> Iterator[Finding]:
    long = sorted(name for name in image.attributes if len(name) > ATTRIBUTE_NAME_MAX)
    if long:
        why = f"{len(long)} names above {ATTRIBUTE_NAME_MAX} characters ({long[0]})"
        yield Finding("attributes", "fail", why, "shorten them: Nuke refuses the file")
    else:
        yield Finding("attributes", "pass", f"all names within {ATTRIBUTE_NAME_MAX} characters")


def _provenance(image: SceneImage, _: Statistics) -> Iterator[Finding]:
    made = image.attributes.get("hdrgenVersion")
    if made:
        route = image.attributes.get("hdrgenRoute", "unknown")
        yield Finding("provenance", "pass", f"hdrgen {made}, route {route}")
    else:
        yield Finding("provenance", "warn", "does not say what made it", "hdrgen convert adds it")


def _file_name(path: Path) -> Finding:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*\.exr", path.name):
        return Finding("file name", "pass", path.name)
    why = f"{path.name!r} is not plain letters, digits, . _ - and .exr"
    return Finding("file name", "warn", why, "rename it: farms and scripts trip over the rest")


RULES: tuple[Rule, ...] = (
    _pixels,
    _finite,
    _ceiling,
    _range,
    _negatives,
    _steps,
    _primaries,
    _aces_container,
    _compression,
    _windows,
    _attribute_names,
    _provenance,
)


def eight_bit_encoding(image: SceneImage) -> str | None:
    """Return the encoding on whose 256 code values the picture's values sit, None for a continuous picture.

    sRGB and LogC4 are tried, in the file's own primaries and in those that the encoding belongs to. Codes near
    the ends are left out: there half floats round more coarsely than the codes, or everything is black.
    """
    values = image.rgb.reshape(-1, 3)
    values = values[:: max(1, len(values) // _GRID_SAMPLES)].astype(np.float32)
    values = values[np.isfinite(values).all(axis=-1)]
    stated = image.chromaticities or REC709
    for name, encode, primaries in (("sRGB", srgb_encode, REC709), ("LogC4", logc4_encode, AWG4)):
        for space in {stated, primaries}:
            try:
                own = convert_primaries(values, stated, space)
            except ValueError:
                continue
            code = encode(own) * np.float32(255)
            code = code[(code > 16) & (code < 250)]
            # Few values, or a flat picture, would prove nothing.
            if code.size < 1000 or np.unique(np.rint(code)).size < 16:
                continue
            if np.mean(np.abs(code - np.rint(code)) < 0.05) > _GRID_SHARE:
                return name
    return None
