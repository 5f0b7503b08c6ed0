"""The published tone-fusion network: a perceptron over the six code values of one pixel.

"Production-Ready HDR EXR Generation from AI Models" (Chatterjee): 6 -> 128 -> 256 -> 128 -> 3, LeakyReLU, Softplus
at the end, 67,203 parameters; loss of a Huber, a highlight and a colour-ratio term. The article names the terms but
gives no formulas: theirs are ours.
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from hdrgen.runtime.params import Section

MODEL = "tone_mlp"
"""The name in the header of its weights."""


class ToneMlpLoss(Section):
    """Weights of the loss."""

    huber_delta: float = Field(1.0, gt=0)
    """Where the Huber term turns from square to absolute, in natural logarithms of light."""
    highlight_weight: float = Field(0.5, ge=0)
    """Weight of the same error over pixels above `highlight_linear`."""
    highlight_linear: float = Field(1.0, gt=0)
    """Scene-linear value from which a pixel is a highlight."""
    colour_ratio_weight: float = Field(0.5, ge=0)
    """Weight of the error in each component's share of the sum."""
    epsilon: float = Field(5e-5, gt=0)
    """Added before logarithms and divisions; raised by the authors from 1e-6, where training was unstable."""


class ToneMlp(nn.Module):
    """``(N, 6)`` code values 0 to 1, Reinhard RGB then log RGB, to ``(N, 3)`` scene-linear values from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 128), nn.LeakyReLU(),
            nn.Linear(128, 256), nn.LeakyReLU(),
            nn.Linear(256, 128), nn.LeakyReLU(),
            nn.Linear(128, 3), nn.Softplus(),
        )  # fmt: skip

    def forward(self, codes: Tensor) -> Tensor:  # noqa: D102
        light: Tensor = self.layers(codes)
        return light


def tone_mlp_loss(linear: Tensor, target_linear: Tensor, settings: ToneMlpLoss) -> Tensor:
    """Return the loss over ``(N, 3)`` pixels: Huber + highlight + colour ratio, a scalar.

    Negatives are set to zero before any logarithm.
    """
    linear, target = linear.clamp_min(0), target_linear.clamp_min(0)
    log_error = F.huber_loss(
        torch.log(linear + settings.epsilon),
        torch.log(target + settings.epsilon),
        reduction="none",
        delta=settings.huber_delta,
    ).mean(-1)
    bright = (target.amax(-1) > settings.highlight_linear).to(log_error.dtype)
    highlight = (log_error * bright).sum() / bright.sum().clamp_min(1)
    share, target_share = (x / (x.sum(-1, keepdim=True) + 3 * settings.epsilon) for x in (linear, target))
    colour_ratio = (share - target_share).abs().mean()
    return (
        log_error.mean() + settings.highlight_weight * highlight + settings.colour_ratio_weight * colour_ratio
    )
