"""Conversions for delivery through OpenColorIO; the only importer of it.

Spaces have the names of the configuration in use: ``$OCIO`` where it is set, else the built-in studio
configuration pinned below, the only built-in one that knows ARRI's spaces. `ALIASES` adds short names. The built-in
configuration also says what its spaces are called in others, so that names of one are understood in another.
"""

import os
from difflib import get_close_matches
from functools import cache
from typing import Literal

import numpy as np
import PyOpenColorIO as ocio
from numpy.typing import NDArray

from hdrgen.colour.half_floats import to_single
from hdrgen.colour.primaries import AP0, AP1, REC709, Chromaticities, rgb_to_rgb, rgb_to_xyz
from hdrgen.runtime.bands import each_band
from hdrgen.runtime.errors import HdrgenError

BUILTIN_CONFIG = "ocio://studio-config-v4.0.0_aces-v2.0_ocio-v2.5"

ALIASES = {
    "acescg": "ACEScg",
    "aces2065-1": "ACES2065-1",
    "logc4": "ARRI LogC4",
    "logc3": "ARRI LogC3 (EI800)",
    "linear_awg4": "Linear ARRI Wide Gamut 4",
    "linear_awg3": "Linear ARRI Wide Gamut 3",
    "linear_rec709": "Linear Rec.709 (sRGB)",
    "linear_rec2020": "Linear Rec.2020",
    "linear_p3d65": "Linear P3-D65",
    "srgb": "sRGB Encoded Rec.709 (sRGB)",
}

_FORMER_ROLES = {
    "rendering": "scene_linear",
    "compositing_linear": "scene_linear",
    "reference": "aces_interchange",
}
"""Roles of ACES 1.x configurations, and what has their place today."""


@cache
def _config(source: str) -> ocio.Config:
    try:
        return ocio.Config.CreateFromFile(source)
    except (ocio.Exception, ocio.ExceptionMissingFile) as error:
        raise HdrgenError(
            f"OpenColorIO cannot read {source}: {error}; unset $OCIO for the built-in one"
        ) from None


def config_source() -> str:
    """Return where the configuration comes from: ``$OCIO`` or the pinned built-in one."""
    return os.environ.get("OCIO") or BUILTIN_CONFIG


def knows(name: str) -> bool:
    """Tell whether the configuration knows a colour space of this name or alias."""
    return _space(name) is not None


def knows_scene_space(name: str) -> bool:
    """Tell whether the configuration knows a scene-referred space of this name: neither a display's nor data."""
    space = _space(name)
    scene = ocio.REFERENCE_SPACE_SCENE
    return space is not None and not space.isData() and space.getReferenceSpaceType() == scene


def _space(name: str) -> ocio.ColorSpace | None:
    config = _config(config_source())
    spaces = (config.getColorSpace(known) for known in (*_names(name), *_names_elsewhere(name)))
    return next((space for space in spaces if space is not None), None)


def _names(name: str) -> tuple[str, ...]:
    """Return what a configuration of today may call a space: name, alias or role."""
    former = _FORMER_ROLES.get(name.lower())
    return (ALIASES.get(name.lower(), name), name, *((former,) if former else ()))


def _names_elsewhere(name: str) -> tuple[str, ...]:
    """Return what other configurations call a space: ``ACEScg``, ``ACES - ACEScg``, ``lin_ap1``; none for a role."""
    builtin = _config(BUILTIN_CONFIG)
    if builtin.hasRole(name) or name.lower() in _FORMER_ROLES:
        return ()
    space = builtin.getColorSpace(ALIASES.get(name.lower(), name))
    return () if space is None else (space.getName(), *space.getAliases())


def space_name(name: str) -> str:
    """Return the configuration's own name of a colour space, case ignored.

    Parameters
    ----------
    name
        Its name, one of `ALIASES`, an alias or role of the configuration, or its name in an ACES configuration of
        another version.

    Raises
    ------
    HdrgenError
        The configuration has no such space; the message offers the nearest names.
    """
    known = _space(name)
    if known is not None:
        return str(known.getName())
    source = config_source()
    names = [*filter(knows, ALIASES), *_config(source).getColorSpaceNames()]
    near = " or ".join(map(repr, get_close_matches(name, names, n=3, cutoff=0.4)))
    if elsewhere := _names_elsewhere(name):
        nearest = f"; nearest in it are {near}" if near else ""
        raise HdrgenError(
            f"{source}: has no space {elsewhere[0]!r}, which {name!r} stands for{nearest}; take a configuration that "
            "has it, or unset $OCIO for the built-in one"
        )
    hint = (
        f"did you mean {near}?"
        if near
        else f"known are {', '.join(filter(knows, ALIASES)) or ', '.join(names)}"
    )
    raise HdrgenError(f"unknown colour space {name!r}; {hint}")


@cache
def _processor(config: str, source: str, target: str) -> ocio.CPUProcessor:
    try:
        processor = _config(config).getProcessor(source, target)
    except (ocio.Exception, ocio.ExceptionMissingFile) as error:
        raise HdrgenError(f"{config}: cannot convert {source!r} to {target!r} ({error})") from None
    # The default optimisation is 8 times less exact (6e-5 against 7e-6 relative to colour-science).
    return processor.getOptimizedCPUProcessor(ocio.OPTIMIZATION_LOSSLESS)


def convert(
    rgb: NDArray[np.floating], source: str, target: str, *, threads: int = 2, in_place: bool = False
) -> NDArray[np.float32]:
    """Convert a picture between two spaces of the configuration.

    Parameters
    ----------
    rgb
        Shape ``(H, W, 3)`` in the source space; the array is left as it is unless told otherwise.
    source, target
        Names or aliases, see `space_name`.
    threads
        Bands of rows worked on at once; OpenColorIO releases the interpreter lock.
    in_place
        Overwrite ``rgb`` and return it, where it is contiguous float32: no second copy of a large picture.

    Returns
    -------
    array
        Shape ``(H, W, 3)``, unclamped where the transform is.
    """
    source, target = space_name(source), space_name(target)
    if source == target:
        single = np.ascontiguousarray(to_single(rgb))
        return single.copy() if single is rgb and not in_place else single
    return _applied(_processor(config_source(), source, target), rgb, threads, in_place=in_place)


def display_view(display: str | None = None, view: str | None = None) -> tuple[str, str]:
    """Return the configuration's own names of a display and a view of it, by default its first of each.

    In the built-in configuration that is an sRGB monitor, seen through the ACES 2.0 SDR output transform.

    Raises
    ------
    HdrgenError
        The configuration knows no such display or view; the message says which there are.
    """
    config = _config(config_source())
    display = display or config.getDefaultDisplay()
    displays = {name.lower(): name for name in config.getDisplays()}
    if display.lower() not in displays:
        raise HdrgenError(f"unknown display {display!r}; known are {', '.join(map(repr, displays.values()))}")
    display = displays[display.lower()]
    view = view or config.getDefaultView(display)
    views = {name.lower(): name for name in config.getViews(display)}
    if view.lower() not in views:
        raise HdrgenError(f"{display!r} has no view {view!r}; it has {', '.join(map(repr, views.values()))}")
    return display, views[view.lower()]


def display(
    rgb: NDArray[np.float32],
    source: str,
    *,
    display: str | None = None,
    view: str | None = None,
    exposure_stops: float = 0.0,
    threads: int = 2,
) -> NDArray[np.float32]:
    """Return the code values that a monitor gets for a picture.

    Parameters
    ----------
    rgb
        Shape ``(H, W, 3)`` in the source space; the array is left as it is.
    source
        Name or alias of its space, see `space_name`.
    display, view
        See `display_view`.
    exposure_stops
        Exposure added in scene-linear light before the view.
    threads
        Bands of rows worked on at once.

    Returns
    -------
    array
        Shape ``(H, W, 3)``, code values of the display, 0 to 1 for what it can show.
    """
    display, view = display_view(display, view)
    processor = _view_processor(config_source(), space_name(source), display, view, exposure_stops)
    return _applied(processor, rgb, threads)


@cache
def _view_processor(
    config: str, source: str, display: str, view: str, exposure_stops: float
) -> ocio.CPUProcessor:
    gain = [2.0**exposure_stops] * 3
    steps = ocio.GroupTransform()
    steps.appendTransform(ocio.ColorSpaceTransform(source, "scene_linear"))
    steps.appendTransform(ocio.MatrixTransform.Scale([*gain, 1.0]))
    steps.appendTransform(ocio.DisplayViewTransform("scene_linear", display, view))
    try:
        # Pictures to look at: the default optimisation is exact to a fraction of a code, and faster.
        return _config(config).getProcessor(steps).getDefaultCPUProcessor()
    except (ocio.Exception, ocio.ExceptionMissingFile) as error:
        raise HdrgenError(f"{config}: cannot show {source!r} as {view!r} on {display!r} ({error})") from None


def aces_output(
    linear_ap1: NDArray[np.float32],
    *,
    peak_nits: float,
    limiting: Chromaticities,
    exposure_stops: float = 0.0,
    threads: int = 2,
) -> NDArray[np.float32]:
    """Return the light that the ACES 2.0 output transform shows on a display, whatever configuration is in use.

    Parameters
    ----------
    linear_ap1
        Shape ``(H, W, 3)``, scene-linear; the array is left as it is.
    peak_nits
        Peak luminance of the display, 100 to 10,000; 100 is the SDR transform.
    limiting
        Primaries that the colours are brought into, and of the result.
    exposure_stops
        Exposure added in scene-linear light.
    threads
        Bands of rows worked on at once.

    Returns
    -------
    array
        Shape ``(H, W, 3)``, display-linear in nit, 0 to the peak.
    """
    return _applied(_aces_processor(peak_nits, limiting, exposure_stops), linear_ap1, threads)


@cache
def _aces_processor(peak_nits: float, limiting: Chromaticities, exposure_stops: float) -> ocio.CPUProcessor:
    """Build the steps of the built-in ``ACES-OUTPUT - ACES2065-1_to_CIE-XYZ-D65``, which knows few peaks."""
    ceiling_ap1 = 8 * (128 + 768 * np.log(peak_nits / 100) / np.log(100))
    ap1_to_ap0 = np.eye(4)
    ap1_to_ap0[:3, :3] = rgb_to_rgb(AP1, AP0)
    steps = ocio.GroupTransform()
    steps.appendTransform(ocio.MatrixTransform.Scale([2.0**exposure_stops] * 3 + [1.0]))
    steps.appendTransform(ocio.RangeTransform(0.0, ceiling_ap1, 0.0, ceiling_ap1))
    steps.appendTransform(ocio.MatrixTransform(ap1_to_ap0.ravel().tolist()))
    steps.appendTransform(_aces_core(peak_nits, limiting))
    steps.appendTransform(ocio.RangeTransform(0.0, peak_nits / 100, 0.0, peak_nits / 100))
    steps.appendTransform(ocio.MatrixTransform.Scale([100.0, 100.0, 100.0, 1.0]))
    return ocio.Config.CreateRaw().getProcessor(steps).getDefaultCPUProcessor()


_ACES_SDR = {
    "1.3": "ACES-OUTPUT - ACES2065-1_to_CIE-XYZ-D65 - SDR-VIDEO_1.0",
    "2.0": "ACES-OUTPUT - ACES2065-1_to_CIE-XYZ-D65 - SDR-100nit-REC709_2.0",
}
AcesVersion = Literal["1.3", "2.0"]


def aces_sdr(
    linear_rec709: NDArray[np.floating], version: AcesVersion, *, inverse: bool = False, threads: int = 2
) -> NDArray[np.float32]:
    """Return what an ACES SDR view shows on a Rec.709 display, or with ``inverse`` the light it was shown for.

    Parameters
    ----------
    linear_rec709
        Shape ``(H, W, 3)``: scene-linear Rec.709, or display-linear Rec.709 0 to 1 for the inverse.
    version
        Of ACES; the SDR video transform of each, whatever configuration is in use.
    inverse
        Undo it. Display white is some light at the end of the curve, which is all that the transform knows of it.
    threads
        Bands of rows worked on at once.

    Returns
    -------
    array
        Shape ``(H, W, 3)``; display-linear 0 to 1 where the light is shown.
    """
    light = _applied(_aces_sdr_processor(version, inverse=inverse), linear_rec709, threads)
    return light if inverse else np.clip(light, 0, 1, out=light)


@cache
def _aces_sdr_processor(version: AcesVersion, *, inverse: bool) -> ocio.CPUProcessor:
    to_ap0, from_xyz = np.eye(4), np.eye(4)
    to_ap0[:3, :3] = rgb_to_rgb(REC709, AP0)
    from_xyz[:3, :3] = np.linalg.inv(rgb_to_xyz(REC709))
    steps = ocio.GroupTransform()
    steps.appendTransform(ocio.MatrixTransform(to_ap0.ravel().tolist()))
    steps.appendTransform(ocio.BuiltinTransform(_ACES_SDR[version]))
    steps.appendTransform(ocio.MatrixTransform(from_xyz.ravel().tolist()))
    if inverse:
        steps.setDirection(ocio.TRANSFORM_DIR_INVERSE)
    return ocio.Config.CreateRaw().getProcessor(steps).getDefaultCPUProcessor()


def _aces_core(peak_nits: float, limiting: Chromaticities) -> ocio.FixedFunctionTransform:
    numbers = [peak_nits, *(value for xy in limiting for value in xy)]
    return ocio.FixedFunctionTransform(ocio.FIXED_FUNCTION_ACES_OUTPUT_TRANSFORM_20, numbers)


def aces_grey_exposure(grey_nits: float, *, peak_nits: float) -> float:
    """Return the stops of exposure at which `aces_output` shows 18 % grey at a luminance below the peak."""
    core = _aces_core(peak_nits, AP1)
    core.setDirection(ocio.TRANSFORM_DIR_INVERSE)
    grey = ocio.Config.CreateRaw().getProcessor(core).getDefaultCPUProcessor()
    red, _, _ = grey.applyRGB([grey_nits / 100] * 3)
    return float(np.log2(red / 0.18))


def _applied(
    processor: ocio.CPUProcessor, rgb: NDArray[np.floating], threads: int, *, in_place: bool = False
) -> NDArray[np.float32]:
    """Transform a picture band by band, each made float32 and worked on while it is in the cache."""
    height, width, _ = rgb.shape
    own = in_place and rgb.dtype == np.float32 and rgb.flags.c_contiguous
    result: NDArray[np.float32] = rgb if own else np.empty(rgb.shape, np.float32)

    def apply(rows: slice) -> None:
        band = result[rows]
        if not own:
            band[...] = to_single(rgb[rows])
        processor.apply(ocio.PackedImageDesc(band, width, band.shape[0], 3))

    each_band(height, apply, threads=threads)
    return result
