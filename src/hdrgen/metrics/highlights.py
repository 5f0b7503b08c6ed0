"""Highlights beside their reference: the colour they keep, and the light that sources give."""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import ndimage

from hdrgen.colour.logc import logc4_encode
from hdrgen.colour.primaries import AWG4, luminance, rgb_to_xyz

HIGHLIGHT_LINEAR = 1.0
"""Luminance above this, 2.5 stops over grey, is a highlight; what an 8-bit picture cannot hold."""
SOURCE_LINEAR = 16.0
"""Luminance above this, 6.5 stops over grey, is a source of light or its mirror image."""
COLOURFUL = 0.02
"""Distance from white in u'v' from which a colour has a hue worth comparing."""
_MARGIN = 0.01
"""Share of the longer side by which the place of a source is widened, since blur moves light and loses none."""

Light = NDArray[np.floating]


def logc4_psnr(test: Light, reference: Light) -> float:
    """Return PSNR in log space: dB over LogC4 codes, in which 1.0 is the peak, at most 100.

    Codes of 8 bits that are only rounded have 58.9 dB.

    Parameters
    ----------
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``.

    Examples
    --------
    >>> grey = np.full((4, 4, 3), 0.18)
    >>> round(logc4_psnr(2 * grey, grey), 1)
    24.7
    """
    error = float(np.mean(np.square(logc4_encode(test) - logc4_encode(reference)), dtype=np.float64))
    return min(-10 * float(np.log10(error)), 100.0) if error > 0 else 100.0


def uv_from_white(linear_awg4: Light) -> NDArray[np.float64]:
    """Return CIE 1976 u'v' less that of white, ``(..., 2)``: direction is hue, length is saturation, at any exposure."""
    white = rgb_to_xyz(AWG4).sum(1)
    return _uv(np.maximum(linear_awg4, 0) @ rgb_to_xyz(AWG4).T) - _uv(white)


def _uv(xyz: Light) -> NDArray[np.float64]:
    x, y, z = np.moveaxis(np.asarray(xyz, np.float64), -1, 0)
    return np.stack([4 * x, 9 * y], -1) / np.maximum(x + 15 * y + 3 * z, 1e-9)[..., None]


def highlight_saturation(linear_awg4: Light) -> float | None:
    """Return the mean saturation of highlights in u'v', None without any."""
    above = luminance(linear_awg4, AWG4) > HIGHLIGHT_LINEAR
    return float(np.hypot(*uv_from_white(linear_awg4[above]).T).mean()) if above.any() else None


def highlight_colour_shift(test: Light, reference: Light) -> dict[str, float]:
    """Return what happened to the colour of the reference's highlights, nothing where it has none.

    Parameters
    ----------
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``.

    Returns
    -------
    dict
        ``highlight_saturation_ratio``: summed saturation over that of the reference, below 1 where colour faded to
        white; ``highlight_hue_shift_degrees``: mean angle between the hues, weighted by saturation, where the reference
        is colourful. A test without colour has no hue and counts as 90 degrees.
    """
    above = luminance(reference, AWG4) > HIGHLIGHT_LINEAR
    if not above.any():
        return {}
    test_uv, reference_uv = uv_from_white(test[above]), uv_from_white(reference[above])
    test_length, reference_length = np.hypot(*test_uv.T), np.hypot(*reference_uv.T)
    figures = {}
    if reference_length.sum() > 0:
        figures["highlight_saturation_ratio"] = float(test_length.sum() / reference_length.sum())
    colourful = reference_length > COLOURFUL
    if colourful.any():
        lengths = test_length[colourful] * reference_length[colourful]
        # Half a thousandth in u'v' is the noise of half floats, not a hue.
        has_hue = test_length[colourful] > 5e-4
        cosine = (test_uv[colourful] * reference_uv[colourful]).sum(-1) / np.where(has_hue, lengths, 1)
        degrees = np.where(has_hue, np.degrees(np.arccos(np.clip(cosine, -1, 1))), 90.0)
        figures["highlight_hue_shift_degrees"] = float(
            np.average(degrees, weights=reference_length[colourful])
        )
    return figures


def light_sources(test: Light, reference: Light) -> pl.DataFrame:
    """Compare each source of light with what it was: whether a sun keeps its energy and its size.

    Sources are the connected regions of the reference above `SOURCE_LINEAR`, widened a little; light is luminance summed
    over them.

    Parameters
    ----------
    test, reference
        Scene-linear AWG4 of one shape ``(H, W, 3)``.

    Returns
    -------
    DataFrame
        A row for each source, the strongest first: ``row`` and ``column`` of its centre of light in pixels,
        ``energy`` of the reference, ``energy_ratio`` of the test to it, ``peak_ratio``, and ``area_ratio`` of the
        effective areas ``(sum Y)^2 / sum Y^2``, above 1 where the source was smeared or flattened.
    """
    test_y, reference_y = (
        np.maximum(luminance(light, AWG4), 0).astype(np.float64) for light in (test, reference)
    )
    margin = max(1, round(_MARGIN * max(reference_y.shape)))
    near = ndimage.binary_dilation(reference_y > SOURCE_LINEAR, iterations=margin)
    labels, count = ndimage.label(near)
    which = np.arange(1, count + 1)
    energy, test_energy = (ndimage.sum_labels(y, labels, which) for y in (reference_y, test_y))
    squares, test_squares = (ndimage.sum_labels(y**2, labels, which) for y in (reference_y, test_y))
    peak, test_peak = (ndimage.maximum(y, labels, which) for y in (reference_y, test_y))
    centres = np.array(ndimage.center_of_mass(reference_y, labels, which)).reshape(-1, 2)
    area, test_area = (
        e**2 / np.maximum(s, 1e-30) for e, s in ((energy, squares), (test_energy, test_squares))
    )
    table = {
        "row": centres[:, 0],
        "column": centres[:, 1],
        "energy": energy,
        "energy_ratio": test_energy / energy,
        "peak_ratio": test_peak / peak,
        "area_ratio": test_area / area,
    }
    columns = {name: np.atleast_1d(np.asarray(v, np.float64)) for name, v in table.items()}
    return pl.DataFrame(columns).sort("energy", descending=True)


def source_figures(sources: pl.DataFrame) -> dict[str, float]:
    """Return what became of all sources of a picture: ratios of energy and area, weighted by energy; else nothing."""
    if sources.is_empty():
        return {}
    energy = sources["energy"].to_numpy()
    return {
        f"source_{name}": float(np.average(sources[name].to_numpy(), weights=energy))
        for name in ("energy_ratio", "area_ratio")
    }


def source_energy_share(linear_awg4: Light) -> float:
    """Return how much of a picture's light, 0 to 1, comes from pixels above `SOURCE_LINEAR`."""
    y = np.maximum(luminance(linear_awg4, AWG4), 0).astype(np.float64)
    return float(y[y > SOURCE_LINEAR].sum() / max(float(y.sum()), 1e-30))
