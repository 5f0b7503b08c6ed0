"""The published perceptron on pictures of any size, near the peak of the processor's matrix products.

No command runs it: `hdrgen.models.tone_fusion` is better. It is here to be held against.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from hdrgen.models.runtime_network import fastest_dtype, torch_threads
from hdrgen.models.tone_mlp import MODEL, ToneMlp
from hdrgen.models.weights import load_model

PIECE = 2048
"""Pixels at a time: few enough that what goes from one layer to the next stays in the cache (measured, see docs/log.md)."""

CODES = 255


class MlpFuser:
    """The perceptron with its weights.

    Parameters
    ----------
    net
        The network.
    dtype
        bf16 where the processor has it in hardware, else fp32.
    """

    def __init__(self, net: ToneMlp, dtype: torch.dtype | None = None) -> None:
        fused = (dtype or fastest_dtype()) == torch.bfloat16 and hasattr(
            torch.ops.mkldnn, "_linear_pointwise"
        )
        self.light: Callable[[Tensor], Tensor] = _fused(net) if fused else _plain(net)
        """uint8 codes ``(N, 6)`` to scene-linear light ``(N, 3)``."""

    def fuse(
        self, reinhard_code8: NDArray[np.uint8], log_code8: NDArray[np.uint8], *, threads: int = 2
    ) -> NDArray[np.float32]:
        """Return scene-linear RGB, from 0, of two pictures' codes; ``(H, W, 3)`` each."""
        codes = torch.from_numpy(np.concatenate([reinhard_code8, log_code8], axis=-1)).reshape(-1, 2 * 3)
        linear = torch.empty(len(codes), 3)
        with torch_threads(threads), torch.inference_mode():
            for first in range(0, len(codes), PIECE):
                linear[first : first + PIECE] = self.light(codes[first : first + PIECE])
        return linear.numpy().reshape(reinhard_code8.shape)


def _plain(net: ToneMlp) -> Callable[[Tensor], Tensor]:
    return lambda codes: net(codes.float() / CODES)


def _fused(net: ToneMlp) -> Callable[[Tensor], Tensor]:
    """Return the network in bf16, weights laid out for the processor once and activations in the same pass."""
    linear = [layer for layer in net.layers if isinstance(layer, nn.Linear)]
    slopes = [layer.negative_slope for layer in net.layers if isinstance(layer, nn.LeakyReLU)]
    # Codes are whole numbers to 255, which bf16 holds exactly; their shares of 255 it does not.
    weights = [linear[0].weight / CODES, *(layer.weight for layer in linear[1:])]
    packed = [
        (
            torch.ops.mkldnn._reorder_linear_weight(weight.detach().bfloat16(), PIECE),  # noqa: SLF001
            layer.bias.detach().bfloat16(),
        )
        for weight, layer in zip(weights, linear, strict=True)
    ]

    def light(codes: Tensor) -> Tensor:
        x = codes.bfloat16()
        for (weight, bias), slope in zip(packed, [*slopes, None], strict=True):
            activation = ("none", [], "") if slope is None else ("leaky_relu", [slope], "")
            x = torch.ops.mkldnn._linear_pointwise(x, weight, bias, *activation)  # noqa: SLF001
        return F.softplus(x.float())

    return light


def load_mlp_fuser(weights: Path, dtype: torch.dtype | None = None) -> MlpFuser:
    """Load the perceptron that `train_tone_fusion` left.

    Raises
    ------
    HdrgenError
        The file is missing, damaged, or holds another model.
    """
    return MlpFuser(load_model(weights, MODEL, lambda _: ToneMlp()), dtype)
