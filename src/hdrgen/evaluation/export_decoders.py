"""The decoders of the HDR VAEs as graphs, from latents to light."""

import torch
from torch import Tensor, nn

from hdrgen.flux.hdr_vae import HdrVae
from hdrgen.inference.onnx_graphs import LIGHT, Contract, Graph, Signal
from hdrgen.models.hdr_vae import LATENT_CHANNELS, PublishedHdrVae

ONE_NIT = 0.01
"""Relative errors are of no less light. The curves that decoders end in turn one rounding of a code into larger shares of
darker light: at a tenth of this, two runtimes in single precision are 5e-4 apart."""

EXAMPLE = (10, 12)
"""Rows and columns of the example latents."""


def hdr_vae_graph(net: PublishedHdrVae) -> Graph:
    """Return the graph of the published HDR VAE's decoder: latents to light."""
    return _graph("hdr_vae_decoder", _PublishedDecoder(net), LATENT_CHANNELS)


def flux_vae_graph(vae: HdrVae) -> Graph:
    """Return the graph of a FLUX VAE's decoder: latents, de-normalised and unpatchified, to light."""
    return _graph("flux_vae_decoder", _FluxDecoder(vae), vae.vae.config.latent_channels)


def _graph(name: str, module: nn.Module, channels: int) -> Graph:
    latents = Signal((1, channels, "rows", "columns"), "latents, as the decoder takes them", "1")
    light = Signal((1, 3, "height", "width"), LIGHT.encoding, LIGHT.unit, "ARRI Wide Gamut 4", (None, None))
    example = (torch.zeros(1, channels, *EXAMPLE),)
    return Graph(name, module, example, Contract({"latents": latents}, {"linear_awg4": light}), (ONE_NIT,))


class _PublishedDecoder(nn.Module):
    def __init__(self, net: PublishedHdrVae) -> None:
        super().__init__()
        self.net = net

    def forward(self, latents: Tensor) -> Tensor:
        return self.net.normalisation.decode(self.net.code(latents))


class _FluxDecoder(nn.Module):
    def __init__(self, vae: HdrVae) -> None:
        super().__init__()
        self.vae, self.normalisation = vae.vae, vae.normalisation

    def forward(self, latents: Tensor) -> Tensor:
        return self.normalisation.decode(self.vae.decode(latents, return_dict=False)[0])
