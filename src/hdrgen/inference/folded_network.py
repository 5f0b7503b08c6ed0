"""A network around a `FoldedUNet` as the product runs it: in 8-bit integers, bf16 or fp32."""

import torch
from torch import Tensor

from hdrgen.models.folded_unet import FoldedUNet
from hdrgen.models.int8_unet import Int8UNet, has_ranges, int8_supported
from hdrgen.models.runtime_network import NetT, Network


class FoldedNetwork(Network[NetT]):
    """A network whose convolutions are a `FoldedUNet`: they may run in 8-bit integers as well.

    Parameters
    ----------
    net, digest
        As of `Network`; the network's ``unet`` is what runs.
    dtype
        uint8 where the processor has 8-bit products in hardware and the weights' ranges were measured, else as of `Network`.
    """

    def __init__(self, net: NetT, digest: str, dtype: torch.dtype | None = None) -> None:
        unet = net.unet
        assert isinstance(unet, FoldedUNet)
        if dtype is None and int8_supported() and has_ranges(unet):
            dtype = torch.uint8
        super().__init__(net, digest, dtype)
        self._unet = unet
        self._int8 = Int8UNet(unet) if self._dtype == torch.uint8 else None

    def _as_entered(self, features: Tensor) -> Tensor:
        """Return folded features as `_run` takes them."""
        return self._int8.codes(features) if self._int8 else features.to(self._dtype)

    def _run(self, entered: Tensor) -> Tensor:
        """Return what the `FoldedUNet` says of folded features."""
        if self._int8:
            return self._int8(entered)
        with self._autocast():
            output: Tensor = self._unet(entered)
        return output
