"""What every training loop does before it lets an optimizer step: look whether the loss is a number."""

import math

from torch import Tensor

from hdrgen.runtime.errors import HdrgenError


class TrainingDiverged(HdrgenError):  # noqa: N818 - reads as what it says
    """The loss is NaN or infinite; the message names the step and the samples of the batch."""


def finite(loss: Tensor, *, step: int, samples: list[str]) -> float:
    """Return the loss as a number.

    Raises
    ------
    TrainingDiverged
        It is not finite. Nothing has been stepped; the weights are those of the step before.
    """
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingDiverged(
            f"loss is {value} at step {step}; the batch held {', '.join(samples)}: look at these, "
            "or lower the learning rate"
        )
    return value
