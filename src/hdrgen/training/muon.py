"""Muon (Jordan et al. 2024): steps in directions whose matrices are orthogonal.

A gradient of a matrix mostly has a few large singular values, and a step along it moves little else. Muon takes the
momentum's directions all equally far, which trains networks from nothing in a fraction of Adam's steps. Steps are
scaled to the size of Adam's (Liu et al. 2025, "Muon is scalable for LLM training", eq. 4), so one learning rate does
for both. ``torch.optim.Muon`` takes matrices alone; here kernels of convolutions are matrices too, a row for each
output channel, and biases and norms are left to Adam.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_ADAM_STEP_RMS = 0.2
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Muon for weights with two or more axes, Adam for the others; weight decay is decoupled from both.

    Parameters
    ----------
    params
        Weights that learn.
    lr
        Learning rate. A step changes the entries of a matrix by 0.2 times this, root mean square.
    weight_decay
        Share of the weights that a step takes off, times the learning rate.
    momentum
        Of Muon, Nesterov's.
    betas
        Of Adam.
    precision
        Of the iterations that orthogonalise, in which bf16 is enough (Jordan et al. 2024).
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.97),
        precision: torch.dtype = torch.float32,
    ) -> None:
        self._precision = precision
        super().__init__(
            params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step with every weight that has a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            learning = [(weight, weight.grad) for weight in group["params"] if weight.grad is not None]
            for weight, gradient in learning:
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                if weight.ndim < 2:
                    weight.sub_(self._adam(gradient, self.state[weight], group), alpha=group["lr"])
            self._muon([(weight, gradient) for weight, gradient in learning if weight.ndim > 1], group)
        return loss

    def _muon(self, learning: list[tuple[Tensor, Tensor]], group: dict[str, float]) -> None:
        # Matrices of one size are orthogonalised together: a small one alone leaves most of a processor idle.
        alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for weight, gradient in learning:
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            state["momentum"].lerp_(gradient, 1 - group["momentum"])
            ahead = gradient.lerp(state["momentum"], group["momentum"]).flatten(1)
            alike.setdefault(ahead.shape, []).append((weight, ahead))
        for shape, several in alike.items():
            matrices = torch.stack([ahead for _, ahead in several]).to(self._precision)
            step = group["lr"] * _ADAM_STEP_RMS * max(shape) ** 0.5
            for (weight, _), direction in zip(several, orthogonalised(matrices).float(), strict=True):
                weight.sub_(direction.view(weight.shape), alpha=step)

    @staticmethod
    def _adam(gradient: Tensor, state: dict[str, Tensor], group: dict[str, tuple[float, float]]) -> Tensor:
        if not state:
            state |= {"mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)}
            state["steps"] = torch.zeros(())
        state["steps"] += 1
        of_mean, of_square = group["betas"]
        mean = state["mean"].lerp_(gradient, 1 - of_mean) / (1 - of_mean ** state["steps"].item())
        square = state["square"].lerp_(gradient.square(), 1 - of_square) / (
            1 - of_square ** state["steps"].item()
        )
        return mean / (square.sqrt() + 1e-8)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return matrices ``(B, M, N)`` with all their singular values near 1, from 0.7 to 1.2, directions kept.

    Five Newton-Schulz iterations with Jordan's coefficients, which are the steepest at 0 that do not diverge.
    Singular values under a thousandth of a matrix's norm end up smaller than that.
    """
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT.contiguous() if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT.contiguous() if tall else x
