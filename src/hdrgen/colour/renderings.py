"""How scene-linear light becomes an ordinary sRGB picture: plain sRGB, ACES's views, and curves with a filmic shoulder.

All take and give linear Rec.709 of a display whose white is 1.0; `srgb_encode` makes codes of it.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import REC709, luminance

Linear = NDArray[np.float32]
Shoulder = Literal["reinhard", "hable", "exponential", "sigmoid", "knee"]
SHOULDERS: tuple[Shoulder, ...] = get_args(Shoulder)
_GREY_LINEAR = 0.18


@dataclass(frozen=True)
class Filmic:
    """A curve for each component that rolls highlights off, and the colour that photographs have beside it.

    Parameters
    ----------
    shoulder
        ``reinhard``: ``x (1 + x / w^2) / (1 + x)`` (Reinhard et al. 2002, equation 4); ``hable``: Uncharted 2 (Hable 2010);
        ``exponential``: ``1 - exp(-x)``, as film is often drawn; ``sigmoid``: ``x^1.2 / (x^1.2 + 0.7)`` (Naka and Rushton
        1966); ``knee``: light as it is up to 0.6, and a hyperbola from there.
    white_linear
        Light that becomes display white. All but Reinhard's are divided by what they give for it.
    contrast
        Power about 18 % grey, before the shoulder; above 1 is an S-curve.
    saturation
        Factor on the distance from luminance, before the curve.
    white_balance
        Factors on red, green and blue, before all else.

    Examples
    --------
    >>> curve = Filmic("reinhard", white_linear=8.0)
    >>> [round(float(v), 3) for v in curve.display_linear(np.float32([[[0.18, 1.0, 8.0]]])).ravel()]
    [0.153, 0.508, 1.0]
    """

    shoulder: Shoulder
    white_linear: float
    contrast: float = 1.0
    saturation: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def display_linear(self, linear_rec709: NDArray[np.floating]) -> Linear:
        """Return what the display shows, 0 to 1, for scene-linear Rec.709 ``(H, W, 3)``."""
        x = np.maximum(linear_rec709, 0).astype(np.float32, copy=False) * np.array(
            self.white_balance, np.float32
        )
        if self.saturation != 1:
            grey = luminance(x, REC709)[..., None]
            x = np.maximum(grey + self.saturation * (x - grey), 0)
        shown = self._shoulder(self._contrasted(np.minimum(x, self.white_linear)))
        if self.shoulder != "reinhard" or self.contrast != 1:
            white = np.full((1, 1, 1), self.white_linear, np.float32)
            shown = shown / self._shoulder(self._contrasted(white))
        return np.clip(shown, 0, 1)

    def _contrasted(self, x: Linear) -> Linear:
        if self.contrast == 1:
            return x
        contrasted: Linear = _GREY_LINEAR * (x / _GREY_LINEAR) ** self.contrast
        return contrasted

    def _shoulder(self, x: Linear) -> Linear:
        match self.shoulder:
            case "reinhard":
                shown = x * (1 + x / self.white_linear**2) / (1 + x)
            case "hable":
                x = 2 * x
                shown = (x * (0.15 * x + 0.05) + 0.004) / (x * (0.15 * x + 0.5) + 0.06) - 1 / 15
            case "exponential":
                shown = -np.expm1(-x)
            case "sigmoid":
                powered = x ** np.float32(1.2)
                shown = powered / (powered + 0.7)
            case "knee":
                above = np.maximum(x - 0.6, 0)
                shown = np.minimum(x, 0.6) + above / (1 + above / 0.6)
        return shown.astype(np.float32, copy=False)
