"""An ordinary picture of any size to its light: what ``hdrgen recover`` runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hdrgen.colour import ocio
from hdrgen.colour.display import srgb_decode
from hdrgen.images.exr import HALF_MAX
from hdrgen.models.highlights import (
    FIRST_INVENTED_CODE,
    GREY_CODE,
    MODEL,
    SRGB_STOPS,
    HighlightsNet,
    curve_stops,
    histogram_of_counts,
    invented_weight,
    load_highlights,
)
from hdrgen.models.pixel_unshuffled_unet import stride
from hdrgen.models.runtime_network import Network, torch_threads
from hdrgen.models.tiles import padded
from hdrgen.runtime.bands import each_band
from hdrgen.runtime.choices import DisplayCurve

LONGEST_SIDE = 384
"""Of the small picture that the network sees, in pixels: what it was judged at."""

_ACES: dict[str, ocio.AcesVersion] = {"aces13": "1.3", "aces2": "2.0"}
_IS_SRGB: dict[DisplayCurve, bool | None] = {
    "auto": None,
    "srgb": True,
    "film": False,
    "aces13": False,
    "aces2": False,
}
_STEPS_PER_CODE = 16
_LAST_OF_ACES = 254.5
"""Code that stands for 255 in the inverse of an ACES view, where white is all light from some value on."""


@dataclass(frozen=True)
class Estimate:
    """What the network says of a picture.

    Parameters
    ----------
    stops
        log2 of the light of codes 0 to 255, ``(256,)``, rising; 18 % grey is where sRGB has it. sRGB's own where there
        is no other curve.
    is_srgb
        Whether codes are taken for plain sRGB.
    is_plain
        Probability of there being no curve but sRGB's, 0 to 1.
    missing_stops
        Light that is missing where codes are at their end, going on around it, ``(h, w, 3)``; no side is longer than
        `LONGEST_SIDE`.
    """

    stops: NDArray[np.float32]
    is_srgb: bool
    is_plain: float
    missing_stops: NDArray[np.float32]


@dataclass(frozen=True)
class Light:
    """Light ``(H, W, 3)`` in the codes' primaries, and what it was made by.

    Parameters
    ----------
    linear
        Scene-linear. Before any exposure, 18 % grey of the picture is 0.18 but under an ACES curve, which has its own.
    observed
        ``(H, W)``: 1 where the picture shows the light, 0 where it is invented, between where both have a share.
    curve
        The curve that was undone: as asked for, ``auto`` made ``srgb`` or ``film``.
    is_plain
        As of `Estimate`.
    exposure_stops
        Of all light.
    white_linear
        Where display white landed, exposure and all, before anything was invented.
    """

    linear: NDArray[np.float32]
    observed: NDArray[np.float32]
    curve: DisplayCurve
    is_plain: float
    exposure_stops: float
    white_linear: float


class Recoverer(Network[HighlightsNet]):
    """The network with its weights. See `Network`."""

    model = MODEL
    load_net = staticmethod(load_highlights)

    def __init__(self, net: HighlightsNet, digest: str, dtype: torch.dtype | None = None) -> None:
        super().__init__(net, digest, dtype)
        # oneDNN reads beyond what it was given where a bf16 convolution of stride 2 makes one column of two: NaN at times.
        net.look = nn.ModuleList(_InSinglePrecision(layer) for layer in net.look)

    def estimate(
        self, code: NDArray[np.float32], *, is_srgb: bool | None = None, threads: int = 2
    ) -> Estimate:
        """Return what a picture's small version says of its curve and of what is missing.

        Parameters
        ----------
        code
            Codes of sRGB's curve, 0 to 255, float, ``(H, W, 3)``.
        is_srgb
            Whether they are known to be plain sRGB; None estimates it.
        threads
            Threads to work with.
        """
        small = _small(code)
        counts = histogram_of_counts(torch.from_numpy(_counts(code)), code.shape[0] * code.shape[1])
        multiple = stride(self._net.settings.widths)
        given = torch.tensor([-1.0 if is_srgb is None else float(is_srgb)])
        slopes, plain, missing = self._run(padded(small, multiple), counts[None], given, threads)
        if is_srgb is None:
            is_srgb = float(plain[0]) > self._net.settings.plain_logit
        stops = SRGB_STOPS if is_srgb else curve_stops(slopes.float())[0].numpy()
        is_plain = float(torch.sigmoid(plain)[0])
        missing_stops = missing[0, : small.shape[0], : small.shape[1]].float().contiguous().numpy()
        return Estimate(stops, is_srgb, is_plain, _filled(missing_stops, small))

    def _run(self, small: Tensor, counts: Tensor, given: Tensor, threads: int) -> tuple[Tensor, ...]:
        """Return what the network gives for a padded small picture and its histogram."""
        with torch_threads(threads), torch.inference_mode(), self._autocast():
            return tuple(self._net(small, counts, given))

    def recover(
        self,
        code: NDArray[np.float32],
        *,
        curve: DisplayCurve = "auto",
        exposure_stops: float = 0.0,
        anchor_linear: float | None = None,
        strength: float = 1.0,
        peak_linear: float | None = None,
        threads: int = 2,
    ) -> Light:
        """Return the light of a picture.

        Parameters
        ----------
        code
            Codes of sRGB's curve, 0 to 255, float, ``(H, W, 3)``; its memory is used for the light, so it is lost.
        curve
            What the picture was rendered with. ``auto`` is estimated. Under ``srgb`` only code 255 is not believed, and
            all others come back exactly.
        exposure_stops, anchor_linear
            Exposure of all light; or where display white is to land before anything is invented, None where it lands.
        strength
            Share of the missing stops that is added, 0 to 1 and above.
        peak_linear
            Invented light ends there; None is no end but that of half floats. What is seen stays, however bright.
        threads
            Threads to work with.
        """
        found = self.estimate(code, is_srgb=_IS_SRGB[curve], threads=threads)
        known = _known_curve(curve, found)
        # What the network says of the end of the codes stands, whatever curve is undone.
        ends = [stops[-1] - stops[GREY_CODE] for stops in (found.stops, known.stops)]
        more = max(0.0, float(ends[0] - ends[1])) if curve != "auto" else 0.0
        if anchor_linear is not None:
            exposure_stops = float(np.log2(anchor_linear) - known.stops[-1])
        gain, peak = np.float32(2.0**exposure_stops), np.float32(peak_linear or HALF_MAX)
        height, width, _ = code.shape
        observed = np.ones((height, width), np.float32)
        field = found.missing_stops + np.float32(more)
        scale = (found.missing_stops.shape[0] / height, found.missing_stops.shape[1] / width)

        def work(rows: slice) -> None:
            band = code[rows]
            ends = band.max(-1) > known.first_invented_code
            y, x = np.nonzero(ends)
            codes = band[y, x]
            known.decode(band)
            if gain != 1:
                band *= gain
            if not y.size:
                return
            weight = invented_weight(codes, known.first_invented_code)
            missing = _sampled(field, y + rows.start, x, scale)
            seen = band[y, x]
            light = seen * np.exp2(np.float32(strength) * weight * missing)
            band[y, x] = np.maximum(seen, np.minimum(light, peak))
            observed[rows][y, x] = 1 - weight.max(-1) if strength else 1

        each_band(height, work, threads=threads)
        white_linear = float(np.exp2(known.stops[-1] + exposure_stops))
        return Light(code, observed, known.name, found.is_plain, exposure_stops, white_linear)


class _InSinglePrecision(nn.Module):
    """A layer in single precision, whatever the network is run in."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return cast("Tensor", self._layer(x))


@dataclass(frozen=True)
class _KnownCurve:
    """The curve that is undone; codes above the first invented one are believed less and less."""

    name: DisplayCurve
    stops: NDArray[np.float32]
    first_invented_code: float
    decode: Callable[[NDArray[np.float32]], None]
    """Makes light of codes, in place."""


def _known_curve(curve: DisplayCurve, found: Estimate) -> _KnownCurve:
    if curve in _ACES:
        return _aces_curve(curve)
    if found.is_srgb:
        return _table_curve("srgb", SRGB_STOPS, 254.5 if curve == "srgb" else FIRST_INVENTED_CODE)
    return _table_curve("film", found.stops, FIRST_INVENTED_CODE)


def _table_curve(name: DisplayCurve, stops: NDArray[np.float32], first_invented_code: float) -> _KnownCurve:
    fine = np.exp2(np.interp(np.arange(255 * _STEPS_PER_CODE + 1) / _STEPS_PER_CODE, np.arange(256), stops))
    if name == "srgb":
        fine = srgb_decode(np.arange(len(fine)) / (len(fine) - 1))
    table = fine.astype(np.float32)
    rises = np.append(np.diff(table), np.float32(0))

    def decode(code: NDArray[np.float32]) -> None:
        code *= _STEPS_PER_CODE
        below = code.astype(np.int16)
        code -= below
        code *= rises[below]
        code += table[below]

    return _KnownCurve(name, stops, first_invented_code, decode)


def _aces_curve(name: DisplayCurve) -> _KnownCurve:
    def decode(code: NDArray[np.float32]) -> None:
        shown = srgb_decode(np.minimum(code, np.float32(_LAST_OF_ACES)) / 255)
        code[...] = np.maximum(ocio.aces_sdr(shown, _ACES[name], inverse=True, threads=1), 0)

    grey = np.arange(256, dtype=np.float32)[:, None, None].repeat(3, 2)
    decode(grey)
    stops = np.log2(np.maximum(grey[:, 0, 1], np.float32(1e-6)))
    return _KnownCurve(name, stops, FIRST_INVENTED_CODE, decode)


def _small(code: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture averaged until no side is longer than `LONGEST_SIDE`."""
    height, width, _ = code.shape
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return code.copy()
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(code, size, interpolation=cv2.INTER_AREA), np.float32)


def _counts(code: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many pixels have each code in red, green, blue and the largest component, ``(4, 256)``."""
    code8 = np.rint(code).astype(np.uint8)
    planes = (*np.moveaxis(code8, -1, 0), code8.max(-1))
    return np.stack([np.bincount(plane.ravel(), minlength=256) for plane in planes])


def _filled(missing_stops: NDArray[np.float32], small: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return missing light that goes on where the small picture is not at its end: a larger one may be there."""
    weight = np.minimum(4 * invented_weight(small), 1)
    total = weight.sum((0, 1), keepdims=True)
    filled = np.broadcast_to(
        (missing_stops * weight).sum((0, 1), keepdims=True) / np.maximum(total, 1e-6), small.shape
    )
    for sigma in (16, 4, 1):
        near, weights = (cv2.GaussianBlur(p, (0, 0), sigma) for p in (missing_stops * weight, weight))
        trust = np.minimum(8 * weights, 1)
        filled = filled + trust * (near / np.maximum(weights, 1e-6) - filled)
    return np.asarray(filled + weight * (missing_stops - filled), np.float32)


def _sampled(
    field: NDArray[np.float32], y: NDArray[np.intp], x: NDArray[np.intp], scale: tuple[float, float]
) -> NDArray[np.float32]:
    """Return the small field at pixels of the large picture, bilinear, ``(N, 3)``."""
    rows, columns = field.shape[:2]
    at_y = np.clip((y + 0.5) * scale[0] - 0.5, 0, rows - 1).astype(np.float32)
    at_x = np.clip((x + 0.5) * scale[1] - 0.5, 0, columns - 1).astype(np.float32)
    top, left = at_y.astype(np.intp), at_x.astype(np.intp)
    below, right = np.minimum(top + 1, rows - 1), np.minimum(left + 1, columns - 1)
    down, across = (at_y - top)[:, None], (at_x - left)[:, None]
    upper = field[top, left] + across * (field[top, right] - field[top, left])
    lower = field[below, left] + across * (field[below, right] - field[below, left])
    return np.asarray(upper + down * (lower - upper), np.float32)
