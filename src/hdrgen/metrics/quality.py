"""Full-reference quality of scene-linear pictures.

All functions take two scene-linear RGB pictures of shape ``(H, W, 3)`` in the same primaries, 18 % grey at
0.18, and read 1.0 as 100 nit. `pu21_psnr`, `pu21_ssim` and `stops_rmse` decide. `psnr_linear` and `ssim_linear`
exist for comparison with published figures: normalised by the reference's peak, they give some 33 dB to a
picture whose highlights were all cut off at 1.0.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from hdrgen.colour.primaries import AWG4, luminance
from hdrgen.colour.pu21 import PEAK, pu21_encode
from hdrgen.colour.units import FLOOR_LINEAR, NITS_PER_UNIT

LUMINANCE_BANDS = {
    "below_0.05": (0.0, 0.05),
    "0.05_to_1": (0.05, 1.0),
    "1_to_16": (1.0, 16.0),
    "above_16": (16.0, np.inf),
}
"""Bands of reference luminance, scene-linear, for errors in stops."""

Picture = NDArray[np.floating]


def _checked(test: Picture, reference: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if test.shape != reference.shape:
        raise ValueError(f"pictures differ in size: {test.shape} against {reference.shape}")
    if not (np.isfinite(test).all() and np.isfinite(reference).all()):
        raise ValueError("pictures hold NaN or Inf; repair them before judging them")
    return test.astype(np.float32, copy=False), reference.astype(np.float32, copy=False)


def _psnr(test: Picture, reference: Picture, peak: float) -> float:
    error = np.mean(np.square(test - reference), dtype=np.float64)
    # Equal pictures would be infinitely good, which no mean survives and JSON cannot say.
    return float(min(20 * np.log10(peak / np.sqrt(error)), 100.0)) if error > 0 else 100.0


def _ssim(test: Picture, reference: Picture, data_range: float) -> float:
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            test,
            reference,
            data_range=data_range,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def _pu21(linear: Picture) -> NDArray[np.float32]:
    encoded: NDArray[np.float32] = pu21_encode(linear * np.float32(NITS_PER_UNIT))
    return encoded


def pu21_psnr(test: Picture, reference: Picture) -> float:
    """Return PSNR in dB over PU21-encoded RGB, peak 595.39, at most 100 (Mantiuk and Azimi 2021).

    Light above 10,000 nit, 100.0, is all one to it. The authors' own code takes the code of 100 nit, 256, for the peak:
    for the same RGB its figure is 7.33 dB lower.

    Examples
    --------
    100 and 1000 nit are 256.38 and 420.10 in PU21.

    >>> reference = np.ones((16, 16, 3))
    >>> round(pu21_psnr(10 * reference, reference), 2)
    11.21
    """
    test, reference = _checked(test, reference)
    return _psnr(_pu21(test), _pu21(reference), PEAK)


def pu21_ssim(test: Picture, reference: Picture) -> float:
    """Return SSIM over PU21-encoded luminance, Gaussian windows of sigma 1.5 (Wang et al. 2004, equation 13).

    Light above 10,000 nit, 100.0, is all one to it. Its range is 595.39; figures of another, such as the 256 of the
    authors' own code, cannot be converted.

    Examples
    --------
    Where both are plain, only the luminance term ``(2 a b + C1) / (a^2 + b^2 + C1)`` is left.

    >>> reference = np.ones((16, 16, 3))
    >>> round(pu21_ssim(10 * reference, reference), 3)
    0.889
    """
    test, reference = _checked(test, reference)
    return _ssim(_pu21(luminance(test, AWG4)), _pu21(luminance(reference, AWG4)), PEAK)


def stops_error(test: Picture, reference: Picture) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the error of luminance in stops and the reference's luminance, each of shape ``(H, W)``.

    Both luminances are held above `FLOOR_LINEAR`, so that noise around black is no error of many stops.
    """
    test, reference = _checked(test, reference)
    test_y, reference_y = luminance(test, AWG4), luminance(reference, AWG4)
    error = np.log2(np.maximum(test_y, FLOOR_LINEAR) / np.maximum(reference_y, FLOOR_LINEAR))
    return error, reference_y


def stops_rmse(test: Picture, reference: Picture) -> dict[str, float]:
    """Return the RMS error of luminance in stops: ``all`` and each of `LUMINANCE_BANDS` that has pixels.

    The error of a pixel is ``log2(max(Y, floor) / max(Y_ref, floor))``; its band is that of ``Y_ref``.

    Examples
    --------
    >>> reference = np.full((16, 16, 3), 0.18)
    >>> stops_rmse(2 * reference, reference)
    {'all': 1.0, '0.05_to_1': 1.0}
    """
    error, reference_y = stops_error(test, reference)
    rmse = {"all": float(np.sqrt(np.mean(np.square(error), dtype=np.float64)))}
    for band, (low, high) in LUMINANCE_BANDS.items():
        inside = error[(reference_y >= low) & (reference_y < high)]
        if inside.size:
            rmse[band] = float(np.sqrt(np.mean(np.square(inside), dtype=np.float64)))
    return rmse


def peak_ratio(test: Picture, reference: Picture) -> float:
    """Return the 99.99th percentile of the picture's components over the reference's: 1 keeps the peaks.

    Examples
    --------
    >>> reference = np.geomspace(0.01, 100, 3 * 32 * 32).reshape(32, 32, 3)
    >>> round(peak_ratio(np.minimum(reference, 50), reference), 2)
    0.5
    """
    test, reference = _checked(test, reference)
    return float(np.percentile(test, 99.99) / max(float(np.percentile(reference, 99.99)), FLOOR_LINEAR))


def psnr_linear(test: Picture, reference: Picture) -> float:
    """Return PSNR in dB over linear RGB normalised by the reference's peak: PSNR-L of papers. For comparison only.

    Examples
    --------
    >>> reference = np.ones((16, 16, 3))
    >>> round(psnr_linear(0.9 * reference, reference), 2)
    20.0
    """
    test, reference = _checked(test, reference)
    return _psnr(test, reference, max(float(reference.max()), FLOOR_LINEAR))


def ssim_linear(test: Picture, reference: Picture) -> float:
    """Return SSIM over linear luminance normalised by the reference's peak. For comparison only.

    Examples
    --------
    For a plain picture at half its light, only ``(2 a b + C1) / (a^2 + b^2 + C1)`` is left, C1 being 0.0001.

    >>> reference = np.ones((16, 16, 3))
    >>> round(ssim_linear(0.5 * reference, reference), 5)
    0.80002
    """
    test, reference = _checked(test, reference)
    peak = max(float(reference.max()), FLOOR_LINEAR)
    return _ssim(luminance(test, AWG4) / peak, luminance(reference, AWG4) / peak, 1.0)


def evaluate(test: Picture, reference: Picture) -> dict[str, float]:
    """Return every metric of this module for one picture; stops by band as ``stops_rmse_<band>``."""
    stops = stops_rmse(test, reference)
    return {
        "pu21_psnr": pu21_psnr(test, reference),
        "pu21_ssim": pu21_ssim(test, reference),
        "stops_rmse": stops.pop("all"),
        **{f"stops_rmse_{band}": value for band, value in stops.items()},
        "peak_ratio": peak_ratio(test, reference),
        "psnr_linear": psnr_linear(test, reference),
        "ssim_linear": ssim_linear(test, reference),
    }


def summarise(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return mean, sd, min, max and count of each metric over pictures; a band counts where it has pixels."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    summary = {}
    for name in names:
        values = np.array([row[name] for row in rows if name in row])
        summary[name] = {
            "mean": float(values.mean()),
            "sd": float(values.std()),
            "min": float(values.min()),
            "max": float(values.max()),
            "count": int(values.size),
        }
    return summary
