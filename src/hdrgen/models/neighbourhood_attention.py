"""Self-attention of each place over the places around it: bounded, so that tiles come out as the whole picture would."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NeighbourhoodAttention(nn.Module):
    """Multi-head self-attention of each place over the window around it (Vaswani et al. 2017; Hassani et al. 2023)."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        # Of each place by itself: statistics of a picture would differ by tile.
        self.norm = nn.LayerNorm(width)
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.position = nn.Parameter(torch.zeros(heads, window**2))
        self.output = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.output.weight)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        n, width, rows, columns = x.shape
        each, places = width // self.heads, rows * columns
        normal = self.norm(x.permute(0, 2, 3, 1).float()).permute(0, 3, 1, 2)
        query, key, value = self.project(normal).float().chunk(3, 1)
        around = [
            F.unfold(t, self.window, padding=self.window // 2).reshape(n, self.heads, each, -1, places)
            for t in (key, value)
        ]
        inside = F.unfold(
            x.new_ones((1, 1, rows, columns), dtype=torch.float32), self.window, padding=self.window // 2
        )
        query = query.reshape(n, self.heads, each, 1, places)
        scores = (query * around[0]).sum(2) * each**-0.5 + self.position[None, :, :, None]
        scores = scores.masked_fill(inside[:, None] == 0, -torch.inf)
        attended = (scores.softmax(2)[:, :, None] * around[1]).sum(3)
        return x + self.output(attended.reshape(n, width, rows, columns).to(x.dtype))
