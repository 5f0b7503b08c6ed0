"""The light of an ordinary picture: the curve it was rendered with, and what was clipped.

Two parts, both of which see the whole picture, made small. One estimates the rendering: whether there was any curve but
sRGB's, and which, as a mixture of the ways in which the curves of the training differ; it rises and is one for all components.
The other says how many stops of light are missing where codes are at their end, for each pixel and component; with enough
around to tell a lamp from a white wall. Everything at full
size is a closed form: ``light = curve(code) * 2^(weight(code) * missing)``, where the weight is 0 below `FIRST_INVENTED_CODE`.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from hdrgen.colour.arrays import ArrayT
from hdrgen.colour.display import srgb_decode
from hdrgen.models.pixel_unshuffled_unet import (
    UNSHUFFLED_CHANNELS,
    PixelUnshuffledUNet,
    pixel_shuffle,
    pixel_unshuffle,
)
from hdrgen.models.weights import load_model, save_model
from hdrgen.runtime.params import Section

MODEL = "highlights"
"""The name in the header of its weights."""

FIRST_INVENTED_CODE = 235.0
"""Up to this 8-bit code the light is the curve's alone; above, more and more of what is missing is added."""

GREY_CODE = 118
"""8-bit sRGB code of 18 % grey; every curve passes through it, so that what was grey stays grey."""

KNOTS = 17
"""Codes 0, 16, ... 240, 255 at which the curve's slope is estimated."""

MAX_MISSING_STOPS = 14.0
"""Most light that can be missing: 1.0 times this is 16384."""

_STOPS_PER_OUTPUT = 4.0
_FIRST_MISSING_STOPS = 0.15

BINS = 64
"""Of the histograms of red, green, blue and the largest component."""
TOP_CODES = 8
"""Codes 248 to 255 are counted each by itself: how they pile up tells clipping from a shoulder."""
COUNTS = 4 * BINS + TOP_CODES
_SMALLEST_SHARE = 1e-4
_EMBEDDING = 32
_FEATURES = 2 * UNSHUFFLED_CHANNELS + _EMBEDDING + 1
CURVE_COMPONENTS = 5
"""Ways in which curves differ that are estimated."""


class Highlights(Section):
    """Size of the network."""

    widths: tuple[int, ...] = (48, 80, 112, 128, 144)
    """Channels at a quarter of the picture's size, an eighth, and so on; lamps are told by what is far around them."""
    blocks: tuple[int, ...] = (1, 1, 1, 1, 2)
    """Residual blocks at each of these sizes, going down; as many come back up at all but the last."""
    plain_logit: float = 0.0
    """Above this logit codes are taken for plain sRGB: a curve that was not there costs more than one that is left in."""
    curve_share: float = Field(1.0, gt=0, le=1)
    """Share of the estimated curve that is undone, as a power of its slopes; less than all where the estimate is unsure."""
    curve_widths: tuple[int, ...] = (32, 64, 96, 96)
    """Channels of the part that estimates the curve, at an eighth of the picture's size, a sixteenth, and so on."""


def invented_weight(code: ArrayT, first: float = FIRST_INVENTED_CODE) -> ArrayT:
    """Return the share of the missing light that float codes 0 to 255 are given: 0 up to the first, 1 at 255, smoothly."""
    x = ((code - first) / (255 - first)).clip(0, 1)
    return x * x * (3 - 2 * x)


def histogram(code8: Tensor) -> Tensor:
    """Return `histogram_of_counts` of pictures of 8-bit codes ``(N, H, W, 3)``, ``(N, COUNTS)``."""
    flat = torch.cat([code8, code8.amax(-1, keepdim=True)], -1).flatten(1, 2).long()
    counts = [torch.stack([torch.bincount(plane, minlength=256) for plane in picture.T]) for picture in flat]
    return histogram_of_counts(torch.stack(counts), flat.shape[1])


def histogram_of_counts(counts: Tensor, pixels: int) -> Tensor:
    """Return what the curve is told by: logarithms of the shares of codes.

    Parameters
    ----------
    counts
        Pixels with each code in red, green, blue and the largest component, ``(..., 4, 256)``.
    pixels
        In all.

    Returns
    -------
    Tensor
        ``(..., COUNTS)``.
    """
    bins = counts.reshape(*counts.shape[:-1], BINS, -1).sum(-1).flatten(-2)
    shares = torch.cat([bins, counts[..., 3, -TOP_CODES:]], -1).float() / pixels
    return (shares + _SMALLEST_SHARE).log10() + 2


class HighlightsNet(nn.Module):
    """Small pictures of codes to a curve and missing light; sides are multiples of the stride."""

    curve_mean: Tensor
    """Logarithms of slopes, as `curve_stops` takes them, of the mean curve: ``(KNOTS,)``."""
    curve_components: Tensor
    """What is added to them for each standard deviation along a way in which curves differ."""

    def __init__(self, settings: Highlights) -> None:
        super().__init__()
        self.settings = settings
        widths = (2 * UNSHUFFLED_CHANNELS, *settings.curve_widths)
        self.look = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(widths)
        )
        self.count = nn.Sequential(nn.Linear(COUNTS, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
        self.judge = nn.Sequential(nn.Linear(2 * widths[-1] + 128, 192), nn.ReLU())
        self.embed = nn.Linear(192, _EMBEDDING)
        self.mixture = nn.Linear(192, CURVE_COMPONENTS)
        self.plain = nn.Linear(192, 1)
        self.unet = PixelUnshuffledUNet(_FEATURES, UNSHUFFLED_CHANNELS, settings.widths, settings.blocks)
        self.register_buffer("curve_mean", torch.zeros(KNOTS))
        self.register_buffer("curve_components", torch.zeros(CURVE_COMPONENTS, KNOTS))
        for layer in (self.mixture, self.plain):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, code: Tensor, counts: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the curve and the missing light.

        Parameters
        ----------
        code
            Codes 0 to 255, float, ``(N, H, W, 3)``.
        counts
            Of `histogram`, of the picture at its full size.
        given
            ``(N,)``: 1 where codes are known to be plain sRGB, 0 where they are known not to be, -1 where it is estimated.

        Returns
        -------
        tuple
            Of the curve, supposing that there is one, logarithms of its slopes at its knots over those of sRGB,
            ``(N, KNOTS)``; the logit of there being none, ``(N,)``; stops of missing light ``(N, H, W, 3)``, not negative but
            while the network learns.
        """
        unshuffled = pixel_unshuffle(code)
        features = torch.cat([unshuffled / 64 - 2, 2 * invented_weight(unshuffled)], -1)
        x = features.permute(0, 3, 1, 2)
        for layer in self.look:
            x = F.relu(layer(x))
        seen = torch.cat([x.mean((2, 3)), x.amax((2, 3)), self.count(counts)], -1)
        judged = self.judge(seen)
        plain = self.plain(judged)[:, 0].float()
        mixture = 3 * torch.tanh(self.mixture(judged).float() / 3)
        slopes = self.settings.curve_share * (self.curve_mean + mixture @ self.curve_components)
        is_plain = torch.where(given < 0, (plain > self.settings.plain_logit).to(given.dtype), given)
        around = torch.cat([self.embed(judged).float(), is_plain[:, None]], -1)
        planes = around[:, None, None].expand(-1, *features.shape[1:3], -1)
        output = self.unet(torch.cat([features, planes], -1)).float()
        # While it learns, less than nothing may be missing, at a tenth: where nothing is, it would learn no more.
        missing = F.leaky_relu(_STOPS_PER_OUTPUT * pixel_shuffle(output) + _FIRST_MISSING_STOPS, 0.1)
        return slopes, plain, missing if self.training else F.relu(missing).clamp(max=MAX_MISSING_STOPS)


_KNOTS_AT = np.append(np.arange(0, 255, 16), 255)


def _knot_weights() -> np.ndarray:
    """Return how much of each knot's slope a code has, ``(256, KNOTS)``: linear between them."""
    codes = np.arange(256)
    return np.stack([np.interp(codes, _KNOTS_AT, row) for row in np.eye(KNOTS)], 1).astype(np.float32)


def _srgb_stops() -> np.ndarray:
    codes = np.maximum(np.arange(256), 0.5) / 255
    return np.log2(srgb_decode(codes)).astype(np.float32)


_KNOT_WEIGHTS = torch.from_numpy(_knot_weights())
SRGB_STOPS = _srgb_stops()
"""log2 of the light of 8-bit sRGB codes, ``(256,)``; code 0 is taken for half a code."""


def curve_stops(log_slopes: Tensor) -> Tensor:
    """Return log2 of the light of codes 0 to 255, ``(N, 256)``, rising; 18 % grey is where sRGB has it.

    Parameters
    ----------
    log_slopes
        Natural logarithms of the slope in stops over that of sRGB at each knot, ``(N, KNOTS)``; 0 is sRGB.
    """
    srgb = torch.from_numpy(SRGB_STOPS).to(log_slopes.device)
    slopes = (log_slopes @ _KNOT_WEIGHTS.T.to(log_slopes.device)).exp()
    steps = (slopes[:, 1:] + slopes[:, :-1]) / 2 * srgb.diff()
    stops = F.pad(steps.cumsum(1), (1, 0))
    return stops - stops[:, GREY_CODE : GREY_CODE + 1] + srgb[GREY_CODE]


def log_slopes_of(stops: np.ndarray) -> np.ndarray:
    """Return what `curve_stops` makes a curve of, ``(KNOTS,)``, from log2 of the light of codes 0 to 255."""
    knots = _KNOTS_AT
    low, high = np.maximum(knots - 8, 3), np.minimum(knots + 8, 254)
    low = np.minimum(low, high - 4)
    slopes = (stops[high] - stops[low]) / (SRGB_STOPS[high] - SRGB_STOPS[low])
    return np.log(np.clip(slopes, 0.1, 10)).astype(np.float32)


def save_highlights(path: Path, net: HighlightsNet) -> None:
    """Write the weights with all that `load_highlights` needs to know."""
    settings = net.settings.model_dump(mode="json")
    save_model(path, net, model=MODEL, settings=settings, dtype=torch.float16)


def load_highlights(path: Path) -> HighlightsNet:
    """Read what `save_highlights` wrote, ready for inference.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """
    return load_model(path, MODEL, lambda settings: HighlightsNet(Highlights.model_validate(settings)))
