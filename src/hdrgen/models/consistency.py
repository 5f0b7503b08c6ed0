"""How consistent codes are: where the quantisation intervals of all pictures of a scene meet, all around.

Noise, misplacement and motion take intervals apart. One place can be consistent by chance; a window cannot.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW_PIXELS = 33
"""Side of the window, in pixels, in which consistent places are counted."""

CONSISTENT_SHARE = (0.90, 0.99)
"""Share of consistent places in the window at which clamping to the intervals begins, and from which it is complete."""

TRUST_INSIDE_INTERVAL = 0.25
"""How far a consistent pixel goes from the middle of its interval to the network's output. Both err by a part of the
interval and not in the same direction, so part of the way is better than either (chosen on validation crops, see
docs/log.md)."""


def local_consistency(consistent: Tensor, window: int = WINDOW_PIXELS) -> Tensor:
    """Return how consistent codes are around each place, 0 to 1, ``(N, H, W, 1)``.

    Parameters
    ----------
    consistent
        Where intervals meet, or which share of them, 0 to 1, ``(N, H, W)``.
    window
        Side of the window in which that is counted, odd; smaller at borders.
    """
    consistent = consistent.float()
    rows, columns = (_window_sums(consistent.new_ones(side), 0, window) for side in consistent.shape[1:])
    sums = _window_sums(_window_sums(consistent, 1, window), 2, window)
    share = sums / rows[:, None] / columns
    low, high = CONSISTENT_SHARE
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
