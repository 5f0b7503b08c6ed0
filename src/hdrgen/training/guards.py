"""What every training loop does before it lets an optimizer step: look whether the loss is a number."""

import math

import torch
from torch import Tensor, nn

from hdrgen.runtime.errors import HdrgenError


class TrainingDiverged(HdrgenError):  # noqa: N818 - reads as what it says
    """The loss is NaN or infinite; the message names the step and the samples of the batch."""


def finite(loss: Tensor, *, step: int, samples: list[str], what: str = "loss") -> float:
    """Return the loss as a number.

    Raises
    ------
    TrainingDiverged
        It is not finite. Nothing has been stepped; the weights are those of the step before.
    """
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingDiverged(
            f"{what} is {value} at step {step}; the batch held {', '.join(samples)}: look at these, "
            "or lower the learning rate"
        )
    return value


def clip_gradients(net: nn.Module, norm: float, *, step: int, samples: list[str]) -> None:
    """Scale the gradients down to this norm where it is larger.

    Raises
    ------
    TrainingDiverged
        A gradient is not finite, which a finite loss does not rule out.
    """
    total = torch.nn.utils.clip_grad_norm_(net.parameters(), norm)
    finite(total, step=step, samples=samples, what="gradient")
