"""Each model as one graph, from what files hold to what its command makes of it, for pictures of any size.

A graph holds all that its model does to a picture: tables, padding, the network, the curve back to light where light comes
out. What goes in and what comes out is stated in its `Contract`, which goes into the ONNX file, because a picture of the
wrong encoding looks almost right.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hdrgen.colour.units import FLOOR_LINEAR
from hdrgen.exposure.log2_encoding import log2_decode
from hdrgen.inference.highlights import LONGEST_SIDE
from hdrgen.models.bit_depth import (
    WIDEST,
    BitDepthUNet,
    clean_code,
    features,
    generated_code,
    overview,
)
from hdrgen.models.exposure_fusion import (
    SLOTS,
    STRIDE,
    LuminanceStackProcessor,
    merge_log2,
    trust_and_correction,
)
from hdrgen.models.highlights import COUNTS, KNOTS, MAX_MISSING_STOPS, HighlightsNet
from hdrgen.models.pixel_unshuffled_unet import pixel_shuffle, pixel_unshuffle, stride
from hdrgen.models.stack_estimates import StackEstimates
from hdrgen.models.tone_fusion import ToneFuser

SAME_AS_INPUT = "those of the input pictures"
LOG2_UNIT = "levels, log2(scene-linear + 0.01)"
LOG2_RANGE = (-8.0, 16.0)
LOG_SHARES = (-2.0, 2.001)
"""No pixel, and all of them; a hair is added before the logarithm."""


@dataclass(frozen=True)
class Signal:
    """What one tensor of a graph holds.

    Parameters
    ----------
    axes
        Its axes by name; a number stands for itself.
    encoding
        The curve, or what the numbers are.
    primaries
        Of which primaries, where it is a picture.
    range
        Smallest and largest value; None is unbounded.
    unit
        What the number 1 stands for.
    """

    axes: tuple[str | int, ...]
    encoding: str
    unit: str
    primaries: str | None = None
    range: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Contract:
    """What a graph takes and gives: signals by name, in order."""

    inputs: Mapping[str, Signal]
    outputs: Mapping[str, Signal]

    def metadata(self) -> dict[str, str]:
        """Return an entry for each tensor, as JSON: ONNX metadata is text."""
        return {
            f"hdrgen.{side}.{name}": json.dumps(asdict(signal))
            for side, signals in (("input", self.inputs), ("output", self.outputs))
            for name, signal in signals.items()
        }


@dataclass(frozen=True)
class Graph:
    """A module that works on pictures of any size, with an example of its inputs."""

    model: str
    module: nn.Module
    example: tuple[Tensor, ...]
    contract: Contract
    floors: tuple[float, ...]
    """What of each output is next to nothing, and relative errors are of no less: light below the metrics, for decoders below
    one nit; one 8-bit code; 1 of logarithms, whose errors are relative by themselves."""


PICTURE = (1, "height", "width", 3)
STACK = (1, SLOTS, "height", "width", 3)
LIGHT = Signal(
    PICTURE,
    "scene-linear, 18 % grey at 0.18",
    "1 is 100 nit on a reference display",
    SAME_AS_INPUT,
    (0, None),
)
ONE_CODE = 1 / 255
EXAMPLE = (170, 190)
"""Height and width of the example pictures; no multiple of any stride, so that no size is taken for granted."""


def tone_fusion_graph(net: ToneFuser) -> Graph:
    """Return the graph of the tone fuser: a Reinhard and a log picture to light."""
    code8 = torch.zeros(1, *EXAMPLE, 3, dtype=torch.uint8)
    inputs = {
        "reinhard_code8": Signal(
            PICTURE,
            "8-bit codes of x / (1 + x)",
            "code 255 is light without end",
            "any, both the same",
            (0, 255),
        ),
        "log_code8": Signal(
            PICTURE,
            f"8-bit codes of log(1 + x) / log(1 + {net.log_ceiling_linear:g})",
            f"code 255 is {net.log_ceiling_linear:g}",
            "any, both the same",
            (0, 255),
        ),
    }
    return Graph(
        "tone_fusion",
        _FusedLight(net),
        (code8, code8.clone()),
        Contract(inputs, {"linear": LIGHT}),
        (FLOOR_LINEAR,),
    )


def bit_depth_graph(net: BitDepthUNet) -> Graph:
    """Return the graph of the bit-depth U-Net: 8-bit codes and their closed form to float codes."""
    inputs = {
        "code8": Signal(
            PICTURE, "8-bit codes of a smooth curve, such as LogC4 or sRGB", "codes", "any", (0, 255)
        ),
        "smooth": Signal(
            PICTURE,
            "offset of the smoothest picture with these codes: hdrgen.exposure.smoothest_in_intervals.smooth_in_intervals",
            "codes",
            range=(-0.5, 0.5),
        ),
        "strength": Signal(
            (), "0 keeps values in their codes' intervals, 1 takes the codes for noisy", "1", range=(0, 1)
        ),
    }
    outputs = {"code": Signal(PICTURE, "the same curve, continuous", "1 is code 255", SAME_AS_INPUT, (0, 1))}
    code8 = torch.zeros(1, *EXAMPLE, 3, dtype=torch.uint8)
    return Graph(
        "bit_depth",
        _FloatCodes(net),
        (code8, code8.float(), torch.tensor(0.5)),
        Contract(inputs, outputs),
        (ONE_CODE,),
    )


def exposure_fusion_graph(net: LuminanceStackProcessor) -> Graph:
    """Return the graph of the luminance stack processor: four brackets, as their tables say them, to light."""
    tables = (
        "of every code by hdrgen.exposure.bracket_tables, errors of exposure taken off, darkest bracket first"
    )
    inputs = {
        "level": Signal(STACK, f"level {tables}", LOG2_UNIT, "any, all the same", LOG2_RANGE),
        "weight": Signal(
            STACK, f"inverse variance {tables}; 0 where nothing is seen", "1 / level^2", range=(0, None)
        ),
        "lower": Signal(STACK, f"lower bound {tables}; -inf where there is none", LOG2_UNIT),
        "upper": Signal(STACK, f"upper bound {tables}; inf where there is none", LOG2_UNIT),
        "shown": Signal((1, SLOTS), "whether a bracket shows anything anywhere in the picture", "boolean"),
        "reference": Signal(
            (1,), "which bracket moving things are shown from", "index", range=(0, SLOTS - 1)
        ),
    }
    log2 = torch.zeros(1, SLOTS, *EXAMPLE, 3)
    example = (
        log2, log2 + 1, log2 - 1, log2 + 1, torch.ones(1, SLOTS, dtype=torch.bool), torch.tensor([1])
    )  # fmt: skip
    return Graph(
        "exposure_fusion", _MergedLight(net), example, Contract(inputs, {"linear": LIGHT}), (FLOOR_LINEAR,)
    )


def highlights_graph(net: HighlightsNet) -> Graph:
    """Return the graph of the network of ordinary pictures: a small picture and its histogram to curve and missing light."""
    inputs = {
        "code": Signal(
            PICTURE,
            "codes of sRGB's curve, not rounded, of the whole picture, averaged until no side is longer than "
            f"{LONGEST_SIDE}",
            "codes",
            "any",
            (0, 255),
        ),
        "counts": Signal(
            (1, COUNTS),
            "logarithms of the shares of codes in the picture at its full size: hdrgen.models.highlights.histogram",
            "factors of ten, 2 is all pixels",
            range=LOG_SHARES,
        ),
        "given": Signal(
            (1,),
            "1: codes are known to be plain sRGB, 0: they are known not to be, -1: estimated",
            "1",
            range=(-1, 1),
        ),
    }
    outputs = {
        "log_slopes": Signal(
            (1, KNOTS),
            "natural logarithm of the curve's slope over that of sRGB, both in stops by code, at codes 0, 16, ... 240, 255, "
            "if there is a curve at all: hdrgen.models.highlights.curve_stops",
            "1 is 2.718 times the slope of sRGB",
        ),
        "plain_logit": Signal(
            (1,),
            "log odds of there being no curve but sRGB's; decided at `plain_logit` of the settings",
            "1 is 2.718 times as probable as not",
        ),
        "missing_stops": Signal(
            PICTURE,
            "log2 of the light over what the curve makes of the codes, where these are at their end; nothing elsewhere: "
            "hdrgen.models.highlights.invented_weight",
            "stops",
            SAME_AS_INPUT,
            (0, MAX_MISSING_STOPS),
        ),
    }
    return Graph(
        "highlights",
        _CurveAndMissingLight(net),
        (torch.zeros(1, *EXAMPLE, 3), torch.zeros(1, COUNTS), torch.full((1,), -1.0)),
        Contract(inputs, outputs),
        (1.0, 1.0, 1.0),
    )


GRAPHS: Mapping[str, Callable[[Any], Graph]] = {
    "tone_fusion": tone_fusion_graph,
    "bit_depth": bit_depth_graph,
    "exposure_fusion": exposure_fusion_graph,
    "highlights": highlights_graph,
}


def edge_padded(picture: Tensor, multiple: int, axis: int) -> Tensor:
    """Return a picture with its edge repeated until height and width, from this axis on, are whole multiples."""
    for side in (axis, axis + 1):
        size = picture.shape[side]
        whole = (size + multiple - 1) // multiple * multiple
        rows = torch.arange(whole, device=picture.device).clamp(max=size - 1)
        picture = picture.index_select(side, rows)
    return picture


class _FusedLight(nn.Module):
    def __init__(self, net: ToneFuser) -> None:
        super().__init__()
        self.net = net

    def forward(self, reinhard_code8: Tensor, log_code8: Tensor) -> Tensor:
        height, width = reinhard_code8.shape[1:3]
        multiple = stride(self.net.settings.widths)
        log2 = self.net(*(edge_padded(codes, multiple, 1) for codes in (reinhard_code8, log_code8)))
        return log2_decode(log2)[:, :height, :width]


class _FloatCodes(nn.Module):
    def __init__(self, net: BitDepthUNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, code8: Tensor, smooth: Tensor, strength: Tensor) -> Tensor:
        height, width = code8.shape[1:3]
        multiple = max(stride(self.net.settings.widths), WIDEST)
        unshuffled8, offset = (
            pixel_unshuffle(edge_padded(picture, multiple, 1)) for picture in (code8, smooth)
        )
        output = self.net.unet(features(unshuffled8, offset, overview(unshuffled8)))
        clean, generated = (code(unshuffled8, offset, output) for code in (clean_code, generated_code))
        return pixel_shuffle(torch.lerp(clean, generated, strength) / 255)[:, :height, :width]


class _MergedLight(nn.Module):
    def __init__(self, net: LuminanceStackProcessor) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, log2: Tensor, weight: Tensor, lower: Tensor, upper: Tensor, shown: Tensor, reference: Tensor
    ) -> Tensor:
        height, width = log2.shape[2:4]
        log2, weight, lower, upper = (edge_padded(t, STRIDE, 2) for t in (log2, weight, lower, upper))
        # What is clipped counts before this only.
        stack = StackEstimates(log2, weight, lower, upper, clipped=shown)
        trust, correction = trust_and_correction(
            self.net.output(self.net.features(log2, weight, shown.long(), reference))
        )
        merged = merge_log2(stack, trust, correction, stack.consistency())
        return log2_decode(merged)[:, :height, :width]


class _CurveAndMissingLight(nn.Module):
    def __init__(self, net: HighlightsNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, code: Tensor, counts: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, width = code.shape[1:3]
        padded = edge_padded(code, stride(self.net.settings.widths), 1)
        log_slopes, plain_logit, missing_stops = self.net(padded, counts, given)
        return log_slopes, plain_logit, missing_stops[:, :height, :width]
