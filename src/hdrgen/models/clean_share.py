"""Where codes are clean: where the quantisation cells of all pictures of a scene meet, all around.

Noise, misplacement and motion take cells apart. One place can agree by chance; a window cannot.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

CLEAN = (0.90, 0.99)
"""Share of agreeing places in the window at which holding the answer in its cells begins, and from which it is complete."""


def clean_share(agreeing: Tensor, window: int) -> Tensor:
    """Return how clean codes are around each place, 0 to 1, ``(N, H, W, 1)``.

    Parameters
    ----------
    agreeing
        Where cells meet, or which share of them, 0 to 1, ``(N, H, W)``.
    window
        Side of the window in which that is counted, odd; smaller at borders.
    """
    agreeing = agreeing.float()
    rows, columns = (_window_sums(agreeing.new_ones(side), 0, window) for side in agreeing.shape[1:])
    sums = _window_sums(_window_sums(agreeing, 1, window), 2, window)
    share = sums / rows[:, None] / columns
    low, high = CLEAN
    return ((share - low) / (high - low)).clamp(0, 1).unsqueeze(-1)


def _window_sums(values: Tensor, axis: int, window: int) -> Tensor:
    """Return sums over a window along an axis: of two places, of four and so on, put together to the window."""
    length, half = values.shape[axis], window // 2
    ends = [0, 0] * (values.ndim - 1 - axis) + [half, half]
    power, of_power = 1, F.pad(values, ends)
    total, summed = torch.zeros_like(values), 0
    while True:
        if window & power:
            total += of_power.narrow(axis, summed, length)
            summed += power
        if 2 * power > window:
            return total
        shorter = of_power.shape[axis] - power
        of_power = of_power.narrow(axis, 0, shorter) + of_power.narrow(axis, power, shorter)
        power *= 2
