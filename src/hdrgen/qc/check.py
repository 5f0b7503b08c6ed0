"""Is this EXR fit for delivery, and why not: one rule at a time, each with its way out."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AP0, AWG4, SPACES, Chromaticities, convert_primaries
from hdrgen.images.conversion import assumed_chromaticities
from hdrgen.images.exr import interop_chromaticities, interop_id
from hdrgen.images.exr_channels import read_contents
from hdrgen.images.interop_id import holds_codes
from hdrgen.images.stored_image import SceneImage, UnreadableImage
from hdrgen.qc.banding import eight_bit_encoding, stairs_share
from hdrgen.qc.channels import File, PictureFile, channel_numbers, finite, overflow, pixels, readable
from hdrgen.qc.findings import CheckReport, Finding, broken
from hdrgen.qc.observed import matte_of, observed
from hdrgen.qc.rules import Clipping, DeliveryRules, Rule
from hdrgen.qc.sequences import check_sequence
from hdrgen.qc.statistics import at_maximum_share, statistics

__all__ = ["CheckReport", "Finding", "check_delivery", "check_sequence"]

_CEILINGS_AWG4 = {469.8: "LogC4 ends", 1879.2: "LogC4 two stops down ends", 1000.0: "the latent route ends"}
"""Where encodings that pictures are generated in have code 1.0."""


def check_delivery(
    path: Path,
    rules: DeliveryRules | None = None,
    *,
    layer: str | None = None,
    part: int | str | None = None,
) -> CheckReport:
    """Check an EXR against what compositors and their programs expect.

    What is asked of light is asked of the picture; NaN and Inf are looked for in every channel of every part, except
    where it holds bits: ids, and Cryptomatte's hashes. A file of data alone, such as depth, is checked as such. A file
    that cannot be read is not fit, and says why; only a missing one raises.

    Parameters
    ----------
    path
        The EXR.
    rules
        What is asked of it; None asks for the defaults.
    layer, part
        Which is the picture, as of `read_exr`.

    Raises
    ------
    UnreadableImage
        There is no such file.
    """
    rules = rules or DeliveryRules()
    path = Path(path)
    if not path.is_file():
        raise UnreadableImage(path, "no such file" if not path.exists() else "is no file")
    notes: tuple[str, ...] = ()
    try:
        contents = read_contents(path, layer=layer, part=part)
        stored, picture, image = contents.stored, contents.picture, contents.image
        channels = tuple(map(channel_numbers, contents.channels))
        if picture is None or image is None:
            file = File(stored, rules, channels)
            findings = [finding for check in _DATA_CHECKS for finding in check(file)]
        else:
            notes = image.notes
            matte = matte_of(picture, contents.channels)
            with_picture = PictureFile(stored, rules, channels, picture, image, statistics(image), matte)
            findings = [finding for check in _CHECKS for finding in check(with_picture)]
    except UnreadableImage as error:
        way_out = "say which it is" if "--layer" in error.reason else "write or copy the file again"
        return CheckReport(path, (Finding("readable", "fail", error.reason, way_out),))
    findings.append(_naming(path, rules))
    return CheckReport(path, tuple(finding for finding in findings if _applies(finding, rules)), notes)


def _applies(finding: Finding, rules: DeliveryRules) -> bool:
    """Tell whether a finding belongs to a rule that is not ignored."""
    rule: Rule | None = getattr(rules, finding.rule.replace(" ", "_").lower(), None)
    return rule is None or rule.breach != "ignore"


def _size(file: File) -> Iterator[Finding]:
    stored, rule = file.stored, file.rules.size
    size = f"{stored.width}x{stored.height}"
    if (rule.width or stored.width, rule.height or stored.height) == (stored.width, stored.height):
        yield Finding("size", "pass", size)
    else:
        why = f"{size}, not {rule.width or 'any'}x{rule.height or 'any'}"
        yield broken(rule, "size", why, "render it at the size asked for")


def _clipping(file: PictureFile) -> Iterator[Finding]:
    share, rule = file.light.ceiling_share, file.rules.clipping
    if share > _limit(rule, file.image):
        why = f"{share:.2%} of pixels at exactly {file.light.maximum_linear:g}: cut off there"
        yield broken(rule, "clipping", why, "use a darker exposure, or a route with a higher ceiling")
    else:
        yield Finding("clipping", "pass", "nothing is cut off")


def _pinned(file: PictureFile) -> Iterator[Finding]:
    rule = file.rules.pinned
    linear_awg4 = _in_primaries(file.image, AWG4)
    share = at_maximum_share(linear_awg4)
    if share > _limit(rule, file.image):
        largest = float(linear_awg4.max())
        known = [
            f", where {encoding}" for c, encoding in _CEILINGS_AWG4.items() if abs(largest / c - 1) < 2e-3
        ]
        why = f"{share:.2%} of pixels within 0.1 % of {largest:.5g} in AWG4{''.join(known)}"
        yield broken(rule, "pinned", why, "generate it again, darker, or by another route")
    else:
        yield Finding("pinned", "pass", "no plateau at a ceiling")


def _limit(rule: Clipping, image: SceneImage) -> float:
    """Return the share of pixels above which a plateau is one."""
    return max(rule.share, rule.pixels / (image.width * image.height))


def _range(file: PictureFile) -> Iterator[Finding]:
    light, rule = file.light, file.rules.range
    if light.maximum_linear <= rule.peak_above:
        why = f"nothing above {rule.peak_above:.1f} (largest {light.maximum_linear:.4g})"
        if light.maximum_linear <= 1:
            why += ": looks display-referred"
        way_out = "make sure the picture was decoded to scene-linear light"
        yield broken(rule, "range", why, way_out)
    elif light.stops < rule.stops_least:
        why = f"{light.stops:.1f} stops, fewer than {rule.stops_least:g}"
        yield broken(rule, "range", why, "use a route or source with more range")
    else:
        yield Finding("range", "pass", f"{light.above_one_share:.2%} above 1.0, {light.stops:.1f} stops")


def _gamut(file: PictureFile) -> Iterator[Finding]:
    rule = file.rules.gamut
    own = assumed_chromaticities(file.image)[0]
    wanted = own if rule.primaries is None else SPACES[rule.primaries]
    rgb = _in_primaries(file.image, wanted)
    # A thousandth of the largest component is what rounding to half may leave.
    outside = rgb.min(axis=-1) < -1e-3 * np.maximum(rgb.max(axis=-1), 1e-3)
    share = float(outside.mean())
    where = f"outside {rule.primaries or 'the gamut'}"
    if share > rule.share:
        why = f"{share:.1%} of pixels {where} (lowest value {rgb.min():.3g})"
        wider = "a wider space (ACES2065-1) or " if own != AP0 and rule.primaries is None else ""
        yield broken(rule, "gamut", why, f"{wider}gamut compression brings them in")
    else:
        yield Finding("gamut", "pass", f"{share:.2%} of pixels {where}" if share else "none outside")


def _in_primaries(image: SceneImage, space: Chromaticities) -> NDArray[np.float32]:
    """Return finite single-precision RGB in some primaries; primaries that span no space are left as they are."""
    rgb = np.nan_to_num(image.rgb.astype(np.float32), nan=0, posinf=0, neginf=0)
    try:
        return convert_primaries(rgb, assumed_chromaticities(image)[0], space).astype(np.float32)
    except ValueError:
        return rgb


def _banding(file: PictureFile) -> Iterator[Finding]:
    rule, way_out = file.rules.banding, "start from a 16-bit or float source, or hdrgen expand"
    encoding = eight_bit_encoding(file.image)
    stairs = stairs_share(file.image.rgb)
    if encoding:
        why = f"values sit on the 256 steps of 8-bit {encoding}: bands when graded"
        yield broken(rule, "banding", why, way_out)
    elif stairs > rule.stairs_share:
        yield broken(rule, "banding", f"{stairs:.1%} of pixels lie on stairs: bands when graded", way_out)
    else:
        yield Finding("banding", "pass", f"no 8-bit codes, {stairs:.2%} of pixels on stairs")


def _primaries(file: PictureFile) -> Iterator[Finding]:
    image, rule = file.image, file.rules.primaries
    chromaticities = image.chromaticities
    name = next((key for key, space in SPACES.items() if space == chromaticities), None)
    full_names = {"ap1": "ACEScg (AP1)", "ap0": "ACES2065-1 (AP0)"}
    if chromaticities is None:
        why = "no chromaticities: every program guesses"
        yield Finding("primaries", "fail", why, "hdrgen convert --to acescg")
    elif name in rule.allowed:
        yield Finding("primaries", "pass", full_names.get(name, name))
    else:
        wanted = " or ".join(full_names.get(space, space) for space in rule.allowed)
        why = f"{name or 'unnamed primaries'}, not {wanted}"
        yield broken(rule, "primaries", why, "hdrgen convert --to acescg")


def _interop_id(file: PictureFile) -> Iterator[Finding]:
    chromaticities = file.image.chromaticities
    interop = file.image.attributes.get("colorInteropID")
    if interop is None:
        if chromaticities is not None and interop_id(chromaticities) is not None:
            why = "colorInteropID is not there"
            yield broken(file.rules.interop_id, "interop id", why, "hdrgen convert writes it")
        else:
            yield Finding("interop id", "pass", "none exists for these primaries")
    elif holds_codes(str(interop)):
        why = f"colorInteropID is {interop!r}, which names codes, not linear light"
        yield Finding("interop id", "fail", why, "hdrgen convert decodes them")
    elif interop_chromaticities(str(interop)) not in (None, chromaticities):
        why = f"colorInteropID is {interop!r}, which the chromaticities contradict"
        yield Finding("interop id", "fail", why, "write the file again from its source")
    else:
        yield Finding("interop id", "pass", str(interop))


def _aces_container(file: PictureFile) -> Iterator[Finding]:
    image = file.image
    if not image.attributes.get("acesImageContainerFlag"):
        return
    reasons = [
        reason
        for wrong, reason in (
            (image.chromaticities != AP0, "the primaries are not AP0"),
            (image.compression not in ("no", "none"), f"it is compressed with {image.compression}"),
            (file.pixel_type != "half", f"its pixels are {file.pixel_type}"),
            (image.storage != "scanline", "it is tiled"),
        )
        if wrong
    ]
    if reasons:
        why = f"flagged as an ACES container (ST 2065-4), but {' and '.join(reasons)}"
        way_out = "hdrgen convert --to aces2065-1 --compression none"
        yield broken(file.rules.aces_container, "ACES container", why, way_out)
    else:
        yield Finding("ACES container", "pass", "valid by what ST 2065-4 asks of pixels")


def _compression(file: File) -> Iterator[Finding]:
    rule = file.rules.compression
    name = "none" if file.stored.compression == "no" else file.stored.compression
    if name in rule.allowed:
        yield Finding("compression", "pass", name)
    else:
        reason = "loses precision" if name in _LOSSY else "is not read everywhere"
        way_out = f"hdrgen convert --compression {'zip' if 'zip' in rule.allowed else rule.allowed[0]}"
        yield broken(rule, "compression", f"{name} {reason}", way_out)


_LOSSY = ("b44", "b44a", "pxr24")


def _windows(file: File) -> Iterator[Finding]:
    attributes, rule = file.stored.attributes, file.rules.windows
    data, display = (attributes.get(name) for name in ("dataWindow", "displayWindow"))
    aspect = float(attributes.get("pixelAspectRatio", 1.0))
    if data != display:
        why = f"data window {data}, display window {display}"
        yield broken(rule, "windows", why, "meant as overscan?")
    elif aspect != 1.0:
        yield broken(rule, "windows", f"pixels are {aspect:g} times as wide as high", "meant as anamorphic?")
    else:
        yield Finding("windows", "pass", "data window = display window")


def _metadata(file: File) -> Iterator[Finding]:
    rule = file.rules.metadata
    missing = [name for name in rule.required if name not in file.stored.attributes]
    if missing:
        yield broken(rule, "metadata", f"without {', '.join(missing)}", "have the writer add them")
    elif rule.required:
        yield Finding("metadata", "pass", f"has {', '.join(rule.required)}")


def _attribute_names(file: File) -> Iterator[Finding]:
    rule = file.rules.attribute_names
    long = sorted(name for name in file.stored.attributes if len(name) > rule.longest)
    if long:
        why = f"{len(long)} names above {rule.longest} characters ({long[0]})"
        yield broken(rule, "attribute names", why, "shorten them: Nuke refuses the file")
    else:
        yield Finding("attribute names", "pass", f"all within {rule.longest} characters")


def _provenance(file: File) -> Iterator[Finding]:
    version = file.stored.attributes.get("hdrgenVersion")
    if version:
        route = file.stored.attributes.get("hdrgenRoute", "unknown")
        yield Finding("provenance", "pass", f"hdrgen {version}, route {route}")
    else:
        why = "does not say what made it"
        yield broken(file.rules.provenance, "provenance", why, "hdrgen convert adds it")


def _naming(path: Path, rules: DeliveryRules) -> Finding:
    if re.fullmatch(rules.naming.pattern, path.name):
        return Finding("naming", "pass", path.name)
    why = f"{path.name!r} does not follow {rules.naming.pattern}"
    return broken(rules.naming, "naming", why, "rename it: farms and scripts trip over the rest")


_DATA_CHECKS: tuple[Callable[[File], Iterator[Finding]], ...] = (
    readable,
    pixels,
    _size,
    finite,
    overflow,
    _compression,
    _windows,
    _metadata,
    _attribute_names,
    _provenance,
)
_CHECKS: tuple[Callable[[PictureFile], Iterator[Finding]], ...] = (
    readable,
    pixels,
    _size,
    finite,
    overflow,
    _clipping,
    _pinned,
    _range,
    _gamut,
    _banding,
    observed,
    _primaries,
    _interop_id,
    _aces_container,
    _compression,
    _windows,
    _metadata,
    _attribute_names,
    _provenance,
)
